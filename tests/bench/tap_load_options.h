// What tap_load is told by collector.sh.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "shared/config/options.h"
#include "shared/net/host_port.h"
#include "shared/net/ip_address.h"

namespace sidetap::bench {

struct TapLoadOptions {
  net::HostPort collector;  ///< Its host is an IPv4 address.
  std::uint32_t taps = 0;
  std::uint32_t processes = 0;
  net::IpAddress first_address;  ///< IPv4. The taps have this one and those that follow.
  std::uint32_t taps_of_address = 0;
  std::uint32_t storms = 0;   ///< How often all taps hang up and come back at once.
  std::uint32_t rate = 0;     ///< Packets a second, of all taps together.
  std::uint32_t payload = 0;  ///< Bytes of a packet, without its 42 bytes of headers.
  std::uint32_t seconds = 0;  ///< How long packets are sent.
  std::uint32_t limit = 0;    ///< Seconds within which all taps are to capture.
  std::uint32_t settle = 0;   ///< Seconds between the last packet and the sessions' end.
  std::string tls_ca;         ///< Empty: plain.
  std::string tls_name;
};

inline config::Parser<net::IpAddress> ipv4_address() {
  return [](std::string_view text) -> Result<net::IpAddress> {
    const auto address = net::IpAddress::parse(text);
    if (!address || !address->is_v4()) return Error{"an IPv4 address"};
    return *address;
  };
}

inline config::ParseResult parse_tap_load_options(std::span<const char* const> arguments,
                                                  TapLoadOptions& o) {
  config::OptionSet set("tap_load",
                        "Simulates many taps of a collector. The collector says whether packets "
                        "travel in datagrams or in streams.");
  const auto count = [&](std::string_view flag, std::string_view fallback, std::string_view help,
                         std::uint32_t least, std::uint32_t most, std::uint32_t& target) {
    set.add<std::uint32_t>({.flag = flag, .value = "N", .fallback = fallback, .help = help},
                           config::number<std::uint32_t>(least, most, "a count"), target);
  };
  set.add<net::HostPort>({.flag = "--collector",
                          .value = "ADDRESS[:PORT]",
                          .help = "the collector's IPv4 address",
                          .required = true},
                         config::host_port(2003), o.collector);
  count("--taps", "1000", "number of taps", 1, 60'000, o.taps);
  count("--processes", "1",
        "processes that share the taps; each tap needs two descriptors, and a process cannot "
        "exceed its hard limit",
        1, 64, o.processes);
  set.add<net::IpAddress>(
      {.flag = "--first-address",
       .value = "ADDRESS",
       .fallback = "10.128.0.1",
       .help = "first address of the taps; it and the following ones must be local, for example by "
               "'ip route add local 10.128.0.0/16 dev lo'"},
      ipv4_address(), o.first_address);
  count("--taps-of-address", "1", "taps that share an address", 1, 1'000, o.taps_of_address);
  count("--storms", "0",
        "how often all taps disconnect and connect again at once, before they send", 0, 100,
        o.storms);
  count("--rate", "0", "maximum rate of all taps together, in packets a second", 0, 1'000'000'000,
        o.rate);
  count("--payload", "1400", "bytes of a packet, without its 42 bytes of headers", 0, 65'000,
        o.payload);
  count("--seconds", "10", "how long packets are sent, or taps are idle", 0, 86'400, o.seconds);
  count("--limit", "120", "seconds within which all taps must capture", 1, 3'600, o.limit);
  count("--settle", "1", "seconds between the last packet and the end of the sessions", 0, 600,
        o.settle);
  set.add<std::string>({.flag = "--tls-ca",
                        .value = "FILE",
                        .help = "taps use TLS, and trust this CA, PEM; if unset: no TLS"},
                       config::readable_file(), o.tls_ca);
  set.add<std::string>({.flag = "--tls-name",
                        .value = "NAME",
                        .help = "name in the collector's certificate; if unset: its address"},
                       config::any_text(), o.tls_name);
  return set.parse(arguments, [](const std::string&) { return std::optional<std::string>(); });
}

}  // namespace sidetap::bench
