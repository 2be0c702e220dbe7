#include "shared/net/host_port.h"

#include <algorithm>
#include <optional>

#include "shared/net/ip_address.h"
#include "shared/net/text.h"

namespace sidetap::net {
namespace {

constexpr std::size_t kMostName = 253;
constexpr std::size_t kMostLabel = 63;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_hex(char c) { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f'); }
bool is_name_character(char c) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '_';
}

std::string_view without_final_dot(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return name;
}

/// Whether inet_aton(3), and so a look-up, reads it as a decimal, octal or hexadecimal number.
bool is_number(std::string_view label) {
  if (label.size() >= 2 && label[0] == '0' && lower(label[1]) == 'x')
    return std::all_of(label.begin() + 2, label.end(), is_hex);
  return std::all_of(label.begin(), label.end(), is_digit);
}

template <typename Test>
bool all_labels(std::string_view name, Test&& test) {
  for (;;) {
    const std::size_t dot = std::min(name.find('.'), name.size());
    if (!test(name.substr(0, dot))) return false;
    if (dot == name.size()) return true;
    name.remove_prefix(dot + 1);
  }
}

bool is_name(std::string_view host) {
  const std::string_view name = without_final_dot(host);
  return name.size() <= kMostName && all_labels(name, [](std::string_view label) {
           return !label.empty() && label.size() <= kMostLabel &&
                  std::all_of(label.begin(), label.end(), is_name_character);
         });
}

/// Returns what is wrong, or null. Puts `host` into canonical form.
const char* check_host(std::string& host) {
  if (const auto address = IpAddress::parse(host)) {
    host = address->to_string();
    return nullptr;
  }
  if (all_labels(host, is_number)) return "is no IPv4 address";
  return is_name(host) ? nullptr : "has no host name: letters, digits, '-', '_' and '.'";
}

/// Rejects leading zeros. The caller decides about port 0.
std::optional<std::uint16_t> read_port(std::string_view text) {
  if (text.size() > 1 && text[0] == '0') return std::nullopt;
  return whole_number<std::uint16_t>(text);
}

struct Parts {
  std::string_view host;
  std::string_view port;
  bool bracketed = false;
  bool has_port = false;
};

/// Returns what is wrong, or null.
const char* split(std::string_view text, Parts& parts) {
  if (text.find("://") != text.npos || text.find('/') != text.npos)
    return "is a URL or a path: give the host alone";
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == text.npos) return "has no closing bracket";
    parts = {text.substr(1, close - 1), text.substr(close + 1), true, close + 1 < text.size()};
    if (!parts.has_port) return nullptr;
    if (parts.port.front() != ':') return "is not [ADDRESS]:PORT";
    parts.port.remove_prefix(1);
    return nullptr;
  }
  const auto colon = text.find(':');
  parts = {text, {}, false, colon != text.npos && colon == text.rfind(':')};
  if (parts.has_port) {
    parts.host = text.substr(0, colon);
    parts.port = text.substr(colon + 1);
  }
  return nullptr;
}

Result<HostPort> parse(std::string_view text, std::uint16_t default_port, bool listen) {
  const auto bad = [text](const char* why) {
    return Error{"\"" + std::string(text) + "\" " + why};
  };
  Parts parts;
  if (const char* const why = split(text, parts)) return bad(why);
  HostPort result{std::string(parts.host), default_port};
  const bool v6 = parts.host.find(':') != parts.host.npos;
  if (parts.bracketed && !(v6 && IpAddress::parse(parts.host)))
    return bad("has no IPv6 address in its brackets");
  if (v6 && !IpAddress::parse(parts.host)) return bad("is not an IPv6 address");
  const bool every_address = listen && parts.host.empty() && parts.has_port;
  if (!every_address) {
    if (parts.host.empty()) return bad("names no host");
    if (const char* const why = check_host(result.host)) return bad(why);
  }
  if (parts.has_port) {
    const auto port = read_port(parts.port);
    if (!port || (*port == 0 && !listen))
      return bad(listen ? "has no port from 0 to 65535 after the colon"
                        : "has no port from 1 to 65535 after the colon");
    result.port = *port;
  } else if (default_port == 0) {
    return bad("has no port");
  }
  return result;
}

}  // namespace

std::string HostPort::to_string() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<HostPort> parse_host_port(std::string_view text, std::uint16_t default_port) {
  return parse(text, default_port, false);
}

Result<HostPort> parse_listen_address(std::string_view text, std::uint16_t default_port) {
  return parse(text, default_port, true);
}

bool same_place(const HostPort& a, const HostPort& b) {
  const std::string_view x = without_final_dot(a.host);
  const std::string_view y = without_final_dot(b.host);
  return a.port == b.port && std::equal(x.begin(), x.end(), y.begin(), y.end(),
                                        [](char c, char d) { return lower(c) == lower(d); });
}

}  // namespace sidetap::net
