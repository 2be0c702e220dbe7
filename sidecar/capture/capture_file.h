// Reads capture files packet by packet: pcap with libpcap, pcapng with our own reader, because
// libpcap refuses a file whose interfaces have different link layers or snapshot lengths.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "shared/result.h"
#include "sidecar/capture/packet_source.h"

namespace sidetap::capture {

struct FilePacket {
  LinkType link = LinkType::kEthernet;  ///< Of the interface that captured it.
  CapturedPacket packet;                ///< Valid until the next call.
};

class CaptureFile {
 public:
  virtual ~CaptureFile() = default;

  /// Returns false at the end. Error: the file is truncated or damaged here, and there are no more
  /// packets.
  virtual Result<bool> next(FilePacket& packet) = 0;
  /// What was skipped, as text for an operator; empty if nothing was.
  virtual std::string left_out() const { return {}; }
};

/// A `path` of "-" means standard input. Errors: the file cannot be read or is not a capture.
Result<std::unique_ptr<CaptureFile>> open_capture_file(const std::string& path);

}  // namespace sidetap::capture
