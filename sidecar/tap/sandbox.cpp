#include "sidecar/tap/sandbox.h"

#include "shared/telemetry/log.h"
#include "sidecar/privilege/privilege.h"

namespace sidetap {

void Sandbox::drop_rights() const {
  if (!wanted_) return;
  if (auto dropped = privilege::drop_capabilities(); !dropped)
    telemetry::warn("capabilities are kept", {{"reason", dropped.error().text}});
}

void Sandbox::enter(std::span<CaptureLoop* const> loops) {
  if (!wanted_ || entered_) return;
  for (const CaptureLoop* loop : loops) {
    if (loop->is_open()) continue;
    telemetry::warn("the sandbox waits until the interface can be opened",
                    {{"interface", loop->name()}});
    return;
  }
  entered_ = true;
  // The sandbox refuses the calls by which the threads give up their capabilities.
  unsettled_ = loops.size();
  for (CaptureLoop* loop : loops) {
    loop->settle([this] {
      if (--unsettled_ == 0) close();
    });
  }
}

void Sandbox::close() const {
  if (auto entered = privilege::enter_sandbox(writes_); !entered)
    telemetry::warn("running without a sandbox", {{"reason", entered.error().text}});
}

}  // namespace sidetap
