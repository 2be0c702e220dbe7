#include "shared/net/transport_address.h"

#include <algorithm>
#include <array>

#include "shared/net/host_port.h"
#include "shared/net/text.h"

namespace sidetap::net {
namespace {

struct TransportName {
  std::uint8_t number;
  std::string_view name;
};

constexpr std::array<TransportName, 5> kTransports{
    {{6, "tcp"}, {17, "udp"}, {132, "sctp"}, {33, "dccp"}, {136, "udplite"}}};

bool equals_lower(std::string_view text, std::string_view lower) {
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; };
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(), same);
}

}  // namespace

std::optional<std::uint8_t> transport_protocol(std::string_view name) {
  for (const TransportName& each : kTransports) {
    if (equals_lower(name, each.name)) return each.number;
  }
  return std::nullopt;
}

std::string_view transport_protocol_name(std::uint8_t protocol) {
  for (const TransportName& each : kTransports) {
    if (each.number == protocol) return each.name;
  }
  return {};
}

std::string TransportAddress::to_string() const {
  const std::string_view name = transport_protocol_name(protocol);
  if (name.empty()) return {};
  return HostPort{address.to_string(), port}.to_string().append("/").append(name);
}

std::optional<TransportAddress> TransportAddress::parse(std::string_view text) {
  const std::size_t slash = text.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto protocol = transport_protocol(text.substr(slash + 1));
  text = text.substr(0, slash);
  const std::size_t colon = text.rfind(':');
  if (!protocol || colon == std::string_view::npos) return std::nullopt;
  const auto port = whole_number<std::uint16_t>(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  const bool brackets = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  if (!port || *port == 0 || brackets != (host.find(':') != std::string_view::npos))
    return std::nullopt;
  const auto address = IpAddress::parse(host);
  if (!address) return std::nullopt;
  return TransportAddress{*address, *protocol, *port};
}

}  // namespace sidetap::net
