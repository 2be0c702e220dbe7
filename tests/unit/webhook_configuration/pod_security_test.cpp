#include "webhook/configuration/pod_security.h"

#include <gtest/gtest.h>

#include "webhook/configuration/configuration_file.h"

namespace sidetap::configuration {
namespace {

/// With the operator's own fields of the container, as they stand in the file.
Sidecar with(const std::string& container, const std::string& capabilities = "runtimeDefault") {
  const auto read = parse_configuration(
      "sidecar: {capabilities: " + capabilities + ", container: " + container + "}", "test");
  EXPECT_TRUE(read) << read.error().text;
  return read->sidecar;
}

/// Whether nothing has to be left out of it.
bool passes_baseline(const Sidecar& sidecar) {
  const Sidecar there = at_baseline(sidecar);
  return there.capabilities == sidecar.capabilities && there.fields == sidecar.fields;
}

TEST(PodSecurity, BaselineTakesTheRuntimesCapabilitiesAndNoMore) {
  EXPECT_FALSE(passes_baseline(Sidecar{}));
  EXPECT_TRUE(passes_baseline(with("{}")));
}

TEST(PodSecurity, BaselineTakesFieldsThatGiveNoPower) {
  for (const char* container :
       {R"({workingDir: /tmp})", R"({securityContext: {runAsUser: 0}})",
        R"({securityContext: {capabilities: {drop: [ALL], add: [CHOWN, SETUID]}}})",
        R"({securityContext: {privileged: false, seccompProfile: {type: RuntimeDefault}}})",
        R"({securityContext: {seccompProfile: {type: Localhost, localhostProfile: p.json}}})",
        R"({securityContext: {seLinuxOptions: {type: container_t, level: "s0:c1"}}})",
        R"({startupProbe: {httpGet: {path: /readyz, port: 15920}}})",
        R"({lifecycle: {preStop: {sleep: {seconds: 1}}}})"}) {
    const Sidecar sidecar = with(container);
    EXPECT_TRUE(passes_baseline(sidecar)) << container;
    EXPECT_EQ(at_baseline(sidecar).fields, sidecar.fields) << container;
  }
}

TEST(PodSecurity, WhatBaselineRefusesIsLeftOutThere) {
  for (const char* container :
       {R"({securityContext: {capabilities: {add: [NET_RAW]}}})",
        R"({securityContext: {capabilities: {add: [CHOWN, NET_ADMIN]}}})",
        R"({securityContext: {privileged: true}})",
        R"({securityContext: {seccompProfile: {type: Unconfined}}})",
        R"({securityContext: {appArmorProfile: {type: Unconfined}}})",
        R"({securityContext: {seLinuxOptions: {type: spc_t}}})",
        R"({securityContext: {seLinuxOptions: {user: system_u}}})",
        R"({securityContext: {seLinuxOptions: {role: system_r}}})",
        R"({readinessProbe: {httpGet: {host: 10.0.0.1, port: 80}}})",
        R"({startupProbe: {tcpSocket: {host: 10.0.0.1, port: 80}}})",
        R"({lifecycle: {postStart: {httpGet: {host: 10.0.0.1, port: 80}}}})",
        R"({lifecycle: {preStop: {tcpSocket: {host: 10.0.0.1, port: 80}}}})"}) {
    const Sidecar sidecar = with(container);
    EXPECT_FALSE(passes_baseline(sidecar)) << container;
    EXPECT_TRUE(at_baseline(sidecar).fields.empty()) << container;
    EXPECT_TRUE(passes_baseline(at_baseline(sidecar))) << container;
  }
}

TEST(PodSecurity, AnExplicitTapKeepsAllElseThere) {
  const Sidecar before =
      with("{workingDir: /tmp, securityContext: {privileged: true}}", "explicit");
  const Sidecar after = at_baseline(before);
  EXPECT_TRUE(passes_baseline(after));
  EXPECT_EQ(after.fields.size(), 1u);
  EXPECT_TRUE(after.fields.contains("workingDir"));
  EXPECT_EQ(after.image, before.image);
}

}  // namespace
}  // namespace sidetap::configuration
