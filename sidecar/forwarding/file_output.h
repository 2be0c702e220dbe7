// Writes packets to rotating capture files, for troubleshooting.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "sidecar/forwarding/capture_format.h"
#include "sidecar/forwarding/output.h"

namespace sidetap::forwarding {

struct FileConfig {
  std::string folder;
  std::string prefix;  ///< Files are PREFIX-0.pcap, PREFIX-1.pcap, ..., or .pcapng.
  std::uint64_t file_bytes =
      100U << 20;      ///< A file that would grow beyond is followed by the next.
  unsigned files = 5;  ///< Then the first is written anew.
  /// Of every file: each is whole by itself. With labels of one interface, whose packets these are.
  CaptureHeading heading{.interfaces = {InterfaceLabel{}}};
  std::chrono::milliseconds probe_interval{500};  ///< A full disk is looked at no more often.
};

/// A pcapng file ends with statistics: the packets that were added since the start, and how many of
/// them were dropped for want of room. What the kernel has dropped is not among them.
///
/// Whole records only: what a write that fails has begun is cut off again. Then packets are dropped
/// and counted until a flush finds room for more than the next few, at the same place: a full disk
/// costs none of what is written already. `on_fault` is called when that begins, `on_recovered`
/// when it ends, whether packets come or not; both on the packet path.
std::unique_ptr<Output> make_file_output(FileConfig config, FaultHandler on_fault,
                                         std::function<void()> on_recovered);

}  // namespace sidetap::forwarding
