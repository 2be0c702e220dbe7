#include "shared/tap/settings.h"

#include <vector>

#include "shared/net/cidr.h"
#include "shared/net/text.h"

namespace sidetap::tap {
namespace {

/// As an operator writes it: "512K" for 524288.
std::string in_largest_unit(std::uint64_t bytes) {
  constexpr std::string_view kUnits = "KMG";
  std::string_view unit;
  for (std::size_t i = 0; i < kUnits.size() && bytes != 0 && bytes % 1024 == 0; ++i) {
    bytes /= 1024;
    unit = kUnits.substr(i, 1);
  }
  return std::to_string(bytes).append(unit);
}

Result<std::string> check_size(const Setting& setting, std::string_view text) {
  if (text.empty() || size(setting)(text)) return std::string(text);
  return Error{"bytes, from " + in_largest_unit(setting.least) + " to " +
               in_largest_unit(setting.most) + ", such as " + std::string(setting.example)};
}

Result<std::string> check_number(const Setting& setting, std::string_view text) {
  const auto value = number<std::uint64_t>(setting)(text);
  if (!value) return value.error();
  return std::to_string(*value);
}

Result<std::string> check_word(const Setting& setting, std::string_view text) {
  std::vector<std::string> words;
  for (const std::string_view word : net::Items(setting.words)) words.emplace_back(word);
  return config::one_of(std::move(words))(text);
}

Result<std::string> check_switch(std::string_view text) {
  const auto on = config::on_off()(text);
  if (!on) return on.error();
  return std::string(text);
}

/// Without the limits that hold for every setting of a group.
Result<std::string> check_form(const Setting& setting, std::string_view text) {
  switch (setting.form) {
    case Form::kNumber:
      return check_number(setting, text);
    case Form::kSize:
      return check_size(setting, text);
    case Form::kWord:
      return check_word(setting, text);
    case Form::kSwitch:
      return check_switch(text);
    case Form::kText:
    case Form::kTexts:
    case Form::kPrefixes:
      break;
  }
  return setting.check(text);
}

}  // namespace

Result<std::string> check_interfaces(std::string_view text) {
  if (text.empty()) return std::string();
  const auto names = config::interface_names()(text);
  if (!names) return names.error();
  return net::joined(*names);
}

Result<std::string> check_prefixes(std::string_view text) {
  const auto prefixes = net::parse_cidr_list(text);
  if (!prefixes) return Error{"prefixes such as 10.244.0.0/16 (" + prefixes.error().text + ")"};
  return net::to_string(*prefixes);
}

Result<std::string> check_tapped_peers(std::string_view text) {
  if (text == "all" || text == "none") return std::string(text);
  if (!net::CidrSet::parse(text)) return Error{"all, none, or prefixes such as 10.244.0.0/16"};
  return std::string(text);
}

Result<std::string> check_bit_rate(std::string_view text) {
  const auto rate = config::bit_rate()(text);
  if (!rate) return rate.error();
  return std::string(text);
}

Result<std::string> check(const Setting& setting, std::string_view text) {
  if (!setting.control.empty() && text.size() > kMostControlledBytes)
    return Error{"at most " + std::to_string(kMostControlledBytes) + " bytes"};
  return check_form(setting, text);
}

}  // namespace sidetap::tap
