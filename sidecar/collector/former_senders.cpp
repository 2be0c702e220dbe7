#include "sidecar/collector/former_senders.h"

namespace sidetap::collector {

void FormerSenders::add(const net::SocketAddress& sender, Time now) {
  if (senders_.size() >= kMost)
    std::erase_if(senders_, [now](const auto& entry) { return is_over(entry.second, now); });
  if (senders_.size() >= kMost) senders_.erase(senders_.begin());
  senders_[sender] = {.gone = now, .heard = now};
}

bool FormerSenders::is_former(const net::SocketAddress& sender, bool begins, Time now) {
  const auto found = senders_.find(sender);
  if (found == senders_.end()) return false;
  Former& former = found->second;
  if (begins || is_over(former, now)) {
    senders_.erase(found);
    return false;
  }
  former.heard = now;
  return true;
}

}  // namespace sidetap::collector
