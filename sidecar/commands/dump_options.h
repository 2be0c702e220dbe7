// The options of `sidetap-sidecar dump`.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "shared/config/options.h"
#include "shared/net/host_port.h"
#include "sidecar/capture/packet_source.h"
#include "sidecar/forwarding/capture_format.h"
#include "sidecar/options/mesh_options.h"
#include "sidecar/options/ownership_options.h"
#include "sidecar/session/sessions.h"

namespace sidetap {

/// What ends a dump. 0: no bound.
struct DumpBounds {
  std::int64_t time_ms = 0;
  std::uint64_t packets = 0;  ///< That are written.
  std::uint64_t bytes = 0;    ///< Of the output, with its end.
};

struct DumpOptions {
  std::vector<std::string> interfaces{};  ///< Empty: those that hold the pod's addresses.
  std::string expression{};               ///< Checked. Empty: all packets.
  std::string file{};                     ///< "-": standard output.
  forwarding::CaptureFormat format = forwarding::CaptureFormat::kPcapng;
  DumpBounds bounds{};
  std::uint32_t snaplen = 0;
  bool owned = false;  ///< Only packets that the pod's tap would own.
  bool mesh = false;   ///< Also the plaintext of the pod's service mesh.
  bool raw = false;    ///< Packets as the kernel has them, not as they were on the wire.
  std::uint64_t ring_bytes = 0;
  capture::CaptureMethod capture_method = capture::CaptureMethod::kAuto;
  bool sandbox = true;

  // What the environment of the pod's tap says of it.
  OwnershipOptions ownership{};
  forwarding::PodLabel pod{};
  std::vector<session::Sensor> sensors{};
  net::HostPort registry{};  ///< Without a host: none.
  MeshOptions mesh_rules{};  ///< Its mode says nothing here.
  std::optional<net::HostPort> status_listen{};
};

/// `arguments` are options, then the words of the expression; "--" may stand between them. Prints
/// what config::OptionSet::parse() prints.
config::ParseResult parse_dump_options(std::span<const char* const> arguments,
                                       const config::OptionSet::Environment& environment,
                                       DumpOptions& into);

}  // namespace sidetap
