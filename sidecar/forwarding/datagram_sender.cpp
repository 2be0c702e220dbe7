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
// On a fast path, a full socket has room again sooner than a packet is in the backlog and out
// again.
constexpr int kWaitMilliseconds = 5;
// After a longer wait none follows for so many times as long as it took.
constexpr std::chrono::milliseconds kShortWait{1};
constexpr int kWorkPerWait = 49;
// More would mean that a refusal comes back before the next datagram is sent, each time.
constexpr unsigned kMostRefusals = 1000;

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

DatagramSender::DatagramSender(net::UniqueFd socket, OutputCounts& counts, FaultHandler on_fault,
                               Handover handover)
    : socket_(std::move(socket)),
      counts_(counts),
      on_fault_(std::move(on_fault)),
      segmentation_(handover == Handover::kSegments) {
  int mode = IP_PMTUDISC_DO;
  setsockopt(socket_.get(), IPPROTO_IP, IP_MTU_DISCOVER, &mode, sizeof mode);
  mode = IPV6_PMTUDISC_DO;  // refused on an IPv4 socket, which does not matter
  setsockopt(socket_.get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, &mode, sizeof mode);
}

Sent DatagramSender::send(std::span<const net::DatagramRun> runs, const std::byte* base) {
  stall_ = Stall::kNone;
  std::size_t done = 0;
  while (done < runs.size() && !is_full()) {
    const auto rest = runs.subspan(done);
    if (dead_) {
      for (const auto& run : rest) dropped(run, DropCause::kDisconnected);
      return {runs.size()};
    }
    Sent step = segmentation_ ? send_segmented(rest, base) : send_singly(rest.front(), base);
    done += step.runs;
    if (step.too_large) {
      step.too_large->run = done;
      return {done, step.too_large};
    }
  }
  return {done};
}

void DatagramSender::give_up(std::span<const net::DatagramRun> runs) {
  for (const auto& run : runs)
    drop_rest(run, std::exchange(sent_of_first_, 0), DropCause::kSocketFull);
}

Sent DatagramSender::send_segmented(std::span<const net::DatagramRun> runs, const std::byte* base) {
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
  const std::size_t size = runs.front().datagram;
  for (;;) {
    const int sent = sendmmsg(socket_.get(), messages.data(), static_cast<unsigned>(count), 0);
    if (sent > 0) {
      told_too_large_ = false;
      refusals_ = 0;
      for (int i = 0; i < sent; ++i) forwarded(runs[static_cast<std::size_t>(i)]);
      return {static_cast<std::size_t>(sent)};
    }
    int error = errno;
    // Kernels before 6.11 answer so to segments that the path's MTU, which has fallen, refuses.
    if (error == EINVAL && path_size() != 0 && path_size() < size) error = EMSGSIZE;
    if (worth_another_try(error, size)) continue;
    if (refuses_segmentation(error)) {
      segmentation_ = false;
      return {0};
    }
    if (stalls(error)) return {0};
    if (const std::size_t fits = error == EMSGSIZE ? size_to_try(size) : 0; fits != 0)
      return {0, TooLarge{.fits = fits}};
    dropped(runs.front(), cause_of(error));
    return {1};
  }
}

// One datagram a message.
Sent DatagramSender::send_singly(const net::DatagramRun& run, const std::byte* base) {
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
  std::size_t done = std::exchange(sent_of_first_, 0);
  while (done < run.count) {
    const int sent =
        sendmmsg(socket_.get(), messages.data() + done, static_cast<unsigned>(run.count - done), 0);
    if (sent > 0) {
      told_too_large_ = false;
      refusals_ = 0;
      done += static_cast<std::size_t>(sent);
      continue;
    }
    const int error = errno;
    const std::size_t size = parts[done].iov_len;
    if (worth_another_try(error, size)) continue;
    if (stalls(error)) {
      sent_of_first_ = done;
      return {0};
    }
    if (const std::size_t fits = error == EMSGSIZE ? size_to_try(size) : 0; fits != 0)
      return {0, TooLarge{.datagram = done, .fits = fits}};
    drop_rest(run, done, cause_of(error));
    return {1};
  }
  forwarded(run);
  return {1};
}

/// The socket may tell of what was sent before: the datagram at hand has not been looked at then.
bool DatagramSender::worth_another_try(int error, std::size_t size) {
  switch (error) {
    case EINTR:
      return true;
    case EAGAIN:
      return wait_for_room();
    case EMSGSIZE: {
      // What a router says of a datagram, the socket tells at the next one, whatever its size.
      const std::size_t fits = path_size();
      if (fits == 0 || size > fits || std::exchange(told_too_large_, true)) return false;
      smaller_size_ = fits;
      return true;
    }
    case ECONNREFUSED:
      return !on_fault_ && ++refusals_ <= kMostRefusals;
    default:
      return false;
  }
}

/// What has been sent of a run that is packed anew.
void DatagramSender::count_sent(const net::DatagramRun& run, std::size_t datagrams,
                                std::uint32_t packets) {
  if (datagrams == 0) return;
  forwarded({.offset = run.offset,
             .size = std::min(datagrams * run.datagram, run.size),
             .datagram = run.datagram,
             .count = static_cast<std::uint32_t>(datagrams),
             .packets = packets});
}

bool DatagramSender::wait_for_room() {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  if (begin < next_wait_) return false;
  pollfd wait{socket_.get(), POLLOUT, 0};
  const bool room = poll(&wait, 1, kWaitMilliseconds) > 0;
  const auto end = Clock::now();
  if (!room || end - begin > kShortWait) next_wait_ = end + kWorkPerWait * (end - begin);
  return room;
}

bool DatagramSender::stalls(int error) {
  if (error == EAGAIN) {
    stall_ = Stall::kSocket;
  } else if (error == ENOBUFS || error == ENOMEM) {
    stall_ = Stall::kMemory;
  }
  return is_full();
}

DropCause DatagramSender::cause_of(int error) {
  switch (error) {
    case EMSGSIZE:
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

/// For a datagram that the path refused; 0: there is no smaller one.
std::size_t DatagramSender::size_to_try(std::size_t size) const {
  const std::size_t fits = path_size();
  // The system may not know yet what the path refused: then go down in steps.
  const std::size_t smaller = fits != 0 && fits < size ? fits : size - size / 8;
  return smaller < size && smaller >= kSmallestDatagram ? smaller : 0;
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

/// The first `done` datagrams went out.
void DatagramSender::drop_rest(const net::DatagramRun& run, std::size_t done, DropCause cause) {
  // Which of its packets went out before is known only if it has one in each datagram. Otherwise
  // all count as dropped, so that the ledger never claims too much.
  if (done == 0 || run.packets != run.count || run.splits_packet) return dropped(run, cause);
  const auto packets = static_cast<std::uint32_t>(done);
  count_sent(run, done, packets);
  counts_.dropped[static_cast<unsigned>(cause)].add(run.packets - packets);
}

}  // namespace sidetap::forwarding
