// Holds the connections of many taps to the replicas of a registry. Measures how fast the taps
// connect, what the servers use meanwhile, how long a change and a new configuration take to reach
// all taps, and how the reviews of the first replica are affected. registry.sh starts everything.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <sys/resource.h>

#include "shared/async/tuple.h"
#include "shared/http/web_socket.h"
#include "shared/registry/messages.h"
#include "tests/bench/registry_load_options.h"
#include "tests/bench/registry_surroundings.h"

namespace {

using namespace sidetap::bench;
using sidetap::config::ParseResult;
namespace async = sidetap::async;
namespace http = sidetap::http;
// As taps do.
constexpr std::chrono::milliseconds kPingInterval{3000};
constexpr std::chrono::milliseconds kStep{10};
/// Where the type of a short message stands.
constexpr std::size_t kTypeWithin = 4096;
constexpr std::chrono::seconds kHandshakeLimit{60};

/// A tap's connection to one replica.
struct Connection {
  Connection(tcp::socket dialled, const http::TlsTrust& trust)
      : socket(std::move(dialled), trust, kHere,
               {.message_bytes = sidetap::registry::kMostRegistryMessageBytes,
                .handshake_timeout = kHandshakeLimit}) {}

  http::WebSocket socket;
  bool stands = false;   ///< Hello was said.
  bool writing = false;  ///< The socket takes one message or ping at a time.
};

class Load {
 public:
  explicit Load(Options options)
      : options_(std::move(options)),
        trust_(http::TlsTrust::make(sidetap::read_file(options_.ca).value()).value()),
        connections_(options_.taps * options_.ports.size()),
        reviews_(options_.reviews_port, review(options_), trust_) {}

  int run() {
    asio::co_spawn(context_, measure(), asio::detached);
    asio::co_spawn(context_, in_turn(kPingInterval, &Load::ping), asio::detached);
    if (options_.reports > 0) {
      asio::co_spawn(context_, in_turn(std::chrono::seconds(options_.reports), &Load::report),
                     asio::detached);
    }
    context_.run();
    return failures_ == 0 ? 0 : 1;
  }

 private:
  static std::string review(const Options& options) {
    if (options.reviews_port == 0) return {};
    return sidetap::read_file(options.review_file).value();
  }
  std::size_t replicas() const { return options_.ports.size(); }

  static std::string text(const char* type, std::size_t tap, bool forwarding) {
    return std::string(R"({"type":")") + type + R"(","version":1,"rules":2,"addresses":[")" +
           address_of(tap) + R"("],"forwarding":)" + (forwarding ? "true" : "false") +
           R"(,"control":["sensors","filter","sampling","snaplen","rate","pause"]})";
  }

  /// Connections are numbered tap by tap, each with all replicas.
  asio::awaitable<bool> connect(std::size_t number) {
    const std::size_t tap = number / replicas();
    tcp::socket dialled(context_);
    auto [refused] =
        co_await dialled.async_connect(here(options_.ports[number % replicas()]), async::kTuple);
    if (refused) co_return false;
    const auto connection = std::make_shared<Connection>(std::move(dialled), *trust_);
    connections_[number] = connection;
    asio::steady_timer limit(context_, kHandshakeLimit);
    limit.async_wait([connection](const boost::system::error_code& error) {
      if (!error) connection->socket.tls().cut();
    });
    const auto unshaken = co_await connection->socket.tls().handshake();
    if (unshaken) co_return false;
    const std::string host = "registry", path = "/v1/taps";
    const std::string token = options_.api_port == 0 ? "" : "tap-" + std::to_string(tap);
    const auto answer = co_await connection->socket.upgrade(host, path, token);
    if (answer.error) co_return false;
    const bool said = co_await say(*connection, text("hello", tap, true));
    connection->stands = said;
    co_return said;
  }

  asio::awaitable<void> listen(std::size_t number) {
    const std::shared_ptr<Connection> connection = connections_[number];
    std::string said;
    for (;;) {
      const auto error = co_await connection->socket.read(said);
      if (error) break;
      if (std::string_view(said).substr(0, kTypeWithin).find(R"("type":"settings")") !=
          std::string_view::npos) {
        ++settings_;
      }
      // While a change is awaited: this tap has heard of it from this replica.
      if (!awaited_.empty() && said.find(awaited_) != said.npos) {
        heard_.push_back(seconds_since(changed_at_));
      }
    }
    connection->stands = false;
    if (!restarting_) ++failures_;
    --connected_;
  }

  /// False: the connection is lost.
  asio::awaitable<bool> say(Connection& connection, std::string message) {
    while (connection.writing) co_await sleep(0.0005);
    connection.writing = true;
    const auto error = co_await connection.socket.write(message);
    connection.writing = false;
    co_return !error;
  }
  using Act = asio::awaitable<void> (Load::*)(std::shared_ptr<Connection>);
  asio::awaitable<void> ping(std::shared_ptr<Connection> connection) {
    co_await connection->socket.ping();
    connection->writing = false;
  }
  asio::awaitable<void> report(std::shared_ptr<Connection> connection) {
    const std::string text = report_text(++reports_);
    static_cast<void>(co_await connection->socket.write(text));
    connection->writing = false;
  }

  /// Acts for every connection once in an interval, for some in each step. Leaves out those that
  /// write something else.
  asio::awaitable<void> in_turn(std::chrono::milliseconds interval, Act act) {
    const std::size_t share = connections_.size() / static_cast<std::size_t>(interval / kStep) + 1;
    asio::steady_timer timer(context_, Clock::now());
    for (std::size_t next = 0;;) {
      for (std::size_t i = 0; i < share; ++i, next = (next + 1) % connections_.size()) {
        const auto& connection = connections_[next];
        if (!connection || !connection->stands || connection->writing) continue;
        connection->writing = true;
        asio::co_spawn(context_, (this->*act)(connection), asio::detached);
      }
      timer.expires_at(timer.expiry() + kStep);
      co_await timer.async_wait(async::kTuple);
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
      co_await pause.async_wait(async::kTuple);
    }
  }

  asio::awaitable<void> sleep(double seconds) {
    asio::steady_timer timer(context_, std::chrono::duration_cast<Clock::duration>(
                                           std::chrono::duration<double>(seconds)));
    co_await timer.async_wait(async::kTuple);
  }

  /// One tap stops forwarding: measures how long until every tap has received that from every
  /// replica.
  asio::awaitable<void> change(std::size_t tap) {
    const std::string state = text("state", tap, false);
    awaited_ = '"' + address_of(tap) + '"';
    heard_.clear();
    changed_at_ = Clock::now();
    for (std::size_t i = 0; i < replicas(); ++i) {
      const auto connection = connections_[tap * replicas() + i];
      bool said = false;
      if (connection) said = co_await say(*connection, state);
      if (!said) ++failures_;
    }
    co_await hear_all();
  }

  /// Every replica reads another configuration: measures how long until every tap has received its
  /// settings from every replica.
  asio::awaitable<void> configure(std::uint32_t generation) {
    awaited_ = R"("generation":)" + std::to_string(generation) + ",";
    heard_.clear();
    const std::string next = options_.configuration + ".new";
    std::ofstream(next) << R"({"generation":)" << generation << R"(,"sensor":{"address":"192.0.2.)"
                        << generation % 250 + 1 << "\"}}";
    changed_at_ = Clock::now();
    std::filesystem::rename(next, options_.configuration);
    co_await hear_all();
  }

  asio::awaitable<void> hear_all() {
    while (heard_.size() < connected_ && seconds_since(changed_at_) < 30) co_await sleep(0.005);
    if (heard_.size() < connected_) ++failures_;
    delays_.insert(delays_.end(), heard_.begin(), heard_.end());
    awaited_.clear();
  }
  void end_delays(const std::string& what) {
    std::sort(delays_.begin(), delays_.end());
    if (!delays_.empty()) {
      row(what + " reaches every tap: p50, p99, most",
          with(delays_[delays_.size() / 2] * 1000, " ms, ") +
              with(delays_[delays_.size() * 99 / 100] * 1000, " ms, ") +
              with(delays_.back() * 1000, " ms"));
    }
    delays_.clear();
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

    // Until every tap has sent a report.
    co_await sleep(3 + options_.reports);
    const auto held = usages();
    row("servers' memory with them", memory(held));
    begin_reviews();
    co_await sleep(15);
    row("servers' processor while nothing changes", processor(held, 15));
    end_reviews("while nothing changes");

    begin_reviews();
    for (std::size_t i = 0; i < options_.changes && i < options_.taps; ++i) co_await change(i);
    end_reviews("while something changes");
    end_delays("a change");

    const auto unchanged = usages();
    const auto changes = Clock::now();
    begin_reviews();
    // The replicas have read generation 1.
    for (std::uint32_t i = 0; i < options_.configurations; ++i) co_await configure(i + 2);
    end_delays("a configuration");
    row("servers' processor meanwhile", processor(unchanged, seconds_since(changes)));
    end_reviews("while it changes");
    row("settings received, reports sent",
        std::to_string(settings_) + ", " + std::to_string(reports_));
    row("servers' memory then", memory(usages()));
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
    for (std::size_t i = 0; i < count; ++i) {
      if (connections_[i]) connections_[i]->socket.tls().cut();
    }
    while (connected_ > connections_.size() - count) co_await sleep(0.01);
    co_await connect_all(0, count, static_cast<double>(count) / 60);
    row("taps restarted within a minute", std::to_string(count / replicas()));
    row("servers' processor meanwhile", processor(before, seconds_since(start)));
    end_reviews("meanwhile");
  }

  Options options_;
  asio::io_context context_{1};
  const std::shared_ptr<const http::TlsTrust> trust_;
  std::vector<std::shared_ptr<Connection>> connections_;
  Reviews reviews_;
  std::size_t connected_ = 0;
  std::size_t failures_ = 0;
  std::uint64_t settings_ = 0, reports_ = 0;
  bool restarting_ = false;
  std::string awaited_;
  Clock::time_point changed_at_;
  std::vector<double> heard_;
  std::vector<double> delays_;
};

}  // namespace

int main(int argc, char** argv) try {
  Options options;
  const std::span<const char* const> arguments(argv + 1, static_cast<std::size_t>(argc - 1));
  const auto parsed = parse_options(arguments, options);
  if (parsed == ParseResult::kHelp) return 0;
  if (parsed == ParseResult::kError) return 2;
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
