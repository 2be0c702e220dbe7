// Plays many taps towards a collector, with their control sessions and their packets, and says as
// one line of JSON how long they took to capture, and what they sent. collector.sh starts it.
//
// A tap takes two descriptors, so that several processes may have to share the taps. They wait for
// each other where all taps must have come so far.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <exception>
#include <iostream>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/async/task_group.h"
#include "shared/async/tuple.h"
#include "sidecar/session/tls.h"
#include "tests/bench/played_tap.h"
#include "tests/bench/tap_load_options.h"
#include "tests/bench/tap_tally.h"

namespace sidetap::bench {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Of turns to send, before the sessions get theirs.
constexpr unsigned kMostTurns = 64;
/// Of one tap's packets that are sent at a time, like those that a tap gathers for this long.
constexpr double kGatherSeconds = 0.01;
constexpr std::uint32_t kMostBurst = 256;
constexpr milliseconds kDrainLimit{30'000};
constexpr milliseconds kStopLimit{30'000};
constexpr milliseconds kPoll{5};

double seconds_from(Clock::time_point moment) {
  return std::chrono::duration<double>(Clock::now() - moment).count();
}

/// The taps of one process.
class Load {
 public:
  Load(const TapLoadOptions& options, TapTally& tally, std::uint32_t process)
      : options_(options),
        tally_(tally),
        process_(process),
        field_{.executor = context_.get_executor(),
               .collector = collector_of(options),
               .counts = tally.counts()} {
    field_.payload.resize(options.payload);
    if (!options.tls_ca.empty()) {
      field_.tls_settings.role = session::TlsRole::kClient;
      field_.tls_settings.ca_file = options.tls_ca;
      field_.tls_settings.server_name = options.tls_name;
      field_.tls = session::make_tls_context(field_.tls_settings).value();
    }
    for (std::uint32_t tap = process; tap < options.taps; tap += options.processes) {
      const std::uint32_t address = options.first_address.v4_bits() + tap / options.taps_of_address;
      taps_.push_back(std::make_unique<PlayedTap>(field_, tap, net::IpAddress::v4(address),
                                                  [this, tap] { captures(tap); }));
    }
    burst_ = std::clamp(static_cast<std::uint32_t>(options.rate * kGatherSeconds / options.taps),
                        1U, kMostBurst);
  }

  void run() { async::run_to_end(context_, measure()); }

 private:
  static session::Endpoint collector_of(const TapLoadOptions& options) {
    return {asio::ip::make_address(options.collector.host), options.collector.port};
  }

  /// The first process speaks for all.
  void say(const char* text) const {
    if (process_ == 0) std::cerr << text << std::endl;
  }

  void captures(std::uint32_t tap) {
    float& time = tally_.times()[std::size_t{stage_} * options_.taps + tap];
    if (time > 0) return;
    time = std::max(1e-6F, static_cast<float>(seconds_from(begun_)));
    ++reached_;
  }

  asio::awaitable<void> sleep(milliseconds time) {
    asio::steady_timer timer(context_, time);
    co_await timer.async_wait(async::kTuple);
  }

  asio::awaitable<void> measure() {
    begin_stage(0);
    for (const auto& tap : taps_) tasks_.spawn("tap", tap->run());
    co_await all_capture();
    for (std::uint32_t storm = 1; storm <= options_.storms; ++storm) {
      co_await meet();
      begin_stage(storm);
      for (const auto& tap : taps_) tap->cut();
      co_await all_capture();
    }
    co_await meet();
    say("all taps capture, or their time is over");
    co_await send();
    co_await drain();
    co_await meet();
    say("all packets are sent");
    co_await sleep(std::chrono::seconds(options_.settle));
    for (const auto& tap : taps_) tap->stop();
    const bool ended = co_await tasks_.wait(kStopLimit);
    if (ended) co_return;
    tasks_.cancel();
    const bool cancelled = co_await tasks_.wait(kStopLimit);
    if (cancelled) co_return;
    // What waits for them would outlive them.
    std::cerr << "tap_load: some taps do not end\n";
    _exit(1);
  }

  void begin_stage(std::uint32_t stage) {
    stage_ = stage;
    reached_ = 0;
    begun_ = Clock::now();
  }

  asio::awaitable<void> all_capture() {
    while (reached_ < taps_.size() && seconds_from(begun_) < options_.limit) co_await sleep(kPoll);
  }

  /// Returns when every process has come to this point.
  asio::awaitable<void> meet() {
    ++meetings_;
    ++tally_.counts().arrivals;
    while (tally_.counts().arrivals.load() < meetings_ * options_.processes) co_await sleep(kPoll);
  }

  asio::awaitable<void> send() {
    const auto begin = Clock::now();
    const double rate = static_cast<double>(options_.rate) / options_.processes;
    double offered = 0;
    asio::steady_timer pause(context_);
    for (double passed = 0; passed < options_.seconds; passed = seconds_from(begin)) {
      unsigned turns = 0;
      for (; turns < kMostTurns && offered + burst_ <= rate * passed; ++turns) {
        PlayedTap* const tap = next_tap();
        if (tap == nullptr) break;
        tap->send(burst_);
        offered += burst_;
      }
      pause.expires_after(milliseconds(turns == kMostTurns ? 0 : 1));
      co_await pause.async_wait(async::kTuple);
    }
  }

  /// In turn; null: none takes more.
  PlayedTap* next_tap() {
    for (std::size_t asked = 0; asked < taps_.size(); ++asked) {
      PlayedTap& tap = *taps_[next_];
      next_ = (next_ + 1) % taps_.size();
      if (tap.takes_more()) return &tap;
    }
    return nullptr;
  }

  asio::awaitable<void> drain() {
    const auto until = Clock::now() + kDrainLimit;
    for (const auto& tap : taps_) {
      while (!tap->has_sent_all() && Clock::now() < until) co_await sleep(milliseconds(1));
    }
  }

  const TapLoadOptions& options_;
  TapTally& tally_;
  std::uint32_t process_;
  asio::io_context context_{1};
  TapField field_;
  std::vector<std::unique_ptr<PlayedTap>> taps_;
  async::TaskGroup tasks_{context_.get_executor(), nullptr};
  std::uint32_t burst_ = 1;
  std::uint32_t stage_ = 0;  // 0: the first time; then the storms
  Clock::time_point begun_;
  std::size_t reached_ = 0;  // taps, in this stage
  std::uint32_t meetings_ = 0;
  std::size_t next_ = 0;  // whose turn it is to send
};

void allow_descriptors(const TapLoadOptions& options) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  const rlim_t wanted = 2 * (options.taps / options.processes + 1) + 64;
  if (files.rlim_max < wanted) {
    throw std::runtime_error("the taps of a process need " + std::to_string(wanted) +
                             " descriptors, and the hard limit is " +
                             std::to_string(files.rlim_max) + ": give more --processes");
  }
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

int play(const TapLoadOptions& options, TapTally& tally, std::uint32_t process) {
  try {
    Load(options, tally, process).run();
    return 0;
  } catch (const std::exception& fault) {
    std::cerr << "tap_load: " << fault.what() << '\n';
    return 1;
  }
}

/// False: one of them has failed; the others are then ended.
bool play_in_processes(const TapLoadOptions& options, TapTally& tally) {
  std::vector<pid_t> children;
  const pid_t parent = getpid();
  for (std::uint32_t process = 0; process < options.processes; ++process) {
    const pid_t child = fork();
    if (child < 0) throw std::runtime_error("no process can be started");
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      _exit(getppid() == parent ? play(options, tally, process) : 1);
    }
    children.push_back(child);
  }
  bool good = true;
  while (!children.empty()) {
    int status = 0;
    const pid_t ended = wait(&status);
    std::erase(children, ended);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    // The others would wait for it.
    if (std::exchange(good, false))
      for (const pid_t child : children) kill(child, SIGKILL);
  }
  return good;
}

std::string times_text(std::span<const float> times) {
  const TimeSummary summary = summary_of(times);
  return "{\"captured\": " + std::to_string(summary.count) +
         ", \"p50_seconds\": " + std::to_string(summary.p50) +
         ", \"most_seconds\": " + std::to_string(summary.most) + "}";
}

/// Whether every tap captured each time.
bool report(const TapLoadOptions& options, TapTally& tally) {
  const std::span<const float> times = tally.times();
  const TapCounts& counts = tally.counts();
  const auto stage = [&](std::uint32_t number) {
    return times.subspan(std::size_t{number} * options.taps, options.taps);
  };
  std::string storms;
  for (std::uint32_t storm = 1; storm <= options.storms; ++storm)
    storms += (storms.empty() ? "" : ", ") + times_text(stage(storm));
  std::cout << "{\"taps\": " << options.taps << ", \"first\": " << times_text(stage(0))
            << ", \"storms\": [" << storms << "], \"failures\": " << counts.failures.load()
            << ", \"packet_bytes\": " << PlayedTap::kHeaders + options.payload
            << ", \"packets\": " << counts.packets.load() << ", \"bytes\": " << counts.bytes.load()
            << ", \"datagrams\": " << counts.datagrams.load()
            << ", \"send_errors\": " << counts.send_errors.load() << "}" << std::endl;
  return std::all_of(times.begin(), times.end(), [](float time) { return time > 0; });
}

}  // namespace
}  // namespace sidetap::bench

int main(int argc, char** argv) try {
  using namespace sidetap::bench;
  using sidetap::config::ParseResult;
  TapLoadOptions options;
  const std::span<const char* const> arguments(argv + 1, static_cast<std::size_t>(argc - 1));
  const auto parsed = parse_tap_load_options(arguments, options);
  if (parsed == ParseResult::kHelp) return 0;
  if (parsed == ParseResult::kError) return 2;
  std::signal(SIGPIPE, SIG_IGN);
  allow_descriptors(options);
  TapTally tally(std::size_t{options.taps} * (options.storms + 1));
  if (!play_in_processes(options, tally)) return 1;
  return report(options, tally) ? 0 : 1;
} catch (const std::exception& fault) {
  std::cerr << "tap_load: " << fault.what() << '\n';
  return 1;
}
