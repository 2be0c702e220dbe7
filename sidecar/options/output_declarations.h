// The options of outputs that have several: which VNI packets have in VXLAN, and which interface
// they are written into.
#pragma once

#include "shared/config/options.h"
#include "sidecar/delivery/output_options.h"
#include "sidecar/forwarding/vni_rule.h"

namespace sidetap {

/// `into` must outlive the set.
void declare_vni(config::OptionSet& options, forwarding::VniRule& into);
void declare_output_interface(config::OptionSet& options, InterfaceOptions& into);

}  // namespace sidetap
