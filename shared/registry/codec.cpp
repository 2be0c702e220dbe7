#include "shared/registry/codec.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include <nlohmann/json.hpp>

#include "shared/registry/member_reader.h"

namespace sidetap::registry {
namespace {

using nlohmann::json;

using namespace std::string_view_literals;
constexpr std::array kTapLists{"addresses"sv};
constexpr std::array kRegistryLists{"taps"sv,   "services"sv,     "add"sv,
                                    "remove"sv, "add_services"sv, "remove_services"sv};
constexpr ListLimits kOfTaps{kTapLists, kMostTapAddresses, kMostTapAddresses};
constexpr ListLimits kOfTheRegistry{kRegistryLists, kMostListedAddresses, kMostMessageAddresses};

/// Addresses need no escapes, so a list of ten thousand is written without a tree.
std::string list_text(const Addresses& addresses, std::size_t most) {
  std::string text = "[";
  for (const auto& address : std::span(addresses).first(std::min(addresses.size(), most))) {
    if (text.back() != '[') text += ',';
    text.append("\"").append(address.to_string()).append("\"");
  }
  return text += ']';
}

std::string state_members(const State& state) {
  return R"({"addresses":)" + list_text(state.addresses, kMostTapAddresses) + R"(,"forwarding":)" +
         (state.forwarding ? "true" : "false") + (state.ended ? R"(,"ended":true)" : "");
}

std::string text_of(const json& object) {
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

Error unreadable(std::string_view text, std::size_t most_bytes) {
  if (text.size() > most_bytes) {
    return Error{"the message is longer than " + std::to_string(most_bytes) + " bytes"};
  }
  return Error{
      "the message is not a JSON object, is nested too deeply, or lists too many addresses"};
}

Error missing(std::string_view type, std::string_view members) {
  return Error{
      std::string("a message of type \"").append(type).append("\" needs ").append(members)};
}

Result<State> read_state(MemberReader& reader, std::string_view type) {
  const auto forwarding = reader.flag("forwarding");
  const auto ended = reader.flag("ended");
  auto addresses = reader.list("addresses");
  if (!forwarding || !addresses || (!ended && reader.has("ended"))) {
    return missing(type,
                   "\"addresses\", a list of IP addresses, and \"forwarding\", true or false, and "
                   "takes \"ended\", likewise");
  }
  return State{std::move(*addresses), *forwarding, ended.value_or(false)};
}

Result<TapMessage> read_hello(MemberReader& reader) {
  if (reader.number("version") != kProtocolVersion) {
    return Error{"this registry speaks version " + std::to_string(kProtocolVersion) +
                 " of the protocol"};
  }
  auto state = read_state(reader, "hello");
  if (!state) return state.error();
  return TapMessage(Hello{std::move(*state)});
}

Result<Message> read_snapshot(MemberReader& reader) {
  const auto version = reader.number("version");
  auto taps = reader.list("taps");
  auto services = reader.list("services");
  if (!version || !taps || (!services && reader.has_list("services"))) {
    return missing("snapshot",
                   "\"version\", a number, and \"taps\", a list of IP addresses, and "
                   "takes \"services\", another one");
  }
  return Message(Snapshot{*version, std::move(*taps), std::move(services)});
}

Result<Message> read_change(MemberReader& reader) {
  const auto from = reader.number("from");
  const auto version = reader.number("version");
  auto add = reader.list("add");
  auto remove = reader.list("remove");
  auto add_services = reader.list("add_services");
  auto remove_services = reader.list("remove_services");
  if (!from || !version || !add || !remove || (!add_services && reader.has_list("add_services")) ||
      (!remove_services && reader.has_list("remove_services"))) {
    return missing("change",
                   "\"from\" and \"version\", numbers, and \"add\" and \"remove\", lists "
                   "of IP addresses, and takes two more for Services");
  }
  return Message(Change{*from, *version, std::move(*add), std::move(*remove),
                        std::move(add_services).value_or(Addresses()),
                        std::move(remove_services).value_or(Addresses())});
}

}  // namespace

std::string encode(const Hello& hello) {
  return state_members(hello.state) + R"(,"type":"hello","version":)" +
         std::to_string(kProtocolVersion) + "}";
}

std::string encode(const State& state) { return state_members(state) + R"(,"type":"state"})"; }

std::string encode(const Resync&) { return R"({"type":"resync"})"; }

std::string encode(const Snapshot& snapshot) {
  std::string text = R"({"type":"snapshot","version":)" + std::to_string(snapshot.version) +
                     R"(,"taps":)" + list_text(snapshot.taps, kMostListedAddresses);
  if (snapshot.services) {
    text += R"(,"services":)" + list_text(*snapshot.services, kMostListedAddresses);
  }
  return text += '}';
}

std::string encode(const Change& change) {
  std::string text = R"({"type":"change","from":)" + std::to_string(change.from) +
                     R"(,"version":)" + std::to_string(change.version) + R"(,"add":)" +
                     list_text(change.add, kMostListedAddresses) + R"(,"remove":)" +
                     list_text(change.remove, kMostListedAddresses);
  if (!change.add_services.empty() || !change.remove_services.empty()) {
    text += R"(,"add_services":)" + list_text(change.add_services, kMostListedAddresses) +
            R"(,"remove_services":)" + list_text(change.remove_services, kMostListedAddresses);
  }
  return text += '}';
}

std::string encode(const CaBundle& bundle) {
  return text_of({{"type", "ca"}, {"bundle", bundle.pem}});
}

std::string encode(const Refused& refused) {
  return text_of({{"type", "refused"}, {"reason", refused.reason}});
}

bool fits(const Change& change) {
  std::size_t together = 0;
  for (const Addresses* list :
       {&change.add, &change.remove, &change.add_services, &change.remove_services}) {
    if (list->size() > kMostListedAddresses) return false;
    together += list->size();
  }
  return together <= kMostMessageAddresses;
}

Result<TapMessage> decode_tap_message(std::string_view text) {
  MemberReader reader(kOfTaps);
  if (text.size() > kMostTapMessageBytes || !reader.read(text)) {
    return unreadable(text, kMostTapMessageBytes);
  }
  const auto type = reader.text("type");
  if (!type) return Error{"the message has no \"type\""};
  if (*type == "hello") return read_hello(reader);
  if (*type == "resync") return TapMessage(Resync{});
  if (*type != "state") return TapMessage(Unknown{});
  auto state = read_state(reader, "state");
  if (!state) return state.error();
  return TapMessage(std::move(*state));
}

Result<Message> decode_registry_message(std::string_view text) {
  MemberReader reader(kOfTheRegistry);
  if (text.size() > kMostRegistryMessageBytes || !reader.read(text)) {
    return unreadable(text, kMostRegistryMessageBytes);
  }
  const auto type = reader.text("type");
  if (!type) return Error{"the message has no \"type\""};
  if (*type == "snapshot") return read_snapshot(reader);
  if (*type == "change") return read_change(reader);
  if (*type == "ca") {
    auto bundle = reader.text("bundle");
    if (!bundle) return missing("ca", "\"bundle\", a text");
    return Message(CaBundle{std::move(*bundle)});
  }
  if (*type == "refused") {
    return Message(Refused{reader.text("reason").value_or("no reason given")});
  }
  return Message(Unknown{});
}

}  // namespace sidetap::registry
