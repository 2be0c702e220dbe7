#include "sidecar/direct_outputs.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <list>
#include <optional>
#include <utility>

#include <unistd.h>

#include "shared/async/resolve.h"
#include "shared/async/task_group.h"
#include "shared/async/waiting.h"
#include "shared/telemetry/log.h"
#include "sidecar/session/sockets.h"

namespace sidetap {
namespace {

namespace asio = boost::asio;

// So many source ports spread a receiver's load over as many of its queues; each has a batch.
constexpr std::size_t kLanes = 8;
constexpr std::chrono::milliseconds kLookUpAgain{30'000};
constexpr std::chrono::milliseconds kTryAgain{2'000};
constexpr std::chrono::milliseconds kStopLimit{2'000};

capture::OwnEndpoint endpoint_of(const session::Endpoint& receiver) {
  return {.protocol = capture::IpProtocol::kUdp,
          .local = {},
          .local_port = 0,
          .remote = session::address_of(receiver),
          .remote_port = receiver.port()};
}

}  // namespace

/// Kept alive by its tasks.
struct DirectOutputs::Impl {
  struct Receiver {
    explicit Receiver(net::HostPort where) : name(where.to_string()), address(std::move(where)) {}
    const std::string name;
    const net::HostPort address;
    async::Interruption waiting;
    std::optional<session::Endpoint> endpoint;
    std::optional<std::uint64_t> capture;
    std::string reported;
  };

  Impl(asio::any_io_executor the_executor, DirectConfig the_config, CaptureLoop& the_loop,
       Exclude the_exclude, telemetry::MetricsRegistry* metrics)
      : executor(std::move(the_executor)),
        config(std::move(the_config)),
        loop(the_loop),
        exclude(std::move(the_exclude)),
        tasks(executor, metrics) {}

  Result<void> start_files() {
    if (::access(config.output.folder.c_str(), W_OK | X_OK) != 0)
      return Error{"--pcap-dir " + config.output.folder + ": " + std::strerror(errno)};
    files = loop.start_output(
        forwarding::make_file_output({.folder = config.output.folder,
                                      .prefix = config.file_prefix,
                                      .file_bytes = config.output.file_bytes,
                                      .files = config.output.files,
                                      .link_type = static_cast<std::uint32_t>(loop.link_type())},
                                     [](const std::string& reason) {
                                       telemetry::warn(
                                           "capture files cannot be written; packets are dropped",
                                           {{"reason", reason}});
                                     }),
        "pcap");
    telemetry::info("writing capture files",
                    {{"folder", config.output.folder}, {"prefix", config.file_prefix}});
    return {};
  }

  asio::awaitable<void> follow(Receiver& receiver) {
    while (!stopping) {
      const auto found = co_await async::resolve(executor, receiver.address, &receiver.waiting);
      if (stopping) break;
      if (found) {
        take(receiver, *found);
      } else {
        report(receiver, found.error().text);
      }
      receiver.waiting.clear();
      const auto time = receiver.reported.empty() ? kLookUpAgain : kTryAgain;
      co_await async::sleep(executor, time, &receiver.waiting);
    }
  }

  /// The first of the addresses, unless one that is in use is still among them.
  void take(Receiver& receiver, const std::vector<session::Endpoint>& found) {
    const bool same = receiver.endpoint &&
                      std::find(found.begin(), found.end(), *receiver.endpoint) != found.end();
    if (same || found.empty()) return;
    const session::Endpoint peer = session::unmapped(found.front());
    // Until the old output has stopped, its datagrams are to be left out as well.
    std::vector<capture::OwnEndpoint> own{endpoint_of(peer)};
    if (receiver.endpoint) own.push_back(endpoint_of(session::unmapped(*receiver.endpoint)));
    exclude("vxlan " + receiver.name, own);
    std::vector<net::UniqueFd> lanes;
    while (lanes.size() < kLanes) {
      auto socket = session::dial_udp(peer, [](const capture::OwnEndpoint&) {});
      if (!socket) return report(receiver, socket.error().text);
      lanes.push_back(std::move(*socket));
    }
    const std::size_t datagram =
        session::datagram_size(lanes.front().get(), peer.address().is_v4(), config.mtu);
    const std::uint64_t capture = loop.start_output(
        forwarding::make_vxlan_output(std::move(lanes),
                                      {.vni = config.output.vni,
                                       .datagram_size = datagram,
                                       .oversize = config.output.oversize,
                                       .link = static_cast<capture::LinkType>(loop.link_type())}),
        receiver.name);
    if (receiver.capture) {
      loop.stop(*receiver.capture);
      exclude("vxlan " + receiver.name, {endpoint_of(peer)});
    }
    receiver.endpoint = found.front();
    receiver.capture = capture;
    receiver.reported.clear();
    telemetry::info("forwarding by VXLAN", {{"sensor", receiver.name},
                                            {"address", peer.address().to_string()},
                                            {"vni", config.output.vni}});
    changed();
  }

  void report(Receiver& receiver, const std::string& reason) {
    if (receiver.reported != reason)
      telemetry::warn("cannot forward by VXLAN; trying again",
                      {{"sensor", receiver.name}, {"reason", reason}});
    receiver.reported = reason;
  }

  void changed() {
    if (on_changed) on_changed();
  }

  bool forwarding() const {
    const auto served = [](const Receiver& receiver) { return receiver.capture.has_value(); };
    if (files) return true;
    return config.every_receiver
               ? !receivers.empty() && std::all_of(receivers.begin(), receivers.end(), served)
               : std::any_of(receivers.begin(), receivers.end(), served);
  }

  asio::any_io_executor executor;
  const DirectConfig config;
  CaptureLoop& loop;
  const Exclude exclude;
  std::function<void()> on_changed;
  std::list<Receiver> receivers;
  std::optional<std::uint64_t> files;
  async::TaskGroup tasks;
  bool stopping = false;
};

DirectOutputs::DirectOutputs(asio::any_io_executor executor, DirectConfig config, CaptureLoop& loop,
                             Exclude exclude, telemetry::MetricsRegistry* metrics)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(config), loop, std::move(exclude),
                                   metrics)) {}
DirectOutputs::~DirectOutputs() = default;

Result<void> DirectOutputs::start() {
  if (impl_->config.output.kind == OutputKind::kPcap) {
    if (auto started = impl_->start_files(); !started) return started;
    impl_->changed();
    return {};
  }
  for (const net::HostPort& address : impl_->config.receivers) {
    Impl::Receiver& receiver = impl_->receivers.emplace_back(address);
    impl_->tasks.supervise(
        "vxlan-receiver", [impl = impl_.get(), &receiver] { return impl->follow(receiver); },
        [alive = impl_](const Result<void>&) {});
  }
  return {};
}

asio::awaitable<void> DirectOutputs::stop() {
  const auto impl = impl_;
  impl->stopping = true;
  for (Impl::Receiver& receiver : impl->receivers) receiver.waiting.request();
  co_await impl->tasks.wait(kStopLimit);
  for (Impl::Receiver& receiver : impl->receivers) {
    if (receiver.capture) impl->loop.stop(*std::exchange(receiver.capture, std::nullopt));
  }
  if (impl->files) impl->loop.stop(*std::exchange(impl->files, std::nullopt));
}

bool DirectOutputs::forwarding() const { return impl_->forwarding(); }

void DirectOutputs::on_forwarding_changed(std::function<void()> callback) {
  impl_->on_changed = std::move(callback);
}

}  // namespace sidetap
