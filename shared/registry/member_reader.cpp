#include "shared/registry/member_reader.h"

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

namespace sidetap::registry {
namespace {

using namespace std::string_view_literals;
constexpr std::array kScalars{"type"sv,  "version"sv, "rules"sv,  "from"sv,       "forwarding"sv,
                              "ended"sv, "bundle"sv,  "reason"sv, "generation"sv, "profile"sv};

template <typename Items>
auto find(Items& items, std::string_view key) -> decltype(items.data()) {
  const auto found =
      std::find_if(items.begin(), items.end(), [key](const auto& item) { return item.key == key; });
  return found == items.end() ? nullptr : &*found;
}

}  // namespace

MemberReader::List::List(const ListSpec& spec) : key(spec.key), most(spec.most) {
  if (spec.of_transport_addresses) items = TransportAddresses();
}

bool MemberReader::List::take(std::string_view text) {
  const auto read_into = [text](auto& all) {
    using Item = typename std::decay_t<decltype(all)>::value_type;
    const auto item = Item::parse(text);
    if (!item) return false;
    all.push_back(*item);
    return true;
  };
  return std::visit(read_into, items);
}

std::size_t MemberReader::List::size() const {
  return std::visit([](const auto& all) { return all.size(); }, items);
}

void MemberReader::Named::take(std::string& text) {
  if (name.size() > kMostReportedText || text.size() > kMostSettingBytes) return;
  const auto found = texts.find(name);
  if (found == texts.end() && texts.size() == kMostSettings) return;
  texts.insert_or_assign(std::move(name), std::move(text));
}

MemberReader::MemberReader(std::span<const ListSpec> lists, std::size_t most_together)
    : specs_(lists), most_together_(most_together) {
  for (const std::string_view key : kScalars) scalars_.push_back({.key = key});
  for (const ListSpec& spec : lists) lists_.emplace_back(spec);
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

template <typename Item>
std::optional<std::vector<Item>> MemberReader::list(std::string_view key) {
  List* const found = find(lists_, key);
  if (found == nullptr || !found->good) return std::nullopt;
  auto* const items = std::get_if<std::vector<Item>>(&found->items);
  if (items == nullptr) return std::nullopt;
  return std::move(*items);
}
template std::optional<Addresses> MemberReader::list<net::IpAddress>(std::string_view);
template std::optional<TransportAddresses> MemberReader::list<net::TransportAddress>(
    std::string_view);

std::optional<MemberReader::Values> MemberReader::values() {
  if (!values_.good) return std::nullopt;
  return std::move(values_.texts);
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
  if (depth_ == 2 && values_.reading && values_.good) values_.take(value);
  if (depth_ != 2 || list_ == nullptr || !list_->good) return depth_ > 0;
  if (!list_->take(value)) return scalar();
  return list_->size() <= list_->most && ++items_ <= most_together_;
}

bool MemberReader::key(std::string& name) {
  if (depth_ == 2 && values_.reading) values_.name = std::move(name);
  if (depth_ != 1) return true;
  values_.reading = false;
  if (name == "values") values_ = Named{.reading = true};
  scalar_ = find(scalars_, name);
  list_ = find(lists_, name);
  if (scalar_ != nullptr) *scalar_ = Scalar{.key = scalar_->key, .there = true};
  if (list_ != nullptr) {
    *list_ = List(specs_[static_cast<std::size_t>(list_ - lists_.data())]);
    list_->there = true;
  }
  return true;
}

bool MemberReader::start_object(std::size_t) {
  if (depth_ == 1 && values_.reading) values_.good = true;
  return enter();
}

bool MemberReader::start_array(std::size_t) {
  if (depth_ == 0) return false;
  if (depth_ == 1 && list_ != nullptr) list_->good = true;
  return enter();
}

/// An element that is not an item of its list makes the list invalid; and so with the values.
bool MemberReader::scalar() {
  if (depth_ == 2 && list_ != nullptr) list_->good = false;
  if (depth_ == 2 && values_.reading) values_.good = false;
  return depth_ > 0;
}

bool MemberReader::enter() {
  if (depth_ == 2 && list_ != nullptr) list_->good = false;
  if (depth_ == 2 && values_.reading) values_.good = false;
  return ++depth_ <= kMostDepth;
}

bool MemberReader::leave() {
  --depth_;
  if (depth_ == 1) {
    scalar_ = nullptr;
    list_ = nullptr;
    values_.reading = false;
  }
  return true;
}

}  // namespace sidetap::registry
