// Holds the connections of many taps to the replicas of a registry. Measures how fast the taps
// connect, what the servers use meanwhile, how long a change takes to reach all taps, and how the
// reviews of the first replica are affected. registry.sh starts everything.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <sys/resource.h>
#include <unistd.h>

#include "shared/async/tuple.h"
#include "tests/bench/registry_surroundings.h"

namespace {

using namespace sidetap::bench;
using Stream = beast::websocket::stream<beast::ssl_stream<beast::tcp_stream>>;
// As taps do.
constexpr std::chrono::milliseconds kPingInterval{3000};
constexpr std::chrono::milliseconds kPingStep{10};

struct Options {
  std::vector<std::uint16_t> ports;  // of the replicas
  std::vector<int> pids;
  std::size_t taps = 10'000;
  std::size_t changes = 20;
  std::size_t restart = 1'000;
  std::uint16_t reviews_port = 0;  // of the first replica; 0: no reviews
  std::string review_file;
  std::uint16_t api_port = 0;  // where the replicas check tokens; 0: taps send none
  std::string api_certificate, api_key;
};

/// The server's resident memory in MiB and processor time in seconds.
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
  explicit Load(Options options)
      : options_(std::move(options)),
        connections_(options_.taps * options_.ports.size()),
        reviews_(options_.reviews_port, read_file(options_.review_file)) {
    tls_.set_verify_mode(asio::ssl::verify_none);
  }

  int run() {
    asio::co_spawn(context_, measure(), asio::detached);
    asio::co_spawn(context_, ping_all(), asio::detached);
    context_.run();
    return failures_ == 0 ? 0 : 1;
  }

 private:
  std::size_t replicas() const { return options_.ports.size(); }

  static std::string text(const char* type, std::size_t tap, bool forwarding) {
    return std::string(R"({"type":")") + type + R"(","version":1,"addresses":[")" +
           address_of(tap) + R"("],"forwarding":)" + (forwarding ? "true}" : "false}");
  }

  /// Connections are numbered tap by tap, each with all replicas.
  asio::awaitable<bool> connect(std::size_t number) {
    const std::size_t tap = number / replicas();
    auto& stream = connections_[number];
    stream = std::make_shared<Stream>(context_, tls_);
    auto& lowest = beast::get_lowest_layer(*stream);
    lowest.expires_after(std::chrono::seconds(60));
    const tcp::endpoint server(asio::ip::address_v4::loopback(),
                               options_.ports[number % replicas()]);
    auto [connect_error] = co_await lowest.async_connect(server, sidetap::async::kTuple);
    if (connect_error) co_return false;
    lowest.socket().set_option(tcp::no_delay(true));
    auto [tls_error] = co_await stream->next_layer().async_handshake(asio::ssl::stream_base::client,
                                                                     sidetap::async::kTuple);
    if (tls_error) co_return false;
    lowest.expires_never();
    if (options_.api_port != 0) {
      stream->set_option(
          beast::websocket::stream_base::decorator([tap](beast::websocket::request_type& request) {
            request.set(beast::http::field::authorization, "Bearer tap-" + std::to_string(tap));
          }));
    }
    auto [upgrade_error] =
        co_await stream->async_handshake("registry", "/v1/taps", sidetap::async::kTuple);
    if (upgrade_error) co_return false;
    const std::string hello = text("hello", tap, true);
    auto [write_error, size] =
        co_await stream->async_write(asio::buffer(hello), sidetap::async::kTuple);
    co_return !write_error;
  }

  asio::awaitable<void> listen(std::size_t number) {
    const std::shared_ptr<Stream> stream = connections_[number];
    beast::flat_buffer buffer;
    for (;;) {
      auto [error, size] = co_await stream->async_read(buffer, sidetap::async::kTuple);
      if (error) break;
      const auto bytes = buffer.cdata();
      const std::string_view said(static_cast<const char*>(bytes.data()), bytes.size());
      // While a change is awaited: this tap has received it from this replica.
      if (!awaited_.empty() && said.find(awaited_) != said.npos) {
        heard_.push_back(seconds_since(changed_at_));
      }
      buffer.consume(buffer.size());
      buffer.shrink_to_fit();
    }
    if (!restarting_) ++failures_;
    --connected_;
  }

  /// Pings every connection once per interval, some in each step.
  asio::awaitable<void> ping_all() {
    const std::size_t share = connections_.size() / (kPingInterval / kPingStep) + 1;
    asio::steady_timer timer(context_, Clock::now());
    for (std::size_t next = 0;;) {
      for (std::size_t i = 0; i < share; ++i, next = (next + 1) % connections_.size()) {
        const auto& stream = connections_[next];
        if (stream && stream->is_open()) stream->async_ping({}, [stream](const auto&) {});
      }
      timer.expires_at(timer.expiry() + kPingStep);
      co_await timer.async_wait(sidetap::async::kTuple);
    }
  }

  /// Opens the connections [from, to), some at a time. Returns when all are open.
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
      co_await pause.async_wait(sidetap::async::kTuple);
    }
  }

  asio::awaitable<void> sleep(double seconds) {
    asio::steady_timer timer(context_, std::chrono::duration_cast<Clock::duration>(
                                           std::chrono::duration<double>(seconds)));
    co_await timer.async_wait(sidetap::async::kTuple);
  }

  /// One tap stops forwarding: measures how long until every tap has received that from every
  /// replica.
  asio::awaitable<void> change(std::size_t tap) {
    const std::string state = text("state", tap, false);
    awaited_ = '"' + address_of(tap) + '"';
    heard_.clear();
    changed_at_ = Clock::now();
    for (std::size_t i = 0; i < replicas(); ++i) {
      auto& stream = connections_[tap * replicas() + i];
      auto [error, size] =
          co_await stream->async_write(asio::buffer(state), sidetap::async::kTuple);
      if (error) ++failures_;
    }
    while (heard_.size() < connected_ && seconds_since(changed_at_) < 30) co_await sleep(0.005);
    if (heard_.size() < connected_) ++failures_;
    delays_.insert(delays_.end(), heard_.begin(), heard_.end());
    awaited_.clear();
  }

  void row(const std::string& what, const std::string& value) const {
    std::cout << what << std::string(what.size() < 44 ? 44 - what.size() : 1, ' ') << value
              << std::endl;
  }
  std::vector<Usage> usages() const {
    std::vector<Usage> usages;
    for (const int pid : options_.pids) usages.push_back(usage_of(pid));
    return usages;
  }
  static std::string memory(const std::vector<Usage>& usages) {
    std::string text;
    for (const Usage& usage : usages)
      text += (text.empty() ? "" : " and ") + with(usage.memory, " MiB");
    return text;
  }
  /// Of one CPU, each, since `before`.
  std::string processor(const std::vector<Usage>& before, double seconds) const {
    std::string text;
    const auto now = usages();
    for (std::size_t i = 0; i < now.size(); ++i) {
      const double share = (now[i].processor - before[i].processor) / seconds * 100;
      text += (text.empty() ? "" : " and ") + with(share, " %");
    }
    return text;
  }
  void begin_reviews() {
    if (options_.reviews_port != 0) reviews_.begin();
  }
  void end_reviews(const std::string& when) {
    if (options_.reviews_port != 0) row("a review's p50, p99, " + when, reviews_.end());
  }

  asio::awaitable<void> measure() {
    row("servers' memory without taps", memory(usages()));
    begin_reviews();
    co_await sleep(10);
    end_reviews("without taps");

    const auto begin = usages();
    const auto start = Clock::now();
    begin_reviews();
    co_await connect_all(0, connections_.size(), 0);
    const double taken = seconds_since(start);
    row("connections", std::to_string(connected_) + " in " + with(taken, " s"));
    row("servers' processor meanwhile", processor(begin, taken));
    end_reviews("while they connect");

    co_await sleep(3);
    const auto held = usages();
    row("servers' memory with them", memory(held));
    begin_reviews();
    co_await sleep(15);
    row("servers' processor while nothing changes", processor(held, 15));
    end_reviews("while nothing changes");

    begin_reviews();
    for (std::size_t i = 0; i < options_.changes && i < options_.taps; ++i) co_await change(i);
    end_reviews("while something changes");
    std::sort(delays_.begin(), delays_.end());
    if (!delays_.empty()) {
      row("a change reaches every tap: p50, p99, most",
          with(delays_[delays_.size() / 2] * 1000, " ms, ") +
              with(delays_[delays_.size() * 99 / 100] * 1000, " ms, ") +
              with(delays_.back() * 1000, " ms"));
    }
    co_await restart(std::min(options_.restart, options_.taps) * replicas());
    row("failures", std::to_string(failures_));
    context_.stop();
  }

  asio::awaitable<void> restart(std::size_t count) {
    if (count == 0) co_return;
    restarting_ = true;
    const auto before = usages();
    const auto start = Clock::now();
    begin_reviews();
    for (std::size_t i = 0; i < count; ++i) beast::get_lowest_layer(*connections_[i]).close();
    while (connected_ > connections_.size() - count) co_await sleep(0.01);
    co_await connect_all(0, count, static_cast<double>(count) / 60);
    row("taps restarted within a minute", std::to_string(count / replicas()));
    row("servers' processor meanwhile", processor(before, seconds_since(start)));
    end_reviews("meanwhile");
  }

  Options options_;
  asio::io_context context_{1};
  asio::ssl::context tls_{asio::ssl::context::tls_client};
  std::vector<std::shared_ptr<Stream>> connections_;
  Reviews reviews_;
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
  app.add_option("--port", options.ports, "the replicas' ports on 127.0.0.1")->required();
  app.add_option("--pid", options.pids, "the webhooks' processes")->required();
  app.add_option("--reviews-port", options.reviews_port, "where the first replica takes reviews");
  app.add_option("--review", options.review_file, "a review in a file");
  app.add_option("--api-port", options.api_port, "serves an API server that knows taps' tokens");
  app.add_option("--api-cert", options.api_certificate, "its certificate");
  app.add_option("--api-key", options.api_key, "its key");
  app.add_option("--taps", options.taps, "connections to hold")->check(CLI::Range(1, 25'000));
  app.add_option("--changes", options.changes, "changes to follow to every tap");
  app.add_option("--restart", options.restart, "taps that restart within a minute");
  CLI11_PARSE(app, argc, argv);
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  std::optional<FakeApi> api;
  if (options.api_port != 0)
    api.emplace(options.api_port, options.api_certificate, options.api_key);
  return Load(std::move(options)).run();
} catch (const std::exception& fault) {
  std::cerr << "registry_load: " << fault.what() << '\n';
  return 1;
}
