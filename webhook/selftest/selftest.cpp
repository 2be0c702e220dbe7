#include "webhook/selftest/selftest.h"

#include <cstdint>
#include <iostream>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include "shared/async/task_group.h"
#include "shared/async/waiting.h"
#include "shared/config/options.h"
#include "shared/kube/client.h"
#include "shared/kube/credentials.h"
#include "webhook/selftest/diagnosis.h"

namespace sidetap::selftest {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string pod_namespace;
  std::uint16_t webhook_port = 0;
  std::uint32_t timeout_seconds = 0;
  std::uint32_t wait_seconds = 0;
  std::string service_account;
  std::string webhook_namespace;
  std::string webhook_service;
};

config::ParseResult parse(std::span<const char* const> arguments, Options& into) {
  config::OptionSet options(
      "sidetap-webhook selftest",
      "Creates a trial pod by a dry run, and checks whether the API server's answer has the tap.");
  options.add<std::string>({.flag = "--namespace",
                            .value = "NAME",
                            .fallback = "default",
                            .help = "namespace of the trial pod, which is not created"},
                           config::any_text(), into.pod_namespace);
  options.add<std::uint16_t>({.flag = "--webhook-port",
                              .value = "PORT",
                              .fallback = "10250",
                              .help = "the webhook's container port, for the advice on firewalls"},
                             config::number<std::uint16_t>(1, 65'535, "port"), into.webhook_port);
  options.add<std::string>({.flag = "--webhook-namespace",
                            .value = "NAME",
                            .help = "namespace of the webhook's Service"},
                           config::any_text(), into.webhook_namespace);
  options.add<std::string>(
      {.flag = "--webhook-service",
       .value = "NAME",
       .help = "the webhook's Service; if the tap is missing, the command checks in the "
               "EndpointSlices of this Service whether a webhook pod is ready; if unset: no check"},
      config::any_text(), into.webhook_service);
  options.add<std::uint32_t>({.flag = "--timeout-seconds",
                              .value = "SECONDS",
                              .fallback = "3",
                              .help = "timeoutSeconds of the MutatingWebhookConfiguration"},
                             config::number<std::uint32_t>(1, 30, "seconds"), into.timeout_seconds);
  options.add<std::uint32_t>(
      {.flag = "--wait",
       .value = "SECONDS",
       .fallback = "30",
       .help = "how long to retry, because API servers notice a new webhook after a short delay"},
      config::number<std::uint32_t>(0, 600, "seconds"), into.wait_seconds);
  options.add<std::string>({.flag = "--service-account",
                            .value = "FOLDER",
                            .fallback = "/var/run/secrets/kubernetes.io/serviceaccount",
                            .help = "folder with the token and the CA for the API server"},
                           config::any_text(), into.service_account);
  return options.parse(arguments, config::process_environment);
}

asio::awaitable<Diagnosis> ask_once(kube::Client& client, const Setting& setting) {
  const auto start = Clock::now();
  auto answer = co_await client.create(
      "/api/v1/namespaces/" + setting.pod_namespace + "/pods?dryRun=All", trial_pod());
  const auto taken = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
  if (!answer) {
    co_return Diagnosis{false, true,
                        "The API server cannot be reached: " + answer.error().text + "\n"};
  }
  Diagnosis diagnosis = diagnose(*answer, taken, setting);
  if (diagnosis.injected || !diagnosis.may_settle || setting.webhook_service.empty())
    co_return diagnosis;
  const auto slices = co_await client.get(
      "/apis/discovery.k8s.io/v1/namespaces/" + setting.webhook_namespace +
      "/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3D" + setting.webhook_service);
  auto not_ready = slices ? diagnose_endpoints(*slices, setting) : std::nullopt;
  co_return not_ready ? std::move(*not_ready) : std::move(diagnosis);
}

asio::awaitable<Diagnosis> ask(kube::Client& client, const Setting& setting,
                               std::chrono::seconds wait) {
  const auto executor = co_await asio::this_coro::executor;
  const auto end = Clock::now() + wait;
  for (;;) {
    Diagnosis diagnosis = co_await ask_once(client, setting);
    if (diagnosis.injected || !diagnosis.may_settle || Clock::now() >= end) co_return diagnosis;
    co_await async::sleep(executor, std::chrono::seconds(1), nullptr);
  }
}

}  // namespace

int command(std::span<const char* const> arguments) {
  Options options;
  switch (parse(arguments, options)) {
    case config::ParseResult::kHelp:
      return 0;
    case config::ParseResult::kError:
      return 2;
    case config::ParseResult::kRun:
      break;
  }
  auto credentials =
      kube::in_cluster_credentials(config::process_environment, options.service_account);
  if (!credentials) {
    std::cerr << credentials.error().text << '\n';
    return 1;
  }
  asio::io_context context(1);
  // Longer than the API server waits for the webhook, which is at most 30 s.
  kube::Client client(context.get_executor(), std::move(*credentials),
                      {.timeout = std::chrono::seconds(options.timeout_seconds + 30)});
  const Setting setting{options.pod_namespace, options.webhook_port,
                        std::chrono::seconds(options.timeout_seconds), options.webhook_namespace,
                        options.webhook_service};
  Diagnosis diagnosis;
  const auto test = [&]() -> asio::awaitable<void> {
    diagnosis = co_await ask(client, setting, std::chrono::seconds(options.wait_seconds));
  };
  async::run_to_end(context, test());
  (diagnosis.injected ? std::cout : std::cerr) << diagnosis.text << std::flush;
  return diagnosis.injected ? 0 : 1;
}

}  // namespace sidetap::selftest
