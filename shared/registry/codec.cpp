#include "shared/registry/codec.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>

#include <nlohmann/json.hpp>

#include "shared/net/text.h"
#include "shared/registry/lists.h"
#include "shared/registry/member_reader.h"
#include "shared/registry/report_codec.h"

namespace sidetap::registry {
namespace {

using nlohmann::json;

constexpr std::array kTapLists{ListSpec{"addresses", kMostTapAddresses}};

/// Every list of a snapshot and of a change.
const std::vector<ListSpec>& registry_lists() {
  static const std::vector<ListSpec> all = [] {
    std::vector<ListSpec> specs;
    for_each_list([&specs](const auto& list) {
      for (const std::string_view key : {list.name, list.add, list.remove}) {
        specs.push_back({key, list.most, list.kOfTransportAddresses});
      }
    });
    return specs;
  }();
  return all;
}

/// Items need no escapes, so a list of ten thousand is written without a tree.
template <typename Item>
void append_list(std::string& text, const std::vector<Item>& items, std::size_t most) {
  text += '[';
  for (const Item& item : std::span(items).first(std::min(items.size(), most))) {
    if (text.back() != '[') text += ',';
    text.append("\"").append(item.to_string()).append("\"");
  }
  text += ']';
}

template <typename Item>
void append_member(std::string& text, std::string_view key, const std::vector<Item>& items,
                   std::size_t most) {
  text.append(",\"").append(key).append("\":");
  append_list(text, items, most);
}

std::string state_members(const State& state) {
  std::string text = R"({"addresses":)";
  append_list(text, state.addresses, kMostTapAddresses);
  return text.append(R"(,"forwarding":)")
      .append(state.forwarding ? "true" : "false")
      .append(state.ended ? R"(,"ended":true)" : "");
}

std::string text_of(const json& object) {
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

Error unreadable(std::string_view text, std::size_t most_bytes) {
  if (text.size() > most_bytes) {
    return Error{"the message is longer than " + std::to_string(most_bytes) + " bytes"};
  }
  return Error{"the message is not a JSON object, is nested too deeply, or lists too many items"};
}

Error missing(std::string_view type, std::string_view members) {
  return Error{
      std::string("a message of type \"").append(type).append("\" needs ").append(members)};
}

Result<State> read_state(MemberReader& reader, std::string_view type) {
  const auto forwarding = reader.flag("forwarding");
  const auto ended = reader.flag("ended");
  auto addresses = reader.list<net::IpAddress>("addresses");
  if (!forwarding || !addresses || (!ended && reader.has("ended"))) {
    return missing(type,
                   "\"addresses\", a list of IP addresses, and \"forwarding\", true or false, and "
                   "takes \"ended\", likewise");
  }
  return State{std::move(*addresses), *forwarding, ended.value_or(false)};
}

/// Nothing if the profile is there and is no text; empty if it is not there.
std::optional<std::string> read_profile(MemberReader& reader) {
  const auto profile = reader.text("profile");
  if (!profile && reader.has("profile")) return std::nullopt;
  return std::string(net::shortened_text(profile.value_or(""), kMostReportedText));
}

/// `text` is what the reader has read.
Result<TapMessage> read_hello(MemberReader& reader, std::string_view text) {
  if (reader.number("version") != kProtocolVersion) {
    return Error{"this registry speaks version " + std::to_string(kProtocolVersion) +
                 " of the protocol"};
  }
  const auto rules = reader.number("rules");
  if (!rules && reader.has("rules")) return Error{"\"rules\" of a hello is a number"};
  auto profile = read_profile(reader);
  if (!profile) return Error{"\"profile\" of a hello is a text"};
  auto state = read_state(reader, "hello");
  if (!state) return state.error();
  auto control = read_control(text);
  if (!control) return control.error();
  return TapMessage(Hello{.state = std::move(*state),
                          .rules = rules.value_or(1),
                          .control = std::move(*control),
                          .profile = std::move(*profile)});
}

/// Moves the list out, if it is present. Returns false if it is malformed.
template <typename Item>
bool take_list(MemberReader& reader, std::string_view key, std::vector<Item>& to) {
  auto list = reader.list<Item>(key);
  if (!list) return !reader.has_list(key);
  to = std::move(*list);
  return true;
}

Result<Message> read_snapshot(MemberReader& reader) {
  const auto version = reader.number("version");
  Snapshot snapshot{.version = version.value_or(0),
                    .knows_services = reader.has_list("services"),
                    .rules = reader.has_list("older") ? 2U : 1U};
  bool good = version && reader.has_list("taps");
  for_each_list([&](const auto& list) {
    auto& items = snapshot.lists.*list.member;
    good = take_list(reader, list.name, items) && good;
    if (!list.known_to(snapshot)) items.clear();
  });
  if (!good) {
    return missing("snapshot",
                   "\"version\", a number, and \"taps\", a list of IP addresses, and takes more "
                   "lists, of IP addresses or of texts like \"10.1.2.3:80/tcp\"");
  }
  return Message(std::move(snapshot));
}

Result<Message> read_change(MemberReader& reader) {
  const auto from = reader.number("from");
  const auto version = reader.number("version");
  Change change{.from = from.value_or(0), .version = version.value_or(0)};
  bool good = from && version && reader.has_list("add") && reader.has_list("remove");
  for_each_list([&](const auto& list) {
    good = take_list(reader, list.add, change.add.*list.member) && good;
    good = take_list(reader, list.remove, change.remove.*list.member) && good;
  });
  if (!good) {
    return missing("change",
                   "\"from\" and \"version\", numbers, and \"add\" and \"remove\", lists of IP "
                   "addresses, and takes more lists, of IP addresses or of texts like "
                   "\"10.1.2.3:80/tcp\"");
  }
  return Message(std::move(change));
}

Result<Message> read_settings(MemberReader& reader) {
  const auto generation = reader.number("generation");
  auto profile = read_profile(reader);
  auto values = reader.values();
  if (!generation || !profile || !values) {
    return missing("settings",
                   "\"generation\", a number, and \"values\", an object of texts, and takes "
                   "\"profile\", a text");
  }
  return Message(Settings{
      .generation = *generation, .profile = std::move(*profile), .values = std::move(*values)});
}

/// Up to which ListInfo::left_out the lists are left out, so that the others fit.
unsigned left_out_of(const Snapshot& snapshot) {
  static_assert(2 * kMostListedAddresses + kMostNodes + kMostServerPorts <= kMostMessageItems,
                "the lists that are never left out fit");
  for (unsigned last = 0;; ++last) {
    std::size_t together = 0;
    for_each_list([&](const auto& list) {
      const bool stays = list.left_out == 0 || list.left_out > last;
      if (stays) together += std::min((snapshot.lists.*list.member).size(), list.most);
    });
    if (together <= kMostMessageItems) return last;
  }
}

}  // namespace

std::string encode(const Hello& hello) {
  std::string text = state_members(hello.state) + R"(,"type":"hello","version":)" +
                     std::to_string(kProtocolVersion) + R"(,"rules":)" +
                     std::to_string(hello.rules);
  if (!hello.control.empty()) text += R"(,"control":)" + encode_control(hello.control);
  if (!hello.profile.empty()) {
    text += R"(,"profile":)" + text_of(net::shortened_text(hello.profile, kMostReportedText));
  }
  return text += '}';
}

std::string encode(const State& state) { return state_members(state) + R"(,"type":"state"})"; }

std::string encode(const Resync&) { return R"({"type":"resync"})"; }

std::string encode(const Snapshot& snapshot) {
  std::string text = R"({"type":"snapshot","version":)" + std::to_string(snapshot.version);
  const unsigned left_out = left_out_of(snapshot);
  for_each_list([&](const auto& list) {
    if (!list.known_to(snapshot)) return;
    const bool stays = list.left_out == 0 || list.left_out > left_out;
    append_member(text, list.name, snapshot.lists.*list.member, stays ? list.most : 0);
  });
  return text += '}';
}

std::string encode(const Change& change) {
  std::string text = R"({"type":"change","from":)" + std::to_string(change.from) +
                     R"(,"version":)" + std::to_string(change.version);
  for_each_list([&](const auto& list) {
    const auto& add = change.add.*list.member;
    const auto& remove = change.remove.*list.member;
    const bool always = list.name == "taps";
    if (always || !add.empty()) append_member(text, list.add, add, list.most);
    if (always || !remove.empty()) append_member(text, list.remove, remove, list.most);
  });
  return text += '}';
}

std::string encode(const Settings& settings) {
  json values = json::object();
  for (const auto& [name, value] : settings.values) {
    if (values.size() == kMostSettings) break;
    if (name.size() > kMostReportedText || value.size() > kMostSettingBytes) continue;
    values[name] = value;
  }
  return text_of({{"type", "settings"},
                  {"generation", settings.generation},
                  {"profile", net::shortened_text(settings.profile, kMostReportedText)},
                  {"values", std::move(values)}});
}

std::string encode(const CaBundle& bundle) {
  return text_of({{"type", "ca"}, {"bundle", bundle.pem}});
}

std::string encode(const Refused& refused) {
  return text_of({{"type", "refused"}, {"reason", refused.reason}});
}

bool fits(const Change& change) {
  std::size_t together = 0;
  bool each = true;
  for_each_list([&](const auto& list) {
    for (const auto* items : {&(change.add.*list.member), &(change.remove.*list.member)}) {
      each = each && items->size() <= list.most;
      together += items->size();
    }
  });
  return each && together <= kMostMessageItems;
}

Result<TapMessage> decode_tap_message(std::string_view text) {
  MemberReader reader(kTapLists, kMostTapAddresses);
  if (text.size() > kMostTapMessageBytes || !reader.read(text)) {
    return unreadable(text, kMostTapMessageBytes);
  }
  const auto type = reader.text("type");
  if (!type) return Error{"the message has no \"type\""};
  if (*type == "hello") return read_hello(reader, text);
  if (*type == "resync") return TapMessage(Resync{});
  if (*type == "report") {
    auto report = read_report(text);
    if (!report) return report.error();
    return TapMessage(std::move(*report));
  }
  if (*type != "state") return TapMessage(Unknown{});
  auto state = read_state(reader, "state");
  if (!state) return state.error();
  return TapMessage(std::move(*state));
}

Result<Message> decode_registry_message(std::string_view text) {
  MemberReader reader(registry_lists(), kMostMessageItems);
  if (text.size() > kMostRegistryMessageBytes || !reader.read(text)) {
    return unreadable(text, kMostRegistryMessageBytes);
  }
  const auto type = reader.text("type");
  if (!type) return Error{"the message has no \"type\""};
  if (*type == "snapshot") return read_snapshot(reader);
  if (*type == "change") return read_change(reader);
  if (*type == "settings") return read_settings(reader);
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
