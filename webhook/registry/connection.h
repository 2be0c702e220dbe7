// What the registry's server knows of one connection, and of all of them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include <boost/asio/steady_timer.hpp>

#include "shared/async/backoff.h"
#include "shared/kube/access.h"
#include "webhook/registry/claim.h"
#include "webhook/registry/report_limit.h"
#include "webhook/registry/session.h"

namespace sidetap::webhook::registry {

struct Connection {
  Connection(std::shared_ptr<Session> the_session, Claim the_claim, async::BackoffBounds proofs)
      : session(std::move(the_session)),
        claim(std::move(the_claim)),
        limit(session->executor()),
        again(session->executor()),
        proof_backoff(proofs) {}

  const std::shared_ptr<Session> session;
  Claim claim;
  kube::TokenIdentity identity;
  boost::asio::steady_timer limit;  // for hello
  boost::asio::steady_timer again;  // for the next proof
  async::Backoff proof_backoff;     // lasts, so that a tap cannot make us ask without a pause
  std::uint64_t rules = 1;          // the newest that the tap applies
  std::string profile;              // that its pod's annotation names
  bool takes_orders = false;        // by settings
  bool takes_pauses = false;        // likewise
  ReportLimit reports;
  bool greeted = false, proving = false, gave_up = false, reported = false, ended = false;
};

using Connections = std::unordered_map<ConnectionId, std::shared_ptr<Connection>>;

}  // namespace sidetap::webhook::registry
