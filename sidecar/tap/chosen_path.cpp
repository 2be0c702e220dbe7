#include "sidecar/tap/chosen_path.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "shared/async/interruption.h"
#include "shared/async/resolve.h"
#include "shared/async/task_group.h"
#include "shared/async/waiting.h"
#include "shared/registry/messages.h"
#include "shared/telemetry/log.h"
#include "sidecar/session/collector_choice.h"

namespace sidetap {
namespace {

namespace asio = boost::asio;
using session::CollectorPlace;
using ChoiceClock = std::chrono::steady_clock;

/// There are others: one that is gone without a word must not keep the tap waiting for long.
constexpr std::chrono::milliseconds kCollectorConnectLimit{2'000};
constexpr std::chrono::milliseconds kCollectorSilence{5'000};
constexpr std::chrono::hours kNoLookUp{24};
/// Longer than an interrupted look-up takes to return.
constexpr std::chrono::milliseconds kLookUpEndLimit{1'000};

net::HostPort host_port_of(const CollectorPlace& place) {
  return {place.address.to_string(), place.port};
}

const registry::SensorReport* report_of(const std::vector<registry::SensorReport>& reports,
                                        const CollectorPlace& place) {
  const std::string name = host_port_of(place).to_string();
  const auto found =
      std::find_if(reports.begin(), reports.end(),
                   [&](const registry::SensorReport& each) { return each.sensor == name; });
  return found == reports.end() ? nullptr : &*found;
}

bool has_capture(const registry::SensorReport& report) {
  return report.state == registry::kCapturing;
}
/// Before its first attempt a session waits for no reason.
bool has_failed(const registry::SensorReport& report) {
  return report.state == registry::kWaiting && !report.reason.empty();
}

bool chooses(const RunOptions& options) {
  return options.output.kind == OutputKind::kRpcap &&
         options.sessions.mode == session::SensorMode::kHash && !options.sessions.sensors.empty();
}

}  // namespace

/// Its task keeps it alive. It uses the path only while it is not stopping.
struct ChosenPath::Impl : std::enable_shared_from_this<Impl> {
  using LookedUp = Result<std::vector<session::Endpoint>>;

  Impl(asio::any_io_executor the_executor, std::function<void()> the_changed,
       ChoiceConfig the_config)
      : executor(std::move(the_executor)),
        changed(std::move(the_changed)),
        config(std::move(the_config)),
        choice(config.tap, config.rest),
        timer(executor),
        tasks(executor, nullptr) {}

  Result<void> start(const RunOptions& asked_for) {
    options = asked_for;
    in_force = chooses(options) ? toward(std::nullopt) : options;
    paused_before = options.narrowing.paused;
    auto started = path->start(in_force);
    if (started && chooses(options)) begin_looking();
    return started;
  }

  Result<void> follow(const RunOptions& asked_for) {
    if (stopping) return {};
    if (asked_for.sessions.sensors != options.sessions.sensors) faults.clear();
    options = asked_for;
    if (!chooses(options)) {
      asked.reset();
      timer.cancel();
      in_force = options;
      paused_before = options.narrowing.paused;
      return path->follow(in_force);
    }
    begin_looking();
    look.request();
    if (asked || chooses_already()) {
      in_force = toward(asked);
    } else {
      // The former sensors get what they got until a collector captures. But a pause is for all.
      in_force.narrowing.paused = paused_before || options.narrowing.paused;
    }
    return path->follow(in_force);
  }

  bool chooses_already() const { return in_force.sessions.mode == session::SensorMode::kHash; }

  /// The options with this collector as their only sensor, or none.
  RunOptions toward(const std::optional<CollectorPlace>& place) const {
    RunOptions aimed = options;
    aimed.sessions.sensors.clear();
    aimed.sessions.connect_timeout =
        std::min(aimed.sessions.connect_timeout, kCollectorConnectLimit);
    aimed.sessions.sensor_silence = std::min(aimed.sessions.sensor_silence, kCollectorSilence);
    if (!place) return aimed;
    if (const auto found = sensors.find(*place); found != sensors.end())
      aimed.sessions.sensors.push_back(found->second);
    return aimed;
  }

  // --- looking up --------------------------------------------------------------------------------

  void begin_looking() {
    if (std::exchange(looking, true)) return;
    tasks.supervise(
        "sensor-look-up", [this] { return keep_looking(); },
        [self = shared_from_this()](const Result<void>&) {});
  }

  asio::awaitable<void> keep_looking() {
    while (!stopping) {
      look.clear();
      if (chooses(options)) co_await look_up();
      co_await async::sleep(executor, config.look_up_least, &ending);
      if (stopping) break;
      const std::chrono::milliseconds pause = chooses(options) ? until_next_look() : kNoLookUp;
      co_await async::sleep(executor, pause, &look);
    }
  }

  std::chrono::milliseconds until_next_look() {
    const auto every = static_cast<double>(config.look_up_every.count());
    return std::chrono::milliseconds(
        static_cast<std::chrono::milliseconds::rep>(every * (0.8 + 0.4 * chance())));
  }

  asio::awaitable<LookedUp> addresses_of(const net::HostPort& name) {
    if (config.resolve) return config.resolve(name);
    return async::resolve(executor, name, &ending);
  }

  asio::awaitable<void> look_up() {
    const std::vector<session::Sensor> names = options.sessions.sensors;
    for (const session::Sensor& sensor : names) {
      auto found = co_await addresses_of(sensor.address);
      if (stopping || !chooses(options) || options.sessions.sensors != names) co_return;
      take(sensor.address.to_string(), std::move(found));
      adopt();
    }
  }

  void take(const std::string& name, LookedUp found) {
    std::string fault = found ? std::string() : found.error().text;
    if (found) known[name] = std::move(*found);
    std::string& before = faults[name];
    if (before == fault) return;
    if (!fault.empty())
      telemetry::warn("cannot look up the collectors; keeping those that are known",
                      {{"name", name}, {"reason", fault}});
    before = std::move(fault);
    if (changed) changed();
  }

  /// What is known of the names becomes the list of candidates.
  void adopt() {
    std::map<CollectorPlace, session::Sensor> now;
    std::vector<CollectorPlace> places;
    std::map<std::string, std::vector<session::Endpoint>> still_named;
    for (const session::Sensor& sensor : options.sessions.sensors) {
      const auto found = known.find(sensor.address.to_string());
      if (found == known.end()) continue;
      for (const session::Endpoint& endpoint : found->second) {
        const session::Endpoint there = session::unmapped(endpoint);
        const CollectorPlace place{session::address_of(there), there.port()};
        if (now.emplace(place, sensor_at(sensor, place)).second) places.push_back(place);
      }
      still_named.insert(*found);
    }
    known = std::move(still_named);
    if (places.empty()) return;
    const auto own = std::find_if(places.begin(), places.end(), [this](const CollectorPlace& each) {
      return config.is_own && config.is_own(each.address);
    });
    if (own != places.end()) places = {*own};
    for (const auto& in_use : {asked, choice.capturing()}) {
      if (!in_use) continue;
      if (const auto before = sensors.find(*in_use); before != sensors.end()) now.insert(*before);
    }
    sensors = std::move(now);
    choice.list(places);
    consider_soon();
  }

  static session::Sensor sensor_at(const session::Sensor& named, const CollectorPlace& place) {
    session::Sensor sensor = named;
    if (sensor.certificate_host.empty()) sensor.certificate_host = named.address.host;
    sensor.address = host_port_of(place);
    sensor.default_port = false;
    return sensor;
  }

  // --- choosing ----------------------------------------------------------------------------------

  /// Called from within a delivery, which therefore must not end before that call has returned.
  void note() {
    if (stopping) return;
    if (changed) changed();
    consider_soon();
  }

  void consider_soon() {
    if (stopping || !chooses(options) || std::exchange(posted, true)) return;
    asio::post(executor, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->posted = false;
      self->consider();
    });
  }

  void consider() {
    if (stopping || !chooses(options)) return;
    const auto now = ChoiceClock::now();
    observe(now);
    const auto wanted = choice.choose(now);
    if (wanted && wanted != asked) ask(*wanted, now);
    arm(now);
  }

  /// What has become of the sessions.
  void observe(ChoiceClock::time_point now) {
    const auto reports = path->sensors();
    if (const auto capturing = choice.capturing(); capturing && capturing != asked) {
      const auto* const report = report_of(reports, *capturing);
      if (report == nullptr) {
        choice.left(*capturing);
      } else if (has_failed(*report)) {
        give_up(*capturing, now);
      }
    }
    if (!asked) return;
    const auto* const report = report_of(reports, *asked);
    if (report == nullptr) return;
    if (has_capture(*report)) {
      waits_since.reset();
      choice.captures(*asked, now);
      return;
    }
    if (!waits_since) waits_since = now;
    // One that rests is asked only because all do. It dials again by itself.
    if (choice.rests(*asked, now)) return;
    if (!has_failed(*report) && now - *waits_since < config.patience) return;
    waits_since = now;
    give_up(*asked, now);
  }

  void give_up(const CollectorPlace& place, ChoiceClock::time_point now) {
    choice.fails(place, now, chance());
    look.request();
  }

  void ask(const CollectorPlace& place, ChoiceClock::time_point now) {
    RunOptions aimed = toward(place);
    const auto followed = path->follow(aimed);
    if (followed) {
      asked = place;
      waits_since = now;
      in_force = std::move(aimed);
      return;
    }
    telemetry::warn(
        "cannot begin a session with the collector",
        {{"collector", host_port_of(place).to_string()}, {"reason", followed.error().text}});
    choice.fails(place, now, chance());
    // One that was tried before is given up too. This one is asked again, because it is not the one
    // asked.
    asked = choice.capturing();
    waits_since.reset();
  }

  /// Looks again when something changes that nobody tells of.
  void arm(ChoiceClock::time_point now) {
    auto next = choice.changes_at(now);
    if (waits_since && asked && !choice.rests(*asked, now)) {
      const auto out_of_patience = *waits_since + config.patience;
      if (!next || out_of_patience < *next) next = out_of_patience;
    }
    if (!next) {
      timer.cancel();
      return;
    }
    timer.expires_at(*next);
    timer.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      const auto self = weak.lock();
      if (!error && self) self->consider();
    });
  }

  const asio::any_io_executor executor;
  const std::function<void()> changed;
  const ChoiceConfig config;
  LivePath* path = nullptr;
  RunOptions options;          // as they were given last
  RunOptions in_force;         // as the path follows them
  bool paused_before = false;  // of the last options that chose no collector
  session::CollectorChoice choice;
  std::map<std::string, std::vector<session::Endpoint>> known;  // by the names of the options
  std::map<std::string, std::string> faults;                    // of the last look-ups
  std::map<CollectorPlace, session::Sensor> sensors;            // the candidates, and who is asked
  std::optional<CollectorPlace> asked;
  std::optional<ChoiceClock::time_point> waits_since;  // without a capture of the one asked
  asio::steady_timer timer;
  async::Chance chance;
  async::Interruption look;    // look up soon
  async::Interruption ending;  // look up no more
  bool looking = false;
  bool posted = false;
  bool stopping = false;
  async::TaskGroup tasks;
};

ChosenPath::ChosenPath(asio::any_io_executor executor, std::unique_ptr<CaptureLoop> loop,
                       MakeDelivery make, std::function<void()> changed, ChoiceConfig config)
    : impl_(std::make_shared<Impl>(executor, std::move(changed), std::move(config))) {
  path_ = std::make_unique<LivePath>(std::move(executor), std::move(loop), std::move(make),
                                     [weak = std::weak_ptr<Impl>(impl_)] {
                                       if (const auto impl = weak.lock()) impl->note();
                                     });
  impl_->path = path_.get();
}

ChosenPath::~ChosenPath() { impl_->stopping = true; }

Result<void> ChosenPath::start(const RunOptions& options) { return impl_->start(options); }

Result<void> ChosenPath::follow(const RunOptions& options) { return impl_->follow(options); }

void ChosenPath::dial_soon() {
  impl_->look.request();
  path_->dial_soon();
}

asio::awaitable<void> ChosenPath::stop() {
  const auto impl = impl_;
  impl->stopping = true;
  impl->timer.cancel();
  impl->look.request();
  impl->ending.request();
  co_await path_->stop();
  co_await impl->tasks.wait(kLookUpEndLimit);
}

std::vector<registry::SensorReport> ChosenPath::sensors() const {
  std::vector<registry::SensorReport> reports = path_->sensors();
  if (!reports.empty() || !chooses(impl_->options)) return reports;
  for (const session::Sensor& sensor : impl_->options.sessions.sensors) {
    const std::string name = sensor.address.to_string();
    const auto fault = impl_->faults.find(name);
    reports.push_back({.sensor = name,
                       .state = std::string(registry::kWaiting),
                       .reason = fault == impl_->faults.end() ? std::string() : fault->second});
  }
  return reports;
}

}  // namespace sidetap
