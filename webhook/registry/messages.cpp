#include "webhook/registry/messages.h"

#include <nlohmann/json.hpp>

#include "shared/read_json.h"

namespace sidetap::webhook::registry {
namespace {

using nlohmann::json;

/// Addresses need no escapes: lists of ten thousand are written without a tree.
template <typename Addresses>
void append_list(std::string& text, const Addresses& addresses) {
  text += '[';
  for (const auto& address : addresses) {
    if (text.back() != '[') text += ',';
    text += '"';
    text += address.to_string();
    text += '"';
  }
  text += ']';
}

Result<TapMessage> parse_state(const json& object, bool hello) {
  TapState state;
  state.hello = hello;
  if (hello && object.value("version", json()) != kProtocolVersion) {
    return Error{"the protocol's version is not 1"};
  }
  const auto forwarding = object.find("forwarding");
  const auto addresses = object.find("addresses");
  if (forwarding == object.end() || !forwarding->is_boolean()) {
    return Error{"\"forwarding\" is not true or false"};
  }
  if (addresses == object.end() || !addresses->is_array() || addresses->size() > kMostAddresses) {
    return Error{"\"addresses\" is no list of at most 64"};
  }
  const auto ended = object.find("ended");
  if (ended != object.end() && !ended->is_boolean()) {
    return Error{"\"ended\" is not true or false"};
  }
  state.forwarding = forwarding->get<bool>();
  state.ended = ended != object.end() && ended->get<bool>();
  for (const json& item : *addresses) {
    const auto address = net::IpAddress::parse(item.is_string() ? item.get<std::string>() : "");
    if (!address) return Error{"\"addresses\" has what is no IP address"};
    state.addresses.push_back(*address);
  }
  return TapMessage(std::move(state));
}

}  // namespace

Result<TapMessage> parse_message(std::string_view text) {
  const auto read = read_json(text);
  if (!read) return Error{"the message is " + read.error().text};
  const json& object = *read;
  if (!object.is_object()) return Error{"the message is no JSON object"};
  const auto type = object.find("type");
  if (type == object.end() || !type->is_string()) return Error{"the message has no \"type\""};
  if (*type == "hello") return parse_state(object, true);
  if (*type == "state") return parse_state(object, false);
  if (*type == "resync") return TapMessage(Resync{});
  return TapMessage(Unknown{});
}

std::string snapshot_text(std::uint64_t version, const std::set<net::IpAddress>& taps,
                          const std::set<net::IpAddress>* services) {
  std::string text = R"({"type":"snapshot","version":)" + std::to_string(version) + R"(,"taps":)";
  append_list(text, taps);
  if (services != nullptr) {
    text += R"(,"services":)";
    append_list(text, *services);
  }
  return text += '}';
}

std::string change_text(const Delta& delta) {
  std::string text = R"({"type":"change","from":)" + std::to_string(delta.from) + R"(,"version":)" +
                     std::to_string(delta.version) + R"(,"add":)";
  append_list(text, delta.taps.add);
  text += R"(,"remove":)";
  append_list(text, delta.taps.remove);
  if (!delta.services.add.empty() || !delta.services.remove.empty()) {
    text += R"(,"add_services":)";
    append_list(text, delta.services.add);
    text += R"(,"remove_services":)";
    append_list(text, delta.services.remove);
  }
  return text += '}';
}

std::string ca_text(const std::string& bundle) {
  return json{{"type", "ca"}, {"bundle", bundle}}.dump(-1, ' ', false,
                                                       json::error_handler_t::replace);
}

std::string refused_text(const std::string& reason) {
  return json{{"type", "refused"}, {"reason", reason}}.dump(-1, ' ', false,
                                                            json::error_handler_t::replace);
}

}  // namespace sidetap::webhook::registry
