#include "shared/registry/report_codec.h"

#include <array>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <nlohmann/json.hpp>

#include "shared/net/text.h"
#include "shared/registry/codec.h"
#include "shared/registry/report_members.h"

namespace sidetap::registry {
namespace {

using nlohmann::json;

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
                      24 * kMostReportedCauses +
                      40 * (member_count<ReportedCounts>() + member_count<MeshReport>()) + 512 <=
                  kMostTapMessageBytes,
              "a report fits");

std::string shortened_string(const std::string& text, std::size_t most) {
  return std::string(net::shortened_text(text, most));
}

template <typename Part>
json part_json(const Part& part, const TextLimits& limits) {
  json object = json::object();
  for_each_member(part, [&](const std::string_view key, const auto& value) {
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) {
      object[key] = shortened_string(value, key == "reason" ? limits.reason : limits.other);
    } else {
      object[key] = value;
    }
  });
  return object;
}

template <typename Part>
json parts_json(const std::vector<Part>& parts, std::size_t most, const TextLimits& limits) {
  json list = json::array();
  for (const Part& part : parts) {
    if (list.size() == most) break;
    list.push_back(part_json(part, limits));
  }
  return list;
}

json report_json(const Report& report, const TextLimits& limits) {
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
                {"interfaces", parts_json(report.interfaces, kMostReportedInterfaces, limits)},
                {"sensors", parts_json(report.sensors, kMostReportedSensors, limits)},
                {"counts", part_json(report.counts, limits)},
                {"lost", std::move(lost)}};
  if (report.mesh) whole["mesh"] = part_json(*report.mesh, limits);
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
  template <typename Part>
  void read_part(Part& into) {
    for_each_member(into, [this](const char* key, auto& member) { read(key, member); });
  }
  /// The objects of a list, at most `most`.
  template <typename Part>
  void read_parts(const char* key, std::vector<Part>& into, std::size_t most) {
    const json* const list = find(key, &json::is_array);
    if (list == nullptr) return;
    for (const json& element : *list) {
      if (into.size() == most) return;
      ObjectReader reader(element);
      reader.read_part(into.emplace_back());
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
  reader.read_parts("interfaces", report.interfaces, kMostReportedInterfaces);
  reader.read_parts("sensors", report.sensors, kMostReportedSensors);
  if (const json* const counts = reader.object_of("counts")) {
    ObjectReader of(*counts);
    of.read_part(report.counts);
    reader.require(of.good());
  }
  if (const json* const lost = reader.object_of("lost")) read_lost(*lost, reader, report);
  if (const json* const mesh = reader.object_of("mesh")) {
    ObjectReader of(*mesh);
    of.read_part(report.mesh.emplace());
    reader.require(of.good());
  }
  if (!reader.good()) return Error{"a member of the report is of the wrong kind"};
  return report;
}

}  // namespace sidetap::registry
