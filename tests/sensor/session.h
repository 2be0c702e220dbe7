// The sensor's side of one RPCAP session, from the first message to CLOSE.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include <boost/asio/awaitable.hpp>

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
  std::shared_ptr<UdpPort::Batch> batch = UdpPort::make_batch();
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

  boost::asio::awaitable<void> lead();
  boost::asio::awaitable<Message> ask(rpcap::Bytes request, rpcap::MessageType reply);
  boost::asio::awaitable<Message> answer(rpcap::MessageType reply);
  boost::asio::awaitable<void> authenticate();
  boost::asio::awaitable<rpcap::Interface> choose_interface();
  boost::asio::awaitable<void> start_capture(const rpcap::Filter& filter);
  boost::asio::awaitable<void> start_udp(rpcap::StartCaptureRequest request);
  boost::asio::awaitable<void> start_tcp_to_tap(rpcap::StartCaptureRequest request);
  boost::asio::awaitable<void> start_tcp_from_tap(rpcap::StartCaptureRequest request);
  boost::asio::awaitable<void> take_stream(boost::asio::ip::tcp::socket socket);
  boost::asio::awaitable<void> watch();
  boost::asio::awaitable<void> hang();
  boost::asio::awaitable<void> take_news();
  boost::asio::awaitable<void> ask_stats();
  boost::asio::awaitable<void> finish();
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
  bool taking_stream_ = false;
  bool stopping_ = false;
  bool ended_by_tap_ = false;
  std::int32_t link_type_ = 1;
};

}  // namespace sidetap::sensor
