#include "webhook/registry/server.h"

#include <algorithm>
#include <functional>
#include <map>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <prometheus/histogram.h>

#include "shared/async/accept_loop.h"
#include "shared/async/task_group.h"
#include "shared/http/listener.h"
#include "webhook/registry/api_queue.h"
#include "webhook/registry/authenticator.h"
#include "webhook/registry/authority.h"
#include "webhook/registry/bulletin.h"
#include "webhook/registry/claim.h"
#include "webhook/registry/connection.h"
#include "webhook/registry/metrics.h"
#include "webhook/registry/session.h"
#include "webhook/registry/tap_desk.h"
#include "webhook/registry/tap_inventory.h"
#include "webhook/registry/token_check.h"

namespace sidetap::webhook::registry {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

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
  std::optional<ApiQueue> api_queue;
  std::optional<Authenticator> authenticator;
  std::optional<TokenCheck> token_check;
  bool stopping = false;

  // The members below are for the registry's thread only.
  Figures figures;
  std::optional<ServiceWatch> services;
  std::optional<Bulletin> bulletin;
  std::optional<Identities> identities;
  ConnectionId last_id = 0;
  Connections connections;
  std::map<std::optional<net::IpAddress>, std::size_t> strangers;  // connections before their hello
  std::optional<TapInventory> inventory;
  std::optional<SettingsRound> settings;
  std::optional<TapDesk> desk;
  std::optional<IdentityApi> identity_api;
  Authority authority;
  asio::steady_timer publication{context};
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

  void refused(const char* reason) { count_refused(metrics, reason); }

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
      const std::function<void()> admitted = [this, tap] {
        tap->limit.cancel();
        tap->greeted = true;
        known_now(*tap);
      };
      co_await identity_api->serve(tap->session, admitted);
      co_return;
    }
    auto identity = co_await token_check->admit(*tap->session);
    if (!identity) co_return;
    tap->identity = std::move(*identity);
    const bool accepted = co_await tap->session->accept();
    if (accepted) co_await desk->listen_to(tap);
  }

  /// The connection no longer counts as a stranger.
  void known_now(const Connection& tap) {
    const auto source = strangers.find(tap.session->source());
    if (source != strangers.end() && --source->second == 0) strangers.erase(source);
  }

  void begin(tcp::socket socket) {
    // There is none yet if its files were replaced while the program began.
    const auto certificate = tls.current();
    if (!certificate) return refused("no-certificate");
    const auto source = source_of(socket);
    std::size_t& strangers_there = strangers[source];
    if (strangers_there >= config.most_strangers) return refused("too-many-from-one-address");
    ++strangers_there;
    renew_ca();
    const auto tap = std::make_shared<Connection>(
        std::make_shared<Session>(tasks, ++last_id, source, std::move(socket), *certificate,
                                  config.silence),
        authenticator ? Claim(source) : Claim::of_anybody(),
        async::BackoffBounds{config.proof_wait, kMostProofWait});
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
    inventory->ended(tap.session->id());
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
    token_check->stop();
    publication.cancel();
    settings->stop();
    inventory->stop();
    if (api_queue) api_queue->stop();
    if (services) services->stop();
    identities->stop();
  }

  /// What everything else stands on.
  void make_parts() {
    const auto executor = context.get_executor();
    if (config.credentials) {
      AuthenticatorConfig wanted;
      wanted.audience = config.audience;
      api_queue.emplace(executor, *config.credentials, ApiQueueConfig{}, metrics);
      authenticator.emplace(*api_queue, std::move(wanted));
    }
    token_check.emplace(authenticator ? &*authenticator : nullptr, config.audience, metrics);
    if (config.services)
      services.emplace(executor, *config.services, metrics, [this] { changed(); });
    bulletin.emplace(first_version(), services ? &services->table() : nullptr, figures);
    identities.emplace(
        executor, config.identity, first_version(), [this](ConnectionId id) { return heard(id); },
        metrics);
    inventory.emplace(executor, figures);
    settings.emplace(executor, connections, *inventory, authenticator.has_value(),
                     config.settings_pace);
    identities->start();
    inventory->start();
    if (services) services->start();
    figures.expose(metrics, services.has_value());
  }

  void make_desk() {
    desk.emplace(TapDeskParts{.tasks = tasks,
                              .metrics = metrics,
                              .bulletin = *bulletin,
                              .identities = *identities,
                              .inventory = *inventory,
                              .settings = *settings,
                              .authenticator = authenticator ? &*authenticator : nullptr,
                              .services = services ? &services->table() : nullptr,
                              .changed = [this] { changed(); },
                              .greeted = [this](const Connection& tap) { known_now(tap); }});
    if (api_queue && config.identity_api.enabled) {
      identity_api.emplace(*api_queue, identities->ledger(), inventory->taps(), config.identity_api,
                           metrics);
    }
  }

  View view() {
    return {.inventory = inventory->taps(),
            .ledger = identities->ledger(),
            .services = services ? &services->table() : nullptr,
            .generation = settings->generation()};
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
  impl_->make_parts();
  impl_->make_desk();
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

void Server::set_profiles(std::shared_ptr<const profiles::Profiles> known) {
  asio::post(impl_->context,
             [impl = impl_.get(), known = std::move(known)] { impl->settings->set(known); });
}

void Server::with_view(std::function<void(const View&)> use) {
  asio::post(impl_->context, [impl = impl_.get(), use = std::move(use)] { use(impl->view()); });
}

void Server::stop() {
  if (!impl_->thread.joinable()) return;
  asio::post(impl_->context, [impl = impl_.get()] { impl->end(); });
  impl_->thread.join();
}

}  // namespace sidetap::webhook::registry
