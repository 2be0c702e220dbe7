#include "webhook/inventory/inventory.h"

#include <algorithm>
#include <iterator>

namespace sidetap::webhook::inventory {
namespace {

double per_second(std::uint64_t before, std::uint64_t after, double seconds) {
  return static_cast<double>(after - before) / seconds;
}

Sample sample_of(const sidetap::registry::Report& report, Time now) {
  Sample sample;
  sample.at = now;
  sample.seen = report.counts.seen;
  sample.seen_bytes = report.counts.seen_bytes;
  sample.forwarded = report.counts.forwarded;
  sample.forwarded_bytes = report.counts.forwarded_bytes;
  for (const auto& [cause, packets] : report.lost) sample.lost += packets;
  return sample;
}

bool went_back(const Sample& before, const Sample& after) {
  return after.seen < before.seen || after.seen_bytes < before.seen_bytes ||
         after.forwarded < before.forwarded || after.forwarded_bytes < before.forwarded_bytes ||
         after.lost < before.lost;
}

Inventory::Name name_for(ConnectionId connection, const identity::Pod& pod,
                         const std::vector<net::IpAddress>& addresses) {
  if (!pod.name.empty()) return {pod.name_space, pod.name};
  if (!addresses.empty()) return {pod.name_space, addresses.front().to_string()};
  return {pod.name_space, "connection-" + std::to_string(connection)};
}

}  // namespace

std::string_view name_of(Standing standing) {
  switch (standing) {
    case Standing::kForwarding:
      return "forwarding";
    case Standing::kPaused:
      return "paused";
    case Standing::kNoSensor:
      return "no-sensor";
    case Standing::kGone:
      return "gone";
    case Standing::kEnded:
      break;
  }
  return "ended";
}

Standing Tap::standing() const {
  if (ended) return left ? Standing::kEnded : Standing::kGone;
  if (!forwarding) return Standing::kNoSensor;
  // A tap that follows a newer order of another replica, or refuses this one, is not known to be
  // paused.
  const bool paused = orders && orders->paused && report && report->following &&
                      report->generation == orders->generation &&
                      report->profile == orders->profile;
  return paused ? Standing::kPaused : Standing::kForwarding;
}

bool Tap::follows() const {
  if (!orders) return true;
  return report && report->following && report->generation >= orders->generation;
}

Rates Tap::rates() const {
  if (ended || history.size() < 2) return {};
  const Sample& before = history[history.size() - 2];
  const Sample& after = history.back();
  const double seconds = std::chrono::duration<double>(after.at - before.at).count();
  Rates rates;
  rates.seen_packets = per_second(before.seen, after.seen, seconds);
  rates.seen_bytes = per_second(before.seen_bytes, after.seen_bytes, seconds);
  rates.forwarded_packets = per_second(before.forwarded, after.forwarded, seconds);
  rates.forwarded_bytes = per_second(before.forwarded_bytes, after.forwarded_bytes, seconds);
  rates.lost_packets = per_second(before.lost, after.lost, seconds);
  return rates;
}

std::uint64_t Tap::recently_lost() const {
  return history.empty() ? 0 : history.back().lost - history.front().lost;
}

Inventory::Inventory(InventoryConfig config) : config_(config) {}

void Inventory::stated(ConnectionId connection, const identity::Pod& pod,
                       std::vector<net::IpAddress> addresses, bool forwarding, std::uint64_t rules,
                       Time now) {
  if (!connections_.contains(connection)) {
    const Name name = name_for(connection, pod, addresses);
    std::string key = pod.uid.empty() ? name.first + "/" + name.second : pod.uid;
    std::vector<ConnectionId>& ids = pods_[key];
    const Taps::iterator tap =
        ids.empty() ? arrive(name, pod, now) : connections_.at(ids.back()).tap;
    // A newer connection has its own orders. What it does, it has not said yet.
    if (ids.empty() || ids.back() < connection) tap->second.orders.reset();
    ids.insert(std::upper_bound(ids.begin(), ids.end(), connection), connection);
    connections_.emplace(connection, Connection{std::move(key), tap});
  }
  Tap* const tap = tap_of(connection);
  if (tap == nullptr) return;
  tap->addresses = std::move(addresses);
  tap->forwarding = forwarding;
  tap->rules = rules;
}

/// The entry of a pod that is not connected.
Inventory::Taps::iterator Inventory::arrive(const Name& name, const identity::Pod& pod, Time now) {
  const auto [first, last] = taps_.equal_range(name);
  // All others of this name that are not connected have another UID.
  const auto known = std::find_if(first, last, [&pod](const auto& entry) {
    return entry.second.ended && entry.second.pod.uid == pod.uid;
  });
  if (known == last) {
    Tap tap;
    tap.pod = pod;
    tap.pod.name_space = name.first;
    tap.pod.name = name.second;
    tap.since = now;
    const auto added = taps_.emplace(name, std::move(tap));
    while (taps_.size() > config_.most_taps && !ended_.empty()) forget_first();
    return added;
  }
  const auto [from, to] = ended_.equal_range(*known->second.ended);
  ended_.erase(std::find_if(from, to, [&](const auto& entry) { return entry.second == known; }));
  known->second.ended.reset();
  known->second.left = false;
  known->second.since = now;
  return known;
}

void Inventory::ordered(ConnectionId connection, Orders orders) {
  if (Tap* const tap = tap_of(connection)) tap->orders = std::move(orders);
}

void Inventory::reported(ConnectionId connection, sidetap::registry::Report report, Time now) {
  Tap* const tap = tap_of(connection);
  if (tap == nullptr) return;
  tap->report = std::move(report);
  tap->reported = now;
  sample(*tap, now);
}

void Inventory::sample(Tap& tap, Time now) const {
  const Sample newest = sample_of(*tap.report, now);
  std::deque<Sample>& history = tap.history;
  // Also after the clock was set back: no interval is negative, or empty.
  if (!history.empty() && (went_back(history.back(), newest) || now < history.back().at))
    history.clear();
  // Taps' timers are not exact, so a little less than the interval is enough.
  const auto enough = config_.interval * 3 / 4;
  const std::size_t count = history.size();
  const bool renews =
      count > 0 && (history.back().at == now ||
                    (count > 1 && history.back().at - history[count - 2].at < enough));
  if (renews) {
    history.back() = newest;
  } else {
    history.push_back(newest);
  }
  trim(tap, now);
}

void Inventory::trim(Tap& tap, Time now) const {
  while (!tap.history.empty() && now - tap.history.front().at > config_.history)
    tap.history.pop_front();
}

void Inventory::ended(ConnectionId connection, Time now) {
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  const auto pod = pods_.find(found->second.pod);
  const Taps::iterator tap = found->second.tap;
  connections_.erase(found);
  std::erase(pod->second, connection);
  if (!pod->second.empty()) return;
  pods_.erase(pod);
  tap->second.left = !tap->second.forwarding;
  tap->second.ended = now;
  ended_.emplace(now, tap);
  while (taps_.size() > config_.most_taps && !ended_.empty()) forget_first();
}

void Inventory::forget_first() {
  taps_.erase(ended_.begin()->second);
  ended_.erase(ended_.begin());
}

void Inventory::expire(Time now) {
  while (!ended_.empty() && now - ended_.begin()->first > config_.keep) forget_first();
  for (auto& [name, tap] : taps_) trim(tap, now);
}

Tap* Inventory::tap_of(ConnectionId connection) {
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return nullptr;
  const bool newest = pods_.at(found->second.pod).back() == connection;
  return newest ? &found->second.tap->second : nullptr;
}

const Tap* Inventory::find(const Name& name) const {
  const auto [first, last] = taps_.equal_range(name);
  return first == last ? nullptr : &std::prev(last)->second;
}

const Tap* Inventory::find_pod(const identity::Pod& pod) const {
  const auto [first, last] = taps_.equal_range({pod.name_space, pod.name});
  const auto found = std::find_if(
      first, last, [&pod](const auto& entry) { return entry.second.pod.uid == pod.uid; });
  return found == last ? nullptr : &found->second;
}

}  // namespace sidetap::webhook::inventory
