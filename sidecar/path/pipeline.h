// Processes one packet: parse, decide, restore, and hand to every capture that wants it.
//
// Its source may be a file or a device. It uses neither threads nor sockets.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sidecar/capture/stamp_offset.h"
#include "sidecar/fidelity/restorer.h"
#include "sidecar/forwarding/backlog.h"
#include "sidecar/forwarding/forwarder.h"
#include "sidecar/forwarding/pacer.h"
#include "sidecar/forwarding/rate_limiter.h"
#include "sidecar/ownership/engine.h"
#include "sidecar/packet/captured_packet.h"
#include "sidecar/path/narrowing.h"
#include "sidecar/path/receivers.h"

namespace sidetap {

/// What became of the packets that the process has read; written by the packet path, read by any
/// thread. With what the forwarders count it balances:
///   read = not owned + paused + sampled flows + rate limited + no session + left to peers +
///          (kept - released) + taken
///   taken + segments = filtered + sampled + forwarded + dropped   (with one capture; of several,
///   each counts for itself)
/// Captures that get copies have no part in it. What the operator's filter refuses is not read.
struct Ledger {
  telemetry::HotCounter read;
  telemetry::HotCounter read_bytes;   ///< Their lengths on the wire, before any is split.
  telemetry::HotCounter owned_bytes;  ///< Likewise.
  std::array<telemetry::HotCounter, ownership::kRuleCount> owned;
  std::array<telemetry::HotCounter, ownership::kRuleCount> not_owned;
  telemetry::HotCounter collected;      ///< Owned without a rule, because a tap has forwarded it.
  telemetry::HotCounter paused;         ///< Owned, while forwarding was paused.
  telemetry::HotCounter sampled_flows;  ///< Owned packets of flows that are not in the sample.
  telemetry::HotCounter rate_limited;
  telemetry::HotCounter no_session;  ///< Owned, and no capture ran.
  telemetry::HotCounter kept;        ///< Owned, and put into the backlog.
  telemetry::HotCounter released;    ///< From there: `taken`, `left_to_peers`, or `no_session`.
  /// Owned, but a peer's tap forwarded them, because this tap did not forward when they passed.
  telemetry::HotCounter left_to_peers;
  telemetry::HotCounter taken;     ///< Owned, and handed to the captures that ran.
  telemetry::HotCounter segments;  ///< Packets more than were captured, by splitting large ones.
  telemetry::HotCounter unsplit;   ///< Taken as they were, though they left in several segments.
  telemetry::HotCounter cut;       ///< Taken without their end: the capture had no room for it.

  std::uint64_t owned_total() const { return sum(owned) + collected.value(); }
  std::uint64_t not_owned_total() const { return sum(not_owned); }

 private:
  static std::uint64_t sum(const std::array<telemetry::HotCounter, ownership::kRuleCount>& by_rule);
};

struct PipelineConfig {
  /// The source holds what other taps have forwarded: nothing of it is judged or restored, and the
  /// operator's filter runs in the process. See Pipeline::collected().
  bool collected = false;
  capture::LinkType link = capture::LinkType::kEthernet;
  bool balance = false;  ///< Each flow to one capture, instead of every packet to every capture.
  bool spread = false;   ///< Outputs spread flows over source ports.
  fidelity::RestorerConfig fidelity;
  Narrowing narrowing{};             ///< Its filter is not applied here.
  std::uint32_t captured_bytes = 0;  ///< Of each packet as much is asked of the source. 0: any.
  std::size_t backlog = 0;           ///< Bytes for packets that cannot leave at once.
  bool keep_without_capture = true;  ///< Also keeps packets while no capture runs.
  bool dialled = true;               ///< As of Receivers.
  /// Peers learn whether this tap forwards. While it does not, their taps forward its packets.
  bool peers_stand_in = false;
  /// Keys of the captures of which each is to get every packet: where one does not run while
  /// another does, what it misses is counted.
  std::vector<std::string> expected;
};

/// What a capture is to the others.
enum class Part : std::uint8_t {
  kTaker,  ///< A sensor's: what no taker gets is lost.
  kCopy,   ///< Somebody's who looks on: gets everything, and takes nothing from anybody.
};

/// One thread, but for ledger().
class Pipeline final : public capture::PacketHandler {
 public:
  using Clock = std::chrono::steady_clock;

  /// `engine` outlives the pipeline.
  Pipeline(PipelineConfig config, ownership::Engine& engine);

  /// Call it before packets are read. `filling`: the source runs out of room, so reading comes
  /// first, and packets wait in the backlog.
  void begin_read(Clock::time_point now, bool filling);
  void on_packet(const capture::CapturedPacket& packet) override;
  /// Takes packets that other taps have forwarded: each is owned, and is as it was on the wire. A
  /// handler of its own, so that a tap's packets pay nothing for it.
  capture::PacketHandler& collected() { return collected_; }
  /// The same for a packet of a mesh's leg, in the form of a wire: no other tap sees it, so it is
  /// this tap's without a question.
  void on_leg(const capture::CapturedPacket& packet);
  /// Counts a packet that is read and not owned, by a rule that the engine does not know.
  void leave_out(const capture::CapturedPacket& packet, ownership::Rule rule);

  /// `key` names the capture's sensor in balance mode: the same flow stays with it however others
  /// come and go.
  void add(std::shared_ptr<forwarding::Forwarder> forwarder, const std::string& key,
           Part part = Part::kTaker);
  void remove(const forwarding::Forwarder* forwarder);
  /// For packets that come from now on. The captures stay; what the expected ones have missed is
  /// counted from 0.
  void set_receivers(const Receivers& receivers);
  /// Hands over as much of the backlog as may be sent now.
  void replay();
  /// Something waits, and a capture runs that takes more now or in a moment.
  bool can_replay() const;
  /// Something waits, and a capture runs.
  bool has_left() const { return backlog_.packets() != 0 && !takers_.empty(); }
  /// Something waits, and no capture has run yet: the first one takes it, and comes by itself.
  bool awaits_first_capture() const {
    return backlog_.packets() != 0 && takers_.empty() && !had_taker_ && config_.dialled;
  }
  /// Packets in the backlog.
  std::size_t waiting() const { return backlog_.packets(); }
  /// The peers are known from now on, so earlier packets can be judged.
  void know_peers() { peers_known_ = true; }
  /// Nobody waits for that any more.
  void hold_no_longer() { held_until_ = now_; }
  /// Do peers leave packets to this tap, whether it forwards now or not? False at first.
  void set_relied_on(bool relied_on) { relied_on_ = relied_on; }
  /// Counts everything in the backlog as lost: no session will take it.
  void abandon();
  /// Returns memory that has not been needed for a while.
  void trim();
  /// Sends what is packed for every capture.
  void flush();
  /// Sockets that must take more before flush() goes on.
  void collect_blocked(std::vector<int>& descriptors) const;
  /// Something waits that no socket tells of: flush() may go on in a moment.
  bool must_retry() const;

  /// For packets that come from now on.
  void set_stamp_offset(capture::StampOffset offset) { stamps_ = offset; }
  void set_link_type(capture::LinkType link) { config_.link = link; }
  void set_mtu(std::uint32_t mtu) { restorer_.set_mtu(mtu); }
  /// The same, but what waits in the backlog is not judged again. `captured_bytes`: as in
  /// PipelineConfig, from now on.
  void set_narrowing(const Narrowing& narrowing, std::uint32_t captured_bytes);
  const Narrowing& narrowing() const { return config_.narrowing; }
  const Ledger& ledger() const { return ledger_; }
  /// Keys of the captures of which each is to get every packet, as of the last set_receivers(). The
  /// packet path alone.
  const std::vector<std::string>& expected_keys() const { return config_.expected; }
  /// Packets that went by while the expected capture `index` did not run.
  std::uint64_t missed(std::size_t index) const { return expected_[index].missed.value(); }

 private:
  struct Target {
    std::shared_ptr<forwarding::Forwarder> forwarder;
    std::uint64_t key_hash = 0;
    std::string key;
  };
  struct Expected {
    telemetry::HotCounter missed;
    bool runs = false;
  };
  class Collected final : public capture::PacketHandler {
   public:
    explicit Collected(Pipeline& pipeline) : pipeline_(pipeline) {}
    void on_packet(const capture::CapturedPacket& packet) override {
      pipeline_.on_collected(packet);
    }

   private:
    Pipeline& pipeline_;
  };
  using Forwarders = std::span<forwarding::Forwarder* const>;
  void on_collected(const capture::CapturedPacket& packet);
  void count_read(const capture::CapturedPacket& packet);
  void take_owned(const capture::CapturedPacket& packet, const capture::PacketView& view,
                  ownership::Rule rule);
  /// `leg`: as for keep_or_take().
  void hand_on(const capture::CapturedPacket& packet, const capture::PacketView& view, bool leg);
  void replay_oldest();
  bool takes_more() const;
  bool is_alone() const;
  bool asks_for_flows() const {
    return config_.narrowing.rate_limit.any() || config_.balance || config_.spread;
  }
  /// flow_hash(), where anybody asks for it; else 0.
  std::uint64_t flow_of(const capture::PacketView& view) const;
  /// Counts what it leaves out.
  bool is_left_out(const capture::CapturedPacket& packet, const capture::PacketView& view,
                   std::uint64_t flow);
  bool within_rate(const capture::CapturedPacket& packet, const capture::PacketView& view,
                   std::uint64_t flow);
  /// `leg`: no peer's tap forwards it.
  void keep_or_take(const capture::CapturedPacket& packet, const capture::PacketView& view,
                    std::uint64_t flow, bool leg);
  void take(const capture::CapturedPacket& packet, const capture::PacketView& view,
            std::uint64_t flow, bool copies);
  void copy(const capture::CapturedPacket& packet, const capture::PacketView& view,
            std::uint64_t flow);
  bool may_want(forwarding::Forwarder& forwarder, const capture::CapturedPacket& packet,
                const capture::PacketView& view) const;
  void choose_takers(const capture::CapturedPacket& packet, const capture::PacketView& view,
                     std::uint64_t flow);
  void choose_copies(const capture::CapturedPacket& packet, const capture::PacketView& view);
  /// `taken`: there is a taker among those that want it.
  void forward(const capture::CapturedPacket& packet, const capture::PacketView& view,
               std::uint64_t flow, Forwarders wanting, bool taken);
  void forward_segments(const capture::CapturedPacket& packet, std::uint32_t count,
                        std::uint64_t flow, Forwarders wanting);
  void count_missed() {
    if (!all_run_) count_each_missed();
  }
  void count_each_missed();
  void note_who_runs();
  template <class Visit>
  void for_each_output(Visit visit) const;

  PipelineConfig config_;
  ownership::Engine& engine_;
  capture::StampOffset stamps_{std::chrono::nanoseconds(0)};  // what comes is newer than any event
  std::vector<Target> takers_;
  std::vector<Target> copies_;
  std::vector<Expected> expected_;               // as in the configuration
  bool all_run_ = false;                         // the expected ones
  forwarding::Forwarder* only_ = nullptr;        // where there is one taker and nobody else
  std::vector<forwarding::Forwarder*> wanting_;  // of the packet at hand, takers first
  std::vector<forwarding::Forwarder*> taking_;   // of what it was on the wire, one by one
  std::vector<std::byte> segment_;               // the one at hand, in one piece for filters
  fidelity::Restorer restorer_;
  forwarding::RateLimiter limiter_;
  forwarding::Backlog backlog_;
  forwarding::Pacer pacer_;
  Clock::time_point now_;         // of the read at hand
  bool straight_ = false;         // what comes need not wait, if nothing does
  bool had_taker_ = false;        // a taker runs, or has run
  bool peers_known_ = false;      // see know_peers()
  bool relied_on_ = false;        // see set_relied_on()
  Clock::time_point held_until_;  // nothing is replayed before, unless the peers are known
  Clock::time_point last_kept_;
  Collected collected_{*this};
  const capture::PacketView unread_{};  // of a packet of which nobody asks what it is
  Ledger ledger_;
};

}  // namespace sidetap
