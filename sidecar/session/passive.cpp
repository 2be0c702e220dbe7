#include "sidecar/session/passive.h"

#include <algorithm>
#include <cerrno>

#include <boost/asio/co_spawn.hpp>
#include <sys/socket.h>

#include "shared/rpcap/codec.h"
#include "shared/telemetry/log.h"
#include "sidecar/session/tls.h"

namespace sidetap::session {
namespace {

namespace asio = boost::asio;

/// After accept() failed, for want of descriptors for example: it would fail again at once.
constexpr std::chrono::milliseconds kAcceptPause{500};

void turn_away(int fd, const std::string& text) {
  const auto bytes = rpcap::encode_error(rpcap::ErrorCode::kHostNotAuthorized, text);
  ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

PassiveListener::Client::Client(Hub& hub, unsigned the_slot)
    : slot(the_slot), own_traffic(hub.control, "client " + std::to_string(the_slot)) {}

PassiveListener::PassiveListener(Hub& hub)
    : hub_(hub), settings_(*hub.config.passive), own_traffic_(hub.control, "listener") {}

Result<std::uint16_t> PassiveListener::listen() {
  auto fd = listen_tcp(settings_.listen, [this](const capture::OwnEndpoint& endpoint) {
    return own_traffic_.control(endpoint);
  });
  if (!fd) return Error{settings_.listen.to_string() + ": " + fd.error().text};
  const auto bound = local_endpoint(fd->get());
  if (!bound) return bound.error();
  listener_.emplace(hub_.executor, std::move(*fd));
  return bound->port();
}

asio::awaitable<void> PassiveListener::run() {
  while (!hub_.stopping) {
    if (co_await listener_->wait(AsyncFd::kRead, std::nullopt, &interruption_) != Wait::kReady) {
      continue;
    }
    net::UniqueFd fd(::accept4(listener_->get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      admit(std::move(fd));
    } else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
      const std::string detail = system_error("accept", errno).text;
      if (const auto kept_back = accept_faults_.admit())
        telemetry::warn("a client cannot be accepted",
                        {{"detail", detail}, {"not_logged", *kept_back}});
      co_await sleep(hub_.executor, kAcceptPause, &interruption_);
    }
  }
  listener_.reset();
  while (!clients_.empty()) {
    emptied_.clear();
    co_await sleep(hub_.executor, std::chrono::hours(24), &emptied_);
  }
}

void PassiveListener::reconsider() {
  if (!hub_.stopping) return;
  interruption_.request();
  for (Client& client : clients_) client.interruption.request();
}

void PassiveListener::admit(net::UniqueFd fd) {
  const auto peer = peer_endpoint(fd.get());
  if (!peer) return;  // gone already
  const Endpoint from = unmapped(*peer);
  const net::IpAddress address = address_of(from);
  const auto& allowed = settings_.clients;
  if (!allowed.empty() && std::none_of(allowed.begin(), allowed.end(), [&](const net::Cidr& cidr) {
        return cidr.contains(address);
      })) {
    hub_.client_refused("address");
    return turn_away(fd.get(), "this address may not dial the tap");
  }
  if (clients_.size() >= settings_.most_sessions) {
    hub_.client_refused("sessions");
    return turn_away(fd.get(), "the tap serves as many clients as it may");
  }
  keep_alive(fd.get());
  const Place client = clients_.emplace(clients_.end(), hub_, free_slot());
  const std::string name = net::HostPort{address.to_string(), from.port()}.to_string();
  asio::co_spawn(hub_.executor, serve(client, AsyncFd(hub_.executor, std::move(fd)), name),
                 [this, client](const std::exception_ptr&) { leave(client); });
}

unsigned PassiveListener::free_slot() const {
  unsigned slot = 0;
  const auto taken = [&slot](const Client& client) { return client.slot == slot; };
  while (std::any_of(clients_.begin(), clients_.end(), taken)) ++slot;
  return slot;
}

asio::awaitable<void> PassiveListener::serve(Place client, AsyncFd fd, std::string name) {
  std::shared_ptr<SSL_CTX> tls;
  if (hub_.config.tls.role != TlsRole::kNone) {
    auto made = make_tls_context(hub_.config.tls);
    if (!made) {
      if (const auto kept_back = client_faults_.admit())
        telemetry::warn(
            "a client cannot be served",
            {{"client", name}, {"detail", made.error().text}, {"not_logged", *kept_back}});
      co_return;
    }
    tls = std::move(*made);
  }
  SessionParts parts{.config = hub_.config,
                     .control = hub_.control,
                     .own_traffic = client->own_traffic,
                     .interruption = client->interruption,
                     .peer_name = name,
                     .peer_host = {},
                     .active = false,
                     .ipv6_family = settings_.ipv6_family,
                     .udp_format = settings_.udp_format,
                     .tls = std::move(tls),
                     .on_phase = [this, client](Phase phase) {
                       hub_.moved(Partner::kClient, client->standing, standing_of(phase));
                       client->standing = standing_of(phase);
                     }};
  const auto session = std::make_shared<LiveSession>(std::move(parts), std::move(fd));
  const End end = co_await session->run();
  hub_.ended(name_of(end.kind));
  telemetry::info("session with client ended",
                  {{"client", name}, {"cause", name_of(end.kind)}, {"detail", end.text}});
}

void PassiveListener::leave(Place client) {
  hub_.moved(Partner::kClient, client->standing, Standing::kNone);
  client->own_traffic.clear();
  clients_.erase(client);
  emptied_.request();
}

}  // namespace sidetap::session
