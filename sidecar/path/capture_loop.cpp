#include "sidecar/path/capture_loop.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>

#include "shared/net/distinct.h"
#include "shared/net/unique_fd.h"
#include "shared/telemetry/log.h"
#include "sidecar/forwarding/tcp_output.h"
#include "sidecar/forwarding/udp_output.h"
#include "sidecar/path/interface_description.h"
#include "sidecar/path/source_slot.h"

namespace sidetap {
namespace {

using Clock = std::chrono::steady_clock;
using forwarding::Forwarder;

// After this many packets the loop looks at the clock and at its commands.
constexpr std::size_t kPacketsPerRead = 256;
// Times the blocks of the ring it covers the 50 ms for which a tap stands at its limit of half a
// CPU, and as much again on a busy node.
constexpr unsigned kBlockTimeoutMs = 8;
// With BIG TCP, as far as the kernel lets it be set (GSO_MAX_SIZE, 524,280), and its headers.
constexpr std::uint32_t kLongestPacket = 540'000;
// Of the link layer, IP with extension headers, a tunnel or a quoted packet, and ports.
constexpr std::uint32_t kHeaderBytes = 256;
// Between two pieces of what was kept during an outage, while nothing else is to be done: UDP says
// not when it is too much.
constexpr int kReplayPause = 1;
constexpr std::chrono::seconds kHandOver{2};
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

/// What is taken from the kernel of each packet. Checksums and segments can be made of whole
/// packets only, so where they are, the forwarders cut; who owns a packet can be told from its
/// headers.
std::uint32_t captured_bytes(const CaptureLoopConfig& config) {
  const fidelity::RestorerConfig& fidelity = config.pipeline.fidelity;
  if (fidelity.checksums || fidelity.segment != fidelity::SegmentMode::kOff) return kLongestPacket;
  return std::max(config.snaplen, kHeaderBytes);
}

capture::DeviceConfig device_config(const CaptureLoopConfig& config) {
  capture::DeviceConfig device;
  device.method = config.method;
  device.snaplen = captured_bytes(config);
  device.buffer_bytes = config.buffer_bytes;
  device.most_buffer_bytes = config.most_buffer_bytes;
  device.block_timeout_ms = kBlockTimeoutMs;
  return device;
}

PipelineConfig pipeline_config(const CaptureLoopConfig& config) {
  PipelineConfig pipeline = config.pipeline;
  pipeline.captured_bytes = captured_bytes(config);
  return pipeline;
}

}  // namespace

struct CaptureLoop::Impl {
  struct Capture {
    std::shared_ptr<Forwarder> forwarder;
    std::string key;
    Part part;
    capture::SourceCounts before{};  // of all that came before this capture
  };

  Impl(CaptureLoopConfig c, std::unique_ptr<capture::Device> device,
       std::unique_ptr<ownership::ListeningSockets> l)
      : config(std::move(c)),
        listening(std::move(l)),
        engine(config.engine, *listening),
        pipeline(pipeline_config(config), engine),
        slot(config.interface, device_config(config), std::move(device)),
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
    wake_up();
    changed.wait(lock, [&] { return done; });
  }

  void wake_up() {
    woken.store(true, std::memory_order_release);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(wake.get(), &one, sizeof one);
  }

  std::uint64_t add(Capture capture) {
    on_packet_path([&] {
      capture.before = slot.counts();
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
    filter.link = slot.link_type();
    filter.self = self.addresses;
    filter.mac = self.mac;
    filter.senders = self.senders;
    filter.broadcasts = self.broadcasts;
    filter.own = excluded;
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
    on_packet_path(
        [&, built_for = slot.link_type()] { slot.set_filter(std::move(*built), built_for); });
  }

  /// Returns when it is in force.
  void filter_unowned(std::vector<net::Cidr> peers) {
    if (config.unowned_peers == peers) return;
    config.unowned_peers = std::move(peers);
    renew_filter();
  }

  // --- capture thread -------------------------------------------------------------------------

  void run_commands() {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = read(wake.get(), &count, sizeof count);
    std::lock_guard lock(mutex);
    woken.store(false, std::memory_order_release);
    if (look_wanted.exchange(false)) slot.look_soon();
    for (const Command& command : commands) {
      (*command.run)();
      *command.done = true;
    }
    commands.clear();
    changed.notify_all();
  }

  void give_up_rights() {
    if (auto give_up = std::exchange(config.give_up_rights, nullptr)) give_up();
  }

  /// Closes and opens the interface as it goes and comes.
  void keep_source() {
    using Change = SourceSlot::Change;
    for (;;) {
      switch (slot.look(pipeline)) {
        case Change::kNone:
          return;
        case Change::kOpened:
          pipeline.set_link_type(slot.link_type());
          give_up_rights();
          break;
        case Change::kGivenUp:
          if (config.on_lost) config.on_lost(slot.open_error());
          break;
        case Change::kClosed:
        case Change::kCondition:
          break;
      }
      if (config.on_change) config.on_change();
    }
  }

  /// Hands packets to the pipeline, each with the moment when it passed where that matters.
  std::size_t read_source() {
    if (engine.looks_back()) {
      engine.forget_peers_before(Clock::now() - config.longest_backlog);
      pipeline.set_stamp_offset(capture::StampOffset::now());
    }
    return slot.read(pipeline, kPacketsPerRead);
  }

  int until_next_look() const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(
        std::max(slot.next_look() - Clock::now(), Clock::duration::zero()));
    return static_cast<int>(left.count());
  }

  void wait(int timeout_ms) {
    polled.clear();
    polled.push_back({wake.get(), POLLIN, 0});
    if (slot.is_open()) polled.push_back({slot.descriptor(), POLLIN, 0});
    blocked.clear();
    pipeline.collect_blocked(blocked);
    for (const int descriptor : blocked) polled.push_back({descriptor, POLLOUT, 0});
    poll(polled.data(), polled.size(), timeout_ms);
  }

  void loop() {
    if (slot.is_open()) give_up_rights();
    Clock::time_point last_flush = Clock::now();
    while (!stopping.load(std::memory_order_relaxed)) {
      if (woken.load(std::memory_order_acquire)) run_commands();
      if (stopping.load(std::memory_order_relaxed)) break;  // one of the commands says so
      const Clock::time_point now = Clock::now();
      if (now >= slot.next_look()) keep_source();
      const std::size_t got = read_source();
      pipeline.replay(got);
      if (got == 0) {
        // Nothing more is there now: what is packed need not wait for company.
        pipeline.flush();
        last_flush = now;
        wait(pipeline.can_replay() ? kReplayPause : until_next_look());
      } else if (now - last_flush >= config.flush_interval) {
        pipeline.flush();
        last_flush = now;
      }
    }
    slot.stop_capture();
    slot.drain(pipeline);
    pipeline.flush();
    pipeline.abandon();
  }

  /// For a tap that is about to end its sessions. What comes meanwhile goes behind what is kept.
  void hand_over() {
    const auto deadline = Clock::now() + kHandOver;
    while (slot.is_open() && pipeline.can_replay() && Clock::now() < deadline) {
      const std::size_t got = read_source();
      pipeline.replay(got);
      pipeline.flush();
      if (got == 0) wait(kReplayPause);
    }
  }

  /// Takes the capture away, and gives its sensor a moment to read what is packed for it; the
  /// others must not pay for that.
  void end(Forwarder& forwarder) {
    slot.drain(pipeline);
    pipeline.remove(&forwarder);
    forwarding::Output& output = forwarder.output();
    output.flush();
    const auto deadline = Clock::now() + kFinish;
    while (output.blocked_descriptor() >= 0 && Clock::now() < deadline) {
      if (read_source() == 0) {
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
  std::unique_ptr<ownership::ListeningSockets> listening;
  ownership::Engine engine;
  Pipeline pipeline;
  SourceSlot slot;

  // Control thread.
  ownership::Self self;
  std::map<std::string, std::vector<capture::OwnEndpoint>> own;
  std::vector<capture::OwnEndpoint> excluded;  // of all owners, each once
  std::map<std::uint64_t, Capture> captures;
  LoopCounts ended;  // of captures that are no more
  std::uint64_t next_capture = 1;
  std::thread thread;

  // Capture thread.
  std::vector<pollfd> polled;
  std::vector<int> blocked;

  // Between them.
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Command> commands;  // under mutex
  bool running = false;          // under mutex
  std::atomic<bool> woken{false};
  std::atomic<bool> look_wanted{false};
  std::atomic<bool> stopping{false};
  net::UniqueFd wake;
};

CaptureLoop::CaptureLoop(CaptureLoopConfig config, std::unique_ptr<capture::Device> device,
                         std::unique_ptr<ownership::ListeningSockets> listening)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(device), std::move(listening))) {
  // As for Ethernet, which nearly every interface is; of another one only what it says then.
  impl_->renew_filter();
  impl_->pipeline.set_stamp_offset(capture::StampOffset::now());
  (void)impl_->slot.look(impl_->pipeline);
  if (!is_open()) return;
  impl_->pipeline.set_link_type(impl_->slot.link_type());
  if (impl_->slot.filter_link() != impl_->slot.link_type()) impl_->renew_filter();
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

std::chrono::milliseconds CaptureLoop::exclude_own_traffic(
    const std::string& owner, std::vector<capture::OwnEndpoint> endpoints) {
  if (endpoints.empty()) {
    impl_->own.erase(owner);
  } else {
    impl_->own[owner] = std::move(endpoints);
  }
  std::vector<capture::OwnEndpoint> all;
  for (const auto& [name, list] : impl_->own) all.insert(all.end(), list.begin(), list.end());
  // Several connections to one place are one where the local port makes no difference.
  for (capture::OwnEndpoint& each : all) each.local_port = each.matched_local_port();
  all = net::distinct(std::move(all));
  if (all == impl_->excluded) return {};
  impl_->excluded = all;
  impl_->engine.set_own_endpoints(std::move(all));
  impl_->renew_filter();
  return {};
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
  impl_->on_packet_path([&] { now = impl_->slot.counts(); });
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

std::int32_t CaptureLoop::link_type() { return static_cast<std::int32_t>(impl_->slot.link_type()); }

void CaptureLoop::set_self(ownership::Self self) {
  impl_->self = self;
  impl_->engine.set_self(std::move(self));
  impl_->renew_filter();
}

void CaptureLoop::set_mtu(std::uint32_t mtu) {
  impl_->on_packet_path([&] { impl_->pipeline.set_mtu(mtu); });
}

void CaptureLoop::expect(std::size_t longest) {
  impl_->on_packet_path([&] { impl_->slot.expect(longest); });
}

void CaptureLoop::look_again() {
  impl_->look_wanted = true;
  impl_->wake_up();
}

void CaptureLoop::set_gateways(std::vector<net::IpAddress> gateways) {
  impl_->engine.set_gateways(std::move(gateways));
}

void CaptureLoop::set_tapped_peers(std::shared_ptr<const ownership::TappedPeers> peers,
                                   std::vector<net::Cidr> unowned) {
  // The kernel drops a packet as it passes. So at the moment of the change it may drop nothing but
  // what is not owned before and after.
  impl_->filter_unowned(net::intersection(impl_->config.unowned_peers, unowned));
  impl_->engine.set_tapped_peers(std::move(peers), Clock::now());
  impl_->filter_unowned(std::move(unowned));
}

bool CaptureLoop::is_open() const { return impl_->slot.is_open(); }
bool CaptureLoop::is_working() const { return impl_->slot.is_working(); }
const std::string& CaptureLoop::name() const { return impl_->config.interface; }
const std::vector<std::string>& CaptureLoop::sensors() const { return impl_->config.sensors; }
const Ledger& CaptureLoop::ledger() const { return impl_->pipeline.ledger(); }
std::size_t CaptureLoop::captures() const { return impl_->captures.size(); }

LoopCounts CaptureLoop::counts() {
  LoopCounts counts = impl_->ended;
  for (const auto& [id, capture] : impl_->captures) impl_->add_counts_of(capture, counts);
  for (std::size_t i = 0; i < impl_->config.pipeline.expected.size(); ++i)
    counts.sensors[i].missed = impl_->pipeline.missed(i);
  impl_->on_packet_path([&] {
    counts.source = impl_->slot.counts();
    counts.flows = impl_->engine.flows();
    for (unsigned phase = 0; phase < ownership::kFlowPhaseCount; ++phase) {
      counts.flow_evictions[phase] =
          impl_->engine.flow_evictions(static_cast<ownership::FlowPhase>(phase));
    }
  });
  counts.reopened = impl_->slot.reopened();
  return counts;
}

}  // namespace sidetap
