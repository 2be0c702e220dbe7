#include "sidecar/delivery/stream_delivery.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <prometheus/counter.h>

#include "shared/async/accept_loop.h"
#include "shared/async/answer.h"
#include "shared/async/resolve.h"
#include "shared/async/task_group.h"
#include "shared/async/waiting.h"
#include "shared/registry/messages.h"
#include "shared/telemetry/log.h"
#include "shared/telemetry/log_throttle.h"
#include "sidecar/delivery/stream_metrics.h"
#include "sidecar/delivery/stream_sender.h"
#include "sidecar/session/sockets.h"

namespace sidetap {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds kStreamConnectLimit{10'000};
constexpr std::chrono::milliseconds kStreamStopLimit{3'000};
constexpr const char* kStreamListener = "pcap-listen";

}  // namespace

/// Its tasks keep it alive.
struct StreamDelivery::Impl : std::enable_shared_from_this<Impl> {
  using ReaderPtr = std::shared_ptr<StreamReader>;
  /// Somebody who is dialled.
  struct Receiver {
    explicit Receiver(net::HostPort where) : name(where.to_string()), address(std::move(where)) {}
    const std::string name;
    const net::HostPort address;
    async::Interruption waiting;
    std::optional<session::Endpoint> endpoint;  // that is dialled, or connected
    ReaderPtr reader;                           // while connected
    std::vector<capture::OwnEndpoint> own;      // the present connection last
    bool same_as_another = false;               // another receiver has each of its addresses
    bool rests = false;                         // between two dials
    std::string reported;
  };

  Impl(asio::any_io_executor the_executor, StreamOptions the_options, StreamParts the_parts,
       CaptureLoop& the_loop, std::uint64_t the_stage)
      : executor(std::move(the_executor)),
        options(std::move(the_options)),
        parts(std::move(the_parts)),
        loop(the_loop),
        sender(executor, options, parts, loop, the_stage, [this] { changed(); }),
        tasks(executor, parts.metrics) {}

  // Readers that connect.

  Result<void> listen() {
    const net::HostPort& where = *options.listen;
    const auto failed = [&where](const std::string& reason) {
      return Error{"--pcap-listen " + where.to_string() + ": " + reason};
    };
    auto fd = session::listen_tcp(where, [this](const capture::OwnEndpoint& endpoint) {
      return parts.exclude(kStreamListener, {endpoint});
    });
    if (!fd) return failed(fd.error().text);
    const auto bound = session::local_endpoint(fd->get());
    if (!bound) return failed(bound.error().text);
    asio::ip::tcp::acceptor acceptor(executor);
    boost::system::error_code failure;
    acceptor.assign(bound->protocol(), fd->get(), failure);
    if (failure) return failed(failure.message());
    static_cast<void>(fd->release());  // the acceptor owns it from here on
    listener.emplace(std::move(acceptor), "pcap-accept", [this](asio::ip::tcp::socket socket) {
      admit(net::UniqueFd(socket.release()));
    });
    listener->start(tasks, [alive = shared_from_this()](const Result<void>&) {});
    telemetry::info("waiting for readers of capture streams",
                    {{"interface", loop.name()}, {"port", bound->port()}});
    return {};
  }

  void admit(net::UniqueFd socket) {
    const auto peer = session::peer_endpoint(socket.get());
    if (!peer || sender.stopping()) return;  // disconnected already, or too late
    const session::Endpoint from = session::unmapped(*peer);
    const net::IpAddress address = session::address_of(from);
    const std::string name = net::HostPort{address.to_string(), from.port()}.to_string();
    const auto& allowed = options.allow;
    if (!allowed.empty() &&
        std::none_of(allowed.begin(), allowed.end(),
                     [&](const net::Cidr& each) { return each.contains(address); }))
      return refuse("address", name);
    if (readers.size() >= options.most_readers) return refuse("readers", name);
    const auto reader = std::make_shared<StreamReader>(name, options.listen->to_string());
    readers.push_back(reader);
    tasks.spawn("pcap-reader", sender.serve(reader, std::move(socket)),
                [self = shared_from_this(), reader](const Result<void>&) { self->leave(reader); });
  }

  void refuse(const char* reason, const std::string& name) {
    if (parts.metrics != nullptr)
      parts.metrics->counter(kReadersRefusedMetric, {{"reason", std::string(reason)}}).Increment();
    if (const auto kept_back = refusals.admit())
      telemetry::warn("a reader of capture streams is refused",
                      {{"reader", name}, {"reason", reason}, {"not_logged", *kept_back}});
  }

  void leave(const ReaderPtr& reader) {
    sender.abandon(*reader);
    sender.note_end(*reader);
    std::erase(readers, reader);
    changed();
  }

  // Receivers that are dialled.

  asio::awaitable<void> follow(Receiver& receiver) {
    async::Backoff backoff(parts.backoff);
    while (!sender.stopping()) {
      const std::chrono::milliseconds stood = co_await visit(receiver);
      if (sender.stopping()) break;
      backoff.session_ended(stood);
      if (hurried) backoff.succeeded();
      receiver.waiting.clear();
      receiver.rests = true;
      co_await async::sleep(executor, backoff.wait(chance()), &receiver.waiting);
      receiver.rests = false;
      receiver.waiting.clear();
    }
  }

  /// How long it was connected.
  asio::awaitable<std::chrono::milliseconds> visit(Receiver& receiver) {
    using Clock = std::chrono::steady_clock;
    constexpr std::chrono::milliseconds kNot{0};
    const auto found = co_await async::resolve(executor, receiver.address, &receiver.waiting);
    if (sender.stopping()) co_return kNot;
    if (!found) {
      report(receiver, found.error().text);
      co_return kNot;
    }
    auto socket = co_await dial(receiver, *found);
    if (sender.stopping()) co_return kNot;
    if (!socket) {
      report(receiver, socket.error().text);
      co_return kNot;
    }
    receiver.reported.clear();
    receiver.reader = std::make_shared<StreamReader>(receiver.name, receiver.name);
    const Clock::time_point since = Clock::now();
    auto stream = sender.serve(receiver.reader, std::move(*socket));
    co_await std::move(stream);
    disconnect(receiver);
    co_return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - since);
  }

  asio::awaitable<Result<net::UniqueFd>> dial(Receiver& receiver,
                                              const std::vector<session::Endpoint>& found) {
    const session::Exclude keep_out = [this, &receiver](const capture::OwnEndpoint& endpoint) {
      return exclude(receiver, endpoint);
    };
    Error failure{"no address"};
    std::size_t of_others = 0;
    for (const session::Endpoint& each : found) {
      const session::Endpoint peer = session::unmapped(each);
      const std::string where = peer.address().to_string();
      if (parts.is_own_address && parts.is_own_address(session::address_of(peer))) {
        failure = Error{where + " is an address of this pod"};
        continue;
      }
      if (is_taken(peer, receiver)) {
        ++of_others;
        failure =
            Error{where +
                  " is the address of another receiver in the list, which gets every packet once"};
        continue;
      }
      receiver.endpoint = peer;
      auto fd = co_await session::dial_tcp(executor, peer, keep_out,
                                           async::Limit(kStreamConnectLimit), &receiver.waiting);
      if (fd) {
        receiver.same_as_another = false;
        co_return fd->release();
      }
      receiver.endpoint.reset();
      failure = Error{where + ": " + fd.error().text};
      if (sender.stopping()) break;
    }
    receiver.same_as_another = of_others == found.size();
    co_return failure;
  }

  bool is_taken(const session::Endpoint& peer, const Receiver& by_others_than) const {
    return std::any_of(receivers.begin(), receivers.end(), [&](const Receiver& other) {
      return &other != &by_others_than && other.endpoint == peer;
    });
  }

  /// The last segments of the former connection may still be in flight.
  std::chrono::milliseconds exclude(Receiver& receiver, const capture::OwnEndpoint& endpoint) {
    if (receiver.own.size() == 2) receiver.own.erase(receiver.own.begin());
    receiver.own.push_back(endpoint);
    return parts.exclude(owner_of(receiver), receiver.own);
  }
  static std::string owner_of(const Receiver& receiver) { return "pcap " + receiver.name; }

  /// Once for each reason.
  void report(Receiver& receiver, const std::string& reason) {
    if (receiver.reported == reason) return;
    telemetry::warn("cannot send a capture stream; trying again",
                    {{"receiver", receiver.name}, {"reason", reason}});
    receiver.reported = reason;
    changed();
  }

  void disconnect(Receiver& receiver) {
    receiver.endpoint.reset();
    const ReaderPtr reader = std::exchange(receiver.reader, nullptr);
    if (!reader) return;
    sender.abandon(*reader);
    sender.note_end(*reader);
    if (reader->end) receiver.reported = reader->end->reason;
    changed();
  }

  // What the tap is told.

  void changed() {
    if (on_changed) on_changed();
  }

  bool has_readers() const {
    return std::any_of(readers.begin(), readers.end(),
                       [](const ReaderPtr& reader) { return reader->begun; });
  }
  static bool is_served(const Receiver& receiver) {
    return receiver.reader && receiver.reader->begun;
  }
  bool forwarding() const {
    if (receivers.empty()) return has_readers();
    return std::any_of(receivers.begin(), receivers.end(), is_served) &&
           std::all_of(receivers.begin(), receivers.end(), [](const Receiver& each) {
             return is_served(each) || each.same_as_another;
           });
  }

  std::vector<registry::SensorReport> sensors() const {
    std::vector<registry::SensorReport> sensors;
    const auto tell = [&sensors](const std::string& name, bool served, const std::string& reason) {
      sensors.push_back({.sensor = name,
                         .state = std::string(served ? registry::kCapturing : registry::kWaiting),
                         .reason = served ? std::string() : reason});
    };
    if (options.listen) tell(options.listen->to_string(), has_readers(), "no reader is connected");
    for (const Receiver& each : receivers) tell(each.name, is_served(each), each.reported);
    return sensors;
  }

  void dial_soon() {
    hurried = true;
    for (Receiver& receiver : receivers) {
      if (receiver.rests) receiver.waiting.request();
    }
  }

  void end_all() {
    sender.stop();
    if (listener) listener->stop();
    for (const ReaderPtr& reader : readers) reader->waiting.request();
    for (Receiver& receiver : receivers) {
      receiver.waiting.request();
      if (receiver.reader) receiver.reader->waiting.request();
    }
  }

  asio::any_io_executor executor;
  const StreamOptions options;
  const StreamParts parts;
  CaptureLoop& loop;
  std::function<void()> on_changed;
  std::optional<async::AcceptLoop> listener;
  std::vector<ReaderPtr> readers;  // that have connected
  std::list<Receiver> receivers;
  StreamSender sender;
  bool hurried = false;  // see Delivery::dial_soon()
  async::Chance chance;
  telemetry::LogThrottle refusals{5, std::chrono::minutes(1)};
  async::TaskGroup tasks;
};

StreamDelivery::StreamDelivery(asio::any_io_executor executor, StreamOptions options,
                               StreamParts parts, CaptureLoop& loop, std::uint64_t stage)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options), std::move(parts), loop,
                                   stage)) {}
StreamDelivery::~StreamDelivery() = default;

Result<void> StreamDelivery::start() {
  // The metric exists before the first reader.
  if (impl_->parts.metrics != nullptr) impl_->parts.metrics->gauge(kReadersMetric);
  if (impl_->options.listen) {
    if (auto listening = impl_->listen(); !listening) return listening;
  }
  for (const net::HostPort& address : impl_->options.receivers) {
    Impl::Receiver& receiver = impl_->receivers.emplace_back(address);
    impl_->tasks.supervise(
        "pcap-receiver", [impl = impl_.get(), &receiver] { return impl->follow(receiver); },
        [alive = impl_, &receiver](const Result<void>&) { alive->disconnect(receiver); });
  }
  return {};
}

void StreamDelivery::dial_soon() { impl_->dial_soon(); }

asio::awaitable<void> StreamDelivery::stop() {
  const auto impl = impl_;
  impl->end_all();
  co_await impl->tasks.wait(kStreamStopLimit);
  for (const Impl::ReaderPtr& reader : impl->readers) impl->sender.abandon(*reader);
  for (Impl::Receiver& receiver : impl->receivers) impl->disconnect(receiver);
  const async::Arrival settled(impl->executor);
  impl->loop.settle(settled.callback());
  co_await settled.wait();
}

bool StreamDelivery::forwarding() const { return impl_->forwarding(); }

std::vector<registry::SensorReport> StreamDelivery::sensors() const { return impl_->sensors(); }

void StreamDelivery::on_forwarding_changed(std::function<void()> callback) {
  impl_->on_changed = std::move(callback);
}

void StreamDelivery::forget_connections() {
  if (impl_->listener) impl_->parts.exclude(kStreamListener, {});
  for (Impl::Receiver& receiver : impl_->receivers) {
    if (!receiver.own.empty()) impl_->parts.exclude(Impl::owner_of(receiver), {});
    receiver.own.clear();
  }
}

}  // namespace sidetap
