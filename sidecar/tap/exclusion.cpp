#include "sidecar/tap/exclusion.h"

#include <algorithm>
#include <utility>

#include "shared/telemetry/log.h"
#include "sidecar/delivery/vxlan_delivery.h"
#include "sidecar/registry/trust.h"

namespace sidetap {
namespace {

constexpr std::chrono::milliseconds kLook{500};
// Within this time, another tap has checked the marks and updated its kernel filter.
constexpr std::chrono::milliseconds kUntilSeen{700};

/// Only the ports are known, so exclude both protocols.
std::vector<capture::OwnEndpoint> endpoints_of(const std::vector<std::uint16_t>& ports) {
  std::vector<capture::OwnEndpoint> endpoints;
  for (const std::uint16_t port : ports) {
    for (const auto protocol : {capture::IpProtocol::kTcp, capture::IpProtocol::kUdp})
      endpoints.push_back(
          {.protocol = protocol, .local = {}, .local_port = port, .remote = {}, .remote_port = 0});
  }
  return endpoints;
}

}  // namespace

std::size_t most_connections(const RunOptions& options, std::size_t interfaces) {
  // For four replicas: the current connection, and one that may be left over for each CA tried.
  constexpr std::size_t kOfStatusAndRegistry = 1 + 4 * (1 + registry::Trust::kMostCandidates);
  constexpr std::size_t kOfSession = 4;
  // Of a delivery that the registry asks for, if it is larger than the present one: four sensors,
  // or one receiver of VXLAN; in hash mode, of collectors that were tried lately. Each mark costs
  // the loopback interface a little.
  constexpr std::size_t kOfNext = 4 * kOfSession;
  constexpr std::size_t kMost = 512;
  const session::SessionsConfig& sessions = options.sessions;
  std::size_t of_delivery = 0;
  if (options.output.kind == OutputKind::kVxlan)
    of_delivery = options.output.vxlan.receivers.size() * 2 * kVxlanLanes;
  if (options.output.kind == OutputKind::kPcapOverIp)
    of_delivery = 1 + options.output.streams.receivers.size() * 2;
  if (options.output.kind == OutputKind::kRpcap) of_delivery = sessions.sensors.size() * kOfSession;
  std::size_t count = kOfStatusAndRegistry + interfaces * of_delivery;
  if (options.registry.address || sessions.mode == session::SensorMode::kHash)
    count += interfaces * std::max(of_delivery, kOfNext);
  if (sessions.passive) count += 1 + kOfSession * sessions.passive->most_sessions;
  return std::min(count, kMost);
}

void Exclusion::watch() {
  look();
  look_again();
}

void Exclusion::stop() { timer_.cancel(); }

void Exclusion::look_again() {
  timer_.expires_after(kLook);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    look();
    look_again();
  });
}

void Exclusion::look() {
  auto others = marks_.others();
  if (!others) {
    if (!std::exchange(warned_, true))
      telemetry::warn("cannot detect other taps of this pod", {{"reason", others.error().text}});
    return;
  }
  if (*others == others_) return;
  if (others->present != others_.present)
    telemetry::info(others->present ? "another tap runs in this pod; its traffic is not captured"
                                    : "no other tap runs in this pod anymore");
  others_ = std::move(*others);
  for (CaptureLoop* loop : loops_)
    loop->exclude_own_traffic("other taps", endpoints_of(others_.ports));
}

std::chrono::milliseconds Exclusion::exclude(const std::string& owner,
                                             const std::vector<capture::OwnEndpoint>& endpoints) {
  std::vector<std::uint16_t> ports;
  for (const capture::OwnEndpoint& each : endpoints) {
    if (each.local_port != 0) ports.push_back(each.local_port);
  }
  const bool told = marks_.set(owner, std::move(ports));
  if (!told && marks_.size() > 0 && !std::exchange(warned_, true))
    telemetry::warn("too many connections to mark all of them for other taps of this pod",
                    {{"told", marks_.size()}});
  for (CaptureLoop* loop : loops_) loop->exclude_own_traffic(owner, endpoints);
  if (endpoints.empty()) return {};
  look();
  return others_.present ? kUntilSeen : std::chrono::milliseconds{};
}

}  // namespace sidetap
