#include "webhook/registry/tap_desk.h"

#include <algorithm>
#include <utility>
#include <variant>

#include <prometheus/counter.h>

#include "shared/async/tuple.h"
#include "shared/registry/codec.h"
#include "shared/tap/settings.h"
#include "shared/telemetry/log.h"
#include "webhook/registry/metrics.h"

namespace sidetap::webhook::registry {
namespace {

namespace asio = boost::asio;
namespace wire = sidetap::registry;
/// How often the API server may say that an address is not the pod's. The last answer comes 30 s or
/// more after the first.
constexpr int kMostAnswers = 7;

}  // namespace

TapDesk::TapDesk(TapDeskParts parts) : parts_(std::move(parts)) {
  parts_.metrics.counter(kReportsDropped);
}

asio::awaitable<void> TapDesk::listen_to(Tap tap) {
  for (;;) {
    const auto text = co_await tap->session->read();
    if (!text) co_return;
    if (const auto heard = hear(tap, *text); !heard) {
      count_refused(parts_.metrics, "protocol");
      co_await tap->session->refuse(heard.error().text);
      co_return;
    }
  }
}

/// Hello must come first, and once: it states the tap's protocol version.
Result<void> TapDesk::hear(const Tap& tap, std::string_view text) {
  auto message = wire::decode_tap_message(text);
  if (!message) return message.error();
  auto* const hello = std::get_if<wire::Hello>(&*message);
  if (hello == nullptr && !tap->greeted) return Error{"the first message is not hello"};
  if (hello != nullptr && std::exchange(tap->greeted, true)) return Error{"hello comes once"};
  if (hello != nullptr) {
    greet(tap, std::move(*hello));
  } else if (auto* const state = std::get_if<wire::State>(&*message)) {
    take(tap, std::move(*state));
  } else if (auto* const report = std::get_if<wire::Report>(&*message)) {
    if (tap->reports.admits(std::chrono::steady_clock::now())) {
      parts_.inventory.reported(tap->session->id(), std::move(*report));
    } else {
      parts_.metrics.counter(kReportsDropped).Increment();
    }
  } else if (std::holds_alternative<wire::Resync>(*message)) {
    parts_.metrics.counter(kResyncs).Increment();
    tap->session->resync();
  }
  return {};
}

void TapDesk::greet(const Tap& tap, wire::Hello hello) {
  tap->limit.cancel();
  parts_.greeted(*tap);
  tap->rules = hello.rules;
  tap->profile = std::move(hello.profile);
  tap->takes_orders = !hello.control.empty();
  tap->takes_pauses = std::find(hello.control.begin(), hello.control.end(),
                                sidetap::tap::kPaused.control) != hello.control.end();
  take(tap, std::move(hello.state));
  // Before the first version, which may be long: the tap connects to its sensors meanwhile.
  parts_.settings.tell(*tap);
  tap->session->subscribe(parts_.bulletin.news());
}

void TapDesk::take(const Tap& tap, wire::State state) {
  tap->claim.say(std::move(state));
  // At once: a tap that stops forwarding needs no proof.
  apply(*tap);
  if (parts_.authenticator == nullptr || !tap->claim.wants_proof() ||
      std::exchange(tap->proving, true)) {
    return;
  }
  parts_.tasks.spawn("registry-proof", prove(tap), [tap](const Result<void>& outcome) {
    tap->proving = false;
    // Nothing that the tap claims is proved. It may try again on a new connection.
    if (!outcome) tap->session->cut();
  });
}

/// Publishes the proved part of what the tap claims.
void TapDesk::apply(const Connection& tap) {
  const ConnectionId id = tap.session->id();
  const auto proved = tap.claim.proved();
  parts_.bulletin.taps().update(id, proved, tap.claim.forwarding(), tap.rules);
  parts_.identities.proved(id, tap.identity, proved);
  parts_.inventory.stated(tap);
  if (parts_.services != nullptr && tap.claim.ended()) parts_.services->ended(proved);
  parts_.changed();
}

/// Asks the API server whether the addresses that the connection does not prove are the pod's. Asks
/// again, because the kubelet may not have reported them yet, or the API server may be unavailable.
asio::awaitable<void> TapDesk::prove(const Tap tap) {
  using Kind = Authenticator::AddressesAnswer::Kind;
  const Asker asker{tap->session->source(), [tap] { return !tap->ended; }};
  // It may claim other addresses at once.
  if (tap->gave_up) {
    tap->again.expires_after(tap->proof_backoff.wait(chance_()));
    co_await tap->again.async_wait(async::kTuple);
  }
  for (int answers = 0; !tap->ended && tap->claim.wants_proof();) {
    const auto known = co_await parts_.authenticator->addresses_of(asker, tap->identity);
    if (tap->ended || known.is(Kind::kUnwanted)) co_return;
    if (known.is(Kind::kAnswered)) {
      tap->claim.prove(known.value.value_or(wire::Addresses()));
      apply(*tap);
      if (!known.value || ++answers == kMostAnswers) {
        tap->claim.give_up();
        tap->gave_up = true;
      }
      // Not earlier: the kubelet often has not reported all addresses of a new pod yet.
      if (!tap->claim.wants_proof() && tap->claim.unproved() > 0) report_unproven(*tap);
      if (tap->claim.forwarding() && tap->claim.proved().empty()) {
        count_refused(parts_.metrics, "addresses");
        co_await tap->session->refuse("none of the addresses is this connection's");
        tap->session->cut();
        co_return;
      }
    }
    tap->again.expires_after(tap->proof_backoff.wait(chance_()));
    if (tap->claim.wants_proof()) co_await tap->again.async_wait(async::kTuple);
  }
  if (!tap->gave_up) tap->proof_backoff.succeeded();
}

void TapDesk::report_unproven(Connection& tap) {
  if (std::exchange(tap.reported, true)) return;
  parts_.metrics.counter(kUnproven).Increment(static_cast<double>(tap.claim.unproved()));
  if (const auto kept_back = unproven_.admit()) {
    telemetry::warn(
        "a tap claims addresses that it has not proved",
        {{"user", tap.identity.user}, {"pod", tap.identity.pod_name}, {"not_logged", *kept_back}});
  }
}

}  // namespace sidetap::webhook::registry
