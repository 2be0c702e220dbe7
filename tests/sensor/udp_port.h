// A UDP port that receives packets, for one session or for all.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/udp.hpp>

#include "shared/net/datagram_batch.h"
#include "sidecar/collector/former_senders.h"
#include "tests/sensor/recorder.h"

namespace sidetap::sensor {

/// Reads many datagrams with one system call, including joined ones (UDP_GRO). For one thread.
class UdpPort : public std::enable_shared_from_this<UdpPort> {
 public:
  /// Ports of one thread share `batch`. Asks for `receive_buffer` bytes (SO_RCVBUF) for what is not
  /// read yet. Throws when the address cannot be bound.
  UdpPort(boost::asio::any_io_executor executor, const boost::asio::ip::udp::endpoint& local,
          std::shared_ptr<net::DatagramBatch> batch, std::uint32_t receive_buffer);

  void start();
  void close();
  std::uint16_t port() const;
  /// Assigns the next unknown sender with this address to `recorder`.
  void expect(const net::IpAddress& from, std::shared_ptr<Recorder> recorder);
  void forget(const Recorder* recorder);
  /// Reads what has arrived without waiting, but yields to others during a flood.
  void drain();

 private:
  void wait();
  void hand_out(std::size_t messages);
  std::shared_ptr<Recorder> recorder_of(const net::DatagramMessage& message);

  boost::asio::ip::udp::socket socket_;
  std::shared_ptr<net::DatagramBatch> batch_;
  std::unordered_map<net::SocketAddress, std::shared_ptr<Recorder>> known_;
  std::vector<std::pair<net::IpAddress, std::shared_ptr<Recorder>>> expected_;
  collector::FormerSenders former_;  // late datagrams of a session must not count for another one
};

}  // namespace sidetap::sensor
