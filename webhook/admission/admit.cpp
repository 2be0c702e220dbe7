#include "webhook/admission/admit.h"

#include <algorithm>
#include <array>
#include <utility>

#include "webhook/admission/platform.h"
#include "webhook/admission/policy.h"
#include "webhook/admission/review.h"
#include "webhook/injection/patch.h"
#include "webhook/injection/settings.h"

namespace sidetap {
namespace {

using admission::Decision;
using admission::Reason;
using admission::Review;
using admission::Value;
using configuration::Configuration;

/// A kind and the longest name that an object may have.
constexpr std::size_t kMostLogged = 320;

Outcome reject(std::string text) {
  Outcome outcome;
  outcome.status = 400;
  outcome.content_type = "text/plain; charset=utf-8";
  outcome.body = std::move(text) + "\n";
  outcome.decision = Decision::kReject;
  outcome.reason = Reason::kBadReview;
  return outcome;
}

std::string owner_of(const std::optional<Value>& object) {
  const auto metadata = admission::find(object, "metadata");
  std::string owner;
  admission::each_element(admission::find(metadata, "ownerReferences"), [&](Value reference) {
    if (owner.empty() || admission::is_true(admission::find(reference, "controller")))
      owner = std::string(admission::text_of(reference, "kind")) + "/" +
              std::string(admission::text_of(reference, "name"));
  });
  if (owner.empty()) owner = admission::text_of(metadata, "name");
  if (owner.empty()) owner = admission::text_of(metadata, "generateName");
  return owner;
}

/// Without an address the tap would end at once, again and again. Passive mode needs none.
bool has_sensor(const injection::Settings& settings, const Configuration& configuration) {
  constexpr std::array<std::string_view, 3> kInstead = {"SENSOR", "EXTRAHOP_SENSOR_IP",
                                                        "PASSIVE_LISTEN"};
  return !settings.sensor.empty() ||
         std::any_of(kInstead.begin(), kInstead.end(), [&](std::string_view name) {
           return configuration.sidecar.env.contains(std::string(name));
         });
}

void warn_of_unending(Value pod, Outcome& outcome) {
  const auto policy = admission::text_of(admission::find(pod, "spec"), "restartPolicy");
  if (policy == "Never" || policy == "OnFailure")
    outcome.warnings.push_back(
        admission::warning("as a plain container the sidecar keeps this pod from finishing"));
}

void warn_of_windows(Value pod, Outcome& outcome) {
  const auto spec = admission::find(pod, "spec");
  if (spec && admission::is_offered_to_windows(*spec))
    outcome.warnings.push_back(
        admission::warning("the pod may run on Windows nodes, where the sidecar cannot; require "
                           "kubernetes.io/os=linux"));
}

void judge(Value pod, std::string_view namespace_name, admission::Rule called,
           const Configuration& configuration, Outcome& outcome) {
  std::vector<std::string> warnings;
  const injection::Settings settings = injection::settle(pod, configuration, warnings);
  admission::Verdict verdict =
      admission::decide(pod, namespace_name, called, settings.form, configuration);
  if (verdict.decision == Decision::kInject && !has_sensor(settings, configuration)) {
    verdict = {.reason = Reason::kNoSensor,
               .warning = admission::warning("not injected: no sensor is configured")};
  }
  outcome.decision = verdict.decision;
  outcome.reason = verdict.reason;
  if (!verdict.warning.empty()) outcome.warnings.push_back(std::move(verdict.warning));
  if (verdict.decision == Decision::kRestore) {
    const auto index = admission::find_native_sidecar(pod, configuration.sidecar.name);
    outcome.patch = injection::restore_patch(index.value_or(0));
  }
  if (verdict.decision == Decision::kInject) {
    outcome.patch = injection::inject_patch(pod, settings, configuration);
    std::move(warnings.begin(), warnings.end(), std::back_inserter(outcome.warnings));
    if (settings.form == admission::Form::kContainer) warn_of_unending(pod, outcome);
    warn_of_windows(pod, outcome);
  }
}

void judge(const Review& review, admission::Rule called, const Configuration& configuration,
           Outcome& outcome) {
  if (review.operation != "CREATE" || !review.pod) return;
  if (!review.object) {
    outcome.reason = Reason::kUnusablePod;
    outcome.warnings.push_back(admission::warning("not injected: the review holds no pod"));
    return;
  }
  judge(*review.object, review.namespace_name, called, configuration, outcome);
}

}  // namespace

Outcome admit(std::string_view bytes, admission::Rule called, const Configuration& configuration) {
  admission::ReviewDocument document;
  const auto review = document.decode(bytes);
  if (!review) return reject(review.error().text);
  Outcome outcome;
  judge(*review, called, configuration, outcome);
  outcome.uid = admission::shortened(review->uid, kMostLogged);
  outcome.namespace_name = admission::shortened(review->namespace_name, kMostLogged);
  outcome.owner = admission::shortened(owner_of(review->object), kMostLogged);
  outcome.dry_run = review->dry_run;
  outcome.body = admission::encode(review->uid, {.decision = outcome.decision,
                                                 .reason = outcome.reason,
                                                 .patch = outcome.patch,
                                                 .warnings = outcome.warnings});
  return outcome;
}

}  // namespace sidetap
