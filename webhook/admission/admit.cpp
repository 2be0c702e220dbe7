#include "webhook/admission/admit.h"

#include <optional>
#include <utility>

#include "webhook/admission/ephemeral.h"
#include "webhook/admission/policy.h"
#include "webhook/admission/review.h"
#include "webhook/injection/patch.h"
#include "webhook/injection/settings.h"
#include "webhook/pods/warning.h"

namespace sidetap::admission {
namespace {

using configuration::Configuration;
using pods::Pod;

/// Room for a kind and the longest possible name of an object.
constexpr std::size_t kMostLogged = 320;

Answer reject(std::string text) {
  Answer answer;
  answer.status = 400;
  answer.content_type = "text/plain; charset=utf-8";
  answer.body = std::move(text) + "\n";
  answer.action = Action::kReject;
  answer.reason = Reason::kBadReview;
  return answer;
}

std::string owner_of(const Pod& pod) {
  if (!pod.owner) return pods::shortened(pod.name, kMostLogged);
  std::string owner(pod.owner->kind);
  owner += '/';
  owner += pod.owner->name;
  return pods::shortened(owner, kMostLogged);
}

std::optional<Controller> controller_of(const Pod& pod) {
  if (!pod.owner || !pod.owner->controller) return std::nullopt;
  const pods::Owner& owner = *pod.owner;
  return Controller{.api_version = pods::shortened(owner.api_version, kMostLogged),
                    .kind = pods::shortened(owner.kind, kMostLogged),
                    .name = pods::shortened(owner.name, kMostLogged),
                    .uid = pods::shortened(owner.uid, kMostLogged)};
}

void describe(const Review& review, Answer& answer) {
  answer.uid = pods::shortened(review.uid, kMostLogged);
  answer.namespace_name = pods::shortened(review.namespace_name, kMostLogged);
  if (review.pod) answer.owner = owner_of(*review.pod);
  answer.dry_run = review.dry_run;
  if (!answer.warnings.empty() && review.pod) answer.controller = controller_of(*review.pod);
}

void inject(const Pod& pod, std::string_view namespace_name, const Configuration& configuration,
            Answer& answer) {
  const injection::Settings settings =
      injection::settle(pod, namespace_name, configuration, answer.warnings);
  answer.patch = injection::inject_patch(pod, settings, configuration);
}

void inject_ephemeral(const Review& review, std::size_t index, const Configuration& configuration,
                      Answer& answer) {
  const injection::Settings settings = injection::settle_ephemeral(
      *review.pod, review.namespace_name, configuration, answer.warnings);
  answer.patch = injection::ephemeral_patch(review.ephemeral_after.names[index], index, *review.pod,
                                            settings, configuration, answer.warnings);
}

bool is_ephemeral(Entry called) {
  return called == Entry::kEphemeral || called == Entry::kEphemeralDisabled;
}

}  // namespace

Answer admit(std::string_view bytes, Entry called, const Configuration& configuration) {
  ReviewDocument document;
  const auto review = document.decode(bytes);
  if (!review) return reject(review.error().text);
  const bool ephemeral = is_ephemeral(called);
  Verdict verdict = ephemeral ? decide_ephemeral(*review, called, configuration)
                              : decide(*review, called, configuration);
  Answer answer;
  answer.action = verdict.action;
  answer.reason = verdict.reason;
  if (verdict.action == Action::kDeny) {
    answer.refusal = std::move(verdict.warning);
  } else if (!verdict.warning.empty()) {
    answer.warnings.push_back(std::move(verdict.warning));
  }
  if (verdict.action == Action::kInject && ephemeral) {
    inject_ephemeral(*review, verdict.sidecar, configuration, answer);
  } else if (verdict.action == Action::kInject) {
    inject(*review->pod, review->namespace_name, configuration, answer);
  }
  if (verdict.action == Action::kRestore) answer.patch = injection::restore_patch(verdict.sidecar);
  describe(*review, answer);
  answer.body = encode(review->uid, answer);
  return answer;
}

}  // namespace sidetap::admission
