#include "sidecar/commands/explain_legs.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "sidecar/capture/capture_file.h"
#include "sidecar/mesh/leg_table.h"

namespace sidetap {
namespace {

constexpr std::uint32_t kAssumedProxy = 1;

class ProxyEverywhere final : public mesh::SocketOwners {
 public:
  Result<std::vector<mesh::Listener>> listeners() override { return std::vector<mesh::Listener>(); }
  std::optional<std::uint32_t> owner_of(const mesh::SocketEnds&) override { return kAssumedProxy; }
  bool has_socket(const mesh::SocketEnds&) override { return true; }
};

/// By which the kind is known, whether or not --listening names them.
std::array<std::uint16_t, 2> proxy_ports_of(mesh::Kind kind) {
  switch (kind) {
    case mesh::Kind::kAmbient:
      return {15006, 15008};
    case mesh::Kind::kLinkerd:
      return {4140, 4143};
    case mesh::Kind::kIstio:
    case mesh::Kind::kEnvoy:
    case mesh::Kind::kNone:
      break;
  }
  return {15001, 15006};
}

mesh::Mesh assumed_mesh(const ExplainOptions& options) {
  std::vector<mesh::Listener> listeners;
  for (const std::uint16_t port : proxy_ports_of(options.mesh.kind.value_or(mesh::Kind::kIstio)))
    listeners.push_back({{}, port, 0});
  for (const auto* ports : {&options.mesh.ports, &options.listening})
    for (const std::uint16_t port : *ports) listeners.push_back({{}, port, 0});
  mesh::MeshSettings settings;
  settings.kind = options.mesh.kind.value_or(mesh::Kind::kIstio);
  settings.ports = options.mesh.ports;
  mesh::Mesh mesh = mesh::find_mesh(settings, listeners);
  // Ambient's proxy is root, and known by addresses only.
  if (settings.kind != mesh::Kind::kAmbient) mesh.users = {kAssumedProxy};
  return mesh;
}

}  // namespace

Result<std::vector<bool>> find_legs(const ExplainOptions& options) {
  auto file = capture::open_capture_file(options.file);
  if (!file) return file.error();
  ProxyEverywhere owners;
  mesh::LegTable table(owners);
  table.set_mesh(assumed_mesh(options));
  table.set_self(options.ownership.pod_ips);
  std::vector<bool> legs;
  std::unordered_map<mesh::LegKey, std::vector<std::size_t>, mesh::LegKeyHash> waiting;
  const auto decide = [&](const mesh::LegKey& key, bool leg) {
    const auto found = waiting.find(key);
    if (found == waiting.end()) return;
    for (const std::size_t packet : found->second) legs[packet] = leg;
    waiting.erase(found);
  };
  capture::FilePacket packet;
  for (auto got = (*file)->next(packet); got && *got; got = (*file)->next(packet)) {
    using Kind = mesh::LegJudgement::Kind;
    const auto judgement = table.judge(capture::parse_packet(packet.link, packet.packet.bytes));
    legs.push_back(judgement.kind == Kind::kLeg);
    if (judgement.kind == Kind::kWait) {
      waiting[judgement.key].push_back(legs.size() - 1);
    } else {
      decide(judgement.key, judgement.kind == Kind::kLeg);
    }
  }
  // Whatever is silent up to the end.
  for (const auto& [key, packets] : waiting)
    for (const std::size_t each : packets) legs[each] = true;
  return legs;
}

std::vector<std::string> leg_assumptions(const ExplainOptions& options) {
  std::vector<std::string> sentences;
  if (options.listening.empty())
    sentences.emplace_back(
        "the application listens nowhere, so that nothing is a leg; name its "
        "ports with --listening");
  const mesh::Kind kind = options.mesh.kind.value_or(mesh::Kind::kIstio);
  if (!options.mesh.kind)
    sentences.emplace_back("the mesh is Istio's, with a sidecar; say otherwise with --mesh-kind");
  if (kind != mesh::Kind::kAmbient)
    sentences.emplace_back(
        "connections from the pod's own addresses and from localhost are the proxy's; a running "
        "tap asks the kernel who opened them");
  return sentences;
}

}  // namespace sidetap
