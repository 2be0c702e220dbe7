#include "sidecar/path/capture_loop.h"

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

#include "shared/telemetry/log.h"
#include "sidecar/forwarding/tcp_output.h"
#include "sidecar/forwarding/udp_output.h"
#include "sidecar/path/filter_facts.h"
#include "sidecar/path/interface_description.h"

namespace sidetap {
namespace {

using forwarding::Forwarder;

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

}  // namespace

/// What the control thread has. What it asks of the packet loop goes through the commands.
struct CaptureLoop::Impl {
  struct Filter {
    std::vector<capture::BpfInstruction> program;
    capture::LinkType link;
  };

  Impl(CaptureLoopConfig config, std::unique_ptr<capture::Device> device,
       std::unique_ptr<ownership::ListeningSockets> listening)
      : facts(config.engine.self, config.unowned_peers, config.pipeline.narrowing.filter,
              captured_bytes(config.pipeline, config.pipeline.narrowing)),
        sensors(config.sensors),
        commands(config.reply),
        loop(std::move(config), std::move(device), std::move(listening), commands) {}

  const CaptureLoopConfig& config() const { return loop.config(); }

  std::uint64_t add(CaptureRegister::Capture capture, Done begun) {
    const std::uint64_t id = next_capture++;
    commands.post([this, id, capture = std::move(capture)] { loop.add(id, capture); },
                  std::move(begun));
    return id;
  }

  /// The engine knows the same and has the last word, so a filter that cannot be built or attached
  /// costs time, not correctness.
  std::optional<Filter> build_filter() {
    const capture::LinkType link = loop.slot().link_type();
    auto built = config().pipeline.collected ? facts.build_for_process(link) : facts.build(link);
    if (built) return Filter{std::move(*built), link};
    telemetry::warn(
        "the kernel's filter cannot be built; the tap filters without the kernel's help",
        {{"interface", config().interface}, {"reason", built.error().text}});
    // But not what the operator's filter leaves out, which the process does not know.
    auto expression = facts.build_expression(link);
    return expression ? std::optional(Filter{std::move(*expression), link}) : std::nullopt;
  }

  void renew_filter() {
    if (auto filter = build_filter())
      commands.post([this, filter = std::move(filter)] { use(filter); });
  }

  /// Nothing: it has not changed.
  std::optional<Filter> filter_without(std::vector<net::Cidr> unowned) {
    return facts.set_unowned(std::move(unowned)) ? build_filter() : std::nullopt;
  }

  /// The capture thread.
  void use(const std::optional<Filter>& filter) {
    if (filter) loop.slot().set_filter(filter->program, filter->link);
  }

  FilterFacts facts;
  std::vector<std::string> sensors;
  std::uint64_t next_capture = 1;
  CommandQueue commands;
  PacketLoop loop;
  std::thread thread;
};

CaptureLoop::CaptureLoop(CaptureLoopConfig config, std::unique_ptr<capture::Device> device,
                         std::unique_ptr<ownership::ListeningSockets> listening)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(device), std::move(listening))) {
  SourceSlot& slot = impl_->loop.slot();
  Pipeline& pipeline = impl_->loop.pipeline();
  // As for Ethernet, which nearly every interface is; of another one only what it says then.
  impl_->renew_filter();
  pipeline.set_stamp_offset(capture::StampOffset::now());
  impl_->loop.open();
  if (!is_open()) return;
  if (slot.filter_link() != slot.link_type()) impl_->renew_filter();
}

CaptureLoop::~CaptureLoop() { finish(); }

void CaptureLoop::run() {
  impl_->commands.open();
  impl_->thread = std::thread([impl = impl_.get()] { impl->loop.run(); });
}

void CaptureLoop::settle(Done done) {
  impl_->commands.post([] {}, std::move(done));
}

void CaptureLoop::perform(CommandQueue::Task command, Done done) {
  impl_->commands.post(std::move(command), std::move(done));
}

void CaptureLoop::hand_over(Done done, Done awaits) {
  if (!impl_->thread.joinable()) return done();
  impl_->commands.post([impl = impl_.get(), done = std::move(done), awaits = std::move(awaits)] {
    impl->loop.hand_over(done, awaits);
  });
}

void CaptureLoop::hurry() {
  impl_->commands.post([impl = impl_.get()] { impl->loop.hurry(); });
}

void CaptureLoop::finish() {
  if (!impl_->thread.joinable()) return;
  impl_->commands.post([impl = impl_.get()] { impl->loop.stop(); });
  impl_->thread.join();
  impl_->commands.close();
}

std::chrono::milliseconds CaptureLoop::exclude_own_traffic(
    const std::string& owner, std::vector<capture::OwnEndpoint> endpoints) {
  if (!impl_->facts.set_own(owner, std::move(endpoints))) return {};
  impl_->loop.engine().set_own_endpoints(impl_->facts.own());
  impl_->renew_filter();
  return {};
}

Result<std::uint64_t> CaptureLoop::start(session::CaptureOrder order, Done begun) {
  if (!is_open()) {
    return Error{"the interface " + name() + " is not open now: nothing can be captured"};
  }
  auto filter = forwarding::SensorFilter::make(order.filter);
  if (!filter) return filter.error();
  return impl_->add({.forwarder = std::make_shared<Forwarder>(
                         make_output(order), std::move(*filter), order.sampling, order.snaplen),
                     .key = order.sensor,
                     .stage = order.stage,
                     .client = order.client},
                    std::move(begun));
}

std::uint64_t CaptureLoop::start_output(std::unique_ptr<forwarding::Output> output,
                                        const std::string& key, std::uint64_t stage, Done begun) {
  return impl_->add(
      {.forwarder = std::make_shared<Forwarder>(std::move(output), forwarding::SensorFilter(),
                                                rpcap::Sampling(), std::nullopt),
       .key = key,
       .stage = stage},
      std::move(begun));
}

void CaptureLoop::advance(std::uint64_t stage, Receivers receivers, Done done) {
  impl_->sensors = receivers.sensors;
  impl_->commands.post([impl = impl_.get(), stage,
                        receivers = std::move(receivers)] { impl->loop.advance(stage, receivers); },
                       std::move(done));
}

void CaptureLoop::update_filter(std::uint64_t capture, std::vector<rpcap::BpfInstruction> filter,
                                std::function<void(Result<void>)> done) {
  auto made = forwarding::SensorFilter::make(filter);
  if (!made) return done(made.error());
  impl_->commands.ask<Result<void>>(
      [impl = impl_.get(), capture, made = std::move(*made)] {
        return impl->loop.set_sensor_filter(capture, made);
      },
      std::move(done));
}

void CaptureLoop::stop(std::uint64_t capture, Done done) {
  impl_->commands.post([impl = impl_.get(), capture] { impl->loop.end(capture); }, std::move(done));
}

void CaptureLoop::stats(std::uint64_t capture, std::function<void(rpcap::Stats)> told) {
  impl_->commands.ask<rpcap::Stats>(
      [impl = impl_.get(), capture] { return impl->loop.stats(capture); }, std::move(told));
}

rpcap::Interface CaptureLoop::interface() {
  const CaptureLoopConfig& config = impl_->config();
  if (config.describe) return config.describe();
  return describe_interface(config.interface, config.description);
}

std::int32_t CaptureLoop::link_type() {
  return static_cast<std::int32_t>(impl_->loop.slot().link_type());
}

void CaptureLoop::set_self(ownership::Self self) {
  impl_->facts.set_self(self);
  if (impl_->loop.legs() != nullptr)
    impl_->commands.post([impl = impl_.get(), self] { impl->loop.legs()->set_self(self); });
  impl_->loop.engine().set_self(std::move(self));
  impl_->renew_filter();
}

void CaptureLoop::set_narrowing(Narrowing narrowing) {
  const bool changed = impl_->facts.set_narrowing(
      narrowing.filter, captured_bytes(impl_->config().pipeline, narrowing));
  auto filter = changed ? impl_->build_filter() : std::nullopt;
  impl_->commands.post(
      [impl = impl_.get(), narrowing = std::move(narrowing), filter = std::move(filter)] {
        impl->loop.set_narrowing(narrowing);
        impl->use(filter);
      });
}

void CaptureLoop::set_mtu(std::uint32_t mtu) {
  impl_->commands.post([impl = impl_.get(), mtu] {
    impl->loop.pipeline().set_mtu(mtu);
    if (impl->loop.legs() != nullptr) impl->loop.legs()->set_mtu(mtu);
  });
}

void CaptureLoop::expect(std::size_t longest) {
  impl_->commands.post([impl = impl_.get(), longest] { impl->loop.slot().expect(longest); });
}

void CaptureLoop::look_again() {
  impl_->commands.post([impl = impl_.get()] { impl->loop.slot().look_soon(); });
}

void CaptureLoop::set_gateways(std::vector<net::IpAddress> gateways) {
  impl_->loop.engine().set_gateways(std::move(gateways));
}

void CaptureLoop::set_tapped_peers(std::shared_ptr<const ownership::TappedPeers> peers,
                                   std::vector<net::Cidr> unowned) {
  // The kernel drops a packet as it passes. So at the moment of the change it may drop nothing but
  // what is not owned before and after.
  auto between = impl_->filter_without(net::intersection(impl_->facts.unowned(), unowned));
  auto after = impl_->filter_without(std::move(unowned));
  impl_->commands.post([impl = impl_.get(), peers = std::move(peers), between = std::move(between),
                        after = std::move(after)] {
    impl->use(between);
    impl->loop.engine().set_tapped_peers(peers, PacketLoop::Clock::now());
    impl->use(after);
  });
}

void CaptureLoop::know_peers() {
  impl_->commands.post([impl = impl_.get()] { impl->loop.pipeline().know_peers(); });
}

void CaptureLoop::set_relied_on(bool relied_on) {
  impl_->commands.post(
      [impl = impl_.get(), relied_on] { impl->loop.pipeline().set_relied_on(relied_on); });
}

bool CaptureLoop::is_open() const { return impl_->loop.slot().is_open(); }
bool CaptureLoop::is_working() const { return impl_->loop.slot().is_working(); }
std::uint64_t CaptureLoop::turns() const { return impl_->loop.turns(); }
const std::string& CaptureLoop::name() const { return impl_->config().interface; }
const std::vector<std::string>& CaptureLoop::sensors() const { return impl_->sensors; }
const Ledger& CaptureLoop::ledger() const { return impl_->loop.pipeline().ledger(); }

void CaptureLoop::counts(std::function<void(LoopCounts)> told) {
  impl_->commands.ask<LoopCounts>([impl = impl_.get()] { return impl->loop.counts(); },
                                  std::move(told));
}

}  // namespace sidetap
