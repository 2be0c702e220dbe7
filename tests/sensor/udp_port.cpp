#include "tests/sensor/udp_port.h"

#include <algorithm>
#include <chrono>
#include <span>

#include "sidecar/collector/tap_feed.h"
#include "tests/sensor/wall_clock.h"

namespace sidetap::sensor {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;
using Clock = std::chrono::steady_clock;

constexpr int kBatchesATurn = 16;

}  // namespace

UdpPort::UdpPort(asio::any_io_executor executor, const udp::endpoint& local,
                 std::shared_ptr<net::DatagramBatch> batch, std::uint32_t receive_buffer)
    : socket_(executor, local), batch_(std::move(batch)) {
  socket_.non_blocking(true);
  net::prepare_datagram_port(socket_.native_handle(), receive_buffer);
}

std::uint16_t UdpPort::port() const { return socket_.local_endpoint().port(); }

void UdpPort::start() { wait(); }

void UdpPort::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void UdpPort::expect(const net::IpAddress& from, std::shared_ptr<Recorder> recorder) {
  expected_.emplace_back(from, std::move(recorder));
}

void UdpPort::forget(const Recorder* recorder) {
  for (const auto& [from, owner] : known_) {
    if (owner.get() == recorder) former_.add(from, Clock::now());
  }
  std::erase_if(known_, [&](const auto& entry) { return entry.second.get() == recorder; });
  std::erase_if(expected_, [&](const auto& entry) { return entry.second.get() == recorder; });
}

std::shared_ptr<Recorder> UdpPort::recorder_of(const net::DatagramMessage& message) {
  const net::SocketAddress& from = message.sender;
  if (const auto found = known_.find(from); found != known_.end()) return found->second;
  // Asked whether somebody is expected or not: one that goes on sending stays a former one.
  const bool begins = collector::TapFeed::begins_capture(message.bytes);
  if (former_.is_former(from, begins, Clock::now())) return nullptr;
  const auto found = std::find_if(expected_.begin(), expected_.end(),
                                  [&](const auto& entry) { return entry.first == from.address; });
  if (found == expected_.end()) return nullptr;
  auto recorder = std::move(found->second);
  expected_.erase(found);
  known_.emplace(from, recorder);
  return recorder;
}

void UdpPort::drain() {
  for (int turn = 0; turn < kBatchesATurn && socket_.is_open(); ++turn) {
    const std::size_t got = batch_->receive(socket_.native_handle());
    hand_out(got);
    if (got == net::DatagramBatch::kMessages) continue;
    // Nothing more has arrived: flush, so that readers of the capture files see everything.
    for (const auto& [from, recorder] : known_) recorder->flush();
    return;
  }
}

void UdpPort::hand_out(std::size_t messages) {
  const std::int64_t now = wall_clock_micros();
  for (std::size_t i = 0; i < messages; ++i) {
    const net::DatagramMessage message = batch_->message(i);
    const auto recorder = recorder_of(message);
    if (!recorder) continue;
    recorder->set_arrival(now);
    message.for_each_datagram(
        [&recorder](std::span<const std::byte> datagram) { recorder->on_datagram(datagram); });
  }
}

void UdpPort::wait() {
  socket_.async_wait(udp::socket::wait_read,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       if (error) return;
                       self->drain();
                       self->wait();
                     });
}

}  // namespace sidetap::sensor
