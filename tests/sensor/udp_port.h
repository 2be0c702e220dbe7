// A UDP port that packets come in on, for one session or for all.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/udp.hpp>

#include "tests/sensor/recorder.h"

namespace sidetap::sensor {

/// Reads many datagrams with one system call, joined ones too (UDP_GRO). One thread.
class UdpPort : public std::enable_shared_from_this<UdpPort> {
 public:
  /// Room for what one system call reads, 2 MiB; ports of one thread share it.
  struct Batch;
  static std::shared_ptr<Batch> make_batch();

  /// Asks for `receive_buffer` bytes (SO_RCVBUF) for what is not read yet. Throws when the address
  /// cannot be bound.
  UdpPort(boost::asio::any_io_executor executor, const boost::asio::ip::udp::endpoint& local,
          std::shared_ptr<Batch> batch, std::uint32_t receive_buffer);

  void start();
  void close();
  std::uint16_t port() const;
  /// The next unknown sender of this address belongs to `recorder`.
  void expect(const boost::asio::ip::address& from, std::shared_ptr<Recorder> recorder);
  void forget(const Recorder* recorder);
  /// Reads what is there, without waiting, but lets others have a turn under a flood.
  void drain();

 private:
  void wait();
  void hand_out(std::size_t messages);
  std::shared_ptr<Recorder> recorder_of(const boost::asio::ip::udp::endpoint& from);

  boost::asio::ip::udp::socket socket_;
  std::shared_ptr<Batch> batch_;
  std::map<boost::asio::ip::udp::endpoint, std::shared_ptr<Recorder>> known_;
  std::vector<std::pair<boost::asio::ip::address, std::shared_ptr<Recorder>>> expected_;
  /// Senders of sessions that have ended, whose last datagrams must not pass for another's.
  std::map<boost::asio::ip::udp::endpoint, std::chrono::steady_clock::time_point> retired_;
};

}  // namespace sidetap::sensor
