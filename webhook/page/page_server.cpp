#include "webhook/page/page_server.h"

#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "shared/http/plain_server.h"
#include "shared/net/ip_address.h"
#include "shared/net/text.h"
#include "webhook/page/assets.h"
#include "webhook/page/page_json.h"
#include "webhook/page/status_text.h"
#include "webhook/page/view_cache.h"
#include "webhook/registry/wall_clock.h"

namespace sidetap::webhook::page {
namespace {

namespace asio = boost::asio;
using http::PlainAnswer;
using http::PlainRequest;

constexpr std::string_view kTapPath = "/api/taps/";
constexpr std::string_view kStatusPath = "/api/status";
/// A browser opens up to six. An answer for 10,000 taps may take long through a port-forward.
constexpr http::PlainLimits kPageLimits{.connections = 32,
                                        .header_bytes = 16 << 10,
                                        .connection = std::chrono::milliseconds(60'000),
                                        .accept_task = "page-accept",
                                        .request_task = "page-request"};
constexpr std::string_view kSecurityHeaders =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n";

PlainAnswer guarded(PlainAnswer answer) {
  answer.headers.append(kSecurityHeaders);
  return answer;
}

PlainAnswer made_answer(std::string_view path, std::shared_ptr<const std::string> text) {
  PlainAnswer answer;
  if (!path.starts_with(kStatusPath)) answer.content_type = "application/json";
  answer.body = std::move(text);
  return answer;
}

PlainAnswer asset_answer(const Asset& asset, std::string_view known) {
  PlainAnswer answer;
  answer.content_type = asset.content_type;
  answer.headers = "Cache-Control: no-cache\r\nETag: ";
  answer.headers.append(asset.etag).append("\r\n");
  if (known == asset.etag) {
    answer.status = 304;
  } else {
    answer.body = std::make_shared<const std::string>(asset.content);
  }
  return answer;
}

/// "NAMESPACE/POD", each percent-encoded.
std::optional<inventory::Inventory::Name> name_in(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  auto name_space = net::percent_decoded(text.substr(0, slash));
  auto pod = net::percent_decoded(text.substr(slash + 1));
  if (!name_space || !pod) return std::nullopt;
  return inventory::Inventory::Name{std::move(*name_space), std::move(*pod)};
}

/// What follows kStatusPath: nothing, "/NAMESPACE" or "/NAMESPACE/POD".
std::optional<StatusScope> scope_in(std::string_view text) {
  if (text.empty()) return StatusScope{};
  if (text.front() != '/' || text.size() < 2) return std::nullopt;
  text.remove_prefix(1);
  if (text.find('/') == std::string_view::npos) {
    auto name_space = net::percent_decoded(text);
    if (!name_space) return std::nullopt;
    return StatusScope{std::move(*name_space), {}};
  }
  auto name = name_in(text);
  if (!name || name->first.empty() || name->second.empty()) return std::nullopt;
  return StatusScope{std::move(name->first), std::move(name->second)};
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace

bool is_own_host(std::string_view host, const net::HostPort& listen) {
  const auto asked = net::parse_host_port(host, 80);
  if (!asked) return false;
  const std::string name = lower_case(asked->host);
  if (name == "localhost") return true;
  if (!listen.host.empty() && name == lower_case(listen.host)) return true;
  const auto address = net::IpAddress::parse(name);
  return address && address->is_loopback();
}

struct PageServer::Impl {
  Impl(PageConfig given, telemetry::MetricsRegistry* metrics)
      : config(std::move(given)),
        views(context,
              {.with_view = config.with_view, .fresh = config.fresh, .patience = config.patience}),
        server(
            context->get_executor(), config.listen, kPageLimits,
            [this](PlainRequest request) { return answer(request); }, metrics) {}

  const PageConfig config;
  const std::shared_ptr<asio::io_context> context = std::make_shared<asio::io_context>(1);
  ViewCache views;
  http::PlainServer server;
  std::thread thread;

  std::shared_ptr<const coverage::Summary> coverage_now() const {
    return config.coverage ? config.coverage() : nullptr;
  }

  /// What the registry has to say about it; nothing: it is not about the registry.
  std::optional<ViewCache::Make> make_of(std::string_view path) const {
    using registry::View;
    if (path == "/api/overview") {
      return [summary = coverage_now()](const View& view) {
        return std::optional(overview_json(view, summary.get(), registry::wall_time()));
      };
    }
    if (path == "/api/taps") {
      return [](const View& view) { return std::optional(taps_json(view, registry::wall_time())); };
    }
    if (path == "/api/services") {
      return [](const View& view) { return std::optional(services_json(view)); };
    }
    if (path == "/api/flows") {
      return [](const View& view) { return std::optional(flows_json(view)); };
    }
    if (path.starts_with(kStatusPath)) return make_of_status(path.substr(kStatusPath.size()));
    if (!path.starts_with(kTapPath)) return std::nullopt;
    auto name = name_in(path.substr(kTapPath.size()));
    if (!name) return std::nullopt;
    return [name = std::move(*name)](const View& view) {
      return tap_json(view, name, registry::wall_time());
    };
  }

  std::optional<ViewCache::Make> make_of_status(std::string_view rest) const {
    auto scope = scope_in(rest);
    if (!scope) return std::nullopt;
    return [scope = std::move(*scope), summary = coverage_now()](const registry::View& view) {
      return std::optional(status_text(view, summary.get(), scope, registry::wall_time()));
    };
  }

  asio::awaitable<PlainAnswer> answer(PlainRequest request) {
    if (!is_own_host(request.host, config.listen)) {
      co_return guarded(http::plain_text(403, "ask for localhost: this host is not served"));
    }
    const std::string_view path = request.path();
    if (const Asset* const asset = find_asset(path)) {
      co_return guarded(asset_answer(*asset, request.if_none_match));
    }
    if (path == "/api/coverage") {
      const auto summary = coverage_now();
      co_return guarded(
          made_answer(path, std::make_shared<const std::string>(coverage_json(summary.get()))));
    }
    auto make = make_of(path);
    if (!make) co_return guarded(http::plain_text(404, "not found"));
    std::string key(path);
    const ViewCache::Answer known = co_await views.get(std::move(key), std::move(*make));
    if (!known.in_time) {
      co_return guarded(http::plain_text(503, "the registry does not answer"));
    }
    if (!known.text) co_return guarded(http::plain_text(404, "no such tap"));
    co_return guarded(made_answer(path, known.text));
  }
};

PageServer::PageServer(PageConfig config, telemetry::MetricsRegistry* metrics)
    : impl_(std::make_unique<Impl>(std::move(config), metrics)) {}

PageServer::~PageServer() { stop(); }

Result<std::uint16_t> PageServer::start() {
  auto port = impl_->server.start();
  if (port) impl_->thread = std::thread([impl = impl_.get()] { impl->context->run(); });
  return port;
}

void PageServer::stop() {
  impl_->server.stop();
  asio::post(*impl_->context, [impl = impl_.get()] { impl->views.stop(); });
  if (impl_->thread.joinable()) impl_->thread.join();
}

}  // namespace sidetap::webhook::page
