#include "sidecar/registry/messages.h"

#include <algorithm>
#include <array>
#include <optional>

#include <nlohmann/json.hpp>

#include "shared/read_json.h"

namespace sidetap::registry {
namespace {

using nlohmann::json;

/// What is of interest in a message, taken as it is read: no tree is made of a text that may be
/// megabytes long. All else is skipped.
class Reader {
 public:
  struct List {
    std::string_view key;
    std::vector<net::IpAddress> addresses{};
    bool there = false, good = false;  // good: an array of addresses only
  };
  struct Text {
    std::string_view key;
    std::optional<std::string> value{};
  };
  struct Number {
    std::string_view key;
    std::optional<std::uint64_t> value{};
  };

  const std::optional<std::string>& text(std::string_view key) { return find(texts_, key)->value; }
  const std::optional<std::uint64_t>& number(std::string_view key) {
    return find(numbers_, key)->value;
  }
  std::optional<std::vector<net::IpAddress>> list(std::string_view key) {
    List* const list = find(lists_, key);
    if (!list->good) return std::nullopt;
    return std::move(list->addresses);
  }
  bool has(std::string_view key) { return find(lists_, key)->there; }

  // As nlohmann::json calls them; false ends the reading.
  bool null() { return scalar(); }
  bool boolean(bool) { return scalar(); }
  bool number_integer(std::int64_t) { return scalar(); }
  bool number_unsigned(std::uint64_t value) {
    if (depth_ == 1 && number_ != nullptr) number_->value = value;
    return scalar();
  }
  bool number_float(double, const std::string&) { return scalar(); }
  bool binary(json::binary_t&) { return scalar(); }
  bool string(std::string& value) {
    if (depth_ == 1 && text_ != nullptr) text_->value = std::move(value);
    if (depth_ != 2 || list_ == nullptr) return scalar(false);
    const auto address = net::IpAddress::parse(value);
    if (!address) return scalar();
    list_->addresses.push_back(*address);
    return list_->addresses.size() <= kMostAddresses;
  }
  bool key(std::string& name) {
    if (depth_ != 1) return true;
    text_ = find(texts_, name);
    number_ = find(numbers_, name);
    list_ = find(lists_, name);
    // The last of several counts.
    if (text_ != nullptr) text_->value.reset();
    if (number_ != nullptr) number_->value.reset();
    if (list_ != nullptr) *list_ = List{.key = list_->key, .there = true};
    return true;
  }
  bool start_object(std::size_t) { return enter(); }
  bool end_object() { return leave(); }
  bool start_array(std::size_t) {
    if (depth_ == 0) return false;
    if (depth_ == 1 && list_ != nullptr) list_->good = true;
    return enter();
  }
  bool end_array() { return leave(); }
  bool parse_error(std::size_t, const std::string&, const json::exception&) { return false; }

 private:
  template <typename Items>
  static auto find(Items& items, std::string_view key) -> decltype(items.data()) {
    const auto found = std::find_if(items.begin(), items.end(),
                                    [key](const auto& item) { return item.key == key; });
    return found == items.end() ? nullptr : &*found;
  }
  bool scalar(bool spoils = true) {
    if (depth_ == 2 && list_ != nullptr && spoils) list_->good = false;
    return depth_ > 0;
  }
  bool enter() {
    if (depth_ == 2 && list_ != nullptr) list_->good = false;
    return ++depth_ <= kMostJsonDepth;
  }
  bool leave() {
    --depth_;
    if (depth_ == 1) list_ = nullptr;
    return true;
  }

  std::array<Text, 3> texts_{{{"type"}, {"bundle"}, {"reason"}}};
  std::array<Number, 2> numbers_{{{"version"}, {"from"}}};
  std::array<List, 6> lists_{
      {{"taps"}, {"services"}, {"add"}, {"remove"}, {"add_services"}, {"remove_services"}}};
  std::size_t depth_ = 0;
  Text* text_ = nullptr;
  Number* number_ = nullptr;
  List* list_ = nullptr;
};

Error malformed(const std::string& type) {
  return Error{"registry: a message of type \"" + type + "\" is malformed"};
}

std::string describe(const char* type, std::span<const net::IpAddress> list, bool forwarding,
                     bool ended) {
  json object = {{"type", type}, {"addresses", json::array()}, {"forwarding", forwarding}};
  for (const auto& address : list) object["addresses"].push_back(address.to_string());
  if (ended) object["ended"] = true;
  if (type == std::string_view("hello")) object["version"] = kProtocolVersion;
  return object.dump();
}

}  // namespace

Result<Message> parse_message(std::string_view bytes) {
  Reader reader;
  if (!json::sax_parse(bytes, &reader)) return Error{"registry: a message is no JSON object"};
  const auto& type = reader.text("type");
  if (!type) return Error{"registry: a message has no type"};
  const auto& version = reader.number("version");
  if (*type == "snapshot") {
    auto taps = reader.list("taps");
    auto services = reader.list("services");
    if (!version || !taps || (!services && reader.has("services"))) return malformed(*type);
    return Message(Snapshot{*version, std::move(*taps), std::move(services)});
  }
  if (*type == "change") {
    const auto& from = reader.number("from");
    auto add = reader.list("add");
    auto remove = reader.list("remove");
    auto add_services = reader.list("add_services");
    auto remove_services = reader.list("remove_services");
    if (!from || !version || !add || !remove || (!add_services && reader.has("add_services")) ||
        (!remove_services && reader.has("remove_services"))) {
      return malformed(*type);
    }
    return Message(Change{*from, *version, std::move(*add), std::move(*remove),
                          std::move(add_services).value_or(std::vector<net::IpAddress>()),
                          std::move(remove_services).value_or(std::vector<net::IpAddress>())});
  }
  if (*type == "ca") {
    const auto& bundle = reader.text("bundle");
    if (!bundle) return malformed(*type);
    return Message(CaBundle{*bundle});
  }
  if (*type == "refused")
    return Message(Refused{reader.text("reason").value_or("no reason given")});
  return Message(Unknown{});
}

std::string hello_text(std::span<const net::IpAddress> list, bool forwarding, bool ended) {
  return describe("hello", list, forwarding, ended);
}

std::string state_text(std::span<const net::IpAddress> list, bool forwarding, bool ended) {
  return describe("state", list, forwarding, ended);
}

std::string resync_text() { return R"({"type":"resync"})"; }

}  // namespace sidetap::registry
