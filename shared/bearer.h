// Bearer tokens: where a request has one, and what one may consist of. Pure.
#pragma once

#include <string>
#include <string_view>

namespace sidetap {

/// The token in the value of the Authorization field; empty if there is none.
inline std::string bearer_of(std::string_view authorization) {
  constexpr std::string_view kBearer = "Bearer ";
  if (!authorization.starts_with(kBearer)) return {};
  return std::string(authorization.substr(kBearer.size()));
}

/// Whether `text` is one or more characters of a bearer token, then padding (RFC 6750, 2.1:
/// b64token). Such a text fits in a header.
constexpr bool is_bearer_token(std::string_view text) {
  constexpr std::string_view kCharacters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/";
  if (text.empty()) return false;
  const auto padding = text.find_first_not_of(kCharacters);
  return padding != 0 && text.find_first_not_of('=', padding) == text.npos;
}

}  // namespace sidetap
