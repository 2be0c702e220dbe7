// One tap's session over an established connection: performs what the protocol decides.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "shared/http/tls_context.h"
#include "sidecar/collector/data_ways.h"
#include "sidecar/collector/tap_proof.h"
#include "sidecar/collector/tap_protocol.h"
#include "sidecar/session/channel.h"

namespace sidetap::collector {

/// What `ways` refers to outlives the session.
struct TapSessionParts {
  TapProtocolConfig protocol;
  DataWays& ways;
  std::uint32_t origin = 0;
  net::IpAddress from;          ///< The tap's address; its packets come from there too.
  std::uint16_t data_port = 0;  ///< The first of those for datagrams, or that for streams.
  std::shared_ptr<const http::TlsContext> tls;  ///< The tap begins the handshake. Null: plain.
  /// Within which a message is whole, and the tap takes one.
  std::chrono::milliseconds message_timeout{10'000};
  TapProof* proof = nullptr;  ///< Outlives the session. Null: the tap's word counts.
  std::function<void(TapPhase)> on_phase;
  /// The interface, and who the tap is proved to be; null: nobody proves it.
  std::function<void(const rpcap::Interface&, const ProvedPod*)> on_opened;
  std::function<void(const rpcap::Stats&)> on_stats;
  std::function<void(std::string_view reason)> on_unproved;  ///< The session ends for it.
};

/// Use it on the control thread.
class TapSession : public std::enable_shared_from_this<TapSession> {
 public:
  TapSession(TapSessionParts parts, async::AsyncFd control);

  /// Returns when the session has ended in any way but by an exception, after which drop() is to be
  /// called.
  boost::asio::awaitable<EndTap> run();
  /// Ends the session in good order.
  void stop();
  void change_filter(rpcap::Filter filter);
  /// Takes the data connection away.
  void drop();
  /// What the tap has sent; complete when run() has returned.
  const TapCounts& counts() const { return counts_; }

 private:
  using Clock = std::chrono::steady_clock;
  using Outcome = boost::asio::awaitable<std::optional<TapEvent>>;

  boost::asio::awaitable<Result<std::shared_ptr<SSL>>> handshake(async::AsyncFd& fd);
  boost::asio::awaitable<EndTap> converse();
  Outcome perform(SendToTap& action);
  Outcome perform(ReadTapHeader& action);
  Outcome perform(ReadTapPayload& action);
  Outcome perform(InterfaceOpened& action);
  Outcome perform(OpenTapData& action);
  Outcome perform(TakeTapData& action);
  Outcome perform(TapStats& action);
  Outcome perform(SettleTapData& action);
  Outcome perform(CloseTapData& action);
  Outcome perform(EndTap& action);
  /// Waits until the tap is proved to be the pod that the interface names, but not for long.
  Outcome prove(const rpcap::Interface& interface);
  /// Waits for something that `ready` tells of, for at most the limit of an answer.
  boost::asio::awaitable<std::optional<TapEvent>> await_door(const std::function<bool()>& ready,
                                                             const char* late);
  /// What has happened beside the connection.
  std::optional<TapEvent> interrupt();
  void data_lost(std::string text);

  TapSessionParts parts_;
  TapProtocol protocol_;
  boost::asio::any_io_executor executor_;
  std::optional<async::AsyncFd> fresh_;  // until TLS is done
  std::optional<session::Channel> channel_;
  async::Interruption interruption_;
  std::shared_ptr<async::Interruption> handshake_;  // ends the one that is under way
  std::array<std::byte, rpcap::kHeaderSize> header_{};
  std::size_t header_have_ = 0;  // bytes of it
  Clock::time_point header_until_;
  rpcap::Bytes payload_;
  std::shared_ptr<DataWays::Waiter> waiter_;
  std::optional<std::string> data_fault_;
  std::optional<rpcap::Filter> filter_;
  bool stop_due_ = false;
  bool data_open_ = false;
  TapCounts counts_;
};

}  // namespace sidetap::collector
