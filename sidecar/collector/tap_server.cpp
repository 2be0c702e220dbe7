#include "sidecar/collector/tap_server.h"

#include <algorithm>
#include <utility>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include "shared/async/waiting.h"
#include "shared/http/listener.h"
#include "shared/telemetry/log.h"
#include "shared/telemetry/metrics.h"
#include "sidecar/collector/metrics.h"
#include "sidecar/session/sockets.h"

namespace sidetap::collector {
namespace {

namespace asio = boost::asio;

/// For sessions to end in good order, and for those that do not.
constexpr std::chrono::milliseconds kStopLimit{5'000};
constexpr std::chrono::milliseconds kCancelLimit{1'000};

std::string phase_label(TapPhase phase) {
  switch (phase) {
    case TapPhase::kOpening:
      return "opening";
    case TapPhase::kStarting:
      return "starting";
    case TapPhase::kCapturing:
      return "capturing";
    default:
      return "ending";
  }
}

bool is_allowed(const std::vector<net::Cidr>& allow, const net::IpAddress& address) {
  return allow.empty() || std::any_of(allow.begin(), allow.end(), [&](const net::Cidr& cidr) {
           return cidr.contains(address);
         });
}

/// What is proved comes before what the tap says.
forwarding::TapIdentity identity_of(const net::IpAddress& from, const rpcap::Interface& interface,
                                    const ProvedPod* proved) {
  forwarding::TapIdentity identity{.from = from,
                                   .description = interface.description,
                                   .interface = interface.name,
                                   .addresses = {}};
  if (proved != nullptr) {
    identity.addresses = proved->addresses;
    identity.uid = proved->uid;
    identity.node = proved->node;
    identity.proved = true;
    return identity;
  }
  for (const rpcap::InterfaceAddress& entry : interface.addresses) {
    if (entry.address) identity.addresses.push_back(*entry.address);
  }
  return identity;
}

}  // namespace

struct TapServer::Entry {
  std::uint32_t origin = 0;
  net::IpAddress from;
  std::string name;  // "HOST:PORT"
  std::optional<TapPhase> phase{};
  rpcap::Stats told{};
  std::shared_ptr<TapSession> session{};
};

TapServer::TapServer(asio::any_io_executor executor, TapServerConfig config, DataWays& ways,
                     std::shared_ptr<forwarding::TapIdentities> identities, http::TlsStore* tls,
                     telemetry::MetricsRegistry* metrics, TapProof* proof)
    : executor_(executor),
      config_(std::move(config)),
      ways_(ways),
      identities_(std::move(identities)),
      tls_(tls),
      metrics_(metrics),
      proof_(proof),
      tasks_(std::move(executor), metrics) {}

TapServer::~TapServer() = default;

Result<void> TapServer::start() {
  if (!config_.protocol.datagram) {
    auto streams = http::listen(executor_, {config_.listen.host, config_.data_port});
    if (!streams) return streams.error();
    config_.data_port = streams->local_endpoint().port();
    ways_.open_door(std::move(*streams), tasks_);
  }
  auto listener = http::listen(executor_, config_.listen);
  if (!listener) return listener.error();
  door_.emplace(std::move(*listener), "tap-accept",
                [this](asio::ip::tcp::socket socket) { admit(std::move(socket)); });
  port_ = door_->port();
  door_->start(tasks_);
  return {};
}

void TapServer::refuse(std::string_view reason, const net::IpAddress& from) {
  if (metrics_ != nullptr)
    metrics_->counter(kTapsRefusedMetric, {{"reason", std::string(reason)}}).Increment();
  if (const auto kept_back = refusals_.admit())
    telemetry::warn("a tap is refused", {{"address", from.to_string()},
                                         {"reason", std::string(reason)},
                                         {"not_logged", *kept_back}});
}

void TapServer::admit(asio::ip::tcp::socket socket) {
  boost::system::error_code gone;
  const auto peer = session::unmapped(socket.remote_endpoint(gone));
  if (gone || closed_) return;
  const net::IpAddress from = session::address_of(peer);
  if (!is_allowed(config_.allow, from)) return refuse("address", from);
  if (entries_.size() >= config_.most_sessions) return refuse("sessions", from);
  if (const auto found = by_address_.find(from);
      found != by_address_.end() && found->second >= config_.most_of_one_address)
    return refuse("sessions-of-address", from);
  if (tls_ != nullptr && !tls_->current()) return refuse("no-certificate", from);
  boost::system::error_code ignored;
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  begin(net::UniqueFd(socket.release()), from,
        net::HostPort{from.to_string(), peer.port()}.to_string());
}

void TapServer::begin(net::UniqueFd fd, const net::IpAddress& from, const std::string& name) {
  session::keep_alive(fd.get());
  const auto entry = std::make_shared<Entry>();
  // One that is in use again after 4 billion sessions is left out.
  while (next_origin_ == 0 || entries_.contains(next_origin_)) ++next_origin_;
  entry->origin = next_origin_++;
  entry->from = from;
  entry->name = name;
  Entry* const place = entry.get();  // outlives its session
  TapSessionParts parts{
      .protocol = config_.protocol,
      .ways = ways_,
      .origin = entry->origin,
      .from = from,
      .data_port = config_.data_port,
      .tls = tls_ != nullptr ? tls_->current() : nullptr,
      .message_timeout = config_.message_timeout,
      .proof = proof_,
      .on_phase = [this, place](TapPhase phase) { moved(*place, phase); },
      .on_opened = [this, place](const auto& interface,
                                 const ProvedPod* proved) { admitted(*place, interface, proved); },
      .on_stats = [place](const rpcap::Stats& stats) { place->told = stats; },
      .on_unproved = [this, place](auto reason) { refuse(reason, place->from); }};
  entry->session =
      std::make_shared<TapSession>(std::move(parts), async::AsyncFd(executor_, std::move(fd)));
  entries_.emplace(entry->origin, entry);
  ++by_address_[from];
  moved(*entry, TapPhase::kOpening);
  tasks_.spawn("tap-session", serve(entry), [this, entry](const Result<void>&) { leave(entry); });
}

asio::awaitable<void> TapServer::serve(std::shared_ptr<Entry> entry) {
  const EndTap end = co_await entry->session->run();
  if (metrics_ != nullptr)
    metrics_->counter(kTapEndsMetric, {{"kind", std::string(tap_end_name(end.kind))}}).Increment();
  const auto kept_back = ends_.admit();
  if (!kept_back) co_return;
  const auto identity = identities_->find(entry->origin);
  const TapCounts& counts = entry->session->counts();
  telemetry::info("session with tap ended",
                  {{"tap", entry->name},
                   {"pod", identity ? identity->description : std::string()},
                   {"kind", std::string(tap_end_name(end.kind))},
                   {"reason", end.text},
                   {"packets", counts.packets},
                   {"missing_packets", counts.missing_packets},
                   {"lost_datagrams", counts.lost_datagrams},
                   {"malformed", counts.malformed},
                   {"not_logged", *kept_back}});
}

void TapServer::admitted(const Entry& entry, const rpcap::Interface& interface,
                         const ProvedPod* proved) {
  identities_->add(entry.origin, identity_of(entry.from, interface, proved));
  if (proof_ == nullptr) return;
  if (metrics_ != nullptr)
    metrics_->counter(kTapsAdmittedMetric, {{"proof", proved != nullptr ? "registry" : "none"}})
        .Increment();
  if (proved != nullptr) return;
  if (const auto kept_back = unproven_.admit())
    telemetry::warn(
        "a tap is admitted without proof, because the registry has not been reached yet",
        {{"tap", entry.name}, {"pod", interface.description}, {"not_logged", *kept_back}});
}

void TapServer::leave(const std::shared_ptr<Entry>& entry) {
  entry->session->drop();  // in case that the session has thrown
  moved(*entry, std::nullopt);
  identities_->gone(entry->origin);
  if (const auto found = by_address_.find(entry->from); --found->second == 0)
    by_address_.erase(found);
  entries_.erase(entry->origin);
  if (entries_.empty()) emptied_.request();
}

void TapServer::moved(Entry& entry, std::optional<TapPhase> to) {
  if (to == TapPhase::kEnded) to = TapPhase::kEnding;
  const auto from = std::exchange(entry.phase, to);
  if (metrics_ == nullptr || from == to) return;
  const auto gauge = [this](TapPhase phase) -> prometheus::Gauge& {
    return metrics_->gauge(kTapsMetric, {{"state", phase_label(phase)}});
  };
  if (from) gauge(*from).Decrement();
  if (to) gauge(*to).Increment();
}

void TapServer::set_filter(const rpcap::Filter& filter) {
  config_.protocol.filter = filter;
  for (const auto& [origin, entry] : entries_) entry->session->change_filter(filter);
}

std::vector<TapStanding> TapServer::taps() const {
  std::vector<TapStanding> taps;
  taps.reserve(entries_.size());
  for (const auto& [origin, entry] : entries_) {
    taps.push_back({.origin = origin,
                    .phase = entry->phase.value_or(TapPhase::kEnded),
                    .identity = identities_->find(origin),
                    .told = entry->told});
  }
  return taps;
}

void TapServer::close() {
  if (std::exchange(closed_, true)) return;
  if (door_) door_->stop();
}

asio::awaitable<void> TapServer::drain(std::chrono::milliseconds limit) {
  if (entries_.empty() || drained_) co_return;
  emptied_.clear();
  co_await async::sleep(executor_, limit, &emptied_);
}

void TapServer::end_drain() {
  drained_ = true;
  emptied_.request();
}

asio::awaitable<void> TapServer::stop() {
  if (std::exchange(stopping_, true)) co_return;
  close();
  ways_.close_door();
  for (const auto& [origin, entry] : entries_) entry->session->stop();
  const bool ended = co_await tasks_.wait(kStopLimit);
  if (ended) co_return;
  telemetry::warn("sessions with taps have not ended in time; canceling them",
                  {{"sessions", entries_.size()}});
  tasks_.cancel();
  const bool cancelled = co_await tasks_.wait(kCancelLimit);
  if (!cancelled)
    telemetry::warn("some sessions with taps still have not ended; exiting without them");
}

}  // namespace sidetap::collector
