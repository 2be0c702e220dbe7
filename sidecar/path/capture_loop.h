// The packet path of one interface: one plain thread that reads, decides and sends, and the
// CaptureControl by which sessions steer it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sidecar/path/packet_loop.h"
#include "sidecar/session/capture_control.h"

namespace sidetap {

/// Members are for the control thread, and none but finish() waits for the capture thread: as
/// session::CaptureControl says. While the thread does not run, everything happens at once.
class CaptureLoop final : public session::CaptureControl {
 public:
  /// Opens the interface; where that fails, says so in the log and goes on trying once it runs: a
  /// pod must never wait for its tap. `listening` is used by the capture thread.
  CaptureLoop(CaptureLoopConfig config, std::unique_ptr<capture::Device> device,
              std::unique_ptr<ownership::ListeningSockets> listening);
  ~CaptureLoop() override;

  /// Starts the thread.
  void run();
  /// `done` is called when the thread has done all that came before.
  void settle(Done done);
  /// Sends what waits in the backlog to the captures that run, for two seconds at most.
  void hand_over(Done done);
  /// Does all that came before, reads what the kernel holds, sends what is packed, and ends the
  /// thread. Returns when it has ended: within a tenth of a second where nothing came before.
  void finish();

  /// Of this interface alone; nobody else is told, so the answer is always 0.
  std::chrono::milliseconds exclude_own_traffic(
      const std::string& owner, std::vector<capture::OwnEndpoint> endpoints) override;
  /// Refused while the interface is not open: whoever is told that a capture runs counts on it.
  Result<std::uint64_t> start(session::CaptureOrder order, Done begun) override;
  /// The same for an output that no sensor asked for: everything, up to the tap's snaplen. `key`
  /// names it in balance mode.
  std::uint64_t start_output(std::unique_ptr<forwarding::Output> output, const std::string& key,
                             Done begun);
  void update_filter(std::uint64_t capture, std::vector<rpcap::BpfInstruction> filter,
                     std::function<void(Result<void>)> done) override;
  void stop(std::uint64_t capture, Done done) override;
  void stats(std::uint64_t capture, std::function<void(rpcap::Stats)> told) override;
  rpcap::Interface interface() override;
  std::int32_t link_type() override;

  /// The pod's addresses have changed, or the interface was opened late and its link layer is
  /// another.
  void set_self(ownership::Self self);
  /// Its MTU, bytes: what is captured longer than that was split on the wire.
  void set_mtu(std::uint32_t mtu);
  /// Its packets may be of so many bytes from now on.
  void expect(std::size_t longest);
  /// Something is different about the interfaces.
  void look_again();
  void set_gateways(std::vector<net::IpAddress> gateways);
  /// Decides what passes from now on; what has passed and is not read yet still belongs to the
  /// peers before. `unowned`: as in the configuration.
  void set_tapped_peers(std::shared_ptr<const ownership::TappedPeers> peers,
                        std::vector<net::Cidr> unowned);

  /// Those are the peers from the tap's start on: what came before can be judged by them.
  void know_peers();
  /// Do peers leave packets to this tap, whether it forwards now or not? False at first.
  void set_relied_on(bool relied_on);

  /// The interface is open. Any thread.
  bool is_open() const;
  /// It is open, is up and has a carrier: what passes it is captured. Any thread.
  bool is_working() const;
  const std::string& name() const;
  /// As in the configuration.
  const std::vector<std::string>& sensors() const;
  const Ledger& ledger() const;
  void counts(std::function<void(LoopCounts)> told);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sidetap
