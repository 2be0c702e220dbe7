// The pods that should have a tap, by what was last heard of them and of their namespaces. Pure.
//
// Use it on one thread. Memory: about 300 bytes for each pod that counts, and 200 for each
// namespace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "webhook/coverage/pod_facts.h"
#include "webhook/coverage/summary.h"

namespace sidetap::webhook::coverage {

class CoverageTable {
 public:
  static constexpr std::size_t kMostPods = 150'000;

  explicit CoverageTable(std::size_t most_pods = kMostPods) : most_pods_(most_pods) {}

  // From begin to end, everything is told anew. What was not told by then no longer exists. A list
  // may begin again before its end.

  void namespaces_begin() { ++namespace_round_; }
  /// Returns whether pods count now that did not before: all pods must be told anew.
  bool set(NamespaceFacts facts);
  void remove_namespace(const std::string& name);
  void namespaces_end();

  void pods_begin();
  /// Nothing: the pod does not count. If there are too many pods, a new one is left out until the
  /// next list.
  void set(const PodName& name, std::optional<PodFacts> facts);
  void pods_end();

  /// kAll for a namespace that is not known yet: its pods must not be lost.
  Selects selects(const std::string& name_space) const;
  /// Increases with everything that may change the summary.
  std::uint64_t changes() const { return changes_; }
  /// Of the pods whose namespace is known.
  Summary summary() const;

 private:
  struct Pod {
    PodFacts facts;
    std::uint64_t round = 0;  // of the list that told it last
  };
  struct Namespace {
    std::optional<NamespaceFacts> facts;  // nothing: only its pods have been told
    std::uint64_t round = 0;
    std::map<std::string, Pod> pods;
  };
  void erase_pod(const PodName& name);
  void drop_pods(Namespace& space);

  const std::size_t most_pods_;
  std::map<std::string, Namespace> namespaces_;
  std::size_t pods_ = 0;
  bool complete_ = true;
  std::uint64_t namespace_round_ = 0, pod_round_ = 0, changes_ = 0;
};

}  // namespace sidetap::webhook::coverage
