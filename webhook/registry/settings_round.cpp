#include "webhook/registry/settings_round.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <unordered_set>
#include <utility>

#include "shared/tap/settings.h"

namespace sidetap::webhook::registry {
namespace {

bool pauses(const sidetap::registry::Settings& settings) {
  const auto paused = settings.values.find(sidetap::tap::kPaused.option.env);
  return paused != settings.values.end() && paused->second == "on";
}

}  // namespace

SettingsRound::SettingsRound(boost::asio::any_io_executor executor, const Connections& connections,
                             TapInventory& inventory, bool proved, SettingsPace pace)
    : connections_(connections),
      inventory_(inventory),
      proved_(proved),
      pace_(pace),
      timer_(std::move(executor)) {}

void SettingsRound::set(Profiles known) {
  profiles_ = std::move(known);
  const bool under_way = next_ < order_.size();
  order_.erase(order_.begin(), std::next(order_.begin(), static_cast<std::ptrdiff_t>(next_)));
  next_ = 0;
  const std::unordered_set<ConnectionId> first(order_.begin(), order_.end());
  for (const auto& [id, tap] : connections_) {
    if (tap->takes_orders && !first.contains(id)) order_.push_back(id);
  }
  share_ = std::max(pace_.least, (order_.size() + pace_.steps - 1) / pace_.steps);
  if (!under_way) step();
}

void SettingsRound::step() {
  const std::size_t end = std::min(order_.size(), next_ + share_);
  for (; next_ < end; ++next_) {
    const auto tap = connections_.find(order_[next_]);
    if (tap != connections_.end()) tell(*tap->second);
  }
  if (stopping_ || next_ == order_.size()) return;
  timer_.expires_after(pace_.step);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && !stopping_) step();
  });
}

const std::shared_ptr<const profiles::Told>& SettingsRound::settings_of(
    const Connection& tap) const {
  if (proved_) return profiles_->of(tap.identity.name_space, tap.profile);
  return profiles_->named(tap.profile);
}

void SettingsRound::tell(const Connection& tap) {
  if (!profiles_ || !tap.takes_orders) return;
  const auto& told = settings_of(tap);
  // The text lives as long as the profile that it is a part of.
  tap.session->set_settings(std::shared_ptr<const std::string>(told, &told->text));
  inventory_.ordered(tap.session->id(), {.generation = told->settings.generation,
                                         .profile = told->settings.profile,
                                         .paused = tap.takes_pauses && pauses(told->settings)});
}

void SettingsRound::stop() {
  stopping_ = true;
  timer_.cancel();
}

}  // namespace sidetap::webhook::registry
