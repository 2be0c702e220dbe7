// The surroundings of a registry under load: an API server that knows the taps, and concurrent
// reviews.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <nlohmann/json.hpp>

#include "shared/http/https_server.h"

namespace sidetap::bench {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

inline std::string address_of(std::size_t tap) {
  return "10." + std::to_string(tap >> 16) + "." + std::to_string(tap >> 8 & 255) + "." +
         std::to_string(tap & 255);
}

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

inline std::string with(double value, const char* unit) {
  std::ostringstream out;
  out.precision(3);
  out << value << unit;
  return out.str();
}

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// An API server that knows every tap's token, and its pod.
class FakeApi {
 public:
  FakeApi(std::uint16_t port, const std::string& certificate, const std::string& key) {
    tls_.replace({read_file(certificate), read_file(key)}).value();
    server_.emplace(net::HostPort{"127.0.0.1", port}, 1, http::ServerLimits{}, tls_, answer);
    server_->start().value();
  }

 private:
  static http::HttpAnswer answer(const http::HttpRequest& request) {
    constexpr std::string_view kPods = "/api/v1/namespaces/load/pods/tap-";
    if (request.target.starts_with(kPods)) {
      const std::string number(request.target.substr(kPods.size()));
      return {200,
              "application/json",
              {},
              R"({"metadata":{"uid":"tap-)" + number + R"("},"status":{"podIPs":[{"ip":")" +
                  address_of(std::stoul(number)) + R"("}]}})"};
    }
    const std::string token = nlohmann::json::parse(request.body)["spec"]["token"];
    return {201,
            "application/json",
            {},
            R"({"status":{"authenticated":true,"audiences":["sidetap"],"user":{"username":
                "system:serviceaccount:load:default","extra":{
                "authentication.kubernetes.io/pod-name":[")" +
                token + R"("],
                "authentication.kubernetes.io/pod-uid":[")" +
                token + R"("]}}}})"};
  }

  http::TlsStore tls_;
  std::optional<http::HttpsServer> server_;
};

/// Sends reviews, one after another, 50 per second, on its own thread.
class Reviews {
 public:
  Reviews(std::uint16_t port, std::string review) : port_(port), review_(std::move(review)) {}
  ~Reviews() { end(); }

  void begin() {
    taken_.clear();
    running_ = true;
    thread_ = std::thread([this] { run(); });
  }
  /// "p50 1 ms, p99 2 ms" for the reviews since begin().
  std::string end() {
    running_ = false;
    if (thread_.joinable()) thread_.join();
    std::sort(taken_.begin(), taken_.end());
    if (taken_.empty()) return "none";
    return with(taken_[taken_.size() / 2] * 1000, " ms, ") +
           with(taken_[taken_.size() * 99 / 100] * 1000, " ms");
  }

 private:
  void run() {
    asio::io_context context;
    asio::ssl::context tls(asio::ssl::context::tls_client);
    beast::ssl_stream<beast::tcp_stream> stream(context, tls);
    beast::get_lowest_layer(stream).connect(tcp::endpoint(asio::ip::address_v4::loopback(), port_));
    beast::get_lowest_layer(stream).socket().set_option(tcp::no_delay(true));
    stream.handshake(asio::ssl::stream_base::client);
    beast::http::request<beast::http::string_body> request(beast::http::verb::post, "/inject/pod",
                                                           11, review_);
    request.set(beast::http::field::host, "webhook");
    request.set(beast::http::field::content_type, "application/json");
    request.prepare_payload();
    beast::flat_buffer buffer;
    while (running_) {
      const auto start = Clock::now();
      beast::http::write(stream, request);
      beast::http::response<beast::http::string_body> response;
      beast::http::read(stream, buffer, response);
      taken_.push_back(seconds_since(start));
      if (response.result_int() != 200) throw std::runtime_error("a review was not answered");
      std::this_thread::sleep_until(start + std::chrono::milliseconds(20));
    }
  }

  const std::uint16_t port_;
  const std::string review_;
  std::atomic<bool> running_{false};
  std::vector<double> taken_;  // the thread's, while it runs
  std::thread thread_;
};

}  // namespace sidetap::bench
