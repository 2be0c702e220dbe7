#include "sidecar/commands/dump_records.h"

#include <algorithm>

namespace sidetap {

void DumpRecords::add(const capture::CapturedPacket& packet, const capture::PacketView& view) {
  if (options_.raw) {
    write(packet, {}, packet.bytes, packet.length);
    return;
  }
  const std::uint32_t count = restorer_.begin(view, packet);
  for (std::uint32_t i = 0; i < count && stream_.is_open(); ++i) {
    const fidelity::WirePacket wire = restorer_.next();
    write(packet, wire.head, wire.body, wire.length);
  }
}

void DumpRecords::write(const capture::CapturedPacket& packet, std::span<const std::byte> head,
                        std::span<const std::byte> body, std::uint32_t length) {
  head = head.first(std::min<std::size_t>(head.size(), options_.snaplen));
  body = body.first(std::min<std::size_t>(body.size(), options_.snaplen - head.size()));
  stream_.add({.interface = number_,
               .seconds = packet.seconds,
               .nanoseconds = packet.nanoseconds,
               .captured = static_cast<std::uint32_t>(head.size() + body.size()),
               .length = length},
              head, body);
}

}  // namespace sidetap
