#include "sidecar/commands/dump_capture.h"

#include <chrono>
#include <random>
#include <utility>

#include <net/if_arp.h>
#include <poll.h>

#include "shared/tap/filter_expression.h"
#include "sidecar/capture/link_facts.h"
#include "sidecar/forwarding/wall_clock.h"
#include "sidecar/packet/filter_front.h"
#include "sidecar/packet/kernel_filter.h"
#include "sidecar/system/kernel_sockets.h"

namespace sidetap {
namespace {

constexpr std::uint32_t kWholePacket = 262'144;
constexpr std::size_t kPacketsAtOnce = 256;
constexpr std::chrono::milliseconds kLastPackets{100};

std::uint64_t stamp_of(const capture::CapturedPacket& packet) {
  return packet.seconds * 1'000'000'000ULL + packet.nanoseconds;
}

/// The link layer that the interface most likely has, for the filter with which it is opened.
capture::LinkType likely_link(const std::string& interface) {
  const auto facts = capture::read_link_facts(interface);
  if (!facts) return capture::LinkType::kLinuxSll;  // "any"
  return facts->hardware_type == ARPHRD_ETHER || facts->hardware_type == ARPHRD_LOOPBACK
             ? capture::LinkType::kEthernet
             : capture::LinkType::kRawIp;
}

std::unique_ptr<ownership::Engine> make_dump_engine(const OwnershipOptions& options,
                                                    const std::vector<net::Interface>& all,
                                                    const std::string& interface,
                                                    ownership::ListeningSockets& listening) {
  ownership::EngineConfig config =
      make_engine_config(options, make_self(options, all, interface), net::default_gateways());
  const auto ephemeral = read_port_range();
  config.ephemeral = ephemeral ? *ephemeral : ownership::PortRange{};
  config.hash_seed = std::random_device{}() * 0x100000001ULL ^ std::random_device{}();
  return std::make_unique<ownership::Engine>(std::move(config), listening);
}

}  // namespace

Result<std::vector<capture::BpfInstruction>> dump_filter(const std::string& expression,
                                                         const TapConnections& taps,
                                                         capture::LinkType link,
                                                         std::uint32_t accept_bytes) {
  auto compiled = tap::compile_filter(expression, static_cast<std::uint16_t>(link));
  if (!compiled) return compiled.error();
  auto front = capture::as_kernel_sees(std::move(*compiled), link);
  if (!front) return front.error();
  capture::FilterConfig filter;
  filter.link = link;
  filter.front = std::move(*front);
  filter.own = taps.endpoints();
  filter.accept_bytes = accept_bytes;
  if (auto whole = capture::build_kernel_filter(filter)) return whole;
  filter.own.clear();
  return capture::build_kernel_filter(filter);
}

DumpCapture::DumpCapture(const DumpOptions& options, const net::Interface& interface,
                         const std::vector<net::Interface>& all, std::uint32_t number,
                         const TapConnections& taps, DumpStream& stream)
    : options_(options),
      interface_(interface),
      taps_(taps),
      stream_(stream),
      device_(capture::make_system_device()),
      records_(options, interface.mtu, number, stream) {
  if (!options.owned) return;
  listening_ = std::make_unique<KernelListeningSockets>();
  engine_ = make_dump_engine(options.ownership, all, interface.name, *listening_);
}

Result<std::vector<capture::BpfInstruction>> DumpCapture::filter_for(capture::LinkType link) const {
  // What was on the wire can be made of whole packets only.
  auto filter =
      dump_filter(options_.expression, taps_, link, options_.raw ? options_.snaplen : kWholePacket);
  if (filter) return filter;
  return Error{"the expression cannot be applied to " + interface_.name + ": " +
               filter.error().text};
}

Result<void> DumpCapture::open() {
  const capture::LinkType link = likely_link(interface_.name);
  const auto filter = filter_for(link);
  if (!filter) return filter.error();
  auto opened = device_->open({.method = options_.capture_method,
                               .interface = interface_.name.c_str(),
                               .snaplen = options_.raw ? options_.snaplen : kWholePacket,
                               .buffer_bytes = options_.ring_bytes,
                               .filter = *filter,
                               .filter_link = link});
  if (!opened) return opened.error();
  source_ = std::move(*opened);
  return source_->link_type() == link ? Result<void>() : renew_filter();
}

void DumpCapture::start() { start_ = forwarding::wall_clock_ns(); }

Result<void> DumpCapture::renew_filter() {
  const auto filter = filter_for(source_->link_type());
  if (!filter) return filter.error();
  return source_->set_filter(*filter);
}

Result<std::size_t> DumpCapture::read() {
  if (source_->bound_index() < 0) return Error{interface_.name + " is gone"};
  const auto got = source_->read(*this, kPacketsAtOnce);
  if (got) read_ += *got;
  return got;
}

void DumpCapture::finish() {
  constexpr capture::BpfInstruction kNothing{.code = 0x06, .jt = 0, .jf = 0, .k = 0};
  (void)source_->set_filter({&kNothing, 1});
  const auto deadline = std::chrono::steady_clock::now() + kLastPackets;
  const std::uint64_t accepted = source_->counts().accepted;
  while (read_ + source_->counts().dropped < accepted && stream_.is_open() &&
         std::chrono::steady_clock::now() < deadline) {
    const auto got = read();
    if (!got) return;
    if (*got != 0) continue;
    pollfd ready{descriptor(), POLLIN, 0};
    ::poll(&ready, 1, 1);
  }
}

forwarding::InterfaceTotals DumpCapture::totals() {
  const capture::SourceCounts counts = source_->counts();
  return {.received = counts.accepted, .dropped = counts.dropped + counts.dropped_by_interface};
}

bool DumpCapture::is_early(const capture::CapturedPacket& packet) {
  // Asked once: the clock may be set back later.
  if (!started_) started_ = stamp_of(packet) >= start_;
  return !started_;
}

void DumpCapture::on_packet(const capture::CapturedPacket& packet) {
  if (!stream_.is_open() || is_early(packet)) return;
  if (legs_ != nullptr) legs_->note_peer(packet);
  capture::PacketView view = capture::parse_packet(link_type(), packet.bytes);
  if (view.direction == capture::Direction::kUnknown) view.direction = packet.direction;
  if (taps_.include(view)) return;
  if (engine_ && !engine_->decide(view).owned) return;
  records_.add(packet, view);
}

}  // namespace sidetap
