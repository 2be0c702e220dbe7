#include "sidecar/tap/sandbox.h"

#include <utility>

#include "shared/async/after_all.h"
#include "shared/telemetry/log.h"
#include "sidecar/privilege/privilege.h"

namespace sidetap {

void Sandbox::drop_rights() const {
  if (!wanted_) return;
  if (auto dropped = privilege::drop_capabilities(); !dropped)
    telemetry::warn("cannot drop capabilities", {{"reason", dropped.error().text}});
}

void Sandbox::enter_once_open(std::vector<CaptureLoop*> loops) {
  loops_ = std::move(loops);
  reconsider();
}

void Sandbox::reconsider() {
  if (!wanted_ || entered_ || loops_.empty()) return;
  for (const CaptureLoop* loop : loops_) {
    if (loop->is_open()) continue;
    telemetry::warn("the sandbox waits until the interface can be opened",
                    {{"interface", loop->name()}});
    return;
  }
  entered_ = true;
  // The sandbox refuses the calls by which the threads give up their capabilities.
  const auto settled = async::after_all(loops_.size(), [this] { close(); });
  for (CaptureLoop* loop : loops_) loop->settle(settled);
}

void Sandbox::close() const {
  if (auto entered = privilege::enter_sandbox(writes_, watches_); !entered)
    telemetry::warn("running without a sandbox", {{"reason", entered.error().text}});
}

}  // namespace sidetap
