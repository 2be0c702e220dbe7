#include "webhook/registry/identities.h"

#include <algorithm>
#include <utility>

#include <boost/asio/post.hpp>
#include <prometheus/counter.h>

#include "shared/telemetry/log.h"
#include "webhook/registry/identity_files.h"
#include "webhook/registry/wall_clock.h"

namespace sidetap::webhook::registry {
namespace {

using telemetry::MetricSpec;
using telemetry::MetricType;

const MetricSpec kTenures{"sidetap_identity_tenures", MetricType::kGauge,
                          "Addresses for which the registry knows the pod that has or had them, by "
                          "state: held or ended."};
const MetricSpec kIdentityChanges{
    "sidetap_identity_changes_total", MetricType::kCounter,
    "Times that a pod's hold on an address began, ended, or continued."};
const MetricSpec kIdentityDropped{"sidetap_identity_dropped_total", MetricType::kCounter,
                                  "Addresses that were forgotten early or left out because there "
                                  "were more than --identity-entries."};
const MetricSpec kIdentityFileFailures{"sidetap_identity_file_failures_total", MetricType::kCounter,
                                       "Times that the files of identities could not be written."};

identity::Time wall_time_of(Identities::Clock::time_point time) {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now() -
                                                       (Identities::Clock::now() - time));
}

identity::LedgerConfig ledger_config(const IdentityConfig& config, std::uint64_t epoch,
                                     Identities::Heard heard) {
  identity::LedgerConfig ledger;
  ledger.epoch = epoch;
  ledger.keep = config.keep;
  ledger.most_tenures = config.most_tenures;
  ledger.heard =
      [heard = std::move(heard)](identity::ConnectionId id) -> std::optional<identity::Time> {
    const auto time = heard(id);
    if (!time) return std::nullopt;
    return wall_time_of(*time);
  };
  return ledger;
}

}  // namespace

Identities::Identities(boost::asio::any_io_executor executor, IdentityConfig config,
                       std::uint64_t epoch, Heard heard, telemetry::MetricsRegistry& metrics)
    : executor_(executor),
      config_(std::move(config)),
      metrics_(metrics),
      ledger_(ledger_config(config_, epoch, std::move(heard))),
      timer_(executor) {
  if (!config_.folder.empty()) writer_.emplace(std::size_t{1});
  const auto number = [](const auto& value) {
    return [&value] { return static_cast<double>(value.load()); };
  };
  metrics_.expose(kTenures, {{"state", "held"}}, number(held_));
  metrics_.expose(kTenures, {{"state", "ended"}}, number(past_));
  metrics_.expose(kIdentityChanges, {}, number(changes_));
  metrics_.expose(kIdentityDropped, {}, number(dropped_));
  if (writer_) metrics_.counter(kIdentityFileFailures);
}

void Identities::start() { wait(); }

void Identities::stop() {
  stopping_ = true;
  timer_.cancel();
}

void Identities::proved(identity::ConnectionId connection, const kube::TokenIdentity& who,
                        const std::vector<net::IpAddress>& addresses) {
  if (who.pod_uid.empty()) return;
  const identity::Pod pod{who.name_space, who.pod_name, who.pod_uid, who.node_name};
  ledger_.update(connection, pod, addresses, wall_time());
  count();
}

void Identities::ended(identity::ConnectionId connection, Clock::time_point heard) {
  ledger_.end(connection, wall_time_of(heard), wall_time());
  count();
}

void Identities::wait() {
  timer_.expires_after(config_.pace);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || stopping_) return;
    tick();
    wait();
  });
}

void Identities::tick() {
  const identity::Time now = wall_time();
  ledger_.expire(now);
  count();
  if (!writer_ || writing_) return;
  if (in_files_ != ledger_.revision() || now > stale_) write(now);
}

void Identities::write(identity::Time now) {
  writing_ = true;
  auto tenures = ledger_.newest_tenures(now - config_.recent);
  stale_ = identity::Time::max();
  for (const identity::Tenure& tenure : tenures) {
    if (tenure.to) stale_ = std::min(stale_, *tenure.to + config_.recent);
  }
  boost::asio::post(*writer_, [this, revision = ledger_.revision(), tenures = std::move(tenures)] {
    auto outcome = write_identity_files(config_.folder, tenures);
    boost::asio::post(
        executor_, [this, revision, outcome = std::move(outcome)] { written(revision, outcome); });
  });
}

void Identities::written(std::uint64_t revision, const Result<void>& outcome) {
  writing_ = false;
  if (outcome) {
    in_files_ = revision;
    if (std::exchange(failing_, false)) telemetry::info("writing the files of identities again");
    return;
  }
  in_files_.reset();
  metrics_.counter(kIdentityFileFailures).Increment();
  if (std::exchange(failing_, true)) return;
  telemetry::warn("cannot write the files of identities; trying again",
                  {{"reason", outcome.error().text}});
}

void Identities::count() {
  held_ = ledger_.held();
  past_ = ledger_.ended();
  changes_ = ledger_.changes();
  dropped_ = ledger_.dropped();
}

}  // namespace sidetap::webhook::registry
