#include "shared/kube/reflector.h"

#include <algorithm>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sidetap::kube {
namespace {

namespace asio = boost::asio;
using nlohmann::json;

constexpr unsigned kGone = 410;

const json& member(const json& object, const char* key) {
  static const json kNothing;
  if (!object.is_object()) return kNothing;
  const auto found = object.find(key);
  return found == object.end() ? kNothing : *found;
}

std::string text(const json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

/// A token of the server's own making, as part of a query (RFC 3986, 2.3).
std::string escaped(const std::string& token) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : token) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

}  // namespace

Reflector::Reflector(Client client, ReflectorConfig config, ReflectorEvents events)
    : client_(std::move(client)),
      config_(std::move(config)),
      events_(std::move(events)),
      wait_(config_.first_wait),
      random_(std::random_device{}()) {}

asio::awaitable<void> Reflector::run() {
  for (;;) {
    Result<void> done;
    if (version_.empty()) done = co_await list();
    if (done) done = co_await watch();
    if (done) continue;
    events_.fallen(done.error().text);
    co_await pause();
  }
}

asio::awaitable<void> Reflector::pause() {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  std::uniform_real_distribution<double> part(0.5, 1);
  timer.expires_after(
      std::chrono::duration_cast<asio::steady_timer::duration>(wait_ * part(random_)));
  wait_ = std::min(wait_ * 2, config_.most_wait);
  co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<Result<void>> Reflector::list() {
  events_.list_begins();
  std::string more;
  do {
    std::string path = config_.path + "?limit=" + std::to_string(config_.page);
    if (!more.empty()) path += "&continue=" + escaped(more);
    const auto answer = co_await client_.get(std::move(path));
    if (!answer) co_return answer.error();
    // An expired page (410) is an error like others: the list begins anew after a pause.
    if (!answer->ok()) co_return Error{"list " + config_.path + ": " + answer->describe()};
    const json& items = member(answer->body, "items");
    const json& metadata = member(answer->body, "metadata");
    // An empty list is null where the server is written in Go.
    if (!items.is_array() && !items.is_null())
      co_return Error{"list " + config_.path + ": no items"};
    for (const json& item : items) events_.present(item);
    more = text(member(metadata, "continue"));
    version_ = text(member(metadata, "resourceVersion"));
    if (version_.empty()) co_return Error{"list " + config_.path + ": no resourceVersion"};
    // Until the last page the version is of no use.
    if (!more.empty()) version_.clear();
  } while (!more.empty());
  events_.list_ended();
  co_return Result<void>{};
}

bool Reflector::take(const json& event) {
  const std::string type = text(member(event, "type"));
  const json& object = member(event, "object");
  if (type == "ERROR") {
    refused_ = "watch " + config_.path + ": " + text(member(object, "reason")) + " " +
               text(member(object, "message"));
    // Whatever it is, what was missed can only be learned by a list.
    version_.clear();
    return false;
  }
  auto version = text(member(member(object, "metadata"), "resourceVersion"));
  if (type == "ADDED" || type == "MODIFIED") events_.present(object);
  if (type == "DELETED") events_.gone(object);
  if (!version.empty()) version_ = std::move(version);
  // It works: the next trouble is a new one.
  wait_ = config_.first_wait;
  return true;
}

asio::awaitable<Result<void>> Reflector::watch() {
  const std::string path = config_.path + "?watch=1&allowWatchBookmarks=true&timeoutSeconds=" +
                           std::to_string(config_.watch.count()) +
                           "&resourceVersion=" + escaped(version_);
  const auto began = std::chrono::steady_clock::now();
  refused_.clear();
  bool told = false;
  const auto ended = co_await client_.watch(
      path,
      [this, &told](const json& event) {
        told = true;
        return take(event);
      },
      config_.silence, events_.standing);
  if (!ended) co_return ended.error();
  if (ended->status == kGone) version_.clear();
  if (!ended->ok()) co_return Error{"watch " + config_.path + ": " + ended->describe()};
  if (!refused_.empty()) co_return Error{refused_};
  // A server that ends every watch at once shall not be asked in a tight loop.
  if (!told && std::chrono::steady_clock::now() - began < config_.first_wait) {
    co_return Error{"watch " + config_.path + ": ended at once"};
  }
  co_return Result<void>{};
}

}  // namespace sidetap::kube
