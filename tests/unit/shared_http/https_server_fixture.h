// An HttpsServer that echoes, for tests: /throw throws, /wait holds its thread until release_.
#pragma once

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/http/https_server.h"
#include "tests/support/tls_client.h"

namespace sidetap::http {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testing_support::ask_tls;
using testing_support::KeyPair;
using testing_support::make_ca;
using testing_support::make_leaf;
using testing_support::RawClient;
using testing_support::TlsClient;
using testing_support::TlsClientOptions;

inline std::string post(const std::string& body, const std::string& more = "") {
  return "POST /echo HTTP/1.1\r\nHost: x\r\n" + more +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

class HttpsServerTest : public testing::Test {
 protected:
  void serve(ServerLimits limits = {}, unsigned threads = 2) {
    ASSERT_TRUE(tls_.replace(material_));
    server_ = std::make_unique<HttpsServer>(
        net::HostPort{"127.0.0.1", 0}, threads, limits, tls_, [this](HttpRequest request) {
          if (request.target == "/throw") throw std::runtime_error("thrown");
          while (request.target == "/wait" && !release_) std::this_thread::yield();
          if (request.target == "/other") others_after_ = handled_.load();
          ++handled_;
          return HttpAnswer{200, "text/plain", {}, "got " + request.body};
        });
    port_ = server_->start().value();
  }
  void expect_closed_without_a_word(TlsClient& client) { EXPECT_EQ(client.read_all(), ""); }
  void expect_alive() {
    EXPECT_THAT(ask_tls(port_, post("alive", "Connection: close\r\n")), EndsWith("got alive"));
  }
  /// The counters may lag slightly behind what the client sees.
  template <typename Condition>
  void eventually(Condition condition) {
    for (int i = 0; i < 5000 && !condition(); ++i) {
      std::this_thread::sleep_for(milliseconds(2));
    }
    EXPECT_TRUE(condition());
  }
  /// One client has its answer; the request of the other waits for release_.
  void keep_idle_and_busy(TlsClient& idle, TlsClient& busy) {
    idle.send(post("one"));
    idle.read_answer();
    busy.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    eventually([&] { return server_->counters().in_flight == 1; });
  }

  KeyPair ca_ = make_ca("test CA");
  KeyPair leaf_ = make_leaf(ca_, {"IP:127.0.0.1"});
  TlsMaterial material_{leaf_.certificate, leaf_.key};
  TlsStore tls_;
  std::atomic<bool> release_{false};
  std::atomic<int> handled_{0};
  std::atomic<int> others_after_{-1};  ///< Requests handled before that for /other.
  std::unique_ptr<HttpsServer> server_;
  std::uint16_t port_ = 0;
};

}  // namespace sidetap::http
