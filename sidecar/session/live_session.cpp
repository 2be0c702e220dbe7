#include "sidecar/session/live_session.h"

#include <algorithm>
#include <array>

#include <boost/asio/post.hpp>
#include <sys/socket.h>

#include "shared/async/answer.h"
#include "shared/telemetry/log.h"
#include "sidecar/session/tls.h"

namespace sidetap::session {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds kLinger{500};
constexpr std::size_t kDiscardPiece = 4096;

ProtocolConfig protocol_config(const SessionParts& parts) {
  const SessionsConfig& config = parts.config;
  return {.active = parts.active,
          .tls = parts.tls != nullptr,
          .user = parts.user,
          .password = parts.password,
          .ipv6_family = parts.ipv6_family,
          .snaplen = config.snaplen,
          .buffer_size = config.buffer_size,
          .description = config.description,
          .preselected = config.preselected};
}

}  // namespace

LiveSession::LiveSession(SessionParts parts, async::AsyncFd control)
    : parts_(std::move(parts)),
      protocol_(protocol_config(parts_)),
      executor_(control.executor()),
      fresh_(std::move(control)) {}

asio::awaitable<End> LiveSession::run() {
  const auto alive = shared_from_this();
  try {
    co_return co_await converse();
  } catch (...) {
    // The sensor's next session has its own capture: with both, the sensor would get packets twice.
    let_go({});
    throw;
  }
}

asio::awaitable<End> LiveSession::converse() {
  const auto secured = co_await secure();
  if (!secured) co_return End{EndKind::kTls, secured.error().text};
  Event event = Began{};
  std::optional<Phase> phase;
  for (;;) {
    Actions actions = protocol_.resume(event);
    if (phase != protocol_.phase()) parts_.on_phase(*(phase = protocol_.phase()));
    for (Action& action : actions) {
      if (auto* end = std::get_if<End>(&action)) {
        co_await channel_->close(kLinger);
        co_return std::move(*end);
      }
      auto outcome = co_await std::visit([this](auto& step) { return perform(step); }, action);
      if (!outcome) continue;
      event = std::move(*outcome);
      break;
    }
  }
}

asio::awaitable<Result<void>> LiveSession::secure() {
  const auto peer = peer_endpoint(fresh_->get());
  const auto local = local_endpoint(fresh_->get());
  if (!peer) co_return peer.error();
  if (!local) co_return local.error();
  peer_ = unmapped(*peer);
  local_ = unmapped(*local);
  std::shared_ptr<SSL> tls;
  if (parts_.tls) {
    const async::Limit limit = parts_.config.message_timeout;
    if (parts_.config.tls.role == TlsRole::kServer &&
        co_await talks_plain(*fresh_, limit, &parts_.interruption)) {
      co_await require_tls();
      co_return Error{"TLS handshake: the peer does not speak TLS"};
    }
    auto done = co_await tls_handshake(*fresh_, *parts_.tls, parts_.config.tls, parts_.peer_host,
                                       limit, &parts_.interruption);
    if (!done) co_return done.error();
    tls = std::move(*done);
  }
  channel_.emplace(std::move(*fresh_), std::move(tls));
  fresh_.reset();
  co_return Result<void>{};
}

asio::awaitable<void> LiveSession::require_tls() {
  channel_.emplace(std::move(*fresh_), nullptr);
  fresh_.reset();
  const auto error =
      rpcap::encode_error(rpcap::ErrorCode::kTlsRequired, "this tap speaks RPCAP over TLS only");
  co_await channel_->write(error, parts_.config.message_timeout);
  co_await channel_->close(kLinger);
}

Event LiveSession::event_of(const ChannelOutcome& outcome, bool between_messages) {
  switch (outcome.status) {
    case ChannelStatus::kInterrupted:
      if (fault_) {
        parts_.interruption.clear();
        return CaptureLost{*std::exchange(fault_, std::nullopt)};
      }
      return StopRequested{};
    case ChannelStatus::kTimedOut:
      if (between_messages) return IdleTooLong{};
      return ConnectionLost{EndKind::kTimeout, "the peer fell silent in mid-message"};
    case ChannelStatus::kClosed:
      if (between_messages) return ConnectionLost{EndKind::kClosed, "the peer hung up"};
      return ConnectionLost{EndKind::kLost, "the peer hung up in mid-message"};
    default:
      return ConnectionLost{EndKind::kLost, "control connection: " + outcome.text};
  }
}

LiveSession::Outcome LiveSession::perform(Send& action) {
  const auto outcome = co_await channel_->write(action.bytes, parts_.config.message_timeout);
  if (outcome.status == ChannelStatus::kDone) co_return std::nullopt;
  if (outcome.status == ChannelStatus::kTimedOut) {
    co_return ConnectionLost{EndKind::kTimeout, "the peer takes no answer"};
  }
  co_return event_of(outcome, false);
}

LiveSession::Outcome LiveSession::perform(Pause& action) {
  // An interruption shows itself in the read that follows.
  co_await async::sleep(executor_, action.time, &parts_.interruption);
  co_return std::nullopt;
}

LiveSession::Outcome LiveSession::perform(Discard& action) {
  std::array<std::byte, kDiscardPiece> piece{};
  const async::Limit limit = parts_.config.message_timeout;
  for (std::size_t left = action.size; left > 0;) {
    const auto part = std::span(piece).first(std::min(left, piece.size()));
    const auto outcome = co_await channel_->read(part, limit, limit, &parts_.interruption);
    if (outcome.status != ChannelStatus::kDone) co_return event_of(outcome, false);
    left -= part.size();
  }
  co_return std::nullopt;
}

void LiveSession::let_go(CaptureControl::Done done) {
  data_tls_.reset();
  data_.reset();
  if (capture_) return parts_.control.stop(*std::exchange(capture_, std::nullopt), done);
  if (done) done();
}

LiveSession::Outcome LiveSession::perform(StopCapture&) {
  const async::Arrival stopped(executor_);
  let_go(stopped.callback());
  co_await stopped.wait();
  co_return std::nullopt;
}

LiveSession::Outcome LiveSession::perform(Note& action) {
  telemetry::info("RPCAP session", {{"sensor", parts_.peer_name}, {"note", action.text}});
  co_return std::nullopt;
}

LiveSession::Outcome LiveSession::perform(ReadHeader& action) {
  std::array<std::byte, rpcap::kHeaderSize> bytes{};
  const auto outcome = co_await channel_->read(bytes, action.limit, parts_.config.message_timeout,
                                               &parts_.interruption);
  if (outcome.status != ChannelStatus::kDone) co_return event_of(outcome, outcome.moved == 0);
  co_return HeaderRead{rpcap::decode_header(bytes)};
}

LiveSession::Outcome LiveSession::perform(ReadPayload& action) {
  payload_.resize(action.size);
  const async::Limit limit = parts_.config.message_timeout;
  const auto outcome = co_await channel_->read(payload_, limit, limit, &parts_.interruption);
  if (outcome.status != ChannelStatus::kDone) co_return event_of(outcome, false);
  co_return PayloadRead{payload_};
}

LiveSession::Outcome LiveSession::perform(DescribeInterface&) {
  co_return InterfaceDescribed{parts_.control.interface(), parts_.control.link_type()};
}

LiveSession::Outcome LiveSession::perform(OpenData& action) {
  std::chrono::milliseconds wait{};
  const Exclude exclude = [this, &wait](capture::OwnEndpoint endpoint) {
    // A client chooses where its data goes. Other traffic to that place must not be hidden.
    endpoint.every_local_port = parts_.active;
    return wait = parts_.own_traffic.data(endpoint);
  };
  data_listens_ = action.listen;
  const Endpoint target(peer_.address(), action.port);
  Result<net::UniqueFd> opened = net::UniqueFd();
  if (action.listen) {
    opened = listen_for(local_, peer_, exclude);
  } else if (action.datagram) {
    // By its address the peer knows whose packets they are.
    opened = dial_udp(target, exclude, local_.address());
  } else {
    auto dialled = co_await dial_tcp(executor_, target, exclude, parts_.config.connect_timeout,
                                     &parts_.interruption, local_.address());
    if (!dialled) co_return Failed{"data connection: " + dialled.error().text};
    data_.emplace(std::move(*dialled));
    co_return DataOpened{0};
  }
  if (!opened) co_return Failed{"data connection: " + opened.error().text};
  // An interruption shows itself in the read that follows.
  if (wait.count() != 0) co_await async::sleep(executor_, wait, &parts_.interruption);
  data_.emplace(executor_, std::move(*opened));
  if (!action.listen) co_return DataOpened{0};
  const auto bound = local_endpoint(data_->get());
  if (!bound) co_return Failed{"data connection: " + bound.error().text};
  co_return DataOpened{bound->port()};
}

LiveSession::Outcome LiveSession::perform(FinishData&) {
  if (data_listens_) {
    const auto accepted = co_await accept_data();
    if (!accepted) co_return Failed{"data connection: " + accepted.error().text};
  }
  if (parts_.tls) {
    auto tls = co_await tls_handshake(*data_, *parts_.tls, parts_.config.tls, parts_.peer_host,
                                      parts_.config.connect_timeout, &parts_.interruption);
    if (!tls) co_return Failed{"data connection: " + tls.error().text};
    data_tls_ = std::move(*tls);
  }
  co_return DataReady{};
}

asio::awaitable<Result<void>> LiveSession::accept_data() {
  const auto deadline = std::chrono::steady_clock::now() + parts_.config.connect_timeout;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) co_return Error{"nobody connected in time"};
    const async::Wait wait =
        co_await data_->wait(async::AsyncFd::kRead, left, &parts_.interruption);
    if (wait == async::Wait::kTimedOut) co_return Error{"nobody connected in time"};
    if (wait == async::Wait::kInterrupted) co_return Error{"interrupted"};
    net::UniqueFd fd(::accept4(data_->get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) continue;
    // The packets are only for the client that asked, not for anybody else who finds the port.
    const auto from = peer_endpoint(fd.get());
    if (!from || unmapped(*from).address() != peer_.address()) continue;
    keep_alive(fd.get());
    data_.emplace(executor_, std::move(fd));
    co_return Result<void>{};
  }
}

LiveSession::Outcome LiveSession::perform(StartCapture& action) {
  CaptureOrder order;
  order.kind = !action.datagram                          ? DataKind::kTcp
               : parts_.udp_format == UdpFormat::kUdpstr ? DataKind::kUdpstr
                                                         : DataKind::kUdp;
  order.datagram_size =
      datagram_size(data_->get(), peer_.address().is_v4(), parts_.config.data_mtu);
  order.socket = data_->release();
  data_.reset();
  order.tls = std::move(data_tls_);
  data_tls_.reset();
  order.sensor = parts_.peer_name;
  order.client = !parts_.active;
  order.snaplen = action.snaplen;
  order.filter = std::move(action.filter);
  order.sampling = action.sampling;
  order.on_fault = [session = weak_from_this(), executor = executor_,
                    number = ++starts_](std::string text) {
    asio::post(executor, [session, number, text = std::move(text)] {
      if (const auto alive = session.lock()) alive->capture_lost(number, text);
    });
  };
  const async::Arrival begun(executor_);
  const auto started = parts_.control.start(std::move(order), begun.callback());
  if (!started) co_return Failed{started.error().text};
  capture_ = *started;
  co_await begun.wait();
  co_return CaptureStarted{};
}

void LiveSession::capture_lost(std::uint64_t number, const std::string& text) {
  if (number != starts_ || !capture_) return;  // from a capture that has ended
  fault_ = "data connection: " + text;
  parts_.interruption.request();
}

LiveSession::Outcome LiveSession::perform(UpdateFilter& action) {
  const async::Answer<Result<void>> answer(executor_);
  parts_.control.update_filter(*capture_, std::move(action.filter), answer.callback());
  const Result<void> updated = co_await answer.wait();
  if (!updated) co_return Failed{updated.error().text};
  co_return FilterUpdated{};
}

LiveSession::Outcome LiveSession::perform(AskStats&) {
  const async::Answer<rpcap::Stats> answer(executor_);
  parts_.control.stats(*capture_, answer.callback());
  const rpcap::Stats stats = co_await answer.wait();
  co_return StatsTold{stats};
}

LiveSession::Outcome LiveSession::perform(End&) { co_return std::nullopt; }

}  // namespace sidetap::session
