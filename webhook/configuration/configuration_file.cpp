#include "webhook/configuration/configuration_file.h"

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <utility>

#include "shared/net/host_port.h"
#include "shared/read_file.h"
#include "shared/tap/assigned.h"
#include "shared/tap/settings.h"
#include "shared/yaml/documents.h"
#include "webhook/configuration/container_template.h"
#include "webhook/configuration/quantity.h"
#include "webhook/configuration/section.h"
#include "webhook/configuration/tap_settings.h"
#include "webhook/configuration/values.h"

namespace sidetap::configuration {
namespace {

constexpr std::uintmax_t kMaxFile = 4U << 20;

/// Leaves room for the names derived from it, those of volumes.
Result<std::string> check_container_name(std::string_view text) {
  if (!is_dns_label(text) || text.size() > 50)
    return Error{"lower-case letters, digits and hyphens, at most 50"};
  return std::string(text);
}

Result<std::string> check_registry(std::string_view text) {
  if (text.empty()) return std::string();
  const auto address = net::parse_host_port(text, tap::kRegistryPort);
  if (!address) return Error{"HOST[:PORT] (" + address.error().text + ")"};
  return address->to_string();
}

Result<std::string> check_pem(std::string_view text) {
  if (!text.empty() && text.find("-----BEGIN CERTIFICATE-----") == text.npos)
    return Error{"certificates as PEM"};
  return std::string(text);
}

/// Returns the port of the sensors that name none. The taps' output is known before.
std::optional<std::uint16_t> read_sensor(Section section, Configuration& into) {
  const auto port = read_sensor_port(section);
  read_sensors(section, port.value_or(default_sensor_port(into.taps[tap::kOutput])),
               into.taps[tap::kSensor]);
  read_settings("sensor", section, into.taps);
  section.text("secretName", into.sensor_secret, check_secret);
  section.finish();
  return port;
}

void read_subnets(Section section, tap::Values& into) {
  read_settings("subnets", section, into);
  section.finish();
}

void read_amounts(Section section, Amounts& into) {
  section.text("cpu", into.cpu, check_cpu);
  section.text("memory", into.memory, check_memory);
  section.finish();
}

void read_resources(Section section, Sidecar& into) {
  Amounts requests = {};
  if (auto part = section.section("limits")) read_amounts(*part, into.limits);
  if (auto part = section.section("requests")) read_amounts(*part, requests);
  section.finish();
  const auto settle = [&](const char* name, const std::string& asked, std::string& request,
                          const std::string& limit) {
    if (!asked.empty()) request = asked;
    if (*parse_quantity(request) <= *parse_quantity(limit)) return;
    if (!asked.empty())
      section.fail("requests." + std::string(name), asked, "at most the limit, " + limit);
    request = limit;
  };
  settle("cpu", requests.cpu, into.requests.cpu, into.limits.cpu);
  settle("memory", requests.memory, into.requests.memory, into.limits.memory);
}

void read_env(Section section, Sidecar& into) {
  section.each([&](const std::string& name, const Tree& value) {
    if (const auto good = check_variable_name(name); !good)
      section.fail(name, "", good.error().text);
    // YAML loses the spelling of other types: on becomes true.
    if (!value.is_string() && !value.is_number_integer())
      section.fail(name, shown(value), "a text; yes, no and fractions in quotes");
    into.env[name] = value.is_string() ? value.get<std::string>() : value.dump();
  });
}

void read_overrides(Section& section, Sidecar& into) {
  const auto names = section.texts("overrides");
  if (!names) return;
  into.overrides.reset();
  for (const std::string& name : *names) {
    const auto item = override_of_name(name);
    if (!item) {
      std::string accepted;
      for (std::size_t i = 0; i < kOverrideCount; ++i)
        accepted += (i == 0 ? "" : ", ") + std::string(override_name(static_cast<Override>(i)));
      section.fail("overrides", name, accepted);
    }
    into.overrides.set(static_cast<std::size_t>(*item));
  }
}

void read_controls(Section& section, Sidecar& into) {
  const Tree* const value = section.take("registryControl");
  if (value == nullptr) return;
  if (value->is_boolean()) {  // in YAML, on is true
    into.controls = *tap::parse_controls(value->get<bool>() ? "on" : "off");
    return;
  }
  std::string text;
  section.list("registryControl", text, [&into](std::string_view given) -> Result<std::string> {
    const auto controls = tap::parse_controls(given);
    if (!controls) return controls.error();
    into.controls = *controls;
    return std::string(given);
  });
}

void read_sidecar(Section section, Sidecar& into, tap::Values& taps) {
  section.text("name", into.name, check_container_name);
  section.text("image", into.image, check_image);
  section.text("imagePullPolicy", into.image_pull_policy,
               one_of({"Always", "IfNotPresent", "Never"}));
  if (const auto names = section.texts("imagePullSecrets", check_object_name))
    into.image_pull_secrets = *names;
  std::string word = "auto";
  section.text("native", word, one_of({"auto", "always", "never"}));
  into.native = word == "auto"     ? Native::kAuto
                : word == "always" ? Native::kAlways
                                   : Native::kNever;
  word = "explicit";
  section.text("capabilities", word, one_of({"explicit", "runtimeDefault"}));
  into.capabilities = word == "explicit" ? Capabilities::kExplicit : Capabilities::kRuntimeDefault;
  if (auto part = section.section("resources")) read_resources(*part, into);
  read_settings("sidecar", section, taps);
  if (auto part = section.section("env")) read_env(*part, into);
  if (auto part = section.section("container")) into.fields = read_container_template(*part);
  read_overrides(section, into);
  read_controls(section, into);
  section.finish();
}

LabelCondition read_condition(Section section) {
  LabelCondition condition;
  std::string op;
  section.text("key", condition.key);
  section.text("operator", op, one_of({"In", "NotIn", "Exists", "DoesNotExist"}));
  if (const auto values = section.texts("values")) condition.values = *values;
  section.finish();
  using Operator = LabelCondition::Operator;
  condition.op = op == "In"       ? Operator::kIn
                 : op == "NotIn"  ? Operator::kNotIn
                 : op == "Exists" ? Operator::kExists
                                  : Operator::kDoesNotExist;
  if (condition.key.empty()) section.fail("key", "", "a label's key");
  if (op.empty()) section.fail("operator", "", "In, NotIn, Exists, DoesNotExist");
  const bool needs_values = op == "In" || op == "NotIn";
  if (needs_values == condition.values.empty())
    section.fail("values", "", needs_values ? "at least one text" : "none with " + op);
  return condition;
}

/// Reads a selector in Kubernetes syntax. Skips one without conditions, which would select every
/// pod.
void read_selector(Section section, std::vector<LabelSelector>& into) {
  LabelSelector selector;
  if (auto labels = section.section("matchLabels"))
    labels->each([&](const std::string& key, const Tree& value) {
      if (!value.is_string()) labels->fail(key, shown(value), "a text");
      selector.push_back({key, LabelCondition::Operator::kIn, {value.get<std::string>()}});
    });
  for (Section& part : section.sections("matchExpressions"))
    selector.push_back(read_condition(part));
  section.finish();
  if (!selector.empty()) into.push_back(std::move(selector));
}

void read_injection(Section section, Injection& into) {
  std::string version;
  section.text("serverVersion", version, [](std::string_view text) -> Result<std::string> {
    if (!text.empty() && !parse_version(text)) return Error{R"(a version in quotes: "1.36")"};
    return std::string(text);
  });
  into.server_version = parse_version(version);
  section.text("ownNamespace", into.own_namespace);
  if (const auto names = section.texts("excludedNamespaces", check_object_name))
    into.excluded_namespaces = *names;
  for (Section& part : section.sections("excludedPods")) read_selector(part, into.excluded_pods);
  section.boolean("forceJobs", into.force_jobs);
  section.finish();
}

void read_registry(Section section, Registry& into) {
  section.text("address", into.address, check_registry);
  section.text("ca", into.ca, check_pem);
  std::string word = "token";
  section.text("auth", word, one_of({"token", "none"}));
  into.token = word == "token";
  // The API server accepts no shorter lifetime.
  section.number("tokenExpirationSeconds", into.token_life, 600, 86'400);
  section.finish();
}

Configuration read(Section section) {
  Configuration configuration;
  auto sensor = section.section("sensor");
  if (auto part = section.section("subnets")) read_subnets(*part, configuration.taps);
  if (auto part = section.section("sidecar"))
    read_sidecar(*part, configuration.sidecar, configuration.taps);
  std::optional<std::uint16_t> port;
  if (sensor) port = read_sensor(std::move(*sensor), configuration);
  check_output(section, nullptr, configuration);
  if (auto part = section.section("profiles")) read_profiles(*part, port, configuration);
  if (auto part = section.section("injection")) read_injection(*part, configuration.injection);
  if (auto part = section.section("registry")) read_registry(*part, configuration.registry);
  check_registry_tls(section, configuration);
  section.number("generation", configuration.generation, 0,
                 std::numeric_limits<std::uint64_t>::max());
  section.finish();
  if (configuration.sidecar.native == Native::kAlways && native_is_impossible(configuration))
    section.fail("sidecar.native", "always", "auto or never, on a server before 1.29");
  return configuration;
}

}  // namespace

Result<Configuration> parse_configuration(std::string_view text, std::string_view name) {
  const std::string file(name);
  yaml::Lines lines;
  const auto documents = yaml::read_documents(text, yaml::Repeated::kRefuse, &lines);
  if (!documents) return Error{file + ": " + documents.error().text};
  for (const yaml::Document& document : documents->all)
    if (!document.fault.empty()) return Error{file + ": " + document.fault};
  if (documents->all.size() > 1) return Error{file + ": more than one document; one is accepted"};
  if (documents->all.empty() || documents->all[0].tree.is_null()) return Configuration();
  try {
    return read(Section(documents->all[0].tree, file, "", &lines));
  } catch (const Fault& fault) {
    return Error{fault.text};
  }
}

Result<Configuration> load_configuration(const std::string& path) {
  std::error_code code;
  const auto size = std::filesystem::file_size(path, code);
  if (code) return Error{path + ": cannot be read: " + code.message()};
  if (size > kMaxFile) return Error{path + ": larger than 4 MiB"};
  const auto text = read_file(path);
  if (!text) return text.error();
  return parse_configuration(*text, path);
}

}  // namespace sidetap::configuration
