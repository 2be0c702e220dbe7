// A capture that records the sessions' requests, and can send a packet like a real one.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <stdexcept>
#include <utility>

#include <openssl/ssl.h>
#include <sys/socket.h>

#include "shared/rpcap/codec.h"
#include "sidecar/session/capture_control.h"

namespace sidetap::session {

/// Sessions call it on their thread; tests inspect it on theirs.
class FakeControl : public CaptureControl {
 public:
  std::chrono::milliseconds exclude_own_traffic(
      const std::string& owner, std::vector<capture::OwnEndpoint> endpoints) override {
    const std::lock_guard lock(mutex_);
    excluded_[owner] = std::move(endpoints);
    return {};
  }
  Result<std::uint64_t> start(CaptureOrder order, Done begun) override {
    const std::lock_guard lock(mutex_);
    if (refuse_) return Error{"the filter is no valid program"};
    orders_.emplace(++last_, std::move(order));
    changed_.notify_all();
    begun();
    return last_;
  }
  void update_filter(std::uint64_t capture, rpcap::Filter filter,
                     std::function<void(Result<void>)> done) override {
    const std::lock_guard lock(mutex_);
    if (refuse_) return done(Error{"the filter is no valid program"});
    orders_.at(capture).filter = std::move(filter);
    done({});
  }
  void stop(std::uint64_t capture, Done done) override {
    const std::lock_guard lock(mutex_);
    orders_.erase(capture);
    ++stops_;
    changed_.notify_all();
    if (done) done();
  }
  void stats(std::uint64_t, std::function<void(rpcap::Stats)> told) override {
    const std::lock_guard lock(mutex_);
    if (std::exchange(throw_once_, false)) throw std::runtime_error("no counts");
    told({10, 1, 2, 7});
  }
  rpcap::Interface interface() override {
    return {
        "eth0", "from the capture", 6, {{net::IpAddress::parse("10.244.1.7").value(), {}, {}, {}}}};
  }
  std::int32_t link_type() override { return 1; }

  void refuse(bool refuse) {
    const std::lock_guard lock(mutex_);
    refuse_ = refuse;
  }
  /// The next request for counts throws.
  void throw_once() {
    const std::lock_guard lock(mutex_);
    throw_once_ = true;
  }
  /// Waits until `count` captures run.
  [[nodiscard]] bool wait_for_captures(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10),
                             [&] { return orders_.size() == count; });
  }
  std::size_t captures() {
    const std::lock_guard lock(mutex_);
    return orders_.size();
  }
  int stops() {
    const std::lock_guard lock(mutex_);
    return stops_;
  }
  /// Calls `look` for the newest capture, under the lock.
  template <typename Look>
  auto newest(Look look) {
    const std::lock_guard lock(mutex_);
    return look(orders_.rbegin()->second);
  }
  std::map<std::string, std::vector<capture::OwnEndpoint>> excluded() {
    const std::lock_guard lock(mutex_);
    return excluded_;
  }
  /// The packet as the newest capture's data connection carries it: type 7, or 110.
  void send_packet(const std::string& text) {
    newest([&](CaptureOrder& order) {
      rpcap::Bytes bytes(rpcap::kHeaderSize + rpcap::kPacketHeaderSize);
      const bool udpstr = order.kind == DataKind::kUdpstr;
      const auto size = static_cast<std::uint32_t>(text.size());
      rpcap::encode_header(
          {.version = 0,
           .type = udpstr ? rpcap::MessageType::kUdpstrPacket : rpcap::MessageType::kPacket,
           .value = udpstr ? std::uint16_t{8} : std::uint16_t{0},
           .payload_size = udpstr ? 0 : size + 20},
          std::span<std::byte, 8>(bytes.data(), 8));
      rpcap::encode_packet_header({1, 2, size, size, 1},
                                  std::span<std::byte, 20>(bytes.data() + 8, 20));
      const auto body = std::as_bytes(std::span(text));
      bytes.insert(bytes.end(), body.begin(), body.end());
      if (order.tls) {
        SSL_write(order.tls.get(), bytes.data(), static_cast<int>(bytes.size()));
      } else {
        ::send(order.socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      }
    });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, CaptureOrder> orders_;
  std::map<std::string, std::vector<capture::OwnEndpoint>> excluded_;
  std::uint64_t last_ = 0;
  int stops_ = 0;
  bool refuse_ = false;
  bool throw_once_ = false;
};

}  // namespace sidetap::session
