#include "webhook/certificates/keeper.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "shared/async/caught.h"
#include "shared/async/waiting.h"
#include "shared/telemetry/log.h"
#include "webhook/certificates/metrics.h"
#include "webhook/certificates/objects.h"

namespace sidetap::certificates {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using telemetry::MetricSpec;
using telemetry::MetricType;

// A replica that loses a race only has to read what the winner wrote. More than a few losses in a
// row are a fault, not a race.
constexpr int kMostTries = 5;

const MetricSpec kSteps{"sidetap_webhook_certificate_steps_total", MetricType::kCounter,
                        "Changes by this replica to the Secret with the certificates."};
const MetricSpec kBundles{"sidetap_webhook_ca_bundle_patches_total", MetricType::kCounter,
                          "Corrections of the caBundle by this replica."};
const MetricSpec kConflicts{"sidetap_webhook_certificate_conflicts_total", MetricType::kCounter,
                            "Changes that failed because another replica or user was faster."};
const MetricSpec kFailures{"sidetap_webhook_certificate_failures_total", MetricType::kCounter,
                           "Failed checks of the certificates; they are retried."};
const MetricSpec kPublished{"sidetap_webhook_ca_bundle_published", MetricType::kGauge,
                            "1 once the caBundle has matched the certificate that is served."};

/// Somebody else changed the object between the read and the write.
constexpr unsigned kConflict = 409;
/// A test in a JSON Patch failed, which is also a conflict, or the result is not a valid object.
constexpr unsigned kInvalid = 422;
constexpr unsigned kForbidden = 403;
constexpr unsigned kNotFound = 404;

/// A proxy or a fault may return something else than an object.
Error no_object() { return Error{"the API server's answer is not an object"}; }

std::string version_of(const nlohmann::json& object) {
  return object.value(nlohmann::json::json_pointer("/metadata/resourceVersion"), std::string());
}

}  // namespace

std::vector<std::string> service_names(const std::vector<std::string>& services,
                                       const std::string& name_space) {
  std::vector<std::string> names;
  for (const std::string& service : services) {
    const std::string full = service + "." + name_space;
    names.insert(names.end(), {full + ".svc", full + ".svc.cluster.local", full, service});
  }
  return names;
}

std::vector<std::string> collector_names(const std::vector<std::string>& services,
                                         const std::string& name_space) {
  std::vector<std::string> names = service_names(services, name_space);
  for (const std::string& service : services)
    names.push_back("*." + service + "." + name_space + ".svc");
  return names;
}

Keeper::Keeper(kube::Client client, KeeperConfig config, std::function<void(const State&)> serve,
               std::function<TimePoint()> now)
    : client_(std::move(client)),
      config_(std::move(config)),
      names_(service_names(config_.services, config_.name_space)),
      collector_names_(collector_names(config_.collector_services, config_.name_space)),
      serve_(std::move(serve)),
      now_(std::move(now)) {}

std::string Keeper::path_of(const std::string& secret) const {
  return "/api/v1/namespaces/" + config_.name_space + "/secrets/" + secret;
}

asio::awaitable<Result<kube::Response>> Keeper::read_secret(const std::string& secret) {
  const std::string path = path_of(secret);
  auto read = co_await client_.get(path);
  if (!read || read->status == kNotFound) co_return read;
  if (!read->ok()) co_return Error{"Secret " + path + ": " + read->describe()};
  if (!read->body.is_object()) co_return Error{"Secret " + path + ": " + no_object().text};
  co_return read;
}

/// Separate from its caller because GCC 12 destroys the temporaries of a conditional co_await
/// twice.
asio::awaitable<Result<kube::Response>> Keeper::write_secret(const std::string& secret, bool there,
                                                             nlohmann::json object) {
  if (there) return client_.replace(path_of(secret), std::move(object));
  return client_.create("/api/v1/namespaces/" + config_.name_space + "/secrets", std::move(object));
}

Error Keeper::unwritten(const std::string& secret, bool there, const kube::Response& answer) const {
  std::string text = "Secret " + path_of(secret) + ": " + answer.describe();
  if (!there && answer.status == kForbidden) {
    text +=
        "; it is missing, and the rights do not reach to make it: `helm upgrade` makes it "
        "again, without Helm `kubectl create secret generic " +
        secret + " --namespace " + config_.name_space + "`";
  }
  return Error{std::move(text)};
}

asio::awaitable<Result<void>> Keeper::store(const std::string& secret, const kube::Response& read,
                                            nlohmann::json object, std::string_view step) {
  const bool there = read.status != kNotFound;
  if (there && read.body.value("immutable", false)) {
    co_return Error{
        "Secret " + path_of(secret) +
        " is immutable: delete it, and create it again without that (`helm upgrade` creates it)"};
  }
  const auto written = co_await write_secret(secret, there, std::move(object));
  if (!written) co_return written.error();
  if (written->status == kConflict) {
    ++conflicts_;
  } else if (!written->ok()) {
    co_return unwritten(secret, there, *written);
  } else {
    ++steps_;
    telemetry::info("certificates changed", {{"step", step}, {"secret", secret}});
  }
  co_return Result<void>{};
}

void Keeper::report(const Plan& planned) {
  if (planned.fault.empty()) return;
  ++out_of_dates_;
  telemetry::warn(
      "a certificate in the Secret has expired or is not valid yet, and is renewed; check the "
      "clocks of the webhook's nodes",
      {{"fault", planned.fault}, {"step", step_name(planned.step)}});
}

asio::awaitable<Result<State>> Keeper::keep_secret(TimePoint& due) {
  const std::string& secret = config_.secret;
  for (int tries = 0; tries < kMostTries; ++tries) {
    const auto read = co_await read_secret(secret);
    if (!read) co_return read.error();
    const bool there = read->status != kNotFound;
    State state = there ? state_of_secret(read->body) : State{};
    const Plan planned = plan(state, names_, now_(), config_.policy);
    if (planned.step == Step::kNothing) {
      due = planned.due;
      co_return state;
    }
    report(planned);
    auto next = carry_out(planned.step, std::move(state), names_, now_(), config_.policy);
    if (!next) co_return next.error();
    nlohmann::json object =
        with_state(there ? read->body : new_secret(config_.name_space, secret), *next);
    const auto stored = co_await store(secret, *read, std::move(object), step_name(planned.step));
    if (!stored) co_return stored.error();
    // Read the object again, whoever was faster: the API server's state decides.
  }
  co_return Error{"Secret " + path_of(secret) + ": others keep changing it"};
}

asio::awaitable<Result<void>> Keeper::keep_collector(const State& state, TimePoint& due) {
  const std::string& secret = config_.collector_secret;
  for (int tries = 0; tries < kMostTries; ++tries) {
    const auto read = co_await read_secret(secret);
    if (!read) co_return read.error();
    const bool there = read->status != kNotFound;
    nlohmann::json present = there ? read->body : new_secret(config_.name_space, secret);
    Pair leaf = leaf_of_secret(present);
    const Plan planned = plan_leaf(leaf, state.authority, collector_names_, now_());
    if (planned.step == Step::kIssueLeaf) {
      report(planned);
      auto issued = further_leaf(state, collector_names_, now_(), config_.policy);
      if (!issued) co_return issued.error();
      leaf = std::move(*issued);
    }
    nlohmann::json wanted = with_leaf(present, leaf, state.bundle());
    if (there && wanted == present) {
      due = std::min(due, planned.due);
      co_return Result<void>{};
    }
    const std::string_view step =
        planned.step == Step::kNothing ? "tell-authorities" : step_name(planned.step);
    const auto stored = co_await store(secret, *read, std::move(wanted), step);
    if (!stored) co_return stored.error();
  }
  co_return Error{"Secret " + path_of(secret) + ": others keep changing it"};
}

asio::awaitable<Result<void>> Keeper::keep_bundle(const State& state) {
  const std::string path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/" +
                           config_.webhook_configuration;
  const std::string name = "MutatingWebhookConfiguration " + config_.webhook_configuration + ": ";
  kube::Response invalid;
  std::string invalid_at;
  for (int tries = 0; tries < kMostTries; ++tries) {
    const auto read = co_await client_.get(path);
    if (!read) co_return read.error();
    if (!read->ok()) co_return Error{name + read->describe()};
    if (!read->body.is_object()) co_return Error{name + no_object().text};
    const std::string version = version_of(read->body);
    // Nobody changed the object meanwhile, so the patch's test did not cause the failure.
    if (invalid.status != 0 && version == invalid_at) co_return Error{name + invalid.describe()};
    if (invalid.status != 0) ++conflicts_;
    invalid = {};
    nlohmann::json patch = bundle_patch(read->body, state.bundle());
    if (patch.is_null()) co_return Result<void>{};
    const auto written = co_await client_.patch(path, kube::PatchType::kJson, std::move(patch));
    if (!written) co_return written.error();
    if (written->status == kInvalid) {
      invalid = *written;
      invalid_at = version;
    } else if (written->status == kConflict) {
      ++conflicts_;
    } else if (!written->ok()) {
      co_return Error{name + written->describe()};
    } else {
      ++bundles_;
      telemetry::info("caBundle corrected", {{"configuration", config_.webhook_configuration}});
    }
  }
  co_return Error{name + "others keep changing it"};
}

asio::awaitable<Result<TimePoint>> Keeper::reconcile() {
  auto due = co_await async::caught(try_reconcile());
  if (!due) ++failures_;
  co_return due;
}

asio::awaitable<Result<TimePoint>> Keeper::try_reconcile() {
  TimePoint due;
  auto state = co_await keep_secret(due);
  if (!state) co_return state.error();
  serve_(*state);
  if (auto kept = co_await keep_bundle(*state); !kept) co_return kept.error();
  published_ = true;
  if (!config_.collector_secret.empty()) {
    // Last, so that a fault of it keeps nobody from being served.
    const auto kept = co_await keep_collector(*state, due);
    if (!kept) co_return kept.error();
  }
  co_return due;
}

asio::awaitable<void> Keeper::run() {
  const auto executor = co_await asio::this_coro::executor;
  async::Backoff backoff(config_.backoff);
  async::Chance chance;
  for (;;) {
    milliseconds pause = config_.period;
    const auto due = co_await reconcile();
    if (due) {
      backoff.succeeded();
      const auto left = std::chrono::duration_cast<milliseconds>(*due - now_());
      pause = std::clamp(left, milliseconds(0), config_.period);
    } else {
      telemetry::warn("cannot check the certificates; will try again",
                      {{"reason", due.error().text}});
      pause = backoff.wait(chance());
    }
    co_await async::sleep(executor, pause, nullptr);
  }
}

void Keeper::expose(telemetry::MetricsRegistry& metrics) const {
  const auto number = [](const auto& value) {
    return [&value] { return static_cast<double>(value.load()); };
  };
  metrics.expose(kSteps, {}, number(steps_));
  metrics.expose(kBundles, {}, number(bundles_));
  metrics.expose(kConflicts, {}, number(conflicts_));
  metrics.expose(kFailures, {}, number(failures_));
  metrics.expose(kOutOfDatesMetric, {{"where", "secret"}}, number(out_of_dates_));
  metrics.expose(kPublished, {}, number(published_));
}

}  // namespace sidetap::certificates
