// What the registry has proved: which pod holds which address now. Pure.
//
// Filled from the lines of its stream of identities (deploy/docs/identity.md): JSON objects, each
// one tenure of one or several addresses, a position in the sequence of changes, or both.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shared/net/ip_address.h"
#include "shared/result.h"

namespace sidetap::collector {

/// One pod, as the API server attests it.
struct ProvedPod {
  std::string uid{};
  std::string node{};                       ///< Empty: not known.
  std::vector<net::IpAddress> addresses{};  ///< All that it holds.
};

class ProofBook {
 public:
  /// More addresses are not taken: taps of their pods count as unlisted.
  static constexpr std::size_t kMostHeld = 400'000;
  static constexpr std::size_t kMostAddressesOfLine = 256;

  struct Taken {
    std::string pod{};       ///< "NAMESPACE/POD" of a tenure; empty: the line has none.
    std::string position{};  ///< "EPOCH-NUMBER"; empty: the line has none.
  };

  /// Error: not a line of the stream; nothing is taken of it.
  Result<Taken> take(std::string_view line);
  /// The pod of this name that holds `address`, the newest if there are several. `pod` is
  /// "NAMESPACE/POD".
  std::optional<ProvedPod> find(const std::string& pod, const net::IpAddress& address) const;
  /// Some pod of this name holds some address.
  bool lists(const std::string& pod) const { return pods_.contains(pod); }
  std::size_t held() const { return held_; }

 private:
  struct Holding {
    net::IpAddress address;
    std::string uid;
    std::string node;
    std::string from;  // RFC 3339 in UTC, always of one length: text compares like time
  };
  void hold(const std::string& pod, Holding holding);
  void release(const std::string& pod, const Holding& holding);

  std::unordered_map<std::string, std::vector<Holding>> pods_;
  std::size_t held_ = 0;
};

}  // namespace sidetap::collector
