#include "sidecar/tap/run.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>

#include "shared/async/answer.h"
#include "shared/async/task_group.h"
#include "shared/http/status_server.h"
#include "shared/resident_memory.h"
#include "shared/telemetry/log.h"
#include "shared/telemetry/metrics.h"
#include "sidecar/capture/device.h"
#include "sidecar/path/capture_loop.h"
#include "sidecar/system/kernel_sockets.h"
#include "sidecar/system/memory_limit.h"
#include "sidecar/system/scheduling.h"
#include "sidecar/tap/backlog_size.h"
#include "sidecar/tap/exclusion.h"
#include "sidecar/tap/interface_choice.h"
#include "sidecar/tap/interface_path.h"
#include "sidecar/tap/longest_packet_watch.h"
#include "sidecar/tap/peer_feed.h"
#include "sidecar/tap/pod_addresses.h"
#include "sidecar/tap/sandbox.h"
#include "sidecar/tap/tap_metrics.h"

namespace sidetap {
namespace {

namespace asio = boost::asio;

// A capture thread answers within a few hundred milliseconds. If one hangs, /metrics shows its last
// counts.
constexpr std::chrono::milliseconds kRefreshLimit{2'000};

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
    bool ready() const { return loop->is_working() && delivery->healthy(); }
    /// Whether packets captured now reach the sensors.
    bool forwarding() const { return loop->is_working() && delivery->forwarding(); }

    std::unique_ptr<CaptureLoop> loop;
    std::unique_ptr<Delivery> delivery;
  };

  Result<void> start() {
    if (auto started = addresses_.start(); !started) return started;
    if (const std::string doubt = tapped_peers_doubt(options_.ownership);
        !doubt.empty() && !options_.registry.address)
      telemetry::warn("no peer counts as tapped", {{"reason", doubt}});
    if (const std::string doubt = service_view_doubt(options_.ownership); !doubt.empty())
      telemetry::warn("no packet counts as a view of a Service", {{"reason", doubt}});
    const auto names = choose_interfaces(options_, addresses_.interfaces());
    exclusion_ = std::make_unique<Exclusion>(context_.get_executor(),
                                             most_connections(options_, names.size()));
    const BacklogSize backlog = backlog_size(options_.backlog, memory_limit(), names.size());
    if (backlog.reduced)
      telemetry::warn("the backlog is smaller than --backlog says, because of the memory limit",
                      {{"bytes_of_each_interface", backlog.each}});
    for (const std::string& name : names) add_interface(name, backlog.each);
    exclusion_->watch();

    metrics_view_ = std::make_unique<TapMetrics>(metrics_, loops());
    for (const auto& path : paths_) path->loop->run();
    sandbox_.drop_rights();
    longest_packet_watch_.start(loops());

    if (options_.status_listen) {
      // Another container of the pod may use the port. A tap without metrics is better than no tap.
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
      if (auto started = path->delivery->start(); !started) return started;
    }
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
      if (error) return;
      telemetry::info("stopping", {{"signal", strsignal(signal)}});
      stop();
    });
    sandbox_.enter_once_open(loops());
    return {};
  }

  std::vector<CaptureLoop*> loops() const {
    std::vector<CaptureLoop*> loops;
    for (const auto& path : paths_) loops.push_back(path->loop.get());
    return loops;
  }

  void add_interface(const std::string& name, std::size_t backlog) {
    CaptureLoopConfig config = capture_config(options_, addresses_, name, backlog);
    config.reply = [this](CommandQueue::Task task) { asio::post(context_, std::move(task)); };
    config.give_up_rights = [this] { sandbox_.drop_rights(); };
    config.on_change = [this] {
      asio::post(context_, [this] {
        addresses_.renew();
        sandbox_.reconsider();
      });
    };
    config.on_lost = [this](std::string reason) {
      asio::post(context_, [this, reason = std::move(reason)] {
        // Only a new container has the rights to open it again.
        telemetry::error("the interface is lost", {{"reason", reason}});
        exit_code_ = 1;
        stop();
      });
    };
    auto path = std::make_unique<Path>();
    path->loop = std::make_unique<CaptureLoop>(std::move(config), capture::make_system_device(),
                                               std::make_unique<KernelListeningSockets>());
    exclusion_->add(*path->loop);
    addresses_.add(*path->loop);
    path->delivery = make_delivery({.executor = context_.get_executor(),
                                    .options = options_,
                                    .addresses = addresses_,
                                    .exclusion = *exclusion_,
                                    .metrics = metrics_},
                                   *path->loop, paths_.empty());
    path->delivery->on_forwarding_changed([this] { tell_registry(); });
    paths_.push_back(std::move(path));
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
    // Probes of the tap are not traffic of the pod. They never arrive on the loopback interface. If
    // the port is open only there, it belongs to the pod on every other interface.
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
    co_await refreshed.wait(kRefreshLimit);
  }

  void stop() {
    if (std::exchange(stopping_, true)) return;
    tasks_.spawn("end", end(), [this](const Result<void>& outcome) {
      if (outcome) return;
      // The shutdown is not graceful, but the tap must end.
      exit_code_ = 1;
      stop_loops();
      context_.stop();
    });
  }

  void tell_registry() {
    if (!peer_feed_ || stopping_) return;
    std::vector<CapturedInterface> captured;
    for (const auto& path : paths_) captured.push_back({path->loop->name(), path->forwarding()});
    peer_feed_->set_own(
        own_addresses(addresses_.interfaces(), captured, options_.ownership.pod_ips));
  }

  asio::awaitable<void> end() {
    // The peers take over first, then this tap stops.
    if (peer_feed_) co_await peer_feed_->leave();
    std::vector<async::Arrival> handed_over;
    for (const auto& path : paths_)
      path->loop->hand_over(handed_over.emplace_back(context_.get_executor()).callback());
    for (const async::Arrival& each : handed_over) co_await each.wait();
    for (const auto& path : paths_) co_await path->delivery->stop();
    if (peer_feed_) co_await peer_feed_->stop();
    exclusion_->stop();
    stop_loops();
    addresses_.stop();
    longest_packet_watch_.stop();
    status_.reset();
    signals_.cancel();
    context_.stop();
  }

  void stop_loops() {
    for (const auto& path : paths_) path->loop->finish();
  }

  RunOptions options_;
  telemetry::MetricsRegistry metrics_;
  asio::io_context context_{1};
  async::TaskGroup tasks_{context_.get_executor(), &metrics_};
  asio::signal_set signals_{context_, SIGTERM, SIGINT};
  PodAddresses addresses_{context_.get_executor(), options_.ownership, [this] { tell_registry(); }};
  LongestPacketWatch longest_packet_watch_{context_.get_executor()};
  std::vector<std::unique_ptr<Path>> paths_;
  std::unique_ptr<Exclusion> exclusion_;
  std::unique_ptr<TapMetrics> metrics_view_;
  std::unique_ptr<http::StatusServer> status_;
  std::unique_ptr<PeerFeed> peer_feed_;
  Sandbox sandbox_{options_.sandbox, options_.output.kind == OutputKind::kPcap};
  int exit_code_ = 0;
  bool stopping_ = false;
};

}  // namespace

int run_tap(RunOptions options) {
  // A sensor that disconnects must not end the process: OpenSSL writes without MSG_NOSIGNAL.
  std::signal(SIGPIPE, SIG_IGN);
  telemetry::info("starting", {{"version", SIDETAP_VERSION},
                               {"pod", pod_description(options)},
                               {"node", options.node_name}});
  return Tap(std::move(options)).run();
}

}  // namespace sidetap
