#include "sidecar/path/filter_facts.h"

#include <utility>

#include "shared/net/distinct.h"

namespace sidetap {

FilterFacts::FilterFacts(ownership::Self self, std::vector<net::Cidr> unowned,
                         std::uint32_t accept_bytes)
    : self_(std::move(self)), unowned_(std::move(unowned)), accept_bytes_(accept_bytes) {}

bool FilterFacts::set_own(const std::string& owner, std::vector<capture::OwnEndpoint> endpoints) {
  if (endpoints.empty()) {
    owners_.erase(owner);
  } else {
    owners_[owner] = std::move(endpoints);
  }
  std::vector<capture::OwnEndpoint> all;
  for (const auto& [name, list] : owners_) all.insert(all.end(), list.begin(), list.end());
  // Several connections to one place are one where the local port makes no difference.
  for (capture::OwnEndpoint& each : all) each.local_port = each.matched_local_port();
  all = net::distinct(std::move(all));
  if (all == own_) return false;
  own_ = std::move(all);
  return true;
}

bool FilterFacts::set_unowned(std::vector<net::Cidr> unowned) {
  if (unowned == unowned_) return false;
  unowned_ = std::move(unowned);
  return true;
}

Result<std::vector<capture::BpfInstruction>> FilterFacts::build(capture::LinkType link) const {
  capture::FilterConfig filter;
  filter.link = link;
  filter.self = self_.addresses;
  filter.mac = self_.mac;
  filter.senders = self_.senders;
  filter.broadcasts = self_.broadcasts;
  filter.own = own_;
  filter.unowned_peers = unowned_;
  filter.accept_bytes = accept_bytes_;
  return capture::build_kernel_filter(filter);
}

}  // namespace sidetap
