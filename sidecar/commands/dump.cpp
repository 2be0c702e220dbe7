#include "sidecar/commands/dump.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "shared/net/interfaces.h"
#include "shared/net/unique_fd.h"
#include "shared/tap/assigned.h"
#include "shared/telemetry/log.h"
#include "sidecar/commands/dump_capture.h"
#include "sidecar/commands/dump_legs.h"
#include "sidecar/commands/dump_options.h"
#include "sidecar/commands/dump_stream.h"
#include "sidecar/commands/tap_connections.h"
#include "sidecar/forwarding/wall_clock.h"
#include "sidecar/privilege/privilege.h"
#include "sidecar/system/port_marks.h"
#include "sidecar/tap/interface_choice.h"

namespace sidetap {
namespace {

using Clock = std::chrono::steady_clock;

// A tap waits longer than that before it uses a new connection that others are to know of.
constexpr std::chrono::milliseconds kLookAtMarks{250};
// For a reader that is slow when a bound is reached.
constexpr std::chrono::seconds kLastBytes{2};

volatile std::sig_atomic_t asked_to_end = 0;
void ask_to_end(int) { asked_to_end = 1; }

void heed_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  struct sigaction action {};
  action.sa_handler = ask_to_end;  // and poll() returns
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(number, &action, nullptr);
}

void say(const std::string& text) { std::cerr << "sidetap-sidecar dump: " << text << '\n'; }

/// What a tap of this environment dials, where that is told as an address.
std::vector<TapConnections::Place> places_of(const DumpOptions& options) {
  std::vector<TapConnections::Place> places;
  const auto add = [&](const std::string& host, std::uint16_t port) {
    if (const auto address = net::IpAddress::parse(host)) places.push_back({*address, port});
  };
  for (const session::Sensor& sensor : options.sensors) {
    add(sensor.address.host, sensor.address.port);
    if (sensor.default_port) add(sensor.address.host, tap::kVxlanPort);
  }
  add(options.registry.host, options.registry.port);
  return places;
}

Result<net::UniqueFd> open_output(const std::string& file) {
  if (file == "-") {
    if (::isatty(STDOUT_FILENO) != 0)
      return Error{"standard output is a terminal: use a pipe, or --write FILE"};
    net::UniqueFd output(::dup(STDOUT_FILENO));
    if (!output) return Error{std::string("standard output: ") + std::strerror(errno)};
    return output;
  }
  net::UniqueFd opened(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  if (!opened) return Error{file + ": " + std::strerror(errno)};
  return opened;
}

class Dump {
 public:
  Dump(const DumpOptions& options, std::vector<net::Interface> interfaces, net::UniqueFd output)
      : options_(options),
        interfaces_(std::move(interfaces)),
        output_(std::move(output)),
        end_(Clock::now() + std::chrono::milliseconds(options.bounds.time_ms)),
        taps_(make_self(options.ownership, interfaces_, {}).addresses, places_of(options)),
        stream_(output_.get(), options.bounds, [this] { return may_wait(); }) {}

  Result<void> open();
  /// Until a bound is reached. Error: it cannot go on; what has been written is whole.
  Result<void> run();
  const DumpStream& stream() const { return stream_; }
  std::string summary();

 private:
  bool is_over();
  bool may_wait();
  void look_at_marks();
  Result<void> open_legs(forwarding::CaptureHeading& heading);
  Result<std::size_t> read_all();
  void wait();
  void finish();

  const DumpOptions& options_;
  const std::vector<net::Interface> interfaces_;
  net::UniqueFd output_;
  Clock::time_point end_;
  TapConnections taps_;
  DumpStream stream_;
  std::optional<PortMarks> marks_;
  std::unique_ptr<DumpLegs> legs_;  // null: none are wanted
  std::vector<std::unique_ptr<DumpCapture>> captures_;
  std::vector<pollfd> waited_for_;
  Clock::time_point next_look_;
};

/// A signal brings the end forward.
bool Dump::is_over() {
  const auto now = Clock::now();
  if (asked_to_end != 0) end_ = std::min(end_, now);
  return now >= end_;
}

bool Dump::may_wait() { return !is_over() || Clock::now() < end_ + kLastBytes; }

Result<void> Dump::open() {
  RunOptions choice;
  choice.interfaces = options_.interfaces;
  choice.ownership = options_.ownership;
  forwarding::CaptureHeading heading{
      .format = options_.format, .snaplen = options_.snaplen, .interfaces = {}, .names = {}};
  marks_.emplace(1);
  look_at_marks();
  for (const std::string& name : choose_interfaces(choice, interfaces_)) {
    const net::Interface* const found = find_interface(interfaces_, name);
    net::Interface interface;  // "any", or one that is not there
    interface.name = name;
    const auto number = static_cast<std::uint32_t>(captures_.size());
    captures_.push_back(std::make_unique<DumpCapture>(
        options_, found != nullptr ? *found : interface, interfaces_, number, taps_, stream_));
    if (auto opened = captures_.back()->open(); !opened) return opened;
    heading.interfaces.push_back(forwarding::label_of(options_.pod, name));
    if (captures_.back()->link_type() != captures_.front()->link_type())
      return Error{name + " has another link layer than " + captures_.front()->name() +
                   ": dump one of them at a time"};
  }
  if (options_.mesh) {
    if (auto opened = open_legs(heading); !opened) return opened;
  }
  heading.link_type = static_cast<std::uint16_t>(captures_.front()->link_type());
  heading.names =
      forwarding::names_of(options_.pod, make_self(options_.ownership, interfaces_, {}).addresses);
  for (const auto& capture : captures_) capture->start();
  stream_.begin(heading);
  return {};
}

/// Behind the captures, as an interface of its own, in the form of the first of them.
Result<void> Dump::open_legs(forwarding::CaptureHeading& heading) {
  DumpCapture& first = *captures_.front();
  legs_ = std::make_unique<DumpLegs>(options_, first.interface(), interfaces_, first.link_type(),
                                     static_cast<std::uint32_t>(captures_.size()), stream_);
  if (auto opened = legs_->open(); !opened) return opened;
  first.set_legs(*legs_);
  heading.interfaces.push_back(legs_->label());
  return {};
}

void Dump::look_at_marks() {
  next_look_ = Clock::now() + kLookAtMarks;
  auto others = marks_->others();
  if (!others || !taps_.set_ports(std::move(others->ports))) return;
  // Without its part in the kernel's filter, the process leaves them out.
  for (const auto& capture : captures_) (void)capture->renew_filter();
}

Result<std::size_t> Dump::read_all() {
  std::size_t total = 0;
  for (const auto& capture : captures_) {
    const auto got = capture->read();
    if (!got) return got;
    total += *got;
  }
  return legs_ ? total + legs_->read() : total;
}

/// For packets, for the next look at the marks, for the end, or until the reader goes away.
void Dump::wait() {
  waited_for_.clear();
  for (const auto& capture : captures_) waited_for_.push_back({capture->descriptor(), POLLIN, 0});
  if (legs_) {
    waited_for_.push_back({legs_->descriptor(), POLLIN, 0});
    waited_for_.push_back({legs_->openings_descriptor(), POLLIN, 0});
  }
  waited_for_.push_back({stream_.descriptor(), 0, 0});
  auto until = std::min(next_look_, end_);
  if (legs_) until = std::min(until, legs_->next_look());
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
  const int timeout = std::max(static_cast<int>(left.count()) + 1, 0);
  if (::poll(waited_for_.data(), waited_for_.size(), timeout) > 0)
    stream_.note(waited_for_.back().revents);
}

Result<void> Dump::run() {
  Result<void> done;
  while (stream_.is_open() && !is_over()) {
    if (Clock::now() >= next_look_) look_at_marks();
    if (legs_ && Clock::now() >= legs_->next_look()) legs_->look();
    const auto got = read_all();
    if (!got) {
      done = got.error();
      break;
    }
    stream_.flush();
    if (*got == 0 && stream_.is_open()) wait();
  }
  end_ = std::min(end_, Clock::now());
  finish();
  if (stream_.state() == DumpStream::State::kFailed)
    return Error{"cannot write: " + stream_.failure()};
  return done;
}

void Dump::finish() {
  for (const auto& capture : captures_) capture->finish();
  if (legs_) legs_->finish();
  std::vector<forwarding::InterfaceTotals> totals;
  for (const auto& capture : captures_) totals.push_back(capture->totals());
  if (legs_) totals.push_back(legs_->totals());
  stream_.end(forwarding::wall_clock_ns(), totals);
}

std::string Dump::summary() {
  std::uint64_t dropped = 0;
  for (const auto& capture : captures_) dropped += capture->totals().dropped;
  if (legs_) dropped += legs_->totals().dropped;
  return std::to_string(stream_.packets()) + " packets, " + std::to_string(stream_.bytes()) +
         " bytes, " + std::to_string(dropped) + " dropped by the kernel";
}

void give_up_rights() {
  if (auto dropped = privilege::drop_capabilities(); !dropped)
    say("cannot drop capabilities: " + dropped.error().text);
  if (auto entered = privilege::enter_sandbox(false); !entered)
    say("running without a sandbox: " + entered.error().text);
}

Result<void> run_dump(const DumpOptions& options) {
  auto output = open_output(options.file);
  if (!output) return output.error();
  auto interfaces = net::list_interfaces();
  if (!interfaces) return interfaces.error();
  Dump dump(options, std::move(*interfaces), std::move(*output));
  if (auto opened = dump.open(); !opened) return opened;
  if (options.sandbox) give_up_rights();
  say("capturing");
  if (options.owned) {
    for (const std::string& sentence : assumptions(options.ownership))
      std::cerr << "assumed: " << sentence << '\n';
  }
  auto done = dump.run();
  if (dump.stream().state() != DumpStream::State::kGone) say(dump.summary());
  return done;
}

}  // namespace

int dump_command(std::span<const char* const> arguments) {
  DumpOptions options;
  const auto parsed = parse_dump_options(arguments, config::process_environment, options);
  if (parsed != config::ParseResult::kRun) return parsed == config::ParseResult::kHelp ? 0 : 2;
  telemetry::init_log(telemetry::LogFormat::kText, telemetry::LogLevel::kWarn);
  heed_signals();
  if (auto done = run_dump(options); !done) {
    say(done.error().text);
    return 1;
  }
  return 0;
}

}  // namespace sidetap
