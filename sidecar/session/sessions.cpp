#include "sidecar/session/sessions.h"

#include <list>

#include "sidecar/session/hub.h"
#include "sidecar/session/passive.h"
#include "sidecar/session/sensor_loop.h"
#include "sidecar/session/tls.h"

namespace sidetap::session {
namespace {

namespace asio = boost::asio;

/// Longer than a session takes to send CLOSE to a sensor that reads.
constexpr std::chrono::milliseconds kStopLimit{3'000};

}  // namespace

/// Its tasks keep it alive.
struct Sessions::Impl {
  Impl(asio::any_io_executor executor, SessionsConfig config,
       std::shared_ptr<CaptureControl> the_control, telemetry::MetricsRegistry* metrics)
      : control(std::move(the_control)),
        hub(std::move(executor), std::move(config), *control, metrics),
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

  const std::shared_ptr<CaptureControl> control;
  Hub hub;
  SensorList list;
  std::list<SensorLoop> loops;
  std::optional<PassiveListener> passive;
  std::uint16_t passive_port = 0;
};

Sessions::Sessions(asio::any_io_executor executor, SessionsConfig config,
                   std::shared_ptr<CaptureControl> control, telemetry::MetricsRegistry* metrics)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(config), std::move(control),
                                   metrics)) {}
Sessions::~Sessions() = default;

Result<void> Sessions::start() {
  impl_->hub.owner = impl_;
  if (impl_->hub.config.tls.role != TlsRole::kNone) {
    // With a Secret, this only readies OpenSSL before the sandbox: files may still come.
    const auto tls = make_tls_context(impl_->hub.config.tls);
    if (!tls && impl_->hub.config.secret_folder.empty()) return tls.error();
  }
  if (impl_->passive) {
    const auto port = impl_->passive->start();
    if (!port) return port.error();
    impl_->passive_port = *port;
  }
  for (SensorLoop& loop : impl_->loops) {
    impl_->hub.supervise(
        "sensor-session", [&loop] { return loop.run(); },
        [&loop](const Result<void>&) { loop.let_go(); });
  }
  return {};
}

void Sessions::dial_soon() {
  impl_->hub.hurried = true;
  for (SensorLoop& loop : impl_->loops) loop.dial_soon();
}

asio::awaitable<void> Sessions::stop() {
  const auto impl = impl_;
  impl->hub.stopping = true;
  impl->reconsider();
  co_await impl->hub.tasks.wait(kStopLimit);
}

bool Sessions::forwarding() const { return impl_->hub.forwarding(); }

std::vector<registry::SensorReport> Sessions::sensors() const {
  std::vector<registry::SensorReport> sensors;
  for (const SensorLoop& loop : impl_->loops) sensors.push_back(loop.now());
  return sensors;
}

void Sessions::on_change(std::function<void(bool)> callback) {
  impl_->hub.on_change = std::move(callback);
}

std::uint16_t Sessions::passive_port() const { return impl_->passive_port; }

}  // namespace sidetap::session
