// One session over an established connection: performs the actions that the protocol decides.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "sidecar/session/channel.h"
#include "sidecar/session/protocol.h"
#include "sidecar/session/sessions.h"
#include "sidecar/session/sockets.h"

namespace sidetap::session {

/// The inputs of a session. Everything that it refers to must outlive the session.
struct SessionParts {
  const SessionsConfig& config;
  CaptureControl& control;
  OwnTraffic& own_traffic;
  /// A request ends the session gracefully.
  async::Interruption& interruption;
  std::string peer_name;  ///< "HOST:PORT" for log and orders.
  std::string peer_host;  ///< To verify in certificates.
  bool active = true;
  rpcap::Ipv6Family ipv6_family = rpcap::Ipv6Family::kLinux;
  UdpFormat udp_format = UdpFormat::kUdpstr;
  std::string user{};  ///< As in ProtocolConfig.
  std::string password{};
  std::shared_ptr<SSL_CTX> tls;  ///< Null: plain.
  std::function<void(Phase)> on_phase;
};

class LiveSession : public std::enable_shared_from_this<LiveSession> {
 public:
  LiveSession(SessionParts parts, async::AsyncFd control);

  /// Performs TLS if configured, then the protocol until it ends. Leaves no capture behind, even if
  /// it throws.
  boost::asio::awaitable<End> run();

 private:
  using Outcome = boost::asio::awaitable<std::optional<Event>>;

  boost::asio::awaitable<End> converse();
  /// Ends the capture, or a data connection without one.
  void let_go(CaptureControl::Done done);

  Outcome perform(Send& action);
  Outcome perform(Pause& action);
  Outcome perform(Discard& action);
  Outcome perform(StopCapture& action);
  Outcome perform(Note& action);
  Outcome perform(ReadHeader& action);
  Outcome perform(ReadPayload& action);
  Outcome perform(DescribeInterface& action);
  Outcome perform(OpenData& action);
  Outcome perform(FinishData& action);
  Outcome perform(StartCapture& action);
  Outcome perform(UpdateFilter& action);
  Outcome perform(AskStats& action);
  Outcome perform(End& action);

  boost::asio::awaitable<Result<void>> secure();
  /// Sends an error in plain RPCAP to a peer that uses plain RPCAP.
  boost::asio::awaitable<void> require_tls();
  boost::asio::awaitable<Result<void>> accept_data();
  /// The event that an incomplete read means.
  Event event_of(const ChannelOutcome& outcome, bool between_messages);
  void capture_lost(std::uint64_t number, const std::string& text);

  SessionParts parts_;
  Protocol protocol_;
  boost::asio::any_io_executor executor_;
  std::optional<async::AsyncFd> fresh_;  // until TLS is done
  std::optional<Channel> channel_;
  Endpoint peer_;
  Endpoint local_;
  rpcap::Bytes payload_;
  // The data connection, until a capture takes it.
  std::optional<async::AsyncFd> data_;
  std::shared_ptr<SSL> data_tls_;
  bool data_listens_ = false;
  std::optional<std::uint64_t> capture_;
  std::uint64_t starts_ = 0;  // tells a fault of now from one of an earlier capture
  std::optional<std::string> fault_;
};

}  // namespace sidetap::session
