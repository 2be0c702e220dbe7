#include "webhook/registry/identity_api.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include "shared/async/tuple.h"
#include "shared/telemetry/log.h"
#include "webhook/identity/identity_text.h"
#include "webhook/registry/identity_answers.h"
#include "webhook/registry/wall_clock.h"

namespace sidetap::webhook::registry {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using telemetry::MetricSpec;
using telemetry::MetricType;

const MetricSpec kAnswers{"sidetap_identities_answers_total", MetricType::kCounter,
                          "Answers to requests for identities, by status code."};
const MetricSpec kOpen{"sidetap_identities_open", MetricType::kGauge,
                       "Answers in progress, by kind: stream or list."};
const MetricSpec kCut{"sidetap_identities_cut_total", MetricType::kCounter,
                      "Readers of identities that were disconnected because they were too slow."};

constexpr const char* kLines = "application/x-ndjson";
constexpr const char* kJson = "application/json";
constexpr std::size_t kPieceBytes = 32u << 10;
/// Tenures or changes that make one piece: their lines have about 200 bytes.
constexpr std::size_t kPieceLines = 128;
constexpr const char* kTooManyLists = "too many lists are under way: try again";
/// A client's clock may be ahead of this one.
constexpr std::chrono::milliseconds kMostAhead{60'000};

/// Lets others have the thread after each piece: a fast reader of a long list never waits.
asio::awaitable<bool> deliver(Session& session, std::string piece) {
  const bool taken = co_await session.write_piece(std::move(piece));
  if (taken) co_await asio::post(session.executor(), asio::use_awaitable);
  co_return taken;
}

/// Entries of the inventory do not outlive a wait, so a list keeps the names of those that have
/// gone.
std::vector<identity::Pod> gone_pods(const inventory::Inventory& inventory) {
  std::vector<identity::Pod> pods;
  for (const auto& [name, tap] : inventory.taps()) {
    if (tap.ended) pods.push_back(tap.pod);
  }
  return pods;
}

/// Empty if the tap has been forgotten meanwhile, or has come back.
std::string gone_object(const inventory::Inventory& inventory, const identity::Pod& pod) {
  const inventory::Tap* const known = inventory.find_pod(pod);
  return known != nullptr && known->ended ? gone_tap_object(*known) : std::string();
}

struct Refusal {
  unsigned status;
  const char* reason;
};

Refusal refusal_of(Verdict::Kind kind) {
  switch (kind) {
    case Verdict::Kind::kNoToken:
      return {401, "no bearer token"};
    case Verdict::Kind::kBadToken:
      return {401, "the bearer token is not one that the API server knows for itself"};
    case Verdict::Kind::kForbidden:
      return {403,
              "the token's user may not get this path: bind the role of readers of identities"};
    default:
      return {503, "the token cannot be checked now"};
  }
}

}  // namespace

/// Cuts the session when its time has come.
class IdentityApi::Limit {
 public:
  Limit(std::shared_ptr<Session> session, prometheus::Counter& cut)
      : session_(std::move(session)), cut_(cut), timer_(session_->executor()) {}

  /// Instead of the limit that was set before.
  void set(std::chrono::milliseconds time) {
    timer_.expires_after(time);
    timer_.async_wait([session = session_, &cut = cut_](const boost::system::error_code& error) {
      if (error) return;
      cut.Increment();
      session->cut();
    });
  }
  void lift() { timer_.cancel(); }

 private:
  const std::shared_ptr<Session> session_;
  prometheus::Counter& cut_;
  asio::steady_timer timer_;
};

/// One of a limited number of places, if there is one.
class IdentityApi::Slot {
 public:
  Slot(std::size_t& used, std::size_t most, prometheus::Gauge& gauge)
      : used_(used), gauge_(gauge), has_(used < most) {
    if (has_) gauge_.Set(static_cast<double>(++used_));
  }
  ~Slot() {
    if (has_) gauge_.Set(static_cast<double>(--used_));
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

  explicit operator bool() const { return has_; }

 private:
  std::size_t& used_;
  prometheus::Gauge& gauge_;
  const bool has_;
};

IdentityApi::IdentityApi(ApiQueue& queue, const identity::Ledger& ledger,
                         const inventory::Inventory& inventory, IdentityApiConfig config,
                         telemetry::MetricsRegistry& metrics)
    : config_(std::move(config)),
      ledger_(ledger),
      inventory_(inventory),
      metrics_(metrics),
      guard_(queue, config_.guard) {
  for (const char* kind : {"stream", "list"}) metrics_.gauge(kOpen, {{"kind", kind}}).Set(0);
  metrics_.counter(kCut);
}

asio::awaitable<void> IdentityApi::finish(Session& session, http::HttpAnswer answer) {
  metrics_.counter(kAnswers, {{"code", std::to_string(answer.status)}}).Increment();
  return session.answer(std::move(answer));
}

asio::awaitable<void> IdentityApi::refuse(Session& session, unsigned status, std::string reason) {
  http::HttpAnswer answer;
  answer.status = status;
  answer.body = std::move(reason) + "\n";
  return finish(session, std::move(answer));
}

asio::awaitable<bool> IdentityApi::begin(Session& session, const char* content_type) {
  metrics_.counter(kAnswers, {{"code", "200"}}).Increment();
  return session.begin_body(content_type);
}

asio::awaitable<void> IdentityApi::serve(std::shared_ptr<Session> session,
                                         std::function<void()> admitted) {
  const std::string_view sent = session->request().target();
  if (sent.size() > kMostTargetBytes) {
    co_await refuse(*session, 414, "the target is too long");
    co_return;
  }
  const IdentityTarget target = identity_target_of(sent);
  if (target.route == IdentityTarget::Route::kNone) {
    co_await refuse(*session, 404,
                    "there are /v1/taps, /v1/identities, what is below them, and /v1/coverage");
    co_return;
  }
  if (session->request().method() != "GET") {
    http::HttpAnswer answer;
    answer.status = 405;
    answer.allow = "GET";
    answer.body = "only GET\n";
    co_await finish(*session, std::move(answer));
    co_return;
  }
  const bool may = co_await is_admitted(*session, target);
  if (!may) co_return;
  Limit limit(session, metrics_.counter(kCut));
  limit.set(config_.write);
  admitted();
  auto query = identity_query_of(target);
  if (query) {
    co_await give(*session, limit, target, std::move(*query));
  } else {
    co_await refuse(*session, 400, query.error().text);
  }
}

asio::awaitable<bool> IdentityApi::is_admitted(Session& session, const IdentityTarget& target) {
  Asker asker{session.source(), [&session] { return !session.has_ended(); }};
  std::string authorization(session.request().field("Authorization"));
  const Verdict verdict =
      co_await guard_.check(std::move(asker), std::move(authorization), target.path);
  if (verdict.is(Verdict::Kind::kAllowed)) co_return true;
  if (verdict.is(Verdict::Kind::kUnwanted)) co_return false;
  if (verdict.is(Verdict::Kind::kUnavailable)) {
    if (session.has_ended()) co_return false;  // also when the server stops
    if (const auto kept_back = faults_.admit())
      telemetry::warn("a request for identities cannot be checked",
                      {{"reason", verdict.reason}, {"not_logged", *kept_back}});
  }
  const Refusal refusal = refusal_of(verdict.kind);
  co_await refuse(session, refusal.status, refusal.reason);
  co_return false;
}

asio::awaitable<void> IdentityApi::give(Session& session, Limit& limit,
                                        const IdentityTarget& target, IdentityQuery query) {
  switch (target.route) {
    case IdentityTarget::Route::kTap:
      return give_tap(session, target);
    case IdentityTarget::Route::kTaps:
      return give_taps(session, limit);
    case IdentityTarget::Route::kStream:
      return give_stream(session, limit, query.after);
    case IdentityTarget::Route::kCoverage:
      return give_coverage(session);
    default:
      break;
  }
  return query.address ? give_answer(session, query) : give_list(session, limit);
}

asio::awaitable<void> IdentityApi::give_tap(Session& session, const IdentityTarget& target) {
  http::HttpAnswer answer;
  answer.content_type = kJson;
  const auto append = [&body = answer.body](const std::string& object) {
    body += body.empty() ? "{\"taps\":[" : ",";
    body += object;
  };
  for (const identity::Tap& tap : ledger_.taps_of(target.name_space, target.pod))
    append(tap_object(tap, inventory_.find_pod(*tap.pod)));
  const auto [first, last] = inventory_.taps().equal_range({target.name_space, target.pod});
  for (auto known = first; known != last; ++known) {
    if (known->second.ended) append(gone_tap_object(known->second));
  }
  if (answer.body.empty()) {
    co_await refuse(session, 404,
                    "no tap of this pod is connected to this replica, and none was in the last "
                    "minutes");
    co_return;
  }
  answer.body += "]}\n";
  co_await finish(session, std::move(answer));
}

asio::awaitable<void> IdentityApi::give_taps(Session& session, Limit& limit) {
  const Slot slot(lists_, config_.most_lists, metrics_.gauge(kOpen, {{"kind", "list"}}));
  if (!slot) {
    co_await refuse(session, 503, kTooManyLists);
    co_return;
  }
  limit.set(config_.list);
  const auto taps = ledger_.taps();
  const auto gone = gone_pods(inventory_);
  bool taken = co_await begin(session, kJson);
  std::string piece = "{\"taps\":[";
  const char* separator = "";
  for (std::size_t i = 0; taken && i < taps.size() + gone.size(); ++i) {
    const std::string object = i < taps.size()
                                   ? tap_object(taps[i], inventory_.find_pod(*taps[i].pod))
                                   : gone_object(inventory_, gone[i - taps.size()]);
    if (object.empty()) continue;
    piece += std::exchange(separator, ",") + object;
    if (piece.size() < kPieceBytes) continue;
    taken = co_await deliver(session, std::exchange(piece, std::string()));
  }
  if (!taken) co_return;
  piece += "]}\n";
  taken = co_await deliver(session, std::move(piece));
  if (taken) co_await session.end_body();
}

asio::awaitable<void> IdentityApi::give_coverage(Session& session) {
  if (!config_.coverage) {
    co_await refuse(session, 404, "coverage is off: see the option --coverage");
    co_return;
  }
  http::HttpAnswer answer;
  answer.content_type = kJson;
  answer.body = config_.coverage();
  if (answer.body.empty()) {
    co_await refuse(session, 503, "the pods are not known yet, or not any more: try again");
    co_return;
  }
  co_await finish(session, std::move(answer));
}

asio::awaitable<void> IdentityApi::give_answer(Session& session, IdentityQuery query) {
  const identity::Time now = wall_time();
  const identity::Time at = query.at.value_or(now);
  if (at > now + kMostAhead) {
    co_await refuse(session, 400, "at is in the future: it is now " + identity::to_text(now));
    co_return;
  }
  const identity::Answer known = ledger_.ask(*query.address, at);
  http::HttpAnswer answer;
  answer.content_type = kJson;
  answer.body = answer_line(*query.address, at, known);
  co_await finish(session, std::move(answer));
}

asio::awaitable<bool> IdentityApi::write_tenures(Session& session,
                                                 std::vector<identity::Tenure> tenures) {
  for (std::size_t i = 0; i < tenures.size(); i += kPieceLines) {
    const auto first = std::next(tenures.begin(), static_cast<std::ptrdiff_t>(i));
    const auto many = std::min(kPieceLines, tenures.size() - i);
    std::string piece;
    std::for_each(first, std::next(first, static_cast<std::ptrdiff_t>(many)),
                  [&piece](const identity::Tenure& tenure) { piece += tenure_line(tenure); });
    const bool taken = co_await deliver(session, std::move(piece));
    if (!taken) co_return false;
  }
  co_return true;
}

asio::awaitable<std::optional<identity::Position>> IdentityApi::give_all(Session& session,
                                                                         Limit& limit) {
  const Slot slot(lists_, config_.most_lists, metrics_.gauge(kOpen, {{"kind", "list"}}));
  if (!slot) {
    co_await refuse(session, 503, kTooManyLists);
    co_return std::nullopt;
  }
  limit.set(config_.list);
  const identity::Position position = ledger_.position();
  auto tenures = ledger_.tenures();
  bool taken = co_await begin(session, kLines);
  if (taken) taken = co_await write_tenures(session, std::move(tenures));
  if (!taken) co_return std::nullopt;
  co_return position;
}

asio::awaitable<void> IdentityApi::give_list(Session& session, Limit& limit) {
  const auto position = co_await give_all(session, limit);
  if (position) co_await session.end_body();
}

asio::awaitable<void> IdentityApi::give_stream(Session& session, Limit& limit,
                                               std::optional<identity::Position> after) {
  const Slot slot(streams_, config_.most_streams, metrics_.gauge(kOpen, {{"kind", "stream"}}));
  if (!slot) {
    co_await refuse(session, 503, "too many streams are open: ask another replica, or try again");
    co_return;
  }
  if (after) {
    if (!ledger_.changes_since(*after, 1)) {
      co_await refuse(session, 410,
                      "what followed this position is not known: begin without after");
      co_return;
    }
    const bool taken = co_await begin(session, kLines);
    if (!taken) co_return;
  } else {
    after = co_await give_all(session, limit);
    if (!after) co_return;
  }
  co_await follow(session, limit, *after);
}

asio::awaitable<void> IdentityApi::follow(Session& session, Limit& limit,
                                          identity::Position position) {
  asio::steady_timer pause(session.executor());
  const auto end = Clock::now() + config_.stream;
  // At once: the reader learns that it has everything.
  auto sign_of_life = Clock::now();
  while (!session.has_ended()) {
    const auto changes = ledger_.changes_since(position, kPieceLines);
    if (!changes) {
      metrics_.counter(kCut).Increment();
      session.cut();
      co_return;
    }
    std::string piece;
    for (const identity::Change& change : *changes) {
      piece += change_line(position.epoch, change);
      position.number = change.number;
    }
    if (piece.empty() && Clock::now() >= sign_of_life) piece = position_line(position);
    if (!piece.empty()) {
      limit.set(config_.write);
      const bool taken = co_await deliver(session, std::move(piece));
      if (!taken) co_return;
      sign_of_life = Clock::now() + config_.heartbeat;
    }
    limit.lift();
    if (!changes->empty()) continue;  // there may be more
    if (Clock::now() >= end) break;
    pause.expires_after(config_.pace);
    co_await pause.async_wait(async::kTuple);
  }
  limit.set(config_.write);
  co_await session.end_body();
}

}  // namespace sidetap::webhook::registry
