// What the kernel's filter of one interface is built from, as it changes.
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

/// The control thread.
class FilterFacts {
 public:
  /// `unowned`: peers whose packets are never owned. `accept_bytes`: what is kept of each packet.
  FilterFacts(ownership::Self self, std::vector<net::Cidr> unowned, std::uint32_t accept_bytes);

  void set_self(ownership::Self self) { self_ = std::move(self); }
  /// What this owner has, instead of what it had before. False: that makes no difference.
  bool set_own(const std::string& owner, std::vector<capture::OwnEndpoint> endpoints);
  /// False: they are the same as before.
  bool set_unowned(std::vector<net::Cidr> unowned);

  /// Of all owners, each once.
  const std::vector<capture::OwnEndpoint>& own() const { return own_; }
  const std::vector<net::Cidr>& unowned() const { return unowned_; }
  /// As capture::build_kernel_filter().
  Result<std::vector<capture::BpfInstruction>> build(capture::LinkType link) const;

 private:
  ownership::Self self_;
  std::map<std::string, std::vector<capture::OwnEndpoint>> owners_;
  std::vector<capture::OwnEndpoint> own_;
  std::vector<net::Cidr> unowned_;
  std::uint32_t accept_bytes_;
};

}  // namespace sidetap
