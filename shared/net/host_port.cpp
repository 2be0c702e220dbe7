#include "shared/net/host_port.h"

#include <charconv>

#include "shared/net/ip_address.h"

namespace sidetap::net {

std::string HostPort::to_string() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<HostPort> parse_host_port(std::string_view text, std::uint16_t default_port) {
  const auto bad = [text](const char* why) {
    return Error{"\"" + std::string(text) + "\" " + why};
  };
  HostPort result{{}, default_port};
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return bad("has no closing bracket");
    result.host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    const auto address = IpAddress::parse(result.host);
    if (!address || result.host.find(':') == std::string::npos) {
      return bad("has no IPv6 address in its brackets");
    }
    if (!rest.empty() && rest.front() != ':') return bad("is not [ADDRESS]:PORT");
    has_port = !rest.empty();
    if (has_port) port = rest.substr(1);
  } else if (const auto colon = text.find(':');
             colon != std::string_view::npos && colon == text.rfind(':')) {
    result.host = text.substr(0, colon);
    port = text.substr(colon + 1);
    has_port = true;
  } else {
    if (colon != std::string_view::npos && !IpAddress::parse(text)) {
      return bad("is not an IPv6 address");
    }
    result.host = text;
    if (text.empty()) return bad("names no host");
  }
  if (result.host.find_first_of(" \t/@") != std::string::npos) return bad("is not HOST:PORT");
  if (has_port) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), value);
    if (error != std::errc{} || end != port.data() + port.size() || value > 65535) {
      return bad("has no port from 0 to 65535 after the colon");
    }
    result.port = static_cast<std::uint16_t>(value);
  } else if (default_port == 0) {
    return bad("has no port");
  }
  return result;
}

}  // namespace sidetap::net
