// sidetap-sensor: a reference RPCAP sensor, for the demo, the tests and the benchmarks.
#include <csignal>
#include <fstream>
#include <iostream>
#include <list>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "shared/config/options.h"
#include "tests/sensor/options.h"
#include "tests/sensor/session.h"

namespace sidetap::sensor {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr auto kStopTimeout = std::chrono::seconds(5);

class Sensor {
 public:
  explicit Sensor(const Options& options)
      : options_(options), common_{.options = options, .tls = make_tls(options), .udp = nullptr} {}

  void run() {
    if (options_.active) {
      listen();
    } else {
      asio::co_spawn(context_, dial(), asio::detached);
    }
    signals_.async_wait([this](const boost::system::error_code& error, int) {
      if (!error) stop();
    });
    context_.run();
    report();
  }

  bool failed() const { return failed_; }

 private:
  void listen() {
    tcp::resolver resolver(context_);
    const auto endpoint = resolver
                              .resolve(options_.address.host, std::to_string(options_.address.port),
                                       tcp::resolver::passive)
                              .begin()
                              ->endpoint();
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(tcp::acceptor::reuse_address(true));
    acceptor_.bind(endpoint);
    acceptor_.listen();
    if (options_.data == DataMode::kUdp && options_.data_port != 0) {
      common_.udp = std::make_shared<UdpPort>(
          context_.get_executor(), asio::ip::udp::endpoint(endpoint.address(), options_.data_port),
          common_.batch, options_.receive_buffer);
      if (!options_.fault.stop_reading) common_.udp->start();
    }
    std::cout << "listening " << acceptor_.local_endpoint() << std::endl;
    asio::co_spawn(context_, accept(), asio::detached);
  }

  asio::awaitable<void> accept() {
    while (!stopping_) {
      boost::system::error_code error;
      tcp::socket socket =
          co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (!error) {
        begin(std::move(socket));
      } else if (!stopping_) {
        // Most likely out of descriptors; sessions that end release some.
        std::cerr << "cannot accept: " << error.message() << '\n';
        asio::steady_timer pause(context_, kAcceptPause);
        co_await pause.async_wait(asio::use_awaitable);
      }
    }
  }

  asio::awaitable<void> dial() {
    tcp::resolver resolver(context_);
    tcp::socket socket(context_);
    boost::system::error_code error;
    const auto endpoints =
        resolver.resolve(options_.address.host, std::to_string(options_.address.port), error);
    for (const auto& entry : endpoints) {
      socket.close(error);
      co_await socket.async_connect(entry.endpoint(),
                                    asio::redirect_error(asio::use_awaitable, error));
      if (!error) break;
    }
    if (error) {
      std::cerr << "cannot dial " << options_.address.to_string() << ": " << error.message()
                << '\n';
      failed_ = true;
      context_.stop();
      co_return;
    }
    std::cout << "connected " << socket.remote_endpoint() << std::endl;
    begin(std::move(socket));
  }

  void begin(tcp::socket socket) {
    sessions_.push_back(
        std::make_unique<Session>(context_.get_executor(), common_, std::move(socket)));
    ++running_;
    asio::co_spawn(context_, sessions_.back()->run(), [this](const std::exception_ptr&) {
      --running_;
      if (running_ == 0 && (stopping_ || !options_.active)) context_.stop();
    });
  }

  void stop() {
    stopping_ = true;
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    if (running_ == 0) return context_.stop();
    for (const auto& session : sessions_) session->stop();
    deadline_.expires_after(kStopTimeout);
    deadline_.async_wait([this](const boost::system::error_code&) { context_.stop(); });
  }

  void report() {
    nlohmann::json taps = nlohmann::json::array();
    nlohmann::json totals{{"packets", 0},        {"bytes", 0},     {"datagrams", 0},
                          {"lost_datagrams", 0}, {"malformed", 0}, {"missing_packets", 0}};
    for (const auto& session : sessions_) {
      session->flush();
      const auto one = session->totals();
      for (auto& [key, sum] : totals.items())
        sum = sum.get<std::uint64_t>() + one[key].get<std::uint64_t>();
      taps.push_back(one);
    }
    totals["taps"] = std::move(taps);
    if (options_.json == "-") {
      std::cout << totals.dump(2) << std::endl;
    } else {
      std::ofstream(options_.json) << totals.dump(2) << '\n';
    }
  }

  const Options& options_;
  asio::io_context context_{1};  // before everything that holds its sockets
  Common common_;
  asio::signal_set signals_{context_, SIGINT, SIGTERM};
  tcp::acceptor acceptor_{context_};
  asio::steady_timer deadline_{context_};
  std::list<std::unique_ptr<Session>> sessions_;
  std::size_t running_ = 0;
  bool stopping_ = false;
  bool failed_ = false;
};

}  // namespace
}  // namespace sidetap::sensor

int main(int argc, char** argv) try {
  sidetap::sensor::Options options;
  const std::span<const char* const> arguments(argv + 1, static_cast<std::size_t>(argc - 1));
  switch (sidetap::sensor::parse_options(arguments, options)) {
    case sidetap::config::ParseResult::kHelp:
      return 0;
    case sidetap::config::ParseResult::kError:
      return 2;
    case sidetap::config::ParseResult::kRun:
      break;
  }
  std::signal(SIGPIPE, SIG_IGN);
  sidetap::sensor::Sensor sensor(options);
  sensor.run();
  return sensor.failed() ? 1 : 0;
} catch (const std::exception& error) {
  std::cerr << "sidetap-sensor: " << error.what() << '\n';
  return 1;
}
