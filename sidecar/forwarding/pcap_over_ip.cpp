#include "sidecar/forwarding/pcap_over_ip.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <optional>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <sys/uio.h>

#include "sidecar/forwarding/tap_interfaces.h"
#include "sidecar/forwarding/wall_clock.h"

namespace sidetap::forwarding {
namespace {

// What is gathered before the socket is asked, so that one system call carries many packets.
constexpr std::size_t kStreamWriteBytes = 64 * 1024;
constexpr int kStreamFlags = MSG_NOSIGNAL | MSG_DONTWAIT;

class PcapOverIpOutput final : public Output {
  using Clock = std::chrono::steady_clock;

 public:
  PcapOverIpOutput(net::UniqueFd socket, CaptureStreamConfig config, ReaderFaultHandler on_fault)
      : socket_(std::move(socket)),
        on_fault_(std::move(on_fault)),
        heading_(std::move(config.heading)),
        patience_(config.patience),
        totals_(heading_.interfaces.size()) {
    if (config.identities && heading_.format == CaptureFormat::kPcapng)
      taps_.emplace(std::move(config.identities));
    const std::vector<std::byte> beginning = beginning_of(heading_);
    capacity_ = std::max(config.buffer_bytes, beginning.size());
    // Not touched before use: pages that no stall ever fills are never resident.
    ring_ = std::make_unique_for_overwrite<std::byte[]>(capacity_);
    put(beginning);
    beginning_left_ = beginning.size();
  }

  void add(const OutgoingPacket& packet) override {
    if (dead_) return drop(DropCause::kDisconnected, 1);
    Place place = place_of(packet.origin);
    const std::size_t size =
        place.blocks.size() + record_size(heading_.format, packet.header.captured);
    if (room() < size && !blocked_) flush();
    if (dead_) return drop(DropCause::kDisconnected, 1);
    const bool fits = room() >= size;
    if (fits && place.newcomer) announce(packet.origin, place);
    if (place.interface) count_received(*place.interface, fits);
    if (!fits) return drop(DropCause::kSocketFull, 1);
    const RecordFrame frame = frame_of(heading_.format, {.interface = place.interface.value_or(0),
                                                         .seconds = packet.header.seconds,
                                                         .nanoseconds = packet.nanoseconds,
                                                         .captured = packet.header.captured,
                                                         .length = packet.header.length});
    put(frame.head());
    put(packet.head);
    put(packet.body);
    put(frame.tail());
    sizes_.push_back(static_cast<std::uint32_t>(size));
    if (!blocked_ && held_ >= kStreamWriteBytes) flush();
  }

  void flush() override {
    blocked_ = false;
    while (held_ != 0 && !dead_ && !blocked_) send_some();
    if (blocked_) mind_patience();
  }

  void finish() override {
    flush();
    if (!dead_ && held_ == 0) send_statistics();
    give_up(DropCause::kSocketFull);
  }

  int blocked_descriptor() const override { return blocked_ ? socket_.get() : -1; }
  bool takes_more() const override { return !blocked_ && !dead_; }

 private:
  /// Where a packet stands in the stream.
  struct Place {
    /// Nothing: it is not announced yet, and so has no totals.
    std::optional<std::uint32_t> interface = 0;
    std::optional<TapInterfaces::Newcomer> newcomer = std::nullopt;
    std::vector<std::byte> blocks{};  ///< Of the newcomer, before the packet.
  };

  /// The interfaces of taps follow those of the heading, whose first is that of packets for which
  /// there is none.
  Place place_of(std::uint32_t origin) {
    if (!taps_) return {};
    const auto first = static_cast<std::uint32_t>(heading_.interfaces.size());
    if (const auto known = taps_->find(origin)) return {.interface = first + *known};
    if (without_interface_.contains(origin)) return {};
    Place place{.newcomer = taps_->meet(origin)};
    if (!place.newcomer->interface && taps_->is_full()) {
      // A stream never begins anew, so for each of their packets they would be looked up again.
      if (without_interface_.size() >= TapInterfaces::kMostOrigins) without_interface_.clear();
      without_interface_.insert(origin);
      return {};
    }
    place.interface.reset();
    // Of the same pod, from before.
    if (const auto before = place.newcomer->interface) place.interface = first + *before;
    place.blocks =
        addition_to(heading_, place.newcomer->interface ? nullptr : &place.newcomer->label,
                    place.newcomer->names);
    return place;
  }

  /// There is room.
  void announce(std::uint32_t origin, Place& place) {
    put(place.blocks);
    place.interface = static_cast<std::uint32_t>(heading_.interfaces.size()) +
                      taps_->add(origin, *place.newcomer);
    if (*place.interface == totals_.size()) totals_.emplace_back();
  }

  std::size_t room() const { return capacity_ - held_; }

  /// There is room.
  void put(std::span<const std::byte> bytes) {
    if (bytes.empty()) return;
    std::size_t at = begin_ + held_;
    if (at >= capacity_) at -= capacity_;
    const std::size_t first = std::min(bytes.size(), capacity_ - at);
    std::memcpy(ring_.get() + at, bytes.data(), first);
    if (first < bytes.size()) std::memcpy(ring_.get(), bytes.data() + first, bytes.size() - first);
    held_ += bytes.size();
  }

  void count_received(std::uint32_t interface, bool kept) {
    InterfaceTotals& totals = totals_[interface];
    ++totals.received;
    if (!kept) ++totals.dropped;
  }

  /// Something is held.
  void send_some() {
    const std::size_t first = std::min(held_, capacity_ - begin_);
    std::array<iovec, 2> parts{iovec{ring_.get() + begin_, first},
                               iovec{ring_.get(), held_ - first}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = first < held_ ? 2U : 1U;
    const ssize_t sent = ::sendmsg(socket_.get(), &message, kStreamFlags);
    if (sent > 0) return note_sent(static_cast<std::size_t>(sent));
    if (sent < 0 && errno == EINTR) return;
    if (sent == 0 || errno == EAGAIN) {
      blocked_ = true;
    } else {
      die(ReaderFault::kLost, std::strerror(errno), DropCause::kDisconnected);
    }
  }

  /// Counts the records whose last byte the socket has taken.
  void note_sent(std::size_t bytes) {
    waiting_since_.reset();
    counts_.bytes.add(bytes);
    begin_ += bytes;
    if (begin_ >= capacity_) begin_ -= capacity_;
    held_ -= bytes;
    if (held_ == 0) begin_ = 0;  // keeps to the pages that are resident
    const std::size_t of_beginning = std::min(bytes, beginning_left_);
    beginning_left_ -= of_beginning;
    partly_sent_ += bytes - of_beginning;
    std::uint64_t whole = 0;
    for (; !sizes_.empty() && partly_sent_ >= sizes_.front(); sizes_.pop_front()) {
      partly_sent_ -= sizes_.front();
      ++whole;
    }
    counts_.forwarded.add(whole);
  }

  void mind_patience() {
    const Clock::time_point now = Clock::now();
    if (!waiting_since_) waiting_since_ = now;
    if (now - *waiting_since_ < patience_) return;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(patience_).count();
    die(ReaderFault::kStalled, "it has taken nothing for " + std::to_string(seconds) + " s",
        DropCause::kSocketFull);
  }

  /// One by one, so that a socket that is nearly full takes none in part. Together they leave in
  /// few segments.
  void send_statistics() {
    const std::vector<std::byte> end = ending_of(heading_.format, wall_clock_ns(), totals_);
    constexpr std::size_t kOne = PcapngWriter::kStatisticsSize;
    for (std::span<const std::byte> rest(end); !rest.empty(); rest = rest.subspan(kOne)) {
      const int more = rest.size() > kOne ? MSG_MORE : 0;
      if (::send(socket_.get(), rest.data(), kOne, kStreamFlags | more) !=
          static_cast<ssize_t>(kOne))
        return;
      counts_.bytes.add(kOne);
    }
  }

  void die(ReaderFault fault, const std::string& reason, DropCause cause) {
    dead_ = true;
    give_up(cause);
    if (on_fault_) on_fault_(fault, reason);
  }

  void give_up(DropCause cause) {
    blocked_ = false;
    if (!sizes_.empty()) drop(cause, sizes_.size());
    sizes_.clear();
    held_ = begin_ = 0;
  }
  void drop(DropCause cause, std::uint64_t packets) {
    counts_.dropped[static_cast<unsigned>(cause)].add(packets);
  }

  net::UniqueFd socket_;
  ReaderFaultHandler on_fault_;
  const CaptureHeading heading_;
  const std::chrono::milliseconds patience_;
  std::vector<InterfaceTotals> totals_;  // by interface
  std::optional<TapInterfaces> taps_;
  std::unordered_set<std::uint32_t> without_interface_;  // origins that came when taps_ was full
  std::unique_ptr<std::byte[]> ring_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t held_ = 0;
  std::size_t beginning_left_ = 0;   // of the stream's header, not sent yet
  std::deque<std::uint32_t> sizes_;  // of the records that are held, each with what precedes it
  std::uint64_t partly_sent_ = 0;    // of the first of them
  std::optional<Clock::time_point> waiting_since_;  // the socket takes nothing
  bool blocked_ = false;
  bool dead_ = false;
};

}  // namespace

std::unique_ptr<Output> make_pcap_over_ip_output(net::UniqueFd socket, CaptureStreamConfig config,
                                                 ReaderFaultHandler on_fault) {
  return std::make_unique<PcapOverIpOutput>(std::move(socket), std::move(config),
                                            std::move(on_fault));
}

}  // namespace sidetap::forwarding
