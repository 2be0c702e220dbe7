#include "sidecar/forwarding/vxlan_output.h"

#include <algorithm>
#include <span>
#include <unordered_map>
#include <utility>

#include "sidecar/forwarding/datagram_sender.h"
#include "sidecar/forwarding/ethernet_frame.h"

namespace sidetap::forwarding {
namespace {

// Of a collector there are not as many taps at a time.
constexpr std::size_t kMostOrigins = 1U << 17;

/// Remembers what VxlanConfig::vni_of said.
class VniMemory {
 public:
  /// `origin` is not 0.
  std::uint32_t of(std::uint32_t origin, const VxlanConfig& config) {
    // A tap sends many packets in one datagram.
    if (origin == origin_) return vni_;
    auto found = known_.find(origin);
    if (found == known_.end()) {
      if (known_.size() == kMostOrigins) known_.clear();
      found = known_.emplace(origin, config.vni_of(origin)).first;
    }
    origin_ = origin;
    vni_ = found->second;
    return vni_;
  }

 private:
  std::unordered_map<std::uint32_t, std::uint32_t> known_;
  std::uint32_t origin_ = 0;  // the last one, whose VNI is vni_
  std::uint32_t vni_ = 0;
};

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
  VxlanOutput(std::vector<net::UniqueFd> sockets, VxlanConfig config) : config_(std::move(config)) {
    for (net::UniqueFd& socket : sockets)
      lanes_.push_back(std::make_unique<Lane>(std::move(socket), counts_, config_));
    config_.datagram_size = std::min(config_.datagram_size, kBatchBytes);
  }

  void add(const OutgoingPacket& packet) override {
    const EthernetFrame frame(config_.link, packet);
    const std::size_t room = config_.datagram_size - kVxlanHeaderSize;
    if (frame.size() > room && config_.oversize == Oversize::kDrop) {
      counts_.dropped[static_cast<unsigned>(DropCause::kTooLarge)].add();
      return;
    }
    Lane& lane = *lanes_[packet.flow % lanes_.size()];
    const std::size_t kept = std::min(frame.size(), room);
    std::byte* at = lane.reserve(kVxlanHeaderSize + kept);
    if (lane.is_full()) any_full_ = true;
    if (at == nullptr) {
      counts_.dropped[static_cast<unsigned>(DropCause::kSocketFull)].add();
      return;
    }
    if (frame.size() > room) counts_.truncated.add();
    write_header(at, vni_of(packet.origin));
    frame.copy_to(at + kVxlanHeaderSize, kept);
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

  std::uint32_t vni_of(std::uint32_t origin) {
    if (origin == 0 || !config_.vni_of) return config_.vni;
    return vnis_.of(origin, config_);
  }

  // RFC 7348, section 5: flags with the I bit, reserved, VNI, reserved.
  static void write_header(std::byte* at, std::uint32_t vni) {
    std::fill_n(at, kVxlanHeaderSize, std::byte{0});
    at[0] = std::byte{0x08};
    at[4] = static_cast<std::byte>(vni >> 16);
    at[5] = static_cast<std::byte>(vni >> 8);
    at[6] = static_cast<std::byte>(vni);
  }

  VxlanConfig config_;
  VniMemory vnis_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  bool any_full_ = false;  // of the lanes: asked for each packet
};

}  // namespace

std::unique_ptr<Output> make_vxlan_output(std::vector<net::UniqueFd> sockets, VxlanConfig config) {
  return std::make_unique<VxlanOutput>(std::move(sockets), std::move(config));
}

}  // namespace sidetap::forwarding
