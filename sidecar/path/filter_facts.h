// Holds the changing inputs of one interface's kernel filter.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "shared/net/cidr.h"
#include "shared/result.h"
#include "sidecar/ownership/engine.h"
#include "sidecar/packet/kernel_filter.h"

namespace sidetap {

/// Use it on the control thread.
class FilterFacts {
 public:
  /// `unowned`: peers whose packets are never owned. `accept_bytes`: what is kept of each packet.
  FilterFacts(ownership::Self self, std::vector<net::Cidr> unowned, std::uint32_t accept_bytes);

  void set_self(ownership::Self self) { self_ = std::move(self); }
  /// Replaces the endpoints of this owner. Returns false if that makes no difference.
  bool set_own(const std::string& owner, std::vector<capture::OwnEndpoint> endpoints);
  /// Returns false if they have not changed.
  bool set_unowned(std::vector<net::Cidr> unowned);

  /// The endpoints of all owners, without repetitions.
  const std::vector<capture::OwnEndpoint>& own() const { return own_; }
  const std::vector<net::Cidr>& unowned() const { return unowned_; }
  /// Calls capture::build_kernel_filter().
  Result<std::vector<capture::BpfInstruction>> build(capture::LinkType link) const;

 private:
  ownership::Self self_;
  std::map<std::string, std::vector<capture::OwnEndpoint>> owners_;
  std::vector<capture::OwnEndpoint> own_;
  std::vector<net::Cidr> unowned_;
  std::uint32_t accept_bytes_;
};

}  // namespace sidetap
