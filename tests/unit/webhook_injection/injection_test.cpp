#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/webhook_injection/injected.h"

namespace sidetap {
namespace {

using admission::Action;
using admission::Entry;
using admission::Reason;
using configuration::Configuration;
using configuration::Native;
using configuration::Version;
using test::admit_pod;
using test::Json;
using test::patched;
using test::pod;
using test::PodBuilder;
using test::sidecar;
using test::test_configuration;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::string variable(const Json& container, const std::string& name) {
  for (const Json& one : container["env"])
    if (one["name"] == name)
      return one.contains("value") ? one["value"].get<std::string>() : one["valueFrom"].dump();
  return "(not set)";
}

Configuration with_version(Version version, Native native = Native::kAuto) {
  Configuration configuration = test_configuration();
  configuration.injection.server_version = version;
  configuration.sidecar.native = native;
  return configuration;
}

bool becomes_native(const Configuration& configuration, const PodBuilder& before = pod()) {
  return patched(before, configuration)["spec"].contains("initContainers");
}

TEST(NativeSidecar, IsChosenByTheServersVersion) {
  EXPECT_TRUE(becomes_native(with_version({1, 36})));
  EXPECT_TRUE(becomes_native(with_version({1, 32})));
  EXPECT_TRUE(becomes_native(with_version({2, 0})));
  EXPECT_FALSE(becomes_native(with_version({1, 31}))) << "its kubelets may be 1.28";
  EXPECT_TRUE(becomes_native(with_version({1, 29}, Native::kAlways)));
  EXPECT_FALSE(becomes_native(with_version({1, 36}, Native::kNever)));
  Configuration unknown = test_configuration();
  unknown.injection.server_version.reset();
  EXPECT_FALSE(becomes_native(unknown)) << "where it is not known, it would block the pod";
}

TEST(NativeSidecar, IsTheFirstInitContainerAndStays) {
  const Json after = patched(pod().set("/spec/initContainers", Json::parse(R"([{"name":"a"}])")));
  EXPECT_EQ(after["spec"]["initContainers"][0]["name"], "sidetap");
  EXPECT_EQ(after["spec"]["initContainers"][0]["restartPolicy"], "Always");
  EXPECT_EQ(after["spec"]["initContainers"][1]["name"], "a");
  EXPECT_EQ(after["spec"]["containers"].size(), 1U);
}

TEST(NativeSidecar, ReplacesANullList) {
  const Json after = patched(pod().set("/spec/initContainers", nullptr));
  EXPECT_EQ(after["spec"]["initContainers"].size(), 1U);
}

TEST(NativeSidecar, GetsItsRestartPolicyBack) {
  Json stripped = patched(pod());
  stripped["spec"]["initContainers"].insert(stripped["spec"]["initContainers"].begin(),
                                            Json{{"name", "mesh-init"}});
  stripped["spec"]["initContainers"][1].erase("restartPolicy");
  const admission::Answer outcome =
      admit(test::review_of(stripped).dump(), Entry::kNamespace, test_configuration());
  EXPECT_EQ(outcome.action, Action::kRestore);
  EXPECT_EQ(outcome.reason, Reason::kRestartPolicyRemoved);
  EXPECT_EQ(Json::parse(outcome.patch),
            Json::parse(R"([{"op":"add","path":"/spec/initContainers/1/restartPolicy",
                             "value":"Always"}])"));
}

TEST(PlainContainer, IsTheLastAndHasNoRestartPolicy) {
  const Json after = patched(pod(), with_version({1, 28}));
  ASSERT_EQ(after["spec"]["containers"].size(), 2U);
  EXPECT_EQ(after["spec"]["containers"][0]["name"], "web");
  EXPECT_EQ(after["spec"]["containers"][1]["name"], "sidetap");
  EXPECT_FALSE(after["spec"]["containers"][1].contains("restartPolicy"));
}

TEST(PlainContainer, WarnsWhereThePodIsMeantToEnd) {
  const auto outcome = admit_pod(pod().set("/spec/restartPolicy", "Never"), Entry::kNamespace,
                                 with_version({1, 28}));
  EXPECT_EQ(outcome.action, Action::kInject);
  EXPECT_THAT(outcome.warnings, ElementsAre(HasSubstr("from finishing")));
}

TEST(Container, MayCaptureAndNothingElse) {
  EXPECT_EQ(sidecar(pod())["securityContext"], Json::parse(R"({
    "runAsUser": 0, "runAsNonRoot": false, "privileged": false, "allowPrivilegeEscalation": false,
    "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]},
    "seccompProfile": {"type": "RuntimeDefault"}})"));
}

TEST(Container, PassesTheBaselineLevelWithTheRuntimesCapabilities) {
  Configuration configuration = test_configuration();
  configuration.sidecar.capabilities = configuration::Capabilities::kRuntimeDefault;
  const Json security = sidecar(pod(), configuration)["securityContext"];
  EXPECT_FALSE(security.contains("capabilities"));
  EXPECT_EQ(security["runAsUser"], 0);
}

TEST(Container, LearnsAboutItsPodFromTheDownwardApi) {
  const Json tap = sidecar(pod());
  EXPECT_THAT(variable(tap, "POD_NAME"), HasSubstr("metadata.name"));
  EXPECT_THAT(variable(tap, "POD_NAMESPACE"), HasSubstr("metadata.namespace"));
  EXPECT_THAT(variable(tap, "NODE_NAME"), HasSubstr("spec.nodeName"));
  EXPECT_THAT(variable(tap, "POD_IPS"), HasSubstr("status.podIPs"));
}

TEST(Container, IsToldWhatTheOperatorConfigured) {
  Configuration configuration = test_configuration();
  configuration.taps[tap::kSensorMode] = "failover";
  configuration.taps[tap::kInterface] = "eth0";
  configuration.taps[tap::kBufferSize] = "4M";
  configuration.taps[tap::kDataMtu] = "1400";
  configuration.sidecar.env = {{"EXTRA", "x"}, {"LOG_LEVEL", "debug"}};
  const Json tap = sidecar(pod(), configuration);
  EXPECT_EQ(variable(tap, "SENSOR"), "10.10.10.10:2003");
  EXPECT_EQ(variable(tap, "SENSOR_MODE"), "failover");
  EXPECT_EQ(variable(tap, "PODNET"), "10.244.0.0/16");
  EXPECT_EQ(variable(tap, "SVCNET"), "10.96.0.0/12");
  EXPECT_EQ(variable(tap, "TAPPED_PEERS"), "none");
  EXPECT_EQ(variable(tap, "SERVICE_VIEW"), "auto");
  EXPECT_EQ(variable(tap, "INTERFACE"), "eth0");
  EXPECT_EQ(variable(tap, "SNAPLEN"), "262144");
  EXPECT_EQ(variable(tap, "BUFFER_SIZE"), "4M");
  EXPECT_EQ(variable(tap, "DATA_MTU"), "1400");
  EXPECT_EQ(variable(tap, "STATUS_LISTEN"), ":15920");
  EXPECT_EQ(variable(tap, "EXTRA"), "x");
  EXPECT_EQ(variable(tap, "LOG_LEVEL"), "debug");
  EXPECT_EQ(variable(tap, "REGISTRY"), "(not set)");
  std::set<std::string> names;
  for (const Json& one : tap["env"]) EXPECT_TRUE(names.insert(one["name"]).second) << one;
  EXPECT_EQ(tap["command"], Json::parse(R"(["/usr/bin/sidetap-sidecar"])"));
  EXPECT_EQ(tap["args"], Json::parse(R"(["run"])"));
}

TEST(Container, TakesTheOperatorsFieldsInPlaceOfItsOwn) {
  Configuration configuration = test_configuration();
  configuration.sidecar.fields = {{"livenessProbe", R"({"exec":{}})"},
                                  {"lifecycle", R"({"preStop":{"sleep":{"seconds":1}}})"}};
  const Json tap = sidecar(pod(), configuration);
  EXPECT_EQ(tap["livenessProbe"], Json::parse(R"({"exec":{}})"));
  EXPECT_EQ(tap["lifecycle"]["preStop"]["sleep"]["seconds"], 1);
}

TEST(StatusPort, IsProbedForLifeOnly) {
  const Json tap = sidecar(pod());
  EXPECT_EQ(tap["livenessProbe"]["httpGet"],
            Json::parse(R"({"path":"/healthz","port":"sidetap-status"})"));
  EXPECT_FALSE(tap.contains("readinessProbe")) << "a sensor that is away must not stop the pod";
  EXPECT_FALSE(tap.contains("startupProbe"));
  EXPECT_EQ(tap["ports"], Json::parse(R"([{"name":"sidetap-status","containerPort":15920,
                                           "protocol":"TCP"}])"));
}

TEST(StatusPort, EvadesThePortsOfThePod) {
  const Json tap = sidecar(pod()
                               .set("/spec/containers/0/ports/0", {{"containerPort", 15'920}})
                               .set("/spec/initContainers/0", {{"name", "i"}})
                               .set("/spec/initContainers/0/ports/0", {{"containerPort", 15'921}}));
  EXPECT_EQ(tap["ports"][0]["containerPort"], 15'922);
  EXPECT_EQ(variable(tap, "STATUS_LISTEN"), ":15922");
}

TEST(StatusPort, IsNeverOneOfIstios) {
  Configuration configuration = test_configuration();
  const auto port = [&](int wanted) {
    configuration.taps[tap::kStatusPort] = std::to_string(wanted);
    return sidecar(pod(), configuration)["ports"][0]["containerPort"].get<int>();
  };
  EXPECT_EQ(port(14'999), 14'999);
  for (const int wanted : {15'000, 15'020, 15'021, 15'090, 15'099})
    EXPECT_EQ(port(wanted), 15'100) << wanted;
  configuration.taps[tap::kStatusPort] = "14999";
  const Json tap =
      sidecar(pod().set("/spec/containers/0/ports/0", {{"containerPort", 14'999}}), configuration);
  EXPECT_EQ(tap["ports"][0]["containerPort"], 15'100);
}

Configuration with_registry() {
  Configuration configuration = test_configuration();
  configuration.registry.address = "sidetap-registry.sidetap.svc:8444";
  configuration.registry.ca = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
  return configuration;
}

TEST(Registry, GivesTheTapAloneAToken) {
  const Json after = patched(pod(), with_registry());
  EXPECT_EQ(after["spec"]["volumes"], Json::parse(R"([{"name": "sidetap-token", "projected":
    {"sources": [{"serviceAccountToken":
      {"audience": "sidetap", "expirationSeconds": 3600, "path": "token"}}]}}])"));
  EXPECT_FALSE(after["spec"]["containers"][0].contains("volumeMounts"));
  const Json tap = sidecar(after);
  EXPECT_EQ(tap["volumeMounts"], Json::parse(R"([{"name": "sidetap-token",
    "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true}])"));
  EXPECT_EQ(variable(tap, "REGISTRY"), "sidetap-registry.sidetap.svc:8444");
  EXPECT_EQ(variable(tap, "REGISTRY_TOKEN_FILE"),
            "/var/run/secrets/kubernetes.io/serviceaccount/token");
  EXPECT_THAT(variable(tap, "REGISTRY_CA"), HasSubstr("BEGIN CERTIFICATE"));
}

TEST(Registry, TheTapKnowsWhetherItEndsLast) {
  EXPECT_EQ(variable(sidecar(patched(pod(), with_registry())), "NATIVE_SIDECAR"), "on");
  Configuration plain = with_registry();
  plain.sidecar.native = configuration::Native::kNever;
  EXPECT_EQ(variable(sidecar(patched(pod(), plain)), "NATIVE_SIDECAR"), "(not set)");
}

TEST(Registry, TokenVolumeTakesAFreeName) {
  const Json after = patched(
      pod().set("/spec/volumes", Json::parse(R"([{"name":"sidetap-token"}])")), with_registry());
  EXPECT_EQ(after["spec"]["volumes"][1]["name"], "sidetap-token-2");
  EXPECT_EQ(sidecar(after)["volumeMounts"][0]["name"], "sidetap-token-2");
}

// The API server's ServiceAccount plugin runs again on what a webhook has changed.
Json with_api_token(Json pod) {
  if (pod["spec"].value("automountServiceAccountToken", true)) {
    const Json mount = {{"name", "kube-api-access-x2x7k"},
                        {"readOnly", true},
                        {"mountPath", "/var/run/secrets/kubernetes.io/serviceaccount"}};
    for (const char* list : {"initContainers", "containers"}) {
      if (!pod["spec"].contains(list)) continue;
      for (Json& container : pod["spec"][list]) {
        bool there = false;
        for (const Json& one : container.value("volumeMounts", Json::array()))
          there = there || one["mountPath"] == mount["mountPath"];
        if (!there) container["volumeMounts"].push_back(mount);
      }
    }
  }
  return pod;
}

TEST(ApiToken, OfTheApplicationStaysOutOfTheTap) {
  Configuration without_token = with_registry();
  without_token.registry.token = false;
  for (const Configuration& configuration :
       {with_registry(), without_token, test_configuration(), with_version({1, 28})}) {
    const Json after = with_api_token(patched(with_api_token(test::plain_pod()), configuration));
    const Json tap = sidecar(after);
    ASSERT_EQ(tap["volumeMounts"].size(), 1U) << tap;
    EXPECT_THAT(tap["volumeMounts"][0]["name"].get<std::string>(), StartsWith("sidetap-"));
    EXPECT_EQ(after["spec"]["containers"][0]["volumeMounts"][0]["name"], "kube-api-access-x2x7k");
  }
}

TEST(ApiToken, GivesWayToAnEmptyFolderWhereTheTapHasNoTokenOfItsOwn) {
  const Json after = patched(pod());
  EXPECT_EQ(after["spec"]["volumes"],
            Json::parse(R"([{"name": "sidetap-no-token", "emptyDir": {}}])"));
  EXPECT_EQ(sidecar(after)["volumeMounts"], Json::parse(R"([{"name": "sidetap-no-token",
    "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true}])"));
  EXPECT_EQ(variable(sidecar(after), "REGISTRY_TOKEN_FILE"), "(not set)");
}

TEST(ApiToken, NeedsNoVolumeWhereThePodHasNone) {
  const Json after = patched(pod().set("/spec/automountServiceAccountToken", false));
  EXPECT_FALSE(after["spec"].contains("volumes"));
  EXPECT_FALSE(sidecar(after).contains("volumeMounts"));
  EXPECT_EQ(after["metadata"]["annotations"].size(), 1U);
}

constexpr auto kSafe = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes";

TEST(Annotations, LetTheAutoscalerEvictThePodDespiteTheVolume) {
  EXPECT_EQ(patched(pod(), with_registry())["metadata"]["annotations"][kSafe], "sidetap-token");
  EXPECT_EQ(
      patched(pod().annotation(kSafe, "a,b"), with_registry())["metadata"]["annotations"][kSafe],
      "a,b,sidetap-token");
}

TEST(Annotations, SayWhatWasDone) {
  const Json annotations = patched(pod().annotation("own", "x"))["metadata"]["annotations"];
  EXPECT_EQ(annotations["own"], "x");
  const Json status = Json::parse(annotations["sidetap.io/status"].get<std::string>());
  EXPECT_EQ(status["form"], "native");
  EXPECT_EQ(status["container"], "sidetap");
  EXPECT_EQ(status["version"], SIDETAP_VERSION);
  EXPECT_EQ(status["statusPort"], 15'920);
}

TEST(Annotations, AreMadeWhereThereAreNone) {
  for (const char* pointer : {"/metadata/annotations", "/metadata"}) {
    const Json after = patched(pod().set(pointer, nullptr));
    EXPECT_TRUE(after["metadata"]["annotations"].contains("sidetap.io/status")) << pointer;
  }
  Json bare = test::plain_pod();
  bare.erase("metadata");
  const admission::Answer outcome =
      admit(test::review_of(bare).dump(), Entry::kNamespace, test_configuration());
  EXPECT_TRUE(bare.patch(Json::parse(outcome.patch))["metadata"]["annotations"].contains(
      "sidetap.io/status"));
}

TEST(PullSecrets, AreMergedIntoThePods) {
  Configuration configuration = test_configuration();
  configuration.sidecar.image_pull_secrets = {"shared", "regcred"};
  EXPECT_EQ(patched(pod(), configuration)["spec"]["imagePullSecrets"],
            Json::parse(R"([{"name":"shared"},{"name":"regcred"}])"));
  EXPECT_EQ(patched(pod().set("/spec/imagePullSecrets",
                              Json::parse(R"([{"name":"own"},{"name":"shared"}])")),
                    configuration)["spec"]["imagePullSecrets"],
            Json::parse(R"([{"name":"own"},{"name":"shared"},{"name":"regcred"}])"));
  EXPECT_FALSE(patched(pod())["spec"].contains("imagePullSecrets"));
}

TEST(Sidecar, MayBearAnotherName) {
  Configuration configuration = test_configuration();
  configuration.sidecar.name = "packet-tap";
  const Json after = patched(pod(), configuration);
  EXPECT_EQ(after["spec"]["initContainers"][0]["name"], "packet-tap");
  EXPECT_EQ(admit(test::review_of(after).dump(), Entry::kNamespace, configuration).reason,
            Reason::kAlreadyInjected);
}

}  // namespace
}  // namespace sidetap
