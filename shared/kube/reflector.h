// Follows every object of one resource: lists them, then watches, for as long as it runs.
//
// Source: "Efficient detection of changes" of the API concepts
// (https://kubernetes.io/docs/reference/using-api/api-concepts/): pages with limit and continue,
// a watch from the list's resourceVersion, bookmarks, and 410 Gone for a version that is too old.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "shared/kube/client.h"

namespace sidetap::kube {

struct ReflectorConfig {
  std::string path;        ///< Of the resource in all namespaces: "/api/v1/services".
  std::size_t page = 100;  ///< Objects of one answer to a list.
  /// Bookmarks come about once a minute: a watch that is silent for longer is dead.
  std::chrono::milliseconds silence{90'000};
  /// After so long the server is asked to end the watch, which then goes on where it was.
  std::chrono::seconds watch{300};
  /// Waits between attempts: doubled from one to the next, of which the second half is random.
  std::chrono::milliseconds first_wait{500};
  std::chrono::milliseconds most_wait{30'000};
};

/// What there is to know, in this order. Called on the client's executor.
struct ReflectorEvents {
  /// From here to list_ended() everything is told anew. May come again before it.
  std::function<void()> list_begins;
  std::function<void(const nlohmann::json& object)> present;  ///< Listed, added or changed.
  std::function<void(const nlohmann::json& object)> gone;
  std::function<void()> list_ended;  ///< What has not been told since list_begins() is no more.
  /// The watch stands, so that what was told holds now; or it does not, for the reason given.
  std::function<void()> standing;
  std::function<void(const std::string& reason)> fallen;
};

class Reflector {
 public:
  Reflector(Client client, ReflectorConfig config, ReflectorEvents events);

  /// Does not end by itself: cancel it.
  boost::asio::awaitable<void> run();

 private:
  boost::asio::awaitable<Result<void>> list();
  boost::asio::awaitable<Result<void>> watch();
  bool take(const nlohmann::json& event);
  boost::asio::awaitable<void> pause();

  Client client_;
  const ReflectorConfig config_;
  const ReflectorEvents events_;
  std::string version_;  // empty: a list is due
  std::string refused_;  // what an ERROR event said
  std::chrono::milliseconds wait_;
  std::mt19937_64 random_;
};

}  // namespace sidetap::kube
