// Capture files, packet by packet: pcap by libpcap, pcapng by a reader of our own, since libpcap
// refuses a file whose interfaces have different link layers or snapshot lengths.
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

  /// False: the end. Error: the file is cut off or damaged here; there are no more packets.
  virtual Result<bool> next(FilePacket& packet) = 0;
  /// What was passed over, for an operator; empty: nothing.
  virtual std::string left_out() const { return {}; }
};

/// `path`: "-" is standard input. Errors: cannot be read, or no capture.
Result<std::unique_ptr<CaptureFile>> open_capture_file(const std::string& path);

}  // namespace sidetap::capture
