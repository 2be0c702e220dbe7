#include "webhook/configuration/container_template.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "webhook/configuration/values.h"

namespace sidetap::configuration {
namespace {

constexpr std::uint32_t kMostInteger = 2'147'483'647;
constexpr std::string_view kText = "a text; numbers, yes and no in quotes";

// The values reach the pod as written in the file, so a number is not accepted as a text here.

void check_text(Section& section, std::string_view key, const Tree& value, const Check& check) {
  if (!value.is_string()) section.fail(key, shown(value), std::string(kText));
  if (!check) return;
  const auto good = check(value.get_ref<const std::string&>());
  if (!good) section.fail(key, shown(value), good.error().text);
}

/// Returns whether the key is present.
bool read_text(Section& section, std::string_view key, const Check& check = {}) {
  const Tree* const value = section.take(key);
  if (value != nullptr) check_text(section, key, *value, check);
  return value != nullptr;
}

void require_text(Section& section, std::string_view key, const Check& check = {}) {
  if (!read_text(section, key, check)) section.fail(key, "", "a text; it is required");
}

/// Returns the number of texts.
std::size_t read_texts(Section& section, std::string_view key, const Check& check = {}) {
  const Tree* const value = section.take(key);
  if (value == nullptr) return 0;
  if (!value->is_array()) section.fail(key, shown(*value), "a list of texts");
  for (const Tree& item : *value) check_text(section, key, item, check);
  return value->size();
}

void read_number(Section& section, std::string_view key, std::uint32_t least,
                 std::uint32_t most = kMostInteger) {
  std::uint32_t number = 0;
  section.number(key, number, least, most);
}

bool read_boolean(Section& section, std::string_view key, bool fallback) {
  section.boolean(key, fallback);
  return fallback;
}

/// One kind of handler or source.
struct Kind {
  std::string_view name;
  void (*read)(Section section);
};

template <std::size_t N>
void read_exactly_one(Section& section, const std::array<Kind, N>& kinds) {
  std::size_t count = 0;
  std::string names;
  for (const auto& [name, read] : kinds) {
    names += (names.empty() ? "" : ", ") + std::string(name);
    auto part = section.section(name);
    if (!part) continue;
    read(*part);
    ++count;
  }
  if (count != 1) section.fail("", std::to_string(count) + " of them", "exactly one of " + names);
}

/// A number or the name of a port: a service name by RFC 6335 with at least one letter.
void read_port(Section& section) {
  const Tree* const value = section.take("port");
  const std::string accepted = "a number from 1 to 65535, or the name of a port";
  if (value == nullptr) section.fail("port", "", accepted);
  if (!value->is_string()) return read_number(section, "port", 1, 65'535);
  const auto& name = value->get_ref<const std::string&>();
  const bool good = is_dns_label(name) && name.size() <= 15 && name.find("--") == name.npos &&
                    std::any_of(name.begin(), name.end(), [](char c) { return c >= 'a'; });
  if (!good) section.fail("port", shown(*value), accepted);
}

void read_exec(Section section) {
  if (read_texts(section, "command") == 0)
    section.fail("command", "", "a list of texts; it is required");
  section.finish();
}

Result<std::string> check_header_name(std::string_view text) {
  const bool good = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
  if (!good) return Error{"names of letters, digits and hyphens"};
  return std::string(text);
}

void read_http_get(Section section) {
  read_text(section, "host");
  for (Section& header : section.section_list("httpHeaders")) {
    require_text(header, "name", check_header_name);
    require_text(header, "value");
    header.finish();
  }
  read_text(section, "path");
  read_port(section);
  read_text(section, "scheme", one_of({"HTTP", "HTTPS"}));
  section.finish();
}

void read_tcp_socket(Section section) {
  read_text(section, "host");
  read_port(section);
  section.finish();
}

void read_grpc(Section section) {
  if (section.take("port") == nullptr) section.fail("port", "", "a number from 1 to 65535");
  read_number(section, "port", 1, 65'535);
  read_text(section, "service");
  section.finish();
}

void read_sleep(Section section) {
  if (section.take("seconds") == nullptr) section.fail("seconds", "", "a number; it is required");
  read_number(section, "seconds", 1);
  section.finish();
}

enum class Probe : std::uint8_t { kLiveness, kReadiness, kStartup };

void read_probe(Section section, Probe probe) {
  constexpr std::array<Kind, 4> kHandlers = {{{"exec", read_exec},
                                              {"grpc", read_grpc},
                                              {"httpGet", read_http_get},
                                              {"tcpSocket", read_tcp_socket}}};
  read_exactly_one(section, kHandlers);
  for (const char* key :
       {"failureThreshold", "initialDelaySeconds", "periodSeconds", "timeoutSeconds"})
    read_number(section, key, 0);
  // The API server accepts only 1 if a failure ends the container. 0 becomes 1.
  read_number(section, "successThreshold", 0, probe == Probe::kReadiness ? kMostInteger : 1);
  if (probe != Probe::kReadiness) read_number(section, "terminationGracePeriodSeconds", 1);
  section.finish();
}

void read_lifecycle(Section section) {
  constexpr std::array<Kind, 4> kHandlers = {{{"exec", read_exec},
                                              {"httpGet", read_http_get},
                                              {"sleep", read_sleep},
                                              {"tcpSocket", read_tcp_socket}}};
  for (const char* key : {"postStart", "preStop"}) {
    if (auto handler = section.section(key)) {
      read_exactly_one(*handler, kHandlers);
      handler->finish();
    }
  }
  section.finish();
}

void read_source(Section section) {
  require_text(section, "name", check_object_name);
  read_boolean(section, "optional", false);
  section.finish();
}

void read_env_from(Section& section) {
  constexpr std::array<Kind, 2> kSources = {
      {{"configMapRef", read_source}, {"secretRef", read_source}}};
  for (Section& one : section.section_list("envFrom")) {
    read_exactly_one(one, kSources);
    read_text(one, "prefix", check_variable_name);
    one.finish();
  }
}

Result<std::string> check_capability(std::string_view text) {
  const bool good = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (!good) return Error{"capabilities such as NET_RAW, or ALL"};
  return std::string(text);
}

/// For seccomp and AppArmor: a file on the node, or none.
void read_profile(Section section) {
  const Tree* const type = section.take("type");
  require_text(section, "type", one_of({"RuntimeDefault", "Localhost", "Unconfined"}));
  const bool local = *type == "Localhost";
  const bool named =
      read_text(section, "localhostProfile", [](std::string_view path) -> Result<std::string> {
        if (path.empty() || path.starts_with('/') || path.find("..") != path.npos)
          return Error{"a path below the node's folder of profiles"};
        return std::string(path);
      });
  if (local != named)
    section.fail(
        "localhostProfile", "",
        local ? "a text; type Localhost requires it" : "nothing, unless type is Localhost");
  section.finish();
}

void read_se_linux(Section section) {
  for (const char* key : {"level", "role", "type", "user"}) read_text(section, key);
  section.finish();
}

void read_security_context(Section section) {
  bool admin = false;
  if (auto part = section.section("capabilities")) {
    const auto check = [&](std::string_view text) {
      admin = admin || text == "SYS_ADMIN" || text == "CAP_SYS_ADMIN";
      return check_capability(text);
    };
    read_texts(*part, "add", check);
    read_texts(*part, "drop", check_capability);
    part->finish();
  }
  const bool privileged = read_boolean(section, "privileged", false);
  if (!read_boolean(section, "allowPrivilegeEscalation", true) && (privileged || admin))
    section.fail("allowPrivilegeEscalation", "false",
                 "true, together with privileged or SYS_ADMIN");
  if (auto part = section.section("appArmorProfile")) read_profile(*part);
  read_text(section, "procMount", one_of({"Default"}));
  read_boolean(section, "readOnlyRootFilesystem", false);
  read_number(section, "runAsGroup", 0);
  read_number(section, "runAsUser", 0);
  read_boolean(section, "runAsNonRoot", false);
  if (auto part = section.section("seLinuxOptions")) read_se_linux(*part);
  if (auto part = section.section("seccompProfile")) read_profile(*part);
  section.finish();
}

/// Refuses fields that the webhook writes itself.
void refuse_other_fields(Section& section) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kOthers = {
      {{"name", "the key sidecar.name instead"},
       {"image", "the key sidecar.image instead"},
       {"imagePullPolicy", "the key sidecar.imagePullPolicy instead"},
       {"env", "the key sidecar.env instead"},
       {"ports", "the key sidecar.statusPort instead"},
       {"resources", "the key sidecar.resources instead"},
       {"restartPolicy", "the key sidecar.native instead"},
       {"volumeMounts", "nothing: it would need a volume, and the webhook adds its own only"}}};
  section.each([&](const std::string& name, const Tree&) {
    for (const auto& [field, instead] : kOthers)
      if (name == field) section.fail(name, "", std::string(instead));
  });
}

}  // namespace

std::map<std::string, std::string> read_container_template(Section section) {
  refuse_other_fields(section);
  read_texts(section, "args");
  read_texts(section, "command");
  read_env_from(section);
  if (auto part = section.section("lifecycle")) read_lifecycle(*part);
  if (auto part = section.section("livenessProbe")) read_probe(*part, Probe::kLiveness);
  if (auto part = section.section("readinessProbe")) read_probe(*part, Probe::kReadiness);
  if (auto part = section.section("securityContext")) read_security_context(*part);
  if (auto part = section.section("startupProbe")) read_probe(*part, Probe::kStartup);
  read_text(section, "terminationMessagePath");
  read_text(section, "terminationMessagePolicy", one_of({"File", "FallbackToLogsOnError"}));
  read_text(section, "workingDir");
  section.finish();

  std::map<std::string, std::string> fields;
  section.each([&](const std::string& name, const Tree& value) {
    if (!value.is_null()) fields[name] = value.dump();
  });
  return fields;
}

}  // namespace sidetap::configuration
