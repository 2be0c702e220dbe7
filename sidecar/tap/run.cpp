#include "sidecar/tap/run.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <unistd.h>

#include "shared/async/answer.h"
#include "shared/async/task_group.h"
#include "shared/http/status_server.h"
#include "shared/resident_memory.h"
#include "shared/tap/assigned.h"
#include "shared/telemetry/log.h"
#include "shared/telemetry/metrics.h"
#include "sidecar/capture/device.h"
#include "sidecar/capture/spare_sockets.h"
#include "sidecar/delivery/vni_table.h"
#include "sidecar/path/capture_loop.h"
#include "sidecar/system/kernel_sockets.h"
#include "sidecar/system/memory_limit.h"
#include "sidecar/system/scheduling.h"
#include "sidecar/tap/backlog_size.h"
#include "sidecar/tap/chosen_path.h"
#include "sidecar/tap/end_signals.h"
#include "sidecar/tap/exclusion.h"
#include "sidecar/tap/interface_choice.h"
#include "sidecar/tap/interface_path.h"
#include "sidecar/tap/live_control.h"
#include "sidecar/tap/longest_packet_watch.h"
#include "sidecar/tap/order_desk.h"
#include "sidecar/tap/peer_feed.h"
#include "sidecar/tap/pod_addresses.h"
#include "sidecar/tap/sandbox.h"
#include "sidecar/tap/tap_metrics.h"
#include "sidecar/tap/tap_report.h"
#include "sidecar/tap/thread_watch.h"

namespace sidetap {
namespace {

namespace asio = boost::asio;

// A capture thread answers within a few hundred milliseconds. If one hangs, /metrics shows its last
// counts.
constexpr std::chrono::milliseconds kRefreshLimit{2'000};

class Tap {
 public:
  Tap(RunOptions options, CommandLine line)
      : options_(std::move(options)), line_(std::move(line)) {}

  int run() {
    ask_for_short_slices();
    signals_.start();
    if (!may_begin()) return exit_code_;
    begun_ = true;
    if (auto started = start(); !started) {
      telemetry::error("cannot start", {{"reason", started.error().text}});
      stop_loops();
      return exit_code_ == 0 ? 1 : exit_code_;
    }
    release_startup_memory();
    context_.run();
    metrics_view_->log_summary();
    return exit_code_;
  }

 private:
  /// Takes orders from now on, and waits for a token if the tap needs one from there. False: it is
  /// to end before it has begun.
  bool may_begin() {
    orders_.start();
    while (orders_.awaits_token() && !stopping_) context_.run_one();
    return !stopping_;
  }

  bool gets_token_by_order() const {
    return options_.registry.address && options_.registry.token_file == tap::kTokenFromOrders;
  }

  OrderDeskConfig order_config() const {
    OrderDeskConfig config;
    if (options_.stdin_orders) config.orders = net::UniqueFd(::dup(STDIN_FILENO));
    config.needs_token = gets_token_by_order();
    config.run_for = std::chrono::milliseconds(options_.run_for_ms);
    return config;
  }

  void end_by_order(std::string_view reason, bool failed) {
    if (failed) {
      telemetry::error("cannot start", {{"reason", reason}});
      exit_code_ = 1;
    } else {
      telemetry::info("stopping", {{"reason", reason}});
    }
    stop();
  }

  Result<void> start() {
    if (auto started = addresses_.start(); !started) return started;
    if (const std::string doubt = tapped_peers_doubt(options_.ownership);
        !doubt.empty() && !options_.registry.address)
      telemetry::warn("no peer counts as tapped", {{"reason", doubt}});
    if (const std::string doubt = service_view_doubt(options_.ownership); !doubt.empty())
      telemetry::warn("no packet counts as a view of a Service", {{"reason", doubt}});
    const auto names = choose_interfaces(options_, addresses_.interfaces());
    if (auto output = prepare_output(names); !output) return output;
    exclusion_ = std::make_unique<Exclusion>(context_.get_executor(),
                                             most_connections(options_, names.size()));
    const BacklogSize backlog = backlog_size(options_.backlog, memory_limit(), names.size());
    if (backlog.reduced)
      telemetry::warn("the backlog is smaller than --backlog says, because of the memory limit",
                      {{"bytes_of_each_interface", backlog.each}});
    for (const std::string& name : names) add_interface(name, backlog.each);
    exclusion_->watch();

    metrics_view_ = std::make_unique<TapMetrics>(metrics_, loops());
    for (const auto& path : paths_) path->loop().run();
    sandbox_.drop_rights();
    longest_packet_watch_.start(loops());
    thread_watch_.start(loops());

    if (options_.status_listen) {
      // Another container of the pod may use the port. A tap without metrics is better than no tap.
      if (auto started = start_status(); !started)
        telemetry::warn("health and metrics are not served", {{"reason", started.error().text}});
    }
    if (options_.registry.address) {
      if (auto started = start_registry(); !started) return started;
    }
    if (clients_) {
      if (auto started = clients_->start(); !started) return started;
    }
    for (const auto& path : paths_) {
      if (auto started = path->start(options_); !started) return started;
    }
    sandbox_.enter_once_open(loops());
    return {};
  }

  /// What the output needs of the rights that the tap gives up later.
  Result<void> prepare_output(const std::vector<std::string>& captured) {
    if (options_.output.kind != OutputKind::kInterface) return {};
    if (auto apart = check_output_interface(options_, captured, addresses_.interfaces()); !apart) {
      exit_code_ = 2;
      return apart;
    }
    packet_sockets_.reserve(captured.size());
    return {};
  }

  std::vector<CaptureLoop*> loops() const {
    std::vector<CaptureLoop*> loops;
    for (const auto& path : paths_) loops.push_back(&path->loop());
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
    // The mesh's plaintext belongs to the pod's own interface, which is the first.
    if (paths_.empty()) config.legs = make_legs(options_, config);
    auto loop = std::make_unique<CaptureLoop>(std::move(config), capture::make_system_device(),
                                              std::make_unique<KernelListeningSockets>());
    exclusion_->add(*loop);
    addresses_.add(*loop);
    offer_to_clients(*loop);
    MakeDelivery make = [this, on = loop.get()](const RunOptions& options, std::uint64_t stage) {
      return make_delivery(delivery_parts(options), *on, stage);
    };
    ChoiceConfig choice;
    choice.tap = rank_name(options_);
    choice.is_own = [this](const net::IpAddress& address) { return addresses_.is_own(address); };
    paths_.push_back(std::make_unique<ChosenPath>(
        context_.get_executor(), std::move(loop), std::move(make), [this] { tell_registry(); },
        std::move(choice)));
  }

  /// They get the first interface.
  void offer_to_clients(CaptureLoop& loop) {
    if (paths_.empty()) {
      clients_ = make_clients(delivery_parts(options_), loop);
    } else if (clients_) {
      telemetry::warn(
          "clients are not offered this interface: they get the first one that has an address of "
          "the pod",
          {{"interface", loop.name()}});
    }
  }

  DeliveryParts delivery_parts(const RunOptions& options) {
    return {
        .executor = context_.get_executor(),
        .options = options,
        .addresses = addresses_,
        .exclude = [this](const auto& owner,
                          const auto& endpoints) { return exclusion_->exclude(owner, endpoints); },
        .metrics = metrics_,
        .packet_sockets = packet_sockets_,
        .vnis = vnis_,
        .registry_ca =
            [this] { return peer_feed_ ? peer_feed_->trusted() : options_.registry.ca; }};
  }

  Result<void> start_status() {
    http::StatusHandlers handlers;
    handlers.fault = [this] { return thread_watch_.fault(); };
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

  Result<void> start_registry() {
    LiveActions actions;
    actions.follow = [this](const RunOptions& options) {
      Result<void> followed;
      for (const auto& path : paths_)
        if (auto each = path->follow(options); !each) followed = each;
      return followed;
    };
    live_control_ = std::make_unique<LiveControl>(options_, line_, std::move(actions), metrics_);
    auto on_settings = [this](const registry::Settings& settings) {
      if (stopping_) return;
      live_control_->apply(settings);
      report_->changed();
    };
    std::function<Result<std::string>()> token;
    if (gets_token_by_order()) token = [this] { return orders_.token(); };
    peer_feed_ = std::make_unique<PeerFeed>(context_.get_executor(), options_.registry,
                                            options_.ownership, loops(), *exclusion_, metrics_,
                                            std::move(on_settings), std::move(token));
    ReportCallbacks callbacks;
    callbacks.state = [this] { return live_control_->state(); };
    callbacks.send = [this](const registry::Report& report) { peer_feed_->report(report); };
    report_ = std::make_unique<TapReport>(context_.get_executor(), reported_paths(),
                                          std::move(callbacks), metrics_);
    tell_registry();
    report_->start();
    return peer_feed_->start();
  }

  std::vector<ReportedPath> reported_paths() const {
    std::vector<ReportedPath> reported;
    for (const auto& each : paths_) {
      ChosenPath* const path = each.get();
      reported.push_back(
          {.interface =
               [path] {
                 return registry::InterfaceReport{path->loop().name(), path->loop().is_working()};
               },
           .sensors = [path] { return path->sensors(); },
           .counts = [path](auto told) { path->loop().counts(std::move(told)); },
           .ledger = &path->loop().ledger()});
    }
    return reported;
  }

  asio::awaitable<void> refresh_metrics() {
    const async::Arrival refreshed(context_.get_executor());
    metrics_view_->refresh(refreshed.callback());
    co_await refreshed.wait(kRefreshLimit);
  }

  void stop() {
    if (std::exchange(stopping_, true) || !begun_) return;
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
    report_->changed();
    std::vector<CapturedInterface> captured;
    for (const auto& path : paths_) captured.push_back({path->loop().name(), path->forwarding()});
    peer_feed_->set_own(
        own_addresses(addresses_.interfaces(), captured, options_.ownership.pod_ips));
  }

  void hurry() {
    for (const auto& path : paths_) path->loop().hurry();
  }

  asio::awaitable<void> end() {
    if (report_) co_await report_->stop();
    // The peers take over first, then this tap stops.
    if (peer_feed_) co_await peer_feed_->leave();
    std::vector<async::Arrival> handed_over;
    for (const auto& path : paths_)
      path->loop().hand_over(handed_over.emplace_back(context_.get_executor()).callback(),
                             [path = path.get()] { path->dial_soon(); });
    for (const async::Arrival& each : handed_over) co_await each.wait();
    for (const auto& path : paths_) co_await path->stop();
    if (clients_) co_await clients_->stop();
    if (peer_feed_) co_await peer_feed_->stop();
    exclusion_->stop();
    stop_loops();
    addresses_.stop();
    longest_packet_watch_.stop();
    thread_watch_.stop();
    status_.reset();
    signals_.stop();
    orders_.stop();
    context_.stop();
  }

  void stop_loops() {
    for (const auto& path : paths_) path->loop().finish();
  }

  RunOptions options_;
  CommandLine line_;
  telemetry::MetricsRegistry metrics_;
  asio::io_context context_{1};
  async::TaskGroup tasks_{context_.get_executor(), &metrics_};
  EndSignals signals_{context_.get_executor(), [this] { stop(); }, [this] { hurry(); }};
  OrderDesk orders_{context_.get_executor(), order_config(),
                    [this](std::string_view reason, bool failed) { end_by_order(reason, failed); }};
  PodAddresses addresses_{context_.get_executor(), options_.ownership, [this] { tell_registry(); }};
  LongestPacketWatch longest_packet_watch_{context_.get_executor()};
  ThreadWatch thread_watch_{context_.get_executor()};
  std::vector<std::unique_ptr<ChosenPath>> paths_;
  std::unique_ptr<Delivery> clients_;  // that connect to the tap; null: none may
  std::unique_ptr<Exclusion> exclusion_;
  std::unique_ptr<TapMetrics> metrics_view_;
  capture::SpareSockets packet_sockets_;
  std::shared_ptr<VniTable> vnis_ = std::make_shared<VniTable>(metrics_);
  std::unique_ptr<http::StatusServer> status_;
  std::unique_ptr<LiveControl> live_control_;
  std::unique_ptr<PeerFeed> peer_feed_;
  std::unique_ptr<TapReport> report_;
  Sandbox sandbox_{options_.sandbox, options_.output.kind == OutputKind::kPcap};
  int exit_code_ = 0;
  bool begun_ = false;  // the parts of a tap are there
  bool stopping_ = false;
};

}  // namespace

int run_tap(RunOptions options, CommandLine line) {
  // A sensor that disconnects must not end the process: OpenSSL writes without MSG_NOSIGNAL.
  std::signal(SIGPIPE, SIG_IGN);
  telemetry::info("starting", {{"version", SIDETAP_VERSION},
                               {"pod", pod_description(options)},
                               {"node", options.node_name}});
  return Tap(std::move(options), std::move(line)).run();
}

}  // namespace sidetap
