// Identifying the pod of a token: what is asked, when, and what is cached.
#include "webhook/registry/authenticator.h"

#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/webhook_registry/server_fixture.h"

namespace sidetap::webhook::registry {
namespace {

using testing::ElementsAre;
using testing::SizeIs;
using Kind = Authenticator::TokenAnswer::Kind;

class AuthenticatorTest : public RegistryServer {
 protected:
  void SetUp() override {
    RegistryServer::SetUp();
    serve_with_tokens();
  }
  void make(AuthenticatorConfig config, ApiQueueConfig queue = {}) {
    queue_.emplace(context_.get_executor(), *credentials_, queue, metrics_);
    authenticator_.emplace(*queue_, std::move(config));
  }
  void ask(const char* source, const std::string& token) {
    ask({ip(source), [] { return true; }}, token);
  }
  void ask(Asker by, const std::string& token) {
    const auto work = [](Authenticator& authenticator, Asker asker, std::string text,
                         std::vector<Kind>& kinds) -> asio::awaitable<void> {
      const auto answer = co_await authenticator.identify(std::move(asker), std::move(text));
      kinds.push_back(answer.kind);
    };
    asio::co_spawn(context_, work(*authenticator_, std::move(by), token, kinds_),
                   [this](const std::exception_ptr& fault) { failed_ += fault != nullptr; });
  }
  void run() {
    context_.run_for(std::chrono::seconds(20));
    context_.restart();
  }

  asio::io_context context_;
  std::optional<ApiQueue> queue_;
  std::optional<Authenticator> authenticator_;
  std::vector<Kind> kinds_;
  int failed_ = 0;
};

TEST_F(AuthenticatorTest, ATokenThatIsGoodForNothingIsNotRememberedForLong) {
  make({.remember_refused = std::chrono::seconds(0)});
  for (const char* token : {"good", "good", "bad", "bad", "user", "user"}) {
    ask("10.0.0.1", token);
    run();
  }
  EXPECT_EQ(kinds_, std::vector(6, Kind::kAnswered));
  EXPECT_EQ(api_requests_, 5);
}

TEST_F(AuthenticatorTest, TokensThatAreGoodForNothingDoNotPushOutGoodOnes) {
  make({.most_remembered = 3});
  for (const char* token : {"good", "bad-1", "bad-2", "bad-3", "good"}) {
    ask("10.0.0.1", token);
    run();
  }
  EXPECT_EQ(api_requests_, 4);
}

TEST_F(AuthenticatorTest, AQuestionThatThrowsCostsNoConnectionToTheApiServer) {
  make({}, {.connections = 1});
  for (int i = 0; i < 2; ++i) {
    ask({ip("10.0.0.1"), []() -> bool { throw std::runtime_error("no memory"); }}, "good");
    run();
  }
  EXPECT_EQ(failed_, 2);
}

TEST_F(AuthenticatorTest, ManyTokensOfOneAddressDoNotDelayAnothersOne) {
  make({}, {.connections = 1});
  for (int i = 1; i <= 5; ++i) ask("10.0.0.66", "bad-" + std::to_string(i));
  for (int i = 1; i <= 5; ++i) ask("10.0.0.67", "evil-" + std::to_string(i));
  ask("10.0.0.1", "good");
  run();
  EXPECT_THAT(kinds_, SizeIs(11));
  EXPECT_THAT(tokens_asked_for_, ElementsAre("bad-1", "bad-2", "evil-1", "good", "bad-3", "evil-2",
                                             "bad-4", "evil-3", "bad-5", "evil-4", "evil-5"));
}

TEST_F(AuthenticatorTest, WhoHasMostWaitingIsCrowdedOutWhenTooManyWait) {
  make({}, {.connections = 1, .most_waiting = 3});
  for (int i = 1; i <= 5; ++i) ask("10.0.0.66", "bad-" + std::to_string(i));
  ask("10.0.0.1", "good");
  run();
  EXPECT_THAT(tokens_asked_for_, ElementsAre("bad-1", "bad-2", "good", "bad-3"));
  EXPECT_THAT(kinds_, SizeIs(6));
  EXPECT_EQ(std::count(kinds_.begin(), kinds_.end(), Kind::kCrowdedOut), 2);
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_registry_checks_waiting 0"));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_registry_check_wait_seconds_count 4"));
}

TEST_F(AuthenticatorTest, TheEndLeavesNobodyWaiting) {
  token_hangs_ = true;
  make({}, {.connections = 1});
  for (int i = 1; i <= 5; ++i) ask("10.0.0.1", "bad-" + std::to_string(i));
  asio::post(context_, [this] { queue_->stop(); });
  run();
  token_hangs_ = false;
  EXPECT_THAT(kinds_, SizeIs(5));
}

}  // namespace
}  // namespace sidetap::webhook::registry
