#include "sidecar/forwarding/interface_output.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <sys/uio.h>

#include "sidecar/forwarding/datagram_sender.h"
#include "sidecar/forwarding/ethernet_frame.h"

namespace sidetap::forwarding {
namespace {

constexpr std::size_t kFramesPerCall = 64;
constexpr std::chrono::milliseconds kLookAtInterface{500};

struct HeldFrame {
  std::size_t offset = 0;  // in the buffer
  std::size_t size = 0;
};

class InterfaceOutput final : public Output {
  using Clock = std::chrono::steady_clock;

 public:
  InterfaceOutput(std::unique_ptr<InterfacePort> port, capture::LinkType link,
                  InterfaceEvents events)
      : port_(std::move(port)), link_(link), events_(std::move(events)) {
    look(Clock::now());
  }

  void add(const OutgoingPacket& packet) override {
    const EthernetFrame frame(link_, packet);
    // The kernel refuses what has no whole header.
    if (!attached_ || frame.size() < kEthernetHeader) return drop(DropCause::kSendError);
    std::byte* const at = reserve(frame.size());
    if (at == nullptr) return drop(DropCause::kSocketFull);
    frame.copy_to(at, frame.size());
  }
  void flush() override {
    if (const auto now = Clock::now(); now >= next_look_) look(now);
    send_all();
  }
  void finish() override {
    flush();
    drop(DropCause::kSocketFull, frames_.size());
    discard(frames_.size());
  }
  int blocked_descriptor() const override {
    return stall_ == Stall::kSocket ? port_->descriptor() : -1;
  }
  bool must_retry() const override { return stall_ == Stall::kDevice; }
  bool takes_more() const override { return stall_ == Stall::kNone; }

 private:
  /// Why the interface takes nothing now.
  enum class Stall : std::uint8_t {
    kNone,
    kSocket,  // the socket's buffer is full
    kDevice,  // the interface's queue is, or the system is short of memory
  };

  void drop(DropCause cause, std::uint64_t packets = 1) {
    counts_.dropped[static_cast<unsigned>(cause)].add(packets);
  }

  /// Null: the interface is full, and so is what may wait for it.
  std::byte* reserve(std::size_t size) {
    if (!buffer_) buffer_ = std::make_unique_for_overwrite<std::byte[]>(kHeldBytes);
    if (used_ + size > kBatchBytes && stall_ == Stall::kNone) send_all();
    if (kHeldBytes - used_ < size) return nullptr;
    frames_.push_back({used_, size});
    used_ += size;
    return buffer_.get() + frames_.back().offset;
  }

  void send_all() {
    stall_ = Stall::kNone;
    std::size_t done = 0;
    while (attached_ && stall_ == Stall::kNone && done < frames_.size()) done += send_some(done);
    if (!attached_) {
      drop(DropCause::kSendError, frames_.size() - done);
      done = frames_.size();
    }
    discard(done);
  }

  /// Returns how many of the frames from `first` on are sent or dropped.
  std::size_t send_some(std::size_t first) {
    std::array<mmsghdr, kFramesPerCall> messages;
    std::array<iovec, kFramesPerCall> parts;
    const std::size_t count = std::min(frames_.size() - first, kFramesPerCall);
    for (std::size_t i = 0; i < count; ++i) {
      parts[i] = {buffer_.get() + frames_[first + i].offset, frames_[first + i].size};
      messages[i] = {};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int sent =
        sendmmsg(port_->descriptor(), messages.data(), static_cast<unsigned>(count), 0);
    if (sent <= 0) return take_refusal(errno, frames_[first].size);
    const auto number = static_cast<std::size_t>(sent);
    counts_.forwarded.add(number);
    for (std::size_t i = 0; i < number; ++i) counts_.bytes.add(parts[i].iov_len);
    return number;
  }

  /// Of the first of several frames. Returns how many of them it costs.
  std::size_t take_refusal(int error, std::size_t size) {
    switch (error) {
      case EINTR:
        return 0;
      case EAGAIN:
        stall_ = Stall::kSocket;
        return 0;
      case ENOBUFS:
      case ENOMEM:
        // So answers an interface without a carrier, too.
        if (!check(port_->look(index_))) return 0;
        stall_ = Stall::kDevice;
        return 0;
      case ENXIO:
      case ENODEV:
      case ENETDOWN:
        lose(std::strerror(error));
        return 0;
      case EMSGSIZE:
        drop(DropCause::kTooLarge);
        advise(mtu_for(size));
        return 1;
      default:
        drop(DropCause::kSendError);
        return 1;
    }
  }

  void advise(unsigned mtu) {
    if (mtu <= advised_mtu_) return;
    advised_mtu_ = mtu;
    if (events_.on_too_large) events_.on_too_large(mtu);
  }

  void look(Clock::time_point now) {
    next_look_ = now + kLookAtInterface;
    const InterfacePort::State state = port_->look(index_);
    if (check(state)) return;
    index_ = state.index;
    if (!state.working) return;
    if (auto attached = port_->attach(index_); !attached) return tell_lost(attached.error().text);
    attached_ = true;
    reason_.clear();
    if (events_.on_working) events_.on_working();
  }

  /// Whether frames still go into the interface. If not, that is told.
  bool check(const InterfacePort::State& state) {
    if (attached_ && state.index == index_ && state.working) return true;
    if (state.index == 0) {
      lose("there is no such interface");
    } else if (!state.working) {
      lose("it is down, or has no carrier");
    } else if (attached_) {
      lose("it is another interface now");
    }
    return false;
  }

  void lose(const std::string& reason) {
    attached_ = false;
    tell_lost(reason);
  }
  void tell_lost(const std::string& reason) {
    if (reason_ == reason) return;
    reason_ = reason;
    if (events_.on_lost) events_.on_lost(reason);
  }

  /// The first `count` frames leave the buffer.
  void discard(std::size_t count) {
    if (count == 0) return;
    if (count == frames_.size()) {
      frames_.clear();
      used_ = 0;
      return;
    }
    frames_.erase(frames_.begin(), frames_.begin() + static_cast<std::ptrdiff_t>(count));
    const std::size_t begin = frames_.front().offset;
    used_ -= begin;
    std::memmove(buffer_.get(), buffer_.get() + begin, used_);
    for (HeldFrame& frame : frames_) frame.offset -= begin;
  }

  std::unique_ptr<InterfacePort> port_;
  capture::LinkType link_;
  InterfaceEvents events_;
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t used_ = 0;
  std::vector<HeldFrame> frames_;  // one behind the other in the buffer
  Stall stall_ = Stall::kNone;
  bool attached_ = false;
  unsigned index_ = 0;  // of the interface at the last look
  std::string reason_;  // why it takes nothing, as told; empty: it does
  unsigned advised_mtu_ = 0;
  Clock::time_point next_look_;
};

}  // namespace

unsigned mtu_for(std::size_t frame) {
  for (const unsigned mtu : {1'500U, 9'000U})
    if (frame <= mtu + kEthernetHeader) return mtu;
  return 65'535;
}

std::unique_ptr<Output> make_interface_output(std::unique_ptr<InterfacePort> port,
                                              capture::LinkType link, InterfaceEvents events) {
  return std::make_unique<InterfaceOutput>(std::move(port), link, std::move(events));
}

}  // namespace sidetap::forwarding
