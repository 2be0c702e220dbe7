#include "webhook/registry/server.h"

#include <algorithm>
#include <map>
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
#include "shared/telemetry/log_throttle.h"
#include "webhook/registry/authenticator.h"
#include "webhook/registry/claim.h"
#include "webhook/registry/metrics.h"
#include "webhook/registry/session.h"

namespace sidetap::webhook::registry {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
/// So often the API server may say that an address is not the pod's, in the end 30 s after the
/// first time.
constexpr int kMostAnswers = 6;
constexpr std::chrono::milliseconds kMostProofWait{60'000};

/// Two runs of a replica must not use the same numbers for different sets.
std::uint64_t first_version() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

std::string bearer_of(const http::WebSocket& request) {
  const std::string_view value = request.field("Authorization");
  constexpr std::string_view kBearer = "Bearer ";
  if (!value.starts_with(kBearer)) return {};
  return std::string(value.substr(kBearer.size()));
}

/// One or more of the characters that a bearer token has, then padding (RFC 6750, 2.1: b64token).
bool is_token(std::string_view text) {
  constexpr std::string_view kCharacters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/";
  const auto padding = text.find_first_not_of(kCharacters);
  return padding != 0 && text.find_first_not_of('=', padding) == text.npos;
}

}  // namespace

struct Server::Impl {
  struct Connection {
    Connection(std::shared_ptr<Session> the_session, Claim the_claim)
        : session(std::move(the_session)),
          claim(std::move(the_claim)),
          limit(session->executor()),
          again(session->executor()) {}
    const std::shared_ptr<Session> session;
    Claim claim;
    kube::TokenIdentity identity;
    asio::steady_timer limit;  // for hello
    asio::steady_timer again;  // for the next proof
    bool greeted = false, proving = false, reported = false, ended = false;
  };

  Impl(ServerConfig given, const http::TlsStore& store, telemetry::MetricsRegistry& registry)
      : config(std::move(given)), tls(store), metrics(registry) {}

  const ServerConfig config;
  const http::TlsStore& tls;
  telemetry::MetricsRegistry& metrics;
  asio::io_context context{1};
  std::thread thread;
  std::optional<tcp::acceptor> acceptor;
  telemetry::LogThrottle accept_faults{1, std::chrono::minutes(1)};
  telemetry::LogThrottle token_faults{5, std::chrono::minutes(1)};
  std::optional<Authenticator> authenticator;
  bool stopping = false;

  // The registry's thread only, from here on.
  TapSet taps;
  std::optional<ServiceWatch> services;
  std::uint64_t current_version = first_version();
  ConnectionId last_id = 0;
  std::unordered_map<ConnectionId, std::shared_ptr<Connection>> connections;
  std::map<std::optional<net::IpAddress>, std::size_t> strangers;  // have not said hello yet
  std::shared_ptr<const News> news;
  asio::steady_timer publication{context};
  bool scheduled = false;
  Clock::time_point published_at{};
  Clock::time_point changed_at{};
  Figures figures;

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
    figures.count(taps, current_version);
  }

  void changed() {
    figures.count(taps, current_version);
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
      figures.count(table);
    }
    if (!tap_change && !service_change) return std::nullopt;
    current_version = delta.version;
    return delta;
  }

  void publish() {
    published_at = Clock::now();
    const auto delta = next_version();
    if (!delta) return;
    renew_news(delta);
    for (const auto& [id, tap] : connections) tap->session->tell(news);
    metrics.histogram(kDelay).Observe(
        std::chrono::duration<double>(published_at - changed_at).count());
  }

  void refused(const char* reason) { metrics.counter(kRefused, {{"reason", reason}}).Increment(); }

  /// Who asks, or nothing when it was declined.
  asio::awaitable<std::optional<kube::TokenIdentity>> admit(Session& session) {
    if (session.request().target() != kPath || !session.request().is_upgrade()) {
      refused("protocol");
      co_await session.decline(404, "there is the WebSocket /v1/taps");
      co_return std::nullopt;
    }
    if (!authenticator) co_return kube::TokenIdentity{};
    std::string token = bearer_of(session.request());
    if (token.empty()) {
      refused("no-token");
      co_await session.decline(401, "no bearer token");
      co_return std::nullopt;
    }
    if (!is_token(token)) {
      refused("token");
      co_await session.decline(401, "the bearer is no token");
      co_return std::nullopt;
    }
    const Authenticator::Wanted wanted = [&session] { return !session.has_ended(); };
    const auto answer = co_await authenticator->identify(std::move(token), wanted);
    if (stopping || (answer && !*answer)) co_return std::nullopt;
    if (!answer) {
      refused("api-server");
      if (const auto kept_back = token_faults.admit())
        telemetry::warn("a tap's token cannot be checked",
                        {{"reason", answer.error().text}, {"not_logged", *kept_back}});
      co_await session.decline(503, "the token cannot be checked now");
      co_return std::nullopt;
    }
    const kube::TokenIdentity& identity = **answer;
    if (!identity.authenticated || identity.pod_name.empty()) {
      refused("token");
      co_await session.decline(403,
                               "the token is not that of a pod for audience " + config.audience);
      co_return std::nullopt;
    }
    co_return identity;
  }

  /// Publishes what is proved of what the tap says.
  void apply(const Connection& tap) {
    taps.update(tap.session->id(), tap.claim.proved(), tap.claim.forwarding());
    changed();
  }

  /// Asks whether the addresses that the connection does not prove are the pod's. The kubelet may
  /// be about to tell the API server of them, and that may be away: so it is asked again.
  asio::awaitable<void> prove(const std::shared_ptr<Connection> tap) {
    auto wait = config.proof_wait;
    const Authenticator::Wanted wanted = [tap] { return !tap->ended; };
    for (int answers = 0; !tap->ended && tap->claim.wants_proof();) {
      const auto known = co_await authenticator->addresses_of(tap->identity, wanted);
      if (tap->ended) co_return;
      if (known) {
        tap->claim.prove(known->value_or(std::vector<net::IpAddress>()));
        apply(*tap);
        if (!*known || ++answers == kMostAnswers) tap->claim.give_up();
        if (tap->claim.unproved() > 0) report_unproven(*tap);
        if (tap->claim.forwarding() && tap->claim.proved().empty()) {
          refused("addresses");
          co_await tap->session->refuse("none of the addresses is this connection's");
          tap->session->cut();
          co_return;
        }
      }
      tap->again.expires_after(wait);
      wait = std::min(wait * 2, kMostProofWait);
      if (tap->claim.wants_proof()) co_await tap->again.async_wait(kTuple);
    }
  }

  void report_unproven(Connection& tap) {
    if (std::exchange(tap.reported, true)) return;
    metrics.counter(kUnproven).Increment(static_cast<double>(tap.claim.unproved()));
    telemetry::warn("a tap names addresses that are not proved to be its",
                    {{"user", tap.identity.user}, {"pod", tap.identity.pod_name}});
  }

  void take(const std::shared_ptr<Connection>& tap, TapState state) {
    tap->claim.say(std::move(state));
    if (!std::exchange(tap->greeted, true)) {
      tap->limit.cancel();
      known_now(*tap);
      tap->session->subscribe(news);
    }
    // At once: that a tap forwards no more waits for no proof.
    apply(*tap);
    if (!authenticator || !tap->claim.wants_proof() || std::exchange(tap->proving, true)) return;
    asio::co_spawn(context, prove(tap), [tap](const std::exception_ptr&) { tap->proving = false; });
  }

  asio::awaitable<void> listen_to(const std::shared_ptr<Connection> tap) {
    for (;;) {
      const auto text = co_await tap->session->read();
      if (!text) co_return;
      auto message = parse_message(*text);
      if (!message || (!tap->greeted && !std::holds_alternative<TapState>(*message))) {
        refused("protocol");
        std::string reason = message ? "the first message is not hello" : message.error().text;
        co_await tap->session->refuse(std::move(reason));
        co_return;
      }
      if (std::holds_alternative<Resync>(*message)) {
        metrics.counter(kResyncs).Increment();
        tap->session->resync();
      }
      if (auto* state = std::get_if<TapState>(&*message)) take(tap, std::move(*state));
    }
  }

  asio::awaitable<void> serve(const std::shared_ptr<Connection> tap) {
    // Until hello has been said.
    tap->limit.expires_after(config.handshake);
    tap->limit.async_wait([tap](const boost::system::error_code& error) {
      if (!error) tap->session->cut();
    });
    const bool greeted = co_await tap->session->greet();
    if (!greeted) co_return;
    auto identity = co_await admit(*tap->session);
    if (!identity) co_return;
    tap->identity = std::move(*identity);
    const bool accepted = co_await tap->session->accept();
    if (accepted) co_await listen_to(tap);
  }

  /// Is no stranger any more.
  void known_now(const Connection& tap) {
    const auto source = strangers.find(tap.session->source());
    if (source != strangers.end() && --source->second == 0) strangers.erase(source);
  }

  void begin(tcp::socket socket) {
    const auto source = source_of(socket);
    std::size_t& strangers_there = strangers[source];
    if (strangers_there >= config.most_strangers) return refused("too-many-from-one-address");
    ++strangers_there;
    const auto tap =
        std::make_shared<Connection>(std::make_shared<Session>(++last_id, source, std::move(socket),
                                                               *tls.current(), config.silence),
                                     authenticator ? Claim(source) : Claim::of_anybody());
    connections.emplace(tap->session->id(), tap);
    figures.count_connections(connections.size());
    asio::co_spawn(context, serve(tap), [this, tap](const std::exception_ptr& fault) {
      if (fault) telemetry::error("a connection of the registry failed");
      end_of(*tap);
    });
  }

  void end_of(Connection& tap) {
    tap.ended = true;
    tap.limit.cancel();
    tap.again.cancel();
    tap.session->cut();
    if (!tap.greeted) known_now(tap);
    connections.erase(tap.session->id());
    figures.count_connections(connections.size());
    taps.remove(tap.session->id());
    changed();
  }

  asio::awaitable<void> accept() {
    asio::steady_timer pause(context);
    while (!stopping) {
      auto [error, socket] = co_await acceptor->async_accept(kTuple);
      if (stopping) break;
      if (error) {
        // Such as a full table of descriptors: it passes, the listener stays.
        if (const auto kept_back = accept_faults.admit())
          telemetry::warn("the registry cannot accept",
                          {{"reason", error.message()}, {"not_logged", *kept_back}});
        pause.expires_after(kAcceptPause);
        co_await pause.async_wait(kTuple);
      } else if (connections.size() >= config.most_connections) {
        refused("too-many");
      } else {
        begin(std::move(socket));
      }
    }
  }

  void end() {
    stopping = true;
    boost::system::error_code ignored;
    acceptor->close(ignored);
    for (const auto& [id, tap] : connections) tap->session->cut();
    publication.cancel();
    if (authenticator) authenticator->stop();
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
  impl_->figures.expose(impl_->metrics, impl_->services.has_value());
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
    for (const auto& [id, tap] : impl->connections) tap->session->tell(impl->news);
  });
}

void Server::stop() {
  if (!impl_->thread.joinable()) return;
  asio::post(impl_->context, [impl = impl_.get()] { impl->end(); });
  impl_->thread.join();
}

}  // namespace sidetap::webhook::registry
