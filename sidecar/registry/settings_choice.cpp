#include "sidecar/registry/settings_choice.h"

#include <utility>

namespace sidetap::registry {

bool SettingsChoice::hear(const Replica& replica, Settings settings, Time now) {
  const auto [place, first] = said_.try_emplace(replica);
  const bool other_word = !first && place->second != settings;
  place->second = std::move(settings);
  const Settings& word = place->second;
  if (!in_force_ || (other_word && word.generation == in_force_->generation)) {
    deadline_.reset();
    return take(word);
  }
  return reconsider(now);
}

bool SettingsChoice::lost(const Replica& replica, Time now) {
  return said_.erase(replica) != 0 && reconsider(now);
}

bool SettingsChoice::expire(Time now) { return in_force_ && reconsider(now); }

bool SettingsChoice::reconsider(Time now) {
  // Of several with that generation, the first by name: every tap chooses alike.
  const Settings* newest = nullptr;
  bool still_said = false;
  for (const auto& [replica, word] : said_) {
    if (newest == nullptr || word.generation > newest->generation) newest = &word;
    still_said = still_said || word == *in_force_;
  }
  const bool newer = newest != nullptr && newest->generation > in_force_->generation;
  if (newest == nullptr || (still_said && !newer)) {
    deadline_.reset();
    return false;
  }
  if (newest->generation < in_force_->generation) {
    if (!deadline_) deadline_ = now + kPatience;
    if (now < *deadline_) return false;
  }
  deadline_.reset();
  return take(*newest);
}

bool SettingsChoice::take(const Settings& settings) {
  if (in_force_ == settings) return false;
  in_force_ = settings;
  return true;
}

}  // namespace sidetap::registry
