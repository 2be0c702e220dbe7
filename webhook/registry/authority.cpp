#include "webhook/registry/authority.h"

#include <utility>

#include "shared/registry/codec.h"
#include "shared/telemetry/log.h"

namespace sidetap::webhook::registry {
namespace {

using sidetap::registry::CaBundle;
using sidetap::registry::encode;
using sidetap::registry::kMostRegistryMessageBytes;

Result<void> check(const std::string& bundle, const Authority::Shown& shown) {
  if (encode(CaBundle{bundle}).size() > kMostRegistryMessageBytes) {
    return Error{"too long for a message to taps"};
  }
  if (!shown) return Error{"the registry has no certificate yet"};
  return shown->verified_by(bundle);
}

}  // namespace

void Authority::set(std::string bundle) {
  if (bundle == wanted_) return;
  wanted_ = std::move(bundle);
  reviewed_ = false;
}

bool Authority::review(const Shown& shown) {
  if (wanted_.empty() || (reviewed_ && shown == shown_)) return false;
  reviewed_ = true;
  shown_ = shown;
  std::string next = wanted_;
  if (const auto good = check(wanted_, shown); !good) {
    telemetry::warn(
        "the registry's CA does not verify the registry's certificate, and is not sent to taps",
        {{"reason", good.error().text}});
    next = !told_.empty() && check(told_, shown) ? told_ : std::string();
  }
  if (next == told_) return false;
  told_ = std::move(next);
  text_ = told_.empty() ? nullptr : std::make_shared<const std::string>(encode(CaBundle{told_}));
  return true;
}

}  // namespace sidetap::webhook::registry
