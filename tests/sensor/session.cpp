#include "tests/sensor/session.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <pcap/pcap.h>

#include "shared/rpcap/codec.h"

namespace sidetap::sensor {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::ip::udp;
using Clock = std::chrono::steady_clock;
using namespace asio::experimental::awaitable_operators;

constexpr auto kReplyTimeout = std::chrono::seconds(10);
constexpr auto kDataTimeout = std::chrono::seconds(2);

}  // namespace

Session::Session(asio::any_io_executor executor, Common& common, tcp::socket socket)
    : executor_(executor),
      common_(common),
      options_(common.options),
      socket_(std::move(socket)),
      timer_(executor) {
  recorder_ = std::make_shared<Recorder>("", options_.fault.drop_every);
}

void Session::stop() {
  stopping_ = true;
  timer_.cancel();
}

asio::awaitable<void> Session::run() {
  std::string failure;
  try {
    control_ = co_await open_stream(std::move(socket_), common_.tls, options_);
    recorder_ = std::make_shared<Recorder>(control_->peer(), options_.fault.drop_every);
    co_await lead();
  } catch (const std::exception& error) {
    failure = error.what();
  }
  if (!failure.empty()) recorder_->set_error(failure);
  if (udp_) {
    udp_->drain();
    udp_->forget(recorder_.get());
    if (udp_ != common_.udp) udp_->close();
  }
  boost::system::error_code ignored;
  if (control_) control_->socket().close(ignored);
  recorder_->flush();
}

asio::awaitable<Message> Session::ask(rpcap::Bytes request, rpcap::MessageType reply) {
  co_await control_->write(request);
  asio::steady_timer deadline(executor_, kReplyTimeout);
  auto outcome = co_await (read_message(*control_) || deadline.async_wait(asio::use_awaitable));
  if (outcome.index() == 1) throw std::runtime_error("the tap does not answer");
  Message message = std::get<0>(std::move(outcome));
  if (message.header.type == rpcap::MessageType::kError)
    throw std::runtime_error("the tap says: " + rpcap::decode_error(message.payload));
  if (message.header.type != reply)
    throw std::runtime_error("the tap answers with message type " +
                             std::to_string(static_cast<unsigned>(message.header.type)));
  co_return message;
}

asio::awaitable<void> Session::lead() {
  if (options_.fault.refuse) {
    const rpcap::Bytes refusal =
        rpcap::encode_error(rpcap::ErrorCode::kAuthentication, "this host is not welcome");
    co_await control_->write(refusal);
    co_return;
  }
  co_await authenticate();
  const rpcap::Interface interface = co_await choose_interface();
  recorder_->set_interface(interface);
  const Message opened =
      co_await ask(rpcap::encode_open_request(interface.name), rpcap::MessageType::kOpenReply);
  link_type_ = rpcap::decode_open_reply(opened.payload).value().link_type;
  if (!options_.output_dir.empty()) {
    recorder_
        ->open_file(options_.output_dir + "/" + control_->peer() + "-" +
                        std::to_string(common_.next_number++) + ".pcap",
                    link_type_)
        .value();
  }
  if (options_.sampling.method != rpcap::SamplingMethod::kNone)
    co_await ask(rpcap::encode_sampling(options_.sampling), rpcap::MessageType::kSetSamplingReply);
  co_await start_capture(compile(options_.filter));
  co_await watch();
}

asio::awaitable<void> Session::authenticate() {
  const rpcap::AuthRequest request{.with_password = !options_.user.empty(),
                                   .user = options_.user,
                                   .password = options_.password};
  co_await ask(rpcap::encode_auth_request(request), rpcap::MessageType::kAuthReply);
}

// By the addresses, as sensors do whose rules name a subnet; else what the tap preselects.
asio::awaitable<rpcap::Interface> Session::choose_interface() {
  const Message reply =
      co_await ask(rpcap::encode_empty(rpcap::MessageType::kFindAllInterfacesRequest),
                   rpcap::MessageType::kFindAllInterfacesReply);
  auto interfaces = rpcap::decode_interfaces(reply.payload, reply.header.value).value();
  if (interfaces.empty()) throw std::runtime_error("the tap has no interface");
  const auto fits = [&](const rpcap::Interface& interface) {
    return std::any_of(interface.addresses.begin(), interface.addresses.end(), [&](const auto& a) {
      return a.address &&
             std::any_of(options_.interface_rule.begin(), options_.interface_rule.end(),
                         [&](const net::Cidr& c) { return c.contains(*a.address); });
    });
  };
  if (interfaces.front().description.ends_with(";preselected") || options_.interface_rule.empty())
    co_return interfaces.front();
  const auto found = std::find_if(interfaces.begin(), interfaces.end(), fits);
  if (found == interfaces.end())
    throw std::runtime_error("no interface of the tap has an address that the rule names");
  co_return *found;
}

rpcap::Filter Session::compile(const std::string& expression) const {
  if (expression.empty()) return {};
  const std::unique_ptr<pcap_t, decltype(&pcap_close)> handle(
      pcap_open_dead(link_type_ == 101 ? DLT_RAW : link_type_, 262'144), &pcap_close);
  bpf_program program{};
  if (pcap_compile(handle.get(), &program, expression.c_str(), 1, PCAP_NETMASK_UNKNOWN) != 0)
    throw std::runtime_error("filter: " + std::string(pcap_geterr(handle.get())));
  rpcap::Filter filter;
  for (u_int i = 0; i < program.bf_len; ++i) {
    const bpf_insn& insn = program.bf_insns[i];
    filter.push_back({.code = insn.code, .jt = insn.jt, .jf = insn.jf, .k = insn.k});
  }
  pcap_freecode(&program);
  return filter;
}

asio::awaitable<void> Session::start_capture(const rpcap::Filter& filter) {
  rpcap::StartCaptureRequest request{.snaplen = options_.snaplen,
                                     .read_timeout_ms = 1000,
                                     .flags = 0,
                                     .data_port = 0,
                                     .filter = filter};
  const auto local = control_->socket().local_endpoint().address();
  if (options_.data == DataMode::kUdp) {
    request.flags = rpcap::kStartDatagram;
    udp_ = common_.udp;
    if (!udp_) {
      udp_ = std::make_shared<UdpPort>(executor_, udp::endpoint(local, 0));
      if (!options_.fault.stop_reading) udp_->start();
    }
    udp_->expect(control_->socket().remote_endpoint().address(), recorder_);
    request.data_port = udp_->port();
    co_await ask(rpcap::encode_start_request(request), rpcap::MessageType::kStartCaptureReply);
    co_return;
  }
  if (!options_.active) {
    const Message reply =
        co_await ask(rpcap::encode_start_request(request), rpcap::MessageType::kStartCaptureReply);
    const auto port = rpcap::decode_start_reply(reply.payload).value().data_port;
    tcp::socket data(executor_);
    co_await data.async_connect({control_->socket().remote_endpoint().address(), port},
                                asio::use_awaitable);
    asio::co_spawn(executor_, take_stream(std::move(data)), asio::detached);
    co_return;
  }
  tcp::acceptor acceptor(executor_, {local, 0});
  request.data_port = acceptor.local_endpoint().port();
  request.flags = rpcap::kStartServerOpens;
  // The tap dials before it answers, and waits for the handshake of TLS: both at once.
  tcp::socket data(executor_);
  const rpcap::Bytes start = rpcap::encode_start_request(request);
  co_await (acceptor.async_accept(data, asio::use_awaitable) && control_->write(start));
  asio::co_spawn(executor_, take_stream(std::move(data)), asio::detached);
  co_await ask({}, rpcap::MessageType::kStartCaptureReply);
}

asio::awaitable<void> Session::take_stream(tcp::socket socket) {
  taking_stream_ = true;
  const auto recorder = recorder_;
  try {
    const auto stream = co_await open_stream(std::move(socket), common_.tls, options_);
    std::vector<std::byte> buffer(256 * 1024);
    while (options_.fault.stop_reading && !stopping_) co_await nap();
    for (;;) {
      const std::size_t got = co_await stream->read_some(buffer);
      recorder->on_stream(std::span<const std::byte>(buffer).first(got));
      if (got < buffer.size()) recorder->flush();
    }
  } catch (const std::exception&) {
    // The end of the stream, in order or not, is the end of the capture.
  }
  taking_stream_ = false;
}

asio::awaitable<void> Session::nap() {
  asio::steady_timer timer(executor_, std::chrono::milliseconds(10));
  co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<void> Session::ask_stats() {
  const Message reply = co_await ask(rpcap::encode_empty(rpcap::MessageType::kStatsRequest),
                                     rpcap::MessageType::kStatsReply);
  recorder_->set_stats(rpcap::decode_stats(reply.payload).value());
}

// Returns when the time has come, when stop() was called, or when the tap ended the session.
asio::awaitable<void> Session::wait_until(Clock::time_point time) {
  timer_.expires_at(time);
  boost::system::error_code cancelled;
  const auto outcome =
      co_await (timer_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled)) ||
                control_->socket().async_wait(tcp::socket::wait_read, asio::use_awaitable));
  if (outcome.index() == 1) {
    const Message message = co_await read_message(*control_);
    if (message.header.type == rpcap::MessageType::kClose) {
      ended_by_tap_ = stopping_ = true;
      co_return;
    }
    throw std::runtime_error(message.header.type == rpcap::MessageType::kError
                                 ? "the tap says: " + rpcap::decode_error(message.payload)
                                 : "the tap speaks unasked");
  }
}

asio::awaitable<void> Session::watch() {
  constexpr auto kNever = Clock::time_point::max();
  const Clock::time_point begin = Clock::now();
  const auto after = [&](std::optional<std::chrono::seconds> delay) {
    return delay ? begin + *delay : kNever;
  };
  const auto close_at = after(options_.fault.close_after);
  const auto hang_at = after(options_.fault.hang);
  auto filter_at = options_.next_filter.empty() ? kNever : begin + options_.next_filter_after;
  auto stats_at = options_.stats_every.count() == 0 ? kNever : begin + options_.stats_every;
  while (!stopping_) {
    const auto next = std::min({close_at, hang_at, filter_at, stats_at});
    co_await wait_until(next);
    const auto now = Clock::now();
    if (now >= close_at) break;
    if (now >= hang_at) {
      if (udp_) udp_->close();
      while (!stopping_) {
        timer_.expires_at(kNever);
        boost::system::error_code cancelled;
        co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
      }
      co_return;
    }
    if (now >= filter_at) {
      filter_at = kNever;
      co_await ask(rpcap::encode_update_filter(compile(options_.next_filter)),
                   rpcap::MessageType::kUpdateFilterReply);
    }
    if (now >= stats_at) {
      stats_at = now + options_.stats_every;
      co_await ask_stats();
    }
  }
  if (!ended_by_tap_) co_await finish();
}

asio::awaitable<void> Session::finish() {
  co_await ask_stats();
  co_await ask(rpcap::encode_empty(rpcap::MessageType::kEndCaptureRequest),
               rpcap::MessageType::kEndCaptureReply);
  // The tap has sent everything before it answers; what is still in the stream is read to its end.
  const auto deadline = Clock::now() + kDataTimeout;
  while (taking_stream_ && Clock::now() < deadline) co_await nap();
  const rpcap::Bytes close = rpcap::encode_empty(rpcap::MessageType::kClose);
  co_await control_->write(close);
}

}  // namespace sidetap::sensor
