// Chooses the CA bundles with which a tap verifies the registry's certificate, in order. Pure.
//
// The registry announces its CA over open connections. If the tap kept only the newest bundle, a
// single wrong announcement would lock it out, because it could never receive the correction. So it
// also keeps bundles that have verified a replica, and the one from its start.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace sidetap::registry {

class Trust {
 public:
  /// Bundles that worked, besides the newest and the first.
  static constexpr std::size_t kMostWorked = 2;
  static constexpr std::size_t kMostCandidates = kMostWorked + 2;

  /// All bundles are PEM texts. `first` is REGISTRY_CA.
  explicit Trust(std::string first) : first_(std::move(first)), newest_(first_) {}

  /// Records a bundle that a replica has announced.
  void hear(std::string bundle) { newest_ = std::move(bundle); }
  /// Records a bundle that has verified a replica's certificate.
  void worked(const std::string& bundle);

  const std::string& newest() const { return newest_; }
  /// The bundles to try in order, without repetitions: the newest, those that worked, the first.
  std::vector<std::string> candidates() const;
  /// These together, as one text.
  std::string all() const;

 private:
  const std::string first_;
  std::string newest_;
  std::deque<std::string> worked_;  // latest first
};

}  // namespace sidetap::registry
