#include "sidecar/registry/messages.h"

#include <optional>

#include <nlohmann/json.hpp>

namespace sidetap::registry {
namespace {

using nlohmann::json;

const json* member(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

std::optional<std::uint64_t> number(const json& object, const char* key) {
  const json* const value = member(object, key);
  if (value == nullptr || !value->is_number_unsigned()) return std::nullopt;
  return value->get<std::uint64_t>();
}

std::optional<std::string> text(const json& object, const char* key) {
  const json* const value = member(object, key);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return value->get<std::string>();
}

std::optional<std::vector<net::IpAddress>> addresses(const json& object, const char* key) {
  const json* const value = member(object, key);
  if (value == nullptr || !value->is_array()) return std::nullopt;
  std::vector<net::IpAddress> list;
  list.reserve(value->size());
  for (const json& item : *value) {
    if (!item.is_string()) return std::nullopt;
    const auto address = net::IpAddress::parse(item.get_ref<const std::string&>());
    if (!address) return std::nullopt;
    list.push_back(*address);
  }
  return list;
}

Error malformed(const std::string& type) {
  return Error{"registry: a message of type \"" + type + "\" is malformed"};
}

std::string describe(const char* type, std::span<const net::IpAddress> list, bool forwarding) {
  json object = {{"type", type}, {"addresses", json::array()}, {"forwarding", forwarding}};
  for (const auto& address : list) object["addresses"].push_back(address.to_string());
  if (type == std::string_view("hello")) object["version"] = kProtocolVersion;
  return object.dump();
}

}  // namespace

Result<Message> parse_message(std::string_view bytes) {
  const json object = json::parse(bytes, nullptr, false);
  if (!object.is_object()) return Error{"registry: a message is no JSON object"};
  const auto type = text(object, "type");
  if (!type) return Error{"registry: a message has no type"};
  if (*type == "snapshot") {
    const auto version = number(object, "version");
    auto taps = addresses(object, "taps");
    if (!version || !taps) return malformed(*type);
    return Message(Snapshot{*version, std::move(*taps)});
  }
  if (*type == "change") {
    const auto from = number(object, "from");
    const auto version = number(object, "version");
    auto add = addresses(object, "add");
    auto remove = addresses(object, "remove");
    if (!from || !version || !add || !remove) return malformed(*type);
    return Message(Change{*from, *version, std::move(*add), std::move(*remove)});
  }
  if (*type == "ca") {
    auto bundle = text(object, "bundle");
    if (!bundle) return malformed(*type);
    return Message(CaBundle{std::move(*bundle)});
  }
  if (*type == "refused")
    return Message(Refused{text(object, "reason").value_or("no reason given")});
  return Message(Unknown{});
}

std::string hello_text(std::span<const net::IpAddress> list, bool forwarding) {
  return describe("hello", list, forwarding);
}

std::string state_text(std::span<const net::IpAddress> list, bool forwarding) {
  return describe("state", list, forwarding);
}

std::string resync_text() { return R"({"type":"resync"})"; }

}  // namespace sidetap::registry
