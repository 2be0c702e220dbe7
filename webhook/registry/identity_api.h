// Gives the ledger of identities and the inventory of taps out to those who may ask: answers the
// plain HTTP requests on the registry's port. identity_request.h has the routes, and
// identity_answers.h what is answered.
//
// The lines of a stream are JSON objects:
//   {"position":"EPOCH-NUMBER", and the members of a tenure}   a change (identity/ledger.h)
//   {"position":"EPOCH-NUMBER"}                                all up to there has been sent
//   {the members of a tenure}                                  what was known at the beginning
// A stream without a position to go on from begins with all tenures and then a position. A position
// without a tenure also comes when nothing has happened for a while, as a sign of life.
//
// Nothing is kept for a reader: a stream reads the ledger's own sequence of changes. A reader that
// does not take a piece in time, or falls behind what the ledger keeps, is cut, and knows by the
// missing end that it was.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "shared/http/https_server.h"
#include "shared/telemetry/log_throttle.h"
#include "shared/telemetry/metrics.h"
#include "webhook/identity/ledger.h"
#include "webhook/inventory/inventory.h"
#include "webhook/registry/api_guard.h"
#include "webhook/registry/api_queue.h"
#include "webhook/registry/identity_request.h"
#include "webhook/registry/session.h"

namespace sidetap::webhook::registry {

struct IdentityApiConfig {
  bool enabled = true;
  ApiGuardConfig guard{};
  std::size_t most_streams = 64;  ///< At once. Others are answered 503.
  /// Answers that list the whole ledger, at once: each holds a copy of it. Others are answered 503.
  std::size_t most_lists = 4;
  std::chrono::milliseconds list{60'000};       ///< For a reader to take a whole list.
  std::chrono::milliseconds write{10'000};      ///< For a reader to take any other piece.
  std::chrono::milliseconds heartbeat{15'000};  ///< Of a stream without changes.
  /// After this time a stream ends in order. Its reader asks again, and whether it still may is
  /// checked again.
  std::chrono::milliseconds stream{1'800'000};
  /// How often a stream looks for changes, which it sends together.
  std::chrono::milliseconds pace{200};
  /// What /v1/coverage answers: a JSON text, or an empty one while nothing is known. None: 404.
  std::function<std::string()> coverage{};
};

/// Use it on the registry's thread.
class IdentityApi {
 public:
  /// The references must outlive this object, and this object the coroutines of serve().
  IdentityApi(ApiQueue& queue, const identity::Ledger& ledger,
              const inventory::Inventory& inventory, IdentityApiConfig config,
              telemetry::MetricsRegistry& metrics);

  /// Answers the request that `session` has read, and ends the connection. Calls `admitted` when
  /// the requester may have the answer: from then on, this object limits the time.
  boost::asio::awaitable<void> serve(std::shared_ptr<Session> session,
                                     std::function<void()> admitted);

 private:
  class Limit;
  class Slot;

  boost::asio::awaitable<bool> is_admitted(Session& session, const IdentityTarget& target);
  boost::asio::awaitable<void> give(Session& session, Limit& limit, const IdentityTarget& target,
                                    IdentityQuery query);
  boost::asio::awaitable<void> give_tap(Session& session, const IdentityTarget& target);
  boost::asio::awaitable<void> give_taps(Session& session, Limit& limit);
  boost::asio::awaitable<void> give_coverage(Session& session);
  boost::asio::awaitable<void> give_answer(Session& session, IdentityQuery query);
  boost::asio::awaitable<void> give_list(Session& session, Limit& limit);
  boost::asio::awaitable<void> give_stream(Session& session, Limit& limit,
                                           std::optional<identity::Position> after);
  /// Begins an answer with all tenures, as of the position that it returns; nothing if there is no
  /// more to answer.
  boost::asio::awaitable<std::optional<identity::Position>> give_all(Session& session,
                                                                     Limit& limit);
  boost::asio::awaitable<void> follow(Session& session, Limit& limit, identity::Position position);

  // How an answer is sent.
  boost::asio::awaitable<void> refuse(Session& session, unsigned status, std::string reason);
  boost::asio::awaitable<void> finish(Session& session, http::HttpAnswer answer);
  /// A 200 whose body follows. This one and the next return false if the connection has ended.
  boost::asio::awaitable<bool> begin(Session& session, const char* content_type);
  boost::asio::awaitable<bool> write_tenures(Session& session,
                                             std::vector<identity::Tenure> tenures);

  const IdentityApiConfig config_;
  const identity::Ledger& ledger_;
  const inventory::Inventory& inventory_;
  telemetry::MetricsRegistry& metrics_;
  telemetry::LogThrottle faults_{5, std::chrono::minutes(1)};
  ApiGuard guard_;
  std::size_t streams_ = 0, lists_ = 0;
};

}  // namespace sidetap::webhook::registry
