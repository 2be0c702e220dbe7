// Parsers for the kinds of option values. Each kind follows one rule wherever it is written: on a
// command line, in the environment, in a configuration file or in an annotation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/net/cidr.h"
#include "shared/net/host_port.h"
#include "shared/result.h"

namespace sidetap::config {

/// Turns an option's text into its value. On failure the Error's text says what is accepted, for
/// example "a number from 64 to 262144 (bytes)"; the caller prepends where the value was set, and
/// the value.
template <typename T>
using Parser = std::function<Result<T>(std::string_view)>;

Parser<std::string> any_text();
Parser<std::string> one_of(std::vector<std::string> accepted);
/// Accepts one of the words and returns its value.
template <typename T>
Parser<T> word(std::vector<std::pair<std::string, T>> words) {
  return [words = std::move(words)](std::string_view text) -> Result<T> {
    std::string accepted;
    for (const auto& [name, value] : words) {
      if (text == name) return value;
      accepted += (accepted.empty() ? "" : ", ") + name;
    }
    return Error{accepted};
  };
}
inline Parser<bool> on_off() { return word<bool>({{"on", true}, {"off", false}}); }
/// Decimal; `unit` is named in the error line.
template <typename T>
Parser<T> number(T least, T most, std::string unit);
/// "64K", "8M", "1G" (powers of 1024) or plain bytes.
Parser<std::uint64_t> byte_size(std::uint64_t least, std::uint64_t most);
/// Bits per second: "64K", "100M", "2G" (powers of 1000) or a plain number; 0 means no bound.
Parser<std::uint64_t> bit_rate();
/// "250ms", "10s", "5m", "1h"; a bare number is in seconds. The result is in milliseconds.
Parser<std::int64_t> duration_ms(std::int64_t least, std::int64_t most);
Parser<std::vector<net::Cidr>> cidr_list();
Parser<std::vector<net::IpAddress>> address_list();
/// An address to connect to. With a default port of 0, the port is required.
Parser<net::HostPort> host_port(std::uint16_t default_port = 0);
/// An address to listen on. Without a host, it means every address.
Parser<net::HostPort> listen_address(std::uint16_t default_port = 0);
/// The same, for an option without a default.
Parser<std::optional<net::HostPort>> optional_listen_address(std::uint16_t default_port = 0);
/// Addresses to connect to, in the order written. Repetitions are kept.
Parser<std::vector<net::HostPort>> host_port_list(std::uint16_t default_port, std::size_t most);
/// At most 256 names of network interfaces, separated by commas. Repetitions are dropped.
Parser<std::vector<std::string>> interface_names();
/// A file that exists and can be read. The value is its path.
Parser<std::string> readable_file();

}  // namespace sidetap::config
