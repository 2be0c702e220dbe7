// One tap as a collector sees it: the tap's own side of the protocol, with invented packets in
// place of a capture.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared/async/backoff.h"
#include "sidecar/forwarding/output.h"
#include "sidecar/session/channel.h"
#include "sidecar/session/protocol.h"
#include "sidecar/session/sockets.h"
#include "sidecar/session/tls_settings.h"
#include "tests/bench/tap_tally.h"

namespace sidetap::bench {

/// What all taps of a process have in common. It outlives them.
struct TapField {
  boost::asio::any_io_executor executor;
  session::Endpoint collector;     ///< IPv4.
  std::shared_ptr<SSL_CTX> tls{};  ///< Null: plain.
  session::TlsSettings tls_settings{};
  std::vector<std::byte> payload{};  ///< Of every packet.
  TapCounts& counts;
  async::Chance chance{};
};

/// Use it on the executor of its field.
class PlayedTap {
 public:
  /// Ethernet, IPv4 and UDP.
  static constexpr std::size_t kHeaders = 42;

  /// `captures` is called each time that the tap begins to capture. The tap is web-NUMBER of the
  /// namespace "load".
  PlayedTap(TapField& field, std::uint32_t number, net::IpAddress address,
            std::function<void()> captures);

  /// Dials, and dials again as a tap does, until stop().
  boost::asio::awaitable<void> run();
  /// Ends the session in good order.
  void stop();
  /// Hangs up without a word, and comes back at once.
  void cut();

  /// Captures, and its socket takes more. Sends what has waited for that.
  bool takes_more();
  /// All that was added has left.
  bool has_sent_all();
  /// Sends `count` packets with the present time.
  void send(std::uint32_t count);

 private:
  using Outcome = boost::asio::awaitable<std::optional<session::Event>>;

  Result<net::UniqueFd> bound_socket(int type) const;
  boost::asio::awaitable<Result<async::AsyncFd>> connect(std::uint16_t port);
  boost::asio::awaitable<Result<std::shared_ptr<SSL>>> handshake(async::AsyncFd& fd);
  /// One session, up to its end.
  boost::asio::awaitable<void> attempt();
  boost::asio::awaitable<void> converse();
  session::Event event_of(const session::ChannelOutcome& outcome, bool between_messages);
  void end_capture();

  Outcome perform(session::Send& action);
  Outcome perform(session::Pause& action);
  Outcome perform(session::Discard& action);
  Outcome perform(session::StopCapture& action);
  Outcome perform(session::Note& action);
  Outcome perform(session::ReadHeader& action);
  Outcome perform(session::ReadPayload& action);
  Outcome perform(session::DescribeInterface& action);
  Outcome perform(session::OpenData& action);
  Outcome perform(session::FinishData& action);
  Outcome perform(session::StartCapture& action);
  Outcome perform(session::UpdateFilter& action);
  Outcome perform(session::AskStats& action);
  Outcome perform(session::End& action);

  TapField& field_;
  std::uint32_t number_;
  net::IpAddress address_;
  std::function<void()> captures_;
  std::array<std::byte, kHeaders> head_{};
  async::Backoff backoff_{async::BackoffBounds()};
  async::Interruption interruption_;
  std::optional<session::Channel> channel_;
  rpcap::Bytes payload_;  // of a message
  // The data connection, until a capture takes it.
  std::optional<async::AsyncFd> data_;
  std::shared_ptr<SSL> data_tls_;
  std::unique_ptr<forwarding::Output> output_;  // while it captures
  std::optional<std::string> fault_;            // of the output
  std::uint32_t packets_ = 0;                   // of this capture
  bool cut_ = false;
  bool stopping_ = false;
};

}  // namespace sidetap::bench
