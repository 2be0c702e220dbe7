#include "webhook/configuration/container_template.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "webhook/configuration/configuration_file.h"

namespace sidetap::configuration {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Result<Configuration> with_template(const std::string& container) {
  return parse_configuration("sidecar: {container: " + container + "}", "c.yaml");
}

void expect_accepted(const std::string& container) {
  const auto configuration = with_template(container);
  EXPECT_TRUE(configuration) << container << ": " << configuration.error().text;
}

void expect_container_refused(const std::string& container, const std::string& place,
                              const std::string& accepted) {
  const auto configuration = with_template(container);
  ASSERT_FALSE(configuration) << container;
  EXPECT_THAT(configuration.error().text,
              AllOf(HasSubstr("c.yaml: sidecar.container" + place), HasSubstr(accepted)))
      << container;
}

TEST(ContainerTemplate, TakesWhatAContainerMayHave) {
  const auto configuration = parse_configuration(R"(
sidecar:
  container:
    args: [run, "5"]
    command: [/usr/bin/sidetap-sidecar]
    envFrom:
    - {configMapRef: {name: tap.settings, optional: true}, prefix: TAP_}
    - secretRef: {name: tap}
    lifecycle:
      preStop: {sleep: {seconds: 5}}
      postStart: {exec: {command: ["true"]}}
    livenessProbe:
      httpGet:
        path: /healthz
        port: sidetap-status
        scheme: HTTPS
        host: 127.0.0.1
        httpHeaders: [{name: X-Probe, value: "1"}]
      initialDelaySeconds: 0
      periodSeconds: 10
      timeoutSeconds: 5
      successThreshold: 1
      failureThreshold: 6
      terminationGracePeriodSeconds: 3
    readinessProbe: {grpc: {port: 9, service: a}, successThreshold: 2}
    startupProbe: {tcpSocket: {port: 15920, host: a}}
    securityContext:
      allowPrivilegeEscalation: false
      appArmorProfile: {type: Localhost, localhostProfile: tap}
      capabilities: {drop: [ALL], add: [NET_RAW]}
      privileged: false
      procMount: Default
      readOnlyRootFilesystem: true
      runAsGroup: 0
      runAsNonRoot: false
      runAsUser: 0
      seLinuxOptions: {level: "s0:c1", role: r, type: t, user: u}
      seccompProfile: {type: RuntimeDefault}
    terminationMessagePath: /dev/termination-log
    terminationMessagePolicy: FallbackToLogsOnError
    workingDir: /
)",
                                                 "c.yaml");
  ASSERT_TRUE(configuration) << configuration.error().text;
  const auto& fields = configuration->sidecar.fields;
  EXPECT_EQ(fields.size(), 11U);
  EXPECT_EQ(fields.at("args"), R"(["run","5"])");
  EXPECT_EQ(fields.at("startupProbe"), R"({"tcpSocket":{"port":15920,"host":"a"}})");
}

TEST(ContainerTemplate, LeavesOutWhatIsNull) {
  const auto configuration = with_template("{livenessProbe: null, workingDir: /}");
  ASSERT_TRUE(configuration);
  EXPECT_EQ(configuration->sidecar.fields.size(), 1U);
}

TEST(ContainerTemplate, RefusesWordsThatTheApiServerDoesNotKnow) {
  expect_container_refused("{terminationMessagePolicy: file}", ".terminationMessagePolicy",
                           "File, FallbackToLogsOnError");
  expect_container_refused("{securityContext: {seccompProfile: {type: runtime/default}}}",
                           ".securityContext.seccompProfile.type",
                           "RuntimeDefault, Localhost, Unconfined");
  expect_container_refused("{securityContext: {procMount: Unmasked}}", ".securityContext.procMount",
                           "Default");
  expect_container_refused("{livenessProbe: {httpGet: {port: 1, scheme: http}}}",
                           ".livenessProbe.httpGet.scheme", "HTTP, HTTPS");
}

TEST(ContainerTemplate, RefusesTextsThatAreNone) {
  for (const char* key : {"args", "command"}) {
    const std::string field = key;
    expect_container_refused("{" + field + ": run}", "." + field, "a list of texts");
    expect_container_refused("{" + field + ": [run, 5]}", "." + field, "in quotes");
    expect_container_refused("{" + field + ": [yes]}", "." + field, "in quotes");
    expect_container_refused("{" + field + ": [[a]]}", "." + field, "in quotes");
  }
  expect_container_refused("{workingDir: 7}", ".workingDir", "in quotes");
  expect_container_refused("{terminationMessagePath: []}", ".terminationMessagePath", "a text");
  expect_container_refused("{livenessProbe: {exec: {command: [sleep, 1]}}}",
                           ".livenessProbe.exec.command", "in quotes");
}

TEST(ContainerTemplate, WantsExactlyOneHandler) {
  for (const char* probe : {"livenessProbe", "readinessProbe", "startupProbe"}) {
    const std::string name = probe;
    expect_container_refused("{" + name + ": {}}", "." + name + ": 0",
                             "exactly one of exec, grpc, httpGet, tcpSocket");
    expect_container_refused("{" + name + ": {grpc: {port: 1}, tcpSocket: {port: 1}}}",
                             "." + name + ": 2", "exactly one");
  }
  expect_container_refused("{lifecycle: {preStop: {}}}", ".lifecycle.preStop",
                           "exactly one of exec, httpGet, sleep, tcpSocket");
  expect_container_refused("{envFrom: [{prefix: A}]}", ".envFrom[0]",
                           "exactly one of configMapRef");
}

TEST(ContainerTemplate, RefusesHandlersThatCannotBeTried) {
  const std::string at = ".livenessProbe";
  expect_container_refused("{livenessProbe: {exec: {}}}", at + ".exec.command", "required");
  expect_container_refused("{livenessProbe: {exec: {command: []}}}", at + ".exec.command",
                           "required");
  expect_container_refused("{livenessProbe: {httpGet: {path: /}}}", at + ".httpGet.port",
                           "1 to 65535");
  for (const char* port : {"0", "65536", "-1", "1.5", "true", "'80'", "''", "a-", "a--b", "A",
                           "a-name-that-is-too-long"})
    expect_container_refused(std::string("{livenessProbe: {tcpSocket: {port: ") + port + "}}}",
                             at + ".tcpSocket.port", "65535");
  expect_container_refused("{livenessProbe: {grpc: {port: a}}}", at + ".grpc.port", "65535");
  expect_container_refused("{livenessProbe: {grpc: {}}}", at + ".grpc.port", "65535");
  expect_container_refused("{livenessProbe: {httpGet: {port: 1, httpHeaders: {name: a}}}}",
                           at + ".httpGet.httpHeaders", "a list");
  expect_container_refused(
      "{livenessProbe: {httpGet: {port: 1, httpHeaders: [{name: a b, value: c}]}}}",
      at + ".httpGet.httpHeaders[0].name", "hyphens");
  expect_container_refused("{livenessProbe: {httpGet: {port: 1, httpHeaders: [{name: a}]}}}",
                           at + ".httpGet.httpHeaders[0].value", "required");
  expect_container_refused("{lifecycle: {preStop: {sleep: {}}}}",
                           ".lifecycle.preStop.sleep.seconds", "required");
}

TEST(ContainerTemplate, BoundsTheNumbersOfProbes) {
  for (const char* key : {"failureThreshold", "initialDelaySeconds", "periodSeconds",
                          "timeoutSeconds", "successThreshold", "terminationGracePeriodSeconds"})
    for (const char* value : {"-1", "2147483648", "1.5", "ten"})
      expect_container_refused(
          "{livenessProbe: {tcpSocket: {port: 1}, " + std::string(key) + ": " + value + "}}",
          ".livenessProbe." + std::string(key), "a number from");
  for (const char* probe : {"livenessProbe", "startupProbe"})
    expect_container_refused(
        "{" + std::string(probe) + ": {tcpSocket: {port: 1}, successThreshold: 2}}",
        "." + std::string(probe) + ".successThreshold", "0 to 1");
  expect_container_refused(
      "{readinessProbe: {tcpSocket: {port: 1}, terminationGracePeriodSeconds: 1}}",
      ".readinessProbe.terminationGracePeriodSeconds", "unknown key");
}

TEST(ContainerTemplate, RefusesASecurityContextOfOtherTypes) {
  const std::string at = ".securityContext";
  for (const char* key :
       {"allowPrivilegeEscalation", "privileged", "readOnlyRootFilesystem", "runAsNonRoot"})
    expect_container_refused("{securityContext: {" + std::string(key) + ": \"true\"}}",
                             at + "." + std::string(key), "true, false");
  for (const char* key : {"runAsUser", "runAsGroup"})
    for (const char* value : {"-1", "2147483648", "root", "\"0\""})
      expect_container_refused("{securityContext: {" + std::string(key) + ": " + value + "}}",
                               at + "." + std::string(key), "a number from");
  expect_container_refused("{securityContext: []}", at, "a mapping");
  expect_container_refused("{securityContext: {capabilities: {add: NET_RAW}}}",
                           at + ".capabilities.add", "a list");
  expect_container_refused("{securityContext: {capabilities: {add: [net_raw]}}}",
                           at + ".capabilities.add", "NET_RAW");
  expect_container_refused("{securityContext: {seccompProfile: {}}}", at + ".seccompProfile.type",
                           "required");
  expect_container_refused("{securityContext: {seccompProfile: {type: Localhost}}}",
                           at + ".seccompProfile.localhostProfile", "requires it");
  expect_container_refused(
      "{securityContext: {seccompProfile: {type: RuntimeDefault, localhostProfile: a}}}",
      at + ".seccompProfile.localhostProfile", "nothing");
  for (const char* path : {"/a", "../a", "''"})
    expect_container_refused(std::string("{securityContext: {appArmorProfile: {type: Localhost, "
                                         "localhostProfile: ") +
                                 path + "}}}",
                             at + ".appArmorProfile.localhostProfile", "below");
  expect_container_refused("{securityContext: {seLinuxOptions: {level: 1}}}",
                           at + ".seLinuxOptions.level", "a text");
}

TEST(ContainerTemplate, RefusesAPrivilegedContainerWithoutEscalation) {
  const std::string at = ".securityContext.allowPrivilegeEscalation";
  expect_container_refused("{securityContext: {privileged: true, allowPrivilegeEscalation: false}}",
                           at, "together");
  expect_container_refused(
      "{securityContext: {capabilities: {add: [SYS_ADMIN]}, "
      "allowPrivilegeEscalation: false}}",
      at, "together");
  expect_accepted("{securityContext: {privileged: true}}");
}

TEST(ContainerTemplate, RefusesBrokenSources) {
  expect_container_refused("{envFrom: {secretRef: {name: a}}}", ".envFrom", "a list");
  expect_container_refused("{envFrom: [{secretRef: {}}]}", ".envFrom[0].secretRef.name",
                           "required");
  expect_container_refused("{envFrom: [{secretRef: {name: A_B}}]}", ".envFrom[0].secretRef.name",
                           "Kubernetes name");
  expect_container_refused("{envFrom: [{secretRef: {name: a}, prefix: 1A}]}", ".envFrom[0].prefix",
                           "letters");
}

TEST(ContainerTemplate, NamesTheKeyOfWhatTheWebhookWritesItself) {
  expect_container_refused("{env: [{name: A, value: b}]}", ".env", "sidecar.env instead");
  expect_container_refused("{image: a}", ".image", "sidecar.image instead");
  expect_container_refused("{resources: {}}", ".resources", "sidecar.resources instead");
  expect_container_refused("{volumeMounts: [{name: a, mountPath: /a}]}", ".volumeMounts",
                           "nothing");
}

TEST(ContainerTemplate, RefusesUnknownFields) {
  expect_container_refused("{stdin: true}", ".stdin: unknown key", "args, command");
  expect_container_refused("{livenesProbe: {}}", ".livenesProbe: unknown key", "livenessProbe");
  expect_container_refused("{securityContext: {runAsUsr: 0}}",
                           ".securityContext.runAsUsr: unknown key", "runAsUser");
  expect_container_refused("{livenessProbe: {tcpSocket: {port: 1}, period: 1}}",
                           ".livenessProbe.period: unknown key", "periodSeconds");
  expect_container_refused("{livenessProbe: {tcpSocket: {port: 1, path: /}}}",
                           ".livenessProbe.tcpSocket.path: unknown key", "accepted: host, port");
}

}  // namespace
}  // namespace sidetap::configuration
