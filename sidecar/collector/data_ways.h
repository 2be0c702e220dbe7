// How the packets of taps reach the collector: the control thread's side of the receiver, and the
// door for streams.
//
// All taps share the ports. A stream belongs to the session that waits for one from its address,
// and of one address only one session waits at a time: so no stream is taken for another's.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "shared/async/accept_loop.h"
#include "shared/async/interruption.h"
#include "shared/async/task_group.h"
#include "shared/net/ip_address.h"
#include "shared/net/unique_fd.h"
#include "sidecar/collector/tap_receiver.h"

namespace sidetap::collector {

/// Use it on the control thread. It outlives the sessions.
class DataWays {
 public:
  /// Calls `command` on the packet thread, and `done`, which may be null, on the control thread.
  using Perform = std::function<void(std::function<void()> command, std::function<void()> done)>;

  /// A session's place at the door.
  struct Waiter {
    async::Interruption* wake = nullptr;  ///< Requested when something below has changed.
    bool turn = false;                    ///< The tap may be told to connect.
    net::UniqueFd socket{};               ///< It has connected.
  };

  DataWays(boost::asio::any_io_executor executor, std::shared_ptr<TapReceiver> receiver,
           Perform perform);

  /// Accepts streams on `listener` from now on.
  void open_door(boost::asio::ip::tcp::acceptor listener, async::TaskGroup& tasks);
  void close_door();
  std::shared_ptr<Waiter> wait_for_stream(const net::IpAddress& from, async::Interruption& wake);
  /// The next one's turn comes. `waiter` may have left before.
  void leave_door(const net::IpAddress& from, const std::shared_ptr<Waiter>& waiter);
  /// Connections that were closed, because no tap of their address was about to open its stream.
  std::uint64_t strange_streams() const { return strange_streams_; }

  // As of the receiver.
  boost::asio::awaitable<std::size_t> expect(std::uint32_t origin, const net::IpAddress& from);
  boost::asio::awaitable<void> add_stream(std::uint32_t origin, net::UniqueFd socket,
                                          std::shared_ptr<ssl_st> tls,
                                          TapReceiver::StreamEnded ended);
  boost::asio::awaitable<ReceivedFromTap> received_from(std::uint32_t origin);
  boost::asio::awaitable<TapCounts> remove(std::uint32_t origin);
  /// The same for a session that cannot wait any more.
  void drop(std::uint32_t origin);
  void counts(std::function<void(ReceiverCounts)> told);

 private:
  void admit(boost::asio::ip::tcp::socket socket);

  boost::asio::any_io_executor executor_;
  std::shared_ptr<TapReceiver> receiver_;
  Perform perform_;
  std::map<net::IpAddress, std::deque<std::shared_ptr<Waiter>>> waiting_;
  std::optional<async::AcceptLoop> door_;
  std::uint64_t strange_streams_ = 0;
};

}  // namespace sidetap::collector
