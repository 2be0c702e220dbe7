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
      100U << 20;              ///< A file that would grow beyond is followed by the next.
  unsigned files = 10;         ///< Then the first is overwritten.
  std::int32_t link_type = 1;  ///< LINKTYPE_ number.
};

/// Format: pcap with microseconds (draft-ietf-opsawg-pcap). A file that cannot be written costs
/// packets, which are counted, and is tried again with the next flush.
std::unique_ptr<Output> make_file_output(FileConfig config);

}  // namespace sidetap::forwarding
