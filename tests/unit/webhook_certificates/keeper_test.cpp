#include "webhook/certificates/keeper.h"

#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/async/task_group.h"
#include "shared/http/https_server.h"
#include "tests/support/certificates.h"
#include "webhook/certificates/objects.h"

namespace sidetap::certificates {
namespace {

namespace asio = boost::asio;
using boost::beast::http::verb;
using nlohmann::json;
using std::chrono::milliseconds;
using testing::Each;
using testing::HasSubstr;

constexpr const char* kSecrets = "/api/v1/namespaces/ns/secrets";
constexpr const char* kSecret = "/api/v1/namespaces/ns/secrets/certs";
constexpr const char* kConfiguration =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/sidetap";

/// An API server with two objects, over real connections, with faults on request.
class FakeApiServer {
 public:
  explicit FakeApiServer(const testing_support::KeyPair& leaf) {
    tls_.replace({leaf.certificate, leaf.key}).value();
    server_ = std::make_unique<http::HttpsServer>(
        net::HostPort{"127.0.0.1", 0}, 2, http::ServerLimits{}, tls_,
        [this](const http::HttpRequest& request) { return answer(request); });
    port_ = server_->start().value();
    put(kConfiguration, json::parse(R"({"metadata":{"name":"sidetap"},
        "webhooks":[{"name":"a","clientConfig":{}},{"name":"b","clientConfig":{}}]})"));
  }
  std::uint16_t port() const { return port_; }
  void stop() { server_->stop(); }

  std::optional<json> get(const std::string& path) const {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(path);
    if (found == objects_.end()) return std::nullopt;
    return found->second;
  }
  void put(const std::string& path, json object) {
    const std::lock_guard lock(mutex_);
    object["metadata"]["resourceVersion"] = std::to_string(++version_);
    objects_[path] = std::move(object);
  }
  void remove(const std::string& path) {
    const std::lock_guard lock(mutex_);
    objects_.erase(path);
  }
  /// The next requests get these statuses instead of an answer; 0 means no answer in time.
  void fail(std::deque<unsigned> statuses) {
    const std::lock_guard lock(mutex_);
    faults_ = std::move(statuses);
  }
  /// Called once, before the next request that changes something, to play another replica.
  void before_write(std::function<void()> call) {
    const std::lock_guard lock(mutex_);
    before_write_ = std::move(call);
  }
  /// Every request that changes something gets this status from now on; 0: an answer again.
  void refuse_writes(unsigned status) { refused_with_ = status; }
  /// The next request is answered with this text, as if all were well.
  void answer_with(std::string text) {
    const std::lock_guard lock(mutex_);
    odd_answer_ = std::move(text);
  }
  int writes() const { return writes_; }

 private:
  static http::HttpAnswer status(unsigned code) {
    return {code, "application/json", {}, R"({"kind":"Status","reason":"Made up"})"};
  }
  static http::HttpAnswer ok(unsigned code, const json& object) {
    return {code, "application/json", {}, object.dump()};
  }

  http::HttpAnswer answer(const http::HttpRequest& request) {
    const std::string path(request.target);
    std::function<void()> call;
    {
      const std::lock_guard lock(mutex_);
      if (!faults_.empty()) {
        const unsigned code = faults_.front();
        faults_.pop_front();
        if (code != 0) return status(code);
        std::this_thread::sleep_for(milliseconds(1000));
        return status(500);
      }
      if (!odd_answer_.empty()) {
        return {200, "application/json", {}, std::exchange(odd_answer_, {})};
      }
      if (request.method != verb::get) call = std::exchange(before_write_, nullptr);
    }
    if (call) call();
    const auto present = get(path);
    if (request.method == verb::get) return present ? ok(200, *present) : status(404);
    ++writes_;
    if (refused_with_ != 0) return status(refused_with_);
    if (request.method == verb::post) {
      json object = json::parse(request.body);
      const std::string own = path + "/" + object["metadata"]["name"].get<std::string>();
      if (get(own)) return status(409);
      put(own, object);
      return ok(201, *get(own));
    }
    if (!present) return status(404);
    if (request.method == verb::put) {
      json object = json::parse(request.body);
      if (object["metadata"]["resourceVersion"] != (*present)["metadata"]["resourceVersion"]) {
        return status(409);
      }
      put(path, object);
      return ok(200, *get(path));
    }
    try {
      put(path, present->patch(json::parse(request.body)));
    } catch (const json::exception&) {
      return status(422);
    }
    return ok(200, *get(path));
  }

  http::TlsStore tls_;
  mutable std::mutex mutex_;
  std::map<std::string, json> objects_;
  std::deque<unsigned> faults_;
  std::function<void()> before_write_;
  std::string odd_answer_;
  std::atomic<unsigned> refused_with_{0};
  int version_ = 0;
  std::atomic<int> writes_{0};
  std::unique_ptr<http::HttpsServer> server_;
  std::uint16_t port_ = 0;
};

class KeeperTest : public testing::Test {
 protected:
  /// One more replica. Its states go to served().
  std::unique_ptr<Keeper> replica(milliseconds timeout = milliseconds(5000)) {
    KeeperConfig config{"ns", "certs", {"hook", "registry"}, "sidetap"};
    config.period = milliseconds(5);
    config.backoff = {milliseconds(5), milliseconds(5)};
    return std::make_unique<Keeper>(
        kube::Client(context_.get_executor(),
                     {{"127.0.0.1", api_.port()}, ca_file_, token_file_, "ns"},
                     {timeout, 1u << 20}),
        config,
        [this](const State& state) {
          if (std::exchange(serve_throws_, false)) throw std::runtime_error("cannot serve it");
          served_.push_back(state);
        },
        [this] { return now_; });
  }
  Result<TimePoint> reconcile(Keeper& keeper) {
    std::optional<Result<TimePoint>> result;
    const auto look = [&]() -> asio::awaitable<void> {
      result.emplace(co_await keeper.reconcile());
    };
    async::run_to_end(context_, look());
    return *result;
  }
  State stored() const { return state_of_secret(api_.get(kSecret).value()); }
  /// caBundle of every entry, decoded by way of the patch that would make it so.
  bool bundle_is(const std::string& bundle) const {
    return bundle_patch(api_.get(kConfiguration).value(), bundle).is_null();
  }
  std::string metrics(const Keeper& keeper) const {
    telemetry::MetricsRegistry registry;
    keeper.expose(registry);
    return registry.text();
  }

  testing_support::KeyPair ca_ = testing_support::make_ca("API");
  testing_support::TemporaryFolder folder_;
  std::string ca_file_ = folder_.write("ca.crt", ca_.certificate);
  std::string token_file_ = folder_.write("token", "me");
  FakeApiServer api_{testing_support::make_leaf(ca_, {"IP:127.0.0.1"})};
  TimePoint now_ = Clock::now();
  std::vector<State> served_;
  bool serve_throws_ = false;
  asio::io_context context_;
};

TEST_F(KeeperTest, MakesTheSecretAndTheBundleWhereThereIsNothing) {
  const auto keeper = replica();
  EXPECT_FALSE(keeper->published());
  const auto due = reconcile(*keeper);
  ASSERT_TRUE(due) << due.error().text;
  EXPECT_GT(*due, now_ + std::chrono::hours(24 * 50));
  EXPECT_TRUE(keeper->published());
  EXPECT_EQ(served_.back(), stored());
  EXPECT_TRUE(bundle_is(stored().bundle()));
  EXPECT_THAT(read_facts(stored().leaf.certificate)->dns_names,
              testing::IsSupersetOf({"hook.ns.svc", "registry.ns.svc"}));
  EXPECT_EQ(api_.get(kSecret).value()["type"], "kubernetes.io/tls");
}

TEST_F(KeeperTest, WritesNothingWhenAllIsWell) {
  const auto keeper = replica();
  ASSERT_TRUE(reconcile(*keeper));
  const int writes = api_.writes();
  ASSERT_TRUE(reconcile(*keeper));
  ASSERT_TRUE(reconcile(*replica()));
  EXPECT_EQ(api_.writes(), writes);
  EXPECT_THAT(served_, Each(stored()));
}

TEST_F(KeeperTest, UsesASecretThatTheChartMadeEmpty) {
  api_.put(kSecret, {{"metadata", {{"name", "certs"}, {"labels", {{"theirs", "stays"}}}}}});
  ASSERT_TRUE(reconcile(*replica()));
  EXPECT_FALSE(stored().leaf.empty());
  EXPECT_EQ(api_.get(kSecret).value()["metadata"]["labels"]["theirs"], "stays");
}

TEST_F(KeeperTest, WhoLosesTheRaceToCreateTakesTheWinnersCertificates) {
  const auto winner = replica();
  const auto loser = replica();
  json made;
  {
    ASSERT_TRUE(reconcile(*winner));
    made = api_.get(kSecret).value();
    api_.remove(kSecret);
  }
  api_.before_write([&] { api_.put(kSecret, made); });
  ASSERT_TRUE(reconcile(*loser));
  EXPECT_EQ(stored(), state_of_secret(made));
  EXPECT_EQ(served_.back(), state_of_secret(made));
  EXPECT_THAT(metrics(*loser), HasSubstr("sidetap_webhook_certificate_conflicts_total 1"));
}

TEST_F(KeeperTest, WhoLosesTheRaceToRenewTakesTheWinnersLeaf) {
  const auto keeper = replica();
  ASSERT_TRUE(reconcile(*keeper));
  now_ += std::chrono::hours(24 * 61);
  const State renewed =
      carry_out(Step::kIssueLeaf, stored(), service_names({"hook", "registry"}, "ns"), now_, {})
          .value();
  api_.before_write([&] { api_.put(kSecret, with_state(api_.get(kSecret).value(), renewed)); });
  ASSERT_TRUE(reconcile(*keeper));
  EXPECT_EQ(stored(), renewed);
  EXPECT_EQ(served_.back(), renewed);
}

TEST_F(KeeperTest, PutsABundleRightThatSomebodyChanged) {
  const auto keeper = replica();
  ASSERT_TRUE(reconcile(*keeper));
  json configuration = api_.get(kConfiguration).value();
  configuration["webhooks"][1]["clientConfig"]["caBundle"] = "eA==";
  api_.put(kConfiguration, configuration);
  ASSERT_TRUE(reconcile(*keeper));
  EXPECT_TRUE(bundle_is(stored().bundle()));
}

TEST_F(KeeperTest, APatchOfAnObjectThatHasChangedIsTriedOnTheNewOne) {
  const auto keeper = replica();
  ASSERT_TRUE(reconcile(*keeper));
  json configuration = api_.get(kConfiguration).value();
  configuration["webhooks"][0]["clientConfig"]["caBundle"] = "eA==";
  api_.put(kConfiguration, configuration);
  api_.before_write([&] {
    json entry = {{"name", "new"}, {"clientConfig", json::object()}};
    configuration["webhooks"].insert(configuration["webhooks"].begin(), std::move(entry));
    api_.put(kConfiguration, configuration);
  });
  ASSERT_TRUE(reconcile(*keeper));
  EXPECT_EQ(api_.get(kConfiguration).value()["webhooks"].size(), 3u);
  EXPECT_TRUE(bundle_is(stored().bundle()));
}

TEST_F(KeeperTest, AnAuthorityIsReplacedWithItsOverlaps) {
  const auto keeper = replica();
  ASSERT_TRUE(reconcile(*keeper));
  const std::string first = stored().authority.certificate;
  now_ += std::chrono::hours(24 * 365 * 4);
  ASSERT_TRUE(reconcile(*keeper));
  EXPECT_EQ(stored().bundle(), first + stored().next.certificate);
  EXPECT_TRUE(bundle_is(stored().bundle()));
  now_ += std::chrono::hours(1);
  ASSERT_TRUE(reconcile(*keeper));
  EXPECT_EQ(stored().previous, first);
  now_ += std::chrono::hours(1);
  ASSERT_TRUE(reconcile(*keeper));
  EXPECT_EQ(stored().previous, "");
  EXPECT_NE(stored().authority.certificate, first);
  EXPECT_TRUE(bundle_is(stored().authority.certificate));
}

TEST_F(KeeperTest, RefusalsAreNamedAndLeaveEverythingAsItIs) {
  const auto keeper = replica();
  for (const unsigned status : {401u, 403u, 500u, 503u}) {
    api_.fail({status});
    const auto failed = reconcile(*keeper);
    ASSERT_FALSE(failed);
    EXPECT_THAT(failed.error().text, HasSubstr(std::to_string(status) + " Made up"));
    EXPECT_THAT(failed.error().text, HasSubstr(kSecret));
  }
  EXPECT_EQ(api_.writes(), 0);
  EXPECT_TRUE(served_.empty());
  EXPECT_THAT(metrics(*keeper), HasSubstr("sidetap_webhook_certificate_failures_total 4"));
}

TEST_F(KeeperTest, WithoutItsConfigurationItServesButHasNotPublished) {
  api_.remove(kConfiguration);
  const auto keeper = replica();
  const auto failed = reconcile(*keeper);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().text, HasSubstr("MutatingWebhookConfiguration sidetap: 404"));
  EXPECT_FALSE(served_.empty());
  EXPECT_FALSE(keeper->published());
}

TEST_F(KeeperTest, ASlowApiServerIsGivenUp) {
  const auto keeper = replica(milliseconds(100));
  api_.fail({0});
  EXPECT_FALSE(reconcile(*keeper));
}

TEST_F(KeeperTest, AnApiServerThatIsGoneIsAnError) {
  const auto keeper = replica();
  ASSERT_TRUE(reconcile(*keeper));
  api_.stop();
  EXPECT_FALSE(reconcile(*keeper));
  EXPECT_TRUE(keeper->published());  // What was published stays so.
}

TEST_F(KeeperTest, AnAnswerThatIsNoObjectIsAnError) {
  const auto keeper = replica();
  for (const char* odd : {"[]", "null", "1"}) {
    api_.answer_with(odd);
    const auto failed = reconcile(*keeper);
    ASSERT_FALSE(failed) << odd;
    EXPECT_THAT(failed.error().text, HasSubstr(kSecret));
  }
  EXPECT_EQ(api_.writes(), 0);
  EXPECT_FALSE(keeper->published());
}

TEST_F(KeeperTest, ASecretThatIsMissingAndMayNotBeMadeIsNamedWithTheRemedy) {
  api_.refuse_writes(403);
  const auto keeper = replica();
  const auto failed = reconcile(*keeper);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().text, HasSubstr("403 Made up"));
  EXPECT_THAT(failed.error().text, HasSubstr("helm upgrade"));
  EXPECT_THAT(failed.error().text, HasSubstr("kubectl create secret generic certs"));
}

TEST_F(KeeperTest, AnImmutableSecretIsNamedAsSuch) {
  api_.put(kSecret, {{"metadata", {{"name", "certs"}}}, {"immutable", true}});
  const auto keeper = replica();
  const auto failed = reconcile(*keeper);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().text, HasSubstr("is immutable"));
  EXPECT_EQ(api_.writes(), 0);
}

TEST_F(KeeperTest, AWriteThatIsInvalidIsNoConflict) {
  const auto keeper = replica();
  api_.refuse_writes(422);
  EXPECT_THAT(reconcile(*keeper).error().text, HasSubstr("422 Made up"));
  EXPECT_EQ(api_.writes(), 1);
  api_.refuse_writes(0);
  ASSERT_TRUE(reconcile(*keeper));
  json configuration = api_.get(kConfiguration).value();
  configuration["webhooks"][1]["clientConfig"]["caBundle"] = "eA==";
  api_.put(kConfiguration, configuration);
  api_.refuse_writes(422);
  const int before = api_.writes();
  EXPECT_THAT(reconcile(*keeper).error().text,
              HasSubstr("MutatingWebhookConfiguration sidetap: 422 Made up"));
  EXPECT_EQ(api_.writes(), before + 1);
  EXPECT_THAT(metrics(*keeper), HasSubstr("sidetap_webhook_certificate_conflicts_total 0"));
}

TEST_F(KeeperTest, WhatAReplicaWithAClockAheadHasMadeIsMadeAnewAndCounted) {
  now_ += std::chrono::hours(48);
  ASSERT_TRUE(reconcile(*replica()));
  now_ -= std::chrono::hours(48);
  const State early = stored();
  ASSERT_GT(read_facts(early.leaf.certificate)->not_before, now_);
  const auto keeper = replica();
  ASSERT_TRUE(reconcile(*keeper));
  EXPECT_TRUE(keeper->published());
  EXPECT_LT(read_facts(stored().leaf.certificate)->not_before, now_);
  EXPECT_EQ(served_.back(), stored());
  EXPECT_TRUE(bundle_is(stored().authority.certificate + early.authority.certificate));
  EXPECT_THAT(metrics(*keeper),
              HasSubstr("sidetap_webhook_certificates_out_of_dates_total{where=\"secret\"} 1"));
  ASSERT_TRUE(reconcile(*keeper));
  EXPECT_THAT(metrics(*keeper),
              HasSubstr("sidetap_webhook_certificates_out_of_dates_total{where=\"secret\"} 1"));
}

TEST_F(KeeperTest, AnAnswerNestedWithoutEndIsAnErrorLikeOthers) {
  const auto keeper = replica();
  const std::size_t depth = 60'000;
  api_.answer_with(R"({"metadata":{"name":"certs","x":)" + std::string(depth, '[') +
                   std::string(depth, ']') + "}}");
  const auto failed = reconcile(*keeper);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().text, HasSubstr("nested deeper than 128 levels"));
  EXPECT_EQ(api_.writes(), 0);
  EXPECT_TRUE(reconcile(*keeper));
}

TEST_F(KeeperTest, RunningItTriesAgainUntilItSucceedsAndEndsWhenCancelled) {
  const auto keeper = replica();
  api_.fail({500, 403, 401, 409, 503});
  serve_throws_ = true;
  asio::cancellation_signal cancel;
  bool ended = false;
  asio::co_spawn(context_, keeper->run(),
                 asio::bind_cancellation_slot(cancel.slot(),
                                              [&](const std::exception_ptr&) { ended = true; }));
  while (!keeper->published() && !ended) context_.run_one_for(std::chrono::seconds(10));
  ASSERT_FALSE(ended);
  EXPECT_TRUE(bundle_is(stored().bundle()));
  EXPECT_THAT(metrics(*keeper), HasSubstr("sidetap_webhook_certificate_failures_total 6"));
  cancel.emit(asio::cancellation_type::terminal);
  context_.run();
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace sidetap::certificates
