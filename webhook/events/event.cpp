#include "webhook/events/event.h"

#include <cstddef>
#include <cstdint>

#include <nlohmann/json.hpp>

#include "shared/fnv1a.h"
#include "webhook/identity/identity_text.h"

namespace sidetap::webhook::events {
namespace {

constexpr std::string_view kReporter = "sidetap.io/webhook";
constexpr std::size_t kMostNameBytes = 253;
constexpr std::size_t kMostNamespaceBytes = 63;
constexpr std::size_t kMostKindBytes = 63;
constexpr std::size_t kMostUidBytes = 128;
constexpr std::size_t kMostMessageBytes = 4'096;
/// With a point and the digest it stays a valid name.
constexpr std::size_t kMostPrefixBytes = 230;

constexpr std::string_view kSmall = "abcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::string_view kLabelCharacters = "abcdefghijklmnopqrstuvwxyz0123456789-";

bool is_bounded(std::string_view text, std::size_t most) {
  return !text.empty() && text.size() <= most;
}

bool is_namespace(std::string_view text) {
  return is_bounded(text, kMostNamespaceBytes) &&
         text.find_first_not_of(kLabelCharacters) == text.npos && text.front() != '-' &&
         text.back() != '-';
}

/// The same in every release, so that replicas of two releases agree.
std::string digest_of(const Event& event) {
  Fnv1a64 digest;
  const Subject& subject = event.subject;
  for (const std::string* part : {&subject.kind, &subject.name_space, &subject.name, &subject.uid,
                                  &event.reason, &event.message, &event.occurrence}) {
    digest.add(*part);
    digest.add(std::uint8_t{0xff});  // no byte of UTF-8: the end of a part
  }
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) text += kHex[(digest.value() >> shift) & 0xfU];
  return text;
}

/// The subject's name as far as it may begin the name of an event: lower-case labels, separated by
/// points. Another name is left out.
std::string prefix_of(const std::string& name) {
  std::string_view prefix = std::string_view(name).substr(0, kMostPrefixBytes);
  const auto last = prefix.find_last_of(kSmall);
  prefix = last == prefix.npos ? std::string_view() : prefix.substr(0, last + 1);
  char before = '.';
  for (const char c : prefix) {
    const bool edge = c == '-' || c == '.';
    if (kSmall.find(c) == kSmall.npos && !edge) return "sidetap";
    // A label begins and ends with a letter or a digit.
    if ((edge && before == '.') || (c == '.' && before == '-')) return "sidetap";
    before = c;
  }
  return prefix.empty() ? "sidetap" : std::string(prefix);
}

}  // namespace

bool is_valid(const Event& event) {
  const Subject& subject = event.subject;
  return is_namespace(subject.name_space) && is_bounded(subject.api_version, kMostNameBytes) &&
         is_bounded(subject.kind, kMostKindBytes) && is_bounded(subject.name, kMostNameBytes) &&
         is_bounded(subject.uid, kMostUidBytes) && is_bounded(event.reason, kMostUidBytes) &&
         is_bounded(event.message, kMostMessageBytes);
}

std::string path_of(const Event& event) {
  return "/api/v1/namespaces/" + event.subject.name_space + "/events";
}

nlohmann::json object_of(const Event& event, std::string_view instance) {
  const Subject& subject = event.subject;
  const std::string at = identity::to_text(event.at);
  nlohmann::json object;
  object["apiVersion"] = "v1";
  object["kind"] = "Event";
  object["metadata"]["name"] = prefix_of(subject.name) + "." + digest_of(event);
  object["metadata"]["namespace"] = subject.name_space;
  auto& about = object["involvedObject"];
  about["apiVersion"] = subject.api_version;
  about["kind"] = subject.kind;
  about["namespace"] = subject.name_space;
  about["name"] = subject.name;
  about["uid"] = subject.uid;
  object["type"] = event.warning ? "Warning" : "Normal";
  object["reason"] = event.reason;
  object["message"] = event.message;
  object["firstTimestamp"] = at;
  object["lastTimestamp"] = at;
  object["count"] = 1;
  object["source"]["component"] = "sidetap-webhook";
  object["reportingComponent"] = std::string(kReporter);
  object["reportingInstance"] = std::string(instance);
  return object;
}

}  // namespace sidetap::webhook::events
