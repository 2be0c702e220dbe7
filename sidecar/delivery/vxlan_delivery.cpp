#include "sidecar/delivery/vxlan_delivery.h"

#include <algorithm>
#include <chrono>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/post.hpp>

#include "shared/async/answer.h"
#include "shared/async/resolve.h"
#include "shared/async/task_group.h"
#include "shared/async/waiting.h"
#include "shared/registry/messages.h"
#include "shared/telemetry/log.h"
#include "sidecar/session/sockets.h"

namespace sidetap {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds kStopLimit{2'000};

constexpr std::string_view kNoForwarding = "cannot forward by VXLAN; trying again";
constexpr std::string_view kSelf = "this pod is a sensor itself; its tap forwards nothing";
constexpr std::string_view kSame = "sensor is named twice; it gets every packet once";

/// Sockets to one receiver, each with a source port and a batch of its own.
struct Lanes {
  std::vector<net::UniqueFd> sockets;
  std::vector<capture::OwnEndpoint> endpoints;
};

Result<Lanes> dial_lanes(const session::Endpoint& peer) {
  Lanes lanes;
  while (lanes.sockets.size() < kVxlanLanes) {
    auto socket = session::dial_udp(peer, [&lanes](capture::OwnEndpoint endpoint) {
      endpoint.every_local_port = true;
      lanes.endpoints.push_back(endpoint);
      return std::chrono::milliseconds();
    });
    if (!socket) return socket.error();
    lanes.sockets.push_back(std::move(*socket));
  }
  return lanes;
}

}  // namespace

/// Its tasks keep it alive.
struct VxlanDelivery::Impl : std::enable_shared_from_this<Impl> {
  struct Receiver {
    explicit Receiver(net::HostPort where) : name(where.to_string()), address(std::move(where)) {}
    const std::string name;
    const net::HostPort address;
    async::Interruption waiting;
    std::optional<session::Endpoint> endpoint;
    std::vector<capture::OwnEndpoint> own;
    std::optional<std::uint64_t> capture;
    bool rests = false;            // until it looks up the address again
    bool begun = false;            // packets are sent from now on
    bool is_self = false;          // has an address of the pod
    bool same_as_another = false;  // another receiver has each of its addresses
    std::string reported;
  };

  Impl(asio::any_io_executor the_executor, VxlanOptions the_options,
       PacketNamespaces the_namespaces, IsOwnAddress the_own_address, CaptureLoop& the_loop,
       std::uint64_t the_stage, Exclude the_exclude, telemetry::MetricsRegistry* metrics,
       LookUpTimes the_times)
      : executor(std::move(the_executor)),
        options(std::move(the_options)),
        namespaces(std::move(the_namespaces)),
        is_own_address(std::move(the_own_address)),
        loop(the_loop),
        stage(the_stage),
        exclude(std::move(the_exclude)),
        times(the_times),
        tasks(executor, metrics) {}

  asio::awaitable<void> follow(Receiver& receiver) {
    while (!stopping) {
      const auto found = co_await async::resolve(executor, receiver.address, &receiver.waiting);
      if (stopping) break;
      const auto before = sensors();
      if (found) {
        co_await consider(receiver, *found);
      } else {
        report(receiver, kNoForwarding, found.error().text);
      }
      if (before != sensors()) changed();
      if (stopping) break;
      receiver.waiting.clear();
      const auto again = hurried ? times.hurried : times.failed;
      receiver.rests = true;
      co_await async::sleep(executor, receiver.reported.empty() ? times.settled : again,
                            &receiver.waiting);
      receiver.rests = false;
      receiver.waiting.clear();
    }
  }

  asio::awaitable<void> consider(Receiver& receiver, const std::vector<session::Endpoint>& found) {
    const auto own = std::find_if(found.begin(), found.end(), [this](const auto& endpoint) {
      return is_own_address && is_own_address(session::address_of(session::unmapped(endpoint)));
    });
    receiver.is_self = own != found.end();
    if (receiver.is_self) {
      for (Receiver& each : receivers) end(each);
      // Wait, so that the log message is true.
      co_await settle();
      report(receiver, kSelf, own->address().to_string() + " is an address of this pod");
      co_return;
    }
    if (is_sensor()) co_return end(receiver);
    co_await take(receiver, found);
  }

  /// Waits until the capture thread has performed all requests.
  asio::awaitable<void> settle() {
    const async::Arrival settled(executor);
    loop.settle(settled.callback());
    co_await settled.wait();
  }

  /// Packets that arrive in a sensor's pod have already been forwarded.
  bool is_sensor() const {
    return std::any_of(receivers.begin(), receivers.end(),
                       [](const Receiver& receiver) { return receiver.is_self; });
  }

  /// Claims the first address that no other receiver has, unless the current address is still in
  /// the list.
  asio::awaitable<void> take(Receiver& receiver, const std::vector<session::Endpoint>& found) {
    if (receiver.endpoint &&
        std::find(found.begin(), found.end(), *receiver.endpoint) != found.end())
      co_return;
    const auto free = std::find_if(found.begin(), found.end(), [&](const auto& endpoint) {
      return std::none_of(receivers.begin(), receivers.end(), [&](const Receiver& other) {
        return &other != &receiver && other.endpoint &&
               session::unmapped(*other.endpoint) == session::unmapped(endpoint);
      });
    });
    receiver.same_as_another = free == found.end();
    if (receiver.same_as_another) {
      end(receiver);
      co_return report(receiver, kSame, "its address is another sensor's of the list");
    }
    co_await dial(receiver, *free);
  }

  asio::awaitable<void> dial(Receiver& receiver, session::Endpoint endpoint) {
    const session::Endpoint peer = session::unmapped(endpoint);
    auto lanes = dial_lanes(peer);
    if (!lanes) co_return report(receiver, kNoForwarding, lanes.error().text);
    receiver.endpoint = endpoint;
    // The old output's datagrams must also be excluded until it has stopped.
    receiver.own.insert(receiver.own.end(), lanes->endpoints.begin(), lanes->endpoints.end());
    if (const auto wait = exclude(owner_of(receiver), receiver.own); wait.count() != 0)
      co_await async::sleep(executor, wait, &receiver.waiting);
    if (stopping) co_return;
    if (is_sensor()) co_return end(receiver);
    const std::size_t datagram =
        session::datagram_size(lanes->sockets.front().get(), peer.address().is_v4(), options.mtu);
    const async::Arrival begun(executor);
    const async::Arrival stopped(executor);
    const std::uint64_t capture = loop.start_output(
        forwarding::make_vxlan_output(std::move(lanes->sockets),
                                      {.vni = usual_vni(),
                                       .datagram_size = datagram,
                                       .oversize = options.oversize,
                                       .link = static_cast<capture::LinkType>(loop.link_type()),
                                       .handover = options.handover,
                                       .vni_of = vni_by_origin()}),
        receiver.name, stage, begun.callback());
    const auto before = std::exchange(receiver.capture, capture);
    if (before) loop.stop(*before, stopped.callback());
    co_await begun.wait();
    if (before) co_await stopped.wait();
    if (receiver.capture != capture) co_return;  // ended meanwhile
    receiver.begun = true;
    receiver.own = std::move(lanes->endpoints);
    exclude(owner_of(receiver), receiver.own);
    receiver.reported.clear();
    telemetry::info(
        "forwarding by VXLAN",
        {{"sensor", receiver.name}, {"address", peer.address().to_string()}, {"vni", usual_vni()}});
    if (is_of_own_namespace() && namespaces.table)
      namespaces.table->note(namespaces.own, usual_vni());
  }

  bool is_of_own_namespace() const {
    return options.vni.by_namespace && !namespaces.of_taps &&
           forwarding::is_namespace(namespaces.own);
  }

  /// Of all packets, or of those of a collector whose namespace is not known.
  std::uint32_t usual_vni() const {
    return namespaces.of_taps ? options.vni.otherwise : options.vni.of(namespaces.own);
  }

  /// For VxlanConfig::vni_of. Null: all packets have the usual one.
  std::function<std::uint32_t(std::uint32_t)> vni_by_origin() const {
    if (!options.vni.by_namespace || !namespaces.of_taps) return nullptr;
    return [on = executor, rule = options.vni, taps = namespaces.of_taps,
            table = namespaces.table](std::uint32_t origin) {
      const auto identity = taps->find(origin);
      std::string name = identity ? identity->pod_namespace() : std::string();
      const std::uint32_t vni = rule.of(name);
      if (table && forwarding::is_namespace(name))
        asio::post(on, [table, name = std::move(name), vni] { table->note(name, vni); });
      return vni;
    };
  }

  void end(Receiver& receiver) {
    receiver.endpoint.reset();
    receiver.begun = false;
    if (!receiver.capture) return forget_own(receiver);
    // Its pending datagrams must still be excluded.
    loop.stop(*std::exchange(receiver.capture, std::nullopt), [weak = weak_from_this(), &receiver] {
      if (const auto self = weak.lock()) self->forget_own(receiver);
    });
  }

  /// Ends the exclusion, unless the receiver has been connected again.
  void forget_own(Receiver& receiver) {
    if (receiver.endpoint || receiver.own.empty()) return;
    exclude(owner_of(receiver), {});
    receiver.own.clear();
  }

  static std::string owner_of(const Receiver& receiver) { return "vxlan " + receiver.name; }

  void report(Receiver& receiver, std::string_view what, const std::string& reason) {
    if (receiver.reported != reason)
      telemetry::warn(what, {{"sensor", receiver.name}, {"reason", reason}});
    receiver.reported = reason;
  }

  void changed() {
    if (on_changed) on_changed();
  }

  std::vector<registry::SensorReport> sensors() const {
    std::vector<registry::SensorReport> sensors;
    for (const Receiver& each : receivers) {
      sensors.push_back(
          {.sensor = each.name,
           .state = std::string(each.begun ? registry::kCapturing : registry::kWaiting),
           .reason = each.begun ? std::string() : each.reported});
    }
    return sensors;
  }

  void dial_soon() {
    hurried = true;
    for (Receiver& receiver : receivers) {
      if (receiver.rests) receiver.waiting.request();
    }
  }

  bool forwarding() const {
    const auto runs = [](const Receiver& receiver) { return receiver.begun; };
    const auto served = [&](const Receiver& receiver) {
      return runs(receiver) || receiver.same_as_another;
    };
    return std::any_of(receivers.begin(), receivers.end(), runs) &&
           (!options.every_receiver || std::all_of(receivers.begin(), receivers.end(), served));
  }

  asio::any_io_executor executor;
  const VxlanOptions options;
  const PacketNamespaces namespaces;
  const IsOwnAddress is_own_address;
  CaptureLoop& loop;
  const std::uint64_t stage;
  const Exclude exclude;
  const LookUpTimes times;
  std::function<void()> on_changed;
  std::list<Receiver> receivers;
  async::TaskGroup tasks;
  bool hurried = false;  // see Delivery::dial_soon()
  bool stopping = false;
};

VxlanDelivery::VxlanDelivery(asio::any_io_executor executor, VxlanOptions options,
                             PacketNamespaces namespaces, IsOwnAddress is_own_address,
                             CaptureLoop& loop, std::uint64_t stage, Exclude exclude,
                             telemetry::MetricsRegistry* metrics, LookUpTimes times)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options), std::move(namespaces),
                                   std::move(is_own_address), loop, stage, std::move(exclude),
                                   metrics, times)) {}
VxlanDelivery::~VxlanDelivery() = default;

Result<void> VxlanDelivery::start() {
  for (const net::HostPort& address : impl_->options.receivers) {
    Impl::Receiver& receiver = impl_->receivers.emplace_back(address);
    impl_->tasks.supervise(
        "vxlan-receiver", [impl = impl_.get(), &receiver] { return impl->follow(receiver); },
        [alive = impl_, &receiver](const Result<void>&) {
          if (alive->stopping) return;
          // Its progress is unknown.
          alive->end(receiver);
          alive->changed();
        });
  }
  return {};
}

void VxlanDelivery::dial_soon() { impl_->dial_soon(); }

asio::awaitable<void> VxlanDelivery::stop() {
  const auto impl = impl_;
  impl->stopping = true;
  for (Impl::Receiver& receiver : impl->receivers) receiver.waiting.request();
  co_await impl->tasks.wait(kStopLimit);
  for (Impl::Receiver& receiver : impl->receivers) {
    if (receiver.capture) impl->loop.stop(*std::exchange(receiver.capture, std::nullopt), {});
  }
  co_await impl->settle();
}

bool VxlanDelivery::forwarding() const { return impl_->forwarding(); }

std::vector<registry::SensorReport> VxlanDelivery::sensors() const { return impl_->sensors(); }

void VxlanDelivery::forget_connections() {
  for (Impl::Receiver& receiver : impl_->receivers) {
    if (!receiver.own.empty()) impl_->exclude(Impl::owner_of(receiver), {});
    receiver.own.clear();
  }
}

void VxlanDelivery::on_forwarding_changed(std::function<void()> callback) {
  impl_->on_changed = std::move(callback);
}

}  // namespace sidetap
