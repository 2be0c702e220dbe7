#include "sidecar/collector/tap_session.h"

#include <algorithm>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "sidecar/session/tls.h"

namespace sidetap::collector {
namespace {

namespace asio = boost::asio;
using session::ChannelStatus;
using std::chrono::milliseconds;

constexpr milliseconds kTapLinger{500};
/// Datagrams that are under way arrive within this.
constexpr milliseconds kQuiet{50};
constexpr milliseconds kSettleLimit{2'000};

milliseconds left_until(std::chrono::steady_clock::time_point moment) {
  return std::max(milliseconds(0),
                  std::chrono::ceil<milliseconds>(moment - std::chrono::steady_clock::now()));
}

/// Interrupts after `limit`, however many bytes come meanwhile.
class Deadline {
 public:
  Deadline(const asio::any_io_executor& executor, milliseconds limit) : timer_(executor, limit) {
    timer_.async_wait([over = over_](const boost::system::error_code& error) {
      if (!error) over->request();
    });
  }
  async::Interruption* over() { return over_.get(); }
  const std::shared_ptr<async::Interruption>& shared() const { return over_; }

 private:
  asio::steady_timer timer_;
  // The timer's handler may outlive this object.
  std::shared_ptr<async::Interruption> over_ = std::make_shared<async::Interruption>();
};

}  // namespace

TapSession::TapSession(TapSessionParts parts, async::AsyncFd control)
    : parts_(std::move(parts)),
      protocol_(parts_.protocol),
      executor_(control.executor()),
      fresh_(std::move(control)) {}

void TapSession::stop() {
  stop_due_ = true;
  interruption_.request();
  if (handshake_) handshake_->request();
}

void TapSession::change_filter(rpcap::Filter filter) {
  filter_ = std::move(filter);
  interruption_.request();
}

void TapSession::data_lost(std::string text) {
  data_fault_ = std::move(text);
  interruption_.request();
}

void TapSession::drop() {
  if (waiter_) parts_.ways.leave_door(parts_.from, std::exchange(waiter_, nullptr));
  if (std::exchange(data_open_, false)) parts_.ways.drop(parts_.origin);
}

std::optional<TapEvent> TapSession::interrupt() {
  if (data_fault_) return DataLost{*std::exchange(data_fault_, std::nullopt)};
  if (std::exchange(stop_due_, false)) return StopRequested{};
  if (filter_) return FilterChanged{*std::exchange(filter_, std::nullopt)};
  return std::nullopt;
}

asio::awaitable<Result<std::shared_ptr<SSL>>> TapSession::handshake(async::AsyncFd& fd) {
  if (!parts_.tls) co_return std::shared_ptr<SSL>();
  Deadline deadline(executor_, parts_.message_timeout);
  handshake_ = deadline.shared();
  if (stop_due_) handshake_->request();
  const session::TlsSettings settings{.role = session::TlsRole::kServer};
  co_return co_await session::tls_handshake(fd, *parts_.tls->native(), settings, "",
                                            parts_.message_timeout, deadline.over());
}

asio::awaitable<EndTap> TapSession::run() {
  auto tls = co_await handshake(*fresh_);
  if (!tls) co_return EndTap{stop_due_ ? TapEnd::kStopped : TapEnd::kTls, tls.error().text};
  channel_.emplace(std::move(*fresh_), std::move(*tls));
  fresh_.reset();
  co_return co_await converse();
}

asio::awaitable<EndTap> TapSession::converse() {
  std::optional<TapPhase> phase;
  TapEvent event = Began{};
  for (;;) {
    TapActions actions = protocol_.resume(event);
    if (phase != protocol_.phase()) parts_.on_phase(*(phase = protocol_.phase()));
    for (TapAction& action : actions) {
      if (auto* const end = std::get_if<EndTap>(&action)) {
        co_await channel_->close(kTapLinger);
        co_return std::move(*end);
      }
      auto outcome = co_await std::visit([this](auto& step) { return perform(step); }, action);
      if (!outcome) continue;
      event = std::move(*outcome);
      break;
    }
  }
}

TapSession::Outcome TapSession::perform(SendToTap& action) {
  const auto outcome = co_await channel_->write(action.bytes, parts_.message_timeout);
  if (outcome.status == ChannelStatus::kDone) co_return std::nullopt;
  // A farewell that nobody hears changes nothing.
  if (protocol_.phase() == TapPhase::kEnded) co_return std::nullopt;
  if (outcome.status == ChannelStatus::kTimedOut)
    co_return TapLost{TapEnd::kTimeout, "the tap takes no request"};
  co_return TapLost{TapEnd::kLost, "control connection: " + outcome.text};
}

TapSession::Outcome TapSession::perform(ReadTapHeader& action) {
  if (action.limit) header_until_ = Clock::now() + *action.limit;
  for (;;) {
    if (auto due = interrupt()) co_return due;
    interruption_.clear();
    const milliseconds left = left_until(header_until_);
    // One byte at a time, so that whoever sends them one by one gains no time.
    const auto outcome = co_await channel_->read(std::span(header_).subspan(header_have_, 1), left,
                                                 left, &interruption_);
    header_have_ += outcome.moved;
    switch (outcome.status) {
      case ChannelStatus::kDone:
        if (header_have_ < header_.size()) continue;
        header_have_ = 0;
        co_return HeaderRead{rpcap::decode_header(header_)};
      case ChannelStatus::kInterrupted:
        continue;
      case ChannelStatus::kTimedOut:
        co_return NothingCame{};
      case ChannelStatus::kClosed:
        co_return header_have_ == 0 ? TapLost{TapEnd::kClosed, "the tap hung up"}
                                    : TapLost{TapEnd::kLost, "the tap hung up in mid-message"};
      case ChannelStatus::kFailed:
        co_return TapLost{TapEnd::kLost, "control connection: " + outcome.text};
    }
  }
}

TapSession::Outcome TapSession::perform(ReadTapPayload& action) {
  payload_.resize(action.size);
  Deadline deadline(executor_, parts_.message_timeout);
  const auto outcome =
      co_await channel_->read(payload_, std::nullopt, std::nullopt, deadline.over());
  if (outcome.status == ChannelStatus::kDone) co_return PayloadRead{payload_};
  if (outcome.status == ChannelStatus::kInterrupted)
    co_return TapLost{TapEnd::kTimeout, "the tap does not end its message"};
  co_return TapLost{TapEnd::kLost, "the tap hung up in mid-message"};
}

TapSession::Outcome TapSession::perform(InterfaceOpened& action) {
  // Few messages are large, and thousands of sessions stay.
  rpcap::Bytes().swap(payload_);
  if (parts_.proof != nullptr) co_return co_await prove(action.interface);
  parts_.on_opened(action.interface, nullptr);
  co_return std::nullopt;
}

TapSession::Outcome TapSession::prove(const rpcap::Interface& interface) {
  TapProof& proof = *parts_.proof;
  const std::string& pod = interface.description;
  const Clock::time_point until = Clock::now() + proof.patience();
  const TapProof::Waiting waiting(proof, pod, interruption_);
  for (;;) {
    const milliseconds left = left_until(until);
    const Judgement judgement = proof.judge(pod, parts_.from, left.count() == 0);
    if (judgement.kind != Judgement::Kind::kNotNow) {
      const bool proved = judgement.kind == Judgement::Kind::kProved;
      parts_.on_opened(interface, proved ? &judgement.pod : nullptr);
      co_return std::nullopt;
    }
    if (left.count() == 0) {
      parts_.on_unproved(judgement.reason);
      co_return TapUnproved{"the registry does not list " + parts_.from.to_string() +
                            " for the pod " + pod + " (" + std::string(judgement.reason) + ")"};
    }
    if (std::exchange(stop_due_, false)) co_return StopRequested{};
    interruption_.clear();
    co_await async::sleep(executor_, left, &interruption_);
  }
}

asio::awaitable<std::optional<TapEvent>> TapSession::await_door(const std::function<bool()>& ready,
                                                                const char* late) {
  const Clock::time_point until = Clock::now() + TapProtocol::kAnswerLimit;
  while (!ready()) {
    if (std::exchange(stop_due_, false)) co_return StopRequested{};
    interruption_.clear();
    const milliseconds left = left_until(until);
    if (left.count() == 0) co_return DataFailed{late};
    co_await async::sleep(executor_, left, &interruption_);
  }
  co_return std::nullopt;
}

TapSession::Outcome TapSession::perform(OpenTapData& action) {
  if (action.datagram) {
    data_open_ = true;
    const std::size_t port = co_await parts_.ways.expect(parts_.origin, parts_.from);
    co_return DataOpened{static_cast<std::uint16_t>(parts_.data_port + port)};
  }
  waiter_ = parts_.ways.wait_for_stream(parts_.from, interruption_);
  auto outcome = co_await await_door([this] { return waiter_->turn; },
                                     "another tap of this address is opening its stream");
  if (outcome) co_return outcome;
  co_return DataOpened{parts_.data_port};
}

TapSession::Outcome TapSession::perform(TakeTapData&) {
  auto outcome = co_await await_door([this] { return static_cast<bool>(waiter_->socket); },
                                     "the tap opens no stream");
  if (outcome) co_return outcome;
  async::AsyncFd fd(executor_, std::move(waiter_->socket));
  parts_.ways.leave_door(parts_.from, std::exchange(waiter_, nullptr));
  auto tls = co_await handshake(fd);
  if (!tls && std::exchange(stop_due_, false)) co_return StopRequested{};
  if (!tls) co_return DataFailed{"stream: " + tls.error().text};
  data_open_ = true;
  // GCC 12 destroys closures twice that are made in a co_await expression.
  TapReceiver::StreamEnded ended = [self = weak_from_this(),
                                    executor = executor_](std::string text) {
    asio::post(executor, [self, text = std::move(text)]() mutable {
      if (const auto alive = self.lock()) alive->data_lost(std::move(text));
    });
  };
  net::UniqueFd socket = fd.release();
  co_await parts_.ways.add_stream(parts_.origin, std::move(socket), std::move(*tls),
                                  std::move(ended));
  co_return DataTaken{};
}

TapSession::Outcome TapSession::perform(TapStats& action) {
  parts_.on_stats(action.stats);
  co_return std::nullopt;
}

/// A stream to its end, datagrams until none comes.
TapSession::Outcome TapSession::perform(SettleTapData&) {
  const Clock::time_point until = Clock::now() + kSettleLimit;
  ReceivedFromTap before = co_await parts_.ways.received_from(parts_.origin);
  while (Clock::now() < until) {
    if (!parts_.protocol.datagram && !before.stream_open) break;
    co_await async::sleep(executor_, kQuiet, nullptr);
    const ReceivedFromTap now = co_await parts_.ways.received_from(parts_.origin);
    const bool quiet = now.counts == before.counts;
    before = now;
    if (parts_.protocol.datagram && quiet) break;
  }
  co_return DataSettled{};
}

TapSession::Outcome TapSession::perform(CloseTapData&) {
  if (waiter_) parts_.ways.leave_door(parts_.from, std::exchange(waiter_, nullptr));
  if (std::exchange(data_open_, false)) counts_ = co_await parts_.ways.remove(parts_.origin);
  co_return std::nullopt;
}

TapSession::Outcome TapSession::perform(EndTap&) { co_return std::nullopt; }

}  // namespace sidetap::collector
