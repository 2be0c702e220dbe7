#include "sidecar/collector/proof_book.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "shared/json_members.h"
#include "shared/read_json.h"

namespace sidetap::collector {
namespace {

constexpr std::size_t kMostNameBytes = 253;
constexpr std::size_t kMostPositionBytes = 64;

/// A name of Kubernetes, or a UID or time: no space, control character or slash.
bool is_plain(std::string_view text) {
  return text.size() <= kMostNameBytes && std::all_of(text.begin(), text.end(), [](char c) {
           return c > ' ' && c < '\x7f' && c != '/';
         });
}

/// It becomes part of a request.
bool is_position(std::string_view text) {
  return text.size() <= kMostPositionBytes && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || c == '-';
         });
}

Result<std::vector<net::IpAddress>> addresses_in(const nlohmann::json& list) {
  if (!list.is_array() || list.size() > ProofBook::kMostAddressesOfLine)
    return Error{"\"ip\" is not a list, or is too long"};
  std::vector<net::IpAddress> addresses;
  for (const nlohmann::json& each : list) {
    const auto address = net::IpAddress::parse(text_or_empty(each));
    if (!address) return Error{"\"ip\" contains something that is not an address"};
    addresses.push_back(*address);
  }
  return addresses;
}

}  // namespace

Result<ProofBook::Taken> ProofBook::take(std::string_view line) {
  const auto json = read_json(line);
  if (!json) return Error{"identities: a line is " + json.error().text};
  Taken taken{.pod = {}, .position = text_of(*json, "position")};
  if (!is_position(taken.position)) return Error{"identities: a position is malformed"};
  const nlohmann::json& ip = member(*json, "ip");
  if (ip.is_null()) {
    if (taken.position.empty()) return Error{"identities: a line has neither ip nor position"};
    return taken;
  }
  const auto addresses = addresses_in(ip);
  if (!addresses) return Error{"identities: " + addresses.error().text};
  const std::string name_space = text_of(*json, "namespace");
  const std::string name = text_of(*json, "pod");
  Holding holding{.address = {},
                  .uid = text_of(*json, "uid"),
                  .node = text_of(*json, "node"),
                  .from = text_of(*json, "from")};
  const bool named = !name_space.empty() && !name.empty() && is_plain(name_space) &&
                     is_plain(name) && is_plain(holding.uid) && is_plain(holding.node) &&
                     is_plain(holding.from) && json->contains("to");
  if (!named) return Error{"identities: a line has no pod or no time"};
  taken.pod = name_space + "/" + name;
  const bool holds = member(*json, "to").is_null();
  for (const net::IpAddress& address : *addresses) {
    holding.address = address;
    if (holds) {
      hold(taken.pod, holding);
    } else {
      release(taken.pod, holding);
    }
  }
  return taken;
}

void ProofBook::hold(const std::string& pod, Holding holding) {
  release(pod, holding);
  if (held_ >= kMostHeld) return;
  pods_[pod].push_back(std::move(holding));
  ++held_;
}

void ProofBook::release(const std::string& pod, const Holding& holding) {
  const auto found = pods_.find(pod);
  if (found == pods_.end()) return;
  held_ -= std::erase_if(found->second, [&](const Holding& each) {
    return each.address == holding.address && each.uid == holding.uid && each.from == holding.from;
  });
  if (found->second.empty()) pods_.erase(found);
}

std::optional<ProvedPod> ProofBook::find(const std::string& pod,
                                         const net::IpAddress& address) const {
  const auto found = pods_.find(pod);
  if (found == pods_.end()) return std::nullopt;
  const Holding* newest = nullptr;
  for (const Holding& each : found->second) {
    if (each.address == address && (newest == nullptr || each.from > newest->from)) newest = &each;
  }
  if (newest == nullptr) return std::nullopt;
  ProvedPod proved{.uid = newest->uid, .node = newest->node, .addresses = {}};
  for (const Holding& each : found->second) {
    if (each.uid == newest->uid) proved.addresses.push_back(each.address);
  }
  return proved;
}

}  // namespace sidetap::collector
