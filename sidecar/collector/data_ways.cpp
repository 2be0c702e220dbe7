#include "sidecar/collector/data_ways.h"

#include <algorithm>
#include <utility>

#include "shared/async/answer.h"
#include "sidecar/session/sockets.h"

namespace sidetap::collector {
namespace {

namespace asio = boost::asio;

}  // namespace

DataWays::DataWays(asio::any_io_executor executor, std::shared_ptr<TapReceiver> receiver,
                   Perform perform)
    : executor_(std::move(executor)),
      receiver_(std::move(receiver)),
      perform_(std::move(perform)) {}

void DataWays::open_door(asio::ip::tcp::acceptor listener, async::TaskGroup& tasks) {
  door_.emplace(std::move(listener), "tap-stream-accept",
                [this](asio::ip::tcp::socket socket) { admit(std::move(socket)); });
  door_->start(tasks);
}

void DataWays::close_door() {
  if (door_) door_->stop();
}

void DataWays::admit(asio::ip::tcp::socket socket) {
  boost::system::error_code gone;
  const auto peer = socket.remote_endpoint(gone);
  if (gone) return;
  const auto found = waiting_.find(session::address_of(session::unmapped(peer)));
  if (found == waiting_.end() || found->second.front()->socket) {
    ++strange_streams_;
    return;
  }
  Waiter& waiter = *found->second.front();
  waiter.socket = net::UniqueFd(socket.release());
  waiter.wake->request();
}

std::shared_ptr<DataWays::Waiter> DataWays::wait_for_stream(const net::IpAddress& from,
                                                            async::Interruption& wake) {
  auto& queue = waiting_[from];
  queue.push_back(std::make_shared<Waiter>());
  queue.back()->wake = &wake;
  queue.back()->turn = queue.size() == 1;
  return queue.back();
}

void DataWays::leave_door(const net::IpAddress& from, const std::shared_ptr<Waiter>& waiter) {
  const auto found = waiting_.find(from);
  if (found == waiting_.end()) return;
  std::erase(found->second, waiter);
  if (found->second.empty()) {
    waiting_.erase(found);
    return;
  }
  Waiter& next = *found->second.front();
  if (std::exchange(next.turn, true)) return;
  next.wake->request();
}

asio::awaitable<std::size_t> DataWays::expect(std::uint32_t origin, const net::IpAddress& from) {
  const async::Arrival done(executor_);
  const auto port = std::make_shared<std::size_t>();
  perform_([receiver = receiver_, origin, from, port] { *port = receiver->expect(origin, from); },
           done.callback());
  co_await done.wait();
  co_return *port;
}

asio::awaitable<void> DataWays::add_stream(std::uint32_t origin, net::UniqueFd socket,
                                           std::shared_ptr<ssl_st> tls,
                                           TapReceiver::StreamEnded ended) {
  const async::Arrival done(executor_);
  // A command can be copied, a descriptor cannot.
  const auto kept = std::make_shared<net::UniqueFd>(std::move(socket));
  perform_(
      [receiver = receiver_, origin, kept, tls = std::move(tls), ended = std::move(ended)] {
        receiver->add_stream(origin, std::move(*kept), tls, ended);
      },
      done.callback());
  co_await done.wait();
}

asio::awaitable<ReceivedFromTap> DataWays::received_from(std::uint32_t origin) {
  const async::Arrival done(executor_);
  const auto received = std::make_shared<ReceivedFromTap>();
  perform_(
      [receiver = receiver_, origin, received] { *received = receiver->received_from(origin); },
      done.callback());
  co_await done.wait();
  co_return *received;
}

asio::awaitable<TapCounts> DataWays::remove(std::uint32_t origin) {
  const async::Arrival done(executor_);
  const auto counts = std::make_shared<TapCounts>();
  perform_([receiver = receiver_, origin, counts] { *counts = receiver->remove(origin); },
           done.callback());
  co_await done.wait();
  co_return *counts;
}

void DataWays::drop(std::uint32_t origin) {
  perform_([receiver = receiver_, origin] { receiver->remove(origin); }, nullptr);
}

void DataWays::counts(std::function<void(ReceiverCounts)> told) {
  const auto counts = std::make_shared<ReceiverCounts>();
  perform_([receiver = receiver_, counts] { *counts = receiver->counts(); },
           [counts, told = std::move(told)] { told(*counts); });
}

}  // namespace sidetap::collector
