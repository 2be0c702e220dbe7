#include "shared/http/status_server.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/raw_client.h"
#include "tests/support/sanitizer.h"

namespace sidetap::http {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testing_support::ask;
using testing_support::RawClient;

class StatusServerTest : public testing::Test {
 protected:
  StatusServerTest() {
    StatusHandlers handlers;
    handlers.fault = [this] { return std::string(hangs_ ? "a thread hangs" : ""); };
    handlers.ready = [this] { return ready_.load(); };
    handlers.metrics = [] { return std::string("sidetap_things_total 3\n"); };
    server_ = std::make_unique<StatusServer>(context_.get_executor(), net::HostPort{"127.0.0.1", 0},
                                             std::move(handlers));
    port_ = server_->start().value();
    thread_ = std::thread([this] { context_.run(); });
  }
  ~StatusServerTest() override {
    server_->stop();
    thread_.join();  // Returns only when nothing is left behind.
  }
  std::string get(const std::string& target) {
    return ask(port_, "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
  }

  boost::asio::io_context context_;
  std::atomic<bool> ready_{false};
  std::atomic<bool> hangs_{false};
  std::unique_ptr<StatusServer> server_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

TEST_F(StatusServerTest, IsHealthyWhileItRuns) {
  EXPECT_THAT(get("/healthz"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(StatusServerTest, SaysWhyItIsNotHealthy) {
  hangs_ = true;
  const std::string answer = get("/healthz");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(answer, HasSubstr("a thread hangs"));
  EXPECT_THAT(get("/readyz"), Not(HasSubstr("a thread hangs")));
  hangs_ = false;
  EXPECT_THAT(get("/healthz"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(StatusServerTest, ReadinessFollowsTheProgram) {
  EXPECT_THAT(get("/readyz"), StartsWith("HTTP/1.1 503 "));
  ready_ = true;
  EXPECT_THAT(get("/readyz?verbose"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(StatusServerTest, GivesMetricsWithTheirContentType) {
  const std::string answer = get("/metrics");
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(answer, HasSubstr("\r\n\r\nsidetap_things_total 3\n"));
}

TEST_F(StatusServerTest, HeadHasNoBody) {
  const std::string answer = ask(port_, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 23\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("sidetap_things_total")));
}

TEST_F(StatusServerTest, RefusesWhatItDoesNotServe) {
  EXPECT_THAT(get("/etc/passwd"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(ask(port_, "POST /healthz HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"),
              StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(ask(port_, "\x16\x03\x01 this is no HTTP\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(StatusServerTest, RefusesALargeHeader) {
  const std::string large(5000, 'a');
  EXPECT_THAT(ask(port_, "GET /" + large + " HTTP/1.1\r\nHost: x\r\n\r\n"),
              Not(StartsWith("HTTP/1.1 200")));
  EXPECT_THAT(get("/healthz"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(StatusServerTest, HoardedConnectionsDoNotKeepProbesOut) {
  std::vector<std::unique_ptr<RawClient>> hoard;
  for (int i = 0; i < 100; ++i) {
    hoard.push_back(std::make_unique<RawClient>(port_));
    hoard.back()->send("GET /heal");
  }
  EXPECT_THAT(get("/healthz"), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(hoard.front()->read_all(), "");  // The oldest was ended.
}

TEST_F(StatusServerTest, StopEndsOpenConnections) {
  RawClient client(port_);
  client.send("GET /healthz HT");
  EXPECT_THAT(get("/healthz"), StartsWith("HTTP/1.1 200 "));  // The first has been accepted.
  server_->stop();
  EXPECT_EQ(client.read_all(), "");
}

/// Few files may be open while it lives. What is connected must be so before.
class FilesLeft {
 public:
  explicit FilesLeft(rlim_t files) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    // The number of the next file; those below are in use.
    const int next = ::open("/dev/null", O_RDONLY);
    ::close(next);
    const rlimit few{static_cast<rlim_t>(next) + files, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
  }
  ~FilesLeft() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  FilesLeft(const FilesLeft&) = delete;
  FilesLeft& operator=(const FilesLeft&) = delete;

 private:
  rlimit before_{};
};

class StatusServerWithFewFiles : public testing::Test {
 protected:
  void SetUp() override {
    if (testing_support::kSanitizerNeedsDescriptors) GTEST_SKIP() << "UBSan needs descriptors";
  }
  ~StatusServerWithFewFiles() override {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }
  std::unique_ptr<RawClient> client(const std::string& bytes) {
    auto client = std::make_unique<RawClient>(port_);
    client->send(bytes);
    return client;
  }
  std::unique_ptr<RawClient> probe() { return client("GET /healthz HTTP/1.1\r\n\r\n"); }
  void run() {
    thread_ = std::thread([this] { context_.run(); });
  }

  boost::asio::io_context context_;
  StatusServer server_{context_.get_executor(), {"127.0.0.1", 0}, {}};
  const std::uint16_t port_ = server_.start().value();
  std::thread thread_;
};

TEST_F(StatusServerWithFewFiles, HoardedConnectionsDoNotKeepProbesOut) {
  std::vector<std::unique_ptr<RawClient>> hoard;
  for (int i = 0; i < 64; ++i) hoard.push_back(client("GET /heal"));
  const auto last = probe();
  const FilesLeft few(8);
  run();
  EXPECT_THAT(last->read_all(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(StatusServerWithFewFiles, AProbeIsAnsweredWhereOthersHaveTakenEveryFile) {
  const auto first = probe();
  const auto second = probe();
  const FilesLeft none(0);
  run();
  EXPECT_THAT(first->read_all(), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(second->read_all(), StartsWith("HTTP/1.1 200 "));
}

TEST(StatusServerStart, SaysWhichAddressItCannotHave) {
  boost::asio::io_context context;
  StatusServer first(context.get_executor(), {"127.0.0.1", 0}, {});
  const std::uint16_t port = first.start().value();
  StatusServer second(context.get_executor(), {"127.0.0.1", port}, {});
  const auto failed = second.start();
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().text, HasSubstr("127.0.0.1:" + std::to_string(port)));
}

TEST(StatusServerStart, AnEmptyHostIsEveryAddress) {
  boost::asio::io_context context;
  StatusServer server(context.get_executor(), {"", 0}, {});
  const std::uint16_t port = server.start().value();
  std::thread thread([&] { context.run(); });
  EXPECT_THAT(ask(port, "GET /readyz HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(ask(port, "GET /metrics HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  server.stop();
  thread.join();
}

}  // namespace
}  // namespace sidetap::http
