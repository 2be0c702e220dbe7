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
#include <string>

#include <boost/asio/awaitable.hpp>

#include "shared/async/backoff.h"
#include "shared/kube/client.h"

namespace sidetap::kube {

struct ReflectorConfig {
  std::string path;        ///< Of the resource in all namespaces: "/api/v1/services".
  std::size_t page = 100;  ///< Objects of one answer to a list.
  /// Bookmarks come about once a minute: a watch that is silent for longer is dead.
  std::chrono::milliseconds silence{90'000};
  /// After so long the server is asked to end the watch, which then goes on where it was.
  std::chrono::seconds watch{300};
  /// Before another attempt, as async::Backoff. Ten times the least is what a watch has to stand
  /// for, to be taken as one that works: one that ends sooner counts as a failure, however it ends.
  async::BackoffBounds wait;
  /// Of one list. A server that never comes to the last page is given up.
  std::size_t most_pages = 5'000;
};

/// What there is to know, in this order. Called on the client's executor. What one of them throws
/// is a failure of the list or the watch: then `fallen` is told, and nothing is taken as told.
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

  /// Does not end by itself: cancel it. Can be called anew when it has thrown, which it does only
  /// where `fallen` does.
  boost::asio::awaitable<void> run();

 private:
  struct Page {
    std::string version;
    std::string next;  // token; empty: it is the last
  };
  boost::asio::awaitable<Result<void>> list_and_watch();
  boost::asio::awaitable<Result<void>> list();
  boost::asio::awaitable<Result<Page>> list_page(const std::string& token);
  boost::asio::awaitable<Result<void>> watch();
  bool take(const nlohmann::json& event);

  Client client_;
  const ReflectorConfig config_;
  const ReflectorEvents events_;
  std::string version_;                 // empty: a list is due
  std::string refused_;                 // what an ERROR event said
  std::chrono::milliseconds stood_{0};  // the last watch, if the server agreed to it
  async::Backoff backoff_;
  async::Chance chance_;
};

}  // namespace sidetap::kube
