// A UDP port that receives packets, for one session or for all.
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

/// Reads many datagrams with one system call, including joined ones (UDP_GRO). For one thread.
class UdpPort : public std::enable_shared_from_this<UdpPort> {
 public:
  /// The buffer for one system call, 2 MiB. Ports of one thread share it.
  struct Batch;
  static std::shared_ptr<Batch> make_batch();

  /// Asks for `receive_buffer` bytes (SO_RCVBUF) for what is not read yet. Throws when the address
  /// cannot be bound.
  UdpPort(boost::asio::any_io_executor executor, const boost::asio::ip::udp::endpoint& local,
          std::shared_ptr<Batch> batch, std::uint32_t receive_buffer);

  void start();
  void close();
  std::uint16_t port() const;
  /// Assigns the next unknown sender with this address to `recorder`.
  void expect(const boost::asio::ip::address& from, std::shared_ptr<Recorder> recorder);
  void forget(const Recorder* recorder);
  /// Reads what has arrived without waiting, but yields to others during a flood.
  void drain();

 private:
  void wait();
  void hand_out(std::size_t messages);
  std::shared_ptr<Recorder> recorder_of(const boost::asio::ip::udp::endpoint& from);

  boost::asio::ip::udp::socket socket_;
  std::shared_ptr<Batch> batch_;
  std::map<boost::asio::ip::udp::endpoint, std::shared_ptr<Recorder>> known_;
  std::vector<std::pair<boost::asio::ip::address, std::shared_ptr<Recorder>>> expected_;
  /// Senders of ended sessions, whose last datagrams must not count for another session.
  std::map<boost::asio::ip::udp::endpoint, std::chrono::steady_clock::time_point> retired_;
};

}  // namespace sidetap::sensor
