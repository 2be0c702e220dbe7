// The options of --output pcap-over-ip.
#pragma once

#include <cstddef>

#include "shared/config/options.h"
#include "shared/result.h"
#include "sidecar/delivery/output_options.h"

namespace sidetap {

/// Declares --pcap-listen and all others; `into` must outlive the set.
void declare_streams(config::OptionSet& options, StreamOptions& into);

/// `interfaces`: how many are captured on. Removes receivers that are named twice.
Result<void> check_streams(OutputOptions& output, std::size_t interfaces);

}  // namespace sidetap
