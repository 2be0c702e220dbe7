#include "sidecar/collector/run_collector.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <net/if.h>
#include <sys/resource.h>

#include "shared/async/after_all.h"
#include "shared/async/answer.h"
#include "shared/async/task_group.h"
#include "shared/http/file_watch.h"
#include "shared/http/status_server.h"
#include "shared/http/tls_trust.h"
#include "shared/resident_memory.h"
#include "shared/telemetry/log.h"
#include "shared/telemetry/metrics.h"
#include "sidecar/capture/spare_sockets.h"
#include "sidecar/collector/collector_metrics.h"
#include "sidecar/collector/data_ways.h"
#include "sidecar/collector/datagram_port.h"
#include "sidecar/collector/offered_interface.h"
#include "sidecar/collector/registry_feed.h"
#include "sidecar/collector/tap_proof.h"
#include "sidecar/collector/tap_receiver.h"
#include "sidecar/collector/tap_server.h"
#include "sidecar/collector/tap_source.h"
#include "sidecar/delivery/vni_table.h"
#include "sidecar/ownership/listening_sockets.h"
#include "sidecar/path/capture_loop.h"
#include "sidecar/path/interface_description.h"
#include "sidecar/system/memory_limit.h"
#include "sidecar/system/scheduling.h"
#include "sidecar/tap/backlog_size.h"
#include "sidecar/tap/chosen_path.h"
#include "sidecar/tap/end_signals.h"
#include "sidecar/tap/interface_choice.h"
#include "sidecar/tap/interface_path.h"
#include "sidecar/tap/pod_addresses.h"
#include "sidecar/tap/sandbox.h"
#include "sidecar/tap/tap_metrics.h"
#include "sidecar/tap/thread_watch.h"

namespace sidetap::collector {
namespace {

namespace asio = boost::asio;

// Of the 15 ms that a packet may take through a tap and a collector.
constexpr std::chrono::microseconds kLongestGather{4'000};
// While packets are gathered, they must find room in the port's buffer: this is 500 MB a second.
constexpr std::size_t kBytesPerMicrosecond = 500;
// The packet thread answers within a few hundred milliseconds.
constexpr std::chrono::milliseconds kCountsLimit{2'000};

/// What the collector has open beside its taps, about.
constexpr rlim_t kOtherDescriptors = 64;

/// Each tap takes a descriptor, and one more for its stream. Taps leave enough for the sensors.
void allow_most_descriptors(TapServerConfig& taps) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t each = taps.protocol.datagram ? 1 : 2;
  const rlim_t needed = taps.most_sessions * each + kOtherDescriptors;
  if (limit.rlim_max >= needed) return;
  const rlim_t left = limit.rlim_max - std::min(limit.rlim_max, kOtherDescriptors);
  taps.most_sessions = std::max<rlim_t>(1, left / each);
  telemetry::warn(
      "the limit of open files is too low for --max-taps taps",
      {{"limit", limit.rlim_max}, {"needed", needed}, {"most_taps", taps.most_sessions}});
}

class Collector {
 public:
  explicit Collector(CollectOptions options) : options_(std::move(options)) {}

  int run() {
    ask_for_short_slices();
    allow_most_descriptors(options_.taps);
    if (auto started = start(); !started) {
      telemetry::error("cannot start", {{"reason", started.error().text}});
      if (path_) path_->loop().finish();
      return exit_code_ == 0 ? 1 : exit_code_;
    }
    release_startup_memory();
    context_.run();
    receiver_metrics_->log_summary();
    path_metrics_->log_summary();
    return exit_code_;
  }

 private:
  Result<void> start() {
    if (auto started = addresses_.start(); !started) return started;
    if (auto ready = start_tls(); !ready) return ready;
    if (auto trusted = check_registry_ca(); !trusted) return trusted;
    if (auto output = prepare_output(); !output) return output;
    if (auto made = make_path(); !made) return made;
    path_metrics_ = std::make_unique<TapMetrics>(metrics_, std::vector{&path_->loop()});
    ways_ = std::make_unique<DataWays>(context_.get_executor(), receiver_,
                                       [this](auto command, auto done) {
                                         path_->loop().perform(std::move(command), std::move(done));
                                       });
    receiver_metrics_ = std::make_unique<CollectorMetrics>(metrics_, *ways_);
    path_->loop().run();
    thread_watch_.start({&path_->loop()});
    if (options_.sensors.status_listen) {
      if (auto started = start_status(); !started)
        telemetry::warn("health and metrics are not served", {{"reason", started.error().text}});
    }
    if (clients_) {
      if (auto started = clients_->start(); !started) return started;
    }
    if (auto started = path_->start(options_.sensors); !started) return started;
    server_ =
        std::make_unique<TapServer>(context_.get_executor(), options_.taps, *ways_, identities_,
                                    has_tls() ? &tls_ : nullptr, &metrics_, start_proof());
    if (auto started = server_->start(); !started) return started;
    // All sockets are there. From now on nothing is done that needs a right.
    sandbox_.drop_rights();
    sandbox_.enter_once_open({&path_->loop()});
    telemetry::info("waiting for taps",
                    {{"port", server_->port()}, {"data_port", server_->data_port()}});
    signals_.start();
    return {};
  }

  Result<void> prepare_output() {
    if (options_.sensors.output.kind != OutputKind::kInterface) return {};
    auto apart = check_output_interface(options_.sensors, {}, addresses_.interfaces());
    if (apart) {
      packet_sockets_.reserve(1);
    } else {
      exit_code_ = 2;
    }
    return apart;
  }

  /// Null: the taps' word counts.
  TapProof* start_proof() {
    const RegistryOptions& registry = options_.registry;
    if (!registry.address) return nullptr;
    ProofConfig config;
    config.admit_unproven = options_.admit_unproven;
    proof_ = std::make_unique<TapProof>(config);
    RegistryFeedConfig feed;
    feed.registry = *registry.address;
    feed.ca = registry.ca;
    feed.server_name = registry.server_name;
    feed.token_file = registry.token_file;
    registry_feed_ = std::make_unique<RegistryFeed>(context_.get_executor(), std::move(feed),
                                                    *proof_, &metrics_);
    registry_feed_->start();
    return proof_.get();
  }

  bool has_tls() const { return !options_.tls.certificate.empty(); }

  Result<void> start_tls() {
    if (!has_tls()) return {};
    if (auto loaded = tls_.reload(options_.tls); !loaded) return loaded;
    std::vector<std::string> files = {options_.tls.certificate, options_.tls.key};
    if (!options_.tls.client_ca.empty()) files.push_back(options_.tls.client_ca);
    // The store logs what it does.
    tls_watch_ = std::make_unique<http::FileWatch>(
        context_.get_executor(), std::move(files), [this] { (void)tls_.reload(options_.tls); },
        http::FileWatchTiming(), &metrics_);
    tls_watch_->start();
    return {};
  }

  /// A CA that cannot be used would be as a registry that is never there. This also readies OpenSSL
  /// before the sandbox.
  Result<void> check_registry_ca() const {
    if (!options_.registry.address) return {};
    const auto ca = read_pem(options_.registry.ca);
    if (!ca) return Error{"--registry-ca: " + ca.error().text};
    const auto trust = http::TlsTrust::make(*ca);
    if (!trust) return Error{"--registry-ca: " + trust.error().text};
    return {};
  }

  Result<void> make_path() {
    std::vector<net::UniqueFd> ports;
    const unsigned count = options_.taps.protocol.datagram ? options_.data_ports : 0U;
    for (unsigned i = 0; i < count; ++i) {
      const auto number = static_cast<std::uint16_t>(options_.taps.data_port + i);
      const std::uint64_t buffer = options_.receive_buffer / (i == 0 ? 1 : 4);
      auto port = open_datagram_port({options_.taps.listen.host, number},
                                     static_cast<std::uint32_t>(buffer));
      if (!port) return port.error();
      ports.push_back(std::move(*port));
    }
    if (!ports.empty()) {
      const std::chrono::microseconds room(buffer_size(ports.front().get()) / kBytesPerMicrosecond);
      gather_ = std::min(gather_, room);
    }
    receiver_ =
        std::make_shared<TapReceiver>(ReceiverConfig{.most_packet = options_.taps.protocol.snaplen,
                                                     .memory = options_.incomplete_memory},
                                      std::move(ports));
    auto loop = std::make_unique<CaptureLoop>(loop_config(), make_tap_device(receiver_),
                                              std::make_unique<ownership::NoListeningSockets>());
    clients_ = make_clients(delivery_parts(options_.sensors), *loop);
    MakeDelivery make = [this, on = loop.get()](const RunOptions& options, std::uint64_t stage) {
      return make_delivery(delivery_parts(options), *on, stage);
    };
    ChoiceConfig choice;
    choice.tap = rank_name(options_.sensors);
    choice.is_own = [this](const net::IpAddress& address) { return addresses_.is_own(address); };
    path_ = std::make_unique<ChosenPath>(
        context_.get_executor(), std::move(loop), std::move(make), [] {}, std::move(choice));
    return {};
  }

  CaptureLoopConfig loop_config() {
    const RunOptions& sensors = options_.sensors;
    CaptureLoopConfig config;
    config.interface = options_.interface;
    config.description = pod_description(sensors);
    set_receivers(receivers_of(sensors), config);
    config.pipeline.collected = true;
    config.pipeline.fidelity = {.checksums = false, .segment = fidelity::SegmentMode::kOff};
    config.pipeline.narrowing = sensors.narrowing;
    const BacklogSize backlog = backlog_size(sensors.backlog, memory_limit(), 1);
    if (backlog.reduced)
      telemetry::warn("the backlog is smaller than --backlog says, because of the memory limit",
                      {{"bytes", backlog.each}});
    config.pipeline.backlog = backlog.each;
    config.describe = [this] { return describe(); };
    config.flush_interval = std::chrono::milliseconds(sensors.flush_interval_ms);
    config.gather = gather_;
    config.reply = [this](CommandQueue::Task task) { asio::post(context_, std::move(task)); };
    config.give_up_rights = [this] { sandbox_.drop_rights(); };
    return config;
  }

  rpcap::Interface describe() const {
    std::vector<rpcap::InterfaceAddress> own;
    for (const net::Interface& interface : addresses_.interfaces()) {
      if ((interface.flags & IFF_LOOPBACK) != 0) continue;
      const rpcap::Interface described = describe_interface(interface.name, {});
      own.insert(own.end(), described.addresses.begin(), described.addresses.end());
    }
    std::vector<net::IpAddress> of_taps;
    if (server_) {
      for (const TapStanding& tap : server_->taps()) {
        if (tap.identity)
          of_taps.insert(of_taps.end(), tap.identity->addresses.begin(),
                         tap.identity->addresses.end());
      }
    }
    return offered_interface(options_.interface, pod_description(options_.sensors), own, of_taps);
  }

  DeliveryParts delivery_parts(const RunOptions& options) {
    return {.executor = context_.get_executor(),
            .options = options,
            .addresses = addresses_,
            // Nothing of what the collector sends can come back as a packet: it captures nothing.
            .exclude = [](const auto&, const auto&) { return std::chrono::milliseconds(0); },
            .metrics = metrics_,
            .packet_sockets = packet_sockets_,
            .vnis = vnis_,
            .identities = identities_,
            .registry_ca =
                [this] {
                  auto ca = read_pem(options_.registry.ca);
                  return ca ? std::move(*ca) : std::string();
                }};
  }

  Result<void> start_status() {
    http::StatusHandlers handlers;
    handlers.fault = [this] { return thread_watch_.fault(); };
    // Its address leaves the Service as soon as it is to end.
    handlers.ready = [this] { return !stopping_ && path_->ready(); };
    handlers.refresh = [this] { return refresh_metrics(); };
    handlers.metrics = [this] { return metrics_.text(); };
    status_ = std::make_unique<http::StatusServer>(
        context_.get_executor(), *options_.sensors.status_listen, std::move(handlers), &metrics_);
    auto port = status_->start();
    if (!port) return port.error();
    telemetry::info("serving health and metrics", {{"port", *port}});
    return {};
  }

  asio::awaitable<void> refresh_metrics() {
    const async::Arrival refreshed(context_.get_executor());
    const auto answered = async::after_all(2, refreshed.callback());
    path_metrics_->refresh(answered);
    receiver_metrics_->refresh(answered);
    co_await refreshed.wait(kCountsLimit);
  }

  void stop() {
    if (std::exchange(stopping_, true)) return;
    tasks_.spawn("end", end(), [this](const Result<void>& outcome) {
      if (outcome) return;
      // The shutdown is not graceful, but the collector must end.
      exit_code_ = 1;
      path_->loop().finish();
      context_.stop();
    });
  }

  void hurry() {
    server_->end_drain();
    path_->loop().hurry();
  }

  asio::awaitable<void> end() {
    server_->close();
    co_await server_->drain(std::chrono::milliseconds(options_.drain_ms));
    co_await server_->stop();
    if (registry_feed_) co_await registry_feed_->stop();
    const async::Arrival handed_over(context_.get_executor());
    path_->loop().hand_over(handed_over.callback(), [this] { path_->dial_soon(); });
    co_await handed_over.wait();
    co_await path_->stop();
    if (clients_) co_await clients_->stop();
    path_->loop().finish();
    addresses_.stop();
    thread_watch_.stop();
    if (tls_watch_) tls_watch_->stop();
    status_.reset();
    signals_.stop();
    context_.stop();
  }

  CollectOptions options_;
  telemetry::MetricsRegistry metrics_;
  // Null: the taps' word counts. Sessions that wait for it may end only with the context.
  std::unique_ptr<TapProof> proof_;
  asio::io_context context_{1};
  async::TaskGroup tasks_{context_.get_executor(), &metrics_};
  EndSignals signals_{context_.get_executor(), [this] { stop(); }, [this] { hurry(); }};
  PodAddresses addresses_{context_.get_executor(), options_.sensors.ownership, [] {}};
  ThreadWatch thread_watch_{context_.get_executor()};
  http::TlsStore tls_;
  std::unique_ptr<http::FileWatch> tls_watch_;
  std::shared_ptr<forwarding::TapIdentities> identities_ =
      std::make_shared<forwarding::TapIdentities>();
  capture::SpareSockets packet_sockets_;
  std::shared_ptr<VniTable> vnis_ = std::make_shared<VniTable>(metrics_);
  std::shared_ptr<TapReceiver> receiver_;
  std::unique_ptr<ChosenPath> path_;
  std::unique_ptr<Delivery> clients_;  // that connect to the collector; null: none may
  std::unique_ptr<DataWays> ways_;
  std::unique_ptr<TapMetrics> path_metrics_;
  std::unique_ptr<CollectorMetrics> receiver_metrics_;
  std::unique_ptr<RegistryFeed> registry_feed_;
  std::unique_ptr<TapServer> server_;
  std::unique_ptr<http::StatusServer> status_;
  Sandbox sandbox_{options_.sensors.sandbox, options_.sensors.output.kind == OutputKind::kPcap,
                   has_tls()};
  std::chrono::microseconds gather_ = kLongestGather;
  int exit_code_ = 0;
  bool stopping_ = false;
};

}  // namespace

int run_collector(CollectOptions options) {
  // A peer that disconnects must not end the process: OpenSSL writes without MSG_NOSIGNAL.
  std::signal(SIGPIPE, SIG_IGN);
  telemetry::info("starting to collect", {{"version", SIDETAP_VERSION},
                                          {"pod", pod_description(options.sensors)},
                                          {"node", options.sensors.node_name}});
  return Collector(std::move(options)).run();
}

}  // namespace sidetap::collector
