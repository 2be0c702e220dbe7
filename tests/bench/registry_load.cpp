// Holds many taps' connections to a registry, and measures it: how fast they connect, what the
// server takes meanwhile, and how long a change takes to reach all of them.
//
//   sidetap-webhook serve --registry-listen 127.0.0.1:8444 --registry-auth none ...
//   registry_load --port 8444 --pid PID [--taps 10000] [--changes 20] [--restart 1000]
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <sys/resource.h>
#include <unistd.h>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;
using Stream = beast::websocket::stream<beast::ssl_stream<beast::tcp_stream>>;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

struct Options {
  std::uint16_t port = 0;
  int pid = 0;
  std::size_t taps = 10'000;
  std::size_t changes = 20;
  std::size_t restart = 1'000;
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Resident memory in MiB and processor time in seconds of the server.
struct Usage {
  double memory = 0;
  double processor = 0;
};
Usage usage_of(int pid) {
  Usage usage;
  const std::string folder = "/proc/" + std::to_string(pid);
  std::string word;
  for (std::ifstream status(folder + "/status"); status >> word;) {
    if (word == "VmRSS:") {
      status >> usage.memory;
      usage.memory /= 1024;
    }
  }
  std::ifstream stat(folder + "/stat");
  std::string line;
  std::getline(stat, line);
  std::istringstream fields(line.substr(std::min(line.rfind(')') + 2, line.size())));
  std::vector<std::string> values{std::istream_iterator<std::string>(fields), {}};
  if (values.size() > 12) {
    usage.processor = (std::stod(values[11]) + std::stod(values[12])) /
                      static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  return usage;
}

class Load {
 public:
  explicit Load(Options options) : options_(options), taps_(options.taps) {
    tls_.set_verify_mode(asio::ssl::verify_none);
  }

  int run() {
    asio::co_spawn(context_, measure(), asio::detached);
    context_.run();
    return failures_ == 0 ? 0 : 1;
  }

 private:
  struct Tap {
    std::unique_ptr<Stream> stream;
    std::uint64_t messages = 0;
  };

  static std::string text(const char* type, std::size_t number, bool forwarding) {
    return std::string(R"({"type":")") + type + R"(","version":1,"addresses":["10.)" +
           std::to_string(number >> 16) + "." + std::to_string(number >> 8 & 255) + "." +
           std::to_string(number & 255) + R"("],"forwarding":)" + (forwarding ? "true}" : "false}");
  }

  asio::awaitable<bool> connect(std::size_t number) {
    Tap& tap = taps_[number];
    tap.stream = std::make_unique<Stream>(context_, tls_);
    auto& lowest = beast::get_lowest_layer(*tap.stream);
    lowest.expires_after(std::chrono::seconds(60));
    const tcp::endpoint server(asio::ip::address_v4::loopback(), options_.port);
    auto [connect_error] = co_await lowest.async_connect(server, kTuple);
    if (connect_error) co_return false;
    lowest.socket().set_option(tcp::no_delay(true));
    auto [tls_error] =
        co_await tap.stream->next_layer().async_handshake(asio::ssl::stream_base::client, kTuple);
    if (tls_error) co_return false;
    lowest.expires_never();
    auto [upgrade_error] = co_await tap.stream->async_handshake("registry", "/v1/taps", kTuple);
    if (upgrade_error) co_return false;
    const std::string hello = text("hello", number, true);
    auto [write_error, size] = co_await tap.stream->async_write(asio::buffer(hello), kTuple);
    co_return !write_error;
  }

  asio::awaitable<void> listen(std::size_t number) {
    Tap& tap = taps_[number];
    Stream* const stream = tap.stream.get();
    beast::flat_buffer buffer;
    for (;;) {
      auto [error, size] = co_await stream->async_read(buffer, kTuple);
      if (error) break;
      const auto bytes = buffer.cdata();
      const std::string_view said(static_cast<const char*>(bytes.data()), bytes.size());
      // While a change is awaited: this tap has heard of it.
      if (!awaited_.empty() && said.find(awaited_) != said.npos) {
        heard_.push_back(seconds_since(changed_at_));
      }
      ++tap.messages;
      buffer.consume(buffer.size());
      buffer.shrink_to_fit();
    }
    if (!restarting_) ++failures_;
    --connected_;
  }

  /// Connects the taps [from, to), some at a time; returns when all are.
  asio::awaitable<void> connect_all(std::size_t from, std::size_t to, double per_second) {
    const auto start = Clock::now();
    std::size_t next = from;
    std::size_t running = 0;
    asio::steady_timer pause(context_);
    while (next < to || running > 0) {
      const bool in_time =
          per_second <= 0 || static_cast<double>(next - from) < seconds_since(start) * per_second;
      if (next < to && running < 32 && in_time) {
        ++running;
        asio::co_spawn(
            context_,
            [this, number = next]() -> asio::awaitable<void> {
              const bool connected = co_await connect(number);
              if (connected) {
                ++connected_;
                asio::co_spawn(context_, listen(number), asio::detached);
              } else {
                ++failures_;
              }
            },
            [&running](const std::exception_ptr&) { --running; });
        ++next;
        continue;
      }
      pause.expires_after(std::chrono::milliseconds(1));
      co_await pause.async_wait(kTuple);
    }
  }

  asio::awaitable<void> sleep(double seconds) {
    asio::steady_timer timer(context_, std::chrono::duration_cast<Clock::duration>(
                                           std::chrono::duration<double>(seconds)));
    co_await timer.async_wait(kTuple);
  }

  /// One tap stops forwarding or goes on: how long until every tap has been told?
  asio::awaitable<void> change(std::size_t number, bool forwarding) {
    const std::string state = text("state", number, forwarding);
    const std::string address = "10." + std::to_string(number >> 16) + "." +
                                std::to_string(number >> 8 & 255) + "." +
                                std::to_string(number & 255);
    awaited_ = '"' + address + '"';
    heard_.clear();
    changed_at_ = Clock::now();
    auto [error, size] = co_await taps_[number].stream->async_write(asio::buffer(state), kTuple);
    if (error) ++failures_;
    while (heard_.size() < connected_ && seconds_since(changed_at_) < 30) co_await sleep(0.005);
    if (heard_.size() < connected_) ++failures_;
    delays_.insert(delays_.end(), heard_.begin(), heard_.end());
    awaited_.clear();
  }

  void row(const std::string& what, const std::string& value) const {
    std::cout << what << std::string(what.size() < 44 ? 44 - what.size() : 1, ' ') << value
              << std::endl;
  }
  static std::string with(double value, const char* unit) {
    std::ostringstream out;
    out.precision(3);
    out << value << unit;
    return out.str();
  }

  asio::awaitable<void> measure() {
    const Usage begin = usage_of(options_.pid);
    auto start = Clock::now();
    co_await connect_all(0, options_.taps, 0);
    row("taps connected", std::to_string(connected_) + " in " + with(seconds_since(start), " s"));
    co_await sleep(3);
    const Usage held = usage_of(options_.pid);
    row("server's memory, before and with them",
        with(begin.memory, " MiB") + ", " + with(held.memory, " MiB"));
    co_await sleep(10);
    row("server's processor while nothing changes",
        with((usage_of(options_.pid).processor - held.processor) * 10, " %"));

    for (std::size_t i = 0; i < options_.changes && i < options_.taps; ++i) {
      co_await change(i, false);
    }
    std::sort(delays_.begin(), delays_.end());
    if (!delays_.empty()) {
      row("a change reaches every tap: p50, p99, most",
          with(delays_[delays_.size() / 2] * 1000, " ms") + ", " +
              with(delays_[delays_.size() * 99 / 100] * 1000, " ms") + ", " +
              with(delays_.back() * 1000, " ms"));
    }

    const std::size_t restart = std::min(options_.restart, options_.taps);
    if (restart > 0) {
      restarting_ = true;
      const Usage before = usage_of(options_.pid);
      start = Clock::now();
      for (std::size_t i = 0; i < restart; ++i) beast::get_lowest_layer(*taps_[i].stream).close();
      while (connected_ > options_.taps - restart) co_await sleep(0.01);
      co_await connect_all(0, restart, static_cast<double>(restart) / 60);
      const double taken = seconds_since(start);
      row("taps restarted within a minute",
          std::to_string(restart) + ", server's processor " +
              with((usage_of(options_.pid).processor - before.processor) / taken * 100, " %"));
    }
    row("failures", std::to_string(failures_));
    context_.stop();
  }

  Options options_;
  asio::io_context context_{1};
  asio::ssl::context tls_{asio::ssl::context::tls_client};
  std::vector<Tap> taps_;
  std::size_t connected_ = 0;
  std::size_t failures_ = 0;
  bool restarting_ = false;
  std::string awaited_;
  Clock::time_point changed_at_;
  std::vector<double> heard_;
  std::vector<double> delays_;
};

}  // namespace

int main(int argc, char** argv) try {
  Options options;
  CLI::App app("Holds many taps' connections to a registry and measures it.");
  app.add_option("--port", options.port, "the registry's port on 127.0.0.1")->required();
  app.add_option("--pid", options.pid, "the webhook's process")->required();
  app.add_option("--taps", options.taps, "connections to hold")->check(CLI::Range(1, 25'000));
  app.add_option("--changes", options.changes, "changes to follow to every tap");
  app.add_option("--restart", options.restart, "taps that restart within a minute");
  CLI11_PARSE(app, argc, argv);
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  return Load(options).run();
} catch (const std::exception& fault) {
  std::cerr << "registry_load: " << fault.what() << '\n';
  return 1;
}
