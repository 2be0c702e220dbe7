#include "sidecar/session/sensor_loop.h"

#include <utility>

#include "shared/async/resolve.h"
#include "shared/telemetry/log.h"
#include "sidecar/session/tls.h"

namespace sidetap::session {
namespace {

namespace asio = boost::asio;

// Kinds of ends besides those of the protocol.
constexpr std::string_view kSelf = "self";
constexpr std::string_view kSame = "same";

std::chrono::milliseconds since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               start);
}

}  // namespace

SensorLoop::SensorLoop(Hub& hub, SensorList& list, std::size_t index, std::function<void()> changed)
    : hub_(hub),
      list_(list),
      index_(index),
      sensor_(hub.config.sensors[index]),
      name_(sensor_.address.to_string()),
      changed_(std::move(changed)),
      own_traffic_(hub.control, "session " + std::to_string(index)),
      backoff_(hub.config.backoff),
      patience_(hub.executor) {}

void SensorLoop::reconsider() {
  if (hub_.stopping || list_.wanted(index_) != at_work_) interruption_.request();
}

void SensorLoop::dial_soon() {
  if (rests_) interruption_.request();
}

asio::awaitable<void> SensorLoop::run() {
  while (!hub_.stopping) {
    interruption_.clear();
    rests_ = false;
    at_work_ = list_.wanted(index_);
    if (!at_work_) {
      co_await stand_by();
      continue;
    }
    const auto begin = std::chrono::steady_clock::now();
    Outcome outcome;
    try {
      outcome = co_await attempt();
    } catch (const std::exception& error) {
      outcome = {"lost", error.what()};
    }
    const bool wanted = !hub_.stopping && list_.wanted(index_);
    let_go(outcome.kind);
    if (!wanted) continue;
    hub_.ended(outcome.kind);
    report(outcome);
    backoff_.session_ended(since(begin));
    interruption_.clear();
    rests_ = true;
    if (hub_.hurried) backoff_.succeeded();
    co_await async::sleep(hub_.executor, backoff_.wait(hub_.chance()), &interruption_);
  }
}

void SensorLoop::let_go(std::string_view kind) {
  stand(Standing::kNone);
  hub_.leave(index_);
  hub_.same_as_another(index_, kind == kSame);
  patience_.cancel();
  say(kind == kSelf ? SensorState::kSelf : SensorState::kFailed);
}

asio::awaitable<SensorLoop::Outcome> SensorLoop::attempt() {
  stand(Standing::kDialling);
  // The sensor is not bothered before the tap has what it needs.
  auto access = read_access(hub_.config);
  if (!access) co_return Outcome{"secret", access.error().text};
  hub_.dialled(name_);
  Outcome failure;
  auto control = co_await connect(failure);
  if (!control) co_return failure;
  co_return co_await talk(std::move(*control), std::move(*access));
}

asio::awaitable<Result<std::vector<Endpoint>>> SensorLoop::look_up(Outcome& failure) {
  auto addresses = co_await async::resolve(hub_.executor, sensor_.address, &interruption_);
  if (!addresses) {
    failure = {"look_up", addresses.error().text};
    co_return addresses;
  }
  for (const Endpoint& address : *addresses) {
    if (!hub_.is_self(address)) continue;
    failure = {kSelf, address.address().to_string() + " is an address of this pod"};
    co_return Error{failure.text};
  }
  if (list_.state(index_) == SensorState::kSelf) say(SensorState::kUntried);
  co_return addresses;
}

/// A sensor that is not wanted may still be this pod, which then must not forward to the others.
asio::awaitable<void> SensorLoop::stand_by() {
  Outcome failure;
  co_await look_up(failure);
  if (failure.kind == kSelf) {
    say(SensorState::kSelf);
    report(failure);
  } else {
    co_await async::sleep(hub_.executor, std::chrono::hours(24), &interruption_);
  }
}

asio::awaitable<std::optional<async::AsyncFd>> SensorLoop::connect(Outcome& failure) {
  const auto addresses = co_await look_up(failure);
  if (!addresses) co_return std::nullopt;
  const Exclude exclude = [this](capture::OwnEndpoint endpoint) {
    endpoint.every_local_port = true;
    return own_traffic_.control(endpoint);
  };
  std::string same;
  for (const Endpoint& address : *addresses) {
    if (!hub_.take(index_, address)) {
      same = address.address().to_string() + " is another sensor's of the list";
      continue;
    }
    auto dialled = co_await dial_tcp(hub_.executor, address, exclude, hub_.config.connect_timeout,
                                     &interruption_);
    if (dialled) {
      keep_alive(dialled->get(), hub_.config.sensor_silence);
      hub_.same_as_another(index_, false);
      co_return std::move(*dialled);
    }
    failure = {"connect", address.address().to_string() + ": " + dialled.error().text};
    if (interruption_.requested()) break;
  }
  // One address reaches it, so the others, which do not answer, do not matter.
  if (!same.empty()) failure = {kSame, std::move(same)};
  co_return std::nullopt;
}

asio::awaitable<SensorLoop::Outcome> SensorLoop::talk(async::AsyncFd control, Access access) {
  std::shared_ptr<SSL_CTX> tls;
  if (access.tls.role != TlsRole::kNone) {
    auto made = make_tls_context(access.tls);
    if (!made) co_return Outcome{"tls", made.error().text};
    tls = std::move(*made);
  }
  SessionParts parts{.config = hub_.config,
                     .control = hub_.control,
                     .own_traffic = own_traffic_,
                     .interruption = interruption_,
                     .peer_name = name_,
                     .peer_host = sensor_.certificate_host.empty() ? sensor_.address.host
                                                                   : sensor_.certificate_host,
                     .active = true,
                     .ipv6_family = sensor_.ipv6_family,
                     .udp_format = hub_.config.udp_format,
                     .user = std::move(access.user),
                     .password = std::move(access.password),
                     .tls = std::move(tls),
                     .on_phase = [this](Phase phase) { on_phase(phase); }};
  const auto session = std::make_shared<LiveSession>(std::move(parts), std::move(control));
  expect_capture();
  End end = co_await session->run();
  co_return Outcome{name_of(end.kind), std::move(end.text)};
}

registry::SensorReport SensorLoop::now() const {
  const bool talks = standing_ != Standing::kNone && standing_ != Standing::kDialling;
  return {.sensor = name_,
          .state = std::string(session::name_of(standing_)),
          .reason = talks ? std::string() : reported_};
}

void SensorLoop::stand(Standing standing) {
  // Before anybody asks for it.
  const Standing before = std::exchange(standing_, standing);
  hub_.moved(Partner::kSensor, before, standing);
}

void SensorLoop::on_phase(Phase phase) {
  const bool was_capturing = standing_ == Standing::kCapturing;
  stand(standing_of(phase));
  if (phase == Phase::kCapturing) {
    patience_.cancel();
    if (!reported_.empty() || !was_capturing) {
      telemetry::info("forwarding to sensor", {{"sensor", name_}});
    }
    reported_.clear();
    say(SensorState::kForwarding);
  } else if (was_capturing) {
    telemetry::info("capture for sensor ended", {{"sensor", name_}});
    if (phase != Phase::kEnded) expect_capture();
  }
}

void SensorLoop::expect_capture() {
  patience_.expires_after(hub_.config.failover_patience);
  // It may have expired already when this object goes.
  patience_.async_wait([this, owner = hub_.owner](const boost::system::error_code& error) {
    if (error || owner.expired()) return;
    if (standing_ != Standing::kCapturing) say(SensorState::kFailed);
  });
}

void SensorLoop::say(SensorState state) {
  if (list_.state(index_) == state) return;
  list_.set(index_, state);
  changed_();
}

void SensorLoop::report(const Outcome& outcome) {
  // Alternating faults are news each time.
  const bool news = outcome.text != reported_ && reports_.admit();
  const auto level = news ? telemetry::LogLevel::kWarn : telemetry::LogLevel::kDebug;
  if (std::exchange(reported_, outcome.text) != outcome.text) hub_.note_change();
  const std::string_view what =
      outcome.kind == kSelf   ? "this pod is a sensor itself; its tap forwards nothing"
      : outcome.kind == kSame ? "sensor is named twice; it gets every packet once"
                              : "no session with sensor; dialling again";
  telemetry::log(level, what,
                 {{"sensor", name_}, {"cause", outcome.kind}, {"detail", outcome.text}});
}

}  // namespace sidetap::session
