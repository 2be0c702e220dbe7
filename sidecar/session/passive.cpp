#include "sidecar/session/passive.h"

#include <algorithm>

#include <sys/socket.h>

#include "shared/rpcap/codec.h"
#include "shared/telemetry/log.h"
#include "sidecar/session/access.h"
#include "sidecar/session/tls.h"

namespace sidetap::session {
namespace {

namespace asio = boost::asio;

void turn_away(int fd, const std::string& text) {
  const auto bytes = rpcap::encode_error(rpcap::ErrorCode::kHostNotAuthorized, text);
  ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

PassiveListener::Client::Client(Hub& hub, unsigned the_slot)
    : slot(the_slot), own_traffic(hub.control, "client " + std::to_string(the_slot)) {}

PassiveListener::PassiveListener(Hub& hub)
    : hub_(hub), settings_(*hub.config.passive), own_traffic_(hub.control, "listener") {}

Result<std::uint16_t> PassiveListener::start() {
  auto fd = listen_tcp(settings_.listen, [this](const capture::OwnEndpoint& endpoint) {
    return own_traffic_.control(endpoint);
  });
  if (!fd) return Error{settings_.listen.to_string() + ": " + fd.error().text};
  const auto bound = local_endpoint(fd->get());
  if (!bound) return bound.error();
  asio::ip::tcp::acceptor listener(hub_.executor);
  boost::system::error_code failure;
  listener.assign(bound->protocol(), fd->get(), failure);
  if (failure) return Error{settings_.listen.to_string() + ": " + failure.message()};
  static_cast<void>(fd->release());  // the listener owns it from here on
  listener_.emplace(std::move(listener), "client-accept", [this](asio::ip::tcp::socket socket) {
    admit(net::UniqueFd(socket.release()));
  });
  listener_->start(hub_.tasks, [alive = hub_.owner.lock()](const Result<void>&) {});
  return bound->port();
}

void PassiveListener::reconsider() {
  if (!hub_.stopping) return;
  if (listener_) listener_->stop();
  for (Client& client : clients_) client.interruption.request();
}

void PassiveListener::admit(net::UniqueFd fd) {
  const auto peer = peer_endpoint(fd.get());
  if (!peer || hub_.stopping) return;  // disconnected already, or too late
  const Endpoint from = unmapped(*peer);
  const net::IpAddress address = address_of(from);
  const auto& allowed = settings_.clients;
  if (!allowed.empty() && std::none_of(allowed.begin(), allowed.end(), [&](const net::Cidr& cidr) {
        return cidr.contains(address);
      })) {
    hub_.client_refused("address");
    return turn_away(fd.get(), "this address is not allowed to connect");
  }
  if (clients_.size() >= settings_.most_sessions) {
    hub_.client_refused("sessions");
    return turn_away(fd.get(), "the tap serves its maximum number of clients");
  }
  keep_alive(fd.get());
  const Place client = clients_.emplace(clients_.end(), hub_, free_slot());
  const std::string name = net::HostPort{address.to_string(), from.port()}.to_string();
  hub_.spawn("client-session", serve(client, async::AsyncFd(hub_.executor, std::move(fd)), name),
             [this, client](const Result<void>&) { leave(client); });
}

unsigned PassiveListener::free_slot() const {
  unsigned slot = 0;
  const auto taken = [&slot](const Client& client) { return client.slot == slot; };
  while (std::any_of(clients_.begin(), clients_.end(), taken)) ++slot;
  return slot;
}

asio::awaitable<void> PassiveListener::serve(Place client, async::AsyncFd fd, std::string name) {
  const auto cannot = [&](const Error& error) {
    if (const auto kept_back = client_faults_.admit())
      telemetry::warn("a client cannot be served",
                      {{"client", name}, {"detail", error.text}, {"not_logged", *kept_back}});
  };
  auto access = read_access(hub_.config);
  if (!access) {
    cannot(access.error());
    co_return;
  }
  std::shared_ptr<SSL_CTX> tls;
  if (access->tls.role != TlsRole::kNone) {
    auto made = make_tls_context(access->tls);
    if (!made) {
      cannot(made.error());
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
                     .user = std::move(access->user),
                     .password = std::move(access->password),
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
}

}  // namespace sidetap::session
