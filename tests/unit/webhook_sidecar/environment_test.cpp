// The environment that the webhook writes into the tap's container, read by the tap's own options.
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/net/text.h"
#include "shared/tap/assigned.h"
#include "shared/tap/settings.h"
#include "sidecar/options/options.h"
#include "support/review_builder.h"
#include "webhook/configuration/configuration_file.h"

namespace sidetap {
namespace {

using configuration::Configuration;
using test::Json;
using test::pod;
using test::PodBuilder;
using testing::ElementsAre;

Configuration read(const std::string& text) {
  auto configuration = configuration::parse_configuration(text, "c.yaml");
  EXPECT_TRUE(configuration) << configuration.error().text;
  return configuration ? *configuration : Configuration();
}

/// The tap of an injected pod, native or plain.
Json tap_of(const PodBuilder& before, const Configuration& configuration) {
  const admission::Answer outcome = admit_pod(before, admission::Entry::kNamespace, configuration);
  EXPECT_TRUE(outcome.warnings.empty()) << Json(outcome.warnings);
  const Json spec = before.json().patch(Json::parse(outcome.patch))["spec"];
  return spec.contains("initContainers") ? spec["initContainers"][0] : spec["containers"][1];
}

/// The environment as the kubelet sets it.
std::map<std::string, std::string> environment_of(const Json& tap) {
  const std::map<std::string, std::string> fields = {{"metadata.name", "web-1"},
                                                     {"metadata.namespace", "shop"},
                                                     {"spec.nodeName", "node-a"},
                                                     {"status.podIPs", "10.244.1.7,fd00::7"}};
  std::map<std::string, std::string> environment;
  for (const Json& one : tap["env"])
    environment[one["name"]] = one.contains("value")
                                   ? one["value"].get<std::string>()
                                   : fields.at(one["valueFrom"]["fieldRef"]["fieldPath"]);
  return environment;
}

/// The tap's options from it. An unknown variable is a failure.
RunOptions options_of(const Json& tap) {
  const auto environment = environment_of(tap);
  RunOptions options;
  config::OptionSet known("", "");
  RunOptions unused;
  declare(known, unused);
  for (const auto& variable : environment) {
    const bool found = std::any_of(known.specs().begin(), known.specs().end(),
                                   [&](const auto& spec) { return spec.env == variable.first; });
    EXPECT_TRUE(found) << variable.first << " is no variable of the tap";
  }
  const auto parsed = parse_run_options(
      {},
      [&](const std::string& name) -> std::optional<std::string> {
        const auto at = environment.find(name);
        if (at == environment.end()) return std::nullopt;
        return at->second;
      },
      options);
  EXPECT_EQ(parsed, config::ParseResult::kRun);
  return options;
}
RunOptions options_of(const PodBuilder& before, const std::string& configuration) {
  return options_of(tap_of(before, read(configuration)));
}

constexpr auto kLeast = "sensor: {address: 10.10.10.10}\ninjection: {serverVersion: v1.36.0}\n";

TEST(Environment, OfTheDefaultsIsAccepted) {
  const RunOptions options = options_of(pod(), kLeast);
  ASSERT_EQ(options.sessions.sensors.size(), 1U);
  EXPECT_EQ(options.sessions.sensors[0].address.to_string(), "10.10.10.10:2003");
  EXPECT_EQ(options.sessions.mode, session::SensorMode::kReplicate);
  EXPECT_EQ(options.narrowing.snaplen, 262'144U);
  EXPECT_EQ(options.sessions.data_mtu, 0U);
  EXPECT_EQ(options.pod_name, "web-1");
  EXPECT_EQ(options.pod_namespace, "shop");
  EXPECT_EQ(options.node_name, "node-a");
  EXPECT_EQ(options.ownership.pod_ips.size(), 2U);
  EXPECT_TRUE(options.ownership.pod_subnets.empty());
  EXPECT_EQ(options.ownership.tapped_peers.kind, TappedPeersOption::Kind::kNone);
  EXPECT_EQ(options.ownership.service_view, ownership::ServiceView::kAuto);
  EXPECT_EQ(options.buffer_size, 16U << 20);
  EXPECT_FALSE(options.backlog);
  EXPECT_TRUE(options.interfaces.empty());
  EXPECT_EQ(options.status_listen.value().to_string(), ":15920");
  EXPECT_EQ(options.log_level, telemetry::LogLevel::kInfo);
  EXPECT_EQ(options.log_format, telemetry::LogFormat::kJson);
  EXPECT_FALSE(options.registry.address);
}

TEST(Environment, HoldsNothingOfWhatIsNotGiven) {
  const auto environment = environment_of(tap_of(pod(), read(kLeast)));
  for (const auto& [name, value] : environment) EXPECT_FALSE(value.empty()) << name;
  for (const tap::Setting* setting : {&tap::kPodSubnets, &tap::kServiceSubnets})
    EXPECT_FALSE(environment.contains(std::string(setting->option.env))) << setting->option.env;
}

TEST(Environment, NamesEachSensorAndEachInterfaceOnce) {
  const RunOptions written = options_of(pod(), R"(
sensor: {address: [a.example, "A.example.:2003", 10.0.0.1, "[::ffff:10.0.0.1]:2003"]}
sidecar: {interface: "eth0,net1,eth0"}
injection: {serverVersion: v1.36.0}
)");
  EXPECT_EQ(written.sessions.sensors.size(), 2U);
  EXPECT_THAT(written.interfaces, ElementsAre("eth0", "net1"));
}

/// The tap for itself, whoever wrote its environment or its command line.
TEST(Environment, OfATapAloneNamesEachOnceToo) {
  const auto once = [](std::vector<const char*> arguments) {
    RunOptions options;
    const auto environment = [](const std::string& name) -> std::optional<std::string> {
      if (name == "SENSOR") return "10.0.0.1,10.0.0.1:2003,Sensor,sensor.";
      if (name == "INTERFACE") return "eth0,eth0";
      return std::nullopt;
    };
    EXPECT_EQ(parse_run_options(arguments, environment, options), config::ParseResult::kRun);
    return options;
  };
  const RunOptions options = once({"--ipv6-family", "linux,windows,windows,linux"});
  ASSERT_EQ(options.sessions.sensors.size(), 2U);
  EXPECT_EQ(options.sessions.sensors[0].ipv6_family, rpcap::Ipv6Family::kLinux);
  EXPECT_EQ(options.sessions.sensors[1].address.host, "Sensor");
  EXPECT_EQ(options.sessions.sensors[1].ipv6_family, rpcap::Ipv6Family::kWindows);
  EXPECT_THAT(options.interfaces, ElementsAre("eth0"));
  EXPECT_EQ(once({"--sensor", "a,b,A", "--interface", "eth1,eth0,eth1"}).sessions.sensors.size(),
            2U);
  EXPECT_EQ(once({"--sensor", "a,a:2003", "--output", "vxlan"}).sessions.sensors.size(), 2U)
      << "4789 and 2003 are two ports";
}

TEST(Environment, OfAPlainContainerIsTheSame) {
  const std::string plain = std::string(kLeast) + "sidecar: {native: never}\n";
  const Json tap = tap_of(pod(), read(plain));
  EXPECT_FALSE(tap.contains("restartPolicy"));
  EXPECT_EQ(environment_of(tap), environment_of(tap_of(pod(), read(kLeast))));
}

TEST(Environment, CarriesEverySettingOfTheConfiguration) {
  const RunOptions options = options_of(pod(), R"(
sensor: {address: [a.example, "[2001:db8::1]:7"], port: 2005, mode: balance}
subnets: {pods: [10.244.0.0/16, "fd00::/56"], services: [10.96.0.0/12]}
sidecar:
  snaplen: 128
  interface: eth0,net1
  bufferSize: 4M
  backlog: 8M
  dataMtu: 1400
  maxRate: 100M
  maxPacketRate: 5
  tappedPeers: [10.0.0.0/8]
  serviceView: always
  untappedServices: [10.96.7.0/24]
  statusPort: 16000
  logLevel: debug
  logFormat: text
  env: {FLUSH_INTERVAL: 20ms, CHECKSUMS: "off"}
injection: {serverVersion: v1.36.0}
)");
  ASSERT_EQ(options.sessions.sensors.size(), 2U);
  EXPECT_EQ(options.sessions.sensors[0].address.to_string(), "a.example:2005");
  EXPECT_EQ(options.sessions.sensors[1].address.to_string(), "[2001:db8::1]:7");
  EXPECT_EQ(options.sessions.mode, session::SensorMode::kBalance);
  EXPECT_EQ(net::to_string(options.ownership.pod_subnets), "10.244.0.0/16,fd00::/56");
  EXPECT_EQ(net::to_string(options.ownership.service_subnets), "10.96.0.0/12");
  EXPECT_EQ(net::to_string(options.ownership.untapped_services), "10.96.7.0/24");
  EXPECT_EQ(options.narrowing.snaplen, 128U);
  EXPECT_THAT(options.interfaces, ElementsAre("eth0", "net1"));
  EXPECT_EQ(options.buffer_size, 4U << 20);
  EXPECT_EQ(options.backlog, std::uint64_t{8} << 20);
  EXPECT_EQ(options.sessions.data_mtu, 1400U);
  EXPECT_EQ(options.ownership.tapped_peers.kind, TappedPeersOption::Kind::kList);
  EXPECT_EQ(options.ownership.service_view, ownership::ServiceView::kAlways);
  EXPECT_EQ(options.status_listen.value().port, 16'000);
  EXPECT_EQ(options.log_level, telemetry::LogLevel::kDebug);
  EXPECT_EQ(options.log_format, telemetry::LogFormat::kText);
  EXPECT_EQ(options.flush_interval_ms, 20);
  EXPECT_EQ(options.narrowing.rate_limit.bits_per_second, 100'000'000U);
  EXPECT_EQ(options.narrowing.rate_limit.packets_per_second, 5U);
  EXPECT_FALSE(options.fidelity.checksums);
}

/// A configuration in which this setting has this value.
std::string with(const tap::Setting& setting, const std::string& value) {
  const auto dot = setting.key.find('.');
  Json file = Json::parse(R"({"sensor": {"address": "10.10.10.10"},
                              "injection": {"serverVersion": "v1.36.0"}})");
  Json& at =
      file[std::string(setting.key.substr(0, dot))][std::string(setting.key.substr(dot + 1))];
  if (setting.form == tap::Form::kNumber)
    at = std::stoull(value);
  else if (setting.form == tap::Form::kSwitch && (value == "on" || value == "off"))
    at = value == "on";
  else
    at = value;
  // Plaintext needs TLS, or the operator's word.
  if (&setting == &tap::kMesh) file["sidecar"]["env"]["MESH_CLEARTEXT_OK"] = "true";
  return file.dump();
}

struct Samples {
  std::vector<std::string> good;
  std::vector<std::string> bad;
};
/// The edges of what a setting takes, as its row says it, and what lies beyond.
Samples samples_of(const tap::Setting& setting) {
  Samples samples;
  switch (setting.form) {
    case tap::Form::kNumber:
    case tap::Form::kSize:
      samples = {{std::to_string(setting.least), std::to_string(setting.most)},
                 {std::to_string(setting.most + 1)}};
      if (setting.least > 0) samples.bad.push_back(std::to_string(setting.least - 1));
      break;
    case tap::Form::kWord:
      for (const std::string_view word : net::Items(setting.words)) samples.good.emplace_back(word);
      samples.bad = {"None of the words"};
      break;
    case tap::Form::kSwitch:
      samples = {{"on", "off"}, {"yes", "true"}};
      break;
    case tap::Form::kText:
    case tap::Form::kTexts:
    case tap::Form::kPrefixes:
      break;
  }
  if (setting.form == tap::Form::kSize)
    for (const char* text : {"4M", "4Mi", "4MB"})
      (std::string_view(text) == "4MB" ? samples.bad : samples.good).emplace_back(text);
  if (setting.form == tap::Form::kPrefixes)
    samples = {{"10.0.0.0/8", "10.0.0.0/8,fd00::/56"}, {"10.0.0.0/33", "pods"}};
  if (&setting == &tap::kTappedPeers)
    samples = {{"all", "none", "10.0.0.0/8,!10.1.0.0/16"}, {"some", "!"}};
  if (&setting == &tap::kInterface)
    samples = {{"eth0", "eth0,net1"}, {"a/b", "a b", "sixteen-letters-x", "a,,b"}};
  if (&setting == &tap::kFilter)
    samples = {{"not port 9100", "tcp and (host fd00::1 or net 10.0.0.0/8)"},
               {"port port", "tcp ("}};
  if (&setting == &tap::kMaxRate) samples = {{"0", "64K", "100M", "2G"}, {"fast", "-1", "1.5M"}};
  if (&setting == &tap::kOutput) samples.good = {"rpcap", "vxlan"};    // the others need more
  if (&setting == &tap::kSensorTls) samples.good = {"off", "client"};  // rpcaps needs a certificate
  if (&setting == &tap::kSensor) samples = {{"a", "[fd00::1]:7,b"}, {"a b", "a:0", "http://a"}};
  return samples;
}

/// Whether this declaration is among the options, and no other has its variable.
bool binds(const config::OptionSet& options, const config::OptionSpec& wanted) {
  std::vector<config::OptionSpec> found;
  for (const config::OptionSpec& spec : options.specs())
    if (spec.env == wanted.env) found.push_back(spec);
  return found == std::vector{wanted};
}

TEST(Environment, OfWhatTheWebhookFindsOutIsReadAsItIsDeclared) {
  config::OptionSet known("", "");
  RunOptions unused;
  declare(known, unused);
  for (const config::OptionSpec* option : tap::kAssigned)
    EXPECT_TRUE(binds(known, *option)) << option->flag;
}

/// The contract that no compiler checks: the tap reads each row's variable with the row's own
/// declaration, and both programs accept the same values.
TEST(Environment, OfEachSettingIsReadByTheTapAsTheTableSays) {
  config::OptionSet known("", "");
  RunOptions unused;
  declare(known, unused);
  for (const tap::Setting& setting : tap::kSettings) {
    SCOPED_TRACE(setting.key);
    EXPECT_TRUE(binds(known, setting.option)) << "bind it in sidecar/options";
    const Samples samples = samples_of(setting);
    EXPECT_FALSE(samples.good.empty()) << "give it samples";
    EXPECT_FALSE(samples.bad.empty());
    for (const std::string& value : samples.good) {
      const Json tap = tap_of(pod(), read(with(setting, value)));
      EXPECT_TRUE(environment_of(tap).contains(std::string(setting.option.env)) ||
                  value == setting.implied)
          << value;
      options_of(tap);
    }
    for (const std::string& value : samples.bad) {
      EXPECT_FALSE(configuration::parse_configuration(with(setting, value), "c.yaml")) << value;
      const auto environment = [&](const std::string& name) -> std::optional<std::string> {
        if (name == setting.option.env) return std::string(setting.before) + value;
        return std::nullopt;
      };
      // Port 0 is any free one: of use to who starts a tap by hand.
      const bool of_the_tap_alone = &setting == &tap::kStatusPort && value == "0";
      EXPECT_EQ(known.try_parse({}, environment).has_value(), of_the_tap_alone) << value;
    }
  }
}

TEST(Environment, LeadsReceiversOfVxlanAndFilesToTheirPlace) {
  const auto with = [](const std::string& sidecar) {
    return options_of(pod(), std::string(kLeast) + "sidecar: {" + sidecar + "}\n");
  };
  const RunOptions vxlan = with("output: vxlan");
  EXPECT_EQ(vxlan.output.kind, OutputKind::kVxlan);
  EXPECT_EQ(vxlan.output.vxlan.receivers.at(0).to_string(), "10.10.10.10:4789");
  const RunOptions files = with("output: pcap, env: {PCAP_DIR: /captures}");
  EXPECT_EQ(files.output.kind, OutputKind::kPcap);
  const RunOptions interface = with("output: interface, env: {OUTPUT_INTERFACE: mon0}");
  EXPECT_EQ(interface.output.kind, OutputKind::kInterface);
  EXPECT_EQ(interface.output.interface.name, "mon0");
  const RunOptions streams = with("output: pcap-over-ip, env: {PCAP_LISTEN: ':57012'}");
  EXPECT_EQ(streams.output.kind, OutputKind::kPcapOverIp);
  EXPECT_EQ(streams.output.streams.listen->port, 57012);
}

TEST(Environment, LeadsToTheSecretForSensors) {
  const RunOptions options = options_of(pod(),
                                        "sensor: {address: a, tls: rpcaps, secretName: "
                                        "login}\ninjection: {serverVersion: v1.36.0}\n");
  EXPECT_EQ(options.sessions.secret_folder, "/var/run/secrets/sidetap/sensor");
  EXPECT_EQ(options.sessions.tls.role, session::TlsRole::kServer);
  EXPECT_TRUE(options_of(pod(), std::string(kLeast)).sessions.secret_folder.empty());
}

constexpr const char* kRegistrySection = R"(
registry:
  address: sidetap-registry.sidetap.svc
  ca: |
    -----BEGIN CERTIFICATE-----
    MIIB
    -----END CERTIFICATE-----
)";

TEST(Environment, LeadsToTheRegistry) {
  const std::string registry = std::string(kLeast) + kRegistrySection;
  const Json tap = tap_of(pod(), read(registry));
  const RunOptions options = options_of(tap);
  EXPECT_EQ(options.registry.address.value().to_string(), "sidetap-registry.sidetap.svc:8444");
  EXPECT_THAT(options.registry.ca, testing::HasSubstr("MIIB\n"));
  EXPECT_EQ(options.registry.token_file,
            tap["volumeMounts"][0]["mountPath"].get<std::string>() + "/token");
  EXPECT_EQ(options_of(pod(), registry + "  auth: none\n").registry.token_file, "");
  EXPECT_TRUE(options.registry.native_sidecar);
  EXPECT_FALSE(options_of(pod(), registry + "sidecar: {native: never}\n").registry.native_sidecar);
}

/// The container that the webhook makes of one that is added to a running pod.
Json ephemeral_tap_of(const PodBuilder& before, const Configuration& configuration) {
  Json review = before.review();
  Json& request = review["request"];
  request["operation"] = "UPDATE";
  request["subResource"] = "ephemeralcontainers";
  request["oldObject"] = request["object"];
  request["object"]["spec"]["ephemeralContainers"] = Json::parse(R"([{"name":"sidetap"}])");
  const admission::Answer answer =
      admission::admit(review.dump(), admission::Entry::kEphemeral, configuration);
  return request["object"].patch(Json::parse(answer.patch))["spec"]["ephemeralContainers"][0];
}

TEST(Environment, OfATapInARunningPodIsAcceptedAndBringsNoToken) {
  const std::string registry = std::string(kLeast) + kRegistrySection;
  const RunOptions options = options_of(ephemeral_tap_of(pod(), read(registry)));
  EXPECT_EQ(options.registry.token_file, tap::kTokenFromOrders);
  EXPECT_TRUE(options.stdin_orders);
  EXPECT_FALSE(options.registry.native_sidecar);
  const RunOptions alone = options_of(ephemeral_tap_of(pod(), read(std::string(kLeast))));
  EXPECT_EQ(alone.registry.token_file, "");
  EXPECT_TRUE(alone.stdin_orders);
}

TEST(Environment, CarriesEveryOverride) {
  const RunOptions options = options_of(pod()
                                            .annotation("sidetap.io/sensor", "192.0.2.1,b:7")
                                            .annotation("sidetap.io/snaplen", "96")
                                            .annotation("sidetap.io/interface", "net1")
                                            .annotation("sidetap.io/log-level", "error")
                                            .annotation("sidetap.io/native", "false"),
                                        kLeast);
  ASSERT_EQ(options.sessions.sensors.size(), 2U);
  EXPECT_EQ(options.sessions.sensors[0].address.to_string(), "192.0.2.1:2003");
  EXPECT_EQ(options.sessions.sensors[1].address.to_string(), "b:7");
  EXPECT_EQ(options.narrowing.snaplen, 96U);
  EXPECT_THAT(options.interfaces, ElementsAre("net1"));
  EXPECT_EQ(options.log_level, telemetry::LogLevel::kError);
}

}  // namespace
}  // namespace sidetap
