#include "shared/kube/reflector.h"

#include <algorithm>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "shared/async/caught.h"
#include "shared/async/waiting.h"
#include "shared/json_members.h"

namespace sidetap::kube {
namespace {

namespace asio = boost::asio;
using nlohmann::json;

constexpr unsigned kGone = 410;
/// See ReflectorConfig::wait.
constexpr int kSteady = 10;

/// Escapes a token of the server for a query (RFC 3986, 2.3).
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
      page_(config_.page),
      backoff_(config_.wait) {}

asio::awaitable<void> Reflector::run() {
  const auto executor = co_await asio::this_coro::executor;
  for (;;) {
    stood_ = std::chrono::milliseconds(0);
    const auto done = co_await async::caught(list_and_watch());
    const bool works = stood_ >= kSteady * config_.wait.least;
    if (works) backoff_.succeeded();
    if (works && done) continue;
    events_.fallen(done ? "watch " + config_.path + ": ended after " +
                              std::to_string(stood_.count()) + " ms"
                        : done.error().text);
    co_await async::sleep(executor, backoff_.wait(chance_()), nullptr);
  }
}

asio::awaitable<Result<void>> Reflector::list_and_watch() {
  if (version_.empty()) {
    if (auto listed = co_await list(); !listed) {
      if (client_.answer_was_too_long()) page_ = std::max<std::size_t>(1, page_ / 4);
      co_return listed;
    }
    page_ = std::min(config_.page, 2 * page_);
  }
  co_return co_await watch();
}

asio::awaitable<Result<void>> Reflector::list() {
  events_.list_begins();
  std::string token;
  const std::size_t most = config_.most_pages * config_.page;
  for (std::size_t objects = 0; objects < most; objects += page_) {
    auto page = co_await list_page(token);
    if (!page) co_return page.error();
    if (page->next.empty()) {
      events_.list_ended();
      version_ = std::move(page->version);
      co_return Result<void>{};
    }
    if (page->next == token) {
      co_return Error{"list " + config_.path + ": a page leads to itself"};
    }
    token = std::move(page->next);
  }
  co_return Error{"list " + config_.path + ": more than " + std::to_string(config_.most_pages) +
                  " pages of " + std::to_string(config_.page) + " objects"};
}

asio::awaitable<Result<Reflector::Page>> Reflector::list_page(const std::string& token) {
  std::string path = config_.path + "?limit=" + std::to_string(page_);
  if (!token.empty()) path += "&continue=" + escaped(token);
  const auto answer = co_await client_.get(std::move(path));
  if (!answer) co_return answer.error();
  // An expired page (410) is an ordinary error: the list starts again after a pause.
  if (!answer->ok()) co_return Error{"list " + config_.path + ": " + answer->describe()};
  const json& items = member(answer->body, "items");
  const json& metadata = member(answer->body, "metadata");
  // Servers written in Go may send null for an empty list.
  if (!items.is_array() && !items.is_null()) co_return Error{"list " + config_.path + ": no items"};
  for (const json& item : items) events_.present(item);
  Page page{text_of(metadata, "resourceVersion"), text_of(metadata, "continue")};
  if (page.version.empty()) co_return Error{"list " + config_.path + ": no resourceVersion"};
  co_return page;
}

bool Reflector::take(const json& event) {
  const std::string type = text_of(event, "type");
  const json& object = member(event, "object");
  if (type == "ERROR") {
    refused_ = "watch " + config_.path + ": " + text_of(object, "reason") + " " +
               text_of(object, "message");
    // Whatever the error is, only a new list shows what was missed.
    version_.clear();
    return false;
  }
  auto version = text_of(member(object, "metadata"), "resourceVersion");
  if (type == "ADDED" || type == "MODIFIED") events_.present(object);
  if (type == "DELETED") events_.gone(object);
  if (!version.empty()) version_ = std::move(version);
  return true;
}

asio::awaitable<Result<void>> Reflector::watch() {
  const std::string path = config_.path + "?watch=1&allowWatchBookmarks=true&timeoutSeconds=" +
                           std::to_string(config_.watch.count()) +
                           "&resourceVersion=" + escaped(version_);
  refused_.clear();
  const auto began = std::chrono::steady_clock::now();
  bool accepted = false;
  const auto ended = co_await client_.watch(
      path, [this](const json& event) { return take(event); }, config_.silence,
      [this, &accepted] {
        accepted = true;
        events_.standing();
      });
  if (accepted) {
    stood_ = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - began);
  }
  if (!ended) co_return ended.error();
  if (ended->status == kGone) version_.clear();
  if (!ended->ok()) co_return Error{"watch " + config_.path + ": " + ended->describe()};
  if (!refused_.empty()) co_return Error{refused_};
  co_return Result<void>{};
}

}  // namespace sidetap::kube
