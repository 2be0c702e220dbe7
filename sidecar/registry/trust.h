// Which CA bundles a tap checks the registry's certificate with, and in which order. Pure.
//
// The registry announces its CA over the connections that stand. Were the newest one the only one
// kept, a wrong one, announced once, would lock the tap out: it could never hear the correction. So
// those that have verified a replica, and the one of the tap's start, stay beside it.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace sidetap::registry {

class Trust {
 public:
  /// Of those that worked, besides the newest and the first.
  static constexpr std::size_t kMostWorked = 2;
  static constexpr std::size_t kMostCandidates = kMostWorked + 2;

  /// PEM texts, here and below. `first`: REGISTRY_CA.
  explicit Trust(std::string first) : first_(std::move(first)), newest_(first_) {}

  /// A replica announced it.
  void hear(std::string bundle) { newest_ = std::move(bundle); }
  /// It has verified a replica's certificate.
  void worked(const std::string& bundle);

  const std::string& newest() const { return newest_; }
  /// To be tried one after the other, each once: the newest, those that worked, the first.
  std::vector<std::string> candidates() const;

 private:
  const std::string first_;
  std::string newest_;
  std::deque<std::string> worked_;  // latest first
};

}  // namespace sidetap::registry
