#include "shared/registry/member_reader.h"

#include <algorithm>
#include <array>
#include <utility>

namespace sidetap::registry {
namespace {

using namespace std::string_view_literals;
constexpr std::array kScalars{"type"sv,  "version"sv, "from"sv,  "forwarding"sv,
                              "ended"sv, "bundle"sv,  "reason"sv};

template <typename Items>
auto find(Items& items, std::string_view key) -> decltype(items.data()) {
  const auto found =
      std::find_if(items.begin(), items.end(), [key](const auto& item) { return item.key == key; });
  return found == items.end() ? nullptr : &*found;
}

}  // namespace

MemberReader::MemberReader(const ListLimits& limits) : limits_(limits) {
  for (const std::string_view key : kScalars) scalars_.push_back({.key = key});
  for (const std::string_view key : limits.keys) lists_.push_back({.key = key});
}

bool MemberReader::read(std::string_view text) { return nlohmann::json::sax_parse(text, this); }

template <typename Value>
std::optional<Value> MemberReader::value_of(std::string_view key) {
  Scalar* const found = find(scalars_, key);
  Value* const value = found == nullptr ? nullptr : std::get_if<Value>(&found->value);
  if (value == nullptr) return std::nullopt;
  return std::move(*value);
}

std::optional<std::string> MemberReader::text(std::string_view key) {
  return value_of<std::string>(key);
}
std::optional<std::uint64_t> MemberReader::number(std::string_view key) {
  return value_of<std::uint64_t>(key);
}
std::optional<bool> MemberReader::flag(std::string_view key) { return value_of<bool>(key); }

std::optional<Addresses> MemberReader::list(std::string_view key) {
  List* const found = find(lists_, key);
  if (found == nullptr || !found->good) return std::nullopt;
  return std::move(found->addresses);
}

bool MemberReader::has(std::string_view key) const {
  const Scalar* const found = find(scalars_, key);
  return found != nullptr && found->there;
}

bool MemberReader::has_list(std::string_view key) const {
  const List* const found = find(lists_, key);
  return found != nullptr && found->there;
}

bool MemberReader::boolean(bool value) {
  if (depth_ == 1 && scalar_ != nullptr) scalar_->value = value;
  return scalar();
}

bool MemberReader::number_unsigned(std::uint64_t value) {
  if (depth_ == 1 && scalar_ != nullptr) scalar_->value = value;
  return scalar();
}

bool MemberReader::string(std::string& value) {
  if (depth_ == 1 && scalar_ != nullptr) scalar_->value = std::move(value);
  if (depth_ != 2 || list_ == nullptr || !list_->good) return depth_ > 0;
  const auto address = net::IpAddress::parse(value);
  if (!address) return scalar();
  list_->addresses.push_back(*address);
  return list_->addresses.size() <= limits_.most_each && ++addresses_ <= limits_.most_together;
}

bool MemberReader::key(std::string& name) {
  if (depth_ != 1) return true;
  scalar_ = find(scalars_, name);
  list_ = find(lists_, name);
  if (scalar_ != nullptr) *scalar_ = Scalar{.key = scalar_->key, .there = true};
  if (list_ != nullptr) *list_ = List{.key = list_->key, .there = true};
  return true;
}

bool MemberReader::start_array(std::size_t) {
  if (depth_ == 0) return false;
  if (depth_ == 1 && list_ != nullptr) list_->good = true;
  return enter();
}

/// An element that is not an address makes its list invalid.
bool MemberReader::scalar() {
  if (depth_ == 2 && list_ != nullptr) list_->good = false;
  return depth_ > 0;
}

bool MemberReader::enter() {
  if (depth_ == 2 && list_ != nullptr) list_->good = false;
  return ++depth_ <= kMostDepth;
}

bool MemberReader::leave() {
  --depth_;
  if (depth_ == 1) {
    scalar_ = nullptr;
    list_ = nullptr;
  }
  return true;
}

}  // namespace sidetap::registry
