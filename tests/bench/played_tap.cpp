#include "tests/bench/played_tap.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "sidecar/forwarding/tcp_output.h"
#include "sidecar/forwarding/udp_output.h"
#include "sidecar/session/tls.h"

namespace sidetap::bench {
namespace {

namespace asio = boost::asio;
using session::ChannelStatus;
using std::chrono::milliseconds;

// As taps have them.
constexpr milliseconds kConnectLimit{5'000};
constexpr milliseconds kMessageLimit{10'000};
constexpr milliseconds kLinger{500};
constexpr std::size_t kDiscardPiece = 4096;
constexpr std::int32_t kEthernet = 1;
constexpr std::uint32_t kIsUp = 2;  // PCAP_IF_UP

using PacketHead = std::array<std::byte, PlayedTap::kHeaders>;

void put16(PacketHead& head, std::size_t at, std::size_t value) {
  head[at] = static_cast<std::byte>(value >> 8 & 0xff);
  head[at + 1] = static_cast<std::byte>(value & 0xff);
}

/// A datagram from the pod to 192.0.2.1.
PacketHead packet_head(const net::IpAddress& from, std::size_t payload) {
  PacketHead head{};
  head[0] = head[6] = std::byte{2};  // local addresses of Ethernet
  head[11] = std::byte{1};
  put16(head, 12, 0x0800);
  put16(head, 14, 0x4500);
  put16(head, 16, 28 + payload);
  put16(head, 22, 64 << 8 | 17);
  const auto own = from.v4_bytes();
  std::copy(own.begin(), own.end(), head.begin() + 26);
  put16(head, 30, 0xc000);
  put16(head, 32, 0x0201);
  std::size_t sum = 0;
  for (std::size_t at = 14; at < 34; at += 2)
    sum += std::to_integer<std::size_t>(head[at]) << 8 | std::to_integer<std::size_t>(head[at + 1]);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  put16(head, 24, ~sum & 0xffff);
  put16(head, 34, 40'000);
  put16(head, 36, 9'000);
  put16(head, 38, 8 + payload);
  return head;
}

}  // namespace

PlayedTap::PlayedTap(TapField& field, std::uint32_t number, net::IpAddress address,
                     std::function<void()> captures)
    : field_(field),
      number_(number),
      address_(address),
      captures_(std::move(captures)),
      head_(packet_head(address, field.payload.size())) {}

void PlayedTap::stop() {
  stopping_ = true;
  interruption_.request();
}

void PlayedTap::cut() {
  cut_ = true;
  interruption_.request();
}

bool PlayedTap::takes_more() {
  if (!output_) return false;
  if (!output_->takes_more()) output_->flush();
  return output_->takes_more();
}

bool PlayedTap::has_sent_all() {
  if (!output_) return true;
  output_->flush();
  return output_->blocked_descriptor() < 0 && !output_->must_retry();
}

void PlayedTap::send(std::uint32_t count) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto nanoseconds =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
  const auto size = static_cast<std::uint32_t>(head_.size() + field_.payload.size());
  forwarding::OutgoingPacket packet{
      .header = {.seconds = static_cast<std::uint32_t>(nanoseconds / 1'000'000'000),
                 .microseconds = static_cast<std::uint32_t>(nanoseconds / 1'000 % 1'000'000),
                 .captured = size,
                 .length = size,
                 .number = 0},
      .head = head_,
      .body = field_.payload,
      .nanoseconds = static_cast<std::uint32_t>(nanoseconds % 1'000'000'000)};
  for (std::uint32_t i = 0; i < count; ++i) {
    packet.header.number = ++packets_;
    output_->add(packet);
  }
  output_->flush();
}

asio::awaitable<void> PlayedTap::run() {
  while (!stopping_) {
    interruption_.clear();
    cut_ = false;
    const auto begin = std::chrono::steady_clock::now();
    co_await attempt();
    end_capture();
    channel_.reset();
    if (stopping_) co_return;
    if (cut_) continue;
    ++field_.counts.failures;
    backoff_.session_ended(
        std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin));
    const milliseconds wait = backoff_.wait(field_.chance());
    interruption_.clear();
    co_await async::sleep(field_.executor, wait, &interruption_);
  }
}

Result<net::UniqueFd> PlayedTap::bound_socket(int type) const {
  net::UniqueFd fd(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return session::system_error("socket", errno);
  const session::Endpoint own(asio::ip::address_v4(address_.v4_bits()), 0);
  if (::bind(fd.get(), own.data(), static_cast<socklen_t>(own.size())) != 0)
    return session::system_error("bind to " + address_.to_string(), errno);
  return fd;
}

asio::awaitable<Result<async::AsyncFd>> PlayedTap::connect(std::uint16_t port) {
  auto bound = bound_socket(SOCK_STREAM);
  if (!bound) co_return bound.error();
  session::keep_alive(bound->get());
  const int one = 1;
  ::setsockopt(bound->get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  async::AsyncFd fd(field_.executor, std::move(*bound));
  const session::Endpoint to(field_.collector.address(), port);
  const int result = ::connect(fd.get(), to.data(), static_cast<socklen_t>(to.size()));
  if (result != 0 && errno != EINPROGRESS) co_return session::system_error("connect", errno);
  const async::Wait wait = co_await fd.wait(async::AsyncFd::kWrite, kConnectLimit, &interruption_);
  if (wait != async::Wait::kReady) co_return Error{"connect: no answer"};
  int failure = 0;
  socklen_t size = sizeof failure;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &failure, &size);
  if (failure != 0) co_return session::system_error("connect", failure);
  co_return std::move(fd);
}

asio::awaitable<Result<std::shared_ptr<SSL>>> PlayedTap::handshake(async::AsyncFd& fd) {
  if (!field_.tls) co_return std::shared_ptr<SSL>();
  const std::string host = field_.collector.address().to_string();
  co_return co_await session::tls_handshake(fd, *field_.tls, field_.tls_settings, host,
                                            kMessageLimit, &interruption_);
}

asio::awaitable<void> PlayedTap::attempt() {
  auto control = co_await connect(field_.collector.port());
  if (!control) co_return;
  auto tls = co_await handshake(*control);
  if (!tls) co_return;
  channel_.emplace(std::move(*control), std::move(*tls));
  co_await converse();
}

asio::awaitable<void> PlayedTap::converse() {
  session::ProtocolConfig config;
  config.tls = field_.tls != nullptr;
  config.description = "load/web-" + std::to_string(number_);
  session::Protocol protocol(std::move(config));
  session::Event event = session::Began{};
  bool captured = false;
  for (;;) {
    session::Actions actions = protocol.resume(event);
    if (protocol.phase() == session::Phase::kCapturing && !std::exchange(captured, true) && !cut_)
      captures_();
    for (session::Action& action : actions) {
      if (std::holds_alternative<session::End>(action)) {
        if (!cut_) co_await channel_->close(kLinger);
        co_return;
      }
      auto outcome = co_await std::visit([this](auto& step) { return perform(step); }, action);
      if (!outcome) continue;
      event = std::move(*outcome);
      break;
    }
  }
}

session::Event PlayedTap::event_of(const session::ChannelOutcome& outcome, bool between_messages) {
  switch (outcome.status) {
    case ChannelStatus::kInterrupted:
      if (cut_) return session::ConnectionLost{session::EndKind::kLost, "cut"};
      if (fault_) {
        interruption_.clear();
        return session::CaptureLost{*std::exchange(fault_, std::nullopt)};
      }
      return session::StopRequested{};
    case ChannelStatus::kTimedOut:
      if (between_messages) return session::IdleTooLong{};
      return session::ConnectionLost{session::EndKind::kTimeout, "silence"};
    case ChannelStatus::kClosed:
      return session::ConnectionLost{
          between_messages ? session::EndKind::kClosed : session::EndKind::kLost, "hung up"};
    default:
      return session::ConnectionLost{session::EndKind::kLost, outcome.text};
  }
}

void PlayedTap::end_capture() {
  data_tls_.reset();
  data_.reset();
  fault_.reset();
  if (!output_) return;
  output_->finish();
  const forwarding::OutputCounts& counts = output_->counts();
  field_.counts.packets += counts.forwarded.value();
  field_.counts.bytes += counts.bytes.value();
  field_.counts.datagrams += counts.datagrams.value();
  field_.counts.send_errors += counts.dropped_total();
  output_.reset();
}

PlayedTap::Outcome PlayedTap::perform(session::Send& action) {
  const auto outcome = co_await channel_->write(action.bytes, kMessageLimit);
  if (outcome.status == ChannelStatus::kDone) co_return std::nullopt;
  co_return session::ConnectionLost{session::EndKind::kLost, outcome.text};
}

PlayedTap::Outcome PlayedTap::perform(session::Pause& action) {
  co_await async::sleep(field_.executor, action.time, &interruption_);
  co_return std::nullopt;
}

PlayedTap::Outcome PlayedTap::perform(session::Discard& action) {
  std::array<std::byte, kDiscardPiece> piece{};
  for (std::size_t left = action.size; left > 0;) {
    const auto part = std::span(piece).first(std::min(left, piece.size()));
    const auto outcome =
        co_await channel_->read(part, kMessageLimit, kMessageLimit, &interruption_);
    if (outcome.status != ChannelStatus::kDone) co_return event_of(outcome, false);
    left -= part.size();
  }
  co_return std::nullopt;
}

PlayedTap::Outcome PlayedTap::perform(session::StopCapture&) {
  end_capture();
  co_return std::nullopt;
}

PlayedTap::Outcome PlayedTap::perform(session::Note&) { co_return std::nullopt; }

PlayedTap::Outcome PlayedTap::perform(session::ReadHeader& action) {
  std::array<std::byte, rpcap::kHeaderSize> bytes{};
  const auto outcome = co_await channel_->read(bytes, action.limit, kMessageLimit, &interruption_);
  if (outcome.status != ChannelStatus::kDone) co_return event_of(outcome, outcome.moved == 0);
  co_return session::HeaderRead{rpcap::decode_header(bytes)};
}

PlayedTap::Outcome PlayedTap::perform(session::ReadPayload& action) {
  payload_.resize(action.size);
  const auto outcome =
      co_await channel_->read(payload_, kMessageLimit, kMessageLimit, &interruption_);
  if (outcome.status != ChannelStatus::kDone) co_return event_of(outcome, false);
  co_return session::PayloadRead{payload_};
}

PlayedTap::Outcome PlayedTap::perform(session::DescribeInterface&) {
  rpcap::Interface interface;
  interface.name = "eth0";
  interface.flags = kIsUp;
  interface.addresses.push_back(
      {.address = address_, .netmask = {}, .broadcast = {}, .destination = {}});
  co_return session::InterfaceDescribed{std::move(interface), kEthernet};
}

PlayedTap::Outcome PlayedTap::perform(session::OpenData& action) {
  if (!action.datagram) {
    auto stream = co_await connect(action.port);
    if (!stream) co_return session::Failed{"data connection: " + stream.error().text};
    data_.emplace(std::move(*stream));
    co_return session::DataOpened{0};
  }
  auto bound = bound_socket(SOCK_DGRAM);
  if (!bound) co_return session::Failed{"data connection: " + bound.error().text};
  const session::Endpoint to(field_.collector.address(), action.port);
  if (::connect(bound->get(), to.data(), static_cast<socklen_t>(to.size())) != 0)
    co_return session::Failed{"data connection: " + session::system_error("connect", errno).text};
  const int never_fragment = IP_PMTUDISC_DO;
  ::setsockopt(bound->get(), IPPROTO_IP, IP_MTU_DISCOVER, &never_fragment, sizeof never_fragment);
  data_.emplace(field_.executor, std::move(*bound));
  co_return session::DataOpened{0};
}

PlayedTap::Outcome PlayedTap::perform(session::FinishData&) {
  auto tls = co_await handshake(*data_);
  if (!tls) co_return session::Failed{"data connection: " + tls.error().text};
  data_tls_ = std::move(*tls);
  co_return session::DataReady{};
}

PlayedTap::Outcome PlayedTap::perform(session::StartCapture& action) {
  packets_ = 0;
  const std::size_t datagram = session::datagram_size(data_->get(), true, 0);
  net::UniqueFd socket = data_->release();
  data_.reset();
  auto on_fault = [this](std::string text) {
    fault_ = std::move(text);
    interruption_.request();
  };
  if (action.datagram) {
    output_ = forwarding::make_udpstr_output(std::move(socket), datagram, std::move(on_fault));
  } else {
    output_ =
        forwarding::make_tcp_output(std::move(socket), std::move(data_tls_), std::move(on_fault));
    data_tls_.reset();
  }
  co_return session::CaptureStarted{};
}

/// Every packet passes: the load is what it is.
PlayedTap::Outcome PlayedTap::perform(session::UpdateFilter&) {
  co_return session::FilterUpdated{};
}

PlayedTap::Outcome PlayedTap::perform(session::AskStats&) {
  const auto sent = output_ ? static_cast<std::uint32_t>(output_->counts().forwarded.value()) : 0U;
  co_return session::StatsTold{
      {.received = packets_, .dropped_by_interface = 0, .dropped_by_kernel = 0, .captured = sent}};
}

PlayedTap::Outcome PlayedTap::perform(session::End&) { co_return std::nullopt; }

}  // namespace sidetap::bench
