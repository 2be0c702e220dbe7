#include "webhook/registry/server.h"

#include <algorithm>
#include <functional>
#include <map>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>

#include "shared/async/accept_loop.h"
#include "shared/async/backoff.h"
#include "shared/async/task_group.h"
#include "shared/async/tuple.h"
#include "shared/http/listener.h"
#include "shared/registry/codec.h"
#include "shared/telemetry/log.h"
#include "shared/telemetry/log_throttle.h"
#include "webhook/registry/api_queue.h"
#include "webhook/registry/authenticator.h"
#include "webhook/registry/authority.h"
#include "webhook/registry/bearer.h"
#include "webhook/registry/bulletin.h"
#include "webhook/registry/claim.h"
#include "webhook/registry/connection.h"
#include "webhook/registry/metrics.h"
#include "webhook/registry/session.h"

namespace sidetap::webhook::registry {
namespace {

namespace asio = boost::asio;
namespace wire = sidetap::registry;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;
/// How often the API server may say that an address is not the pod's. The last answer comes 30 s or
/// more after the first.
constexpr int kMostAnswers = 7;
constexpr std::chrono::milliseconds kMostProofWait{60'000};

/// Two runs of a replica must not use the same version for different sets.
std::uint64_t first_version() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

}  // namespace

struct Server::Impl {
  Impl(ServerConfig given, const http::TlsStore& store, telemetry::MetricsRegistry& registry)
      : config(std::move(given)),
        tls(store),
        metrics(registry),
        tasks(context.get_executor(), &metrics) {}

  const ServerConfig config;
  const http::TlsStore& tls;
  telemetry::MetricsRegistry& metrics;
  asio::io_context context{1};
  async::TaskGroup tasks;
  std::thread thread;
  std::optional<async::AcceptLoop> listener;
  telemetry::LogThrottle token_faults{5, std::chrono::minutes(1)};
  std::optional<ApiQueue> api_queue;
  std::optional<Authenticator> authenticator;
  bool stopping = false;

  // The members below are for the registry's thread only.
  Figures figures;
  std::optional<ServiceWatch> services;
  std::optional<Bulletin> bulletin;
  std::optional<Identities> identities;
  ConnectionId last_id = 0;
  Connections connections;
  std::map<std::optional<net::IpAddress>, std::size_t> strangers;  // connections before their hello
  std::optional<IdentityApi> identity_api;
  Authority authority;
  asio::steady_timer publication{context};
  async::Chance chance;
  bool scheduled = false;
  Clock::time_point published_at{};
  Clock::time_point changed_at{};

  void changed() {
    figures.count(bulletin->taps(), bulletin->version());
    if (!bulletin->due() || std::exchange(scheduled, true)) return;
    changed_at = Clock::now();
    publication.expires_at(std::max(changed_at + config.gather, published_at + config.pace));
    publication.async_wait([this](const boost::system::error_code& error) {
      scheduled = false;
      if (!error) publish();
    });
  }

  void tell_all() {
    for (const auto& [id, tap] : connections) tap->session->tell(bulletin->news());
  }

  void publish() {
    published_at = Clock::now();
    if (!bulletin->publish()) return;
    tell_all();
    metrics.histogram(kDelay).Observe(
        std::chrono::duration<double>(published_at - changed_at).count());
  }

  /// Call it after set_ca(), and when the certificate may have changed.
  void renew_ca() {
    if (!authority.review(tls.current())) return;
    figures.count_ca(authority.text() != nullptr);
    bulletin->tell_ca(authority.text());
    tell_all();
  }

  void refused(const char* reason) { metrics.counter(kRefused, {{"reason", reason}}).Increment(); }

  /// The identity of the peer; nothing if the request was declined.
  asio::awaitable<std::optional<kube::TokenIdentity>> admit(Session& session) {
    if (session.request().target() != wire::kPath || !session.request().is_upgrade()) {
      refused("protocol");
      co_await session.decline(404, "there is the WebSocket /v1/taps");
      co_return std::nullopt;
    }
    if (!authenticator) co_return kube::TokenIdentity{};
    std::string token = bearer_of(session.request().field("Authorization"));
    if (token.empty()) {
      refused("no-token");
      co_await session.decline(401, "no bearer token");
      co_return std::nullopt;
    }
    if (!is_token(token)) {
      refused("token");
      co_await session.decline(401, "the bearer token is malformed");
      co_return std::nullopt;
    }
    Asker asker{session.source(), [&session] { return !session.has_ended(); }};
    const auto answer = co_await authenticator->identify(std::move(asker), std::move(token));
    using Kind = Authenticator::TokenAnswer::Kind;
    if (stopping || answer.is(Kind::kUnwanted)) co_return std::nullopt;
    if (!answer.is(Kind::kAnswered)) {
      const bool crowded_out = answer.is(Kind::kCrowdedOut);
      refused(crowded_out ? "crowded-out" : "api-server");
      if (!crowded_out) {
        if (const auto kept_back = token_faults.admit())
          telemetry::warn("a tap's token cannot be checked",
                          {{"reason", answer.reason}, {"not_logged", *kept_back}});
      }
      co_await session.decline(503, "the token cannot be checked now");
      co_return std::nullopt;
    }
    const kube::TokenIdentity& identity = answer.value;
    if (!identity.authenticated || identity.pod_name.empty()) {
      refused("token");
      co_await session.decline(403,
                               "the token is not that of a pod for audience " + config.audience);
      co_return std::nullopt;
    }
    co_return identity;
  }

  /// Publishes the proved part of what the tap claims.
  void apply(const Connection& tap) {
    bulletin->taps().update(tap.session->id(), tap.claim.proved(), tap.claim.forwarding(),
                            tap.rules);
    identities->proved(tap.session->id(), tap.identity, tap.claim.proved());
    if (services && tap.claim.ended()) services->table().ended(tap.claim.proved());
    changed();
  }

  /// Asks the API server whether the addresses that the connection does not prove are the pod's.
  /// Asks again, because the kubelet may not have reported them yet, or the API server may be
  /// unavailable.
  asio::awaitable<void> prove(const std::shared_ptr<Connection> tap) {
    async::Backoff backoff({config.proof_wait, kMostProofWait});
    using Kind = Authenticator::AddressesAnswer::Kind;
    const Asker asker{tap->session->source(), [tap] { return !tap->ended; }};
    for (int answers = 0; !tap->ended && tap->claim.wants_proof();) {
      const auto known = co_await authenticator->addresses_of(asker, tap->identity);
      if (tap->ended || known.is(Kind::kUnwanted)) co_return;
      if (known.is(Kind::kAnswered)) {
        tap->claim.prove(known.value.value_or(wire::Addresses()));
        apply(*tap);
        if (!known.value || ++answers == kMostAnswers) tap->claim.give_up();
        // Not earlier: the kubelet often has not reported all addresses of a new pod yet.
        if (!tap->claim.wants_proof() && tap->claim.unproved() > 0) report_unproven(*tap);
        if (tap->claim.forwarding() && tap->claim.proved().empty()) {
          refused("addresses");
          co_await tap->session->refuse("none of the addresses is this connection's");
          tap->session->cut();
          co_return;
        }
      }
      tap->again.expires_after(backoff.wait(chance()));
      if (tap->claim.wants_proof()) co_await tap->again.async_wait(async::kTuple);
    }
  }

  void report_unproven(Connection& tap) {
    if (std::exchange(tap.reported, true)) return;
    metrics.counter(kUnproven).Increment(static_cast<double>(tap.claim.unproved()));
    telemetry::warn("a tap claims addresses that it has not proved",
                    {{"user", tap.identity.user}, {"pod", tap.identity.pod_name}});
  }

  void take(const std::shared_ptr<Connection>& tap, wire::State state) {
    tap->claim.say(std::move(state));
    // At once: a tap that stops forwarding needs no proof.
    apply(*tap);
    if (!authenticator || !tap->claim.wants_proof() || std::exchange(tap->proving, true)) return;
    tasks.spawn("registry-proof", prove(tap), [tap](const Result<void>& outcome) {
      tap->proving = false;
      // Nothing that the tap claims is proved. It may try again on a new connection.
      if (!outcome) tap->session->cut();
    });
  }

  /// Hello must come first, and once: it states the tap's protocol version.
  Result<void> hear(const std::shared_ptr<Connection>& tap, std::string_view text) {
    auto message = wire::decode_tap_message(text);
    if (!message) return message.error();
    auto* const hello = std::get_if<wire::Hello>(&*message);
    if (hello == nullptr && !tap->greeted) return Error{"the first message is not hello"};
    if (hello != nullptr && std::exchange(tap->greeted, true)) return Error{"hello comes once"};
    if (hello != nullptr) {
      tap->limit.cancel();
      known_now(*tap);
      tap->rules = hello->rules;
      tap->session->subscribe(bulletin->news());
      take(tap, std::move(hello->state));
    } else if (auto* const state = std::get_if<wire::State>(&*message)) {
      take(tap, std::move(*state));
    } else if (std::holds_alternative<wire::Resync>(*message)) {
      metrics.counter(kResyncs).Increment();
      tap->session->resync();
    }
    return {};
  }

  asio::awaitable<void> listen_to(const std::shared_ptr<Connection> tap) {
    for (;;) {
      const auto text = co_await tap->session->read();
      if (!text) co_return;
      if (const auto heard = hear(tap, *text); !heard) {
        refused("protocol");
        co_await tap->session->refuse(heard.error().text);
        co_return;
      }
    }
  }

  asio::awaitable<void> serve(const std::shared_ptr<Connection> tap) {
    // Until the tap has sent hello.
    tap->limit.expires_after(config.handshake);
    tap->limit.async_wait([tap](const boost::system::error_code& error) {
      if (!error) tap->session->cut();
    });
    const bool greeted = co_await tap->session->greet();
    if (!greeted) co_return;
    if (identity_api && !tap->session->request().is_upgrade()) {
      // Named, because GCC 12 destroys a temporary closure twice.
      const std::function<void()> admitted = [tap] { tap->limit.cancel(); };
      co_await identity_api->serve(tap->session, admitted);
      co_return;
    }
    auto identity = co_await admit(*tap->session);
    if (!identity) co_return;
    tap->identity = std::move(*identity);
    const bool accepted = co_await tap->session->accept();
    if (accepted) co_await listen_to(tap);
  }

  /// The connection no longer counts as a stranger.
  void known_now(const Connection& tap) {
    const auto source = strangers.find(tap.session->source());
    if (source != strangers.end() && --source->second == 0) strangers.erase(source);
  }

  void begin(tcp::socket socket) {
    const auto source = source_of(socket);
    std::size_t& strangers_there = strangers[source];
    if (strangers_there >= config.most_strangers) return refused("too-many-from-one-address");
    ++strangers_there;
    renew_ca();
    const auto tap = std::make_shared<Connection>(
        std::make_shared<Session>(tasks, ++last_id, source, std::move(socket), *tls.current(),
                                  config.silence),
        authenticator ? Claim(source) : Claim::of_anybody());
    connections.emplace(tap->session->id(), tap);
    figures.count_connections(connections.size());
    tasks.spawn("registry-connection", serve(tap),
                [this, tap](const Result<void>&) { end_of(*tap); });
  }

  void end_of(Connection& tap) {
    tap.ended = true;
    tap.limit.cancel();
    tap.again.cancel();
    tap.session->cut();
    if (!tap.greeted) known_now(tap);
    connections.erase(tap.session->id());
    figures.count_connections(connections.size());
    identities->ended(tap.session->id(), tap.session->heard());
    bulletin->taps().remove(tap.session->id());
    changed();
  }

  void take(tcp::socket socket) {
    if (stopping) return;
    if (connections.size() >= config.most_connections) return refused("too-many");
    begin(std::move(socket));
  }

  void end() {
    stopping = true;
    listener->stop();
    for (const auto& [id, tap] : connections) tap->session->cut();
    publication.cancel();
    if (api_queue) api_queue->stop();
    if (services) services->stop();
    identities->stop();
  }

  /// When the connection was last heard; nothing if it has ended.
  std::optional<Clock::time_point> heard(ConnectionId id) const {
    const auto found = connections.find(id);
    if (found == connections.end()) return std::nullopt;
    return found->second->session->heard();
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
  if (impl_->config.credentials) {
    AuthenticatorConfig config;
    config.audience = impl_->config.audience;
    impl_->api_queue.emplace(impl_->context.get_executor(), *impl_->config.credentials,
                             ApiQueueConfig{}, impl_->metrics);
    impl_->authenticator.emplace(*impl_->api_queue, std::move(config));
  }
  if (impl_->config.services) {
    impl_->services.emplace(impl_->context.get_executor(), *impl_->config.services, impl_->metrics,
                            [impl = impl_.get()] { impl->changed(); });
  }
  impl_->bulletin.emplace(first_version(), impl_->services ? &impl_->services->table() : nullptr,
                          impl_->figures);
  impl_->identities.emplace(
      impl_->context.get_executor(), impl_->config.identity, first_version(),
      [impl = impl_.get()](ConnectionId id) { return impl->heard(id); }, impl_->metrics);
  impl_->identities->start();
  if (impl_->api_queue && impl_->config.identity_api.enabled) {
    impl_->identity_api.emplace(
        *impl_->api_queue, impl_->identities->ledger(),
        [impl = impl_.get()] { return states_of(impl->connections); }, impl_->config.identity_api,
        impl_->metrics);
  }
  if (impl_->services) impl_->services->start();
  impl_->figures.expose(impl_->metrics, impl_->services.has_value());
  impl_->listener.emplace(
      std::move(*acceptor), "registry-accept",
      [impl = impl_.get()](tcp::socket socket) { impl->take(std::move(socket)); });
  impl_->listener->start(impl_->tasks);
  impl_->thread = std::thread([impl = impl_.get()] { impl->context.run(); });
  return port;
}

void Server::set_ca(std::string bundle) {
  asio::post(impl_->context, [impl = impl_.get(), bundle = std::move(bundle)] {
    impl->authority.set(bundle);
    impl->renew_ca();
  });
}

void Server::with_ledger(std::function<void(const identity::Ledger&)> use) {
  asio::post(impl_->context, [impl = impl_.get(), use = std::move(use)] {
    if (impl->identities) use(impl->identities->ledger());
  });
}

void Server::stop() {
  if (!impl_->thread.joinable()) return;
  asio::post(impl_->context, [impl = impl_.get()] { impl->end(); });
  impl_->thread.join();
}

}  // namespace sidetap::webhook::registry
