#include "sidecar/collector/tap_proof.h"

#include <utility>

namespace sidetap::collector {

Result<std::string> TapProof::take(std::string_view line) {
  auto taken = (next_ ? *next_ : book_).take(line);
  if (!taken) return taken.error();
  if (next_ && !taken->position.empty()) {
    book_ = std::move(*next_);
    next_.reset();
    knows_ = true;
    wake_all();
  } else if (!next_ && !taken->pod.empty()) {
    const auto [first, last] = waiting_.equal_range(taken->pod);
    for (auto each = first; each != last; ++each) each->second->request();
  }
  if (!taken->position.empty()) lost_ = false;
  return std::move(taken->position);
}

void TapProof::lose() {
  next_.reset();
  if (std::exchange(lost_, true) || knows_) return;
  wake_all();
}

void TapProof::wake_all() {
  for (const auto& [pod, wake] : waiting_) wake->request();
}

Judgement TapProof::judge(const std::string& pod, const net::IpAddress& from, bool last) const {
  using Kind = Judgement::Kind;
  if (!knows_) {
    const bool admitted = config_.admit_unproven && (lost_ || last);
    return {.kind = admitted ? Kind::kUnproven : Kind::kNotNow, .pod = {}, .reason = "registry"};
  }
  if (auto proved = book_.find(pod, from))
    return {.kind = Kind::kProved, .pod = std::move(*proved), .reason = {}};
  return {
      .kind = Kind::kNotNow, .pod = {}, .reason = book_.lists(pod) ? "other-address" : "unlisted"};
}

}  // namespace sidetap::collector
