// A server that answers what a test says, or nothing, and the HTTPS client.
#pragma once

#include <functional>
#include <sstream>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/async/task_group.h"
#include "shared/http/https_connection.h"
#include "tests/support/certificates.h"
#include "tests/support/tls_peer.h"

namespace sidetap::http {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;
using testing_support::TlsPeer;
using testing_support::TlsPeerServer;

inline constexpr milliseconds kLong{10'000};
inline constexpr milliseconds kShort{300};
inline const HttpsRequest kGet{.method = "GET", .target = "/x?y=1", .host = "server"};

inline std::string of_length(const std::string& body, const std::string& more = "") {
  return "HTTP/1.1 200 OK\r\n" + more + "Content-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}
inline std::string chunk(const std::string& text) {
  std::ostringstream out;
  out << std::hex << text.size() << "\r\n" << text << "\r\n";
  return out.str();
}
/// More than a connection accepts while its server does not read.
inline const HttpsRequest& large_request() {
  static const std::string body(32u << 20, 'x');
  static const HttpsRequest request{.method = "PUT",
                                    .target = "/x",
                                    .host = "server",
                                    .content_type = "text/plain",
                                    .body = body};
  return request;
}
inline void read_nothing(TlsPeer& peer) {
  std::this_thread::sleep_for(milliseconds(700));
  peer.wait_for_end();
}
inline const std::string kChunkedHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Texts describe the outcome of an operation: "", "200 BODY", or its error.
class HttpsConnectionTest : public testing::Test {
 protected:
  ~HttpsConnectionTest() override {
    connection_.reset();
    server_.reset();
  }
  /// A server that answers the first request with these bytes and waits for the client to close.
  void serve(std::string bytes) {
    serve_with([bytes = std::move(bytes)](TlsPeer& peer) {
      peer.request();
      peer.send(bytes);
      peer.wait_for_end();
    });
  }
  /// The same, but it closes after them.
  void serve_and_end(std::string bytes, bool in_order) {
    serve_with([bytes = std::move(bytes), in_order](TlsPeer& peer) {
      peer.request();
      if (!bytes.empty()) peer.send(bytes);
      if (in_order) peer.finish();
    });
  }
  void serve_with(TlsPeerServer::Script script) {
    begin(std::move(script));
    ASSERT_EQ(open(), "");
  }
  /// A server, and a connection that is not open yet.
  void begin(TlsPeerServer::Script script) {
    connection_.reset();  // the last server waits for it
    server_ = std::make_unique<TlsPeerServer>(leaf_, std::move(script));
    connection_ = std::make_unique<HttpsConnection>(context_.get_executor());
  }
  std::vector<asio::ip::tcp::endpoint> servers() const {
    return {{asio::ip::make_address("127.0.0.1"), server_->port()}};
  }
  std::string open(milliseconds limit = kLong) { return run(opened(servers(), limit)); }
  std::string ask(const HttpsRequest& request = kGet,
                  std::optional<std::uint64_t> most_body = std::nullopt,
                  milliseconds limit = kLong) {
    return run(asked(request, most_body, limit));
  }
  std::string run(asio::awaitable<std::string> work) {
    std::string outcome;
    const auto store = [&]() -> asio::awaitable<void> { outcome = co_await std::move(work); };
    async::run_to_end(context_, store());
    return outcome;
  }
  asio::awaitable<std::string> opened(std::vector<asio::ip::tcp::endpoint> servers,
                                      milliseconds limit) {
    const auto trust = TlsTrust::make(ca_.certificate);
    const auto result = co_await connection_->open(servers, trust.value(), "127.0.0.1", limit);
    co_return result ? "" : result.error().text;
  }
  asio::awaitable<std::string> asked(HttpsRequest request, std::optional<std::uint64_t> most_body,
                                     milliseconds limit) {
    const auto status = co_await connection_->ask(request, most_body, limit);
    if (!status) co_return status.error().text;
    std::string text = std::to_string(*status) + " ";
    for (bool last = false; !last;) {
      const auto piece = co_await connection_->read(limit);
      if (!piece) co_return text + "| " + piece.error().text;
      text += piece->bytes;
      last = piece->last;
    }
    co_return text;
  }
  /// Where nobody listens.
  asio::ip::tcp::endpoint nobody() {
    const asio::ip::tcp::acceptor acceptor(context_, {asio::ip::make_address("127.0.0.1"), 0});
    return acceptor.local_endpoint();
  }
  /// While something else waits.
  void after(milliseconds time, std::function<void()> what) {
    timer_.expires_after(time);
    timer_.async_wait([what = std::move(what)](const boost::system::error_code&) { what(); });
  }
  testing_support::KeyPair ca_ = testing_support::make_ca("test CA");
  testing_support::KeyPair leaf_ = testing_support::make_leaf(ca_, {"IP:127.0.0.1"});
  asio::io_context context_;
  asio::steady_timer timer_{context_};
  std::unique_ptr<TlsPeerServer> server_;
  std::unique_ptr<HttpsConnection> connection_;
};

}  // namespace sidetap::http
