#include "shared/registry/report_codec.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include <nlohmann/json.hpp>

#include "shared/registry/codec.h"

namespace sidetap::registry {
namespace {

using nlohmann::json;

struct CountMember {
  const char* key;
  std::uint64_t ReportedCounts::*member;
};
constexpr std::array kCountMembers{CountMember{"seen", &ReportedCounts::seen},
                                   CountMember{"seen_bytes", &ReportedCounts::seen_bytes},
                                   CountMember{"owned", &ReportedCounts::owned},
                                   CountMember{"owned_bytes", &ReportedCounts::owned_bytes},
                                   CountMember{"forwarded", &ReportedCounts::forwarded},
                                   CountMember{"forwarded_bytes", &ReportedCounts::forwarded_bytes},
                                   CountMember{"filtered", &ReportedCounts::filtered}};

struct MeshMember {
  const char* key;
  std::uint64_t MeshReport::*member;
};
constexpr std::array kMeshMembers{MeshMember{"read", &MeshReport::read},
                                  MeshMember{"legs", &MeshReport::legs},
                                  MeshMember{"covered", &MeshReport::covered}};

/// Bytes of the texts in a report.
struct TextLimits {
  std::size_t reason;  ///< Of SensorReport::reason.
  std::size_t other;
};
/// Tried in turn, until the message fits. With the last it always does.
constexpr std::array kTextLimits{
    TextLimits{kMostReportedText, kMostReportedText}, TextLimits{96, kMostReportedText},
    TextLimits{24, kMostReportedText}, TextLimits{16, 64}, TextLimits{16, 16}};
static_assert(kMostEscapedByte * 16 *
                          (3 + kMostReportedInterfaces + 3 * kMostReportedSensors +
                           kMostReportedCauses) +
                      32 * kMostReportedInterfaces + 40 * kMostReportedSensors +
                      24 * kMostReportedCauses + 40 * (kCountMembers.size() + kMeshMembers.size()) +
                      512 <=
                  kMostTapMessageBytes,
              "a report fits");

std::string shortened_string(const std::string& text, std::size_t most) {
  return std::string(shortened_text(text, most));
}

json sensors_json(const std::vector<SensorReport>& sensors, const TextLimits& limits) {
  json list = json::array();
  for (const SensorReport& sensor : sensors) {
    if (list.size() == kMostReportedSensors) break;
    list.push_back({{"sensor", shortened_string(sensor.sensor, limits.other)},
                    {"state", shortened_string(sensor.state, limits.other)},
                    {"reason", shortened_string(sensor.reason, limits.reason)}});
  }
  return list;
}

json report_json(const Report& report, const TextLimits& limits) {
  json interfaces = json::array();
  for (const InterfaceReport& interface : report.interfaces) {
    if (interfaces.size() == kMostReportedInterfaces) break;
    interfaces.push_back({{"name", shortened_string(interface.name, limits.other)},
                          {"capturing", interface.capturing}});
  }
  json counts = json::object();
  for (const auto& [key, member] : kCountMembers) counts[key] = report.counts.*member;
  json lost = json::object();
  for (const auto& [cause, count] : report.lost) {
    if (lost.size() == kMostReportedCauses) break;
    // Two causes could begin alike, so they are not cut.
    if (cause.size() <= limits.other) lost[cause] = count;
  }
  json whole = {{"type", "report"},
                {"release", shortened_string(report.release, limits.other)},
                {"profile", shortened_string(report.profile, limits.other)},
                {"generation", report.generation},
                {"following", report.following},
                {"interfaces", std::move(interfaces)},
                {"sensors", sensors_json(report.sensors, limits)},
                {"counts", std::move(counts)},
                {"lost", std::move(lost)}};
  if (report.mesh) {
    json mesh = json::object();
    mesh["kind"] = shortened_string(report.mesh->kind, limits.other);
    for (const auto& [key, member] : kMeshMembers) mesh[key] = *report.mesh.*member;
    whole["mesh"] = std::move(mesh);
  }
  return whole;
}

std::string dumped(const json& tree) {
  return tree.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// Reads members of one object. A missing member leaves its target as it is.
class ObjectReader {
 public:
  explicit ObjectReader(const json& object) : object_(object), good_(object.is_object()) {}

  void read(const char* key, std::string& into) {
    if (const json* const value = find(key, &json::is_string)) {
      into = shortened_string(value->get_ref<const std::string&>(), kMostReportedText);
    }
  }
  void read(const char* key, std::uint64_t& into) {
    if (const json* const value = find(key, &json::is_number_unsigned)) {
      into = value->get<std::uint64_t>();
    }
  }
  void read(const char* key, bool& into) {
    if (const json* const value = find(key, &json::is_boolean)) into = value->get<bool>();
  }
  /// Calls `read_one(ObjectReader&, T&)` for each object of a list.
  template <typename T, typename ReadOne>
  void read(const char* key, std::vector<T>& into, std::size_t most, const ReadOne& read_one) {
    const json* const list = find(key, &json::is_array);
    if (list == nullptr) return;
    for (const json& element : *list) {
      if (into.size() == most) return;
      ObjectReader reader(element);
      read_one(reader, into.emplace_back());
      require(reader.good());
    }
  }
  /// The object with this key, or null.
  const json* object_of(const char* key) { return find(key, &json::is_object); }

  void require(bool holds) { good_ = good_ && holds; }
  /// Whether all that was read is of the right kind.
  bool good() const { return good_; }

 private:
  using IsKind = bool (json::*)() const noexcept;

  const json* find(const char* key, IsKind is_kind) {
    if (!good_) return nullptr;
    const auto found = object_.find(key);
    if (found == object_.end()) return nullptr;
    require(((*found).*is_kind)());
    return good_ ? &*found : nullptr;
  }

  const json& object_;
  bool good_;
};

void read_lost(const json& object, ObjectReader& reader, Report& into) {
  for (const auto& [cause, count] : object.items()) {
    reader.require(count.is_number_unsigned());
    if (!reader.good() || into.lost.size() == kMostReportedCauses) return;
    if (cause.size() <= kMostReportedText) into.lost.emplace(cause, count.get<std::uint64_t>());
  }
}

}  // namespace

std::string_view shortened_text(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  while (most > 0 && continues(text[most])) --most;
  return text.substr(0, most);
}

std::string encode_control(const std::vector<std::string>& control) {
  json list = json::array();
  for (const std::string& name : control) {
    if (list.size() < kMostControls && name.size() <= kMostControlBytes) list.push_back(name);
  }
  return dumped(list);
}

std::string encode(const Report& report) {
  std::string text;
  for (const TextLimits& limits : kTextLimits) {
    text = dumped(report_json(report, limits));
    if (text.size() <= kMostTapMessageBytes) break;
  }
  return text;
}

Result<std::vector<std::string>> read_control(std::string_view text) {
  const json tree = json::parse(text, nullptr, false);
  std::vector<std::string> control;
  const auto found = tree.find("control");
  if (found == tree.end()) return control;
  bool good = found->is_array();
  for (const json& name : *found) {
    good = good && name.is_string();
    if (!good) break;
    const auto& known = name.get_ref<const std::string&>();
    if (control.size() < kMostControls && known.size() <= kMostControlBytes) {
      control.push_back(known);
    }
  }
  if (!good) return Error{"\"control\" of a hello is a list of texts"};
  return control;
}

Result<Report> read_report(std::string_view text) {
  const json tree = json::parse(text, nullptr, false);
  ObjectReader reader(tree);
  Report report;
  reader.read("release", report.release);
  reader.read("profile", report.profile);
  reader.read("generation", report.generation);
  reader.read("following", report.following);
  reader.read("interfaces", report.interfaces, kMostReportedInterfaces,
              [](ObjectReader& of, InterfaceReport& into) {
                of.read("name", into.name);
                of.read("capturing", into.capturing);
              });
  reader.read("sensors", report.sensors, kMostReportedSensors,
              [](ObjectReader& of, SensorReport& into) {
                of.read("sensor", into.sensor);
                of.read("state", into.state);
                of.read("reason", into.reason);
              });
  if (const json* const counts = reader.object_of("counts")) {
    ObjectReader of(*counts);
    for (const auto& [key, member] : kCountMembers) of.read(key, report.counts.*member);
    reader.require(of.good());
  }
  if (const json* const lost = reader.object_of("lost")) read_lost(*lost, reader, report);
  if (const json* const mesh = reader.object_of("mesh")) {
    ObjectReader of(*mesh);
    of.read("kind", report.mesh.emplace().kind);
    for (const auto& [key, member] : kMeshMembers) of.read(key, *report.mesh.*member);
    reader.require(of.good());
  }
  if (!reader.good()) return Error{"a member of the report is of the wrong kind"};
  return report;
}

}  // namespace sidetap::registry
