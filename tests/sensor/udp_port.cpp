#include "tests/sensor/udp_port.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <netinet/udp.h>
#include <sys/socket.h>

#include "tests/sensor/wall_clock.h"

namespace sidetap::sensor {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;

constexpr std::size_t kMessages = 32;
constexpr std::size_t kMessageBytes = 65'536;
constexpr int kBatchesATurn = 16;
constexpr auto kRetirement = std::chrono::seconds(2);

/// Bytes of each datagram in a message that the kernel has joined; 0 if it is a single datagram.
std::size_t segment_size(msghdr& message) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO) continue;
    int size = 0;
    std::memcpy(&size, CMSG_DATA(c), sizeof size);
    return size > 0 ? static_cast<std::size_t>(size) : 0;
  }
  return 0;
}

}  // namespace

struct UdpPort::Batch {
  std::vector<std::byte> bytes = std::vector<std::byte>(kMessages * kMessageBytes);
  std::array<mmsghdr, kMessages> messages{};
  std::array<iovec, kMessages> parts{};
  std::array<sockaddr_storage, kMessages> senders{};
  std::array<std::array<char, CMSG_SPACE(sizeof(int))>, kMessages> controls{};

  void reset() {
    for (std::size_t i = 0; i < kMessages; ++i) {
      parts[i] = {bytes.data() + i * kMessageBytes, kMessageBytes};
      messages[i].msg_hdr = {.msg_name = &senders[i],
                             .msg_namelen = sizeof senders[i],
                             .msg_iov = &parts[i],
                             .msg_iovlen = 1,
                             .msg_control = controls[i].data(),
                             .msg_controllen = controls[i].size(),
                             .msg_flags = 0};
    }
  }
};

std::shared_ptr<UdpPort::Batch> UdpPort::make_batch() { return std::make_shared<Batch>(); }

UdpPort::UdpPort(asio::any_io_executor executor, const udp::endpoint& local,
                 std::shared_ptr<Batch> batch, std::uint32_t receive_buffer)
    : socket_(executor, local), batch_(std::move(batch)) {
  socket_.non_blocking(true);
  const int one = 1;
  setsockopt(socket_.native_handle(), SOL_UDP, UDP_GRO, &one, sizeof one);
  // The forced size needs a right, the other is bounded by the system.
  const int size = static_cast<int>(receive_buffer);
  if (setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
    setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

std::uint16_t UdpPort::port() const { return socket_.local_endpoint().port(); }

void UdpPort::start() { wait(); }

void UdpPort::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void UdpPort::expect(const asio::ip::address& from, std::shared_ptr<Recorder> recorder) {
  expected_.emplace_back(from, std::move(recorder));
}

void UdpPort::forget(const Recorder* recorder) {
  const auto now = std::chrono::steady_clock::now();
  std::erase_if(retired_, [&](const auto& entry) { return entry.second < now; });
  for (const auto& [from, owner] : known_) {
    if (owner.get() == recorder) retired_[from] = now + kRetirement;
  }
  std::erase_if(known_, [&](const auto& entry) { return entry.second.get() == recorder; });
  std::erase_if(expected_, [&](const auto& entry) { return entry.second.get() == recorder; });
}

std::shared_ptr<Recorder> UdpPort::recorder_of(const udp::endpoint& from) {
  if (const auto found = known_.find(from); found != known_.end()) return found->second;
  const auto found = std::find_if(expected_.begin(), expected_.end(),
                                  [&](const auto& entry) { return entry.first == from.address(); });
  if (found == expected_.end()) return nullptr;
  const auto retired = retired_.find(from);
  if (retired != retired_.end() && std::chrono::steady_clock::now() < retired->second)
    return nullptr;
  auto recorder = std::move(found->second);
  expected_.erase(found);
  known_.emplace(from, recorder);
  return recorder;
}

void UdpPort::drain() {
  for (int turn = 0; turn < kBatchesATurn && socket_.is_open(); ++turn) {
    batch_->reset();
    const int got = recvmmsg(socket_.native_handle(), batch_->messages.data(), kMessages,
                             MSG_DONTWAIT, nullptr);
    if (got > 0) hand_out(static_cast<std::size_t>(got));
    if (got == static_cast<int>(kMessages)) continue;
    // Nothing more has arrived: flush, so that readers of the capture files see everything.
    for (const auto& [from, recorder] : known_) recorder->flush();
    return;
  }
}

void UdpPort::hand_out(std::size_t messages) {
  const std::int64_t now = wall_clock_micros();
  for (std::size_t i = 0; i < messages; ++i) {
    msghdr& message = batch_->messages[i].msg_hdr;
    udp::endpoint from;
    std::memcpy(from.data(), message.msg_name, message.msg_namelen);
    from.resize(message.msg_namelen);
    const auto recorder = recorder_of(from);
    if (!recorder) continue;
    recorder->set_arrival(now);
    std::span<const std::byte> bytes(batch_->bytes.data() + i * kMessageBytes,
                                     batch_->messages[i].msg_len);
    const std::size_t size = segment_size(message);
    while (!bytes.empty()) {
      const std::size_t here = size == 0 ? bytes.size() : std::min(size, bytes.size());
      recorder->on_datagram(bytes.first(here));
      bytes = bytes.subspan(here);
    }
  }
}

void UdpPort::wait() {
  socket_.async_wait(udp::socket::wait_read,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       if (error) return;
                       self->drain();
                       self->wait();
                     });
}

}  // namespace sidetap::sensor
