#include "webhook/coverage/summary.h"

#include <utility>

#include <nlohmann/json.hpp>

namespace sidetap::webhook::coverage {
namespace {

struct CauseWords {
  std::string_view name;
  std::string_view remedy;
};

// In the order of the enumeration.
constexpr std::array<CauseWords, kCauseCount> kCauseWords = {{
    {"declined", "The webhook does not add a tap to the pod. The detail of the pod says why."},
    {"older",
     "The pod was created before its namespace got the label sidetap.io/inject=enabled. Restart "
     "the pod's workload."},
    {"missed",
     "The API server did not ask the webhook about the pod, or got no answer. Check the webhook, "
     "and restart the pod's workload."},
    {"bare",
     "The pod has no controller that would replace it. Delete the pod, and create it again."},
    {"job", "The pod belongs to a Job, and Jobs cannot be restarted. Wait until the Job ends."},
}};

const CauseWords& words_of(Cause cause) { return kCauseWords.at(static_cast<std::size_t>(cause)); }

}  // namespace

std::string_view name_of(Cause cause) { return words_of(cause).name; }

std::string_view remedy_of(Cause cause) { return words_of(cause).remedy; }

std::string json_of(const Summary& summary) {
  nlohmann::ordered_json object;
  object["tapped"] = summary.tapped;
  object["untapped"] = summary.untapped;
  object["complete"] = summary.complete;
  for (std::size_t i = 0; i < kCauseCount; ++i)
    object["causes"][std::string(kCauseWords.at(i).name)] = summary.by_cause.at(i);
  auto& pods = object["pods"] = nlohmann::ordered_json::array();
  for (const Untapped& one : summary.listed) {
    nlohmann::ordered_json pod;
    pod["namespace"] = one.name_space;
    pod["pod"] = one.pod;
    pod["owner"] = nullptr;
    if (!one.owner.empty()) pod["owner"] = one.owner;
    pod["cause"] = std::string(name_of(one.cause));
    pod["detail"] = one.detail;
    pod["remedy"] = std::string(remedy_of(one.cause));
    pods.push_back(std::move(pod));
  }
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace sidetap::webhook::coverage
