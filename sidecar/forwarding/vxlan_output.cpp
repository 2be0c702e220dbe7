#include "sidecar/forwarding/vxlan_output.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <utility>

#include "sidecar/forwarding/datagram_sender.h"

namespace sidetap::forwarding {
namespace {

constexpr std::size_t kEthernetHeader = 14;
constexpr std::size_t kSllHeader = 16;
constexpr std::size_t kSll2Header = 20;

/// One source port: its socket and the batch that is being filled for it.
class Lane {
 public:
  Lane(net::UniqueFd socket, OutputCounts& counts, const VxlanConfig& config)
      : sender_(std::move(socket), counts, nullptr, config.handover),
        counts_(counts),
        oversize_(config.oversize) {}

  /// Null: the socket is full, and so is what may wait for it.
  std::byte* reserve(std::size_t size) {
    if (!buffer_) buffer_ = std::make_unique_for_overwrite<std::byte[]>(kHeldBytes);
    if (used_ + size > kBatchBytes && !sender_.is_full()) flush();
    if (kHeldBytes - used_ < size) return nullptr;
    std::byte* at = buffer_.get() + used_;
    runs_.add(used_, size, 1, false);
    used_ += size;
    return at;
  }
  void flush() {
    if (used_ == 0) return;
    Sent sent = sender_.send(runs_.all(), buffer_.get());
    while (sent.too_large) {
      const TooLarge refused = *sent.too_large;
      const auto datagrams = static_cast<std::uint32_t>(refused.datagram);
      sender_.count_sent(runs_.all()[refused.run], refused.datagram, datagrams);
      const std::size_t before = std::exchange(refused_size_, refused.fits);
      cut_datagrams(runs_, buffer_.get(), refused, [&](std::span<std::byte> frame) {
        return cut(frame.size() == before, refused.fits);
      });
      sent = sender_.send(runs_.all(), buffer_.get());
    }
    used_ = runs_.discard(sent.runs, buffer_.get());
  }
  void give_up() {
    sender_.give_up(runs_.all());
    used_ = runs_.discard(runs_.all().size(), buffer_.get());
  }
  bool is_full() const { return sender_.is_full(); }
  int blocked_descriptor() const { return sender_.blocked_descriptor(); }
  /// As of DatagramSender, or what the path has refused to be larger than.
  std::size_t take_smaller_size() {
    const std::size_t news = sender_.take_smaller_size();
    const std::size_t refused = std::exchange(refused_size_, 0);
    return news == 0 || refused == 0 ? std::max(news, refused) : std::min(news, refused);
  }

 private:
  /// What is left of a frame that is too large. `again`: it was cut, and is so still.
  std::size_t cut(bool again, std::size_t fits) {
    if (oversize_ == Oversize::kTruncate) {
      if (!again) counts_.truncated.add();
      return fits;
    }
    counts_.dropped[static_cast<unsigned>(DropCause::kTooLarge)].add();
    return 0;
  }

  DatagramSender sender_;
  OutputCounts& counts_;
  Oversize oversize_;
  std::size_t refused_size_ = 0;
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t used_ = 0;
  net::DatagramRuns runs_{64};
};

class VxlanOutput final : public Output {
 public:
  VxlanOutput(std::vector<net::UniqueFd> sockets, VxlanConfig config) : config_(config) {
    for (net::UniqueFd& socket : sockets)
      lanes_.push_back(std::make_unique<Lane>(std::move(socket), counts_, config));
    config_.datagram_size = std::min(config_.datagram_size, kBatchBytes);
  }

  void add(const OutgoingPacket& packet) override {
    std::array<std::byte, kEthernetHeader> ethernet;
    std::span<const std::byte> head = packet.head;
    std::span<const std::byte> body = packet.body;
    const bool synthetic = replace_link_header(ethernet, head, body);
    const std::size_t link = synthetic ? kEthernetHeader : 0;
    const std::size_t frame = link + head.size() + body.size();
    const std::size_t room = config_.datagram_size - kVxlanHeaderSize;
    if (frame > room && config_.oversize == Oversize::kDrop) {
      counts_.dropped[static_cast<unsigned>(DropCause::kTooLarge)].add();
      return;
    }
    Lane& lane = *lanes_[packet.flow % lanes_.size()];
    std::size_t left = std::min(frame, room);
    std::byte* at = lane.reserve(kVxlanHeaderSize + left);
    if (lane.is_full()) any_full_ = true;
    if (at == nullptr) {
      counts_.dropped[static_cast<unsigned>(DropCause::kSocketFull)].add();
      return;
    }
    if (frame > room) counts_.truncated.add();
    write_header(at);
    at += kVxlanHeaderSize;
    for (const auto part : {std::span<const std::byte>(ethernet).first(link), head, body}) {
      const std::size_t size = std::min(part.size(), left);
      if (size != 0) std::memcpy(at, part.data(), size);
      at += size;
      left -= size;
    }
  }

  void flush() override {
    for (const auto& lane : lanes_) {
      lane->flush();
      if (const std::size_t smaller = lane->take_smaller_size(); smaller != 0)
        config_.datagram_size =
            std::max(std::min(smaller, config_.datagram_size), kSmallestDatagram);
    }
    any_full_ = full_lanes() != 0;
  }

  void finish() override {
    flush();
    for (const auto& lane : lanes_) lane->give_up();
  }
  /// Of the only full lane. Where there are several, each may be the first to have room.
  int blocked_descriptor() const override {
    return full_lanes() == 1 ? first_full()->blocked_descriptor() : -1;
  }
  bool must_retry() const override { return any_full_ && blocked_descriptor() < 0; }
  bool takes_more() const override { return !any_full_; }

 private:
  long full_lanes() const { return std::count_if(lanes_.begin(), lanes_.end(), is_full); }
  const Lane* first_full() const {
    return std::find_if(lanes_.begin(), lanes_.end(), is_full)->get();
  }
  static bool is_full(const std::unique_ptr<Lane>& lane) { return lane->is_full(); }

  // RFC 7348, section 5: flags with the I bit, reserved, VNI, reserved.
  void write_header(std::byte* at) const {
    std::fill_n(at, kVxlanHeaderSize, std::byte{0});
    at[0] = std::byte{0x08};
    at[4] = static_cast<std::byte>(config_.vni >> 16);
    at[5] = static_cast<std::byte>(config_.vni >> 8);
    at[6] = static_cast<std::byte>(config_.vni);
  }

  /// VXLAN carries Ethernet: for other link layers makes a header without addresses. The old one is
  /// left out.
  bool replace_link_header(std::array<std::byte, kEthernetHeader>& ethernet,
                           std::span<const std::byte>& head, std::span<const std::byte>& body) {
    if (config_.link == capture::LinkType::kEthernet) return false;
    ethernet.fill(std::byte{0});
    std::span<const std::byte>& front = head.empty() ? body : head;
    std::size_t old = 0;
    std::size_t type_at = 0;
    if (config_.link == capture::LinkType::kLinuxSll) {
      old = kSllHeader;
      type_at = 14;
    } else if (config_.link == capture::LinkType::kLinuxSll2) {
      old = kSll2Header;
      type_at = 0;
    }
    if (old != 0 && front.size() >= old) {
      ethernet[12] = front[type_at];
      ethernet[13] = front[type_at + 1];
      front = front.subspan(old);
    } else if (!front.empty()) {
      const bool v6 = std::to_integer<unsigned>(front[0]) >> 4 == 6;
      ethernet[12] = v6 ? std::byte{0x86} : std::byte{0x08};
      ethernet[13] = v6 ? std::byte{0xdd} : std::byte{0x00};
    }
    return true;
  }

  VxlanConfig config_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  bool any_full_ = false;  // of the lanes: asked for each packet
};

}  // namespace

std::unique_ptr<Output> make_vxlan_output(std::vector<net::UniqueFd> sockets, VxlanConfig config) {
  return std::make_unique<VxlanOutput>(std::move(sockets), config);
}

}  // namespace sidetap::forwarding
