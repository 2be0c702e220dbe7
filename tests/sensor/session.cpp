#include "tests/sensor/session.h"

#include <algorithm>
#include <iostream>
#include <stdexcept>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <pcap/pcap.h>

#include "shared/rpcap/codec.h"
#include "tests/sensor/wall_clock.h"

namespace sidetap::sensor {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::ip::udp;
using namespace asio::experimental::awaitable_operators;

constexpr auto kReplyTimeout = std::chrono::seconds(10);
constexpr auto kDataTimeout = std::chrono::seconds(2);
constexpr auto kQuiet = std::chrono::milliseconds(50);

/// The result of `work`, or an error that says that `what` took too long.
template <typename T>
asio::awaitable<T> in_time(asio::awaitable<T> work, const char* what) {
  asio::steady_timer deadline(co_await asio::this_coro::executor, kReplyTimeout);
  auto outcome = co_await (std::move(work) || deadline.async_wait(asio::use_awaitable));
  if (outcome.index() == 1) throw std::runtime_error(what);
  co_return std::get<0>(std::move(outcome));
}

std::string text_of(asio::ip::address address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  return address.to_string();
}

}  // namespace

Session::Session(asio::any_io_executor executor, Common& common, tcp::socket socket)
    : executor_(executor), common_(common), options_(common.options), socket_(std::move(socket)) {
  boost::system::error_code gone;
  recorder_ = std::make_shared<Recorder>(text_of(socket_.remote_endpoint(gone).address()),
                                         options_.fault.drop_every);
}

void Session::stop() {
  stopping_ = true;
  if (control_) control_->wake();
}

asio::awaitable<void> Session::run() {
  std::string failure;
  try {
    control_ = std::make_unique<Control>(
        co_await in_time(open_stream(std::move(socket_), common_.tls, options_),
                         "the tap does not take part in the handshake of TLS"));
    co_await lead();
  } catch (const std::exception& error) {
    failure = error.what();
  }
  if (!failure.empty()) recorder_->set_error(failure);
  recorder_->set_ended(!failure.empty() ? "error" : ended_by_tap_ ? "tap" : "sensor");
  co_await settle();
  if (udp_) {
    udp_->forget(recorder_.get());
    if (udp_ != common_.udp) udp_->close();
  }
  control_.reset();
  recorder_->flush();
}

asio::awaitable<Message> Session::ask(rpcap::Bytes request, rpcap::MessageType reply) {
  co_await control_->send(std::move(request));
  co_return co_await answer(reply);
}

asio::awaitable<Message> Session::answer(rpcap::MessageType reply) {
  Message message = co_await control_->next(Clock::now() + kReplyTimeout);
  if (message.header.type == rpcap::MessageType::kError)
    throw std::runtime_error("the tap says: " + rpcap::decode_error(message.payload));
  if (message.header.type != reply)
    throw std::runtime_error("the tap answers with message type " +
                             std::to_string(static_cast<unsigned>(message.header.type)));
  co_return message;
}

asio::awaitable<void> Session::lead() {
  if (options_.fault.refuse) {
    co_await control_->send(
        rpcap::encode_error(rpcap::ErrorCode::kAuthentication, "this host is not welcome"));
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
        ->open_file(options_.output_dir + "/" + recorder_->peer() + "-" +
                        std::to_string(common_.next_number++) + ".pcap",
                    link_type_)
        .value();
  }
  if (options_.sampling.method != rpcap::SamplingMethod::kNone)
    co_await ask(rpcap::encode_sampling(options_.sampling), rpcap::MessageType::kSetSamplingReply);
  if (options_.fault.start_after.count() != 0) co_await nap(options_.fault.start_after);
  co_await start_capture(compile(options_.filter));
  std::cout << "capturing " << recorder_->peer() << ' ' << interface.name << std::endl;
  co_await watch();
}

asio::awaitable<void> Session::authenticate() {
  const rpcap::AuthRequest request{.with_password = !options_.user.empty(),
                                   .user = options_.user,
                                   .password = options_.password};
  co_await ask(rpcap::encode_auth_request(request), rpcap::MessageType::kAuthReply);
}

// Chooses the interface that the tap preselects; otherwise by address, like sensors whose rules
// name a subnet; otherwise the first with a usable address.
asio::awaitable<rpcap::Interface> Session::choose_interface() {
  const Message reply =
      co_await ask(rpcap::encode_empty(rpcap::MessageType::kFindAllInterfacesRequest),
                   rpcap::MessageType::kFindAllInterfacesReply);
  auto interfaces = rpcap::decode_interfaces(reply.payload, reply.header.value).value();
  if (interfaces.empty()) throw std::runtime_error("the tap has no interface");
  const auto has_address = [&](const rpcap::Interface& interface, auto wanted) {
    return std::any_of(interface.addresses.begin(), interface.addresses.end(),
                       [&](const auto& entry) { return entry.address && wanted(*entry.address); });
  };
  const auto take = [&](auto wanted) {
    const auto found = std::find_if(interfaces.begin(), interfaces.end(), wanted);
    return found == interfaces.end() ? std::nullopt : std::optional(*found);
  };
  if (auto preselected = take([](const rpcap::Interface& interface) {
        return interface.description.ends_with(";preselected");
      }))
    co_return *preselected;
  if (!options_.interface_rule.empty()) {
    const net::CidrSet rule(options_.interface_rule);
    if (auto named = take([&](const rpcap::Interface& interface) {
          return has_address(interface, [&](net::IpAddress a) { return rule.contains(a); });
        }))
      co_return *named;
    throw std::runtime_error("no interface of the tap has an address that the rule names");
  }
  const auto usual = take([&](const rpcap::Interface& interface) {
    return has_address(interface, [](net::IpAddress a) { return !a.is_loopback(); });
  });
  co_return usual ? *usual : interfaces.front();
}

rpcap::Filter Session::compile(const std::string& expression) const {
  // Even the empty expression becomes a program, a single "return", because rpcapd refuses an empty
  // program.
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
  const rpcap::StartCaptureRequest request{.snaplen = options_.snaplen,
                                           .read_timeout_ms = options_.read_timeout_ms,
                                           .flags = 0,
                                           .data_port = 0,
                                           .filter = filter};
  if (options_.data == DataMode::kUdp) return start_udp(request);
  return options_.active ? start_tcp_from_tap(request) : start_tcp_to_tap(request);
}

asio::awaitable<void> Session::start_udp(rpcap::StartCaptureRequest request) {
  udp_ = common_.udp;
  if (!udp_) {
    udp_ = std::make_shared<UdpPort>(executor_, udp::endpoint(control_->local().address(), 0),
                                     common_.batch, options_.receive_buffer);
    if (!options_.fault.stop_reading) udp_->start();
  }
  udp_->expect(control_->remote().address(), recorder_);
  request.flags = rpcap::kStartDatagram;
  request.data_port = udp_->port();
  co_await ask(rpcap::encode_start_request(request), rpcap::MessageType::kStartCaptureReply);
}

asio::awaitable<void> Session::start_tcp_to_tap(rpcap::StartCaptureRequest request) {
  const Message reply =
      co_await ask(rpcap::encode_start_request(request), rpcap::MessageType::kStartCaptureReply);
  const auto port = rpcap::decode_start_reply(reply.payload).value().data_port;
  tcp::socket data(executor_);
  co_await data.async_connect({control_->remote().address(), port}, asio::use_awaitable);
  asio::co_spawn(executor_, take_stream(std::move(data)), asio::detached);
}

// The tap connects before it answers, and with TLS waits for the handshake in between. A tap that
// cannot connect answers with an error.
asio::awaitable<void> Session::start_tcp_from_tap(rpcap::StartCaptureRequest request) {
  tcp::acceptor acceptor(executor_, {control_->local().address(), 0});
  request.data_port = acceptor.local_endpoint().port();
  request.flags = rpcap::kStartServerOpens;
  co_await control_->send(rpcap::encode_start_request(request));
  tcp::socket data(executor_);
  const auto deadline = Clock::now() + kReplyTimeout;
  const auto first =
      co_await (acceptor.async_accept(data, asio::use_awaitable) || control_->wait(deadline));
  const bool answered = first.index() == 1;
  if (answered) {
    co_await answer(rpcap::MessageType::kStartCaptureReply);
    asio::steady_timer timer(executor_, deadline);
    if (!data.is_open())
      co_await (acceptor.async_accept(data, asio::use_awaitable) ||
                timer.async_wait(asio::use_awaitable));
    if (!data.is_open()) throw std::runtime_error("the tap opens no data connection");
  }
  asio::co_spawn(executor_, take_stream(std::move(data)), asio::detached);
  if (!answered) co_await answer(rpcap::MessageType::kStartCaptureReply);
}

asio::awaitable<void> Session::take_stream(tcp::socket socket) {
  taking_stream_ = true;
  const auto recorder = recorder_;
  try {
    const auto stream = co_await open_stream(std::move(socket), common_.tls, options_);
    std::vector<std::byte> buffer(256 * 1024);
    while (options_.fault.stop_reading && !stopping_) co_await nap(kQuiet);
    for (;;) {
      const std::size_t got = co_await stream->read_some(buffer);
      recorder->set_arrival(wall_clock_micros());
      if (!recorder->on_stream(std::span<const std::byte>(buffer).first(got))) break;
      if (got < buffer.size()) recorder->flush();
    }
  } catch (const std::exception&) {
    // The end of the stream, clean or not, ends the capture.
  }
  taking_stream_ = false;
}

asio::awaitable<void> Session::nap(std::chrono::milliseconds time) {
  asio::steady_timer timer(executor_, time);
  co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<void> Session::ask_stats() {
  const Message reply = co_await ask(rpcap::encode_empty(rpcap::MessageType::kStatsRequest),
                                     rpcap::MessageType::kStatsReply);
  recorder_->set_stats(rpcap::decode_stats(reply.payload).value());
}

// Of the messages that a tap sends without a request, only CLOSE is not an error.
asio::awaitable<void> Session::take_news() {
  const Message message = co_await control_->next(Clock::now());
  if (message.header.type == rpcap::MessageType::kClose) {
    ended_by_tap_ = true;
    co_return;
  }
  throw std::runtime_error(message.header.type == rpcap::MessageType::kError
                               ? "the tap says: " + rpcap::decode_error(message.payload)
                               : "the tap speaks unasked");
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
  while (!stopping_ && Clock::now() < close_at) {
    const auto next = std::min({close_at, hang_at, filter_at, stats_at});
    if (co_await control_->wait(next)) co_await take_news();
    if (ended_by_tap_) co_return;
    const auto now = Clock::now();
    if (now >= hang_at) co_return co_await hang();
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
  co_await finish();
}

asio::awaitable<void> Session::hang() {
  if (udp_) udp_->close();
  while (!stopping_) co_await nap(kQuiet);
}

asio::awaitable<void> Session::finish() {
  co_await ask_stats();
  co_await ask(rpcap::encode_empty(rpcap::MessageType::kEndCaptureRequest),
               rpcap::MessageType::kEndCaptureReply);
  // The tap has sent everything before it answers.
  co_await settle();
  co_await control_->send(rpcap::encode_empty(rpcap::MessageType::kClose));
}

// Receives what is still in flight: a stream to its end, datagrams until none arrives.
asio::awaitable<void> Session::settle() {
  const auto deadline = Clock::now() + kDataTimeout;
  while (taking_stream_ && !options_.fault.stop_reading && Clock::now() < deadline)
    co_await nap(kQuiet);
  if (!udp_) co_return;
  std::uint64_t before = 0;
  do {
    before = recorder_->datagrams();
    co_await nap(kQuiet);
  } while (recorder_->datagrams() != before && Clock::now() < deadline);
}

}  // namespace sidetap::sensor
