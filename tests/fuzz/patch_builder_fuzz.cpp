// Takes any JSON as a pod. The patch applies to it according to an independent implementation of
// JSON Patch, and a second review of the result changes nothing.
#include <cstdint>
#include <cstdlib>
#include <string>

#include <nlohmann/json.hpp>

#include "fuzz/webhook_configuration.h"
#include "webhook/admission/admit.h"

namespace {

using nlohmann::json;

void require(bool holds) {
  if (!holds) std::abort();
}

std::string review_of(const json& pod) {
  return json{{"apiVersion", "admission.k8s.io/v1"},
              {"kind", "AdmissionReview"},
              {"request",
               {{"uid", "1"},
                {"kind", {{"group", ""}, {"version", "v1"}, {"kind", "Pod"}}},
                {"resource", {{"group", ""}, {"version", "v1"}, {"resource", "pods"}}},
                {"namespace", "shop"},
                {"operation", "CREATE"},
                {"object", pod}}}}
      .dump();
}

void check(const json& pod, const std::string& review,
           const sidetap::configuration::Configuration& configuration) {
  const auto entry = sidetap::admission::Entry::kNamespace;
  const sidetap::admission::Answer outcome =
      sidetap::admission::admit(review, entry, configuration);
  if (outcome.patch.empty()) return;
  const json patched = pod.patch(json::parse(outcome.patch));
  const sidetap::admission::Answer again =
      sidetap::admission::admit(review_of(patched), entry, configuration);
  require(again.patch.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto kRich = sidetap::fuzz::webhook_configuration();
  // As plain container, without a token.
  static const auto kPoor = [] {
    auto configuration = kRich;
    configuration.sidecar.native = sidetap::configuration::Native::kNever;
    configuration.registry.token = false;
    return configuration;
  }();
  // The decoder refuses deep nesting, and has its own fuzzer.
  if (size > 65'536) return 0;
  const json pod = json::parse(data, data + size, nullptr, false);
  if (!pod.is_object()) return 0;
  std::string review;
  try {
    review = review_of(pod);
  } catch (const json::exception&) {
    return 0;  // text that is not UTF-8
  }
  check(pod, review, kRich);
  check(pod, review, kPoor);
  return 0;
}
