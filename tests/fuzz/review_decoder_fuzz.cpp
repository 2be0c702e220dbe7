// Takes any bytes as an admission review. The answer is well-formed, its patch only adds, and no
// warning is longer than an API server accepts.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <nlohmann/json.hpp>

#include "fuzz/webhook_configuration.h"
#include "webhook/admission/admit.h"
#include "webhook/pods/warning.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

/// Counts characters, not bytes, like the API server.
std::size_t characters(std::string_view text) {
  const auto count = std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80;
  });
  return static_cast<std::size_t>(count);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using nlohmann::json;
  static const auto kConfiguration = sidetap::fuzz::webhook_configuration();
  const std::string_view review(reinterpret_cast<const char*>(data), size);
  using sidetap::admission::Entry;
  for (const auto entry : {Entry::kNamespace, Entry::kPod, Entry::kEphemeral}) {
    const sidetap::admission::Answer outcome =
        sidetap::admission::admit(review, entry, kConfiguration);
    require(outcome.status == 200 || outcome.status == 400);
    require(!outcome.body.empty());
    for (const auto& warning : outcome.warnings)
      require(characters(warning) <= sidetap::pods::kMaxWarning);
    if (outcome.status != 200) continue;
    const json answer = json::parse(outcome.body, nullptr, false);
    const bool denied = outcome.action == sidetap::admission::Action::kDeny;
    require(answer.is_object() && answer["response"]["allowed"] == !denied);
    require(!denied || entry == Entry::kEphemeral);
    require(denied == !outcome.refusal.empty());
    require(answer["response"].contains("patch") == !outcome.patch.empty());
    if (outcome.patch.empty()) continue;
    const json patch = json::parse(outcome.patch, nullptr, false);
    require(patch.is_array());
    const char* const operations = entry == Entry::kEphemeral ? "replace" : "add";
    for (const auto& operation : patch) require(operation["op"] == operations);
  }
  return 0;
}
