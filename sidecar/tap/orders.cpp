#include "sidecar/tap/orders.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "shared/base64.h"
#include "shared/bearer.h"
#include "shared/config/parsers.h"
#include "shared/json_members.h"
#include "shared/net/text.h"
#include "shared/read_json.h"
#include "sidecar/options/longest_run.h"

namespace sidetap {
namespace {

Result<Order> parse_token(std::string_view text) {
  if (!is_bearer_token(text)) return Error{"\"token\" must be followed by a bearer token"};
  return Order(TokenOrder{std::string(text)});
}

Result<Order> parse_time(std::string_view text) {
  const auto longest = std::chrono::duration_cast<std::chrono::milliseconds>(kLongestRun);
  const auto time = config::duration_ms(1'000, longest.count())(text);
  if (!time) return Error{"\"for\" must be followed by " + time.error().text};
  return Order(TimeOrder{std::chrono::milliseconds(*time)});
}

/// The payload of a JSON Web Token, which is Base64 with other letters and without padding.
std::optional<std::string> payload_of(std::string_view token) {
  const auto first = token.find('.');
  if (first == std::string_view::npos) return std::nullopt;
  const auto second = token.find('.', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  std::string text(token.substr(first + 1, second - first - 1));
  std::replace(text.begin(), text.end(), '-', '+');
  std::replace(text.begin(), text.end(), '_', '/');
  while (text.size() % 4 != 0) text += '=';
  return decode_base64(text);
}

}  // namespace

Result<Order> parse_order(std::string_view line) {
  if (line.size() > kMostOrderBytes || line.empty())
    return Error{"the line is longer than any order"};
  const auto blank = line.find(' ');
  const std::string_view word = line.substr(0, blank);
  const std::string_view rest =
      blank == std::string_view::npos ? std::string_view() : net::trimmed(line.substr(blank), " ");
  if (word == "token") return parse_token(rest);
  if (word == "for") return parse_time(rest);
  if (word == "stop" && rest.empty()) return Order(StopOrder{});
  return Error{"not an order; accepted: \"token TEXT\", \"for TIME\", and \"stop\""};
}

void OrderLines::feed(std::string_view bytes, const std::function<void(std::string_view)>& line) {
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    if (begun_.size() + piece.size() > kMostOrderBytes) {
      too_long_ = true;
      begun_.clear();
    }
    if (!too_long_) begun_ += piece;
    if (end == std::string_view::npos) return;
    bytes.remove_prefix(end + 1);
    const std::string whole = std::exchange(begun_, {});
    std::string_view text = whole;
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (std::exchange(too_long_, false) || !text.empty()) line(text);
  }
}

std::optional<std::chrono::seconds> expiry_of(std::string_view token) {
  const auto payload = payload_of(token);
  if (!payload) return std::nullopt;
  const auto claims = read_json(*payload);
  if (!claims) return std::nullopt;
  const nlohmann::json& expiry = member(*claims, "exp");
  // Beyond the year 9999 it is no time.
  constexpr std::int64_t kLast = 253'402'300'799;
  if (!expiry.is_number_integer()) return std::nullopt;
  const auto seconds = expiry.get<std::int64_t>();
  if (seconds < 0 || seconds > kLast) return std::nullopt;
  return std::chrono::seconds(seconds);
}

}  // namespace sidetap
