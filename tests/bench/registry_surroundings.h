// The surroundings of a registry under load: what taps report, what the servers use, an API server
// that knows the taps, and concurrent reviews.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "shared/async/task_group.h"
#include "shared/http/https_connection.h"
#include "shared/http/https_server.h"
#include "shared/http/tls_trust.h"
#include "shared/read_file.h"
#include "shared/read_json.h"

namespace sidetap::bench {

namespace asio = boost::asio;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

/// All that is dialled is here, and its certificate is for this name.
constexpr const char* kHere = "127.0.0.1";
inline tcp::endpoint here(std::uint16_t port) { return {asio::ip::address_v4::loopback(), port}; }

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

/// A report as long as that of a usual tap.
inline std::string report_text(std::uint64_t packets) {
  const std::string count = std::to_string(packets), bytes = std::to_string(packets * 800);
  return R"({"type":"report","release":"1.2.0","profile":"","generation":1,"following":true,)"
         R"("interfaces":[{"name":"eth0","capturing":true}],"sensors":[)"
         R"({"sensor":"192.0.2.1:2003","state":"capturing","reason":""}],"counts":{"seen":)" +
         count + R"(,"seen_bytes":)" + bytes + R"(,"owned":)" + count + R"(,"owned_bytes":)" +
         bytes + R"(,"forwarded":)" + count + R"(,"forwarded_bytes":)" + bytes +
         R"(,"filtered":0},"lost":{"kernel_ring":0,"too_slow":0,"no_session":0,"backlog":0}})";
}

/// The server's resident memory in MiB and processor time in seconds.
struct Usage {
  double memory = 0;
  double processor = 0;
};
inline Usage usage_of(int pid) {
  Usage usage;
  const std::string folder = "/proc/" + std::to_string(pid);
  std::string word;
  for (std::ifstream status(folder + "/status"); status >> word;) {
    if (word == "VmRSS:") {
      status >> usage.memory;
      usage.memory /= 1024;
    }
  }
  std::ifstream stat(folder + "/stat");
  std::string line;
  std::getline(stat, line);
  std::istringstream fields(line.substr(std::min(line.rfind(')') + 2, line.size())));
  std::vector<std::string> values{std::istream_iterator<std::string>(fields), {}};
  if (values.size() > 12) {
    usage.processor = (std::stod(values[11]) + std::stod(values[12])) /
                      static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  return usage;
}

/// An API server that knows every tap's token, and its pod.
class FakeApi {
 public:
  FakeApi(std::uint16_t port, const std::string& certificate, const std::string& key) {
    tls_.replace({read_file(certificate).value(), read_file(key).value()}).value();
    server_.emplace(net::HostPort{kHere, port}, 1, http::ServerLimits{}, tls_, answer);
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
    nlohmann::json review = read_json(request.body).value();
    const std::string token = review["spec"]["token"];
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
  /// The server at `port` must be one that `trust` knows.
  Reviews(std::uint16_t port, std::string review, std::shared_ptr<const http::TlsTrust> trust)
      : port_(port), review_(std::move(review)), trust_(std::move(trust)) {}
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
    asio::io_context context(1);
    http::HttpsConnection connection(context.get_executor());
    async::run_to_end(context, ask_on(connection));
  }
  asio::awaitable<void> ask_on(http::HttpsConnection& connection) {
    constexpr std::chrono::milliseconds kLimit(30'000);
    const std::vector<tcp::endpoint> servers = {here(port_)};
    const Result<void> opened = co_await connection.open(servers, trust_, kHere, kLimit);
    opened.value();
    const http::HttpsRequest request{.method = "POST",
                                     .target = "/inject/pod",
                                     .host = "webhook",
                                     .content_type = "application/json",
                                     .body = review_};
    while (running_) {
      const auto start = Clock::now();
      const Result<unsigned> status = co_await connection.ask(request, std::nullopt, kLimit);
      if (status.value() != 200) throw std::runtime_error("a review was not answered");
      for (bool whole = false; !whole;) {
        const Result<http::BodyPiece> piece = co_await connection.read(kLimit);
        whole = piece.value().last;
      }
      taken_.push_back(seconds_since(start));
      std::this_thread::sleep_until(start + std::chrono::milliseconds(20));
    }
  }

  const std::uint16_t port_;
  const std::string review_;
  const std::shared_ptr<const http::TlsTrust> trust_;
  std::atomic<bool> running_{false};
  std::vector<double> taken_;  // the thread's, while it runs
  std::thread thread_;
};

}  // namespace sidetap::bench
