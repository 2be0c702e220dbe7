// The sensor's side of one RPCAP session, from the first message to CLOSE: performs what the
// collector's protocol decides, and misbehaves as the options say. An exception ends the session.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "sidecar/collector/tap_protocol.h"
#include "tests/sensor/control.h"
#include "tests/sensor/options.h"
#include "tests/sensor/recorder.h"
#include "tests/sensor/stream.h"
#include "tests/sensor/udp_port.h"

namespace sidetap::sensor {

/// The state that all sessions share.
struct Common {
  const Options& options;
  std::shared_ptr<SSL_CTX> tls;
  std::shared_ptr<UdpPort> udp;  ///< Of all sessions; null: each has its own.
  std::shared_ptr<net::DatagramBatch> batch = std::make_shared<net::DatagramBatch>();
  unsigned next_number = 1;
};

class Session {
 public:
  Session(boost::asio::any_io_executor executor, Common& common,
          boost::asio::ip::tcp::socket socket);

  /// Returns when the session has ended in any way. totals() then has the result.
  boost::asio::awaitable<void> run();
  /// Ends the session cleanly: STATS, ENDCAP, CLOSE.
  void stop();
  nlohmann::json totals() const { return recorder_->totals(); }
  void flush() { recorder_->flush(); }

 private:
  using Clock = Control::Clock;
  using Outcome = boost::asio::awaitable<std::optional<collector::TapEvent>>;
  static constexpr Clock::time_point kNever = Clock::time_point::max();

  boost::asio::awaitable<std::string> lead();
  boost::asio::awaitable<collector::EndTap> converse();
  Outcome perform(collector::SendToTap& action);
  Outcome perform(collector::ReadTapHeader& action);
  Outcome perform(collector::ReadTapPayload& action);
  Outcome perform(collector::InterfaceOpened& action);
  Outcome perform(collector::OpenTapData& action);
  Outcome perform(collector::TakeTapData& action);
  Outcome perform(collector::TapStats& action);
  Outcome perform(collector::SettleTapData& action);
  Outcome perform(collector::CloseTapData& action);
  Outcome perform(collector::EndTap& action);
  void capture_begins();
  std::optional<collector::TapEvent> due();
  std::uint16_t open_udp();
  std::uint16_t open_door();
  boost::asio::awaitable<void> accept_stream();
  boost::asio::awaitable<void> take_stream(boost::asio::ip::tcp::socket socket);
  boost::asio::awaitable<void> hang();
  boost::asio::awaitable<void> settle();
  boost::asio::awaitable<void> nap(std::chrono::milliseconds time);
  rpcap::Filter compile(const std::string& expression) const;

  boost::asio::any_io_executor executor_;
  Common& common_;
  const Options& options_;
  boost::asio::ip::tcp::socket socket_;  // until control_ takes it
  std::unique_ptr<Control> control_;
  std::shared_ptr<Recorder> recorder_;
  std::shared_ptr<UdpPort> udp_;
  std::optional<boost::asio::ip::tcp::acceptor> door_;  // for the stream that the tap opens
  boost::asio::steady_timer stream_news_;               // cancelled when the stream has come
  bool stream_came_ = false;
  bool taking_stream_ = false;
  bool stopping_ = false;
  collector::TapProtocol protocol_;
  bool capturing_ = false;
  bool stop_told_ = false;
  Message message_;  // the current one
  Clock::time_point header_until_;
  Clock::time_point close_at_ = kNever;
  Clock::time_point hang_at_ = kNever;
  Clock::time_point filter_at_ = kNever;
  std::string interface_;
  std::int32_t link_type_ = 1;
};

}  // namespace sidetap::sensor
