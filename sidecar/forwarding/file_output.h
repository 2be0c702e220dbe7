// Packets into rotating capture files, for trouble-shooting.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "sidecar/forwarding/output.h"

namespace sidetap::forwarding {

struct FileConfig {
  std::string folder;
  std::string prefix;  ///< Files are PREFIX-0.pcap, PREFIX-1.pcap, ...
  std::uint64_t file_bytes =
      100U << 20;               ///< A file that would grow beyond is followed by the next.
  unsigned files = 5;           ///< Then the first is written anew.
  std::uint32_t link_type = 1;  ///< LINKTYPE_ number.
};

/// Format: pcap with microseconds (draft-ietf-opsawg-pcap). Whole records only: what a write that
/// fails has begun is cut off again. Then packets are dropped and counted, and the next flush tries
/// the next file; `on_fault` is called once for each series of failures, on the packet path.
std::unique_ptr<Output> make_file_output(FileConfig config, FaultHandler on_fault);

}  // namespace sidetap::forwarding
