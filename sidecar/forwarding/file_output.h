// Writes packets to rotating capture files, for troubleshooting.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "sidecar/forwarding/capture_format.h"
#include "sidecar/forwarding/output.h"
#include "sidecar/forwarding/tap_identities.h"

namespace sidetap::forwarding {

struct FileConfig {
  std::string folder;
  /// Files are PREFIX-0.pcap, PREFIX-1.pcap, ..., or .pcapng. Slashes become underscores, and of a
  /// long prefix the end is used.
  std::string prefix;
  std::uint64_t file_bytes =
      100U << 20;      ///< A file that would grow beyond is followed by the next.
  unsigned files = 5;  ///< Then the first is written anew.
  /// A file that is older is followed by the next, which begins with a packet. 0: of any age.
  std::chrono::milliseconds file_age{0};
  /// Of every file: each is whole by itself. With labels of one interface, whose packets these are.
  CaptureHeading heading{.interfaces = {InterfaceLabel{}}};
  /// Of a collector: in pcapng, those that its packets come from replace the heading's interface,
  /// each from its first packet on (tap_interfaces.h). A file without room for one more is followed
  /// by the next. Null: there are no others.
  std::shared_ptr<const TapIdentities> identities{};
  std::chrono::milliseconds probe_interval{500};  ///< A full disk is looked at no more often.
};

/// A pcapng file ends with statistics of each of its interfaces: the packets that were added while
/// it was written, and how many of them were dropped for want of room. What the kernel has dropped
/// is not among them, nor what came from a tap that has no interface in the file yet.
///
/// The age of a file is looked at when a flush comes, so also while no packets come.
///
/// Whole records only: what a write that fails has begun is cut off again. Then packets are dropped
/// and counted until a flush finds room for more than the next few, at the same place: a full disk
/// costs none of what is written already. A file that cannot be cut off is followed by the next.
/// `on_fault` is called when packets begin to be dropped, `on_recovered` when that ends, whether
/// packets come or not; both on the packet path.
std::unique_ptr<Output> make_file_output(FileConfig config, FaultHandler on_fault,
                                         std::function<void()> on_recovered);

}  // namespace sidetap::forwarding
