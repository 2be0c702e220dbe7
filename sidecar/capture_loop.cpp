#include "sidecar/capture_loop.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include <net/if.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "shared/net/unique_fd.h"
#include "shared/telemetry/log.h"
#include "sidecar/forwarding/tcp_output.h"
#include "sidecar/forwarding/udp_output.h"

namespace sidetap {
namespace {

using Clock = std::chrono::steady_clock;
using forwarding::Forwarder;

// After this many packets the loop looks at the clock and at its commands.
constexpr std::size_t kPacketsPerRead = 256;
// Times the blocks of the ring it covers the 50 ms for which a tap stands at its limit of half a
// CPU.
constexpr unsigned kBlockTimeoutMs = 5;
constexpr auto kReopenInterval = std::chrono::seconds(1);
constexpr int kReopenAttempts = 60;

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

net::IpAddress netmask(const net::InterfaceAddress& address) {
  const unsigned length = address.prefix_length;
  if (address.address.is_v4()) {
    const std::uint32_t bits = length == 0 ? 0 : ~std::uint32_t{0} << (32 - std::min(length, 32U));
    return net::IpAddress::v4(bits);
  }
  const auto ones = [](unsigned n) { return n == 0 ? 0 : ~std::uint64_t{0} << (64 - n); };
  return net::IpAddress::v6(ones(std::min(length, 64U)), length > 64 ? ones(length - 64) : 0);
}

void add_counts(LoopCounts& into, const Forwarder& forwarder) {
  const forwarding::OutputCounts& counts = forwarder.output().counts();
  into.forwarded += counts.forwarded.value();
  into.bytes += counts.bytes.value();
  into.datagrams += counts.datagrams.value();
  into.filtered += forwarder.counts().filtered.value();
  into.sampled += forwarder.counts().sampled.value();
  for (unsigned i = 0; i < forwarding::kDropCauseCount; ++i)
    into.dropped[i] += counts.dropped[i].value();
}

void add_counts(capture::SourceCounts& into, const capture::SourceCounts& counts) {
  into.accepted += counts.accepted;
  into.dropped += counts.dropped;
  into.dropped_by_interface += counts.dropped_by_interface;
}

}  // namespace

struct CaptureLoop::Impl {
  Impl(CaptureLoopConfig c, OpenSource open, std::unique_ptr<ownership::ListeningSockets> l)
      : config(std::move(c)),
        open_source(std::move(open)),
        listening(std::move(l)),
        engine(config.engine, *listening),
        pipeline(config.pipeline, engine),
        self(config.engine.self),
        wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

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

  std::uint64_t add(std::shared_ptr<Forwarder> forwarder, const std::string& key) {
    on_packet_path([&] { pipeline.add(forwarder, key); });
    captures.emplace(next_capture, std::move(forwarder));
    return next_capture++;
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
    filter.accept_bytes = config.snaplen;
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
    device.snaplen = config.snaplen;
    device.buffer_bytes = config.buffer_bytes;
    device.most_buffer_bytes = config.most_buffer_bytes;
    device.block_timeout_ms = kBlockTimeoutMs;
    auto opened = open_source(device);
    if (!opened) return opened.error();
    source = std::move(*opened);
    is_open.store(true, std::memory_order_relaxed);
    link.store(source->link_type(), std::memory_order_relaxed);
    pipeline.set_link_type(source->link_type());
    if (program_link == source->link_type()) attach_filter();
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
    add_counts(closed, source->counts());
    source.reset();
    is_open.store(false, std::memory_order_relaxed);
    if (config.on_close) config.on_close();
    attempts = 0;
    reopen_at = Clock::now();
  }

  void try_reopen() {
    if (Clock::now() < reopen_at) return;
    if (auto opened = open(); opened) {
      reopened.add();
      telemetry::info("the interface is open", {{"interface", config.interface}});
      if (config.on_open) config.on_open();
      return;
    } else if (++attempts == kReopenAttempts && config.on_lost) {
      config.on_lost(opened.error().text);
    }
    reopen_at = Clock::now() + kReopenInterval;
  }

  /// Reads up to `kPacketsPerRead`; false when there was nothing.
  bool read_some() {
    auto got = source->read(pipeline, kPacketsPerRead);
    if (!got) {
      source_died(got.error().text);
      return false;
    }
    return *got != 0;
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
    Clock::time_point last_flush = Clock::now();
    while (!stopping.load(std::memory_order_relaxed)) {
      if (has_commands.load(std::memory_order_acquire)) run_commands();
      if (stopping.load(std::memory_order_relaxed)) break;  // one of the commands says so
      if (!source) try_reopen();
      const bool busy = source && read_some();
      if (!busy) {
        // Nothing more is there now: what is packed need not wait for company.
        pipeline.flush();
        last_flush = Clock::now();
        wait(source ? 1000 : static_cast<int>(kReopenInterval / std::chrono::milliseconds(1)));
      } else if (const auto now = Clock::now(); now - last_flush >= config.flush_interval) {
        pipeline.flush();
        last_flush = now;
      }
    }
    // Nothing more comes in, so that the kernel's count stays at what is read now.
    constexpr capture::BpfInstruction kNothing{.code = 0x06, .jt = 0, .jf = 0, .k = 0};
    if (source) (void)source->set_filter({&kNothing, 1});
    drain();
    pipeline.flush();
  }

  /// Reads what was captured up to now. The kernel hands a block over when it is full or its time
  /// is up: so the last one takes a moment.
  void drain() {
    const auto deadline = Clock::now() + std::chrono::milliseconds(4 * kBlockTimeoutMs);
    while (source && Clock::now() < deadline) {
      if (read_some()) continue;
      if (!source) return;
      pollfd ready{source->descriptor(), POLLIN, 0};
      poll(&ready, 1, kBlockTimeoutMs);
    }
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
  std::map<std::uint64_t, std::shared_ptr<Forwarder>> captures;
  LoopCounts ended;  // of captures that are no more
  std::uint64_t next_capture = 1;
  std::thread thread;

  // Capture thread.
  std::vector<capture::BpfInstruction> program;  // for program_link
  capture::LinkType program_link = capture::LinkType::kEthernet;
  capture::SourceCounts closed;  // of sources that are no more
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
  if (auto opened = impl_->open(); !opened)
    telemetry::error("cannot capture yet; trying again",
                     {{"interface", impl_->config.interface}, {"reason", opened.error().text}});
  impl_->renew_filter();
}

CaptureLoop::~CaptureLoop() { finish(); }

void CaptureLoop::run() {
  impl_->running = true;
  impl_->thread = std::thread([this] { impl_->loop(); });
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
  const std::string key = order.sensor;
  const rpcap::Sampling sampling = order.sampling;
  const std::uint32_t snaplen = std::min(order.snaplen, impl_->config.snaplen);
  return impl_->add(
      std::make_shared<Forwarder>(make_output(order), std::move(*filter), sampling, snaplen), key);
}

std::uint64_t CaptureLoop::start_output(std::unique_ptr<forwarding::Output> output,
                                        const std::string& key) {
  return impl_->add(std::make_shared<Forwarder>(std::move(output), forwarding::SensorFilter(),
                                                rpcap::Sampling(), impl_->config.snaplen),
                    key);
}

Result<void> CaptureLoop::update_filter(std::uint64_t capture,
                                        std::vector<rpcap::BpfInstruction> filter) {
  const auto found = impl_->captures.find(capture);
  if (found == impl_->captures.end()) return Error{"there is no such capture"};
  auto made = forwarding::SensorFilter::make(filter);
  if (!made) return made.error();
  impl_->on_packet_path([&] { found->second->set_filter(std::move(*made)); });
  return {};
}

void CaptureLoop::stop(std::uint64_t capture) {
  const auto found = impl_->captures.find(capture);
  if (found == impl_->captures.end()) return;
  const std::shared_ptr<Forwarder> forwarder = std::move(found->second);
  impl_->captures.erase(found);
  impl_->on_packet_path([&] {
    impl_->drain();
    forwarder->output().finish();
    impl_->pipeline.remove(forwarder.get());
  });
  add_counts(impl_->ended, *forwarder);
}

rpcap::Stats CaptureLoop::stats(std::uint64_t capture) {
  rpcap::Stats stats;
  capture::SourceCounts source;
  impl_->on_packet_path([&] {
    if (impl_->source) source = impl_->source->counts();
    add_counts(source, impl_->closed);
  });
  stats.received = static_cast<std::uint32_t>(source.accepted);
  stats.dropped_by_interface = static_cast<std::uint32_t>(source.dropped_by_interface);
  stats.dropped_by_kernel = static_cast<std::uint32_t>(source.dropped);
  if (const auto found = impl_->captures.find(capture); found != impl_->captures.end())
    stats.captured = static_cast<std::uint32_t>(found->second->output().counts().forwarded.value());
  return stats;
}

rpcap::Interface CaptureLoop::interface() {
  rpcap::Interface description;
  description.name = impl_->config.interface;
  description.description = impl_->config.description;
  auto interfaces = net::list_interfaces();
  if (!interfaces) return description;
  for (const net::Interface& interface : *interfaces) {
    if (interface.name != description.name) continue;
    if (interface.flags & IFF_LOOPBACK) description.flags |= PCAP_IF_LOOPBACK;
    if (interface.flags & IFF_UP) description.flags |= PCAP_IF_UP;
    if (interface.flags & IFF_RUNNING) description.flags |= PCAP_IF_RUNNING;
    for (const net::InterfaceAddress& address : interface.addresses) {
      rpcap::InterfaceAddress entry;
      entry.address = address.address;
      entry.netmask = netmask(address);
      if (!address.broadcast.is_unspecified()) entry.broadcast = address.broadcast;
      description.addresses.push_back(entry);
    }
  }
  return description;
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
const Ledger& CaptureLoop::ledger() const { return impl_->pipeline.ledger(); }
std::size_t CaptureLoop::captures() const { return impl_->captures.size(); }

LoopCounts CaptureLoop::counts() {
  LoopCounts counts = impl_->ended;
  for (const auto& [id, forwarder] : impl_->captures) add_counts(counts, *forwarder);
  impl_->on_packet_path([&] {
    if (impl_->source) counts.source = impl_->source->counts();
    add_counts(counts.source, impl_->closed);
  });
  counts.reopened = impl_->reopened.value();
  return counts;
}

}  // namespace sidetap
