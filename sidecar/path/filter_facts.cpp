#include "sidecar/path/filter_facts.h"

#include <utility>

#include "shared/net/distinct.h"
#include "shared/tap/filter_expression.h"
#include "shared/telemetry/log.h"
#include "sidecar/packet/filter_front.h"

namespace sidetap {

static_assert(tap::kMostFilterInstructions < capture::kMaxBpfInstructions / 2,
              "the tap's own filter needs room");

FilterFacts::FilterFacts(ownership::Self self, std::vector<net::Cidr> unowned,
                         std::string expression, std::uint32_t accept_bytes)
    : self_(std::move(self)),
      unowned_(std::move(unowned)),
      expression_(std::move(expression)),
      accept_bytes_(accept_bytes) {}

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

bool FilterFacts::set_narrowing(const std::string& expression, std::uint32_t accept_bytes) {
  if (expression == expression_ && accept_bytes == accept_bytes_) return false;
  expression_ = expression;
  compiled_for_.reset();
  accept_bytes_ = accept_bytes;
  return true;
}

void FilterFacts::compile(capture::LinkType link) {
  if (compiled_for_ == link) return;
  compiled_for_ = link;
  compiled_.clear();
  auto program = tap::compile_filter(expression_, static_cast<std::uint16_t>(link));
  if (program) program = capture::as_kernel_sees(std::move(*program), link);
  if (program) {
    compiled_ = std::move(*program);
    return;
  }
  telemetry::warn("the filter cannot be applied to this link layer, so it leaves out nothing",
                  {{"filter", expression_},
                   {"link_layer", static_cast<unsigned>(link)},
                   {"reason", program.error().text}});
}

Result<std::vector<capture::BpfInstruction>> FilterFacts::build(capture::LinkType link) {
  compile(link);
  capture::FilterConfig filter;
  filter.link = link;
  filter.front = compiled_;
  filter.self = self_.addresses;
  filter.mac = self_.mac;
  filter.senders = self_.senders;
  filter.broadcasts = self_.broadcasts;
  filter.own = own_;
  filter.unowned_peers = unowned_;
  filter.accept_bytes = accept_bytes_;
  return capture::build_kernel_filter(filter);
}

Result<std::vector<capture::BpfInstruction>> FilterFacts::build_for_process(
    capture::LinkType link) const {
  constexpr capture::BpfInstruction kEverything{.code = 0x06, .jt = 0, .jf = 0, .k = 0xffffffff};
  auto program = tap::compile_filter(expression_, static_cast<std::uint16_t>(link));
  if (program && program->empty()) program->push_back(kEverything);
  return program;
}

std::optional<std::vector<capture::BpfInstruction>> FilterFacts::build_expression(
    capture::LinkType link) {
  compile(link);
  if (compiled_.empty()) return std::nullopt;
  capture::FilterConfig filter;
  filter.link = link;
  filter.front = compiled_;
  filter.accept_bytes = accept_bytes_;
  return capture::build_kernel_filter(filter).value();
}

}  // namespace sidetap
