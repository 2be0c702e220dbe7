#include "shared/kube/client.h"

#include <algorithm>
#include <memory>

#include "shared/async/caught.h"
#include "shared/async/resolve.h"
#include "shared/http/https_connection.h"
#include "shared/json_members.h"
#include "shared/read_file.h"
#include "shared/read_json.h"

namespace sidetap::kube {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

std::string_view media_type(PatchType type) {
  switch (type) {
    case PatchType::kMerge:
      return "application/merge-patch+json";
    case PatchType::kJson:
      return "application/json-patch+json";
    case PatchType::kApply:
      return "application/apply-patch+yaml";
  }
  return {};
}

/// The value may contain text from elsewhere, such as a token, that is not UTF-8.
std::string written(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::string Response::describe() const {
  std::string text = std::to_string(status);
  if (const auto reason = text_of(body, "reason"); !reason.empty()) text += " " + reason;
  if (const auto message = text_of(body, "message"); !message.empty()) text += ": " + message;
  return text;
}

struct Client::Impl {
  asio::any_io_executor executor;
  Credentials credentials;
  Limits limits;
  std::unique_ptr<http::HttpsConnection> connection;
  async::Interruption stopping;
  bool too_long = false;

  Error failed(const std::string& what) const {
    return Error{"API server " + credentials.server.to_string() + ": " +
                 (stopping.requested() ? "canceled" : what)};
  }

  void drop() { connection.reset(); }
  /// After an operation of the connection has failed.
  void give_up_connection() {
    too_long = connection->too_long();
    drop();
  }

  asio::awaitable<Result<void>> connect() {
    drop();
    const auto pem = read_file(credentials.ca_file);
    if (!pem) co_return failed("CA file " + pem.error().text);
    const auto trust = http::TlsTrust::make(*pem);
    if (!trust) co_return failed("CA file " + credentials.ca_file + ": " + trust.error().text);
    const auto addresses = co_await async::resolve(executor, credentials.server, &stopping);
    if (!addresses) co_return Error{"API server: " + addresses.error().text};
    if (stopping.requested()) co_return failed("canceled");
    connection = std::make_unique<http::HttpsConnection>(executor);
    auto opened =
        co_await connection->open(*addresses, *trust, credentials.server.host, limits.timeout);
    if (opened) co_return opened;
    drop();  // the next request must not take it for a kept connection
    co_return failed(opened.error().text);
  }

  /// Sends the request and reads the head of the answer. Returns the status. If the server has
  /// closed a kept connection meanwhile, sends the request again on a new one.
  asio::awaitable<Result<unsigned>> exchange(http::HttpsRequest request,
                                             std::optional<std::uint64_t> most_body) {
    const std::string host = credentials.server.to_string();
    Result<std::string> token = std::string();
    if (!credentials.token_file.empty()) token = read_token(credentials.token_file);
    if (!token) co_return token.error();
    request.host = host;
    request.token = *token;
    too_long = false;
    for (bool kept = connection != nullptr;; kept = false) {
      if (!kept) {
        const auto connected = co_await connect();
        if (!connected) co_return connected.error();
      }
      auto status = co_await connection->ask(request, most_body, limits.timeout);
      if (status) co_return status;
      const bool again = kept && connection->unanswered() && !stopping.requested();
      give_up_connection();
      if (!again) co_return failed(status.error().text);
    }
  }

  /// Reads the rest of the answer within one time limit.
  asio::awaitable<Result<std::string>> rest() {
    const auto deadline = Clock::now() + limits.timeout;
    std::string body;
    for (bool last = false; !last;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      const auto piece = co_await connection->read(std::max(left, std::chrono::milliseconds(0)));
      if (!piece) {
        give_up_connection();
        co_return failed(piece.error().text);
      }
      body += piece->bytes;
      last = piece->last;
    }
    if (!connection->reusable()) drop();
    co_return body;
  }

  /// Turns exceptions into errors. After an error, the connection is unusable.
  asio::awaitable<Result<Response>> caught(asio::awaitable<Result<Response>> work) {
    std::exception_ptr fault;
    try {
      co_return co_await std::move(work);
    } catch (...) {
      fault = std::current_exception();
    }
    drop();
    if (async::is_cancellation(fault)) std::rethrow_exception(fault);
    co_return failed(async::reason_of(fault));
  }

  asio::awaitable<Result<Response>> request(std::string_view method, std::string path,
                                            std::string_view content_type, std::string body) {
    return caught(ask(method, std::move(path), content_type, std::move(body)));
  }

  asio::awaitable<Result<Response>> ask(std::string_view method, std::string path,
                                        std::string_view content_type, std::string body) {
    const http::HttpsRequest message{
        .method = method, .target = path, .host = {}, .content_type = content_type, .body = body};
    const auto status = co_await exchange(message, limits.body_bytes);
    if (!status) co_return status.error();
    const auto answer = co_await rest();
    if (!answer) co_return answer.error();
    Response response{*status, nullptr};
    if (answer->empty()) co_return response;
    auto json = read_json(*answer);
    // A proxy in between may answer in HTML; then only the status counts.
    if (json) {
      response.body = std::move(*json);
    } else if (response.ok()) {
      drop();
      co_return failed(path + ": the answer is " + json.error().text);
    }
    co_return response;
  }

  /// Delivers every whole line of `pending`. Returns false if the consumer wants no more.
  static Result<bool> deliver_lines(std::string& pending,
                                    const std::function<bool(const nlohmann::json&)>& each) {
    std::size_t start = 0;
    for (std::size_t end = 0; (end = pending.find('\n', start)) != std::string::npos;
         start = end + 1) {
      const auto event = read_json(std::string_view(pending).substr(start, end - start));
      if (!event) return Error{"API server: a watch event is " + event.error().text};
      if (!event->is_object()) return Error{"API server: a watch event is no object"};
      if (!each(*event)) return false;
    }
    pending.erase(0, start);
    return true;
  }

  asio::awaitable<Result<Response>> watch(std::string path,
                                          std::function<bool(const nlohmann::json&)> each,
                                          std::chrono::milliseconds idle_timeout,
                                          std::function<void()> accepted) {
    return caught(follow(std::move(path), std::move(each), idle_timeout, std::move(accepted)));
  }

  asio::awaitable<Result<Response>> follow(std::string path,
                                           std::function<bool(const nlohmann::json&)> each,
                                           std::chrono::milliseconds idle_timeout,
                                           std::function<void()> accepted) {
    const http::HttpsRequest message{.method = "GET", .target = path, .host = {}};
    const auto status = co_await exchange(message, std::nullopt);
    if (!status) co_return status.error();
    if (*status == 200 && accepted) accepted();
    std::string pending;
    for (bool last = false; !last;) {
      const auto piece = co_await connection->read(idle_timeout);
      if (!piece) {
        drop();
        co_return failed("watch: " + piece.error().text);
      }
      pending += piece->bytes;
      last = piece->last;
      if (pending.size() > limits.body_bytes) {
        drop();
        co_return Error{"API server: a watch event is over " + std::to_string(limits.body_bytes) +
                        " bytes"};
      }
      if (*status == 200) {  // otherwise it is one Status object, not events
        const auto wanted = deliver_lines(pending, each);
        if (!wanted || !*wanted) {
          drop();  // the rest of the stream is not wanted
          if (!wanted) co_return wanted.error();
          co_return Response{*status, nullptr};
        }
      }
    }
    Response response{*status, nullptr};
    if (*status != 200) {
      if (auto json = read_json(pending)) response.body = std::move(*json);
    }
    if (!connection->reusable()) drop();
    co_return response;
  }
};

Client::Client(asio::any_io_executor executor, Credentials credentials, Limits limits)
    : impl_(std::make_unique<Impl>()) {
  impl_->executor = std::move(executor);
  impl_->credentials = std::move(credentials);
  impl_->limits = limits;
}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;

asio::awaitable<Result<Response>> Client::get(std::string path) {
  return impl_->request("GET", std::move(path), {}, {});
}
asio::awaitable<Result<Response>> Client::create(std::string path, nlohmann::json object) {
  return impl_->request("POST", std::move(path), "application/json", written(object));
}
asio::awaitable<Result<Response>> Client::replace(std::string path, nlohmann::json object) {
  return impl_->request("PUT", std::move(path), "application/json", written(object));
}
asio::awaitable<Result<Response>> Client::patch(std::string path, PatchType type,
                                                nlohmann::json patch) {
  return impl_->request("PATCH", std::move(path), media_type(type), written(patch));
}
asio::awaitable<Result<Response>> Client::watch(std::string path,
                                                std::function<bool(const nlohmann::json&)> each,
                                                std::chrono::milliseconds idle_timeout,
                                                std::function<void()> accepted) {
  return impl_->watch(std::move(path), std::move(each), idle_timeout, std::move(accepted));
}

bool Client::answer_was_too_long() const { return impl_->too_long; }

void Client::stop() {
  impl_->stopping.request();
  if (impl_->connection) impl_->connection->cut();
}

}  // namespace sidetap::kube
