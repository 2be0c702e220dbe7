#include "sidecar/capture_loop.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>

#include "shared/net/unique_fd.h"
#include "shared/telemetry/log.h"
#include "sidecar/forwarding/tcp_output.h"
#include "sidecar/forwarding/udp_output.h"
#include "sidecar/interface_description.h"

namespace sidetap {
namespace {

using Clock = std::chrono::steady_clock;
using forwarding::Forwarder;

// After this many packets the loop looks at the clock and at its commands.
constexpr std::size_t kPacketsPerRead = 256;
// Times the blocks of the ring it covers the 50 ms for which a tap stands at its limit of half a
// CPU, and as much again on a busy node.
constexpr unsigned kBlockTimeoutMs = 8;
constexpr std::uint32_t kLongestPacket = 262'144;
// Of the link layer, IP with extension headers, a tunnel or a quoted packet, and ports.
constexpr std::uint32_t kHeaderBytes = 256;
constexpr int kReopenMilliseconds = 1000;
// Between two pieces of what was kept during an outage, while nothing else is to be done: UDP says
// not when it is too much.
constexpr int kReplayPause = 1;
constexpr int kReopenAttempts = 60;
constexpr std::chrono::seconds kHandOver{2};
// The kernel hands a block over when it is full or, after two rounds of its timer, when its time is
// up; that of the SCTP ring is the longest.
constexpr std::chrono::milliseconds kDrain{100};
// For a sensor that has stopped reading to take what is packed for it.
constexpr std::chrono::milliseconds kFinish{200};

std::unique_ptr<forwarding::Output> make_output(session::CaptureOrder& order) {
  switch (order.kind) {
    case session::DataKind::kUdpstr:
      return forwarding::make_udpstr_output(std::move(order.socket), order.datagram_size,
                                            std::move(order.on_fault));
    case session::DataKind::kUdp:
      return forwarding::make_plain_udp_output(std::move(order.socket), order.datagram_size,
                                               std::move(order.on_fault));
    case session::DataKind::kTcp:
      break;
  }
  return forwarding::make_tcp_output(std::move(order.socket), std::move(order.tls),
                                     std::move(order.on_fault));
}

void add_counts(capture::SourceCounts& into, const capture::SourceCounts& counts) {
  into.accepted += counts.accepted;
  into.dropped += counts.dropped;
  into.dropped_by_interface += counts.dropped_by_interface;
}

/// What is taken from the kernel of each packet. Checksums and segments can be made of whole
/// packets only, so where they are, the forwarders cut; who owns a packet can be told from its
/// headers.
std::uint32_t captured_bytes(const CaptureLoopConfig& config) {
  const fidelity::RestorerConfig& fidelity = config.pipeline.fidelity;
  if (fidelity.checksums || fidelity.segment != fidelity::SegmentMode::kOff) return kLongestPacket;
  return std::max(config.snaplen, kHeaderBytes);
}

}  // namespace

struct CaptureLoop::Impl {
  struct Capture {
    std::shared_ptr<Forwarder> forwarder;
    std::string key;
    Part part;
    capture::SourceCounts before{};  // of all that came before this capture
  };

  Impl(CaptureLoopConfig c, OpenSource open, std::unique_ptr<ownership::ListeningSockets> l)
      : config(std::move(c)),
        open_source(std::move(open)),
        listening(std::move(l)),
        engine(config.engine, *listening),
        pipeline(config.pipeline, engine),
        self(config.engine.self),
        wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    ended.sensors.resize(config.sensors.size());
  }

  // --- control thread -------------------------------------------------------------------------

  /// Runs `command` on the capture thread and returns when it has run.
  void on_packet_path(const std::function<void()>& command) {
    std::unique_lock lock(mutex);
    if (!running) {
      command();
      return;
    }
    bool done = false;
    commands.push_back({&command, &done});
    has_commands.store(true, std::memory_order_release);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(wake.get(), &one, sizeof one);
    changed.wait(lock, [&] { return done; });
  }

  std::uint64_t add(Capture capture) {
    on_packet_path([&] {
      capture.before = source_counts();
      pipeline.add(capture.forwarder, capture.key, capture.part);
    });
    captures.emplace(next_capture, std::move(capture));
    return next_capture++;
  }

  void add_counts_of(const Capture& capture, LoopCounts& into) const {
    const CaptureCounts counts = counts_of(*capture.forwarder);
    if (capture.part == Part::kCopy) {
      into.copies += counts;
      return;
    }
    into += counts;
    const auto sensor = std::find(config.sensors.begin(), config.sensors.end(), capture.key);
    if (sensor != config.sensors.end())
      into.sensors[static_cast<std::size_t>(sensor - config.sensors.begin())] += counts;
  }

  Result<std::vector<capture::BpfInstruction>> build_filter() const {
    capture::FilterConfig filter;
    filter.link = link.load(std::memory_order_relaxed);
    filter.self = self.addresses;
    filter.mac = self.mac;
    filter.broadcasts = self.broadcasts;
    for (const auto& [owner, endpoints] : own)
      filter.own.insert(filter.own.end(), endpoints.begin(), endpoints.end());
    filter.unowned_peers = config.unowned_peers;
    filter.accept_bytes = captured_bytes(config);
    return capture::build_kernel_filter(filter);
  }

  /// The engine knows the same and has the last word, so a filter that cannot be built or attached
  /// costs time, not correctness.
  void renew_filter() {
    auto built = build_filter();
    if (!built) {
      telemetry::warn("the kernel's filter cannot be built; the process filters alone",
                      {{"interface", config.interface}, {"reason", built.error().text}});
      return;
    }
    on_packet_path([&, built_for = link.load(std::memory_order_relaxed)] {
      program = std::move(*built);
      program_link = built_for;
      attach_filter();
    });
  }

  // --- capture thread -------------------------------------------------------------------------

  capture::SourceCounts source_counts() {
    capture::SourceCounts counts = closed;
    if (source) add_counts(counts, source->counts());
    return counts;
  }

  /// How many of the first `accepted` packets of this source have not come yet.
  std::uint64_t unread(std::uint64_t accepted) {
    const std::uint64_t came =
        pipeline.ledger().read.value() - read_before + source->counts().dropped;
    return accepted > came ? accepted - came : 0;
  }

  void attach_filter() {
    if (!source || program.empty()) return;
    if (auto set = source->set_filter(program); !set)
      telemetry::warn("the process filters alone",
                      {{"interface", config.interface}, {"reason", set.error().text}});
  }

  Result<void> open() {
    capture::DeviceConfig device;
    device.interface = config.interface.c_str();
    device.method = config.method;
    device.snaplen = captured_bytes(config);
    device.buffer_bytes = config.buffer_bytes;
    device.most_buffer_bytes = config.most_buffer_bytes;
    device.block_timeout_ms = kBlockTimeoutMs;
    device.filter = program;
    device.filter_link = program_link;
    auto opened = open_source(device);
    if (!opened) return opened.error();
    source = std::move(*opened);
    read_before = pipeline.ledger().read.value();
    is_open.store(true, std::memory_order_relaxed);
    link.store(source->link_type(), std::memory_order_relaxed);
    pipeline.set_link_type(source->link_type());
    return {};
  }

  void run_commands() {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = read(wake.get(), &count, sizeof count);
    std::lock_guard lock(mutex);
    has_commands.store(false, std::memory_order_release);
    for (const Command& command : commands) {
      (*command.run)();
      *command.done = true;
    }
    commands.clear();
    changed.notify_all();
  }

  void source_died(const std::string& reason) {
    telemetry::warn("capture stopped; opening the interface again",
                    {{"interface", config.interface}, {"reason", reason}});
    (void)drain();
    capture::SourceCounts counts = source->counts();
    counts.dropped += unread(counts.accepted);
    add_counts(closed, counts);
    source.reset();
    is_open.store(false, std::memory_order_relaxed);
    if (config.on_close) config.on_close();
    attempts = 0;
    reopen_at = Clock::now();
  }

  void give_up_rights() {
    if (auto give_up = std::exchange(config.give_up_rights, nullptr)) give_up();
  }

  void try_reopen() {
    if (Clock::now() < reopen_at) return;
    if (auto opened = open(); opened) {
      reopened.add();
      telemetry::info("the interface is open", {{"interface", config.interface}});
      give_up_rights();
      if (config.on_open) config.on_open();
      return;
    } else if (++attempts == kReopenAttempts && config.on_lost) {
      config.on_lost(opened.error().text);
    }
    reopen_at = Clock::now() + std::chrono::milliseconds(kReopenMilliseconds);
  }

  /// Reads up to `kPacketsPerRead`; how many there were.
  std::size_t read_some() {
    auto got = source->read(pipeline, kPacketsPerRead);
    if (got) return *got;
    source_died(got.error().text);
    return 0;
  }

  void wait(int timeout_ms) {
    polled.clear();
    polled.push_back({wake.get(), POLLIN, 0});
    if (source) polled.push_back({source->descriptor(), POLLIN, 0});
    blocked.clear();
    pipeline.collect_blocked(blocked);
    for (const int descriptor : blocked) polled.push_back({descriptor, POLLOUT, 0});
    poll(polled.data(), polled.size(), timeout_ms);
  }

  void loop() {
    if (source) give_up_rights();
    Clock::time_point last_flush = Clock::now();
    while (!stopping.load(std::memory_order_relaxed)) {
      if (has_commands.load(std::memory_order_acquire)) run_commands();
      if (stopping.load(std::memory_order_relaxed)) break;  // one of the commands says so
      if (!source) try_reopen();
      const std::size_t got = source ? read_some() : 0;
      pipeline.replay(got);
      if (got == 0) {
        // Nothing more is there now: what is packed need not wait for company.
        pipeline.flush();
        last_flush = Clock::now();
        wait(pipeline.can_replay() ? kReplayPause : source ? 1000 : kReopenMilliseconds);
      } else if (const auto now = Clock::now(); now - last_flush >= config.flush_interval) {
        pipeline.flush();
        last_flush = now;
      }
    }
    // Nothing more comes in, so that the kernel's count stays at what is read now.
    constexpr capture::BpfInstruction kNothing{.code = 0x06, .jt = 0, .jf = 0, .k = 0};
    if (source) (void)source->set_filter({&kNothing, 1});
    (void)drain();
    pipeline.flush();
    pipeline.abandon();
  }

  /// For a tap that is about to end its sessions. What comes meanwhile goes behind what is kept.
  void hand_over() {
    const auto deadline = Clock::now() + kHandOver;
    while (source && pipeline.can_replay() && Clock::now() < deadline) {
      const std::size_t got = read_some();
      pipeline.replay(got);
      pipeline.flush();
      if (got == 0) wait(kReplayPause);
    }
  }

  /// Reads what was captured up to now. The error of a source that has died meanwhile.
  Result<void> drain() {
    Result<void> alive;
    const auto deadline = Clock::now() + kDrain;
    const std::uint64_t accepted = source ? source->counts().accepted : 0;
    while (source && unread(accepted) != 0 && Clock::now() < deadline) {
      const auto got = source->read(pipeline, kPacketsPerRead);
      if (!got) alive = got.error();
      if (got && *got != 0) continue;
      pollfd ready{source->descriptor(), POLLIN, 0};
      poll(&ready, 1, 1);
    }
    return alive;
  }

  /// Takes the capture away, and gives its sensor a moment to read what is packed for it; the
  /// others must not pay for that.
  void end(Forwarder& forwarder) {
    if (auto alive = drain(); !alive) source_died(alive.error().text);
    pipeline.remove(&forwarder);
    forwarding::Output& output = forwarder.output();
    output.flush();
    const auto deadline = Clock::now() + kFinish;
    while (output.blocked_descriptor() >= 0 && Clock::now() < deadline) {
      if (!source || read_some() == 0) {
        pipeline.flush();
        pollfd ready{output.blocked_descriptor(), POLLOUT, 0};
        poll(&ready, 1, 1);
      }
      output.flush();
    }
    output.finish();
  }

  struct Command {
    const std::function<void()>* run;
    bool* done;
  };

  CaptureLoopConfig config;
  OpenSource open_source;
  std::unique_ptr<ownership::ListeningSockets> listening;
  ownership::Engine engine;
  Pipeline pipeline;
  std::unique_ptr<capture::PacketSource> source;

  // Control thread.
  ownership::Self self;
  std::map<std::string, std::vector<capture::OwnEndpoint>> own;
  std::map<std::uint64_t, Capture> captures;
  LoopCounts ended;  // of captures that are no more
  std::uint64_t next_capture = 1;
  std::thread thread;

  // Capture thread.
  std::vector<capture::BpfInstruction> program;  // for program_link
  capture::LinkType program_link = capture::LinkType::kEthernet;
  std::uint64_t read_before = 0;  // packets that came from sources that are no more
  capture::SourceCounts closed;   // of those
  telemetry::HotCounter reopened;
  Clock::time_point reopen_at;
  int attempts = 0;
  std::vector<pollfd> polled;
  std::vector<int> blocked;

  // Between them.
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Command> commands;  // under mutex
  bool running = false;          // under mutex
  std::atomic<bool> has_commands{false};
  std::atomic<bool> stopping{false};
  std::atomic<bool> is_open{false};
  std::atomic<capture::LinkType> link{capture::LinkType::kEthernet};
  net::UniqueFd wake;
};

CaptureLoop::CaptureLoop(CaptureLoopConfig config, OpenSource open_source,
                         std::unique_ptr<ownership::ListeningSockets> listening)
    : impl_(
          std::make_unique<Impl>(std::move(config), std::move(open_source), std::move(listening))) {
  // As for Ethernet, which nearly every interface is; of another one only what it says then.
  impl_->renew_filter();
  if (auto opened = impl_->open(); !opened) {
    telemetry::error("cannot capture yet; trying again",
                     {{"interface", impl_->config.interface}, {"reason", opened.error().text}});
  } else if (impl_->program_link != impl_->link) {
    impl_->renew_filter();
  }
}

CaptureLoop::~CaptureLoop() { finish(); }

void CaptureLoop::run() {
  impl_->running = true;
  impl_->thread = std::thread([this] { impl_->loop(); });
}

void CaptureLoop::settle() {
  impl_->on_packet_path([] {});
}

void CaptureLoop::hand_over() {
  impl_->on_packet_path([this] { impl_->hand_over(); });
}

void CaptureLoop::finish() {
  if (!impl_->thread.joinable()) return;
  impl_->on_packet_path([this] { impl_->stopping = true; });
  impl_->thread.join();
  impl_->running = false;
}

void CaptureLoop::exclude_own_traffic(const std::string& owner,
                                      std::vector<capture::OwnEndpoint> endpoints) {
  if (endpoints.empty()) {
    impl_->own.erase(owner);
  } else {
    impl_->own[owner] = std::move(endpoints);
  }
  std::vector<capture::OwnEndpoint> all;
  for (const auto& [name, list] : impl_->own) all.insert(all.end(), list.begin(), list.end());
  impl_->engine.set_own_endpoints(std::move(all));
  impl_->renew_filter();
}

Result<std::uint64_t> CaptureLoop::start(session::CaptureOrder order) {
  if (!is_open()) {
    return Error{"the interface " + name() + " is not open now: nothing can be captured"};
  }
  auto filter = forwarding::SensorFilter::make(order.filter);
  if (!filter) return filter.error();
  const std::uint32_t snaplen = std::min(order.snaplen, impl_->config.snaplen);
  return impl_->add({.forwarder = std::make_shared<Forwarder>(
                         make_output(order), std::move(*filter), order.sampling, snaplen),
                     .key = order.sensor,
                     .part = order.copy ? Part::kCopy : Part::kTaker});
}

std::uint64_t CaptureLoop::start_output(std::unique_ptr<forwarding::Output> output,
                                        const std::string& key) {
  return impl_->add(
      {.forwarder = std::make_shared<Forwarder>(std::move(output), forwarding::SensorFilter(),
                                                rpcap::Sampling(), impl_->config.snaplen),
       .key = key,
       .part = Part::kTaker});
}

Result<void> CaptureLoop::update_filter(std::uint64_t capture,
                                        std::vector<rpcap::BpfInstruction> filter) {
  const auto found = impl_->captures.find(capture);
  if (found == impl_->captures.end()) return Error{"there is no such capture"};
  auto made = forwarding::SensorFilter::make(filter);
  if (!made) return made.error();
  impl_->on_packet_path([&] { found->second.forwarder->set_filter(std::move(*made)); });
  return {};
}

void CaptureLoop::stop(std::uint64_t capture) {
  const auto found = impl_->captures.find(capture);
  if (found == impl_->captures.end()) return;
  const Impl::Capture ending = std::move(found->second);
  impl_->captures.erase(found);
  impl_->on_packet_path([&] { impl_->end(*ending.forwarder); });
  impl_->add_counts_of(ending, impl_->ended);
}

rpcap::Stats CaptureLoop::stats(std::uint64_t capture) {
  const auto found = impl_->captures.find(capture);
  if (found == impl_->captures.end()) return {};
  capture::SourceCounts now;
  impl_->on_packet_path([&] { now = impl_->source_counts(); });
  const auto since = [](std::uint64_t count, std::uint64_t before) {
    return static_cast<std::uint32_t>(count - before);
  };
  const capture::SourceCounts& before = found->second.before;
  rpcap::Stats stats;
  stats.received = since(now.accepted, before.accepted);
  stats.dropped_by_interface = since(now.dropped_by_interface, before.dropped_by_interface);
  stats.dropped_by_kernel = since(now.dropped, before.dropped);
  stats.captured = since(found->second.forwarder->output().counts().forwarded.value(), 0);
  return stats;
}

rpcap::Interface CaptureLoop::interface() {
  return describe_interface(impl_->config.interface, impl_->config.description);
}

std::int32_t CaptureLoop::link_type() { return static_cast<std::int32_t>(impl_->link.load()); }

void CaptureLoop::set_self(ownership::Self self) {
  impl_->self = self;
  impl_->engine.set_self(std::move(self));
  impl_->renew_filter();
}

void CaptureLoop::set_mtu(std::uint32_t mtu) {
  impl_->on_packet_path([&] { impl_->pipeline.set_mtu(mtu); });
}

void CaptureLoop::set_gateways(std::vector<net::IpAddress> gateways) {
  impl_->engine.set_gateways(std::move(gateways));
}

void CaptureLoop::set_tapped_peers(std::shared_ptr<const ownership::TappedPeers> peers) {
  impl_->engine.set_tapped_peers(std::move(peers));
}

void CaptureLoop::set_unowned_peers(std::vector<net::Cidr> peers) {
  if (impl_->config.unowned_peers == peers) return;
  impl_->config.unowned_peers = std::move(peers);
  impl_->renew_filter();
}

bool CaptureLoop::is_open() const { return impl_->is_open.load(std::memory_order_relaxed); }
const std::string& CaptureLoop::name() const { return impl_->config.interface; }
const std::vector<std::string>& CaptureLoop::sensors() const { return impl_->config.sensors; }
const Ledger& CaptureLoop::ledger() const { return impl_->pipeline.ledger(); }
std::size_t CaptureLoop::captures() const { return impl_->captures.size(); }

LoopCounts CaptureLoop::counts() {
  LoopCounts counts = impl_->ended;
  for (const auto& [id, capture] : impl_->captures) impl_->add_counts_of(capture, counts);
  for (std::size_t i = 0; i < impl_->config.pipeline.expected.size(); ++i)
    counts.sensors[i].missed = impl_->pipeline.missed(i);
  impl_->on_packet_path([&] { counts.source = impl_->source_counts(); });
  counts.reopened = impl_->reopened.value();
  return counts;
}

}  // namespace sidetap
