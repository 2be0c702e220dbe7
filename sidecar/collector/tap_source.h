// The packets of many taps as the packet source of one interface, so that the tap's own path takes
// them.
#pragma once

#include <memory>

#include "sidecar/capture/device.h"
#include "sidecar/collector/tap_receiver.h"

namespace sidetap::collector {

/// A device that is always there, and whose only source reads from `receiver`. What taps have sent
/// and the receiver did not get counts as dropped.
std::unique_ptr<capture::Device> make_tap_device(std::shared_ptr<TapReceiver> receiver);

}  // namespace sidetap::collector
