#include "sidecar/path/leg_path.h"

#include <cstdint>
#include <utility>

#include "sidecar/packet/packet_view.h"

namespace sidetap {
namespace {

std::int64_t capture_time(const capture::CapturedPacket& packet) {
  return std::int64_t{packet.seconds} * 1'000'000'000 + packet.nanoseconds;
}

}  // namespace

class LegPath::Inlet final : public capture::PacketHandler {
 public:
  explicit Inlet(LegPath& path) : path_(path) {}
  void on_packet(const capture::CapturedPacket& packet) override {
    path_.take_from_interface(packet);
  }

 private:
  LegPath& path_;
};

class LegPath::Outlet final : public LegReceiver {
 public:
  explicit Outlet(LegPath& path) : path_(path) {}
  void on_leg(const Leg& leg) override {
    // It covers the ciphertext of its request even where the operator's filter leaves it out.
    if (leg.request) path_.cover_.note_request(leg.key.server_port, capture_time(leg.packet));
    if (leg.wanted) {
      path_.pipeline_->on_leg(leg.packet);
    } else {
      on_other(leg.packet);
    }
  }
  void on_other(const capture::CapturedPacket& packet) override {
    path_.pipeline_->leave_out(packet, ownership::Rule::kLoopback);
  }
  void on_mesh(const mesh::Mesh& mesh) override { path_.cover_.set_mesh(mesh); }

 private:
  LegPath& path_;
};

LegPath::LegPath(LegPathConfig config, LegDevices devices,
                 std::unique_ptr<mesh::SocketOwners> owners)
    : leave_out_ciphertext_(config.leave_out_ciphertext),
      inlet_(std::make_unique<Inlet>(*this)),
      outlet_(std::make_unique<Outlet>(*this)),
      legs_(std::make_unique<LegSource>(std::move(config), std::move(devices), std::move(owners),
                                        *outlet_)),
      cover_(legs_->owners(), legs_->hash()) {}

LegPath::~LegPath() = default;

capture::PacketHandler& LegPath::inlet() { return *inlet_; }

void LegPath::set_self(const ownership::Self& self) {
  legs_->set_self(self);
  cover_.set_self(legs_->addresses());
}

void LegPath::look() {
  legs_->look();
  now_ = Clock::now();
}

std::size_t LegPath::read(std::size_t most, Clock::time_point now) {
  now_ = now;
  const std::size_t got = legs_->read(most, now);
  release_held(now, false);
  return got;
}

bool LegPath::covers() const {
  return leave_out_ciphertext_ && legs_->is_working() && present_mesh().kind != mesh::Kind::kNone;
}

void LegPath::take_from_interface(const capture::CapturedPacket& packet) {
  legs_->note_peer(packet);
  if (!covers()) {
    // Behind what waits from before.
    if (!held_.empty()) release(now_, true);
    pipeline_->on_packet(packet);
    return;
  }
  using Verdict = mesh::CoverTable::Verdict;
  const auto view = capture::parse_packet(legs_->link_type(), packet.bytes);
  const auto judgement = cover_.judge(view, capture_time(packet));
  switch (judgement.verdict) {
    case Verdict::kVisible:
      pipeline_->on_packet(packet);
      break;
    case Verdict::kCovered:
      pipeline_->leave_out(packet, ownership::Rule::kMeshCovered);
      break;
    case Verdict::kHold:
      hold(packet, judgement.key);
      break;
  }
}

void LegPath::hold(const capture::CapturedPacket& packet, const mesh::LegKey& key) {
  const std::size_t size = held_size(packet.bytes.size());
  while (!held_.empty() && held_bytes_ + size > kMostHeldBytes) release_oldest();
  held_bytes_ += size;
  held_.push_back({now_ + kWait, key, StoredPacket(packet)});
}

void LegPath::release_oldest() {
  Held held = std::move(held_.front());
  held_.pop_front();
  held_bytes_ -= held_size(held.stored.size());
  const capture::CapturedPacket packet = held.stored.whole();
  if (cover_.release(held.key)) {
    pipeline_->leave_out(packet, ownership::Rule::kMeshCovered);
  } else {
    pipeline_->on_packet(packet);
  }
}

void LegPath::release_held(Clock::time_point now, bool all) {
  while (!held_.empty() && (all || held_.front().until <= now)) release_oldest();
}

void LegPath::release(Clock::time_point now, bool all) {
  release_held(now, all);
  legs_->release(now, all);
}

}  // namespace sidetap
