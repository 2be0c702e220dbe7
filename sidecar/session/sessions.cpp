#include "sidecar/session/sessions.h"

#include <list>

#include <boost/asio/co_spawn.hpp>

#include "shared/telemetry/log.h"
#include "sidecar/session/hub.h"
#include "sidecar/session/passive.h"
#include "sidecar/session/sensor_loop.h"
#include "sidecar/session/tls.h"

namespace sidetap::session {
namespace {

namespace asio = boost::asio;

/// Longer than a session takes to say CLOSE to a sensor that listens.
constexpr std::chrono::milliseconds kStopLimit{3'000};

}  // namespace

/// Kept alive by its own coroutines.
struct Sessions::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::any_io_executor executor, SessionsConfig config, CaptureControl& control,
       telemetry::MetricsRegistry* metrics)
      : hub(std::move(executor), std::move(config), control, metrics),
        list(hub.config.mode, hub.config.sensors.size()) {
    for (std::size_t i = 0; i < hub.config.sensors.size(); ++i) {
      loops.emplace_back(hub, list, i, [this] { reconsider(); });
    }
    if (hub.config.passive) passive.emplace(hub);
  }

  void reconsider() {
    for (SensorLoop& loop : loops) loop.reconsider();
    if (passive) passive->reconsider();
  }

  void spawn(asio::awaitable<void> work) {
    ++running;
    asio::co_spawn(hub.executor, std::move(work),
                   [self = shared_from_this()](const std::exception_ptr& error) {
                     if (error) telemetry::error("a session's coroutine failed");
                     --self->running;
                     self->quiet.request();
                   });
  }

  Hub hub;
  SensorList list;
  std::list<SensorLoop> loops;
  std::optional<PassiveListener> passive;
  std::uint16_t passive_port = 0;
  std::size_t running = 0;
  Interruption quiet;  // asked for whenever a coroutine ends
};

Sessions::Sessions(asio::any_io_executor executor, SessionsConfig config, CaptureControl& control,
                   telemetry::MetricsRegistry* metrics)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(config), control, metrics)) {}
Sessions::~Sessions() = default;

Result<void> Sessions::start() {
  if (impl_->hub.config.tls.role != TlsRole::kNone) {
    if (const auto tls = make_tls_context(impl_->hub.config.tls); !tls) return tls.error();
  }
  if (impl_->passive) {
    const auto port = impl_->passive->listen();
    if (!port) return port.error();
    impl_->passive_port = *port;
    impl_->spawn(impl_->passive->run());
  }
  for (SensorLoop& loop : impl_->loops) impl_->spawn(loop.run());
  return {};
}

asio::awaitable<void> Sessions::stop() {
  const auto impl = impl_;
  impl->hub.stopping = true;
  impl->reconsider();
  const auto deadline = std::chrono::steady_clock::now() + kStopLimit;
  while (impl->running > 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    impl->quiet.clear();
    co_await sleep(impl->hub.executor, left, &impl->quiet);
  }
}

bool Sessions::forwarding() const { return impl_->hub.forwarding(); }

void Sessions::on_forwarding_changed(std::function<void(bool)> callback) {
  impl_->hub.on_forwarding_changed = std::move(callback);
}

std::uint16_t Sessions::passive_port() const { return impl_->passive_port; }

}  // namespace sidetap::session
