#include "webhook/configuration/configuration_file.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/unit/webhook_configuration/configuration_text.h"

namespace sidetap::configuration {
namespace {

using test::expect_refused;
using test::read;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

constexpr const char* kEveryKey = R"(
generation: 18446744073709551615
sensor: {address: [a, "b:7"], port: 2005, mode: balance, secretName: sensor.login}
subnets: {pods: [10.244.0.0/16, "fd00::/56"], services: 10.96.0.0/12}
sidecar:
  name: packet-tap
  image: registry.example.com:5000/tap:1
  imagePullPolicy: Always
  imagePullSecrets: [regcred, other.login]
  native: never
  capabilities: runtimeDefault
  resources: {requests: {cpu: 5m, memory: 20Mi}, limits: {cpu: 1, memory: 128Mi}}
  snaplen: 128
  output: vxlan
  filter: not port 9100
  flowSampling: 4
  maxRate: 100M
  maxPacketRate: 5000
  paused: true
  interface: eth0,net1
  bufferSize: 4M
  dataMtu: 1400
  tappedPeers: [10.0.0.0/8]
  serviceView: always
  untappedServices: [10.96.7.0/24]
  statusPort: 16000
  logLevel: debug
  logFormat: text
  env: {FLUSH_INTERVAL: 20ms, MAX_PACKET_RATE: 5}
  container: {workingDir: /}
  overrides: [sensor, image]
  registryControl: [sensors, pause]
profiles:
  edge: {namespaces: [shop]}
injection:
  serverVersion: "1.30"
  ownNamespace: tap
  excludedNamespaces: [monitoring, ingress]
  excludedPods:
  - matchLabels: {app: sensor}
    matchExpressions: [{key: tier, operator: NotIn, values: [a, b]}]
  - matchExpressions: [{key: x, operator: Exists}]
  forceJobs: true
registry:
  address: registry.tap.svc
  ca: "-----BEGIN CERTIFICATE-----"
  auth: none
  tokenExpirationSeconds: 600
)";

TEST(ConfigurationFile, SetsEveryKey) {
  const Configuration configuration = read(kEveryKey);
  const tap::Values& taps = configuration.taps;
  EXPECT_EQ(taps[tap::kSensor], "a:2005,b:7");
  EXPECT_EQ(taps[tap::kSensorMode], "balance");
  EXPECT_EQ(taps[tap::kPodSubnets], "10.244.0.0/16,fd00::/56");
  EXPECT_EQ(taps[tap::kServiceSubnets], "10.96.0.0/12");
  const Sidecar& sidecar = configuration.sidecar;
  EXPECT_EQ(sidecar.name, "packet-tap");
  EXPECT_EQ(sidecar.image, "registry.example.com:5000/tap:1");
  EXPECT_EQ(sidecar.image_pull_policy, "Always");
  EXPECT_THAT(sidecar.image_pull_secrets, ElementsAre("regcred", "other.login"));
  EXPECT_EQ(sidecar.native, Native::kNever);
  EXPECT_EQ(sidecar.capabilities, Capabilities::kRuntimeDefault);
  EXPECT_EQ(sidecar.requests.cpu, "5m");
  EXPECT_EQ(sidecar.requests.memory, "20Mi");
  EXPECT_EQ(sidecar.limits.cpu, "1");
  EXPECT_EQ(sidecar.limits.memory, "128Mi");
  EXPECT_EQ(taps[tap::kSnaplen], "128");
  EXPECT_EQ(taps[tap::kOutput], "vxlan");
  EXPECT_EQ(taps[tap::kFilter], "not port 9100");
  EXPECT_EQ(taps[tap::kFlowSampling], "4");
  EXPECT_EQ(taps[tap::kMaxRate], "100M");
  EXPECT_EQ(taps[tap::kMaxPacketRate], "5000");
  EXPECT_EQ(taps[tap::kPaused], "on");
  EXPECT_EQ(taps[tap::kInterface], "eth0,net1");
  EXPECT_EQ(taps[tap::kBufferSize], "4M");
  EXPECT_EQ(taps[tap::kDataMtu], "1400");
  EXPECT_EQ(taps[tap::kTappedPeers], "10.0.0.0/8");
  EXPECT_EQ(taps[tap::kServiceView], "always");
  EXPECT_EQ(taps[tap::kUntappedServices], "10.96.7.0/24");
  EXPECT_EQ(taps[tap::kStatusPort], "16000");
  EXPECT_EQ(taps[tap::kLogLevel], "debug");
  EXPECT_EQ(taps[tap::kLogFormat], "text");
  EXPECT_THAT(sidecar.env,
              ElementsAre(Pair("FLUSH_INTERVAL", "20ms"), Pair("MAX_PACKET_RATE", "5")));
  EXPECT_THAT(sidecar.fields, ElementsAre(Pair("workingDir", "\"/\"")));
  EXPECT_EQ(sidecar.overrides.count(), 2U);
  EXPECT_TRUE(sidecar.overrides.test(static_cast<std::size_t>(Override::kImage)));
  EXPECT_EQ(to_string(sidecar.controls), "sensors,pause");
  EXPECT_EQ(configuration.generation, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(configuration.sensor_secret, "sensor.login");
  EXPECT_TRUE(configuration.profiles.contains("edge"));
  const Injection& injection = configuration.injection;
  EXPECT_EQ(injection.server_version, (Version{1, 30}));
  EXPECT_EQ(injection.own_namespace, "tap");
  EXPECT_THAT(injection.excluded_namespaces, ElementsAre("monitoring", "ingress"));
  ASSERT_EQ(injection.excluded_pods.size(), 2U);
  ASSERT_EQ(injection.excluded_pods[0].size(), 2U);
  EXPECT_EQ(injection.excluded_pods[0][0].key, "app");
  EXPECT_EQ(injection.excluded_pods[0][1].op, LabelCondition::Operator::kNotIn);
  EXPECT_THAT(injection.excluded_pods[0][1].values, ElementsAre("a", "b"));
  EXPECT_TRUE(injection.force_jobs);
  EXPECT_EQ(configuration.registry.address, "registry.tap.svc:8444");
  EXPECT_FALSE(configuration.registry.token);
  EXPECT_EQ(configuration.registry.token_life, 600U);
}

TEST(ConfigurationFile, KeepsTheDefaultsOfWhatItDoesNotSay) {
  for (const char* text : {"", "---\n", "# nothing\n", "{}", "sidecar: {}\nregistry:\n"}) {
    const Configuration configuration = read(text);
    const Configuration defaults;
    EXPECT_EQ(configuration.taps[tap::kSensor], "");
    EXPECT_EQ(configuration.sidecar.limits.cpu, defaults.sidecar.limits.cpu);
    EXPECT_EQ(configuration.taps[tap::kStatusPort], defaults.taps[tap::kStatusPort]);
    EXPECT_EQ(configuration.sidecar.overrides, default_overrides());
    EXPECT_TRUE(configuration.sidecar.controls.all());
    EXPECT_EQ(configuration.generation, 0U);
    EXPECT_TRUE(configuration.registry.token);
  }
}

TEST(ConfigurationFile, LetsPodsChangeAllButTheImageByDefault) {
  for (std::size_t i = 0; i < kOverrideCount; ++i)
    EXPECT_EQ(default_overrides().test(i), static_cast<Override>(i) != Override::kImage)
        << override_name(static_cast<Override>(i));
}

TEST(ConfigurationFile, RefusesKeysThatNobodyKnows) {
  expect_refused("sensr: 1", "sensr: unknown key", "sensor, subnets");
  expect_refused("sensor: {adress: a}", "sensor.adress: unknown key", "address");
  expect_refused("sidecar: {resources: {limits: {cpus: 1}}}",
                 "sidecar.resources.limits.cpus: unknown key", "cpu, memory");
  expect_refused("injection: {excludedPods: [{matchLabel: {}}]}",
                 "injection.excludedPods[0].matchLabel: unknown key", "matchLabels");
  expect_refused("registry: {adress: a}", "registry.adress: unknown key", "address");
}

TEST(ConfigurationFile, RefusesValuesOfAnotherKind) {
  expect_refused("[]", "[]", "a mapping");
  expect_refused("sensor: a", "sensor: \"a\"", "a mapping");
  expect_refused("sidecar: {image: [a]}", "sidecar.image", "a text");
  expect_refused("sidecar: {imagePullSecrets: a}", "sidecar.imagePullSecrets", "a list");
  expect_refused("sidecar: {snaplen: '64'}", "sidecar.snaplen", "a number");
  expect_refused("sidecar: {env: [a]}", "sidecar.env", "a mapping");
  expect_refused("sidecar: {resources: {limits: {cpu: 0.5}}}", "sidecar.resources.limits.cpu",
                 "in quotes");
  expect_refused("injection: {forceJobs: 'yes'}", "injection.forceJobs", "true, false");
  expect_refused("injection: {serverVersion: 1.30}", "injection.serverVersion", "in quotes");
  expect_refused("injection: {excludedPods: {matchLabels: {a: 1}}}",
                 "injection.excludedPods.matchLabels.a", "a text");
}

TEST(ConfigurationFile, RefusesValuesOutOfBounds) {
  expect_refused("sensor: {port: 0}", "sensor.port", "1 to 65535");
  expect_refused("sensor: {address: 'a:99999'}", "sensor.address", "HOST");
  expect_refused("sensor: {mode: all}", "sensor.mode", "replicate, failover, balance");
  expect_refused("subnets: {pods: 10.0.0.0/33}", "subnets.pods", "10.244.0.0/16");
  expect_refused("sidecar: {name: " + std::string(51, 'a') + "}", "sidecar.name", "50");
  expect_refused("sidecar: {name: Tap}", "sidecar.name", "lower-case");
  expect_refused("sidecar: {image: 'a b'}", "sidecar.image", "image reference");
  expect_refused("sidecar: {image: Tap}", "sidecar.image", "image reference");
  expect_refused("sidecar: {imagePullPolicy: always}", "sidecar.imagePullPolicy", "Always");
  expect_refused("sidecar: {imagePullSecrets: [a_b]}", "sidecar.imagePullSecrets", "name");
  expect_refused("sidecar: {native: true}", "sidecar.native", "a text");
  expect_refused("sidecar: {snaplen: 63}", "sidecar.snaplen", "64 to 262144");
  expect_refused("sidecar: {interface: 'a/b'}", "sidecar.interface", "interfaces");
  expect_refused("sidecar: {bufferSize: 511K}", "sidecar.bufferSize", "512K");
  expect_refused("sidecar: {bufferSize: 2G}", "sidecar.bufferSize", "1G");
  expect_refused("sidecar: {dataMtu: 65536}", "sidecar.dataMtu", "65535");
  expect_refused("sidecar: {tappedPeers: some}", "sidecar.tappedPeers", "all, none");
  expect_refused("sidecar: {statusPort: 65536}", "sidecar.statusPort", "65535");
  expect_refused("sidecar: {overrides: [snaplenn]}", "sidecar.overrides", "snaplen");
  expect_refused("injection: {excludedNamespaces: [a/b]}", "injection.excludedNamespaces", "name");
  expect_refused("injection: {excludedPods: {matchExpressions: [{key: a, operator: In}]}}",
                 "injection.excludedPods.matchExpressions[0].values", "at least one");
  expect_refused("registry: {ca: x}", "registry.ca", "PEM");
  expect_refused("registry: {tokenExpirationSeconds: 599}", "registry.tokenExpirationSeconds",
                 "600");
  expect_refused("sidecar: {native: always}\ninjection: {serverVersion: '1.28'}", "sidecar.native",
                 "before 1.29");
}

TEST(ConfigurationFile, ReadsWhoBeginsTls) {
  EXPECT_EQ(read("generation: 1").taps[tap::kSensorTls], "off");
  EXPECT_EQ(read("sensor: {tls: off}").taps[tap::kSensorTls], "off") << "in YAML, it is false";
  EXPECT_EQ(read("sensor: {tls: 'off'}").taps[tap::kSensorTls], "off");
  EXPECT_EQ(read("sensor: {tls: client}").taps[tap::kSensorTls], "client");
  EXPECT_EQ(read("sensor: {tls: rpcaps, secretName: login}").taps[tap::kSensorTls], "rpcaps");
  EXPECT_EQ(read("sensor: {tls: rpcaps}\nsidecar: {env: {SENSOR_TLS_CERT: /tap.crt}}")
                .taps[tap::kSensorTls],
            "rpcaps");
  expect_refused("sensor: {tls: on}", "sensor.tls: true", "a text");
  expect_refused("sensor: {tls: server}", "sensor.tls", "off, rpcaps, client, registry");
  EXPECT_EQ(read("sensor: {tls: registry}\nregistry: {address: r}").taps[tap::kSensorTls],
            "registry");
}

TEST(ConfigurationFile, RefusesTlsWithWhichATapWouldEnd) {
  expect_refused("sensor: {tls: registry}", "sensor.tls", "registry.address");
  expect_refused("sensor: {address: a}\nprofiles: {edge: {sensor: {tls: registry}}}",
                 "profiles.edge.sensor.tls", "registry.address");
  EXPECT_EQ(read("sensor: {address: a, tls: registry}\nregistry: {address: r}\n"
                 "profiles: {edge: {sensor: {address: b, tls: off}, sidecar: {output: vxlan}}}")
                .profiles.size(),
            1U)
      << "each profile is judged by its own";
  expect_refused("sensor: {tls: rpcaps}", "sensor.secretName", "tls.crt");
  expect_refused("sensor: {tls: client}\nsidecar: {output: vxlan}", "sidecar.output", "sensor.tls");
  expect_refused(
      "sensor: {address: a, tls: client}\n"
      "profiles: {edge: {sensor: {address: b}, sidecar: {output: vxlan}}}",
      "profiles.edge.sidecar.output", "sensor.tls");
  expect_refused(
      "sensor: {tls: rpcaps, secretName: login}\n"
      "profiles: {edge: {sensor: {secretName: ''}}}",
      "profiles.edge.sensor.secretName", "tls.crt");
}

TEST(ConfigurationFile, RefusesWhatNarrowsATapOutOfBounds) {
  expect_refused("generation: -1", "generation", "0 to 18446744073709551615");
  expect_refused("sensor: {secretName: A}", "sensor.secretName", "a Kubernetes name");
  expect_refused("sidecar: {output: file}", "sidecar.output", "rpcap, vxlan, pcap, pcap-over-ip, interface");
  expect_refused("sidecar: {output: pcap}", "sidecar.output", "PCAP_DIR");
  expect_refused("sidecar: {output: interface}", "sidecar.output", "OUTPUT_INTERFACE");
  expect_refused("sidecar: {output: pcap-over-ip}", "sidecar.output", "PCAP_LISTEN");
  expect_refused("sensor: {mode: failover}\nsidecar: {output: vxlan}", "sidecar.output",
                 "do not answer");
  expect_refused("sidecar: {filter: 'port port'}", "sidecar.filter", "");
  expect_refused("sidecar: {filter: '" + std::string(8193, ' ') + "'}", "sidecar.filter", "8192");
  expect_refused("sidecar: {flowSampling: 0}", "sidecar.flowSampling", "1 to 65535");
  expect_refused("sidecar: {maxRate: fast}", "sidecar.maxRate", "100M");
  expect_refused("sidecar: {maxPacketRate: 1000000001}", "sidecar.maxPacketRate", "1000000000");
  expect_refused("sidecar: {paused: 'on'}", "sidecar.paused", "true, false");
}

TEST(ConfigurationFile, GivesReceiversOfVxlanTheirPort) {
  const auto sensors = [](const std::string& more) {
    return read("sensor: {address: [a, 'b:7']" + more).taps[tap::kSensor];
  };
  EXPECT_EQ(sensors("}"), "a:2003,b:7");
  EXPECT_EQ(sensors("}\nsidecar: {output: vxlan}"), "a:4789,b:7");
  EXPECT_EQ(sensors(", port: 9}\nsidecar: {output: vxlan}"), "a:9,b:7");
}

TEST(ConfigurationFile, BoundsWhatTheRegistryMayChange) {
  const auto controls = [](const std::string& text) {
    return to_string(read("sidecar: {registryControl: " + text + "}").sidecar.controls);
  };
  for (const char* all :
       {"on", "true", "'on'", "[sensors, filter, sampling, snaplen, rate, pause]"})
    EXPECT_EQ(controls(all), "on") << all;
  for (const char* none : {"off", "'off'"}) EXPECT_EQ(controls(none), "off") << none;
  EXPECT_EQ(controls("[pause, filter, pause]"), "filter,pause");
  EXPECT_EQ(controls("'rate, snaplen'"), "snaplen,rate");
  for (const char* text : {"[]", "''", "[filters]", "'filter,,rate'", "[on]", "7"})
    expect_refused("sidecar: {registryControl: " + std::string(text) + "}",
                   "sidecar.registryControl", "");
}

TEST(ConfigurationFile, RefusesAmountsThatTheApiServerCannotDecode) {
  for (const char* part : {"requests", "limits"})
    for (const char* amount : {"memory: 1e3Mi", "memory: 64MB", "cpu: 1e3m", "cpu: '1e18'"})
      expect_refused("sidecar: {resources: {" + std::string(part) + ": {" + amount + "}}}",
                     "sidecar.resources." + std::string(part), "from");
  expect_refused("sidecar: {resources: {requests: {cpu: 2}, limits: {cpu: 1}}}",
                 "sidecar.resources.requests.cpu", "at most the limit");
  EXPECT_EQ(read("sidecar: {resources: {limits: {cpu: 5m}}}").sidecar.requests.cpu, "5m")
      << "a request that nobody asked for gives way";
}

TEST(ConfigurationFile, RefusesVariablesThatYamlHasTakenForSomethingElse) {
  for (const char* value : {"on", "1.50", "null", "[a]", "{a: b}"})
    expect_refused("sidecar: {env: {CHECKSUMS: " + std::string(value) + "}}",
                   "sidecar.env.CHECKSUMS", "in quotes");
  expect_refused("sidecar: {env: {A-B: x}}", "sidecar.env.A-B", "letters");
}

TEST(ConfigurationFile, NamesTheLineOfWhatIsNoYaml) {
  expect_refused("sensor:\n  address: [a\nregistry: {}\n", "no YAML", "(line 3)");
  expect_refused("a: 1\nb: 2\na: 3\n", "the key \"a\" is there twice", "(line 3)");
  expect_refused("sensor: {}\n---\nsensor: {}\n", "more than one document", "one is accepted");
  expect_refused("sensor: {address: \"\xff\"}", "not UTF-8", "");
}

TEST(ConfigurationFile, IsReadFromDisk) {
  const std::string path = testing::TempDir() + "sidetap-" + std::to_string(::getpid()) + ".yaml";
  std::ofstream(path) << "sensor: {address: a}\n";
  const auto configuration = load_configuration(path);
  ASSERT_TRUE(configuration);
  EXPECT_EQ(configuration->taps[tap::kSensor], "a:2003");
  std::filesystem::resize_file(path, (4U << 20) + 1);
  EXPECT_THAT(load_configuration(path).error().text, HasSubstr("larger than 4 MiB"));
  std::remove(path.c_str());
  EXPECT_THAT(load_configuration(path).error().text, HasSubstr(path));
}

}  // namespace
}  // namespace sidetap::configuration
