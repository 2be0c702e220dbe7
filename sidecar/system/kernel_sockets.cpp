#include "sidecar/system/kernel_sockets.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <sys/socket.h>

#include "shared/net/netlink.h"
#include "shared/net/text.h"

namespace sidetap {

bool KernelListeningSockets::is_listening(net::IpAddress local, std::uint16_t port) {
  if (std::chrono::steady_clock::now() >= keep_until_) {
    // After an error, the last answer and the rules for ports decide.
    static_cast<void>(refresh());
  }
  return std::any_of(listeners_.begin(), listeners_.end(), [&](const Listener& l) {
    return l.port == port && (l.address == local || (local.is_v4() ? l.every_v4 : l.every_v6));
  });
}

Result<void> KernelListeningSockets::refresh() {
  const auto start = std::chrono::steady_clock::now();
  std::vector<Listener> fresh;
  const auto done = diag_.listening(
      [&fresh](std::span<const std::byte> message) { read_answer(message, fresh); });
  if (done) listeners_ = std::move(fresh);
  const auto end = std::chrono::steady_clock::now();
  const std::chrono::steady_clock::duration longest = std::chrono::seconds(1);
  keep_until_ = end + std::min(longest, (end - start) * share_);
  if (!done) return Error{"listening sockets: " + done.error().text};
  return {};
}

void KernelListeningSockets::read_answer(std::span<const std::byte> payload,
                                         std::vector<Listener>& into) {
  inet_diag_msg message{};
  if (payload.size() < sizeof message) return;
  std::memcpy(&message, payload.data(), sizeof message);
  if (message.idiag_state != 10) return;
  Listener listener;
  listener.port = ntohs(message.id.idiag_sport);
  std::array<std::byte, 16> raw{};
  std::memcpy(raw.data(), message.id.idiag_src, raw.size());
  if (message.idiag_family == AF_INET) {
    listener.address = net::IpAddress::from_v4_bytes(std::span(raw).first<4>());
    listener.every_v4 = listener.address.is_unspecified();
  } else {
    listener.address = net::IpAddress::from_v6_bytes(raw);
    listener.every_v6 = listener.address == net::IpAddress();
    listener.every_v4 = listener.address.is_unspecified();
    net::for_each_attribute(
        net::after<inet_diag_msg>(payload), [&](unsigned type, std::span<const std::byte> value) {
          if (type == INET_DIAG_SKV6ONLY && !value.empty() && value[0] != std::byte{0})
            listener.every_v4 = false;
        });
  }
  into.push_back(listener);
}

Result<ownership::PortRange> parse_port_range(std::string_view text) {
  const Error error{"port range \"" + std::string(text.substr(0, 40)) +
                    "\": expected two ports, the lower first"};
  std::array<std::uint16_t, 2> ports{};
  for (std::uint16_t& port : ports) {
    const std::size_t start = text.find_first_not_of(" \t\n");
    if (start == std::string_view::npos) return error;
    text.remove_prefix(start);
    const auto number = net::take_number<std::uint16_t>(text);
    if (!number) return error;
    port = *number;
  }
  if (text.find_first_not_of(" \t\n") != std::string_view::npos || ports[0] > ports[1]) {
    return error;
  }
  return ownership::PortRange{ports[0], ports[1]};
}

Result<ownership::PortRange> read_port_range(const std::string& file) {
  std::ifstream in(file);
  if (!in) return Error{file + ": cannot be read; the kernel's default range can be used instead"};
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  return parse_port_range(text);
}

}  // namespace sidetap
