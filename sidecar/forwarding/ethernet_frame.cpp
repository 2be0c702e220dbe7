#include "sidecar/forwarding/ethernet_frame.h"

namespace sidetap::forwarding {
namespace {

constexpr std::size_t kSllHeader = 16;
constexpr std::size_t kSll2Header = 20;

}  // namespace

void EthernetFrame::replace_header(capture::LinkType link) {
  made_size_ = kEthernetHeader;
  std::span<const std::byte>& front = head_.empty() ? body_ : head_;
  std::size_t old = 0;
  std::size_t type_at = 0;
  if (link == capture::LinkType::kLinuxSll) {
    old = kSllHeader;
    type_at = 14;
  } else if (link == capture::LinkType::kLinuxSll2) {
    old = kSll2Header;
    type_at = 0;
  }
  if (old != 0 && front.size() >= old) {
    made_[12] = front[type_at];
    made_[13] = front[type_at + 1];
    front = front.subspan(old);
  } else if (!front.empty()) {
    const bool v6 = std::to_integer<unsigned>(front[0]) >> 4 == 6;
    made_[12] = v6 ? std::byte{0x86} : std::byte{0x08};
    made_[13] = v6 ? std::byte{0xdd} : std::byte{0x00};
  }
}

}  // namespace sidetap::forwarding
