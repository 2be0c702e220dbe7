// The members of the parts of a report, for code that writes or reads them all alike. Pure.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "shared/registry/messages.h"

namespace sidetap::registry {

/// `Object` is `Part`, perhaps const.
template <typename Object, typename Part>
concept PartOfReport = std::same_as<std::remove_const_t<Object>, Part>;

// Each calls f(const char* key, member) for every member of `part`, in the order in which all
// answers list them. A member is a std::string, a bool or a std::uint64_t, const if the part is.

template <PartOfReport<InterfaceReport> Object, typename F>
constexpr void for_each_member(Object& part, const F& f) {
  f("name", part.name);
  f("capturing", part.capturing);
}

template <PartOfReport<SensorReport> Object, typename F>
constexpr void for_each_member(Object& part, const F& f) {
  f("sensor", part.sensor);
  f("state", part.state);
  f("reason", part.reason);
}

template <PartOfReport<ReportedCounts> Object, typename F>
constexpr void for_each_member(Object& part, const F& f) {
  f("seen", part.seen);
  f("seen_bytes", part.seen_bytes);
  f("owned", part.owned);
  f("owned_bytes", part.owned_bytes);
  f("forwarded", part.forwarded);
  f("forwarded_bytes", part.forwarded_bytes);
  f("filtered", part.filtered);
}

template <PartOfReport<MeshReport> Object, typename F>
constexpr void for_each_member(Object& part, const F& f) {
  f("kind", part.kind);
  f("read", part.read);
  f("legs", part.legs);
  f("covered", part.covered);
}

template <typename Part>
constexpr std::size_t member_count() {
  // Only names the members; no Part is constructed, because some compilers cannot construct a
  // std::string in a constant expression.
  union Space {
    constexpr Space() : none() {}
    constexpr ~Space() {}
    char none;
    Part part;
  } space;
  std::size_t count = 0;
  for_each_member(space.part, [&count](const char*, const auto&) { ++count; });
  return count;
}
static_assert(member_count<ReportedCounts>() == sizeof(ReportedCounts) / sizeof(std::uint64_t),
              "every count has its line");

}  // namespace sidetap::registry
