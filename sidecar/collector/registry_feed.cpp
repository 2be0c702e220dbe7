#include "sidecar/collector/registry_feed.h"

#include <string_view>
#include <utility>

#include <prometheus/gauge.h>

#include "shared/async/interruption.h"
#include "shared/async/resolve.h"
#include "shared/async/task_group.h"
#include "shared/async/waiting.h"
#include "shared/http/https_connection.h"
#include "shared/http/tls_trust.h"
#include "shared/kube/credentials.h"
#include "shared/telemetry/log.h"
#include "shared/telemetry/metrics.h"
#include "sidecar/collector/metrics.h"
#include "sidecar/options/registry_options.h"

namespace sidetap::collector {
namespace {

namespace asio = boost::asio;

constexpr std::string_view kIdentityStream = "/v1/identities/stream";
constexpr std::size_t kMostLineBytes = 64U << 10;
constexpr std::chrono::milliseconds kFeedEndLimit{1'000};

std::string answer_text(unsigned status) {
  std::string text = "the registry answers " + std::to_string(status);
  if (status == 401) return text + ": the token is not one that the API server knows for itself";
  if (status == 403)
    return text + ": the token's user may not get " + std::string(kIdentityStream) +
           ": bind a role that allows it";
  if (status == 404) return text + ": it keeps no identities (registry.auth, identities.enabled)";
  return text;
}

}  // namespace

/// Its task keeps it alive. It uses the proof only while it is not stopping.
struct RegistryFeed::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::any_io_executor the_executor, RegistryFeedConfig the_config, TapProof& the_proof,
       telemetry::MetricsRegistry* the_metrics)
      : executor(std::move(the_executor)),
        config(std::move(the_config)),
        proof(the_proof),
        metrics(the_metrics),
        tasks(executor, the_metrics) {
    show(false);
  }

  void show(bool follows) {
    if (metrics != nullptr) metrics->gauge(kRegistryFollowedMetric).Set(follows ? 1 : 0);
  }

  asio::awaitable<void> keep_following() {
    async::Backoff backoff(config.backoff);
    while (!stopping) {
      const auto begun = std::chrono::steady_clock::now();
      const auto ended = co_await follow();
      connection.reset();
      if (stopping) break;
      show(false);
      if (!ended) lose(ended.error().text);
      backoff.session_ended(std::chrono::duration_cast<std::chrono::milliseconds>(
          std::chrono::steady_clock::now() - begun));
      co_await async::sleep(executor, backoff.wait(chance()), &ending);
    }
  }

  void lose(const std::string& reason) {
    proof.lose();
    const auto level =
        reason == reported ? telemetry::LogLevel::kDebug : telemetry::LogLevel::kWarn;
    reported = reason;
    telemetry::log(level,
                   proof.knows() ? "the registry cannot be followed; what it has proved counts"
                                 : "the registry cannot be followed, and no tap is proved",
                   {{"registry", config.registry.to_string()}, {"reason", reason}});
  }

  /// Until the stream ends. No error: it has ended in order, or the position is not known there.
  asio::awaitable<Result<void>> follow() {
    const auto status = co_await ask();
    if (!status) co_return status.error();
    if (*status == 410) {
      position.clear();
      co_return Result<void>{};
    }
    if (*status != 200) co_return Error{answer_text(*status)};
    if (position.empty()) proof.begin_list();
    std::string pending;
    for (bool last = false; !last && !stopping;) {
      const auto piece = co_await connection->read(config.silence);
      if (stopping) break;
      if (!piece) co_return piece.error();
      last = piece->last;
      pending += piece->bytes;
      const auto taken = take_lines(pending);
      if (taken) continue;
      position.clear();
      co_return taken.error();
    }
    co_return Result<void>{};
  }

  /// Returns the status of the answer.
  asio::awaitable<Result<unsigned>> ask() {
    const auto ca = read_pem(config.ca);  // each time: a collector runs longer than a CA
    if (!ca) co_return Error{"CA: " + ca.error().text};
    const auto trust = http::TlsTrust::make(*ca);
    if (!trust) co_return Error{"CA: " + trust.error().text};
    Result<std::string> token = std::string();
    if (!config.token_file.empty()) token = kube::read_token(config.token_file);
    if (!token) co_return token.error();
    const auto servers = co_await async::resolve(executor, config.registry, &ending);
    if (!servers) co_return servers.error();
    if (stopping) co_return Error{"canceled"};
    const std::string name = config.server_name.empty() ? config.registry.host : config.server_name;
    connection = std::make_unique<http::HttpsConnection>(executor);
    const auto opened = co_await connection->open(*servers, *trust, name, config.timeout);
    if (!opened) co_return opened.error();
    if (stopping) co_return Error{"canceled"};
    std::string target(kIdentityStream);
    if (!position.empty()) target += "?after=" + position;
    const std::string host = config.registry.to_string();
    const http::HttpsRequest request{
        .method = "GET", .target = target, .host = host, .token = *token};
    auto status = co_await connection->ask(request, std::nullopt, config.timeout);
    co_return status;
  }

  /// Takes the whole lines of `pending`, and leaves the rest.
  Result<void> take_lines(std::string& pending) {
    std::size_t start = 0;
    for (std::size_t end = 0; (end = pending.find('\n', start)) != std::string::npos;
         start = end + 1) {
      if (end - start > kMostLineBytes) return Error{"identities: a line is too long"};
      auto taken = proof.take(std::string_view(pending).substr(start, end - start));
      if (!taken) return taken.error();
      if (!taken->empty()) follows_from(std::move(*taken));
    }
    pending.erase(0, start);
    if (pending.size() > kMostLineBytes) return Error{"identities: a line is too long"};
    return {};
  }

  void follows_from(std::string where) {
    if (position.empty())
      telemetry::info("following the addresses that the registry proves",
                      {{"registry", config.registry.to_string()}, {"addresses", proof.held()}});
    position = std::move(where);
    reported.clear();
    show(true);
  }

  const asio::any_io_executor executor;
  const RegistryFeedConfig config;
  TapProof& proof;
  telemetry::MetricsRegistry* const metrics;
  std::unique_ptr<http::HttpsConnection> connection;
  std::string position;  // empty: the whole list is needed
  std::string reported;  // the last reason in the log; empty while it follows
  async::Chance chance;
  async::Interruption ending;
  bool stopping = false;
  async::TaskGroup tasks;
};

RegistryFeed::RegistryFeed(asio::any_io_executor executor, RegistryFeedConfig config,
                           TapProof& proof, telemetry::MetricsRegistry* metrics)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(config), proof, metrics)) {}
RegistryFeed::~RegistryFeed() { impl_->stopping = true; }

void RegistryFeed::start() {
  impl_->tasks.supervise(
      "identities", [impl = impl_.get()] { return impl->keep_following(); },
      [impl = impl_](const Result<void>&) {});
}

asio::awaitable<void> RegistryFeed::stop() {
  const auto impl = impl_;
  impl->stopping = true;
  impl->ending.request();
  if (impl->connection) impl->connection->cut();
  co_await impl->tasks.wait(kFeedEndLimit);
}

}  // namespace sidetap::collector
