// Which VXLAN network identifier (VNI) the packets of a namespace have. Pure.
//
// A namespace that is not configured gets its number from its name, so that several taps and
// collectors agree without a word between them: the FNV-1a hash of 32 bits of the name, modulo the
// size of the range, plus kFirstDerivedVni. Two names may get the same number, which nobody can
// prevent: then their packets share it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace sidetap::forwarding {

/// 24 bits.
inline constexpr std::uint32_t kMostVni = 0xffffff;
/// Names lead to numbers from this one to kMostVni. Those below are free for the operator's own.
inline constexpr std::uint32_t kFirstDerivedVni = 4096;

/// Whether Kubernetes allows such a name: up to 63 of a to z, 0 to 9 and "-".
bool is_namespace(std::string_view text);

/// The number that follows from the name alone.
std::uint32_t derived_vni(std::string_view pod_namespace);

using VniByNamespace = std::map<std::string, std::uint32_t, std::less<>>;

struct VniRule {
  std::uint32_t otherwise = 0;  ///< Of packets without a known namespace, or of all.
  bool by_namespace = false;    ///< False: all packets have `otherwise`.
  VniByNamespace configured{};

  /// A text that is no namespace counts as an unknown one.
  std::uint32_t of(std::string_view pod_namespace) const;
};

}  // namespace sidetap::forwarding
