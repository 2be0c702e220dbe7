// The packet path of one interface: a plain thread that reads, decides and sends, and the
// CaptureControl with which sessions steer it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sidecar/path/narrowing.h"
#include "sidecar/path/packet_loop.h"
#include "sidecar/path/receivers.h"
#include "sidecar/session/capture_control.h"

namespace sidetap {

/// Call members on the control thread. As in session::CaptureControl, none of them waits for the
/// capture thread, except finish(). While the thread does not run, everything happens at once.
class CaptureLoop final : public session::CaptureControl {
 public:
  /// Opens the interface. If that fails, logs it and retries once the thread runs: a pod must never
  /// wait for its tap. The capture thread uses `listening`.
  CaptureLoop(CaptureLoopConfig config, std::unique_ptr<capture::Device> device,
              std::unique_ptr<ownership::ListeningSockets> listening);
  ~CaptureLoop() override;

  /// Starts the thread.
  void run();
  /// Calls `done` when the thread has performed all earlier requests.
  void settle(Done done);
  /// Calls `command` on the capture thread between two reads, for what steers its device. `done`
  /// may be null.
  void perform(CommandQueue::Task command, Done done);
  /// For the tap's end. Sends what waits in the backlog to the captures that run, or to the first
  /// that starts, within CaptureLoopConfig::hand_over. Calls `awaits` if that first one is waited
  /// for; it may be null.
  void hand_over(Done done, Done awaits = {});
  /// Hands over without waiting any longer, now or when it comes to that.
  void hurry();
  /// Performs all earlier requests, reads what the kernel holds, sends pending packets, and ends
  /// the thread. Returns when the thread has ended: within a tenth of a second if there were no
  /// earlier requests.
  void finish();

  /// Applies only to this interface. Other taps are not informed, so it always returns 0.
  std::chrono::milliseconds exclude_own_traffic(
      const std::string& owner, std::vector<capture::OwnEndpoint> endpoints) override;
  /// Fails while the interface is not open, because peers rely on a running capture.
  Result<std::uint64_t> start(session::CaptureOrder order, Done begun) override;
  /// The same for an output that no sensor requested: it gets all packets, up to the tap's snaplen.
  /// `key` names it in balance mode.
  std::uint64_t start_output(std::unique_ptr<forwarding::Output> output, const std::string& key,
                             std::uint64_t stage, Done begun);
  /// Passes from one set of captures to another, between two packets. Every capture but those of
  /// clients belongs to a stage. Only those of the present stage get packets, at first 0: one of
  /// another stage is ready, gets nothing, and is no capture for the backlog. This makes `stage`
  /// the present one. What is packed for captures of the former stage is still sent. What waits in
  /// the backlog goes to the new ones. `receivers` replaces what the configuration says; former
  /// sensors keep their counts. `done` may be null.
  void advance(std::uint64_t stage, Receivers receivers, Done done);
  void update_filter(std::uint64_t capture, std::vector<rpcap::BpfInstruction> filter,
                     std::function<void(Result<void>)> done) override;
  void stop(std::uint64_t capture, Done done) override;
  void stats(std::uint64_t capture, std::function<void(rpcap::Stats)> told) override;
  rpcap::Interface interface() override;
  std::int32_t link_type() override;

  /// Call it when the pod's addresses have changed, or when the interface was opened late with
  /// another link layer.
  void set_self(ownership::Self self);
  /// Applies to packets that pass from now on. `narrowing.filter` must compile for Ethernet; on
  /// another link layer for which it does not compile, nothing is left out, and that is logged.
  void set_narrowing(Narrowing narrowing);
  /// Sets the interface's MTU in bytes. Longer captured packets were split on the wire.
  void set_mtu(std::uint32_t mtu);
  /// Announces packets of up to `longest` bytes.
  void expect(std::size_t longest);
  /// Call it when something about the interfaces has changed.
  void look_again();
  void set_gateways(std::vector<net::IpAddress> gateways);
  /// Applies to packets that pass from now on. The previous peers apply to packets that have passed
  /// but are not read yet. `unowned` is as in the configuration.
  void set_tapped_peers(std::shared_ptr<const ownership::TappedPeers> peers,
                        std::vector<net::Cidr> unowned);

  /// Those are the peers from the tap's start on: what came before can be judged by them.
  void know_peers();
  /// Do peers leave packets to this tap, whether it forwards now or not? False at first.
  void set_relied_on(bool relied_on);

  /// The interface is open. Any thread.
  bool is_open() const;
  /// Whether the interface is open, up and has a carrier, so that its packets are captured. Any
  /// thread.
  bool is_working() const;
  /// As of PacketLoop. Any thread.
  std::uint64_t turns() const;
  const std::string& name() const;
  /// Those of the present stage: as in the configuration, or as advance() was told last.
  const std::vector<std::string>& sensors() const;
  const Ledger& ledger() const;
  void counts(std::function<void(LoopCounts)> told);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sidetap
