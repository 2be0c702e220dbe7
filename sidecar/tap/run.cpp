#include "sidecar/tap/run.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>

#include "shared/async/answer.h"
#include "shared/async/task_group.h"
#include "shared/http/status_server.h"
#include "shared/net/interfaces.h"
#include "shared/resident_memory.h"
#include "shared/telemetry/log.h"
#include "shared/telemetry/metrics.h"
#include "sidecar/capture/device.h"
#include "sidecar/direct/direct_outputs.h"
#include "sidecar/path/capture_loop.h"
#include "sidecar/system/address_watch.h"
#include "sidecar/system/kernel_sockets.h"
#include "sidecar/system/scheduling.h"
#include "sidecar/tap/exclusion.h"
#include "sidecar/tap/interface_choice.h"
#include "sidecar/tap/longest_packet_watch.h"
#include "sidecar/tap/peer_feed.h"
#include "sidecar/tap/sandbox.h"
#include "sidecar/tap/shared_exclusion.h"
#include "sidecar/tap/tap_metrics.h"

namespace sidetap {
namespace {

namespace asio = boost::asio;

std::string pod_description(const RunOptions& options) {
  if (options.pod_namespace.empty()) return options.pod_name;
  return options.pod_namespace + "/" + options.pod_name;
}

std::string list_text(const std::vector<net::IpAddress>& addresses) {
  std::string list;
  for (const net::IpAddress address : addresses)
    list += (list.empty() ? "" : ",") + address.to_string();
  return list;
}

class Tap {
 public:
  explicit Tap(RunOptions options) : options_(std::move(options)) {}

  int run() {
    ask_for_short_slices();
    if (auto started = start(); !started) {
      telemetry::error("cannot start", {{"reason", started.error().text}});
      stop_loops();
      return 1;
    }
    release_startup_memory();
    context_.run();
    metrics_view_->log_summary();
    return exit_code_;
  }

 private:
  struct Path {
    Result<void> start() { return direct ? direct->start() : sessions->start(); }
    asio::awaitable<void> stop() { return direct ? direct->stop() : sessions->stop(); }
    bool ready() const { return loop->is_working() && (!direct || direct->healthy()); }
    /// What it captures now reaches the sensors.
    bool forwarding() const {
      return loop->is_working() && (direct ? direct->forwarding() : sessions->forwarding());
    }

    std::unique_ptr<CaptureLoop> loop;
    std::unique_ptr<SharedExclusion> control;
    std::unique_ptr<session::Sessions> sessions;
    std::unique_ptr<DirectOutputs> direct;  // instead of sessions
  };

  Result<void> start() {
    // Before the addresses are read, so that no change falls between.
    if (auto watched = address_watch_.start(); !watched)
      telemetry::warn("changes of the pod's addresses and gateways are looked for once a second",
                      {{"reason", watched.error().text}});
    auto interfaces = net::list_interfaces();
    if (!interfaces) return interfaces.error();
    interfaces_ = *interfaces;
    gateways_ = net::default_gateways();
    if (const std::string doubt = tapped_peers_doubt(options_.ownership);
        !doubt.empty() && !options_.registry.address)
      telemetry::warn("no peer counts as tapped", {{"reason", doubt}});
    const auto names = choose_interfaces(options_, *interfaces);
    exclusion_ = std::make_unique<Exclusion>(context_.get_executor(),
                                             most_connections(options_, names.size()));
    for (const std::string& name : names) add_interface(name);
    exclusion_->watch();

    metrics_view_ = std::make_unique<TapMetrics>(metrics_, loops());
    for (const auto& path : paths_) path->loop->run();
    sandbox_.drop_rights();
    longest_packet_watch_.start(loops());

    if (options_.status_listen) {
      // Another container of the pod may have the port: better a tap without metrics than none.
      if (auto started = start_status(); !started)
        telemetry::warn("health and metrics are not served", {{"reason", started.error().text}});
    }
    if (options_.registry.address) {
      peer_feed_ = std::make_unique<PeerFeed>(context_.get_executor(), options_.registry,
                                              options_.ownership, loops(), *exclusion_, metrics_);
      tell_registry();
      if (auto started = peer_feed_->start(); !started) return started;
    }
    for (const auto& path : paths_) {
      if (auto started = path->start(); !started) return started;
    }
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
      if (error) return;
      telemetry::info("stopping", {{"signal", strsignal(signal)}});
      stop();
    });
    started_ = true;
    enter_sandbox();
    return {};
  }

  std::vector<CaptureLoop*> loops() const {
    std::vector<CaptureLoop*> loops;
    for (const auto& path : paths_) loops.push_back(path->loop.get());
    return loops;
  }

  /// Once nothing is to be opened any more but the interfaces.
  void enter_sandbox() {
    if (started_) sandbox_.enter(loops());
  }

  void add_interface(const std::string& name) {
    const net::Interface* const found = find_interface(interfaces_, name);
    const net::Interface facts = found != nullptr ? *found : net::Interface{};

    CaptureLoopConfig config;
    config.interface = name;
    config.description = pod_description(options_);
    config.pipeline.fidelity = options_.fidelity;
    config.pipeline.fidelity.mtu = facts.mtu;
    config.pipeline.rate_limit = options_.rate_limit;
    config.pipeline.outage_buffer = options_.outage_buffer;
    config.pipeline.balance = options_.sessions.mode == session::SensorMode::kBalance;
    config.pipeline.spread = options_.output.kind == OutputKind::kVxlan;
    if (options_.output.kind != OutputKind::kPcap) {
      for (const session::Sensor& sensor : options_.sessions.sensors)
        config.sensors.push_back(sensor.address.to_string());
    }
    if (options_.sessions.mode == session::SensorMode::kReplicate)
      config.pipeline.expected = config.sensors;
    config.engine = make_engine_config(options_.ownership,
                                       make_self(options_.ownership, interfaces_, name), gateways_);
    config.engine.ephemeral = ephemeral_;
    config.engine.peers_change = options_.registry.address.has_value();
    config.engine.hash_seed = std::random_device{}() * 0x100000001ULL ^ std::random_device{}();
    config.unowned_peers = unowned_peers(options_.ownership, config.engine.tapped_peers);
    config.snaplen = options_.sessions.snaplen;
    config.method = options_.capture_method;
    config.buffer_bytes = options_.buffer_size;
    config.most_buffer_bytes = options_.buffer_max;
    config.flush_interval = std::chrono::milliseconds(options_.flush_interval_ms);
    config.reply = [this](CommandQueue::Task task) { asio::post(context_, std::move(task)); };
    config.give_up_rights = [this] { sandbox_.drop_rights(); };
    config.on_change = [this] {
      asio::post(context_, [this] {
        renew_addresses();
        enter_sandbox();
      });
    };
    config.on_lost = [this](std::string reason) {
      asio::post(context_, [this, reason = std::move(reason)] {
        // What it takes to open it again only a new container has.
        telemetry::error("the interface is lost", {{"reason", reason}});
        exit_code_ = 1;
        stop();
      });
    };
    auto path = std::make_unique<Path>();
    path->loop = std::make_unique<CaptureLoop>(std::move(config), capture::make_system_device(),
                                               std::make_unique<KernelListeningSockets>());
    exclusion_->add(*path->loop);
    if (options_.output.kind != OutputKind::kRpcap) {
      add_direct_output(*path, name);
      paths_.push_back(std::move(path));
      return;
    }
    session::SessionsConfig sessions = options_.sessions;
    sessions.description = pod_description(options_);
    sessions.is_own_address = [this](const auto& address) { return is_own_address(address); };
    if (sessions.passive && !paths_.empty()) {
      telemetry::warn(
          "clients are not offered this interface: they get the first that has an address of the "
          "pod",
          {{"interface", name}});
      sessions.passive.reset();
    }
    sessions.buffer_size = static_cast<std::uint32_t>(options_.buffer_size);
    path->control = std::make_unique<SharedExclusion>(
        *path->loop, name, [this](const auto& owner, const auto& endpoints) {
          return exclusion_->exclude(owner, endpoints);
        });
    path->sessions = std::make_unique<session::Sessions>(
        context_.get_executor(), std::move(sessions), *path->control, &metrics_);
    path->sessions->on_forwarding_changed([this](bool) { tell_registry(); });
    paths_.push_back(std::move(path));
  }

  void add_direct_output(Path& path, const std::string& name) {
    DirectConfig config;
    config.output = options_.output;
    for (const session::Sensor& sensor : options_.sessions.sensors)
      config.receivers.push_back(sensor.address);
    config.every_receiver = options_.sessions.mode == session::SensorMode::kReplicate;
    config.mtu = options_.sessions.data_mtu;
    config.is_own_address = [this](const auto& address) { return is_own_address(address); };
    std::string pod = pod_description(options_);
    std::replace(pod.begin(), pod.end(), '/', '_');
    config.file_prefix = pod.empty() ? name : pod + "_" + name;
    path.direct = std::make_unique<DirectOutputs>(
        context_.get_executor(), std::move(config), *path.loop,
        [this, name](const std::string& owner, const std::vector<capture::OwnEndpoint>& endpoints) {
          return exclusion_->exclude(name + " " + owner, endpoints);
        },
        &metrics_);
    path.direct->on_forwarding_changed([this] { tell_registry(); });
  }

  bool is_own_address(const net::IpAddress& address) const {
    if (address.is_loopback())
      return false;  // a sensor beside the application is one to forward to
    const ownership::Self self = make_self(options_.ownership, interfaces_, {});
    return std::find(self.addresses.begin(), self.addresses.end(), address) != self.addresses.end();
  }

  /// What the pod's addresses and gateways are now; with the former the kernel's filter is built
  /// anew.
  void renew_addresses() {
    renew_gateways();
    auto interfaces = net::list_interfaces();
    if (!interfaces) {
      telemetry::warn("the old addresses stay", {{"reason", interfaces.error().text}});
      tell_registry();
      return;
    }
    for (const auto& path : paths_) {
      const std::string& name = path->loop->name();
      const net::Interface* const now = find_interface(*interfaces, name);
      if (now == nullptr) continue;
      path->loop->set_mtu(now->mtu);
      const net::Interface* const before = find_interface(interfaces_, name);
      ownership::Self self = make_self(options_.ownership, *interfaces, name);
      const bool same = self == make_self(options_.ownership, interfaces_, name);
      if (same && before != nullptr && *now == *before) continue;
      if (!same)
        telemetry::info("the pod's addresses have changed",
                        {{"interface", name}, {"addresses", list_text(self.addresses)}});
      path->loop->set_self(std::move(self));
    }
    interfaces_ = std::move(*interfaces);
    tell_registry();
  }

  void renew_gateways() {
    auto gateways = net::default_gateways();
    if (gateways == gateways_) return;
    gateways_ = std::move(gateways);
    for (const auto& path : paths_) path->loop->set_gateways(gateways_);
    telemetry::info("the pod's gateways have changed", {{"gateways", list_text(gateways_)}});
  }

  Result<void> start_status() {
    http::StatusHandlers handlers;
    handlers.ready = [this] {
      return std::all_of(paths_.begin(), paths_.end(),
                         [](const auto& path) { return path->ready(); });
    };
    handlers.refresh = [this] { return refresh_metrics(); };
    handlers.metrics = [this] { return metrics_.text(); };
    status_ = std::make_unique<http::StatusServer>(context_.get_executor(), *options_.status_listen,
                                                   std::move(handlers), &metrics_);
    auto port = status_->start();
    if (!port) return port.error();
    // Probes of the tap itself are no traffic of the pod. They never come by the loopback
    // interface, and where the port is open there alone, it is the pod's on every other.
    const auto address = net::IpAddress::parse(options_.status_listen->host);
    if (!address || !address->is_loopback())
      exclusion_->exclude("status", {{.protocol = capture::IpProtocol::kTcp,
                                      .local = address ? *address : net::IpAddress{},
                                      .local_port = *port,
                                      .remote = {}}});
    telemetry::info("serving health and metrics", {{"port", *port}});
    return {};
  }

  asio::awaitable<void> refresh_metrics() {
    const async::Arrival refreshed(context_.get_executor());
    metrics_view_->refresh(refreshed.callback());
    co_await refreshed.wait();
  }

  void stop() {
    if (std::exchange(stopping_, true)) return;
    tasks_.spawn("end", end(), [this](const Result<void>& outcome) {
      if (outcome) return;
      // Without its good order, but it has to end.
      exit_code_ = 1;
      stop_loops();
      context_.stop();
    });
  }

  void tell_registry() {
    if (!peer_feed_ || stopping_) return;
    std::vector<CapturedInterface> captured;
    for (const auto& path : paths_) captured.push_back({path->loop->name(), path->forwarding()});
    peer_feed_->set_own(own_addresses(interfaces_, captured, options_.ownership.pod_ips));
  }

  asio::awaitable<void> end() {
    // First the peers take over, then this tap stops.
    if (peer_feed_) co_await peer_feed_->leave();
    std::vector<async::Arrival> handed_over;
    for (const auto& path : paths_)
      path->loop->hand_over(handed_over.emplace_back(context_.get_executor()).callback());
    for (const async::Arrival& each : handed_over) co_await each.wait();
    for (const auto& path : paths_) co_await path->stop();
    if (peer_feed_) co_await peer_feed_->stop();
    exclusion_->stop();
    stop_loops();
    address_watch_.stop();
    longest_packet_watch_.stop();
    status_.reset();
    signals_.cancel();
    context_.stop();
  }

  void stop_loops() {
    for (const auto& path : paths_) path->loop->finish();
  }

  RunOptions options_;
  ownership::PortRange ephemeral_ = [] {
    auto range = read_port_range();
    return range ? *range : ownership::PortRange{};
  }();
  telemetry::MetricsRegistry metrics_;
  asio::io_context context_{1};
  async::TaskGroup tasks_{context_.get_executor(), &metrics_};
  asio::signal_set signals_{context_, SIGTERM, SIGINT};
  AddressWatch address_watch_{context_.get_executor(), [this] {
                                for (const auto& path : paths_) path->loop->look_again();
                                renew_addresses();
                              }};
  LongestPacketWatch longest_packet_watch_{context_.get_executor()};
  std::vector<net::Interface> interfaces_;  ///< As they were when last looked at.
  std::vector<net::IpAddress> gateways_;    ///< Likewise.
  std::vector<std::unique_ptr<Path>> paths_;
  std::unique_ptr<Exclusion> exclusion_;
  std::unique_ptr<TapMetrics> metrics_view_;
  std::unique_ptr<http::StatusServer> status_;
  std::unique_ptr<PeerFeed> peer_feed_;
  Sandbox sandbox_{options_.sandbox, options_.output.kind == OutputKind::kPcap};
  int exit_code_ = 0;
  bool started_ = false;
  bool stopping_ = false;
};

}  // namespace

int run_tap(RunOptions options) {
  // A sensor that goes away must not end the process: OpenSSL writes without MSG_NOSIGNAL.
  std::signal(SIGPIPE, SIG_IGN);
  telemetry::info("starting", {{"version", SIDETAP_VERSION},
                               {"pod", pod_description(options)},
                               {"node", options.node_name}});
  return Tap(std::move(options)).run();
}

}  // namespace sidetap
