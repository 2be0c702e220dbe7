// The orders that a tap takes on its standard input, a line each:
//
//   token TEXT   proves to the registry which pod this is, until the next one comes
//   for TIME     end this long after the order: 90s, 30m, 2h
//   stop         end now
//
// So `kubectl attach` can hand a tap in an ephemeral container what must not stand in the pod's
// spec. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "shared/result.h"

namespace sidetap {

struct TokenOrder {
  std::string token;
};
struct TimeOrder {
  std::chrono::milliseconds time{};
};
struct StopOrder {};
using Order = std::variant<TokenOrder, TimeOrder, StopOrder>;

/// Bytes of a line. Tokens of service accounts have one or two thousand.
inline constexpr std::size_t kMostOrderBytes = 16U << 10;

/// The Error never quotes the line: it may hold a token.
Result<Order> parse_order(std::string_view line);

/// Cuts a stream of bytes into lines.
class OrderLines {
 public:
  /// Calls `line` for each whole line that is not empty, without its end. A line that is too long
  /// comes as an empty text.
  void feed(std::string_view bytes, const std::function<void(std::string_view)>& line);

 private:
  std::string begun_;
  bool too_long_ = false;
};

/// When the token expires, in seconds since 1970: its claim "exp", which only the API server can
/// verify. Nothing: the text is no token that says so.
std::optional<std::chrono::seconds> expiry_of(std::string_view token);

}  // namespace sidetap
