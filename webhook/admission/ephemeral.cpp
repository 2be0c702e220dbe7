#include "webhook/admission/ephemeral.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "webhook/injection/settings.h"
#include "webhook/pods/ephemeral.h"
#include "webhook/pods/warning.h"

namespace sidetap::admission {
namespace {

using configuration::Configuration;
using pods::in_quotes;
using pods::Pod;

using NameList = std::vector<std::string_view>;

Verdict deny(Reason reason, std::string_view why) {
  return {.action = Action::kDeny,
          .reason = reason,
          .warning = pods::warning("not tapped: " + std::string(why))};
}

bool is_among(std::string_view name, const NameList& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// The places of the containers that the request adds and that are taps by their name.
std::vector<std::size_t> additions(const Review& review, const std::string& tap) {
  std::vector<std::size_t> found;
  const NameList& names = review.ephemeral_after.names;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (pods::is_tap_name(names[i], tap) && !is_among(names[i], review.ephemeral_before.names))
      found.push_back(i);
  }
  return found;
}

std::optional<Verdict> choice_against(const Pod& pod, Entry called) {
  if (pod.inject == "false")
    return deny(Reason::kPodOptOut, R"(the pod opts out: sidetap.io/inject is "false")");
  if (called == Entry::kEphemeralDisabled)
    return deny(Reason::kNamespaceDisabled, "the namespace is labelled sidetap.io/inject=disabled");
  if (pod.inject && pod.inject != "true")
    return deny(Reason::kBadValue, "sidetap.io/inject is " + in_quotes(*pod.inject) +
                                       R"(; accepted are "true" and "false")");
  return std::nullopt;
}

/// A tap that the pod has, or has had since its creation, or that runs in it.
std::optional<Verdict> tap_of(const Review& review, const std::string& tap) {
  if (review.pod->has_status || has_container(*review.pod, tap))
    return deny(Reason::kAlreadyInjected, "the pod has had a tap since its creation");
  for (const std::string_view name : review.ephemeral_before.names) {
    if (pods::is_tap_name(name, tap) && !is_among(name, review.ephemeral_before.ended))
      return deny(Reason::kAlreadyInjected, "the tap " + in_quotes(name) + " has not ended");
  }
  return std::nullopt;
}

}  // namespace

Verdict decide_ephemeral(const Review& review, Entry called, const Configuration& configuration) {
  if (!review.adds_ephemeral) return {.reason = Reason::kNotPodCreation};
  const std::string& tap = configuration.sidecar.name;
  if (!review.pod || review.ephemeral_before.too_many || review.ephemeral_after.too_many)
    return deny(Reason::kUnusablePod, "the review holds no pod, or too many containers");
  const std::vector<std::size_t> added = additions(review, tap);
  if (added.empty()) return {.reason = Reason::kNotRequested};
  if (added.size() > 1) return deny(Reason::kNameTaken, "one tap at a time");
  if (auto against = choice_against(*review.pod, called)) return *std::move(against);
  if (const auto unfit = unfitness(*review.pod, review.namespace_name, configuration))
    return deny(unfit->reason, unfit->why);
  if (auto present = tap_of(review, tap)) return *std::move(present);
  if (!injection::has_sensor(*review.pod, review.namespace_name, configuration))
    return deny(Reason::kNoSensor, "no sensor is configured");
  return {.action = Action::kInject, .reason = Reason::kTapAsked, .sidecar = added.front()};
}

}  // namespace sidetap::admission
