#include "webhook/identity/ledger.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>

namespace sidetap::webhook::identity {
namespace {

bool lists(const std::vector<net::IpAddress>& addresses, const net::IpAddress& address) {
  return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

/// The newest tenure of the address that began by then; the end if there is none.
template <typename Tenures>
auto newest_of(Tenures& tenures, const net::IpAddress& address, Time by = Time::max()) {
  const auto after = tenures.upper_bound({address, by, std::numeric_limits<std::uint64_t>::max()});
  if (after == tenures.begin()) return tenures.end();
  const auto last = std::prev(after);
  return last->first.address == address ? last : tenures.end();
}

}  // namespace

Ledger::Ledger(LedgerConfig config) : config_(std::move(config)) {}

void Ledger::update(ConnectionId connection, const Pod& pod,
                    const std::vector<net::IpAddress>& addresses, Time now) {
  expire(now);
  Connection& own = connections_[connection];
  if (!own.pod) own.pod = std::make_shared<const Pod>(pod);
  const std::vector<net::IpAddress> before = std::exchange(own.addresses, {});
  for (const auto& address : before) {
    if (!lists(addresses, address)) release(connection, address, now_);
  }
  for (const auto& address : addresses) {
    if (!lists(own.addresses, address)) claim(connection, own, address);
  }
}

void Ledger::end(ConnectionId connection, Time seen, Time now) {
  expire(now);
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  for (const auto& address : found->second.addresses) release(connection, address, seen);
  connections_.erase(found);
}

void Ledger::expire(Time now) {
  now_ = std::max(now_, now);
  while (!ended_.empty() && now_ - *tenures_.at(ended_.front()).tenure.to > config_.keep) {
    forget_oldest();
  }
}

void Ledger::claim(ConnectionId id, Connection& connection, const net::IpAddress& address) {
  if (lists(connection.lost, address)) return;
  const auto last = newest_of(tenures_, address);
  if (last != tenures_.end()) {
    Entry& entry = last->second;
    const bool same_pod = entry.tenure.pod->uid == connection.pod->uid;
    if (!same_pod && entry.connection > id) return connection.lost.push_back(address);
    if (same_pod && (!entry.tenure.to || now_ - *entry.tenure.to <= config_.continues)) {
      resume(id, entry);
      return connection.addresses.push_back(address);
    }
    if (!entry.tenure.to) take_away(last);
  }
  if (begin(id, connection, address)) connection.addresses.push_back(address);
}

void Ledger::resume(ConnectionId id, Entry& entry) {
  if (!entry.tenure.to) {
    entry.connection = std::max(entry.connection, id);
    return;
  }
  entry.connection = id;
  entry.tenure.to.reset();
  ended_.erase(entry.ended);
  record(entry.tenure);
}

/// The address is another pod's now. Nobody may show the previous one for a later time, whatever
/// its connection still claims.
void Ledger::take_away(Entries::iterator entry) {
  const net::IpAddress& address = entry->first.address;
  const ConnectionId previous = entry->second.connection;
  const auto heard = config_.heard ? config_.heard(previous) : std::nullopt;
  finish(entry, heard.value_or(now_));
  const auto found = connections_.find(previous);
  if (found == connections_.end()) return;
  std::erase(found->second.addresses, address);
  found->second.lost.push_back(address);
}

void Ledger::release(ConnectionId id, const net::IpAddress& address, Time seen) {
  const auto last = newest_of(tenures_, address);
  if (last == tenures_.end() || last->second.connection != id || last->second.tenure.to) return;
  finish(last, seen);
}

void Ledger::finish(Entries::iterator entry, Time seen) {
  Tenure& tenure = entry->second.tenure;
  tenure.to = std::clamp(seen, tenure.from, now_);
  entry->second.ended = ended_.insert(ended_.end(), entry->first);
  record(tenure);
}

bool Ledger::begin(ConnectionId id, const Connection& connection, const net::IpAddress& address) {
  if (!make_room()) return false;
  const Entry entry{Tenure{address, connection.pod, now_, std::nullopt}, id};
  tenures_.emplace(Key{address, now_, ++last_serial_}, entry);
  record(entry.tenure);
  return true;
}

bool Ledger::make_room() {
  while (tenures_.size() >= config_.most_tenures) {
    ++dropped_;
    if (ended_.empty()) return false;
    forget_oldest();
  }
  return true;
}

void Ledger::forget_oldest() {
  tenures_.erase(ended_.front());
  ended_.pop_front();
  ++revision_;
}

void Ledger::record(const Tenure& tenure) {
  ++revision_;
  changes_.push_back({++number_, tenure});
  if (changes_.size() > config_.most_changes) changes_.pop_front();
}

Answer Ledger::ask(const net::IpAddress& address, Time at) const {
  Answer answer;
  const auto last = newest_of(tenures_, address, at);
  if (last != tenures_.end()) {
    const Tenure& tenure = last->second.tenure;
    if (!tenure.to || at < *tenure.to) return {Answer::Kind::kHeld, tenure};
    answer.last = tenure;
  }
  const auto next =
      last != tenures_.end() ? std::next(last) : tenures_.lower_bound({address, Time::min(), 0});
  if (next != tenures_.end() && next->first.address == address) answer.next = next->second.tenure;
  if (answer.last || answer.next) answer.kind = Answer::Kind::kUncertain;
  return answer;
}

Tap Ledger::tap_of(const std::vector<ConnectionId>& connections) const {
  Tap tap;
  std::map<net::IpAddress, Tenure> held;
  for (const ConnectionId id : connections) {
    const Connection& connection = connections_.at(id);
    tap.pod = connection.pod;
    for (const auto& address : connection.addresses) {
      const auto last = newest_of(tenures_, address);
      if (last == tenures_.end() || last->second.tenure.to) continue;
      if (last->second.tenure.pod->uid == tap.pod->uid) held.emplace(address, last->second.tenure);
    }
  }
  for (const auto& [address, tenure] : held) tap.tenures.push_back(tenure);
  return tap;
}

std::vector<Tap> Ledger::taps() const {
  using Name = std::array<std::string_view, 3>;
  std::map<Name, std::vector<ConnectionId>> pods;
  for (const auto& [id, connection] : connections_) {
    const Pod& pod = *connection.pod;
    pods[Name{pod.name_space, pod.name, pod.uid}].push_back(id);
  }
  std::vector<Tap> taps;
  taps.reserve(pods.size());
  for (const auto& [name, connections] : pods) taps.push_back(tap_of(connections));
  return taps;
}

std::vector<Tap> Ledger::taps_of(std::string_view name_space, std::string_view name) const {
  std::map<std::string_view, std::vector<ConnectionId>> pods;
  for (const auto& [id, connection] : connections_) {
    const Pod& pod = *connection.pod;
    if (pod.name_space == name_space && pod.name == name) pods[pod.uid].push_back(id);
  }
  std::map<ConnectionId, const std::vector<ConnectionId>*, std::greater<>> by_age;
  for (const auto& [uid, connections] : pods) {
    by_age.emplace(*std::max_element(connections.begin(), connections.end()), &connections);
  }
  std::vector<Tap> taps;
  for (const auto& [newest, connections] : by_age) taps.push_back(tap_of(*connections));
  return taps;
}

std::vector<Tenure> Ledger::tenures() const {
  std::vector<Tenure> all;
  all.reserve(tenures_.size());
  for (const auto& [key, entry] : tenures_) all.push_back(entry.tenure);
  return all;
}

std::vector<Tenure> Ledger::newest_tenures(Time since) const {
  std::vector<Tenure> newest;
  for (auto entry = tenures_.begin(); entry != tenures_.end(); ++entry) {
    const auto following = std::next(entry);
    if (following != tenures_.end() && following->first.address == entry->first.address) continue;
    const Tenure& tenure = entry->second.tenure;
    if (!tenure.to || *tenure.to >= since) newest.push_back(tenure);
  }
  return newest;
}

std::optional<std::vector<Change>> Ledger::changes_since(const Position& position,
                                                         std::size_t most) const {
  const std::uint64_t gone = number_ - changes_.size();
  if (position.epoch != config_.epoch || position.number > number_ || position.number < gone)
    return std::nullopt;
  const auto first = changes_.begin() + static_cast<std::ptrdiff_t>(position.number - gone);
  const auto left = static_cast<std::size_t>(changes_.end() - first);
  return std::vector<Change>(first, first + static_cast<std::ptrdiff_t>(std::min(most, left)));
}

}  // namespace sidetap::webhook::identity
