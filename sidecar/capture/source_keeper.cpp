#include "sidecar/capture/source_keeper.h"

namespace sidetap::capture {

std::string SourceKeeper::why_close(const SourceSight& sight) {
  // While it is being deleted the name goes first. Bound to none in particular (libpcap's "any") it
  // cannot go.
  if (sight.bound != 0 && sight.interface.index == 0)
    return "the interface has been deleted, renamed or moved to another namespace";
  if (sight.bound < 0 ||
      (sight.bound > 0 && static_cast<unsigned>(sight.bound) != sight.interface.index))
    return "another interface has its name now";
  if (!sight.fault.empty()) return sight.fault;
  if (sight.outgrown) return "its packets have become longer than the ring has room for";
  return {};
}

SourceKeeper::Step SourceKeeper::next(const SourceSight& sight, TimePoint now) {
  up_ = sight.interface.up;
  if (open_) {
    if (std::string why = why_close(sight); !why.empty()) {
      reason_ = std::move(why);
      open_ = false;
      failing_since_.reset();
      given_up_ = false;
      condition_ = sight.interface.index == 0 ? Condition::kMissing : Condition::kClosed;
      return Step::kClose;
    }
    condition_ = sight.bound == 0           ? Condition::kWorking
                 : !sight.interface.up      ? Condition::kDown
                 : !sight.interface.carrier ? Condition::kNoCarrier
                                            : Condition::kWorking;
    return Step::kNone;
  }
  if (sight.interface.index == 0) {
    condition_ = Condition::kMissing;
    failing_since_.reset();
    return Step::kNone;
  }
  condition_ = Condition::kClosed;
  if (failing_since_ && !given_up_ && now - *failing_since_ >= kPatience) {
    given_up_ = true;
    return Step::kGiveUp;
  }
  return Step::kOpen;
}

void SourceKeeper::opened() {
  open_ = true;
  failing_since_.reset();
  given_up_ = false;
  // Until it is looked at again.
  condition_ = up_ ? Condition::kWorking : Condition::kDown;
}

void SourceKeeper::failed(TimePoint now) {
  // What is down may be refused for that, and it is for somebody else to set it up.
  if (!up_) {
    failing_since_.reset();
  } else if (!failing_since_) {
    failing_since_ = now;
  }
}

std::string_view condition_text(Condition condition) {
  switch (condition) {
    case Condition::kWorking:
      return "packets are captured";
    case Condition::kNoCarrier:
      return "the interface has no carrier: its other end is down";
    case Condition::kDown:
      return "the interface is down";
    case Condition::kMissing:
      return "there is no interface of this name";
    case Condition::kClosed:
      return "the interface cannot be opened";
  }
  return {};
}

}  // namespace sidetap::capture
