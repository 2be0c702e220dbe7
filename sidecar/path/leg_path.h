// The loopback interface as a second source of an interface's capture: the plaintext legs of a
// service mesh, in the form of a wire, and without the ciphertext that they stand for.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <string>

#include "sidecar/capture/device.h"
#include "sidecar/capture/packet_source.h"
#include "sidecar/mesh/cover_table.h"
#include "sidecar/mesh/mesh_kind.h"
#include "sidecar/mesh/socket_owners.h"
#include "sidecar/ownership/engine.h"
#include "sidecar/path/leg_source.h"
#include "sidecar/path/pipeline.h"
#include "sidecar/path/stored_packet.h"

namespace sidetap {

struct LegPathConfig : LegSourceConfig {
  /// Leaves out the ciphertext of connections whose plaintext is captured.
  bool leave_out_ciphertext = false;
};

/// Use it on the packet path, like the slot of the interface itself. The packets of both sources
/// meet in one pipeline, so that every capture gets the legs too.
class LegPath {
 public:
  using Clock = LegSource::Clock;
  /// How long a packet waits for what tells whether it is ciphertext of a leg.
  static constexpr std::chrono::milliseconds kWait{LegSource::kWait};
  /// Bytes of packets of the interface that wait, with what is kept of each. Beyond that, the
  /// oldest waits no longer.
  static constexpr std::size_t kMostHeldBytes = 4U << 20;

  LegPath(LegPathConfig config, LegDevices devices, std::unique_ptr<mesh::SocketOwners> owners);
  ~LegPath();

  /// Call it before anything else. `pipeline` outlives this object.
  void connect(Pipeline& pipeline) { pipeline_ = &pipeline; }
  /// These are as of LegSource.
  void set_link_type(capture::LinkType link) { legs_->set_link_type(link); }
  void set_self(const ownership::Self& self);
  void set_mtu(std::uint32_t mtu) { legs_->set_mtu(mtu); }
  void set_filter(const std::string& expression) { legs_->set_filter(expression); }

  /// Takes the packets of the interface itself, and hands them on to the pipeline.
  capture::PacketHandler& inlet();
  /// Opens and closes the loopback interface, and looks for the mesh.
  void look();
  Clock::time_point next_look() const { return legs_->next_look(); }
  /// When look() or release() has something to do, as far as that is known.
  Clock::time_point next_due() const {
    return held_.empty() ? next_look() : std::min(next_look(), held_.front().until);
  }
  std::size_t read(std::size_t most, Clock::time_point now);
  bool is_filling() const { return legs_->is_filling(); }
  /// Decides what has waited long enough; with `all`, whatever waits.
  void release(Clock::time_point now, bool all);
  void drain() { legs_->drain(); }
  void end_capture() { legs_->end_capture(); }
  /// Of the loopback interface.
  capture::SourceCounts counts() { return legs_->counts(); }
  int descriptor() const { return legs_->descriptor(); }
  int openings_descriptor() const { return legs_->openings_descriptor(); }
  const mesh::Mesh& present_mesh() const { return legs_->present_mesh(); }

 private:
  class Inlet;
  class Outlet;
  struct Held {
    Clock::time_point until;
    mesh::LegKey key;
    StoredPacket stored;
  };
  static constexpr std::size_t held_size(std::size_t packet) { return packet + sizeof(Held); }

  bool covers() const;
  void take_from_interface(const capture::CapturedPacket& packet);
  void hold(const capture::CapturedPacket& packet, const mesh::LegKey& key);
  void release_held(Clock::time_point now, bool all);
  void release_oldest();

  const bool leave_out_ciphertext_;
  Pipeline* pipeline_ = nullptr;
  std::unique_ptr<Inlet> inlet_;
  std::unique_ptr<Outlet> outlet_;
  std::unique_ptr<LegSource> legs_;
  mesh::CoverTable cover_;
  std::deque<Held> held_;  // packets of the interface
  std::size_t held_bytes_ = 0;
  Clock::time_point now_;
};

}  // namespace sidetap
