#include "webhook/page/page_server.h"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/raw_client.h"
#include "tests/unit/webhook_page/page_view.h"

namespace sidetap::webhook::page {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testing_support::ask;

class PageServerTest : public testing::Test {
 protected:
  explicit PageServerTest(std::chrono::milliseconds fresh = std::chrono::minutes(1)) {
    taps_.connect("web", true);
    PageConfig config;
    config.listen = {"127.0.0.1", 0};
    config.with_view = [this](const std::function<void(const registry::View&)>& use) {
      ++asked_;
      const std::scoped_lock lock(mutex_);
      if (answers_) use(taps_.view());
    };
    config.fresh = fresh;
    config.patience = std::chrono::milliseconds(100);
    server_ = std::make_unique<PageServer>(std::move(config));
    port_ = server_->start().value();
  }
  std::string request(const std::string& method, const std::string& target,
                      const std::string& host = "localhost:8446", const std::string& more = "") {
    return ask(port_,
               method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + more + "\r\n");
  }
  std::string get(const std::string& target) { return request("GET", target); }

  std::mutex mutex_;
  PageView taps_;
  std::atomic<int> asked_{0};
  std::atomic<bool> answers_{true};
  std::unique_ptr<PageServer> server_;
  std::uint16_t port_ = 0;
};

TEST_F(PageServerTest, ServesThePageUnderAStrictPolicy) {
  const std::string answer = get("/");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/html; charset=utf-8\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Security-Policy: default-src 'none'; script-src 'self';"));
  EXPECT_THAT(answer, HasSubstr("frame-ancestors 'none'\r\n"));
  EXPECT_THAT(answer, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
  EXPECT_THAT(answer, HasSubstr("Referrer-Policy: no-referrer\r\n"));
  EXPECT_THAT(answer, HasSubstr("<main id=\"main\""));
}

TEST_F(PageServerTest, FilesHaveTheirTypesAndAreAskedForOnce) {
  const std::string answer = get("/app.js?x");
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/javascript"));
  EXPECT_THAT(get("/style.css"), HasSubstr("Content-Type: text/css"));
  EXPECT_THAT(get("/icon.svg"), HasSubstr("Content-Type: image/svg+xml"));
  const auto from = answer.find("ETag: ") + 6;
  const std::string etag = answer.substr(from, answer.find("\r\n", from) - from);
  const std::string again =
      request("GET", "/app.js", "localhost", "If-None-Match: " + etag + "\r\n");
  EXPECT_THAT(again, StartsWith("HTTP/1.1 304 "));
  EXPECT_THAT(again, testing::EndsWith("\r\n\r\n"));
}

TEST_F(PageServerTest, AnswersAreNotStored) {
  for (const char* path : {"/api/overview", "/api/taps", "/api/taps/shop/web", "/api/services",
                           "/api/flows", "/api/coverage"}) {
    const std::string answer = get(path);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n")) << path;
    EXPECT_THAT(answer, HasSubstr("Content-Type: application/json\r\n")) << path;
    EXPECT_THAT(answer, HasSubstr("Cache-Control: no-store\r\n")) << path;
    EXPECT_THAT(answer, HasSubstr("Content-Security-Policy: ")) << path;
    EXPECT_THAT(answer, Not(HasSubstr("Access-Control"))) << path;
  }
}

TEST_F(PageServerTest, ATerminalGetsLines) {
  for (const char* path : {"/api/status", "/api/status/shop", "/api/status/shop/web"}) {
    const std::string answer = get(path);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n")) << path;
    EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; charset=utf-8\r\n")) << path;
    EXPECT_THAT(answer, HasSubstr("\ntap\tshop\tweb\t")) << path;
  }
  EXPECT_THAT(get("/api/status/other"), Not(HasSubstr("\ntap\t")));
}

TEST_F(PageServerTest, HeadHasNoBody) {
  const std::string answer = request("HEAD", "/api/overview");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, testing::EndsWith("\r\n\r\n"));
}

TEST_F(PageServerTest, NothingCanBeChanged) {
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
    EXPECT_THAT(request(method, "/api/overview"), StartsWith("HTTP/1.1 405 ")) << method;
  }
}

TEST_F(PageServerTest, WhatIsNotThereIsNotFound) {
  for (const char* path : {"/etc/passwd", "/api", "/api/taps/", "/api/taps/shop",
                           "/api/taps/shop/db", "/api/taps/%zz/web", "/../app.js", "/api/status/",
                           "/api/status/%zz", "/api/status//web", "/api/statusshop"}) {
    EXPECT_THAT(get(path), StartsWith("HTTP/1.1 404 ")) << path;
  }
  EXPECT_THAT(get("/api/taps/sho%70/web"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(PageServerTest, AForeignHostIsRefused) {
  EXPECT_THAT(request("GET", "/", "evil.example"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(request("GET", "/api/taps", "evil.example:8446"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(ask(port_, "GET / HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.1 403 "));
}

TEST(PageHost, IsALoopbackNameOrTheConfiguredHost) {
  const net::HostPort loopback{"127.0.0.1", 8446};
  for (const char* host :
       {"localhost", "LOCALHOST:1234", "127.0.0.1:8446", "127.1.2.3", "[::1]:8446"}) {
    EXPECT_TRUE(is_own_host(host, loopback)) << host;
  }
  for (const char* host : {"", "localhost.evil.example", "10.0.0.5:8446", "127.0.0.1.evil.example",
                           "[fe80::1]", "localhost:x", "2130706433"}) {
    EXPECT_FALSE(is_own_host(host, loopback)) << host;
  }
  EXPECT_TRUE(is_own_host("Page.example:8446", {"page.example", 8446}));
  EXPECT_FALSE(is_own_host("page.example", {"", 8446}));
}

TEST_F(PageServerTest, ManyPagesCostWhatOneDoes) {
  for (int i = 0; i < 10; ++i) get("/api/overview");
  EXPECT_EQ(asked_.load(), 1);
  get("/api/taps");
  EXPECT_EQ(asked_.load(), 2);
}

class PageServerWithoutCache : public PageServerTest {
 protected:
  PageServerWithoutCache() : PageServerTest(std::chrono::milliseconds(0)) {}
};

TEST_F(PageServerWithoutCache, AnOldAnswerIsMadeAnew) {
  EXPECT_THAT(get("/api/taps"), Not(HasSubstr("\"db\"")));
  {
    const std::scoped_lock lock(mutex_);
    taps_.connect("db", false);
  }
  EXPECT_THAT(get("/api/taps"), HasSubstr("\"db\""));
}

TEST_F(PageServerTest, ARegistryThatDoesNotAnswerIsSaidAndAskedAgain) {
  answers_ = false;
  EXPECT_THAT(get("/api/overview"), StartsWith("HTTP/1.1 503 "));
  answers_ = true;
  EXPECT_THAT(get("/api/overview"), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(asked_.load(), 2);
}

TEST_F(PageServerTest, HoardedConnectionsDoNotKeepThePageOut) {
  std::vector<std::unique_ptr<testing_support::RawClient>> hoard;
  for (int i = 0; i < 100; ++i) {
    hoard.push_back(std::make_unique<testing_support::RawClient>(port_));
    hoard.back()->send("GET /api");
  }
  EXPECT_THAT(get("/"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(PageServerTest, StopEndsWhatWaits) {
  answers_ = false;
  testing_support::RawClient client(port_);
  client.send("GET /api/overview HTTP/1.1\r\nHost: localhost\r\n\r\n");
  server_->stop();
  SUCCEED() << "the thread has ended";
}

}  // namespace
}  // namespace sidetap::webhook::page
