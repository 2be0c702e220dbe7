#include "sidecar/forwarding/datagram_sender.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>

namespace sidetap::forwarding {
namespace {

constexpr std::size_t kMessagesPerCall = net::kMaxRunDatagrams;
constexpr int kWaitMilliseconds = 5;
// After a wait none follows for so many times as long as it took.
constexpr int kWorkPerWait = 49;

struct SegmentControl {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(std::uint16_t))> bytes{};
};

void request_segments(msghdr& message, SegmentControl& control, std::size_t datagram) {
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_UDP;
  header->cmsg_type = UDP_SEGMENT;
  header->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
  const auto size = static_cast<std::uint16_t>(datagram);
  std::memcpy(CMSG_DATA(header), &size, sizeof size);
}

bool refuses_segmentation(int error) {
  // EIO: the device cannot fill in checksums; the others: a kernel without UDP_SEGMENT.
  return error == EIO || error == EINVAL || error == EOPNOTSUPP || error == ENOPROTOOPT;
}

}  // namespace

DatagramSender::DatagramSender(net::UniqueFd socket, OutputCounts& counts, FaultHandler on_fault)
    : socket_(std::move(socket)), counts_(counts), on_fault_(std::move(on_fault)) {
  int mode = IP_PMTUDISC_DO;
  setsockopt(socket_.get(), IPPROTO_IP, IP_MTU_DISCOVER, &mode, sizeof mode);
  mode = IPV6_PMTUDISC_DO;  // refused on an IPv4 socket, which does not matter
  setsockopt(socket_.get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, &mode, sizeof mode);
}

void DatagramSender::send(std::span<const net::DatagramRun> runs, const std::byte* base) {
  while (!runs.empty()) {
    if (dead_) {
      for (const auto& run : runs) dropped(run, DropCause::kDisconnected);
      return;
    }
    if (segmentation_) {
      runs = runs.subspan(send_segmented(runs, base));
    } else {
      if (send_singly(runs.front(), base)) forwarded(runs.front());
      runs = runs.subspan(1);
    }
  }
}

// Returns how many runs are dealt with: sent, or given up.
std::size_t DatagramSender::send_segmented(std::span<const net::DatagramRun> runs,
                                           const std::byte* base) {
  std::array<mmsghdr, kMessagesPerCall> messages;
  std::array<iovec, kMessagesPerCall> parts;
  std::array<SegmentControl, kMessagesPerCall> controls;
  const std::size_t count = std::min(runs.size(), kMessagesPerCall);
  for (std::size_t i = 0; i < count; ++i) {
    parts[i] = {const_cast<std::byte*>(base + runs[i].offset), runs[i].size};
    messages[i] = {};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
    if (runs[i].count > 1) request_segments(messages[i].msg_hdr, controls[i], runs[i].datagram);
  }
  for (bool again = false;;) {
    const int sent = sendmmsg(socket_.get(), messages.data(), static_cast<unsigned>(count), 0);
    if (sent > 0) {
      for (int i = 0; i < sent; ++i) forwarded(runs[static_cast<std::size_t>(i)]);
      return static_cast<std::size_t>(sent);
    }
    int error = errno;
    if (error == EINTR || (error == EAGAIN && wait_for_room())) continue;
    last_size_ = runs.front().datagram;
    // Kernels before 6.11 answer so to segments that the path's MTU, which has fallen, refuses.
    if (error == EINVAL && path_size() != 0 && path_size() < last_size_) error = EMSGSIZE;
    if (error == EMSGSIZE && !std::exchange(again, true) && fits_path(last_size_)) continue;
    if (refuses_segmentation(error)) {
      segmentation_ = false;
      return 0;
    }
    dropped(runs.front(), cause_of(error));
    return 1;
  }
}

// One datagram a message. False: given up, and counted.
bool DatagramSender::send_singly(const net::DatagramRun& run, const std::byte* base) {
  std::array<mmsghdr, kMessagesPerCall> messages;
  std::array<iovec, kMessagesPerCall> parts;
  for (std::size_t i = 0; i < run.count; ++i) {
    const std::size_t at = i * run.datagram;
    parts[i] = {const_cast<std::byte*>(base + run.offset + at),
                std::min(run.datagram, run.size - at)};
    messages[i] = {};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  std::size_t done = 0;
  bool again = false;
  while (done < run.count) {
    const int sent =
        sendmmsg(socket_.get(), messages.data() + done, static_cast<unsigned>(run.count - done), 0);
    if (sent > 0) {
      done += static_cast<std::size_t>(sent);
      continue;
    }
    const int error = errno;
    if (error == EINTR || (error == EAGAIN && wait_for_room())) continue;
    last_size_ = run.datagram;
    if (error == EMSGSIZE && !std::exchange(again, true) && fits_path(last_size_)) continue;
    // Which of its packets went out before is not known to the run: all count as dropped, so that
    // the ledger never claims too much.
    dropped(run, cause_of(error));
    return false;
  }
  return true;
}

bool DatagramSender::wait_for_room() {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  if (begin < next_wait_) return false;
  pollfd wait{socket_.get(), POLLOUT, 0};
  const bool room = poll(&wait, 1, kWaitMilliseconds) > 0;
  const auto end = Clock::now();
  next_wait_ = end + kWorkPerWait * (end - begin);
  return room;
}

DropCause DatagramSender::cause_of(int error) {
  switch (error) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
      return DropCause::kSocketFull;
    case EMSGSIZE:
      learn_path_mtu();
      return DropCause::kTooLarge;
    case ECONNREFUSED:
    case ENOTCONN:
    case EBADF:
      if (on_fault_) {
        dead_ = true;
        on_fault_(std::string("the data port does not answer: ") + std::strerror(error));
      }
      return DropCause::kDisconnected;
    default:
      return DropCause::kSendError;
  }
}

/// UDP payload that the path takes, as far as the system knows; 0: it does not.
std::size_t DatagramSender::path_size() const {
  int mtu = 0;
  socklen_t size = sizeof mtu;
  std::size_t overhead = 28;  // IPv4 and UDP
  if (getsockopt(socket_.get(), IPPROTO_IPV6, IPV6_MTU, &mtu, &size) == 0) {
    overhead = 48;
  } else {
    size = sizeof mtu;
    if (getsockopt(socket_.get(), IPPROTO_IP, IP_MTU, &mtu, &size) != 0) mtu = 0;
  }
  return mtu > static_cast<int>(overhead) ? static_cast<std::size_t>(mtu) - overhead : 0;
}

/// What a router says of a datagram, the socket tells at the next one, whatever its size: if that
/// one fits it is to be sent again.
bool DatagramSender::fits_path(std::size_t size) {
  const std::size_t fits = path_size();
  if (fits == 0 || size > fits) return false;
  smaller_size_ = fits;
  return true;
}

void DatagramSender::learn_path_mtu() {
  const std::size_t fits = path_size();
  // The system may not know yet what the path refused: then go down in steps.
  smaller_size_ = fits != 0 && fits < last_size_ ? fits : last_size_ - last_size_ / 8;
}

void DatagramSender::forwarded(const net::DatagramRun& run) {
  std::uint32_t packets = run.packets;
  counts_.datagrams.add(run.count);
  counts_.bytes.add(run.size);
  if (tail_lost_ && packets != 0) {
    counts_.dropped[static_cast<unsigned>(tail_cause_)].add();
    tail_lost_ = false;
    --packets;
  }
  counts_.forwarded.add(packets);
}

void DatagramSender::dropped(const net::DatagramRun& run, DropCause cause) {
  counts_.dropped[static_cast<unsigned>(cause)].add(run.packets);
  tail_lost_ = run.splits_packet;
  tail_cause_ = cause;
}

}  // namespace sidetap::forwarding
