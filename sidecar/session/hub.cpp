#include "sidecar/session/hub.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include "shared/registry/messages.h"
#include "sidecar/session/metrics.h"

namespace sidetap::session {

Standing standing_of(Phase phase) {
  switch (phase) {
    case Phase::kAuthenticating:
      return Standing::kAuthenticating;
    case Phase::kReady:
      return Standing::kReady;
    case Phase::kOpened:
      return Standing::kOpened;
    case Phase::kCapturing:
      return Standing::kCapturing;
    case Phase::kEnded:
      break;
  }
  return Standing::kNone;
}

std::string_view name_of(EndKind kind) {
  switch (kind) {
    case EndKind::kClosed:
      return "closed";
    case EndKind::kRefused:
      return "refused";
    case EndKind::kProtocol:
      return "protocol";
    case EndKind::kTls:
      return "tls";
    case EndKind::kLost:
      return "lost";
    case EndKind::kTimeout:
      return "timeout";
    case EndKind::kData:
      return "data";
    case EndKind::kStopped:
      return "stopped";
  }
  return {};
}

std::string_view name_of(Standing standing) {
  switch (standing) {
    case Standing::kDialling:
      return "dialling";
    case Standing::kAuthenticating:
      return "authenticating";
    case Standing::kReady:
      return "ready";
    case Standing::kOpened:
      return "opened";
    case Standing::kCapturing:
      return registry::kCapturing;
    case Standing::kNone:
      break;
  }
  return registry::kWaiting;
}

Hub::Hub(boost::asio::any_io_executor the_executor, SessionsConfig the_config,
         CaptureControl& the_control, telemetry::MetricsRegistry* metrics)
    : executor(std::move(the_executor)),
      config(std::move(the_config)),
      control(the_control),
      tasks(executor, metrics),
      metrics_(metrics) {
  if (metrics_ == nullptr) return;
  for (const Standing standing : {Standing::kDialling, Standing::kAuthenticating, Standing::kReady,
                                  Standing::kOpened, Standing::kCapturing}) {
    metrics_->gauge(kSessionsMetric, {{"state", std::string(name_of(standing))}});
  }
}

void Hub::spawn(std::string_view name, boost::asio::awaitable<void> work,
                async::TaskGroup::Ended ended) {
  tasks.spawn(name, std::move(work),
              [alive = owner.lock(), ended = std::move(ended)](const Result<void>& outcome) {
                if (ended) ended(outcome);
              });
}

void Hub::supervise(std::string_view name, async::TaskGroup::Work work,
                    async::TaskGroup::Ended failed) {
  tasks.supervise(name, std::move(work),
                  [alive = owner.lock(), failed = std::move(failed)](const Result<void>& outcome) {
                    failed(outcome);
                  });
}

bool Hub::forwarding() const {
  const std::size_t needed =
      config.mode == SensorMode::kReplicate ? config.sensors.size() - same_as_another_.size() : 1;
  return capturing_ > 0 && capturing_ >= needed;
}

void Hub::moved(Partner partner, Standing from, Standing to) {
  if (from == to) return;
  if (metrics_ != nullptr) {
    const auto gauge = [this](Standing standing) -> prometheus::Gauge& {
      return metrics_->gauge(kSessionsMetric, {{"state", std::string(name_of(standing))}});
    };
    if (from != Standing::kNone) gauge(from).Decrement();
    if (to != Standing::kNone) gauge(to).Increment();
  }
  if (partner == Partner::kClient) return;
  if (from == Standing::kCapturing) --capturing_;
  if (to == Standing::kCapturing) ++capturing_;
  note_change();
}

void Hub::note_change() {
  if (on_change) on_change(forwarding());
}

bool Hub::take(std::size_t sensor, const Endpoint& endpoint) {
  const Endpoint there = unmapped(endpoint);
  for (const auto& [other, taken] : taken_) {
    if (other != sensor && taken == there) return false;
  }
  taken_[sensor] = there;
  return true;
}

void Hub::leave(std::size_t sensor) { taken_.erase(sensor); }

void Hub::same_as_another(std::size_t sensor, bool same) {
  const std::size_t before = same_as_another_.size();
  if (same) {
    same_as_another_.insert(sensor);
  } else {
    same_as_another_.erase(sensor);
  }
  if (same_as_another_.size() != before) note_change();
}

bool Hub::is_self(const Endpoint& endpoint) const {
  return config.is_own_address && config.is_own_address(address_of(unmapped(endpoint)));
}

void Hub::dialled(const std::string& sensor) {
  if (metrics_ != nullptr) metrics_->counter(kDialsMetric, {{"sensor", sensor}}).Increment();
}

void Hub::ended(std::string_view kind) {
  if (stopping || metrics_ == nullptr) return;
  metrics_->counter(kSessionEndsMetric, {{"kind", std::string(kind)}}).Increment();
}

void Hub::client_refused(std::string_view reason) {
  if (metrics_ == nullptr) return;
  metrics_->counter(kClientsRefusedMetric, {{"reason", std::string(reason)}}).Increment();
}

}  // namespace sidetap::session
