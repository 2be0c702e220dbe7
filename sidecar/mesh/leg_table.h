// Tells the connections from a mesh's proxy to the application from everything else that passes the
// loopback interface. Pure.
//
// A leg is a TCP connection to a listening port of the application, at an address of the pod or of
// the loopback, that the proxy opens. Who opened it is known by the client's address, where the
// mesh has one of its own (127.0.0.6, ::6) or keeps the real client's, and else by the user of the
// socket. Probes, the proxy's own ports, databases on localhost and the tap's status port are never
// legs. A connection of which nobody knows who opened it is none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "shared/net/ip_address.h"
#include "sidecar/mesh/mesh_kind.h"
#include "sidecar/mesh/socket_owners.h"
#include "sidecar/packet/packet_view.h"

namespace sidetap::mesh {

/// A connection, as its client's end sees it.
struct LegKey {
  net::IpAddress client;
  net::IpAddress server;
  std::uint16_t client_port = 0;
  std::uint16_t server_port = 0;
  friend bool operator==(const LegKey&, const LegKey&) = default;
};

struct LegKeyHash {
  /// Random in production, because peers choose addresses and ports.
  std::uint64_t seed = 0x9e3779b97f4a7c15ULL;
  std::size_t operator()(const LegKey& key) const noexcept;
};

struct TcpPayload {
  std::span<const std::byte> bytes;  ///< As far as it is captured.
  std::size_t size = 0;              ///< Of all of it, by the IP header where that says it.
};
/// Empty for anything but a whole packet of TCP.
TcpPayload tcp_payload(const capture::PacketView& view);

/// Whether the mesh binds this address for its connections to the application (127.0.0.6, ::6).
bool is_stand_in(net::IpAddress address);

struct LegJudgement {
  enum class Kind : std::uint8_t {
    kLeg,
    kWait,   ///< It shows with the first payload; keep the packet until then, or until settle().
    kOther,  ///< Not a leg; what waits of this connection is none either.
  };
  Kind kind = Kind::kOther;
  LegKey key{};
  bool request = false;  ///< It carries payload to the application.
};

/// For one thread. Holds up to kMostFlows connections; those beyond are judged anew.
class LegTable {
 public:
  static constexpr std::size_t kMostFlows = 16'384;

  /// `owners` outlives the table.
  explicit LegTable(SocketOwners& owners, LegKeyHash hash = {})
      : owners_(owners), flows_(0, hash) {}

  /// What was judged before stays.
  void set_mesh(Mesh mesh) { mesh_ = std::move(mesh); }
  const Mesh& mesh() const { return mesh_; }
  /// The pod's addresses, without those of the loopback.
  void set_self(std::vector<net::IpAddress> addresses) { self_ = std::move(addresses); }

  /// A connection is being opened, and its packets come later: looks who opens it while the socket
  /// is there.
  void meet(const capture::PacketView& view);
  LegJudgement judge(const capture::PacketView& view);
  /// The connection has waited long enough: without any payload it counts as a leg, unless it has
  /// been closed. True: it is a leg.
  bool settle(const LegKey& key);
  std::size_t flows() const { return flows_.size(); }

 private:
  enum class State : std::uint8_t { kWaiting, kLeg, kOther };
  struct Flow {
    State state = State::kOther;
    bool fin_from_client = false;
    bool fin_from_server = false;
    bool closed = false;
    bool goes_on = false;  ///< Something but a SYN has passed.
  };

  bool is_local(net::IpAddress address) const;
  bool may_be_leg(const LegKey& key) const;
  State first_state(const LegKey& key, bool opens);
  bool is_opened_by_proxy(const LegKey& key, bool opens);
  void make_room();

  SocketOwners& owners_;
  Mesh mesh_;
  std::vector<net::IpAddress> self_;
  std::unordered_map<LegKey, Flow, LegKeyHash> flows_;
};

}  // namespace sidetap::mesh
