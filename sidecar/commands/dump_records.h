// Writes the packets of one interface of a dump, as they were on the wire.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "sidecar/commands/dump_options.h"
#include "sidecar/commands/dump_stream.h"
#include "sidecar/fidelity/restorer.h"
#include "sidecar/packet/captured_packet.h"
#include "sidecar/packet/packet_view.h"

namespace sidetap {

/// One thread.
class DumpRecords {
 public:
  /// `mtu`: of the interface, 0 if not known; `number`: of the interface in `stream`. The
  /// references must outlive this object.
  DumpRecords(const DumpOptions& options, std::uint32_t mtu, std::uint32_t number,
              DumpStream& stream)
      : options_(options), number_(number), stream_(stream), restorer_({.mtu = mtu}) {}

  /// `view` is of the same bytes. Several records for a packet that was several on the wire.
  void add(const capture::CapturedPacket& packet, const capture::PacketView& view);

 private:
  void write(const capture::CapturedPacket& packet, std::span<const std::byte> head,
             std::span<const std::byte> body, std::uint32_t length);

  const DumpOptions& options_;
  const std::uint32_t number_;
  DumpStream& stream_;
  fidelity::Restorer restorer_;
};

}  // namespace sidetap
