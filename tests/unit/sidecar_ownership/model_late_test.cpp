// A tap that reads its packets late decides them as one that reads them as they pass.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_ownership/model.h"

namespace sidetap::ownership {
namespace {

using namespace sidetap::test;

class LateModel : public Model {};

/// Pod one's tap twice: one decides each packet as it passes, and the other reads its rings late.
class LateTap {
 public:
  /// A packet passes. `two_owns`: pod two's tap forwards it. `agreed`: both know that of each
  /// other.
  void pass(const Bytes& bytes, Moment now, bool two_owns, bool agreed) {
    const std::uint8_t protocol =
        capture::parse_packet(capture::LinkType::kEthernet, bytes).protocol;
    rings_[protocol == 132].push_back(
        {bytes, now, prompt_.sees(bytes), two_owns, agreed, protocol == 6});
  }
  void set_tapped_peers(const TappedPeers& peers, Moment now) {
    const auto shared = std::make_shared<const TappedPeers>(peers);
    prompt_.engine.set_tapped_peers(shared);
    late_.engine.set_tapped_peers(shared, now);
  }
  bool has_backlog() const { return !rings_[0].empty(); }
  /// Reads one of the two: it has to decide as if it had read each packet as it passed.
  void read(std::size_t ring) {
    for (const Passed& packet : rings_[ring]) {
      const auto view = capture::parse_packet(capture::LinkType::kEthernet, packet.bytes);
      const Decision decision = late_.engine.decide(view, packet.moment);
      ASSERT_EQ(decision, packet.prompt)
          << rule_name(decision.rule) << " instead of " << rule_name(packet.prompt.rule);
      if (packet.is_tcp) continue;  // of which two knows more: it has looked at every handshake
      ASSERT_TRUE(decision.owned || packet.two_owns) << "lost";
      if (packet.agreed) {
        ASSERT_NE(decision.owned, packet.two_owns) << "doubled";
      }
    }
    rings_[ring].clear();
  }

 private:
  struct Passed {
    Bytes bytes;
    Moment moment;
    Decision prompt;
    bool two_owns, agreed, is_tcp;
  };
  static EngineConfig config() {
    EngineConfig config = pod_config(1);
    config.tapped_peers = TappedPeers::none();
    config.peers_change = true;
    return config;
  }

  Pod prompt_{config()};
  Pod late_{config()};
  std::vector<Passed> rings_[2];  // SCTP has one of its own
};

/// Pod two's tap comes and goes while both rings of pod one's tap are read late, each by as much as
/// it happens. Pod one has to decide each packet as if it were read as it passes; then nothing is
/// lost, and what passes while both agree is forwarded once.
TEST_P(LateModel, PeersThatChangeBetweenStampAndReadChangeNothing) {
  LateTap late;
  Moment now{std::chrono::hours(1)};
  bool forwards = false;  // two's tap,
  bool counted = false;   // and one's leaves packets to it
  std::size_t changes = 0;
  std::size_t changes_in_backlog = 0;
  for (std::uint32_t i = 0; i < 20000; ++i) {
    now += std::chrono::microseconds(1 + dice(1000));
    if (dice(20) == 0) {
      // It forwards before it is counted on, and until after.
      if (forwards == counted && !counted) {
        forwards = true;
      } else if (forwards != counted && dice(2) == 0) {
        forwards = false;
      } else {
        counted = !counted;
        changes_in_backlog += late.has_backlog();
        late.set_tapped_peers(
            with_facts(counted ? tapped("10.0.0.2,fd00::2") : TappedPeers::none()), now);
        // Of more changes than are remembered none may be waited for.
        if (++changes % PeerHistory::kMostOlder == 0) {
          for (const std::size_t ring : {0U, 1U}) ASSERT_NO_FATAL_FAILURE(late.read(ring));
        }
      }
    }
    const Bytes bytes = next_packet(i).ethernet();
    const bool two_owns = two.sees(bytes).owned && forwards;
    late.pass(bytes, now, two_owns, forwards == counted);
    for (const std::size_t ring : {0U, 1U}) {
      if (dice(40) == 0) {
        ASSERT_NO_FATAL_FAILURE(late.read(ring));
      }
    }
  }
  EXPECT_GT(changes_in_backlog, 100U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, LateModel, testing::ValuesIn(seeds_of_models()));

}  // namespace
}  // namespace sidetap::ownership
