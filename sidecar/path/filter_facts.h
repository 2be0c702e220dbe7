// Holds the changing inputs of one interface's kernel filter.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "shared/net/cidr.h"
#include "shared/result.h"
#include "sidecar/ownership/engine.h"
#include "sidecar/packet/kernel_filter.h"

namespace sidetap {

/// For one thread.
class FilterFacts {
 public:
  /// `unowned`: peers whose packets are never owned. `expression`: the operator's filter, checked.
  /// `accept_bytes`: what is kept of each packet.
  FilterFacts(ownership::Self self, std::vector<net::Cidr> unowned, std::string expression,
              std::uint32_t accept_bytes);

  void set_self(ownership::Self self) { self_ = std::move(self); }
  /// Replaces the endpoints of this owner. Returns false if that makes no difference.
  bool set_own(const std::string& owner, std::vector<capture::OwnEndpoint> endpoints);
  /// Returns false if they have not changed.
  bool set_unowned(std::vector<net::Cidr> unowned);
  /// Returns false if that makes no difference.
  bool set_narrowing(const std::string& expression, std::uint32_t accept_bytes);

  /// The endpoints of all owners, without repetitions.
  const std::vector<capture::OwnEndpoint>& own() const { return own_; }
  const std::vector<net::Cidr>& unowned() const { return unowned_; }
  /// Calls capture::build_kernel_filter(). An expression that does not compile for this link layer
  /// leaves nothing out, and that is logged once.
  Result<std::vector<capture::BpfInstruction>> build(capture::LinkType link);
  /// The same with nothing but the expression, which always fits. Nothing if there is none.
  std::optional<std::vector<capture::BpfInstruction>> build_expression(capture::LinkType link);
  /// The expression for packets as they are on the wire, to be run in the process. Without an
  /// expression, a program that accepts everything.
  Result<std::vector<capture::BpfInstruction>> build_for_process(capture::LinkType link) const;

 private:
  void compile(capture::LinkType link);

  ownership::Self self_;
  std::map<std::string, std::vector<capture::OwnEndpoint>> owners_;
  std::vector<capture::OwnEndpoint> own_;
  std::vector<net::Cidr> unowned_;
  std::string expression_;
  std::optional<capture::LinkType> compiled_for_;
  std::vector<capture::BpfInstruction> compiled_;
  std::uint32_t accept_bytes_;
};

}  // namespace sidetap
