// One interface of a dump: its packet source, and what becomes of each packet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "shared/net/interfaces.h"
#include "shared/result.h"
#include "sidecar/capture/device.h"
#include "sidecar/capture/packet_source.h"
#include "sidecar/commands/dump_legs.h"
#include "sidecar/commands/dump_options.h"
#include "sidecar/commands/dump_records.h"
#include "sidecar/commands/dump_stream.h"
#include "sidecar/commands/tap_connections.h"
#include "sidecar/forwarding/capture_format.h"
#include "sidecar/ownership/engine.h"
#include "sidecar/ownership/listening_sockets.h"

namespace sidetap {

/// The filter of a dump's socket: packets that the expression accepts and that are not `taps`'. If
/// not all of their connections fit, they are left to the process. Error: the expression does not
/// compile for this link layer.
Result<std::vector<capture::BpfInstruction>> dump_filter(const std::string& expression,
                                                         const TapConnections& taps,
                                                         capture::LinkType link,
                                                         std::uint32_t accept_bytes);

/// One thread.
class DumpCapture final : public capture::PacketHandler {
 public:
  /// `interface` is of `all`; `number` is its number in `stream`. All references must outlive this
  /// object.
  DumpCapture(const DumpOptions& options, const net::Interface& interface,
              const std::vector<net::Interface>& all, std::uint32_t number,
              const TapConnections& taps, DumpStream& stream);

  /// Opens the interface with its filter. Needs CAP_NET_RAW. Error: it cannot be opened, or the
  /// expression does not suit its link layer.
  Result<void> open();
  /// Packets that passed from now on are written. Call it after open(): a source may hold some that
  /// no filter has seen.
  void start();
  /// Call it when TapConnections has changed.
  Result<void> renew_filter();
  /// Reads what has come, up to a few hundred packets, and returns their number. Error: the
  /// interface is gone.
  Result<std::size_t> read();
  /// Captures nothing from now on, and reads what has passed, for a tenth of a second at most.
  void finish();

  int descriptor() const { return source_->descriptor(); }
  capture::LinkType link_type() const { return source_->link_type(); }
  const std::string& name() const { return interface_.name; }
  const net::Interface& interface() const { return interface_; }
  /// What the kernel tells.
  forwarding::InterfaceTotals totals();

  /// Legs get the MAC addresses of this interface. `legs` must outlive this object.
  void set_legs(DumpLegs& legs) { legs_ = &legs; }

  void on_packet(const capture::CapturedPacket& packet) override;

 private:
  Result<std::vector<capture::BpfInstruction>> filter_for(capture::LinkType link) const;
  bool is_early(const capture::CapturedPacket& packet);

  const DumpOptions& options_;
  const net::Interface interface_;
  const TapConnections& taps_;
  DumpStream& stream_;
  std::unique_ptr<capture::Device> device_;
  std::unique_ptr<capture::PacketSource> source_;
  DumpRecords records_;
  DumpLegs* legs_ = nullptr;
  std::unique_ptr<ownership::ListeningSockets> listening_;
  std::unique_ptr<ownership::Engine> engine_;  // null: all packets are wanted
  std::uint64_t read_ = 0;
  std::uint64_t start_ = 0;  // nanoseconds since 1970
  bool started_ = false;     // a packet has come that passed later
};

}  // namespace sidetap
