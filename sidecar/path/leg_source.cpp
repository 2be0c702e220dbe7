#include "sidecar/path/leg_source.h"

#include <algorithm>
#include <span>
#include <utility>

#include "shared/tap/filter_expression.h"
#include "shared/telemetry/log.h"
#include "sidecar/mesh/leg_filter.h"
#include "sidecar/packet/packet_view.h"

namespace sidetap {
namespace {

// Shorter than the interface's, because who opened a connection is asked when its first packet is
// read: then it should still be there.
constexpr unsigned kLegBlockTimeoutMs = 2;
// Of IPv4 and IPv6: SYN without ACK.
constexpr std::string_view kOpens = "tcp[13] & 18 = 2 or (ip6[6] = 6 and ip6[53] & 18 = 2)";
constexpr std::uint32_t kOpeningBytes = 128;  // kept of each
constexpr std::size_t kOpeningsBuffer = 256U << 10;
// Of a handshake; what exceeds them is more than a probe sends.
constexpr std::size_t kMostOfHandshake = 8;
// Headers without payload are shorter. Who may send raw frames could append 64 KB of padding, and
// fill the memory with what waits.
constexpr std::size_t kMostWaitingPacket = 1024;
// Then a connection that is not a leg is worth a change of the kernel's filter.
constexpr std::uint32_t kManyPackets = 64;
constexpr std::size_t kMostOthers = 4096;

capture::DeviceConfig loopback_device(const LegSourceConfig& config) {
  capture::DeviceConfig device = config.device;
  // It is no Ethernet, but the ring reads it all the same.
  if (device.method == capture::CaptureMethod::kAuto) device.method = capture::CaptureMethod::kRing;
  device.block_timeout_ms = kLegBlockTimeoutMs;
  return device;
}

std::string text_of(const std::vector<std::uint16_t>& ports) {
  std::string text;
  for (const std::uint16_t port : ports)
    text.append(text.empty() ? "" : ",").append(std::to_string(port));
  return text;
}

bool is_unicast(std::span<const std::byte, 6> mac) {
  return (mac[0] & std::byte{1}) == std::byte{0};
}

}  // namespace

class LegSource::Loopback final : public capture::PacketHandler {
 public:
  explicit Loopback(LegSource& source) : source_(source) {}
  void on_packet(const capture::CapturedPacket& packet) override { source_.take(packet); }

 private:
  LegSource& source_;
};

class LegSource::Openings final : public capture::PacketHandler {
 public:
  explicit Openings(mesh::LegTable& legs) : legs_(legs) {}
  void on_packet(const capture::CapturedPacket& packet) override {
    legs_.meet(capture::parse_packet(capture::LinkType::kEthernet, packet.bytes));
  }

 private:
  mesh::LegTable& legs_;
};

LegSource::LegSource(LegSourceConfig config, LegDevices devices,
                     std::unique_ptr<mesh::SocketOwners> owners, LegReceiver& receiver)
    : config_(std::move(config)),
      owners_(std::move(owners)),
      receiver_(receiver),
      loopback_(std::make_unique<Loopback>(*this)),
      slot_(config_.interface, loopback_device(config_), std::move(devices.packets)),
      met_(std::make_unique<Openings>(legs_)),
      openings_device_(std::move(devices.openings)),
      legs_(*owners_, config_.hash),
      waiting_(0, config_.hash),
      others_(0, config_.hash) {
  renew_filter();
}

LegSource::~LegSource() = default;

bool LegSource::suits(capture::LinkType link) {
  return link == capture::LinkType::kEthernet || link == capture::LinkType::kRawIp;
}

void LegSource::set_link_type(capture::LinkType link) {
  if (!suits(link) && link != link_)
    telemetry::warn("the plaintext of a mesh cannot be forwarded in a capture of this link layer",
                    {{"link_layer", static_cast<unsigned>(link)}});
  link_ = link;
  set_wire_facts();
  compile_filter();
  renew_filter();
}

void LegSource::set_self(const ownership::Self& self) {
  self_ = self;
  // Istio gives the loopback interface the address ::6.
  std::erase_if(self_.addresses, [](net::IpAddress address) {
    return address.is_loopback() || mesh::is_stand_in(address);
  });
  legs_.set_self(self_.addresses);
  rewriter_.set_self(self_.addresses);
  set_wire_facts();
  renew_filter();
}

void LegSource::set_mtu(std::uint32_t mtu) {
  mtu_ = mtu;
  set_wire_facts();
}

void LegSource::set_wire_facts() {
  mesh::WireFacts facts = rewriter_.facts();
  facts.link = link_;
  facts.pod = self_.mac;
  facts.mtu = mtu_;
  facts.clients = config_.clients;
  facts.pod_addresses.clear();
  for (const bool v4 : {true, false}) {
    const auto found = std::find_if(
        self_.addresses.begin(), self_.addresses.end(),
        [v4](net::IpAddress each) { return each.is_v4() == v4 && !each.is_link_local(); });
    if (found != self_.addresses.end()) facts.pod_addresses.push_back(*found);
  }
  rewriter_.set_facts(std::move(facts));
}

void LegSource::set_filter(const std::string& expression) {
  if (std::exchange(expression_, expression) != expression) compile_filter();
}

/// For the link layer that legs have. It takes milliseconds, in which no packet is read.
void LegSource::compile_filter() {
  filter_.clear();
  if (expression_.empty()) return;
  auto program = tap::compile_filter(expression_, static_cast<std::uint16_t>(link_));
  if (program) {
    filter_ = std::move(*program);
    return;
  }
  telemetry::warn(
      "the filter cannot be applied to the mesh's plaintext, so it leaves out none of that",
      {{"filter", expression_}, {"reason", program.error().text}});
}

/// The other end of the link, which legs come from as far as the sensor can see.
void LegSource::note_peer(const capture::CapturedPacket& packet) {
  if (link_ != capture::LinkType::kEthernet || packet.bytes.size() < 14) return;
  const auto destination = packet.bytes.first<6>();
  const auto source = packet.bytes.subspan<6, 6>();
  const auto& pod = self_.mac;
  const bool sent = std::equal(source.begin(), source.end(), pod.begin());
  if (!sent && !std::equal(destination.begin(), destination.end(), pod.begin())) return;
  const auto peer = sent ? destination : source;
  const auto& known = rewriter_.facts().peer;
  if (!is_unicast(peer) || std::equal(peer.begin(), peer.end(), known.begin())) return;
  mesh::MacAddress mac{};
  std::copy(peer.begin(), peer.end(), mac.begin());
  rewriter_.set_peer(mac);
}

void LegSource::look() {
  using Change = SourceSlot::Change;
  now_ = Clock::now();
  next_look_ = now_ + kLookEvery;
  if (now_ >= slot_.next_look()) {
    for (Change change = slot_.look(*loopback_); change != Change::kNone;
         change = slot_.look(*loopback_)) {
      if (change != Change::kGivenUp) continue;
      telemetry::error("the plaintext of the mesh cannot be captured",
                       {{"interface", slot_.interface()}, {"reason", slot_.open_error()}});
      break;
    }
  }
  if (slot_.is_open()) open_openings();
  look_for_mesh();
}

/// Once: the loopback interface stays. What cannot be opened makes only short connections doubtful.
void LegSource::open_openings() {
  const auto device = std::exchange(openings_device_, nullptr);
  if (!device) return;
  auto program = tap::compile_filter(kOpens);
  if (!program) return;
  openings_filter_ = std::move(*program);
  capture::DeviceConfig config;
  config.method = capture::CaptureMethod::kLibpcap;
  config.interface = config_.interface.c_str();
  config.snaplen = kOpeningBytes;
  config.buffer_bytes = kOpeningsBuffer;
  config.immediate = true;
  config.filter = openings_filter_;
  auto source = device->open(config);
  if (!source) return;
  openings_ = std::move(*source);
  renew_filter();  // without a mesh nothing of it wakes the thread
}

void LegSource::read_openings() {
  if (!openings_) return;
  for (;;) {
    const auto got = openings_->read(*met_, kPacketsPerRead);
    if (!got) openings_.reset();
    if (!got || *got < kPacketsPerRead) return;
  }
}

void LegSource::look_for_mesh() {
  auto listeners = owners_->listeners();
  if (!listeners) {
    if (std::exchange(listen_error_, listeners.error().text) != listeners.error().text)
      telemetry::warn("cannot see who listens in the pod; keeping what is known of the mesh",
                      {{"reason", listen_error_}});
    return;
  }
  listen_error_.clear();
  const std::size_t before = ignored_.size();
  std::erase_if(ignored_, [this](const mesh::LegKey& key) {
    return !owners_->has_socket({key.client, key.client_port, key.server, key.server_port});
  });
  ignored_changed_ = ignored_changed_ || ignored_.size() != before;
  mesh::Mesh mesh = mesh::find_mesh(config_.mesh, *listeners);
  if (mesh == legs_.mesh()) {
    if (ignored_changed_) renew_filter();
    return;
  }
  // Applications may open and close ports all the time.
  const bool news = mesh.kind != legs_.mesh().kind;
  telemetry::log(news ? telemetry::LogLevel::kInfo : telemetry::LogLevel::kDebug,
                 mesh.kind == mesh::Kind::kNone ? "no mesh in the pod now"
                                                : "forwarding the plaintext of the mesh",
                 {{"mesh", mesh::kind_name(mesh.kind)},
                  {"application_ports", text_of(mesh.application_ports)}});
  legs_.set_mesh(std::move(mesh));
  receiver_.on_mesh(legs_.mesh());
  renew_filter();
}

void LegSource::renew_filter() {
  ignored_changed_ = false;
  mesh::LegFilterConfig filter;
  filter.self = self_.addresses;
  filter.ignored = ignored_;
  filter.accept_bytes = config_.device.snaplen;
  const mesh::Mesh none;
  const mesh::Mesh& mesh = suits(link_) ? legs_.mesh() : none;
  slot_.set_filter(mesh::build_leg_filter(mesh, filter), capture::LinkType::kEthernet);
  if (!openings_) return;
  const bool wanted = mesh.kind != mesh::Kind::kNone;
  (void)openings_->set_filter(wanted ? openings_filter_ : mesh::build_leg_filter(none, {}));
}

std::size_t LegSource::read(std::size_t most, Clock::time_point now) {
  now_ = now;
  read_openings();
  const std::size_t got = slot_.read(*loopback_, most);
  release(now, false);
  return got;
}

void LegSource::drain() {
  read_openings();
  slot_.drain(*loopback_);
}

void LegSource::release(Clock::time_point now, bool all) {
  if (waiting_.empty()) return;
  std::vector<mesh::LegKey> due;
  for (const auto& [key, waiting] : waiting_)
    if (all || waiting.until <= now) due.push_back(key);
  for (const mesh::LegKey& key : due) decide_waiting(key, legs_.settle(key));
}

void LegSource::take(const capture::CapturedPacket& packet) {
  using Kind = mesh::LegJudgement::Kind;
  // The copy of the sending side, where the kernel could not be given the filter.
  if (packet.direction == capture::Direction::kOutbound) return receiver_.on_other(packet);
  const auto view = capture::parse_packet(capture::LinkType::kEthernet, packet.bytes);
  const mesh::LegJudgement judgement = legs_.judge(view);
  switch (judgement.kind) {
    case Kind::kWait:
      wait_for_payload(packet, view, judgement.key);
      break;
    case Kind::kLeg:
      if (!waiting_.empty()) decide_waiting(judgement.key, true);
      hand_on(packet, view, judgement.key, judgement.request);
      break;
    case Kind::kOther:
      if (!waiting_.empty()) decide_waiting(judgement.key, false);
      note_other(judgement.key);
      receiver_.on_other(packet);
      break;
  }
}

void LegSource::wait_for_payload(const capture::CapturedPacket& packet,
                                 const capture::PacketView& view, const mesh::LegKey& key) {
  auto found = waiting_.find(key);
  const bool full = found == waiting_.end() ? waiting_.size() >= kMostWaiting
                                            : found->second.packets.size() >= kMostOfHandshake;
  if (full || packet.bytes.size() > kMostWaitingPacket) {
    const bool leg = legs_.settle(key);
    decide_waiting(key, leg);
    if (leg) {
      hand_on(packet, view, key, false);
    } else {
      receiver_.on_other(packet);
    }
    return;
  }
  if (found == waiting_.end()) found = waiting_.emplace(key, Waiting{now_ + kWait, {}}).first;
  found->second.packets.emplace_back(packet);
}

void LegSource::decide_waiting(const mesh::LegKey& key, bool leg) {
  const auto found = waiting_.find(key);
  if (found == waiting_.end()) return;
  std::vector<StoredPacket> packets = std::move(found->second.packets);
  waiting_.erase(found);
  for (StoredPacket& each : packets) {
    const capture::CapturedPacket packet = each.whole();
    if (leg) {
      hand_on(packet, capture::parse_packet(capture::LinkType::kEthernet, packet.bytes), key,
              false);
    } else {
      receiver_.on_other(packet);
    }
  }
}

void LegSource::hand_on(const capture::CapturedPacket& packet, const capture::PacketView& view,
                        const mesh::LegKey& key, bool request) {
  const capture::CapturedPacket leg = rewriter_.rewrite(packet, view, key);
  const bool wanted = filter_.empty() || tap::filter_accepts(filter_, leg.bytes, leg.length);
  receiver_.on_leg({leg, key, request, wanted});
}

void LegSource::note_other(const mesh::LegKey& key) {
  if (others_.size() >= kMostOthers) others_.clear();
  if (++others_[key] != kManyPackets || ignored_.size() >= mesh::kMostIgnored) return;
  others_.erase(key);
  ignored_.push_back(key);
  ignored_changed_ = true;
}

}  // namespace sidetap
