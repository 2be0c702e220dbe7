// An API server that lists and watches objects, for tests.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "shared/http/https_server.h"
#include "tests/support/certificates.h"

namespace sidetap::webhook::registry {

inline constexpr const char* kServices = "/api/v1/services";
inline constexpr const char* kSlices = "/apis/discovery.k8s.io/v1/endpointslices";
inline constexpr const char* kNodes = "/api/v1/nodes";

/// Lists in pages of one, and watches that end when there was something to tell or after a moment.
class FakeCluster {
 public:
  explicit FakeCluster(const testing_support::KeyPair& leaf) {
    EXPECT_TRUE(tls_.replace({leaf.certificate, leaf.key}));
    start(0);
  }
  void start(std::uint16_t port) {
    server_ = std::make_unique<http::HttpsServer>(
        net::HostPort{"127.0.0.1", port}, 4, http::ServerLimits{}, tls_,
        [this](const http::HttpRequest& request) { return answer(std::string(request.target)); });
    port_ = server_->start().value();
  }
  void stop() { server_.reset(); }
  std::uint16_t port() const { return port_; }

  void put(const char* resource, const std::string& name, nlohmann::json object) {
    change(resource, name, "MODIFIED", std::move(object));
  }
  void remove(const char* resource, const std::string& name) {
    change(resource, name, "DELETED", nlohmann::json());
  }
  /// Without an event: only a list tells.
  void forget_silently(const char* resource, const std::string& name) {
    const std::lock_guard lock(mutex_);
    ++version_;
    objects_[resource].erase(name);
  }
  /// The next watch of each resource is told that its version is too old, by an event or by the
  /// answer's status.
  void expire(bool by_status) {
    const std::lock_guard lock(mutex_);
    expired_ = {kServices, kSlices, kNodes};
    expire_by_status_ = by_status;
  }
  void refuse(bool refusing) {
    const std::lock_guard lock(mutex_);
    refused_.clear();
    if (refusing) refused_ = {kServices, kSlices, kNodes};
  }
  /// The same for one resource.
  void refuse(const char* resource) {
    const std::lock_guard lock(mutex_);
    refused_ = {resource};
  }
  int lists() const { return lists_; }

 private:
  struct Event {
    std::uint64_t version;
    std::string resource;
    nlohmann::json event;
  };

  void change(const char* resource, const std::string& name, const char* type,
              nlohmann::json object) {
    const std::lock_guard lock(mutex_);
    ++version_;
    if (object.is_null()) {
      object = objects_[resource][name];
      objects_[resource].erase(name);
    } else {
      objects_[resource][name] = object;
    }
    object["metadata"]["resourceVersion"] = std::to_string(version_);
    events_.push_back({version_, resource, {{"type", type}, {"object", object}}});
    changed_.notify_all();
  }

  static std::string parameter(const std::string& target, const std::string& name) {
    const auto at = target.find(name + "=");
    if (at == std::string::npos) return "";
    const auto begin = at + name.size() + 1;
    return target.substr(begin, target.find('&', begin) - begin);
  }
  http::HttpAnswer answer(const std::string& target) {
    std::unique_lock lock(mutex_);
    const std::string resource = target.substr(0, target.find('?'));
    if (refused_.contains(resource))
      return {403, "application/json", {}, R"({"reason":"Forbidden"})"};
    if (parameter(target, "watch") == "1") return watch(lock, resource, target);
    ++lists_;
    nlohmann::json body{{"metadata", {{"resourceVersion", std::to_string(version_)}}},
                        {"items", nlohmann::json::array()}};
    const auto& objects = objects_[resource];
    const std::string after = parameter(target, "continue");
    const auto next = after.empty() ? objects.begin() : objects.upper_bound(after);
    if (next != objects.end()) {
      body["items"].push_back(next->second);
      if (std::next(next) != objects.end()) body["metadata"]["continue"] = next->first;
    }
    return {200, "application/json", {}, body.dump()};
  }
  http::HttpAnswer watch(std::unique_lock<std::mutex>& lock, const std::string& resource,
                         const std::string& target) {
    const std::uint64_t from = std::stoull(parameter(target, "resourceVersion"));
    std::string body;
    if (expired_.erase(resource) > 0) {
      if (expire_by_status_) return {410, "application/json", {}, R"({"reason":"Expired"})"};
      return {200,
              "application/json",
              {},
              R"({"type":"ERROR","object":{"code":410,"reason":"Expired"}})"
              "\n"};
    }
    changed_.wait_for(lock, std::chrono::milliseconds(50), [&] {
      body.clear();
      for (const Event& event : events_) {
        if (event.resource == resource && event.version > from) body += event.event.dump() + "\n";
      }
      return !body.empty();
    });
    body += R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":")" +
            std::to_string(version_) + "\"}}}\n";
    return {200, "application/json", {}, body};
  }

  http::TlsStore tls_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::map<std::string, nlohmann::json>> objects_;
  std::vector<Event> events_;
  std::uint64_t version_ = 100;
  std::set<std::string> expired_;
  std::set<std::string> refused_;
  bool expire_by_status_ = false;
  std::atomic<int> lists_{0};
  std::uint16_t port_ = 0;
  std::unique_ptr<http::HttpsServer> server_;
};

}  // namespace sidetap::webhook::registry
