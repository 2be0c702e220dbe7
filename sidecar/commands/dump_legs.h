// The plaintext of the pod's service mesh in a dump: the legs on the loopback interface, in the
// form in which the pod's tap forwards them. Nothing else of the loopback interface is shown.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "shared/net/interfaces.h"
#include "shared/result.h"
#include "sidecar/capture/packet_source.h"
#include "sidecar/commands/dump_options.h"
#include "sidecar/commands/dump_records.h"
#include "sidecar/commands/dump_stream.h"
#include "sidecar/forwarding/capture_format.h"
#include "sidecar/mesh/mesh_kind.h"
#include "sidecar/path/leg_source.h"

namespace sidetap {

/// One thread.
class DumpLegs final : public LegReceiver {
 public:
  using Clock = LegSource::Clock;

  /// Legs get the form of `interface`, which is of `all` and has the link layer `link`. `number` is
  /// the number in `stream`. All references must outlive this object.
  DumpLegs(const DumpOptions& options, const net::Interface& interface,
           const std::vector<net::Interface>& all, capture::LinkType link, std::uint32_t number,
           DumpStream& stream);

  /// Opens the loopback interface, and looks for the mesh. Needs CAP_NET_RAW. Error: the loopback
  /// interface cannot be captured, or legs cannot have the form of the interface.
  Result<void> open();
  /// A packet of the interface, which shows the MAC address at the link's other end.
  void note_peer(const capture::CapturedPacket& packet) { legs_.note_peer(packet); }
  /// Follows the mesh. Call it at next_look().
  void look() { legs_.look(); }
  Clock::time_point next_look() const { return legs_.next_look(); }
  /// Reads what has come, up to a few hundred packets, and returns their number.
  std::size_t read();
  /// Captures nothing from now on, and writes what waits.
  void finish();

  int descriptor() const { return legs_.descriptor(); }
  int openings_descriptor() const { return legs_.openings_descriptor(); }
  /// How the interface of the legs is called in a dump.
  forwarding::InterfaceLabel label() const;
  forwarding::InterfaceTotals totals();

  void on_leg(const Leg& leg) override;
  void on_other(const capture::CapturedPacket&) override {}
  void on_mesh(const mesh::Mesh& mesh) override;

 private:
  const DumpOptions& options_;
  const std::string form_of_;  // the interface's name
  const capture::LinkType link_;
  DumpStream& stream_;
  mesh::Kind told_ = mesh::Kind::kNone;  // said to the operator
  DumpRecords records_;
  LegSource legs_;
};

}  // namespace sidetap
