#include "shared/config/parsers.h"

#include <algorithm>
#include <fstream>

#include "shared/net/distinct.h"
#include "shared/net/text.h"

namespace sidetap::config {
namespace {

/// Far more than a pod has. Finding repetitions takes quadratic time.
constexpr std::size_t kMostInterfaces = 256;
/// Faster than any interface. Multiplication by a unit cannot overflow below it.
constexpr std::uint64_t kMostBits = 1'000'000'000'000'000;

/// By the kernel's rules.
bool is_interface_name(std::string_view name) {
  return !name.empty() && name.size() <= 15 && std::none_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || c == '/' || c == 0x7f;
  });
}

}  // namespace

Parser<std::string> any_text() {
  return [](std::string_view text) -> Result<std::string> { return std::string(text); };
}

Parser<std::string> one_of(std::vector<std::string> accepted) {
  return [accepted = std::move(accepted)](std::string_view text) -> Result<std::string> {
    for (const auto& word : accepted) {
      if (word == text) return word;
    }
    return Error{net::joined(accepted, ", ")};
  };
}

template <typename T>
Parser<T> number(T least, T most, std::string unit) {
  return [=](std::string_view text) -> Result<T> {
    const auto value = net::whole_number<T>(text);
    if (value && *value >= least && *value <= most) return *value;
    return Error{"a number from " + std::to_string(least) + " to " + std::to_string(most) +
                 (unit.empty() ? "" : " (" + unit + ")")};
  };
}
template Parser<std::uint16_t> number(std::uint16_t, std::uint16_t, std::string);
template Parser<std::uint32_t> number(std::uint32_t, std::uint32_t, std::string);
template Parser<std::uint64_t> number(std::uint64_t, std::uint64_t, std::string);
template Parser<int> number(int, int, std::string);

Parser<std::uint64_t> byte_size(std::uint64_t least, std::uint64_t most) {
  return [=](std::string_view text) -> Result<std::uint64_t> {
    const auto value = net::take_number<std::uint64_t>(text);
    unsigned shift = 0;
    bool good = value.has_value();
    if (text == "K" || text == "Ki") {
      shift = 10;
    } else if (text == "M" || text == "Mi") {
      shift = 20;
    } else if (text == "G" || text == "Gi") {
      shift = 30;
    } else {
      good = good && text.empty();
    }
    // Shifting back detects an overflow.
    const std::uint64_t bytes = value.value_or(0) << shift;
    if (good && bytes >> shift == *value && bytes >= least && bytes <= most) return bytes;
    return Error{"a size from " + std::to_string(least) + " to " + std::to_string(most) +
                 " bytes; the suffixes K, M, and G are accepted"};
  };
}

Parser<std::uint64_t> bit_rate() {
  return [](std::string_view text) -> Result<std::uint64_t> {
    const auto value = net::take_number<std::uint64_t>(text);
    const std::uint64_t unit = text.empty()  ? 1
                               : text == "K" ? 1'000
                               : text == "M" ? 1'000'000
                               : text == "G" ? 1'000'000'000
                                             : 0;
    if (!value || unit == 0 || *value > kMostBits / unit)
      return Error{"bits per second, such as 64K, 100M, or 2G; 0: unlimited"};
    return *value * unit;
  };
}

Parser<std::int64_t> duration_ms(std::int64_t least, std::int64_t most) {
  return [=](std::string_view text) -> Result<std::int64_t> {
    const auto value = net::take_number<std::int64_t>(text);
    const std::int64_t factor = text == "ms"                  ? 1
                                : text.empty() || text == "s" ? 1000
                                : text == "m"                 ? 60'000
                                : text == "h"                 ? 3'600'000
                                                              : 0;
    if (value && factor != 0 && *value >= 0 && *value <= most / factor &&
        *value * factor >= least) {
      return *value * factor;
    }
    return Error{"a duration from " + std::to_string(least) + "ms to " + std::to_string(most) +
                 "ms, with the unit ms, s, m or h"};
  };
}

Parser<std::vector<net::Cidr>> cidr_list() {
  return [](std::string_view text) -> Result<std::vector<net::Cidr>> {
    auto list = net::parse_cidr_list(text);
    if (list) return list;
    return Error{
        "IPv4 or IPv6 CIDRs separated by commas, such as 10.244.0.0/16,fd00:10:244::/56 (" +
        list.error().text + ")"};
  };
}

Parser<std::vector<net::IpAddress>> address_list() {
  return [](std::string_view text) -> Result<std::vector<net::IpAddress>> {
    std::vector<net::IpAddress> list;
    auto cidrs = net::parse_cidr_list(text);
    if (cidrs) {
      for (const net::Cidr& cidr : *cidrs) {
        if (cidr.length128() == 128) list.push_back(cidr.first());
      }
      if (list.size() == cidrs->size()) return net::distinct(std::move(list));
    }
    return Error{"IPv4 or IPv6 addresses separated by commas"};
  };
}

namespace {

using ReadPlace = Result<net::HostPort> (*)(std::string_view, std::uint16_t);

Parser<net::HostPort> place(ReadPlace read, std::uint16_t default_port, const std::string& form) {
  return [=](std::string_view text) -> Result<net::HostPort> {
    auto parsed = read(text, default_port);
    if (parsed) return parsed;
    return Error{form + ", IPv6 in brackets (" + parsed.error().text + ")"};
  };
}

}  // namespace

Parser<net::HostPort> host_port(std::uint16_t default_port) {
  return place(net::parse_host_port, default_port, default_port == 0 ? "HOST:PORT" : "HOST[:PORT]");
}

Parser<net::HostPort> listen_address(std::uint16_t default_port) {
  return place(net::parse_listen_address, default_port,
               default_port == 0 ? "[HOST]:PORT" : "HOST[:PORT] or :PORT");
}

Parser<std::optional<net::HostPort>> optional_listen_address(std::uint16_t default_port) {
  return [parse = listen_address(default_port)](
             std::string_view text) -> Result<std::optional<net::HostPort>> {
    auto value = parse(text);
    if (!value) return value.error();
    return std::optional(std::move(*value));
  };
}

Parser<std::vector<net::HostPort>> host_port_list(std::uint16_t default_port, std::size_t most) {
  return [=](std::string_view text) -> Result<std::vector<net::HostPort>> {
    const auto wrong = [most](const std::string& why) {
      return Error{"1 to " + std::to_string(most) + " of HOST[:PORT], separated by commas (" + why +
                   ")"};
    };
    std::vector<net::HostPort> list;
    for (const std::string_view item : net::Items(text)) {
      auto parsed = net::parse_host_port(item, default_port);
      if (!parsed) return wrong(parsed.error().text);
      list.push_back(std::move(*parsed));
    }
    if (list.size() > most) return wrong(std::to_string(list.size()) + " given");
    return list;
  };
}

Parser<std::vector<std::string>> interface_names() {
  return [](std::string_view text) -> Result<std::vector<std::string>> {
    std::vector<std::string> names;
    for (const std::string_view name : net::Items(text)) {
      if (!is_interface_name(name) || names.size() == kMostInterfaces)
        return Error{"names of network interfaces, separated by commas"};
      names.emplace_back(name);
    }
    return net::distinct(std::move(names));
  };
}

Parser<std::string> readable_file() {
  return [](std::string_view text) -> Result<std::string> {
    std::string path(text);
    if (std::ifstream(path).good()) return path;
    return Error{"the path of a file that can be read"};
  };
}

}  // namespace sidetap::config
