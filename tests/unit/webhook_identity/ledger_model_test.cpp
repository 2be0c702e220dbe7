// The ledger against a small world that knows who really has each address. Addresses are reused as
// soon as they are free, by tapped and by untapped pods, while connections of dead pods linger.
#include <algorithm>
#include <map>
#include <memory>
#include <random>

#include "tests/unit/webhook_identity/ledger_fixture.h"

namespace sidetap::webhook::identity {
namespace {

using std::chrono::milliseconds;

constexpr std::uint32_t kAddresses = 4;
constexpr int kLongestSilence = 6'000;  // ms, after which the registry cuts a connection

/// A pod's time with an address, and how far the registry has proof of it.
struct Life {
  std::string uid;
  Time begin;
  std::optional<Time> end{};
  bool tapped = false;
  ConnectionId connection = 0;  ///< 0: none.
  std::optional<Time> proved{};
  Time heard{};

  bool has_it_at(Time time) const { return begin <= time && (!end || time < *end); }
};

class World {
 public:
  explicit World(std::uint32_t seed, std::size_t most_tenures) : random_(seed) {
    LedgerConfig config;
    config.continues = std::chrono::hours(1);
    config.most_tenures = most_tenures;
    config.heard = [this](ConnectionId id) -> std::optional<Time> { return heard_.at(id); };
    ledger_ = std::make_unique<Ledger>(config);
  }

  void step() {
    now_ += milliseconds(roll(300));
    cut_silent_connections();
    std::vector<Life>& lives = lives_[roll(kAddresses)];
    if (lives.empty() || lives.back().end) return begin(lives);
    switch (roll(6)) {
      case 0:
        die(lives.back());
        // Most often, the next pod has the address in the same moment.
        if (roll(5) > 0) begin(lives);
        return;
      case 1:
        return disconnect(lives.back());
      case 2:
      case 3:
        return connect(lives);
      default:
        return speak(lives);
    }
  }

  /// The newest proof decides, also while the connections of dead pods linger.
  void check_now() const {
    for (const auto& [number, lives] : lives_) {
      if (lives.empty() || !lives.back().proved) continue;
      const Life& life = lives.back();
      const Answer answer = ledger_->ask(host(number), now_);
      if (answer.is(Answer::Kind::kHeld)) {
        ASSERT_EQ(answer.holder->pod->uid, life.uid);
      }
      if (life.connection != 0 && !life.end) {
        ASSERT_TRUE(answer.is(Answer::Kind::kHeld));
      }
    }
  }

  /// Everything has ended or been noticed. No answer may be wrong for any time. If nothing was
  /// forgotten, every proved moment has its answer.
  void check_everything(bool complete) {
    for (auto& [number, lives] : lives_) {
      if (!lives.empty() && !lives.back().end) die(lives.back());
    }
    now_ += milliseconds(kLongestSilence + 1);
    cut_silent_connections();
    for (const auto& [number, lives] : lives_) {
      for (const Life& life : lives) {
        for (const Time edge : {life.begin, life.end.value(), life.proved.value_or(now_),
                                life.proved ? life.heard : now_}) {
          for (const int beside : {-1, 0, 1}) {
            ASSERT_NO_FATAL_FAILURE(check(number, edge + milliseconds(beside), complete));
          }
        }
      }
      for (int i = 0; i < 1'000; ++i) {
        const auto back = static_cast<std::int64_t>(random_() % 400'000);
        ASSERT_NO_FATAL_FAILURE(check(number, now_ - milliseconds(back), complete));
      }
    }
  }
  std::size_t answered() const { return answered_; }

 private:
  std::uint32_t roll(std::uint32_t sides) { return static_cast<std::uint32_t>(random_() % sides); }

  void begin(std::vector<Life>& lives) {
    Life life;
    life.uid = "u-" + std::to_string(++pods_);
    life.begin = now_;
    life.tapped = roll(4) > 0;
    lives.push_back(life);
  }

  void update(Life& life, const net::IpAddress& address) {
    ledger_->update(life.connection, pod(life.uid), {address}, now_);
    if (!life.proved) life.proved = now_;
    heard_[life.connection] = life.heard = now_;
  }
  net::IpAddress address_of(const std::vector<Life>& lives) const {
    const auto found = std::find_if(lives_.begin(), lives_.end(),
                                    [&](const auto& item) { return &item.second == &lives; });
    return host(found->first);
  }

  void connect(std::vector<Life>& lives) {
    Life& life = lives.back();
    if (!life.tapped || life.connection != 0) return;
    life.connection = ++connections_;
    update(life, address_of(lives));
  }
  void speak(std::vector<Life>& lives) {
    Life& life = lives.back();
    if (life.connection == 0) return;
    if (roll(2) == 0) return update(life, address_of(lives));
    heard_[life.connection] = life.heard = now_;
  }
  /// In order, or without a word.
  void disconnect(Life& life) {
    if (life.connection == 0) return;
    const ConnectionId connection = std::exchange(life.connection, 0);
    if (roll(2) == 0) {
      ledger_->end(connection, heard_.at(connection), now_);
    } else {
      const auto unnoticed = milliseconds(roll(kLongestSilence));
      silent_.emplace(now_ + unnoticed, connection);
    }
  }
  void die(Life& life) {
    life.end = now_;
    disconnect(life);
  }
  void cut_silent_connections() {
    while (!silent_.empty() && silent_.begin()->first <= now_) {
      const ConnectionId connection = silent_.begin()->second;
      ledger_->end(connection, heard_.at(connection), now_);
      silent_.erase(silent_.begin());
    }
  }

  void check(std::uint32_t number, Time time, bool complete) {
    const Answer answer = ledger_->ask(host(number), time);
    const auto& lives = lives_.at(number);
    const auto holder = std::find_if(lives.begin(), lives.end(),
                                     [time](const Life& life) { return life.has_it_at(time); });
    if (answer.is(Answer::Kind::kHeld)) {
      ++answered_;
      ASSERT_NE(holder, lives.end());
      ASSERT_EQ(answer.holder->pod->uid, holder->uid);
    } else if (complete && holder != lives.end() && holder->proved) {
      ASSERT_FALSE(*holder->proved <= time && time < holder->heard) << holder->uid;
    }
  }

  std::mt19937 random_;
  Time now_ = at(0);
  std::uint64_t pods_ = 0;
  ConnectionId connections_ = 0;
  std::map<std::uint32_t, std::vector<Life>> lives_;  // by the number of the address
  std::map<ConnectionId, Time> heard_;
  std::multimap<Time, ConnectionId> silent_;
  std::unique_ptr<Ledger> ledger_;
  std::size_t answered_ = 0;
};

TEST(LedgerModel, NoAnswerIsWrongHoweverFastAddressesAreReused) {
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed, 200'000);
    for (int i = 0; i < 3'000; ++i) {
      world.step();
      ASSERT_NO_FATAL_FAILURE(world.check_now());
    }
    ASSERT_NO_FATAL_FAILURE(world.check_everything(true));
    EXPECT_GT(world.answered(), 1'000u);
  }
}

TEST(LedgerModel, NoAnswerIsWrongWhenMuchIsForgotten) {
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed, 3 * kAddresses);
    for (int i = 0; i < 3'000; ++i) {
      world.step();
      ASSERT_NO_FATAL_FAILURE(world.check_now());
    }
    ASSERT_NO_FATAL_FAILURE(world.check_everything(false));
    EXPECT_GT(world.answered(), 10u);
  }
}

}  // namespace
}  // namespace sidetap::webhook::identity
