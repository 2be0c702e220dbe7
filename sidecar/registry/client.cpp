#include "sidecar/registry/client.h"

#include <algorithm>
#include <list>

#include <boost/asio/steady_timer.hpp>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include "shared/async/resolve.h"
#include "shared/async/task_group.h"
#include "shared/async/waiting.h"
#include "shared/registry/codec.h"
#include "shared/telemetry/log.h"
#include "shared/telemetry/metrics.h"
#include "sidecar/registry/link.h"
#include "sidecar/registry/metrics.h"
#include "sidecar/registry/peer_view.h"
#include "sidecar/registry/replica.h"
#include "sidecar/registry/settings_choice.h"
#include "sidecar/registry/settled_peers.h"
#include "sidecar/registry/trust.h"

namespace sidetap::registry {
namespace {

namespace asio = boost::asio;
using std::chrono::steady_clock;

/// A name that resolves to more addresses is not a registry of taps.
constexpr std::size_t kMostReplicas = 16;
constexpr std::chrono::milliseconds kStopLimit{2'000};

std::chrono::milliseconds until(steady_clock::time_point time) {
  return std::max(std::chrono::milliseconds(0),
                  std::chrono::ceil<std::chrono::milliseconds>(time - steady_clock::now()));
}

}  // namespace

/// Its tasks keep it alive.
struct Client::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::any_io_executor the_executor, ClientConfig the_config, ClientCallbacks the_callbacks,
       telemetry::MetricsRegistry* the_metrics)
      : executor(std::move(the_executor)),
        config(std::move(the_config)),
        callbacks(std::move(the_callbacks)),
        metrics(the_metrics),
        trust(config.ca),
        view(config.grace),
        grace_timer(executor),
        peers(config.settling),
        settling_timer(executor),
        choice_timer(executor),
        tasks(executor, metrics) {}

  // --- running -----------------------------------------------------------------------------------

  void start() {
    tasks.supervise(
        "registry-name", [this] { return follow_name(); },
        [self = shared_from_this()](const Result<void>&) {});
  }

  asio::awaitable<void> follow_name() {
    std::string reported;
    while (!stopping) {
      const auto found = co_await resolve();
      if (stopping) break;
      if (found) {
        reported.clear();
        take(*found);
      } else {
        count_failure("look_up");
        if (reported.empty()) {
          telemetry::warn(
              "the registry's name cannot be resolved",
              {{"registry", config.registry.to_string()}, {"detail", found.error().text}});
        }
        reported = found.error().text;
      }
      resolving.clear();
      co_await async::sleep(executor, config.resolve_interval, &resolving);
    }
  }

  asio::awaitable<Result<std::vector<session::Endpoint>>> resolve() {
    if (callbacks.resolve) return callbacks.resolve();
    return async::resolve(executor, config.registry, &resolving);
  }

  void take(const std::vector<session::Endpoint>& found) {
    const auto among = [&found](const session::Endpoint& endpoint) {
      return std::find(found.begin(), found.end(), endpoint) != found.end();
    };
    for (Replica& replica : replicas) {
      replica.resolved = among(replica.endpoint);
      // An open connection is kept until it ends by itself.
      if (!replica.resolved) replica.waiting.request();
    }
    for (const session::Endpoint& endpoint : found) {
      const bool known = std::any_of(replicas.begin(), replicas.end(), [&](const Replica& replica) {
        return replica.endpoint == endpoint;
      });
      if (known || replicas.size() >= kMostReplicas) continue;
      replicas.emplace_back(endpoint, config.backoff);
      tasks.supervise(
          "registry-replica", [this, place = std::prev(replicas.end())] { return keep(place); },
          [self = shared_from_this()](const Result<void>&) {});
    }
  }

  asio::awaitable<void> keep(std::list<Replica>::iterator place) {
    Replica& replica = *place;
    while (!stopping && replica.resolved) {
      const auto begin = steady_clock::now();
      // If this fails, nothing from this replica counts from then on.
      LinkEnd end{"lost", {}};
      try {
        end = co_await talk(replica);
      } catch (const std::exception& fault) {
        end.text = fault.what();
      }
      replica.link.reset();
      ended(replica, end);
      if (stopping || !replica.resolved) break;
      replica.backoff.session_ended(
          std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - begin));
      replica.waiting.clear();
      co_await async::sleep(executor, replica.backoff.wait(chance()), &replica.waiting);
    }
    exclude(replica, {});
    replicas.erase(place);
    left.request();
  }

  /// Connects with one CA after another until one verifies the replica.
  asio::awaitable<LinkEnd> talk(Replica& replica) {
    LinkEnd end;
    const std::vector<std::string> candidates = trust.candidates();
    for (const std::string& ca : candidates) {
      end = co_await talk(replica, ca);
      if (!end.unverified || stopping) co_return end;
    }
    end.text += " (none of the " + std::to_string(candidates.size()) +
                " CAs that this tap knows verifies the registry)";
    co_return end;
  }

  asio::awaitable<LinkEnd> talk(Replica& replica, const std::string& ca) {
    replica.link = std::make_shared<Link>(tasks, executor, config, replica.endpoint);
    replica.resync_asked = false;
    const session::Exclude keep_out = [this, &replica](capture::OwnEndpoint endpoint) {
      endpoint.every_local_port = true;
      return exclude(replica, replica.add_connection(endpoint));
    };
    const std::function<std::string()> hello = [this, &ca] {
      trust.worked(ca);
      vouched = vouched || forwarding();
      return encode(Hello{state(), kRules, config.control, config.profile});
    };
    const std::function<bool(Message)> on_message = [this, &replica](Message message) {
      return std::visit([&](auto& said) { return receive(replica, said); }, message);
    };
    co_return co_await replica.link->run(ca, keep_out, hello, on_message);
  }

  // --- what replicas say -------------------------------------------------------------------------

  bool receive(Replica& replica, Snapshot& snapshot) {
    replica.resync_asked = false;
    if (!replica.reported.empty()) {
      telemetry::info("registry reached again", {{"replica", replica.name}});
      replica.reported.clear();
    }
    // It has accepted this tap.
    if (!last_report.empty()) replica.link->send(last_report);
    view.apply(replica.name, std::move(snapshot));
    publish();
    return true;
  }
  bool receive(Replica& replica, Change& change) {
    const bool in_order = view.apply(replica.name, change);
    publish();
    if (in_order || replica.resync_asked) return true;
    replica.resync_asked = true;
    if (metrics != nullptr) metrics->counter(kResyncsMetric).Increment();
    replica.link->send(encode(Resync{}));
    return true;
  }
  bool receive(Replica& replica, Settings& settings) {
    if (config.control.empty()) return true;
    tell_settings(choice.hear(replica.name, std::move(settings), steady_clock::now()));
    return true;
  }
  bool receive(Replica& replica, CaBundle& bundle) {
    if (const auto checked = check_ca(bundle.pem); !checked) {
      telemetry::warn("a CA bundle from the registry is rejected",
                      {{"replica", replica.name}, {"detail", checked.error().text}});
      return true;
    }
    if (trust.newest() != bundle.pem) {
      telemetry::info("new CA bundle from the registry", {{"replica", replica.name}});
    }
    trust.hear(std::move(bundle.pem));
    return true;
  }
  bool receive(Replica&, Refused&) { return false; }
  bool receive(Replica&, Unknown&) { return true; }

  void ended(Replica& replica, const LinkEnd& end) {
    view.lost(replica.name, end.heard);
    publish();
    watch_grace();
    tell_settings(choice.lost(replica.name, steady_clock::now()));
    if (stopping) return;
    count_failure(end.kind);
    const auto level =
        end.text == replica.reported ? telemetry::LogLevel::kDebug : telemetry::LogLevel::kWarn;
    replica.reported = end.text;
    telemetry::log(level, "no connection to the registry; dialling again",
                   {{"replica", replica.name}, {"cause", end.kind}, {"detail", end.text}});
  }

  /// Calls `due` at that time, unless the timer is set anew first.
  void call_at(asio::steady_timer& timer, steady_clock::time_point time, void (Impl::*due)()) {
    timer.expires_at(time);
    timer.async_wait([weak = weak_from_this(), due](const boost::system::error_code& error) {
      const auto self = weak.lock();
      if (!error && self) (self.get()->*due)();
    });
  }

  void watch_grace() {
    if (const auto end = view.deadline()) call_at(grace_timer, *end, &Impl::end_grace);
  }

  void end_grace() {
    if (!view.deadline()) return;
    view.expire(steady_clock::now());
    if (view.deadline()) return watch_grace();
    telemetry::warn("no replica of the registry answers: every peer counts as untapped");
    if (metrics != nullptr) metrics->counter(kAloneMetric).Increment();
    publish();
  }

  void publish() {
    if (metrics != nullptr) {
      metrics->gauge(kReplicasMetric).Set(static_cast<double>(view.replicas()));
    }
    left.request();
    if (peers.update(view, own.addresses, steady_clock::now())) tell_peers(peers.now());
    watch_settling();
    if (!peers.due() && view.replicas() != 0) {
      if (const auto tell = std::exchange(callbacks.on_first_word, nullptr)) tell();
    }
    note_reliance();
  }

  void tell_peers(const std::shared_ptr<const Peers>& now) {
    if (metrics != nullptr) show(*now, *metrics);
    if (callbacks.on_peers) callbacks.on_peers(now);
  }

  void note_reliance() {
    const bool now = vouched ? !unlisted() : view.lists_any(own.addresses);
    if (std::exchange(relied_on, now) != now && callbacks.on_relied_on) callbacks.on_relied_on(now);
  }

  void watch_settling() {
    if (const auto due = peers.due()) call_at(settling_timer, *due, &Impl::publish);
  }

  void tell_settings(bool changed) {
    if (stopping) return;
    if (changed && callbacks.on_settings) callbacks.on_settings(*choice.in_force());
    if (const auto due = choice.deadline()) call_at(choice_timer, *due, &Impl::reconsider_settings);
  }

  void reconsider_settings() { tell_settings(choice.expire(steady_clock::now())); }

  // --- what the tap says -------------------------------------------------------------------------

  bool forwarding() const { return !own.forwarded.empty(); }
  /// A tap that does not forward also reports its addresses, because their previous holder no
  /// longer has them.
  State state() const {
    return {forwarding() ? own.forwarded : own.addresses, forwarding(), pod_ended};
  }

  void tell() {
    for (Replica& replica : replicas) {
      if (!replica.open()) continue;
      vouched = vouched || forwarding();
      replica.link->send(encode(state()));
    }
    note_reliance();
  }

  /// Whether no replica lists this tap. One that does not answer may list it.
  bool unlisted() const {
    return !replicas.empty() && view.replicas() >= replicas.size() &&
           !view.lists_any(own.addresses);
  }

  std::chrono::milliseconds exclude(const Replica& replica,
                                    std::vector<capture::OwnEndpoint> connections) {
    if (!callbacks.exclude) return {};
    return callbacks.exclude("registry " + replica.name, std::move(connections));
  }

  void count_failure(std::string_view kind) {
    if (metrics == nullptr || stopping) return;
    metrics->counter(kRegistryFailuresMetric, {{"kind", std::string(kind)}}).Increment();
  }

  asio::any_io_executor executor;
  ClientConfig config;
  ClientCallbacks callbacks;
  telemetry::MetricsRegistry* metrics;
  Trust trust;
  PeerView view;
  asio::steady_timer grace_timer;
  SettledPeers peers;
  asio::steady_timer settling_timer;
  SettingsChoice choice;
  asio::steady_timer choice_timer;
  std::string last_report;  // as a message; empty: none yet
  async::Chance chance;
  std::list<Replica> replicas;
  async::Interruption resolving;
  async::Interruption left;  // requested whenever the view may have changed
  Own own;
  bool relied_on = false;
  bool pod_ended = false;  // but for this tap
  bool vouched = false;    // a replica was told that this tap forwards
  bool stopping = false;
  async::TaskGroup tasks;
};

Client::Client(asio::any_io_executor executor, ClientConfig config, ClientCallbacks callbacks,
               telemetry::MetricsRegistry* metrics)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(config), std::move(callbacks),
                                   metrics)) {}
Client::~Client() = default;
std::string Client::trusted() const { return impl_->trust.all(); }

Result<void> Client::start() {
  if (auto checked = check_ca(impl_->config.ca); !checked) return checked;
  impl_->publish();  // nobody is tapped until a replica says so
  impl_->start();
  return {};
}

void Client::set_own(Own own) {
  if (impl_->own == own) return;
  impl_->own = std::move(own);
  impl_->tell();
  if (impl_->peers.now()) impl_->publish();
}

void Client::report(const Report& report) {
  impl_->last_report = encode(report);
  for (Replica& replica : impl_->replicas) {
    if (replica.open()) replica.link->send(impl_->last_report);
  }
}

asio::awaitable<void> Client::leave(std::chrono::milliseconds limit) {
  const auto impl = impl_;
  impl->pod_ended = impl->config.ends_last;
  if (impl->forwarding()) {
    set_own({impl->own.addresses, {}});
  } else if (impl->pod_ended) {
    impl->tell();
  }
  if (!impl->vouched) co_return;  // nobody relies on this tap
  const auto deadline = steady_clock::now() + limit;
  while (!impl->unlisted() && until(deadline).count() > 0) {
    impl->left.clear();
    co_await async::sleep(impl->executor, until(deadline), &impl->left);
  }
  co_await async::sleep(impl->executor, std::min(impl->config.linger, until(deadline)), nullptr);
}

asio::awaitable<void> Client::stop() {
  const auto impl = impl_;
  impl->stopping = true;
  impl->grace_timer.cancel();
  impl->settling_timer.cancel();
  impl->choice_timer.cancel();
  impl->resolving.request();
  for (Replica& replica : impl->replicas) {
    replica.waiting.request();
    if (replica.link) replica.link->close();
  }
  co_await impl->tasks.wait(kStopLimit);
}

}  // namespace sidetap::registry
