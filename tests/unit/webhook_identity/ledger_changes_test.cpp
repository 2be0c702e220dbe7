// The sequence of changes, from which readers follow the ledger.
#include <map>
#include <set>

#include "tests/unit/webhook_identity/ledger_fixture.h"

namespace sidetap::webhook::identity {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class LedgerChanges : public LedgerTest {
 protected:
  /// "1: web-1 10-"; "too late" if all must be read again.
  static std::vector<std::string> since(const Ledger& ledger, Position position,
                                        std::size_t most = 100) {
    const auto changes = ledger.changes_since(position, most);
    if (!changes) return {"too late"};
    std::vector<std::string> texts;
    for (const Change& change : *changes)
      texts.push_back(std::to_string(change.number) + ": " + short_text(change.tenure));
    return texts;
  }
};

TEST_F(LedgerChanges, EachBeginningEndAndContinuationIsAChange) {
  Ledger ledger(LedgerConfig{.epoch = 7});
  EXPECT_EQ(ledger.position(), (Position{7, 0}));
  EXPECT_THAT(since(ledger, {7, 0}), IsEmpty());
  prove(ledger, 1, "web-1", a_, 10);
  prove(ledger, 1, "web-1", a_, 15);
  end(ledger, 1, 20);
  prove(ledger, 2, "web-1", a_, 30);
  prove(ledger, 3, "web-2", a_, 40);
  EXPECT_THAT(since(ledger, {7, 0}), ElementsAre("1: web-1 10-", "2: web-1 10-20", "3: web-1 10-",
                                                 "4: web-1 10-40", "5: web-2 40-"));
  EXPECT_EQ(ledger.position(), (Position{7, 5}));
  EXPECT_EQ(ledger.changes(), 5u);
  EXPECT_THAT(since(ledger, {7, 5}), IsEmpty());
  EXPECT_THAT(since(ledger, {7, 1}, 2), ElementsAre("2: web-1 10-20", "3: web-1 10-"));
  EXPECT_THAT(since(ledger, {7, 3}, 0), IsEmpty());
}

TEST_F(LedgerChanges, AReaderThatIsTooLateReadsEverythingAgain) {
  Ledger ledger(LedgerConfig{.epoch = 7, .most_changes = 2});
  for (std::uint32_t i = 1; i <= 5; ++i) prove(ledger, i, "web-1", host(i), i);
  EXPECT_THAT(since(ledger, {7, 2}), ElementsAre("too late"));
  EXPECT_THAT(since(ledger, {7, 3}), ElementsAre("4: web-1 4-", "5: web-1 5-"));
}

TEST_F(LedgerChanges, NumbersOfAnotherRunAreNotConfused) {
  Ledger ledger(LedgerConfig{.epoch = 7});
  prove(ledger, 1, "web-1", a_, 10);
  EXPECT_THAT(since(ledger, {6, 0}), ElementsAre("too late"));
  EXPECT_THAT(since(ledger, {8, 1}), ElementsAre("too late"));
  EXPECT_THAT(since(ledger, {7, 2}), ElementsAre("too late"));
}

TEST_F(LedgerChanges, WhoFollowsThemHasTheSameTenures) {
  Ledger ledger(LedgerConfig{});
  std::map<std::string, std::string> followed;
  Position position = ledger.position();
  for (std::uint32_t i = 1; i <= 300; ++i) {
    // Two pods take turns at each of three addresses, with pauses.
    const std::string name = "web-" + std::to_string(i / 7 % 2);
    if (i % 5 == 0) {
      end(ledger, i - 1, i);
    } else {
      prove(ledger, i, name, host(i % 3), i);
    }
    const auto changes = ledger.changes_since(position, 100);
    ASSERT_TRUE(changes);
    for (const Change& change : *changes) {
      const Tenure& tenure = change.tenure;
      followed[tenure.address.to_string() + tenure.pod->uid +
               std::to_string(tenure.from.time_since_epoch().count())] = short_text(tenure);
    }
    position = ledger.position();
  }
  std::multiset<std::string> expected, seen;
  for (const Tenure& tenure : ledger.tenures()) expected.insert(short_text(tenure));
  for (const auto& [key, text] : followed) seen.insert(text);
  EXPECT_EQ(seen, expected);
}

}  // namespace
}  // namespace sidetap::webhook::identity
