#include "sidecar/tap/live_path.h"

#include <algorithm>
#include <list>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "shared/async/task_group.h"
#include "shared/async/waiting.h"
#include "shared/net/text.h"
#include "shared/registry/messages.h"
#include "shared/telemetry/log.h"
#include "sidecar/tap/interface_path.h"

namespace sidetap {
namespace {

namespace asio = boost::asio;
using std::chrono::steady_clock;

// A connection that has been closed may still send its last segments for that long.
constexpr std::chrono::milliseconds kLastSegments{5'000};
// Longer than a delivery takes to stop.
constexpr std::chrono::milliseconds kEndLimit{5'000};

bool deliver_alike(const RunOptions& a, const RunOptions& b) {
  if (a.output.kind != b.output.kind) return false;
  switch (a.output.kind) {
    case OutputKind::kRpcap:
      return a.sessions.sensors == b.sessions.sensors && a.sessions.mode == b.sessions.mode &&
             a.sessions.tls.role == b.sessions.tls.role;
    case OutputKind::kVxlan:
      return a.output.vxlan.receivers == b.output.vxlan.receivers &&
             a.output.vxlan.every_receiver == b.output.vxlan.every_receiver;
    case OutputKind::kPcap:
    case OutputKind::kPcapOverIp:
    case OutputKind::kInterface:
      break;  // the registry changes nothing about them
  }
  return true;
}

/// Somebody gets packets of it, though perhaps not everybody who should.
bool has_taker(const Delivery& delivery) {
  if (delivery.forwarding()) return true;
  const auto sensors = delivery.sensors();
  return std::any_of(sensors.begin(), sensors.end(), [](const registry::SensorReport& each) {
    return each.state == registry::kCapturing;
  });
}

std::string names_of(const RunOptions& options) {
  return net::joined(receivers_of(options).sensors);
}

}  // namespace

/// Its tasks keep it alive.
struct LivePath::Impl : std::enable_shared_from_this<Impl> {
  struct Stage {
    std::unique_ptr<Delivery> delivery;
    std::uint64_t number = 0;
    RunOptions options;
  };
  struct Former {
    std::unique_ptr<Delivery> delivery;
    async::Interruption linger{};
  };

  Impl(asio::any_io_executor the_executor, CaptureLoop& the_loop, MakeDelivery the_make,
       std::function<void()> the_changed, std::chrono::milliseconds the_patience)
      : executor(std::move(the_executor)),
        loop(the_loop),
        make(std::move(the_make)),
        on_changed(std::move(the_changed)),
        patience(the_patience),
        timer(executor),
        tasks(executor, nullptr) {}

  Stage make_stage(const RunOptions& options) {
    const std::uint64_t number = made++;
    Stage stage{make(options, number), number, options};
    stage.delivery->on_forwarding_changed([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->note();
    });
    return stage;
  }

  /// Called from within a delivery, which therefore must not end before that call has returned.
  void note() {
    changed();
    if (!next) return;
    asio::post(executor, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->reconsider();
    });
  }

  void changed() {
    if (on_changed) on_changed();
  }

  Result<void> follow(const RunOptions& options) {
    if (stopping || !present) return {};
    Result<void> begun;
    if (next && deliver_alike(options, next->options)) {
      next->options.narrowing = options.narrowing;
    } else {
      const bool was_under_way = next.has_value();
      drop_next();
      if (deliver_alike(options, present->options)) {
        present->options.narrowing = options.narrowing;
      } else {
        begun = begin(options);
      }
      if (was_under_way || next) changed();
    }
    narrow();
    reconsider();
    return begun;
  }

  /// The former sensors get nothing that only the next ones may. But a pause is for all.
  void narrow() {
    Narrowing wanted = present->options.narrowing;
    if (next) wanted.paused |= next->options.narrowing.paused;
    if (wanted == narrowing) return;
    narrowing = std::move(wanted);
    loop.set_narrowing(narrowing);
  }

  Result<void> begin(const RunOptions& options) {
    Stage stage = make_stage(options);
    if (auto started = stage.delivery->start(); !started) return started;
    telemetry::info("passing to other sensors once they are ready",
                    {{"interface", loop.name()}, {"sensors", names_of(options)}});
    next = std::move(stage);
    timer.expires_after(patience);
    timer.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      if (error) return;
      if (const auto self = weak.lock()) self->reconsider();
    });
    return {};
  }

  void drop_next() {
    if (!next) return;
    timer.cancel();
    retire(std::move(next->delivery));
    next.reset();
  }

  void reconsider() {
    if (stopping || !next) return;
    const bool waits = has_taker(*present->delivery) && steady_clock::now() < timer.expiry();
    if (!next->delivery->forwarding() && waits) return;
    timer.cancel();
    std::unique_ptr<Delivery> former = std::move(present->delivery);
    present = std::move(next);
    next.reset();
    narrow();
    // Before the former captures are asked to end: they get nothing any more.
    loop.advance(present->number, receivers_of(present->options), {});
    retire(std::move(former));
    telemetry::info("passed to other sensors",
                    {{"interface", loop.name()},
                     {"sensors", names_of(present->options)},
                     {"forwarding", present->delivery->forwarding() ? "yes" : "not yet"}});
    changed();
  }

  void retire(std::unique_ptr<Delivery> delivery) {
    const auto place = formers.insert(formers.end(), Former{std::move(delivery)});
    tasks.spawn("former-delivery", end(*place),
                [self = shared_from_this(), place](const auto&) { self->formers.erase(place); });
  }

  asio::awaitable<void> end(Former& former) {
    co_await former.delivery->stop();
    co_await async::sleep(executor, kLastSegments, &former.linger);
    // At the tap's end, other interfaces may still forward.
    if (!stopping) former.delivery->forget_connections();
  }

  const asio::any_io_executor executor;
  CaptureLoop& loop;
  const MakeDelivery make;
  const std::function<void()> on_changed;
  const std::chrono::milliseconds patience;
  std::optional<Stage> present;  // nothing before start()
  std::optional<Stage> next;
  Narrowing narrowing;  // that the loop applies
  asio::steady_timer timer;
  std::list<Former> formers;
  std::uint64_t made = 0;
  bool stopping = false;
  async::TaskGroup tasks;
};

LivePath::LivePath(asio::any_io_executor executor, std::unique_ptr<CaptureLoop> loop,
                   MakeDelivery make, std::function<void()> changed,
                   std::chrono::milliseconds patience)
    : loop_(std::move(loop)),
      impl_(std::make_shared<Impl>(std::move(executor), *loop_, std::move(make), std::move(changed),
                                   patience)) {}
LivePath::~LivePath() = default;

Result<void> LivePath::start(const RunOptions& options) {
  impl_->present = impl_->make_stage(options);
  impl_->narrowing = options.narrowing;
  return impl_->present->delivery->start();
}

Result<void> LivePath::follow(const RunOptions& options) { return impl_->follow(options); }

void LivePath::dial_soon() {
  for (auto* stage : {&impl_->present, &impl_->next})
    if (*stage) (*stage)->delivery->dial_soon();
}

asio::awaitable<void> LivePath::stop() {
  const auto impl = impl_;
  impl->stopping = true;
  impl->drop_next();
  for (Impl::Former& former : impl->formers) former.linger.request();
  if (impl->present) co_await impl->present->delivery->stop();
  co_await impl->tasks.wait(kEndLimit);
}

bool LivePath::ready() const {
  return loop_->is_working() && (!impl_->present || impl_->present->delivery->healthy());
}

bool LivePath::forwarding() const {
  return loop_->is_working() && impl_->present && impl_->present->delivery->forwarding();
}

std::vector<registry::SensorReport> LivePath::sensors() const {
  std::vector<registry::SensorReport> sensors;
  for (const auto* stage : {&impl_->present, &impl_->next}) {
    if (!*stage) continue;
    for (registry::SensorReport& each : (*stage)->delivery->sensors())
      sensors.push_back(std::move(each));
  }
  return sensors;
}

}  // namespace sidetap
