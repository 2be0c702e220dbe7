#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/tap/settings.h"
#include "support/review_builder.h"

namespace sidetap {
namespace {

using admission::Entry;
using configuration::Configuration;
using configuration::Override;
using test::admit_pod;
using test::Json;
using test::pod;
using test::PodBuilder;
using test::test_configuration;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A pod with one annotation of ours, injected.
class Overridden {
 public:
  Overridden(const std::string& name, const std::string& value,
             const Configuration& configuration = test_configuration())
      : before_(pod().annotation("sidetap.io/" + name, value)),
        outcome_(admit_pod(before_, Entry::kNamespace, configuration)),
        after_(before_.json().patch(Json::parse(outcome_.patch))) {}

  const std::vector<std::string>& warnings() const { return outcome_.warnings; }
  Json sidecar() const {
    const Json& spec = after_["spec"];
    return spec.contains("initContainers") ? spec["initContainers"][0] : spec["containers"][1];
  }
  bool native() const { return after_["spec"].contains("initContainers"); }
  std::string variable(const std::string& name) const {
    const Json tap = sidecar();
    for (const Json& one : tap["env"])
      if (one["name"] == name && one.contains("value")) return one["value"];
    return "(not set)";
  }

 private:
  PodBuilder before_;
  admission::Answer outcome_;
  Json after_;
};

TEST(Override, OfEachKindIsApplied) {
  EXPECT_EQ(Overridden("sensor", "192.0.2.1").variable("SENSOR"), "192.0.2.1:2003");
  EXPECT_EQ(Overridden("sensor", "a.example:9, [2001:db8::1]:7").variable("SENSOR"),
            "a.example:9,[2001:db8::1]:7");
  EXPECT_EQ(Overridden("snaplen", "128").variable("SNAPLEN"), "128");
  EXPECT_EQ(Overridden("interface", "net1,eth0").variable("INTERFACE"), "net1,eth0");
  EXPECT_EQ(Overridden("log-level", "debug").variable("LOG_LEVEL"), "debug");
  EXPECT_EQ(Overridden("cpu-limit", "2").sidecar()["resources"]["limits"]["cpu"], "2");
  EXPECT_EQ(Overridden("cpu-limit", "+2e-1").sidecar()["resources"]["limits"]["cpu"], "+2e-1");
  EXPECT_EQ(Overridden("memory-limit", "128Mi").sidecar()["resources"]["limits"]["memory"],
            "128Mi");
  EXPECT_FALSE(Overridden("native", "false").native());
  EXPECT_THAT(Overridden("snaplen", "128").warnings(), IsEmpty());
}

TEST(Override, NamesEachInterfaceAndEachSensorOnce) {
  EXPECT_EQ(Overridden("interface", "eth0,eth0").variable("INTERFACE"), "eth0");
  EXPECT_EQ(Overridden("interface", "net1,eth0,net1").variable("INTERFACE"), "net1,eth0");
  EXPECT_EQ(Overridden("sensor", "192.0.2.1,192.0.2.1:2003").variable("SENSOR"), "192.0.2.1:2003");
  EXPECT_EQ(
      Overridden("sensor", "a.example,A.Example.,[2001:db8::1],2001:DB8:0::1").variable("SENSOR"),
      "a.example:2003,[2001:db8::1]:2003");
}

TEST(Override, OfALimitLowersTheRequestThatWouldExceedIt) {
  const Json cpu = Overridden("cpu-limit", "5m").sidecar()["resources"];
  EXPECT_EQ(cpu["requests"]["cpu"], "5m");
  const Json memory = Overridden("memory-limit", "16Mi").sidecar()["resources"];
  EXPECT_EQ(memory["requests"]["memory"], "16Mi");
  EXPECT_EQ(memory["requests"]["cpu"], "10m");
}

TEST(Override, WithABadValueIsNotAppliedAndWarnsWithWhatIsAccepted) {
  const auto expect_refused = [](const std::string& name, const std::string& value,
                                 const std::string& accepted) {
    SCOPED_TRACE(name + "=" + value);
    const Overridden pod(name, value);
    EXPECT_THAT(pod.warnings(), ElementsAre(AllOf(HasSubstr("sidetap.io/" + name),
                                                  HasSubstr(accepted), HasSubstr("ignored"))));
    EXPECT_LE(pod.warnings().at(0).size(), 120U);
    EXPECT_EQ(pod.variable("SENSOR"), "10.10.10.10:2003");
    EXPECT_EQ(pod.variable("SNAPLEN"), "262144");
    EXPECT_EQ(pod.variable("LOG_LEVEL"), "info");
    EXPECT_EQ(pod.variable("INTERFACE"), "(not set)");
    EXPECT_EQ(pod.sidecar()["resources"]["limits"],
              Json::parse(R"({"cpu":"500m","memory":"96Mi"})"));
    EXPECT_TRUE(pod.native());
  };
  for (const char* value :
       {"", ",", "a b", ":2003", "host:0", "host:99999", "10.0.0.256", "010.0.0.1", "http://a"})
    expect_refused("sensor", value, "HOST");
  for (const char* value : {"", "63", "262145", "-1", "1e3", "128 ", "x", "99999999999999999999"})
    expect_refused("snaplen", value, "64 to 262144");
  for (const char* value : {"0", "0.0001", "-1", "lots", "", "1x", "inf", "nan", "0x10", "1e3m",
                            "1e-1k", "1e", "1m1", "1.5.5", "K", "1K", "1025", "1e400"})
    expect_refused("cpu-limit", value, "CPUs");
  for (const char* value :
       {"15Mi", "1", "64mi", "", "64 Mi", "1e3Mi", "1e8Ki", "64MiB", "2Ti", "1e99999999999"})
    expect_refused("memory-limit", value, "16Mi");
  for (const char* value : {"eth 0", "a/b", "an-interface-name-too-long", "a,,b", "eth0\n"})
    expect_refused("interface", value, "interfaces");
  for (const char* value : {"trace", "INFO", ""}) expect_refused("log-level", value, "debug");
  for (const char* value : {"yes", ""}) expect_refused("native", value, "true");
}

TEST(Override, OfTheMeshNeedsTlsTowardsTheSensor) {
  const Overridden clear("mesh", "plaintext");
  EXPECT_THAT(clear.warnings(), ElementsAre(HasSubstr("no TLS")));
  EXPECT_EQ(clear.variable("MESH"), "(not set)");
  Configuration configuration = test_configuration();
  configuration.sensor_secret = "sensor-login";
  EXPECT_THAT(Overridden("mesh", "plaintext", configuration).warnings(),
              ElementsAre(HasSubstr("sensor.tls")))
      << "a Secret alone encrypts nothing";
  configuration.taps[tap::kSensorTls] = "client";
  const Overridden encrypted("mesh", "plaintext", configuration);
  EXPECT_THAT(encrypted.warnings(), IsEmpty());
  EXPECT_EQ(encrypted.variable("MESH"), "plaintext");
  configuration.sidecar.env["SENSOR_TLS"] = "off";
  EXPECT_THAT(Overridden("mesh", "plaintext", configuration).warnings(),
              ElementsAre(HasSubstr("no TLS")))
      << "the operator's variable comes last";
  configuration = test_configuration();
  configuration.sidecar.env["SENSOR_TLS"] = "client";
  EXPECT_EQ(Overridden("mesh", "plaintext", configuration).variable("MESH"), "plaintext");
  configuration = test_configuration();
  configuration.sidecar.env["MESH_CLEARTEXT_OK"] = "true";
  EXPECT_EQ(Overridden("mesh", "both", configuration).variable("MESH"), "both");
  EXPECT_THAT(Overridden("mesh", "half", configuration).warnings(),
              ElementsAre(HasSubstr("off, both, plaintext")));
}

TEST(MeshOfAPod, IsToldToTheTapAsItsAnnotationsSay) {
  Configuration configuration = test_configuration();
  configuration.sidecar.env["MESH_CLEARTEXT_OK"] = "true";
  const auto told = [&](const std::string& key, const std::string& value, const char* mode) {
    const PodBuilder before = pod().annotation("sidetap.io/mesh", mode).annotation(key, value);
    const auto answer = admit_pod(before, Entry::kNamespace, configuration);
    const Json spec = before.json().patch(Json::parse(answer.patch))["spec"];
    const Json tap =
        spec.contains("initContainers") ? spec["initContainers"][0] : spec["containers"][1];
    for (const Json& one : tap["env"])
      if (one["name"] == "MESH_KIND") return one["value"].get<std::string>();
    return std::string("(not set)");
  };
  EXPECT_EQ(told("sidecar.istio.io/status", "{}", "both"), "istio");
  EXPECT_EQ(told("linkerd.io/proxy-version", "edge-26.1", "both"), "linkerd");
  EXPECT_EQ(told("ambient.istio.io/redirection", "enabled", "both"), "ambient");
  EXPECT_EQ(told("ambient.istio.io/redirection", "disabled", "both"), "(not set)");
  EXPECT_EQ(told("sidecar.istio.io/status", "{}", "off"), "(not set)");
}

TEST(Override, OfTheImageIsOffByDefault) {
  EXPECT_THAT(Overridden("image", "evil:1").warnings(), ElementsAre(HasSubstr("does not allow")));
  EXPECT_NE(Overridden("image", "evil:1").sidecar()["image"], "evil:1");
  Configuration configuration = test_configuration();
  configuration.sidecar.overrides.set(static_cast<std::size_t>(Override::kImage));
  EXPECT_EQ(Overridden("image", "mine:2", configuration).sidecar()["image"], "mine:2");
  for (const char* value : {"a b", "Upper:1", "a:", "a@sha256:12", "https://a/b:1"})
    EXPECT_THAT(Overridden("image", value, configuration).warnings(),
                ElementsAre(AllOf(HasSubstr("image"), HasSubstr("ignored"))))
        << value;
}

TEST(Override, ThatTheOperatorDoesNotAllowIsIgnoredWithAWarning) {
  Configuration configuration = test_configuration();
  configuration.sidecar.overrides.reset();
  for (std::size_t i = 0; i < configuration::kOverrideCount; ++i) {
    const std::string name(configuration::override_name(static_cast<Override>(i)));
    EXPECT_THAT(Overridden(name, "128", configuration).warnings(),
                ElementsAre(HasSubstr("sidetap.io/" + name)));
  }
  EXPECT_EQ(Overridden("snaplen", "128", configuration).variable("SNAPLEN"), "262144");
}

TEST(Override, ThatNobodyKnowsIsNamed) {
  EXPECT_THAT(Overridden("snaplenn", "128").warnings(), ElementsAre(HasSubstr("snaplenn")));
}

TEST(Override, ToNativeIsRefusedWhereItWouldBlockThePod) {
  Configuration configuration = test_configuration();
  configuration.injection.server_version = configuration::Version{1, 28};
  const Overridden pod("native", "true", configuration);
  EXPECT_FALSE(pod.native());
  EXPECT_EQ(pod.warnings().size(), 1U);
  configuration.injection.server_version = configuration::Version{1, 30};
  EXPECT_TRUE(Overridden("native", "true", configuration).native());
}

TEST(Override, SparesAJobsPodTheSkip) {
  Configuration configuration = test_configuration();
  configuration.injection.server_version = configuration::Version{1, 30};
  EXPECT_EQ(admit_pod(pod().of_job(), Entry::kNamespace, configuration).reason,
            admission::Reason::kJobWithoutNative);
  EXPECT_EQ(admit_pod(pod().of_job().annotation("sidetap.io/native", "true"), Entry::kNamespace,
                      configuration)
                .action,
            admission::Action::kInject);
}

TEST(Override, SaysNothingToPodsThatAreNotInjected) {
  EXPECT_THAT(admit_pod(pod().annotation("sidetap.io/snaplen", "9"), Entry::kPod).warnings,
              IsEmpty());
}

}  // namespace
}  // namespace sidetap
