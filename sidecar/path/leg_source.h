// The loopback interface as a source of packets: the plaintext legs of a service mesh, in the form
// of a wire.
//
// Who listens in the pod is asked every kLookEvery. From that follow the kind of the mesh and the
// kernel's filter, which lets nothing of the loopback interface pass while there is no mesh.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "shared/net/ip_address.h"
#include "shared/rpcap/messages.h"
#include "sidecar/capture/device.h"
#include "sidecar/capture/packet_source.h"
#include "sidecar/mesh/leg_rewriter.h"
#include "sidecar/mesh/leg_table.h"
#include "sidecar/mesh/mesh_kind.h"
#include "sidecar/mesh/socket_owners.h"
#include "sidecar/ownership/engine.h"
#include "sidecar/path/source_slot.h"
#include "sidecar/path/stored_packet.h"

namespace sidetap {

struct LegSourceConfig {
  std::string interface = "lo";
  mesh::MeshSettings mesh;
  /// Stand for clients that the mesh hides, one of each family at most. None: as seen.
  std::vector<net::IpAddress> clients;
  capture::DeviceConfig device;  ///< Without interface, filter, and the time of a block.
  mesh::LegKeyHash hash{};
};

/// Of the loopback interface.
struct LegDevices {
  std::unique_ptr<capture::Device> packets{};
  /// A second look at it, for packets that open connections only. Whoever opened one can be asked
  /// as long as its socket is there, and a ring hands packets over with a delay. Null: the ring's
  /// packets have to do.
  std::unique_ptr<capture::Device> openings{};
};

/// One packet of a leg.
struct Leg {
  const capture::CapturedPacket& packet;  ///< In the form of a wire. Valid during the call.
  const mesh::LegKey& key;                ///< The connection, as the loopback interface shows it.
  bool request = false;                   ///< It carries payload to the application.
  bool wanted = true;                     ///< The operator's filter accepts it.
};

/// Takes what a LegSource reads, on its thread.
class LegReceiver {
 public:
  virtual ~LegReceiver() = default;
  virtual void on_leg(const Leg& leg) = 0;
  /// A packet of the loopback interface that was read and is no leg.
  virtual void on_other(const capture::CapturedPacket& packet) = 0;
  /// The mesh, its proxy's ports, or the application's have changed.
  virtual void on_mesh(const mesh::Mesh& mesh) = 0;
};

/// For one thread.
class LegSource {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kLookEvery{250};
  /// How long a packet waits for what tells whether it is a leg.
  static constexpr std::chrono::milliseconds kWait{250};
  /// Connections that wait at a time.
  static constexpr std::size_t kMostWaiting = 1024;

  /// `receiver` outlives this object.
  LegSource(LegSourceConfig config, LegDevices devices, std::unique_ptr<mesh::SocketOwners> owners,
            LegReceiver& receiver);
  ~LegSource();
  LegSource(const LegSource&) = delete;
  LegSource& operator=(const LegSource&) = delete;

  /// Whether legs can have the form of this link layer: Ethernet or raw IP.
  static bool suits(capture::LinkType link);
  /// Of the capture that the legs travel in. On one that does not suit, nothing is captured.
  void set_link_type(capture::LinkType link);
  void set_self(const ownership::Self& self);
  void set_mtu(std::uint32_t mtu);
  /// The operator's filter expression, for legs in the form in which they leave. It changes
  /// Leg::wanted only.
  void set_filter(const std::string& expression);
  /// A packet of the pod's interface, which shows the MAC address at the link's other end.
  void note_peer(const capture::CapturedPacket& packet);

  /// Opens and closes the loopback interface, and looks for the mesh.
  void look();
  Clock::time_point next_look() const { return next_look_; }
  std::size_t read(std::size_t most, Clock::time_point now);
  /// Decides what has waited long enough; with `all`, whatever waits.
  void release(Clock::time_point now, bool all);
  /// As SourceSlot::drain().
  void drain();
  void end_capture() { slot_.end_capture(); }

  bool is_filling() const { return slot_.is_filling(); }
  /// Whether the loopback interface is captured.
  bool is_working() const { return slot_.is_working(); }
  /// Why it could not be opened; empty if it could.
  const std::string& open_error() const { return slot_.open_error(); }
  capture::SourceCounts counts() { return slot_.counts(); }
  /// Poll both for reading. -1: there is none.
  int descriptor() const { return slot_.descriptor(); }
  int openings_descriptor() const { return openings_ ? openings_->descriptor() : -1; }
  capture::LinkType link_type() const { return link_; }
  const mesh::Mesh& present_mesh() const { return legs_.mesh(); }
  mesh::SocketOwners& owners() { return *owners_; }
  mesh::LegKeyHash hash() const { return config_.hash; }
  /// The pod's, without those of the loopback interface.
  const std::vector<net::IpAddress>& addresses() const { return self_.addresses; }

 private:
  class Loopback;
  class Openings;
  struct Waiting {
    Clock::time_point until;
    std::vector<StoredPacket> packets;
  };

  void open_openings();
  void read_openings();
  void take(const capture::CapturedPacket& packet);
  void wait_for_payload(const capture::CapturedPacket& packet, const capture::PacketView& view,
                        const mesh::LegKey& key);
  void decide_waiting(const mesh::LegKey& key, bool leg);
  void hand_on(const capture::CapturedPacket& packet, const capture::PacketView& view,
               const mesh::LegKey& key, bool request);
  void note_other(const mesh::LegKey& key);
  void look_for_mesh();
  void compile_filter();
  void renew_filter();
  void set_wire_facts();

  LegSourceConfig config_;
  std::unique_ptr<mesh::SocketOwners> owners_;
  LegReceiver& receiver_;
  std::unique_ptr<Loopback> loopback_;
  SourceSlot slot_;
  std::unique_ptr<Openings> met_;
  std::unique_ptr<capture::Device> openings_device_;  // null: openings_ is open, or is not wanted
  std::unique_ptr<capture::PacketSource> openings_;
  std::vector<rpcap::BpfInstruction> openings_filter_;
  mesh::LegTable legs_;
  mesh::LegRewriter rewriter_;
  ownership::Self self_;
  capture::LinkType link_ = capture::LinkType::kEthernet;
  std::uint32_t mtu_ = 0;
  std::string expression_;
  std::vector<rpcap::BpfInstruction> filter_;  // for legs as they leave; empty: all
  std::unordered_map<mesh::LegKey, Waiting, mesh::LegKeyHash> waiting_;
  std::unordered_map<mesh::LegKey, std::uint32_t, mesh::LegKeyHash> others_;  // packets
  std::vector<mesh::LegKey> ignored_;  // left to the kernel's filter
  bool ignored_changed_ = false;
  std::string listen_error_;  // said in the log
  Clock::time_point next_look_;
  Clock::time_point now_;
};

}  // namespace sidetap
