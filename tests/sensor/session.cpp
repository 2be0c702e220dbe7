#include "tests/sensor/session.h"

#include <algorithm>
#include <iostream>
#include <stdexcept>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>
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
using collector::TapEvent;
using collector::TapPhase;
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

collector::TapProtocolConfig protocol_config(const Options& options) {
  return {.user = options.user,
          .password = options.password,
          .interface_rule = options.interface_rule,
          .datagram = options.data == DataMode::kUdp,
          .passive = !options.active,
          .link_type = std::nullopt,
          .snaplen = options.snaplen,
          .read_timeout_ms = options.read_timeout_ms,
          .sampling = options.sampling,
          .stats_every = options.stats_every,
          .close_on_failure = false};
}

}  // namespace

Session::Session(asio::any_io_executor executor, Common& common, tcp::socket socket)
    : executor_(executor),
      common_(common),
      options_(common.options),
      socket_(std::move(socket)),
      stream_news_(executor),
      protocol_(protocol_config(common.options)) {
  boost::system::error_code gone;
  recorder_ = std::make_shared<Recorder>(text_of(socket_.remote_endpoint(gone).address()),
                                         options_.fault.drop_every);
}

void Session::stop() {
  stopping_ = true;
  if (control_) control_->wake();
}

asio::awaitable<void> Session::run() {
  try {
    control_ = std::make_unique<Control>(
        co_await in_time(open_stream(std::move(socket_), common_.tls, options_),
                         "the tap does not take part in the handshake of TLS"));
    const std::string ended_by = co_await lead();
    recorder_->set_ended(ended_by);
  } catch (const std::exception& error) {
    recorder_->set_error(error.what());
    recorder_->set_ended("error");
  }
  door_.reset();
  co_await settle();
  if (udp_) {
    udp_->forget(recorder_.get());
    if (udp_ != common_.udp) udp_->close();
  }
  control_.reset();
  recorder_->flush();
}

/// Returns who has ended the session.
asio::awaitable<std::string> Session::lead() {
  if (options_.fault.refuse) {
    co_await control_->send(
        rpcap::encode_error(rpcap::ErrorCode::kAuthentication, "this host is not welcome"));
    co_return "sensor";
  }
  const collector::EndTap end = co_await converse();
  if (end.kind == collector::TapEnd::kClosed) co_return "tap";
  if (end.kind != collector::TapEnd::kStopped) throw std::runtime_error(end.text);
  co_return "sensor";
}

asio::awaitable<collector::EndTap> Session::converse() {
  TapEvent event = collector::Began{};
  for (;;) {
    collector::TapActions actions = protocol_.resume(event);
    if (protocol_.phase() == TapPhase::kCapturing && !std::exchange(capturing_, true))
      capture_begins();
    for (collector::TapAction& action : actions) {
      if (auto* const end = std::get_if<collector::EndTap>(&action)) co_return std::move(*end);
      auto outcome = co_await std::visit([this](auto& step) { return perform(step); }, action);
      if (!outcome) continue;
      event = std::move(*outcome);
      break;
    }
  }
}

void Session::capture_begins() {
  std::cout << "capturing " << recorder_->peer() << ' ' << interface_ << std::endl;
  const Clock::time_point now = Clock::now();
  if (options_.fault.close_after) close_at_ = now + *options_.fault.close_after;
  if (options_.fault.hang) hang_at_ = now + *options_.fault.hang;
  if (!options_.next_filter.empty()) filter_at_ = now + options_.next_filter_after;
}

/// What the options, or whoever stops the sensor, have in store for a capture. A stop that comes
/// earlier waits for it, so that every session ends in good order.
std::optional<TapEvent> Session::due() {
  if (protocol_.phase() != TapPhase::kCapturing) return std::nullopt;
  const Clock::time_point now = Clock::now();
  if ((stopping_ || now >= close_at_) && !std::exchange(stop_told_, true)) {
    close_at_ = hang_at_ = filter_at_ = kNever;
    return collector::StopRequested{};
  }
  if (now < filter_at_) return std::nullopt;
  filter_at_ = kNever;
  return collector::FilterChanged{compile(options_.next_filter)};
}

Session::Outcome Session::perform(collector::SendToTap& action) {
  co_await control_->send(std::move(action.bytes));
  co_return std::nullopt;
}

Session::Outcome Session::perform(collector::ReadTapHeader& action) {
  if (action.limit) header_until_ = Clock::now() + *action.limit;
  for (;;) {
    if (auto event = due()) co_return event;
    if (Clock::now() >= hang_at_) {
      co_await hang();
      co_return collector::TapLost{collector::TapEnd::kStopped, "the sensor hangs"};
    }
    const auto until = std::min({header_until_, close_at_, hang_at_, filter_at_});
    if (co_await control_->wait(until)) break;
    if (Clock::now() >= header_until_) co_return collector::NothingCame{};
  }
  message_ = co_await control_->next(Clock::now());
  co_return collector::HeaderRead{message_.header};
}

Session::Outcome Session::perform(collector::ReadTapPayload&) {
  co_return collector::PayloadRead{message_.payload};
}

Session::Outcome Session::perform(collector::InterfaceOpened& action) {
  interface_ = action.interface.name;
  recorder_->set_interface(action.interface);
  co_return std::nullopt;
}

Session::Outcome Session::perform(collector::OpenTapData& action) {
  link_type_ = action.link_type;
  if (!options_.output_dir.empty()) {
    recorder_
        ->open_file(options_.output_dir + "/" + recorder_->peer() + "-" +
                        std::to_string(common_.next_number++) + ".pcap",
                    link_type_)
        .value();
  }
  if (options_.fault.start_after.count() != 0) co_await nap(options_.fault.start_after);
  collector::DataOpened opened{.port = 0, .filter = compile(options_.filter)};
  if (action.datagram) {
    opened.port = open_udp();
  } else if (options_.active) {
    opened.port = open_door();
  }
  co_return opened;
}

Session::Outcome Session::perform(collector::TakeTapData& action) {
  if (action.port != 0) {
    tcp::socket data(executor_);
    const tcp::endpoint tap(control_->remote().address(), action.port);
    co_await data.async_connect(tap, asio::use_awaitable);
    asio::co_spawn(executor_, take_stream(std::move(data)), asio::detached);
    co_return collector::DataTaken{};
  }
  if (!stream_came_) {
    stream_news_.expires_after(kReplyTimeout);
    boost::system::error_code cancelled;
    co_await stream_news_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }
  if (!stream_came_) co_return collector::DataFailed{"the tap opens no data connection"};
  co_return collector::DataTaken{};
}

Session::Outcome Session::perform(collector::TapStats& action) {
  recorder_->set_stats(action.stats);
  co_return std::nullopt;
}

Session::Outcome Session::perform(collector::SettleTapData&) {
  co_await settle();
  co_return collector::DataSettled{};
}

// What is open until the end of the session is closed by run().
Session::Outcome Session::perform(collector::CloseTapData&) { co_return std::nullopt; }

Session::Outcome Session::perform(collector::EndTap&) { co_return std::nullopt; }

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

std::uint16_t Session::open_udp() {
  udp_ = common_.udp;
  if (!udp_) {
    udp_ = std::make_shared<UdpPort>(executor_, udp::endpoint(control_->local().address(), 0),
                                     common_.batch, options_.receive_buffer);
    if (!options_.fault.stop_reading) udp_->start();
  }
  const auto tap = control_->remote();
  udp_->expect(net::read_socket_address(tap.data()).address, recorder_);
  return udp_->port();
}

std::uint16_t Session::open_door() {
  door_.emplace(executor_, tcp::endpoint(control_->local().address(), 0));
  const std::uint16_t port = door_->local_endpoint().port();
  asio::co_spawn(executor_, accept_stream(), asio::detached);
  return port;
}

// The tap connects before it answers, and with TLS waits for the handshake in between.
asio::awaitable<void> Session::accept_stream() {
  tcp::socket data(executor_);
  co_await door_->async_accept(data, asio::use_awaitable);
  door_.reset();
  stream_came_ = true;
  stream_news_.cancel();
  co_await take_stream(std::move(data));
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

asio::awaitable<void> Session::hang() {
  if (udp_) udp_->close();
  while (!stopping_) co_await nap(kQuiet);
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
