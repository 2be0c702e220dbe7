#include "sidecar/commands/dump_legs.h"

#include <iostream>
#include <memory>
#include <string_view>

#include "sidecar/capture/device.h"
#include "sidecar/options/ownership_options.h"
#include "sidecar/packet/packet_view.h"
#include "sidecar/system/socket_owners.h"

namespace sidetap {
namespace {

// The longest that the loopback interface has, without BIG TCP.
constexpr std::uint32_t kLongestLeg = 262'144;
constexpr std::size_t kLegsAtOnce = 256;

LegSourceConfig leg_source_config(const DumpOptions& options) {
  LegSourceConfig config;
  config.mesh.kind = options.mesh_rules.kind;
  config.mesh.ports = options.mesh_rules.ports;
  if (options.status_listen) config.mesh.excluded.push_back(options.status_listen->port);
  config.clients = options.mesh_rules.clients;
  config.device.method = options.capture_method;
  config.device.snaplen = kLongestLeg;
  config.device.buffer_bytes = options.ring_bytes;
  return config;
}

void say_of_mesh(std::string_view text) { std::cerr << "sidetap-sidecar dump: " << text << '\n'; }

}  // namespace

DumpLegs::DumpLegs(const DumpOptions& options, const net::Interface& interface,
                   const std::vector<net::Interface>& all, capture::LinkType link,
                   std::uint32_t number, DumpStream& stream)
    : options_(options),
      form_of_(interface.name),
      link_(link),
      stream_(stream),
      records_(options, interface.mtu, number, stream),
      legs_(leg_source_config(options),
            {capture::make_system_device(), capture::make_system_device()},
            std::make_unique<KernelSocketOwners>(), *this) {
  legs_.set_self(make_self(options.ownership, all, interface.name));
  legs_.set_mtu(interface.mtu);
  if (LegSource::suits(link)) legs_.set_link_type(link);
  legs_.set_filter(options.expression);
}

Result<void> DumpLegs::open() {
  if (!LegSource::suits(link_))
    return Error{
        "--mesh: plaintext is shown in the form of an interface with Ethernet or raw IP, "
        "which " +
        form_of_ + " is not; name another with --interface"};
  legs_.look();
  if (!legs_.is_working())
    return Error{"--mesh: the loopback interface cannot be captured: " +
                 (legs_.open_error().empty() ? std::string("it is down") : legs_.open_error())};
  if (legs_.present_mesh().kind == mesh::Kind::kNone)
    say_of_mesh("no proxy of a mesh listens in this pod now");
  return {};
}

std::size_t DumpLegs::read() { return legs_.read(kLegsAtOnce, Clock::now()); }

void DumpLegs::finish() {
  legs_.end_capture();
  legs_.drain();
  legs_.release(Clock::now(), true);
}

forwarding::InterfaceLabel DumpLegs::label() const {
  return forwarding::label_of(options_.pod, "lo (mesh)");
}

forwarding::InterfaceTotals DumpLegs::totals() {
  const capture::SourceCounts counts = legs_.counts();
  return {.received = counts.accepted, .dropped = counts.dropped + counts.dropped_by_interface};
}

void DumpLegs::on_leg(const Leg& leg) {
  if (!leg.wanted || !stream_.is_open()) return;
  records_.add(leg.packet, capture::parse_packet(link_, leg.packet.bytes));
}

void DumpLegs::on_mesh(const mesh::Mesh& mesh) {
  // Applications may open and close ports all the time.
  if (mesh.kind == told_) return;
  told_ = mesh.kind;
  if (mesh.kind == mesh::Kind::kNone) {
    say_of_mesh("the proxy of the mesh listens no more");
  } else {
    say_of_mesh("showing the plaintext of the mesh: " + std::string(mesh::kind_name(mesh.kind)));
  }
}

}  // namespace sidetap
