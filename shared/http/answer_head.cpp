#include "shared/http/answer_head.h"

#include <array>
#include <charconv>

#include <boost/beast/http/status.hpp>

namespace sidetap::http {

std::string head_of(const HttpAnswer& answer, bool close) {
  const auto reason =
      boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(answer.status));
  std::string text;
  text.reserve(256 + answer.body.size());
  text.append("HTTP/1.1 ").append(std::to_string(answer.status)).append(" ");
  text.append(reason.data(), reason.size());
  text.append("\r\nContent-Type: ").append(answer.content_type);
  text.append("\r\nContent-Length: ").append(std::to_string(answer.body.size()));
  if (!answer.allow.empty()) text.append("\r\nAllow: ").append(answer.allow);
  if (answer.status == 401) text.append("\r\nWWW-Authenticate: Bearer");
  if (close) text.append("\r\nConnection: close");
  text.append("\r\n\r\n");
  return text;
}

std::string chunked_head_of(std::string_view content_type) {
  std::string text = "HTTP/1.1 200 OK\r\nContent-Type: ";
  text.append(content_type);
  text.append("\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked");
  text.append("\r\nConnection: close\r\n\r\n");
  return text;
}

std::string chunk_of(std::string_view text) {
  std::array<char, 2 * sizeof(std::size_t)> size{};
  const auto end = std::to_chars(size.data(), size.data() + size.size(), text.size(), 16).ptr;
  std::string chunk;
  chunk.reserve(text.size() + size.size() + 4);
  chunk.append(size.data(), end).append("\r\n");
  chunk.append(text).append("\r\n");
  return chunk;
}

}  // namespace sidetap::http
