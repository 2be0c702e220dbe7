#include "webhook/registry/bulletin.h"

#include <set>
#include <utility>
#include <vector>

#include "shared/registry/codec.h"

namespace sidetap::webhook::registry {
namespace {

namespace wire = sidetap::registry;

template <typename T>
std::vector<T> listed(const std::set<T>& items) {
  return {items.begin(), items.end()};
}

template <typename Message>
std::shared_ptr<const std::string> text_of(const Message& message) {
  return std::make_shared<const std::string>(encode(message));
}

}  // namespace

Bulletin::Bulletin(std::uint64_t version, ServiceTable* services, Figures& figures)
    : version_(version), services_(services), figures_(figures) {
  renew(std::nullopt);
}

bool Bulletin::due() const {
  return taps_.changed() || (services_ != nullptr && services_->changed());
}

bool Bulletin::publish() {
  const auto change = next_version();
  if (change) renew(change);
  return change.has_value();
}

std::optional<wire::Change> Bulletin::next_version() {
  wire::Change change;
  bool changed = taps_.flush(change);
  if (services_ != nullptr) {
    services_->taps_changed({change.add.taps, change.remove.taps},
                            {change.add.older, change.remove.older});
    const std::size_t taken = taps_.published().size() + taps_.older().size();
    changed |= services_->flush(change, wire::kMostMessageItems - taken);
    figures_.count(*services_);
  }
  if (!changed) return std::nullopt;
  change.from = version_++;
  change.version = version_;
  return change;
}

wire::Lists Bulletin::lists() const {
  wire::Lists all;
  all.taps = listed(taps_.published());
  all.older = listed(taps_.older());
  if (services_ == nullptr) return all;
  all.services = listed(services_->services());
  all.nodes = listed(services_->nodes());
  all.client_owned = listed(services_->client_owned());
  all.server_ports = listed(services_->server_ports());
  all.front_ends = listed(services_->front_ends());
  return all;
}

void Bulletin::renew(const std::optional<wire::Change>& change) {
  const wire::Snapshot snapshot{.version = version_,
                                .lists = lists(),
                                .knows_services = services_ != nullptr,
                                .rules = wire::kRules};
  auto fresh = std::make_shared<News>();
  fresh->version = version_;
  fresh->snapshot = text_of(snapshot);
  if (change && fits(*change)) {
    fresh->change = text_of(*change);
    fresh->change_from = change->from;
  }
  if (news_) fresh->ca = news_->ca;
  news_ = std::move(fresh);
  figures_.count(taps_, version_);
}

void Bulletin::tell_ca(std::shared_ptr<const std::string> text) {
  auto fresh = std::make_shared<News>(*news_);
  fresh->ca = std::move(text);
  news_ = std::move(fresh);
}

}  // namespace sidetap::webhook::registry
