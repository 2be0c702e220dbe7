// The packet path of one interface: one plain thread that reads, decides and sends, and the
// CaptureControl by which sessions steer it.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sidecar/capture/device.h"
#include "sidecar/capture/packet_source.h"
#include "sidecar/ownership/engine.h"
#include "sidecar/packet/kernel_filter.h"
#include "sidecar/path/capture_counts.h"
#include "sidecar/path/pipeline.h"
#include "sidecar/session/capture_control.h"

namespace sidetap {

struct CaptureLoopConfig {
  std::string interface;
  std::string description;           ///< "NAMESPACE/POD", for the sensor.
  std::vector<std::string> sensors;  ///< Keys of captures that are counted one by one.
  PipelineConfig pipeline;
  ownership::EngineConfig engine;
  /// Peers whose packets are never owned (VIP views that are dropped): left to the kernel's filter.
  std::vector<net::Cidr> unowned_peers;
  std::uint32_t snaplen = 262'144;  ///< Bytes that are forwarded of each packet at most.
  capture::CaptureMethod method = capture::CaptureMethod::kAuto;
  std::size_t buffer_bytes = 2U << 20;
  std::size_t most_buffer_bytes = 0;             ///< As of capture::DeviceConfig.
  std::chrono::milliseconds flush_interval{10};  ///< A partial batch leaves after this.
  /// What is read later than that after it passed is decided by what holds then.
  std::chrono::milliseconds longest_backlog{2'000};
  /// Called on the capture thread once it runs and the interface is open: what the thread may do
  /// beyond that, it needs no more.
  std::function<void()> give_up_rights;
  /// Called on the capture thread when is_open() or is_working() have changed, and when an
  /// interface that is there could not be opened for a minute.
  std::function<void()> on_change;
  std::function<void(std::string)> on_lost;
};

/// All captures but copies, and what the kernel says.
struct LoopCounts : CaptureCounts {
  capture::SourceCounts source;
  std::vector<CaptureCounts> sensors;  ///< As in the configuration.
  CaptureCounts copies;                ///< Of clients that look on.
  std::uint64_t reopened = 0;          ///< Times that the interface had to be opened anew.
  std::size_t flows = 0;               ///< As of the engine, and those that it gave up.
  std::array<std::uint64_t, ownership::kFlowPhaseCount> flow_evictions{};
};

/// Members are for the control thread, one at a time.
class CaptureLoop final : public session::CaptureControl {
 public:
  /// Opens the interface; where that fails, says so in the log and goes on trying once it runs: a
  /// pod must never wait for its tap. `listening` is used by the capture thread.
  CaptureLoop(CaptureLoopConfig config, std::unique_ptr<capture::Device> device,
              std::unique_ptr<ownership::ListeningSockets> listening);
  ~CaptureLoop() override;

  /// Starts the thread.
  void run();
  /// Returns when the thread has done all that came before.
  void settle();
  /// Sends what is kept of an outage to the captures that run, for two seconds at most.
  void hand_over();
  /// Reads what the kernel holds, sends what is packed, ends the thread.
  void finish();

  /// Of this interface alone; nobody else is told, so the answer is always 0.
  std::chrono::milliseconds exclude_own_traffic(
      const std::string& owner, std::vector<capture::OwnEndpoint> endpoints) override;
  /// Refused while the interface is not open: whoever is told that a capture runs counts on it.
  Result<std::uint64_t> start(session::CaptureOrder order) override;
  /// The same for an output that no sensor asked for: everything, up to the tap's snaplen. `key`
  /// names it in balance mode.
  std::uint64_t start_output(std::unique_ptr<forwarding::Output> output, const std::string& key);
  Result<void> update_filter(std::uint64_t capture,
                             std::vector<rpcap::BpfInstruction> filter) override;
  void stop(std::uint64_t capture) override;
  rpcap::Stats stats(std::uint64_t capture) override;
  rpcap::Interface interface() override;
  std::int32_t link_type() override;

  /// The pod's addresses have changed, or the interface was opened late and its link layer is
  /// another.
  void set_self(ownership::Self self);
  /// Its MTU, bytes: what is captured longer than that was split on the wire.
  void set_mtu(std::uint32_t mtu);
  /// Its packets may be of so many bytes from now on.
  void expect(std::size_t longest);
  /// Something is different about the interfaces. Does not wait until it has looked.
  void look_again();
  void set_gateways(std::vector<net::IpAddress> gateways);
  /// Decides what passes from now on; what has passed and is not read yet still belongs to the
  /// peers before. `unowned`: as in the configuration.
  void set_tapped_peers(std::shared_ptr<const ownership::TappedPeers> peers,
                        std::vector<net::Cidr> unowned);

  /// The interface is open. Any thread.
  bool is_open() const;
  /// It is open, is up and has a carrier: what passes it is captured. Any thread.
  bool is_working() const;
  const std::string& name() const;
  /// As in the configuration.
  const std::vector<std::string>& sensors() const;
  const Ledger& ledger() const;
  LoopCounts counts();
  std::size_t captures() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sidetap
