#include "webhook/serve/serve.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <malloc.h>
#include <sys/resource.h>

#include "shared/async/task_group.h"
#include "shared/http/file_watch.h"
#include "shared/http/https_server.h"
#include "shared/http/status_server.h"
#include "shared/kube/credentials.h"
#include "shared/resident_memory.h"
#include "shared/telemetry/log.h"
#include "shared/telemetry/metrics.h"
#include "webhook/certificates/keeper.h"
#include "webhook/page/page_server.h"
#include "webhook/registry/server.h"
#include "webhook/serve/configuration_store.h"
#include "webhook/serve/observers.h"

namespace sidetap::webhook {
namespace {

namespace asio = boost::asio;
using telemetry::MetricSpec;
using telemetry::MetricType;

const MetricSpec kGeneration{"sidetap_webhook_config_generation", MetricType::kGauge,
                             "Configurations loaded, including the first one."};
const MetricSpec kTold{"sidetap_configuration_generation", MetricType::kGauge,
                       "The generation in the configuration that is in force. Taps follow the "
                       "greatest one that a replica tells them."};
const MetricSpec kConfigFailures{
    "sidetap_webhook_config_reload_failures_total", MetricType::kCounter,
    "Configurations and CAs of the registry that were refused; the previous ones stayed in force."};
const MetricSpec kReady{"sidetap_webhook_ready", MetricType::kGauge,
                        "1 while the webhook is ready: it answers, and its certificate is valid. "
                        "Stays 1 while it drains."};
const MetricSpec kDraining{"sidetap_webhook_draining", MetricType::kGauge,
                           "1 from the signal to stop until the end."};

/// Descriptors for the log, the watches, the status server and the page.
constexpr rlim_t kOtherFiles = 96;
/// More connections than the API servers of a large cluster open, at up to 25 each.
constexpr std::size_t kFewConnections = 500;
constexpr auto kTrimPeriod = std::chrono::seconds(2);

struct Connections {
  std::size_t reviews;
  std::size_t taps;
};

/// Limits the connections to the descriptors that the process may have, up to the hard limit.
Connections allowed_connections(Connections wanted) {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return wanted;
  const rlim_t needed = wanted.reviews + wanted.taps + kOtherFiles;
  if (files.rlim_cur < needed) {
    files.rlim_cur = std::min(needed, files.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &files);
    ::getrlimit(RLIMIT_NOFILE, &files);
  }
  if (files.rlim_cur >= needed) return wanted;
  const std::size_t available =
      files.rlim_cur > 2 * kOtherFiles ? files.rlim_cur - kOtherFiles : files.rlim_cur / 2;
  // Taps must not use up the descriptors for reviews, or vice versa.
  const std::size_t half = available / 2;
  Connections allowed{};
  allowed.reviews = std::min(wanted.reviews, available - std::min(wanted.taps, half));
  allowed.taps = std::min(wanted.taps, available - allowed.reviews);
  telemetry::log(
      allowed.reviews < kFewConnections ? telemetry::LogLevel::kWarn : telemetry::LogLevel::kInfo,
      "fewer connections than asked for: the limit of open files is low",
      {{"connections", allowed.reviews}, {"connections_of_taps", allowed.taps}});
  return allowed;
}

class Webhook {
 public:
  Webhook(const ServeOptions& options, const ReviewFactory& factory)
      : options_(options),
        configuration_(options.configuration, factory,
                       [this](const std::string& ca) { return verifies_registry(ca); }),
        service_([this](std::string_view review, Route route) { return answer(review, route); },
                 metrics_) {}

  int run() {
    // Both log what is wrong. The exit code is that of a wrong option.
    if (!reload_registry_ca() || !configuration_.reload()) return 2;
    if (auto started = start(); !started) {
      telemetry::error("cannot start", {{"reason", started.error().text}});
      return 1;
    }
    release_startup_memory();
    context_.run();
    telemetry::info("stopped");
    return exit_code_;
  }

 private:
  admission::Answer answer(std::string_view review, Route route) {
    admission::Answer made = configuration_.review(review, route);
    observers_.reviewed(made);
    return made;
  }

  Result<void> start() {
    if (auto started = start_observers(); !started) return started;
    if (options_.self_managed.enabled) {
      // The server starts when the first certificate arrives.
      if (auto started = start_keeper(); !started) return started;
    } else {
      if (auto loaded = tls_.reload(options_.tls); !loaded) return loaded;
      reload_tls();
      if (auto started = start_server(); !started) return started;
    }
    follow_files();
    if (auto started = start_status(); !started) return started;
    wait_for_signal();
    trim_memory();
    return {};
  }

  Result<void> start_server() {
    http::ServerLimits limits;
    const auto allowed = allowed_connections(
        {options_.max_connections, options_.registry.listen ? registry::kMostConnections : 0});
    limits.connections = allowed.reviews;
    limits.body_bytes = options_.max_body_bytes;
    limits.held_bytes = std::max(limits.held_bytes, 4 * limits.body_bytes);
    server_ = std::make_unique<http::HttpsServer>(
        options_.listen, options_.threads, limits, tls_,
        [this](const http::HttpRequest& request) { return service_(request); }, &metrics_);
    expose_server(metrics_, server_->counters(), tls_);
    metrics_.expose(kGeneration, {},
                    [this] { return static_cast<double>(configuration_.generation()); });
    metrics_.expose(kTold, {}, [this] {
      const auto profiles = configuration_.profiles();
      return profiles ? static_cast<double>(profiles->generation()) : 0.0;
    });
    metrics_.expose(kConfigFailures, {},
                    [this] { return static_cast<double>(configuration_.failures()); });
    metrics_.expose(kReady, {}, [this] { return ready() ? 1.0 : 0.0; });
    metrics_.expose(kDraining, {}, [this] { return draining_ ? 1.0 : 0.0; });
    auto port = server_->start();
    if (!port) return port.error();
    telemetry::info("serving admission reviews", {{"port", *port}, {"threads", options_.threads}});
    return start_registry(allowed.taps);
  }

  /// Call it before the first review.
  Result<void> start_observers() {
    return observers_.start(options_.observers, options_.self_managed.service_account,
                            {.judge =
                                 [this](std::string_view review) {
                                   return configuration_.review(
                                       review, Route{.entry = admission::Entry::kNamespace});
                                 },
                             .generation = [this] { return configuration_.generation(); }});
  }

  /// Call it after the first certificate. A separate server that does not check client
  /// certificates, because taps have none.
  Result<void> start_registry(std::size_t most_connections) {
    if (!options_.registry.listen) return {};
    registry::ServerConfig config;
    config.most_connections = most_connections;
    config.listen = *options_.registry.listen;
    config.audience = options_.registry.audience;
    config.identity.folder = options_.registry.identity_folder;
    config.identity.keep = std::chrono::milliseconds(options_.registry.identity_keep_ms);
    config.identity.most_tenures = options_.registry.identity_entries;
    config.identity_api.enabled = options_.registry.identity_api;
    config.identity_api.coverage = observers_.coverage_text();
    if (options_.registry.tokens || options_.registry.services) {
      auto credentials = kube::in_cluster_credentials(config::process_environment,
                                                      options_.self_managed.service_account);
      if (!credentials) {
        return Error{credentials.error().text +
                     " (taps need no token with --registry-auth none, and nothing else is asked of "
                     "the API server with --registry-services false)"};
      }
      if (options_.registry.services)
        config.services = {.credentials = *credentials, .nodes = options_.registry.nodes};
      if (options_.registry.tokens) config.credentials = std::move(*credentials);
    }
    registry_ = std::make_unique<registry::Server>(std::move(config), registry_tls_, metrics_);
    tell_registry_ca();
    tell_profiles();
    auto port = registry_->start();
    if (!port) return port.error();
    telemetry::info("serving the registry of taps", {{"port", *port}});
    if (options_.observers.tap_events) observers_.watch(*registry_);
    if (options_.page_listen) start_page();
    return {};
  }

  /// Call it when the registry runs. Pods need the webhook, whether anybody can look at it or not.
  void start_page() {
    page::PageConfig config;
    config.listen = *options_.page_listen;
    config.with_view = [this](auto use) { registry_->with_view(std::move(use)); };
    if (const auto store = observers_.coverage_store())
      config.coverage = [store] { return store->latest(); };
    page_ = std::make_unique<page::PageServer>(std::move(config), &metrics_);
    if (const auto port = page_->start())
      telemetry::info("serving the page", {{"port", *port}});
    else
      telemetry::warn("the page is not served", {{"reason", port.error().text}});
  }

  /// Taps, running or future, must not get a CA that would lock them out.
  Result<void> verifies_registry(const std::string& ca) const {
    const auto shown = registry_tls_.current();
    return shown ? shown->verified_by(ca) : Result<void>();
  }

  /// Call it after the certificate. The store logs and counts a failure, and keeps the old CA.
  Result<void> reload_registry_ca() {
    if (options_.registry.ca_file.empty()) return {};
    auto loaded = configuration_.reload_registry_ca(options_.registry.ca_file);
    tell_registry_ca();
    return loaded;
  }
  /// New pods get the CA with their configuration. Running taps receive it from the registry.
  void tell_registry_ca() {
    if (!registry_) return;
    if (auto ca = configuration_.registry_ca(); !ca.empty()) registry_->set_ca(std::move(ca));
  }
  /// New pods get their profiles with their configuration, and running taps from the registry.
  void tell_profiles() {
    if (!registry_) return;
    if (auto known = configuration_.profiles()) registry_->set_profiles(std::move(known));
  }

  Result<void> start_keeper() {
    const certificates::SelfManagedOptions& wanted = options_.self_managed;
    auto credentials =
        kube::in_cluster_credentials(config::process_environment, wanted.service_account);
    if (!credentials) return credentials.error();
    certificates::KeeperConfig config = keeper_config(wanted, credentials->pod_namespace);
    keeper_ = std::make_unique<certificates::Keeper>(
        kube::Client(context_.get_executor(), std::move(*credentials)), std::move(config),
        [this](const certificates::State& state) { serve_with(state); });
    keeper_->expose(metrics_);
    tasks_.supervise("certificates", [this] { return keeper_->run(); });
    return {};
  }

  void serve_with(const certificates::State& state) {
    managed_ = http::TlsMaterial{state.leaf.certificate, state.leaf.key, {}};
    reload_tls();
    if (options_.registry.ca_file.empty()) {
      static_cast<void>(configuration_.set_registry_ca(state.bundle(), "self-managed bundle"));
    }
    tell_registry_ca();
    if (server_ || !tls_.current()) return;
    if (auto started = start_server(); !started) {
      telemetry::error("cannot start", {{"reason", started.error().text}});
      exit_code_ = 1;
      stop();
    }
  }

  /// The store logs and counts a failure, and keeps the old certificate.
  void reload_tls() {
    if (!options_.self_managed.enabled) {
      static_cast<void>(tls_.reload(options_.tls));
      if (options_.registry.listen) {
        static_cast<void>(registry_tls_.reload({options_.tls.certificate, options_.tls.key}));
      }
    } else if (managed_) {
      static_cast<void>(tls_.reload_with(*managed_, options_.tls.client_ca));
      if (options_.registry.listen) static_cast<void>(registry_tls_.replace(*managed_));
    }
  }

  Result<void> start_status() {
    if (!options_.status_listen) return {};
    http::StatusHandlers handlers;
    handlers.ready = [this] { return ready(); };
    handlers.metrics = [this] { return metrics_.text(); };
    status_ = std::make_unique<http::StatusServer>(context_.get_executor(), *options_.status_listen,
                                                   std::move(handlers), &metrics_);
    auto port = status_->start();
    if (!port) return port.error();
    telemetry::info("serving health and metrics", {{"port", *port}});
    return {};
  }

  void follow_files() {
    std::vector<std::string> files;
    for (const auto& file : {options_.tls.certificate, options_.tls.key, options_.tls.client_ca,
                             options_.configuration, options_.registry.ca_file}) {
      if (!file.empty()) files.push_back(file);
    }
    const auto changed = [this] {
      reload_tls();
      static_cast<void>(reload_registry_ca());
      static_cast<void>(configuration_.reload());
      tell_profiles();
    };
    watch_ = std::make_unique<http::FileWatch>(context_.get_executor(), std::move(files), changed,
                                               http::FileWatchTiming{}, &metrics_);
    watch_->start();
  }

  bool ready() const {
    return server_ && server_->responsive() && tls_.usable() && (!keeper_ || keeper_->published());
  }

  void wait_for_signal() {
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
      if (error) return;
      telemetry::info(draining_ ? "stopping at once" : "draining",
                      {{"signal", strsignal(signal)}, {"seconds", options_.drain_seconds}});
      draining_ ? stop() : drain();
    });
  }

  /// The C library keeps freed memory of many connections. Return it to the kernel from time to
  /// time.
  void trim_memory() {
    trim_timer_.expires_after(kTrimPeriod);
    trim_timer_.async_wait([this](const boost::system::error_code& error) {
      if (error || draining_) return;
      ::malloc_trim(0);
      trim_memory();
    });
  }

  void drain() {
    draining_ = true;
    if (server_) server_->drain();
    wait_for_signal();
    drain_timer_.expires_after(std::chrono::seconds(options_.drain_seconds));
    drain_timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) stop();
    });
  }

  void stop() {
    drain_timer_.cancel();
    signals_.cancel();
    tasks_.cancel();
    if (server_) server_->stop();
    page_.reset();  // it asks the registry
    observers_.stop();
    registry_.reset();
    trim_timer_.cancel();
    watch_.reset();
    status_.reset();
  }

  const ServeOptions& options_;
  telemetry::MetricsRegistry metrics_;
  http::TlsStore tls_;
  http::TlsStore registry_tls_;
  ConfigurationStore configuration_;
  ReviewService service_;
  asio::io_context context_{1};
  asio::signal_set signals_{context_, SIGTERM, SIGINT};
  asio::steady_timer drain_timer_{context_};
  asio::steady_timer trim_timer_{context_};
  async::TaskGroup tasks_{context_.get_executor(), &metrics_};
  Observers observers_{context_.get_executor(), metrics_};
  bool draining_ = false;
  int exit_code_ = 0;
  std::optional<http::TlsMaterial> managed_;
  std::unique_ptr<certificates::Keeper> keeper_;
  std::unique_ptr<registry::Server> registry_;
  std::unique_ptr<page::PageServer> page_;
  std::unique_ptr<http::HttpsServer> server_;
  std::unique_ptr<http::FileWatch> watch_;
  std::unique_ptr<http::StatusServer> status_;
};

}  // namespace

int serve(const ServeOptions& options, const ReviewFactory& factory) {
  telemetry::info("starting", {{"version", SIDETAP_VERSION}});
  return Webhook(options, factory).run();
}

}  // namespace sidetap::webhook
