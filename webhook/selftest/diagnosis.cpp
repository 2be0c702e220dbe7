#include "webhook/selftest/diagnosis.h"

#include <algorithm>
#include <string_view>

#include "shared/json_members.h"

namespace sidetap::selftest {
namespace {

using nlohmann::json;

/// The tap among the containers of one kind; null if there is none.
const json* find_tap(const json& pod, const char* kind) {
  const json& containers = member(member(pod, "spec"), kind);
  if (!containers.is_array()) return nullptr;
  const auto found = std::find_if(containers.begin(), containers.end(), [](const json& container) {
    return text_of(container, "name") == "sidetap";
  });
  return found == containers.end() ? nullptr : &*found;
}

std::string firewall(const Setting& setting) {
  const std::string port = std::to_string(setting.webhook_port);
  return "The API server does not reach the webhook. Allow TCP " + port +
         " from the control plane to the nodes. If pods have addresses of the VPC, allow it to the "
         "pods too:\n"
         "  GKE   gcloud compute firewall-rules create sidetap-webhook --network NETWORK "
         "--source-ranges CONTROL-PLANE-CIDR --target-tags NODE-TAG --allow tcp:" +
         port +
         "\n"
         "  EKS   the node security group: inbound TCP " +
         port +
         " from the cluster security group\n"
         "  else  check NetworkPolicies and firewalls between the control plane and the pods; if "
         "there is no route, set webhook.hostNetwork=true and webhook.port=10260\n";
}

bool mentions(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

Diagnosis diagnose_refusal(const std::string& said, const Setting& setting) {
  if (mentions(said, "violates PodSecurity")) {
    return {false, false,
            "The webhook added the tap, and then Pod Security refused the trial pod: " + said +
                "\nNamespace " + setting.pod_namespace +
                " enforces a level that forbids NET_RAW. Set tests.namespace to another namespace. "
                "For the level baseline, you can set sidecar.capabilities=runtimeDefault instead. "
                "At the level restricted, packet capture is not possible.\n"};
  }
  if (mentions(said, "failed calling webhook")) {
    if (mentions(said, "deadline exceeded") || mentions(said, "imeout")) {
      return {false, true, firewall(setting) + "The API server said: " + said + "\n"};
    }
    if (mentions(said, "x509") || mentions(said, "certificate")) {
      return {false, true,
              "The API server does not trust the webhook's certificate: " + said +
                  "\nThe caBundle of the MutatingWebhookConfiguration does not match the "
                  "certificate. With certificates.mode=selfManaged, see the webhook's log. With "
                  "existingSecret, run certs-scripts/install.sh.\n"};
    }
    return {false, true, "The API server does not get an answer from the webhook: " + said + "\n"};
  }
  if (mentions(said, "forbidden")) {
    return {
        false, false,
        "The test may not create pods in namespace " + setting.pod_namespace + ": " + said + "\n"};
  }
  return {false, false, "The API server refuses the trial pod: " + said + "\n"};
}

}  // namespace

json trial_pod() {
  return {{"apiVersion", "v1"},
          {"kind", "Pod"},
          {"metadata",
           {{"generateName", "sidetap-selftest-"},
            {"labels", {{"app.kubernetes.io/name", "sidetap-selftest"}}},
            {"annotations", {{"sidetap.io/inject", "true"}}}}},
          {"spec",
           {{"securityContext",
             {{"runAsNonRoot", true},
              {"runAsUser", 65532},
              {"seccompProfile", {{"type", "RuntimeDefault"}}}}},
            {"containers",
             {{{"name", "application"},
               {"image", "example.invalid/never-pulled"},
               {"resources",
                {{"requests", {{"cpu", "10m"}, {"memory", "16Mi"}}},
                 {"limits", {{"cpu", "10m"}, {"memory", "16Mi"}}}}},
               {"securityContext",
                {{"allowPrivilegeEscalation", false}, {"capabilities", {{"drop", {"ALL"}}}}}}}}}}}};
}

Diagnosis diagnose(const kube::Response& answer, std::chrono::milliseconds taken,
                   const Setting& setting) {
  if (!answer.ok()) return diagnose_refusal(answer.describe(), setting);
  const json* native = find_tap(answer.body, "initContainers");
  const json* tap = native != nullptr ? native : find_tap(answer.body, "containers");
  if (tap != nullptr) {
    return {true, false,
            std::string("The trial pod got its tap, as ") +
                (native != nullptr ? "a native sidecar" : "a plain container") + ", image " +
                text_of(*tap, "image") + ".\n"};
  }
  if (setting.patience.count() > 0 && taken >= setting.patience) {
    return {false, true,
            firewall(setting) + "The API server gave up after " + std::to_string(taken.count()) +
                " ms, and admitted the trial pod without a tap.\n"};
  }
  return {
      false, true,
      "The API server admitted the trial pod without a tap. Look in the webhook's log for a review "
      "of namespace " +
          setting.pod_namespace +
          ".\nIf the log has one, its reason says why the webhook added no tap.\n"
          "If the log has none, the API server did not ask the webhook, or did not connect to it. "
          "Compare the caBundle of the MutatingWebhookConfiguration with the certificate. Then "
          "check the namespace: it must not have the label sidetap.io/inject, must not be the "
          "webhook's own or in injection.excludedNamespaces, and must not enforce a Pod Security "
          "level that refuses taps.\n"};
}

std::optional<Diagnosis> diagnose_endpoints(const kube::Response& slices, const Setting& setting) {
  if (!slices.ok() || !slices.body.is_object()) return std::nullopt;
  const json& items = member(slices.body, "items");
  if (!items.is_array()) return std::nullopt;
  for (const json& slice : items) {
    for (const json& endpoint : member(slice, "endpoints")) {
      // Without the condition, an endpoint counts as ready.
      if (member(member(endpoint, "conditions"), "ready") != false) return std::nullopt;
    }
  }
  const std::string pods = " -l app.kubernetes.io/component=webhook\n";
  const std::string kubectl = "  kubectl -n " + setting.webhook_namespace;
  return Diagnosis{false, true,
                   "No pod of the webhook is ready (Service " + setting.webhook_service +
                       " has no endpoint), so nothing answers the API server. To see why:\n" +
                       kubectl + " get pods" + pods + kubectl + " describe pods" + pods + kubectl +
                       " logs --all-containers" + pods};
}

}  // namespace sidetap::selftest
