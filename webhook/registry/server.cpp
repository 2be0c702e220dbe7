#include "webhook/registry/server.h"

#include <algorithm>
#include <thread>
#include <unordered_map>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>

#include "shared/http/listener.h"
#include "shared/telemetry/log.h"
#include "webhook/registry/authenticator.h"
#include "webhook/registry/session.h"

namespace sidetap::webhook::registry {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;
using telemetry::MetricSpec;
using telemetry::MetricType;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

const MetricSpec kTaps{"sidetap_registry_taps", MetricType::kGauge,
                       "Registered taps by state: forwarding or idle."};
const MetricSpec kAddresses{"sidetap_registry_addresses", MetricType::kGauge,
                            "Addresses of forwarding taps, as published."};
const MetricSpec kVersion{"sidetap_registry_version", MetricType::kGauge,
                          "Version of the published set."};
const MetricSpec kConnections{"sidetap_registry_connections", MetricType::kGauge,
                              "Open connections, registered or not."};
const MetricSpec kResyncs{"sidetap_registry_resyncs_total", MetricType::kCounter,
                          "Snapshots that taps asked for."};
const MetricSpec kRefused{"sidetap_registry_refused_total", MetricType::kCounter,
                          "Registrations refused, by reason."};
const MetricSpec kUnproven{"sidetap_registry_unproven_addresses_total", MetricType::kCounter,
                           "Addresses left out because the tap did not prove that they are its."};
const MetricSpec kServices{"sidetap_registry_services", MetricType::kGauge,
                           "Service addresses by what is behind them: tapped, untapped, mixed or "
                           "none. Without --registry-services: none at all."};
const MetricSpec kEndpoints{"sidetap_registry_endpoints", MetricType::kGauge,
                            "Endpoints of Services that are known."};
const MetricSpec kHidden{"sidetap_registry_services_published", MetricType::kGauge,
                         "Service addresses whose views taps drop, as published: those with tapped "
                         "backends only, while the API server can be watched."};
const MetricSpec kLeftOut{"sidetap_registry_services_overflow", MetricType::kGauge,
                          "1 while there are more Services or EndpointSlices than are kept."};
const MetricSpec kDelay{"sidetap_registry_propagation_seconds",
                        MetricType::kHistogram,
                        "From a tap's word to its publication.",
                        {0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5}};

/// Two runs of a replica must not use the same numbers for different sets.
std::uint64_t first_version() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

std::string bearer_of(const Request& request) {
  const auto value = request[boost::beast::http::field::authorization];
  constexpr std::string_view kBearer = "Bearer ";
  if (!value.starts_with(kBearer)) return {};
  return std::string(value.substr(kBearer.size()));
}

}  // namespace

struct Server::Impl {
  Impl(ServerConfig given, const http::TlsStore& store, telemetry::MetricsRegistry& registry)
      : config(std::move(given)), tls(store), metrics(registry) {}

  const ServerConfig config;
  const http::TlsStore& tls;
  telemetry::MetricsRegistry& metrics;
  asio::io_context context{1};
  std::thread thread;
  std::optional<tcp::acceptor> acceptor;
  std::optional<Authenticator> authenticator;
  bool stopping = false;

  // The registry's thread only, from here on.
  TapSet taps;
  std::optional<ServiceWatch> services;
  std::uint64_t current_version = first_version();
  ConnectionId last_id = 0;
  std::unordered_map<ConnectionId, std::shared_ptr<Session>> sessions;
  std::shared_ptr<const News> news;
  asio::steady_timer publication{context};
  bool scheduled = false;
  Clock::time_point published_at{};
  Clock::time_point changed_at{};
  // For scrapes, which come from another thread.
  std::atomic<std::size_t> forwarding{0}, registered{0}, listed{0}, connections{0};
  std::atomic<std::uint64_t> version{0};
  std::atomic<std::size_t> tapped{0}, untapped{0}, mixed{0}, none{0};
  std::atomic<std::size_t> endpoints{0}, hidden{0}, left_out{0};

  void renew_news(const std::optional<Delta>& delta) {
    auto fresh = std::make_shared<News>();
    fresh->version = current_version;
    const auto* hide = services ? &services->table().published() : nullptr;
    fresh->snapshot =
        std::make_shared<const std::string>(snapshot_text(current_version, taps.published(), hide));
    if (delta) {
      fresh->change = std::make_shared<const std::string>(change_text(*delta));
      fresh->change_from = delta->from;
    }
    if (news) fresh->ca = news->ca;
    news = std::move(fresh);
    version = current_version;
    listed = taps.published().size();
  }

  void count_taps() {
    forwarding = taps.forwarding();
    registered = taps.connections();
  }

  void changed() {
    count_taps();
    const bool due = taps.changed() || (services && services->table().changed());
    if (!due || std::exchange(scheduled, true)) return;
    changed_at = Clock::now();
    publication.expires_at(std::max(changed_at + config.gather, published_at + config.pace));
    publication.async_wait([this](const boost::system::error_code& error) {
      scheduled = false;
      if (!error) publish();
    });
  }

  /// Taps and Services in one version: a view is dropped together with the news that it may be.
  std::optional<Delta> next_version() {
    Delta delta{current_version, current_version + 1, {}, {}};
    const auto tap_change = taps.flush();
    if (tap_change) delta.taps = *tap_change;
    std::optional<AddressChange> service_change;
    if (services) {
      ServiceTable& table = services->table();
      table.taps_changed(delta.taps);
      service_change = table.flush();
      if (service_change) delta.services = std::move(*service_change);
      count_services(table);
    }
    if (!tap_change && !service_change) return std::nullopt;
    current_version = delta.version;
    return delta;
  }

  void count_services(const ServiceTable& table) {
    const auto counts = table.counts();
    tapped = counts.tapped;
    untapped = counts.untapped;
    mixed = counts.mixed;
    none = counts.none;
    endpoints = table.endpoints();
    hidden = table.published().size();
    const bool over = table.overflowing();
    if (left_out.exchange(over ? 1 : 0) == 0 && over) {
      telemetry::warn("more Services or EndpointSlices than the registry keeps: views are kept",
                      {{"endpoints", table.endpoints()}});
    }
  }

  void publish() {
    published_at = Clock::now();
    const auto delta = next_version();
    if (!delta) return;
    renew_news(delta);
    for (const auto& [id, session] : sessions) session->tell(news);
    metrics.histogram(kDelay).Observe(
        std::chrono::duration<double>(published_at - changed_at).count());
  }

  void refused(const char* reason) { metrics.counter(kRefused, {{"reason", reason}}).Increment(); }

  /// Only addresses that the tap has proved to be its own; without tokens, all.
  asio::awaitable<std::vector<net::IpAddress>> proven(const Session& session,
                                                      const kube::TokenIdentity& identity,
                                                      std::vector<net::IpAddress> claimed) {
    if (!authenticator) co_return claimed;
    const auto source = session.source();
    const auto is_source = [&](const net::IpAddress& address) { return address == source; };
    if (std::all_of(claimed.begin(), claimed.end(), is_source)) co_return claimed;
    const auto known = co_await authenticator->addresses_of(identity);
    const std::size_t before = claimed.size();
    std::erase_if(claimed, [&](const net::IpAddress& address) {
      return !is_source(address) && std::find(known.begin(), known.end(), address) == known.end();
    });
    if (claimed.size() < before) {
      metrics.counter(kUnproven).Increment(static_cast<double>(before - claimed.size()));
      telemetry::warn("a tap names addresses that are not proved to be its",
                      {{"user", identity.user}, {"pod", identity.pod_name}});
    }
    co_return claimed;
  }

  /// Who asks, or nothing when it was declined.
  asio::awaitable<std::optional<kube::TokenIdentity>> admit(Session& session,
                                                            const Request& request) {
    const auto target = request.target();
    if (std::string_view(target.data(), target.size()) != kPath ||
        !boost::beast::websocket::is_upgrade(request)) {
      refused("protocol");
      co_await session.decline(404, "there is the WebSocket /v1/taps");
      co_return std::nullopt;
    }
    if (!authenticator) co_return kube::TokenIdentity{};
    std::string token = bearer_of(request);
    if (token.empty()) {
      refused("no-token");
      co_await session.decline(401, "no bearer token");
      co_return std::nullopt;
    }
    auto identity = co_await authenticator->identify(std::move(token));
    if (!identity) {
      refused("api-server");
      telemetry::warn("a tap's token cannot be checked", {{"reason", identity.error().text}});
      co_await session.decline(503, "the token cannot be checked now");
      co_return std::nullopt;
    }
    if (!identity->authenticated || identity->pod_name.empty()) {
      refused("token");
      co_await session.decline(403,
                               "the token is not that of a pod for audience " + config.audience);
      co_return std::nullopt;
    }
    co_return std::move(*identity);
  }

  asio::awaitable<void> listen_to(const std::shared_ptr<Session> session,
                                  const kube::TokenIdentity identity) {
    bool greeted = false;
    for (;;) {
      const auto text = co_await session->read();
      if (!text) co_return;
      auto message = parse_message(*text);
      if (!message || (!greeted && !std::holds_alternative<TapState>(*message))) {
        refused("protocol");
        std::string reason = message ? "the first message is not hello" : message.error().text;
        co_await session->refuse(std::move(reason));
        co_return;
      }
      if (std::holds_alternative<Resync>(*message)) {
        metrics.counter(kResyncs).Increment();
        session->resync();
      }
      auto* state = std::get_if<TapState>(&*message);
      if (state == nullptr) continue;
      const bool named = !state->addresses.empty();
      auto addresses = co_await proven(*session, identity, std::move(state->addresses));
      if (named && addresses.empty()) {
        refused("addresses");
        co_await session->refuse("none of the addresses is this connection's");
        co_return;
      }
      if (!sessions.contains(session->id())) co_return;
      taps.update(session->id(), addresses, state->forwarding);
      if (!std::exchange(greeted, true)) session->subscribe(news);
      changed();
    }
  }

  asio::awaitable<void> serve(std::shared_ptr<Session> session) {
    asio::steady_timer limit(context, config.handshake);
    limit.async_wait([session](const boost::system::error_code& error) {
      if (!error) session->cut();
    });
    const auto request = co_await session->greet();
    if (!request) co_return;
    auto identity = co_await admit(*session, *request);
    if (!identity) co_return;
    const bool accepted = co_await session->accept(*request, config.silence);
    if (!accepted) co_return;
    limit.cancel();
    co_await listen_to(session, std::move(*identity));
  }

  void begin(tcp::socket socket) {
    const auto session = std::make_shared<Session>(++last_id, std::move(socket), *tls.current());
    sessions.emplace(session->id(), session);
    connections = sessions.size();
    asio::co_spawn(context, serve(session), [this, session](const std::exception_ptr& fault) {
      if (fault) telemetry::error("a connection of the registry failed");
      session->cut();
      sessions.erase(session->id());
      connections = sessions.size();
      taps.remove(session->id());
      changed();
    });
  }

  asio::awaitable<void> accept() {
    asio::steady_timer pause(context);
    while (!stopping) {
      auto [error, socket] = co_await acceptor->async_accept(kTuple);
      if (stopping) break;
      if (error) {
        // Such as a full table of descriptors: it passes, the listener stays.
        telemetry::warn("the registry cannot accept", {{"reason", error.message()}});
        pause.expires_after(kAcceptPause);
        co_await pause.async_wait(kTuple);
      } else if (sessions.size() >= config.most_connections) {
        refused("too-many");
      } else {
        begin(std::move(socket));
      }
    }
  }

  void expose() {
    const auto number = [](const auto& value) {
      return [&value] { return static_cast<double>(value.load()); };
    };
    metrics.expose(kTaps, {{"state", "forwarding"}}, number(forwarding));
    metrics.expose(kTaps, {{"state", "idle"}}, [this] {
      return static_cast<double>(registered.load()) - static_cast<double>(forwarding.load());
    });
    metrics.expose(kAddresses, {}, number(listed));
    metrics.expose(kVersion, {}, number(version));
    metrics.expose(kConnections, {}, number(connections));
    if (!services) return;
    metrics.expose(kServices, {{"backends", "tapped"}}, number(tapped));
    metrics.expose(kServices, {{"backends", "untapped"}}, number(untapped));
    metrics.expose(kServices, {{"backends", "mixed"}}, number(mixed));
    metrics.expose(kServices, {{"backends", "none"}}, number(none));
    metrics.expose(kEndpoints, {}, number(endpoints));
    metrics.expose(kHidden, {}, number(hidden));
    metrics.expose(kLeftOut, {}, number(left_out));
  }

  void end() {
    stopping = true;
    boost::system::error_code ignored;
    acceptor->close(ignored);
    for (const auto& [id, session] : sessions) session->cut();
    publication.cancel();
    if (services) services->stop();
  }
};

Server::Server(ServerConfig config, const http::TlsStore& tls, telemetry::MetricsRegistry& metrics)
    : impl_(std::make_unique<Impl>(std::move(config), tls, metrics)) {}

Server::~Server() { stop(); }

Result<std::uint16_t> Server::start() {
  http::ignore_sigpipe();
  auto acceptor = http::listen(impl_->context.get_executor(), impl_->config.listen);
  if (!acceptor) return acceptor.error();
  const std::uint16_t port = acceptor->local_endpoint().port();
  impl_->acceptor.emplace(std::move(*acceptor));
  if (impl_->config.credentials) {
    AuthenticatorConfig config;
    config.audience = impl_->config.audience;
    impl_->authenticator.emplace(impl_->context.get_executor(), *impl_->config.credentials,
                                 std::move(config));
  }
  if (impl_->config.services) {
    impl_->services.emplace(impl_->context.get_executor(), *impl_->config.services, impl_->metrics,
                            [impl = impl_.get()] { impl->changed(); });
    impl_->services->start();
  }
  impl_->renew_news(std::nullopt);
  impl_->expose();
  asio::co_spawn(impl_->context, impl_->accept(), asio::detached);
  impl_->thread = std::thread([impl = impl_.get()] { impl->context.run(); });
  return port;
}

void Server::set_ca(std::string bundle) {
  asio::post(impl_->context, [impl = impl_.get(), bundle = std::move(bundle)] {
    auto text = std::make_shared<const std::string>(ca_text(bundle));
    if (impl->news && impl->news->ca && *impl->news->ca == *text) return;
    auto fresh = impl->news ? std::make_shared<News>(*impl->news) : std::make_shared<News>();
    fresh->ca = std::move(text);
    impl->news = std::move(fresh);
    for (const auto& [id, session] : impl->sessions) session->tell(impl->news);
  });
}

void Server::stop() {
  if (!impl_->thread.joinable()) return;
  asio::post(impl_->context, [impl = impl_.get()] { impl->end(); });
  impl_->thread.join();
}

}  // namespace sidetap::webhook::registry
