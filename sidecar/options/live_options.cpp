#include "sidecar/options/live_options.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "shared/tap/settings.h"

namespace sidetap {
namespace {

/// The group of the setting with this variable; empty if the registry cannot change it.
std::string_view control_of(std::string_view variable) {
  if (variable.empty()) return {};
  for (const tap::Setting& setting : tap::kSettings)
    if (setting.option.env == variable) return setting.control;
  return {};
}

/// Outputs that need rights that a running tap has given up, and what is said of a change.
constexpr std::array<std::pair<OutputKind, const char*>, 2> kNeedRights = {
    {{OutputKind::kPcap,
      "--output pcap: a running tap cannot change to or from files, because it has given up the "
      "rights for that; restart the pod"},
     {OutputKind::kInterface,
      "--output interface: a running tap cannot change to or from an interface, because it has "
      "given up the rights for that; restart the pod"}}};

bool same_sensors(const RunOptions& a, const RunOptions& b) {
  return a.output.kind == b.output.kind && a.sessions.mode == b.sessions.mode &&
         a.sessions.tls.role == b.sessions.tls.role && a.sessions.sensors == b.sessions.sensors;
}

}  // namespace

Result<RunOptions> options_with(const RunOptions& start, const CommandLine& line,
                                const std::map<std::string, std::string, std::less<>>& values) {
  RunOptions options = start;
  // What has no default keeps its target if it is unset.
  options.sessions.sensors.clear();
  options.narrowing = {};
  config::OptionSet set("sidetap-sidecar run", "");
  declare(set, options);
  const std::vector<std::string>& allowed = start.registry.control;
  const config::OptionSet::Environment overlaid =
      [&](const std::string& name) -> std::optional<std::string> {
    const auto ordered = values.find(name);
    const bool counts = ordered != values.end() && std::find(allowed.begin(), allowed.end(),
                                                             control_of(name)) != allowed.end();
    if (counts) return ordered->second;
    return line.environment(name);
  };
  const auto parsed =
      set.try_parse(line.arguments, with_sensor_aliases(overlaid),
                    [](const config::OptionSpec& spec) { return !control_of(spec.env).empty(); });
  if (!parsed) return parsed.error();
  for (const auto& [kind, text] : kNeedRights) {
    if ((options.output.kind == kind) != (start.output.kind == kind)) return Error{text};
  }
  if (auto checked = check_values(options); !checked) return checked.error();
  return options;
}

std::vector<std::string_view> changed_controls(const RunOptions& before, const RunOptions& after) {
  const Narrowing& was = before.narrowing;
  const Narrowing& is = after.narrowing;
  const std::array<bool, tap::kControls.size()> changed = {
      !same_sensors(before, after),          was.filter != is.filter,
      was.flow_sampling != is.flow_sampling, was.snaplen != is.snaplen,
      was.rate_limit != is.rate_limit,       was.paused != is.paused};
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < changed.size(); ++i)
    if (changed[i]) names.push_back(tap::kControls[i]);
  return names;
}

}  // namespace sidetap
