#include "webhook/registry/bulletin.h"

#include <set>
#include <utility>

#include "shared/registry/codec.h"

namespace sidetap::webhook::registry {
namespace {

namespace wire = sidetap::registry;

wire::Addresses listed(const std::set<net::IpAddress>& addresses) {
  return {addresses.begin(), addresses.end()};
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
  const auto tap_change = taps_.flush();
  const AddressChange of_taps = tap_change.value_or(AddressChange());
  std::optional<AddressChange> service_change;
  if (services_ != nullptr) {
    services_->taps_changed(of_taps);
    service_change = services_->flush();
    figures_.count(*services_);
  }
  if (!tap_change && !service_change) return std::nullopt;
  const AddressChange of_services = service_change.value_or(AddressChange());
  const std::uint64_t from = version_++;
  return wire::Change{.from = from,
                      .version = version_,
                      .add = of_taps.add,
                      .remove = of_taps.remove,
                      .add_services = of_services.add,
                      .remove_services = of_services.remove};
}

void Bulletin::renew(const std::optional<wire::Change>& change) {
  wire::Snapshot snapshot{version_, listed(taps_.published())};
  if (services_ != nullptr) snapshot.services = listed(services_->published());
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
