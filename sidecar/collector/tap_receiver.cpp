#include "sidecar/collector/tap_receiver.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sidetap::collector {
namespace {

constexpr std::size_t kStreamRead = 64 * 1024;
/// OpenSSL returns at most one record at a time, which is read whole if there is room for it.
constexpr std::size_t kTlsRecord = 16 * 1024;
constexpr std::size_t kMostEvents = 64;
/// Of looks for what has arrived, in one read(): what comes without end must not keep the thread
/// from its commands.
constexpr unsigned kMostRounds = 8;
constexpr std::uint64_t kPortEvent = 1ULL << 32;
constexpr std::uint64_t kUnfinishedEvent = 1ULL << 33;

std::string reason_of_errno() { return std::generic_category().message(errno); }

}  // namespace

struct TapReceiver::Tap {
  Tap(std::uint32_t number, std::uint32_t most, FeedSink& sink)
      : origin(number), feed(number, most, sink) {}

  const std::uint32_t origin;
  TapFeed feed;
  std::optional<net::SocketAddress> expected_from{};  // with the number of our port
  std::optional<net::SocketAddress> sender{};
  net::UniqueFd socket{};
  std::shared_ptr<ssl_st> tls{};
  StreamEnded ended{};
  std::vector<std::byte> rest{};  // of the stream: the beginning of a message
  std::size_t over = 0;           // bytes held beyond kAssured
  bool goes_on = false;           // it is among the unfinished streams, once
};

TapReceiver::TapReceiver(ReceiverConfig config, std::vector<net::UniqueFd> ports)
    : config_(config),
      ports_(std::move(ports)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      unfinished_left_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      stream_(kStreamRead + rpcap::kHeaderSize + rpcap::kPacketHeaderSize + config.most_packet) {
  if (!unfinished_left_) throw std::runtime_error("eventfd: " + reason_of_errno());
  if (!epoll_) throw std::runtime_error("epoll: " + reason_of_errno());
  const auto watch = [this](const net::UniqueFd& descriptor, std::uint64_t number) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = number;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor.get(), &event) != 0)
      throw std::runtime_error("epoll: " + reason_of_errno());
  };
  watch(unfinished_left_, kUnfinishedEvent);
  for (std::size_t i = 0; i < ports_.size(); ++i) watch(ports_[i], kPortEvent | i);
}

TapReceiver::~TapReceiver() = default;

TapReceiver::Tap& TapReceiver::add(std::uint32_t origin) {
  auto& tap = taps_[origin];
  tap = std::make_unique<Tap>(origin, config_.most_packet, sink_);
  return *tap;
}

std::size_t TapReceiver::expect(std::uint32_t origin, const net::IpAddress& from) {
  net::SocketAddress chosen{from, 0};
  std::size_t fewest = SIZE_MAX;
  for (std::size_t port = 0; port < ports_.size() && fewest != 0; ++port) {
    const net::SocketAddress there{from, static_cast<std::uint16_t>(port)};
    const auto waiting = expected_.find(there);
    const std::size_t count = waiting == expected_.end() ? 0 : waiting->second.size();
    if (count >= fewest) continue;
    fewest = count;
    chosen = there;
  }
  add(origin).expected_from = chosen;
  expected_[chosen].push_back(origin);
  return chosen.port;
}

void TapReceiver::add_stream(std::uint32_t origin, net::UniqueFd socket,
                             std::shared_ptr<ssl_st> tls, StreamEnded ended) {
  Tap& tap = add(origin);
  tap.socket = std::move(socket);
  tap.tls = std::move(tls);
  tap.ended = std::move(ended);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP;
  event.data.u64 = origin;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, tap.socket.get(), &event) != 0)
    return end_stream(tap, "epoll: " + reason_of_errno());
  // Bytes that came with the handshake are not in the socket any more.
  go_on_later(tap);
  tell_unfinished(true);
}

TapCounts TapReceiver::remove(std::uint32_t origin) {
  const auto found = taps_.find(origin);
  if (found == taps_.end()) return {};
  Tap& tap = *found->second;
  tap.ended = nullptr;
  if (tap.expected_from) {
    const auto waiting = expected_.find(*tap.expected_from);
    std::erase(waiting->second, origin);
    if (waiting->second.empty()) expected_.erase(waiting);
  }
  if (tap.sender) {
    senders_.erase(*tap.sender);
    former_.add(*tap.sender, std::chrono::steady_clock::now());
  }
  if (last_tap_ == &tap) last_tap_ = nullptr;
  beyond_ -= tap.over;
  tap.feed.give_up_packet();
  if (!tap.rest.empty()) tap.feed.note_broken();
  const TapCounts counts = tap.feed.counts();
  ended_ += counts;
  taps_.erase(found);
  return counts;
}

/// The one that has waited longest for its first datagram from this address at this port.
TapReceiver::Tap* TapReceiver::claim(const net::SocketAddress& sender, std::size_t port,
                                     std::span<const std::byte> bytes) {
  // Asked whether somebody is awaited or not: one that goes on sending stays a former one.
  if (former_.is_former(sender, TapFeed::begins_capture(bytes), std::chrono::steady_clock::now()))
    return nullptr;
  const auto waiting = expected_.find({sender.address, static_cast<std::uint16_t>(port)});
  if (waiting == expected_.end()) return nullptr;
  Tap* const tap = taps_.at(waiting->second.front()).get();
  waiting->second.erase(waiting->second.begin());
  if (waiting->second.empty()) expected_.erase(waiting);
  tap->expected_from.reset();
  tap->sender = sender;
  senders_.emplace(sender, tap);
  return tap;
}

TapReceiver::Tap* TapReceiver::tap_of(const net::SocketAddress& sender, std::size_t port,
                                      std::span<const std::byte> bytes) {
  if (last_tap_ != nullptr && sender == last_sender_) return last_tap_;
  const auto found = senders_.find(sender);
  Tap* tap = found != senders_.end() ? found->second : nullptr;
  if (tap == nullptr && TapFeed::may_be_datagram(bytes)) tap = claim(sender, port, bytes);
  last_sender_ = sender;
  last_tap_ = tap;
  return tap;
}

void TapReceiver::read_port(std::size_t port) {
  const std::size_t messages = batch_.receive(ports_[port].get());
  for (std::size_t i = 0; i < messages; ++i) {
    const net::DatagramMessage message = batch_.message(i);
    Tap* const tap = tap_of(message.sender, port, message.bytes);
    if (tap == nullptr) {
      strange_ += message.datagrams();
      continue;
    }
    message.for_each_datagram([tap](std::span<const std::byte> d) { tap->feed.on_datagram(d); });
    account(*tap);
  }
}

std::size_t TapReceiver::receive(Tap& tap, std::span<std::byte> into) {
  if (!tap.tls) {
    const ssize_t got = recv(tap.socket.get(), into.data(), into.size(), MSG_DONTWAIT);
    if (got > 0) return static_cast<std::size_t>(got);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    end_stream(tap, got == 0 ? "the tap has ended the stream" : "stream: " + reason_of_errno());
    return 0;
  }
  std::size_t total = 0;
  while (into.size() - total >= kTlsRecord) {
    ERR_clear_error();
    std::size_t got = 0;
    const int result = SSL_read_ex(tap.tls.get(), into.data() + total, into.size() - total, &got);
    if (result == 1) {
      total += got;
      continue;
    }
    const int cause = SSL_get_error(tap.tls.get(), result);
    if (cause == SSL_ERROR_WANT_READ || cause == SSL_ERROR_WANT_WRITE) return total;
    if (total == 0) {
      end_stream(tap, cause == SSL_ERROR_ZERO_RETURN ? "the tap has ended the stream"
                                                     : "the tap's stream is broken");
    } else {
      // What came before is handed over first. OpenSSL may have read all that was in the socket.
      go_on_later(tap);
    }
    return total;
  }
  if (SSL_has_pending(tap.tls.get()) == 1) go_on_later(tap);
  return total;
}

/// A message that came in pieces is put together in front of what is read now.
void TapReceiver::read_stream(Tap& tap) {
  if (!tap.socket) return;
  const std::size_t before = tap.rest.size();
  std::copy(tap.rest.begin(), tap.rest.end(), stream_.begin());
  const std::size_t got = receive(tap, std::span(stream_).subspan(before, kStreamRead));
  if (got == 0) return;
  const std::span<const std::byte> bytes = std::span(stream_).first(before + got);
  const auto taken = tap.feed.on_stream(bytes);
  if (!taken) return end_stream(tap, taken.error().text);
  const auto rest = bytes.subspan(*taken);
  tap.rest.assign(rest.begin(), rest.end());
  if (tap.rest.size() <= kAssured && tap.rest.capacity() > kAssured) tap.rest.shrink_to_fit();
  account(tap);
}

/// Each stream once, however often it is read meanwhile: or one that never pauses takes all the
/// time.
void TapReceiver::go_on_later(Tap& tap) {
  if (!std::exchange(tap.goes_on, true)) unfinished_.push_back(tap.origin);
}

/// Until so many packets have been delivered in all. Those that are left come first the next time.
void TapReceiver::go_on_with_streams(std::uint64_t until) {
  std::vector<std::uint32_t> due = std::exchange(unfinished_, {});
  auto next = due.begin();
  for (; next != due.end() && sink_.delivered < until; ++next) {
    const auto found = taps_.find(*next);
    if (found == taps_.end()) continue;
    found->second->goes_on = false;
    read_stream(*found->second);
  }
  unfinished_.insert(unfinished_.begin(), next, due.end());
}

/// A call of read() that ends before all streams have been read leaves word for poll().
void TapReceiver::tell_unfinished(bool any) {
  std::uint64_t count = 1;
  if (any) {
    [[maybe_unused]] const auto told = ::write(unfinished_left_.get(), &count, sizeof count);
  } else {
    [[maybe_unused]] const auto heard = ::read(unfinished_left_.get(), &count, sizeof count);
  }
}

void TapReceiver::end_stream(Tap& tap, const std::string& why) {
  if (!tap.rest.empty()) tap.feed.note_broken();
  std::vector<std::byte>().swap(tap.rest);
  tap.tls.reset();
  tap.socket.reset();  // which takes it out of the epoll too
  account(tap);
  if (const auto ended = std::exchange(tap.ended, nullptr)) ended(why);
}

void TapReceiver::account(Tap& tap) {
  std::size_t held = tap.feed.held() + tap.rest.capacity();
  if (held > kAssured) {
    tap.feed.trim();
    held = tap.feed.held() + tap.rest.capacity();
  }
  const std::size_t over = held > kAssured ? held - kAssured : 0;
  beyond_ += over;
  beyond_ -= std::exchange(tap.over, over);
  if (over == 0 || beyond_ <= config_.memory) return;
  if (tap.socket) {
    end_stream(tap, "the memory for packets that are not complete is used up");
  } else {
    tap.feed.give_up_packet();
    beyond_ -= std::exchange(tap.over, 0);
  }
}

std::size_t TapReceiver::read(capture::PacketHandler& handler, std::size_t most) {
  sink_.handler = &handler;
  const std::uint64_t before = sink_.delivered;
  if (!unfinished_.empty()) tell_unfinished(false);
  for (unsigned round = 0; round < kMostRounds; ++round) {
    const bool goes_on = !unfinished_.empty();
    if (goes_on) go_on_with_streams(before + most);
    std::array<epoll_event, kMostEvents> events;
    const int ready = epoll_wait(epoll_.get(), events.data(), kMostEvents, 0);
    for (std::size_t i = 0; ready > 0 && i < static_cast<std::size_t>(ready); ++i) {
      const std::uint64_t event = events[i].data.u64;
      if ((event & kPortEvent) != 0) {
        read_port(event & ~kPortEvent);
      } else if (const auto found = taps_.find(static_cast<std::uint32_t>(event));
                 found != taps_.end()) {
        read_stream(*found->second);
      }
    }
    if ((ready <= 0 && !goes_on) || sink_.delivered - before >= most) break;
  }
  if (!unfinished_.empty()) tell_unfinished(true);
  return sink_.delivered - before;
}

void TapReceiver::set_filter(std::vector<capture::BpfInstruction> program) {
  // One that accepts everything need not run.
  const bool everything = program.size() == 1 && program.front().k != 0;
  sink_.filter = everything ? std::vector<capture::BpfInstruction>() : std::move(program);
}

ReceivedFromTap TapReceiver::received_from(std::uint32_t origin) const {
  const auto found = taps_.find(origin);
  if (found == taps_.end()) return {};
  const Tap& tap = *found->second;
  return {.counts = tap.feed.counts(), .stream_open = static_cast<bool>(tap.socket)};
}

ReceiverCounts TapReceiver::counts() const {
  ReceiverCounts counts;
  static_cast<TapCounts&>(counts) = ended_;
  for (const auto& [origin, tap] : taps_) counts += tap->feed.counts();
  counts.strange_datagrams = strange_;
  counts.taps = taps_.size();
  counts.held = beyond_;
  return counts;
}

}  // namespace sidetap::collector
