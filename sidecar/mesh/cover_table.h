// Tells which connections on the pod's interface are the ciphertext of legs that are captured.
// Pure.
//
// A connection to a port that the mesh's proxy takes over is covered once a leg to the same port
// (or, through a tunnel of the mesh, to any port) carries a request after this connection's client
// has sent one: that is after the TLS handshake, or, without TLS, with the first byte, if the
// socket is the proxy's. A proxy keeps connections to the application and uses them for many
// clients, so no more than that can be told.
//
// What is not covered stays visible: handshakes that fail, connections that are reset before, those
// to ports that the proxy leaves alone, and everything while no leg is captured. In doubt a
// connection is visible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "shared/net/ip_address.h"
#include "sidecar/mesh/leg_table.h"
#include "sidecar/mesh/mesh_kind.h"
#include "sidecar/mesh/socket_owners.h"
#include "sidecar/packet/packet_view.h"

namespace sidetap::mesh {

/// For one thread. Times are of the capture, in nanoseconds.
class CoverTable {
 public:
  static constexpr std::size_t kMostFlows = 16'384;

  enum class Verdict : std::uint8_t {
    kVisible,  ///< Forward it now.
    kHold,     ///< Keep it for a quarter of a second, and then ask release().
    kCovered,  ///< Leave it out.
  };
  struct Judgement {
    Verdict verdict = Verdict::kVisible;
    LegKey key{};  ///< Of a packet to hold.
  };

  /// `owners` outlives the table.
  explicit CoverTable(SocketOwners& owners, LegKeyHash hash = {})
      : owners_(owners), flows_(0, hash) {}

  void set_mesh(const Mesh& mesh) { mesh_ = mesh; }
  void set_self(std::vector<net::IpAddress> addresses) { self_ = std::move(addresses); }
  /// A captured leg to this port has carried payload to the application.
  void note_request(std::uint16_t port, std::int64_t time);

  Judgement judge(const capture::PacketView& view, std::int64_t time);
  /// For each packet that was held, in order. True: leave it out.
  bool release(const LegKey& key);
  std::size_t flows() const { return flows_.size(); }

 private:
  struct Flow {
    bool client_spoke = false;
    bool server_spoke = false;
    bool tls = false;
    bool visible = false;  ///< Whatever comes.
    bool covered = false;  ///< Likewise.
    bool closed = false;
    std::uint32_t held = 0;
    std::uint32_t released = 0;
    std::size_t answered = 0;  ///< Bytes from the server since `asked`.
    std::int64_t asked = 0;    ///< When the client may have sent a request; 0: not yet.
  };
  using Flows = std::unordered_map<LegKey, Flow, LegKeyHash>;

  bool is_taken_over(std::uint16_t port) const;
  bool is_self(net::IpAddress address) const;
  bool has_request(const LegKey& key, const Flow& flow) const;
  bool is_proxys(const LegKey& key);
  Flow& obtain(const LegKey& key, bool opens);
  void note_client(const LegKey& key, Flow& flow, const TcpPayload& payload, std::int64_t time);
  void note_end(const capture::PacketView& view, Flow& flow, bool to_server);

  SocketOwners& owners_;
  Mesh mesh_;
  std::vector<net::IpAddress> self_;
  std::unordered_map<std::uint16_t, std::int64_t> requests_;  // the last one, by port
  std::int64_t last_request_ = 0;
  Flows flows_;
};

}  // namespace sidetap::mesh
