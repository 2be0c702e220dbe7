// Where the packets of one interface go without an RPCAP session: into VXLAN, or into files.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "shared/net/host_port.h"
#include "shared/result.h"
#include "sidecar/forwarding/file_output.h"
#include "sidecar/forwarding/vxlan_output.h"
#include "sidecar/path/capture_loop.h"

namespace sidetap::telemetry {
class MetricsRegistry;
}

namespace sidetap {

enum class OutputKind : std::uint8_t { kRpcap, kVxlan, kPcap };

struct OutputOptions {
  OutputKind kind = OutputKind::kRpcap;
  std::uint32_t vni = 0;
  forwarding::Oversize oversize = forwarding::Oversize::kTruncate;
  forwarding::Handover handover = forwarding::Handover::kSingly;  ///< To receivers of VXLAN.
  std::string folder;                                             ///< Of the capture files.
  std::uint64_t file_bytes = 100U << 20;
  std::uint32_t files = 5;
};

struct DirectConfig {
  OutputOptions output;
  std::vector<net::HostPort> receivers;  ///< Of VXLAN.
  bool every_receiver = true;            ///< Each gets every packet, or each a share of the flows.
  std::uint32_t mtu = 0;                 ///< Bytes of an IP packet to a receiver; 0: the route's.
  std::string file_prefix;
  /// As session::SessionsConfig has it.
  std::function<bool(const net::IpAddress&)> is_own_address{};
};

/// Source ports of a VXLAN receiver: so many spread its load over as many of its queues.
inline constexpr std::size_t kVxlanLanes = 8;

/// Everything on the executor's one thread. The same shape as session::Sessions.
class DirectOutputs {
 public:
  /// Exclusion::exclude().
  using Exclude = std::function<std::chrono::milliseconds(
      const std::string& owner, const std::vector<capture::OwnEndpoint>& endpoints)>;

  /// `loop` and `metrics` outlive this object; `metrics` may be null.
  DirectOutputs(boost::asio::any_io_executor executor, DirectConfig config, CaptureLoop& loop,
                Exclude exclude, telemetry::MetricsRegistry* metrics);
  ~DirectOutputs();
  DirectOutputs(const DirectOutputs&) = delete;
  DirectOutputs& operator=(const DirectOutputs&) = delete;

  /// Error: the folder of the files cannot be written to.
  Result<void> start();
  boost::asio::awaitable<void> stop();
  /// As session::Sessions::forwarding().
  bool forwarding() const;
  /// Nothing is lost for want of room on a disk.
  bool healthy() const;
  /// Called whenever either may have changed.
  void on_forwarding_changed(std::function<void()> callback);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap
