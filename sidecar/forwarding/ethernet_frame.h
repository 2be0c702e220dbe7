// A packet as an Ethernet frame, for outputs that carry nothing else.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <span>

#include "sidecar/forwarding/output.h"
#include "sidecar/packet/packet_view.h"

namespace sidetap::forwarding {

inline constexpr std::size_t kEthernetHeader = 14;

/// A packet of another link layer gets a header without addresses, in place of its own one. Refers
/// to the packet's bytes.
class EthernetFrame {
 public:
  EthernetFrame(capture::LinkType link, const OutgoingPacket& packet)
      : head_(packet.head), body_(packet.body) {
    if (link != capture::LinkType::kEthernet) replace_header(link);
  }

  /// Bytes.
  std::size_t size() const { return made_size_ + head_.size() + body_.size(); }
  /// Writes the first `count` bytes, at most size().
  void copy_to(std::byte* at, std::size_t count) const {
    for (const auto part : {std::span<const std::byte>(made_).first(made_size_), head_, body_}) {
      const std::size_t size = std::min(part.size(), count);
      if (size != 0) std::memcpy(at, part.data(), size);
      at += size;
      count -= size;
    }
  }

 private:
  void replace_header(capture::LinkType link);

  std::array<std::byte, kEthernetHeader> made_{};
  std::size_t made_size_ = 0;
  std::span<const std::byte> head_;
  std::span<const std::byte> body_;
};

}  // namespace sidetap::forwarding
