// The options of the reference sensor.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "shared/config/options.h"
#include "shared/net/cidr.h"
#include "shared/net/host_port.h"
#include "shared/rpcap/messages.h"

namespace sidetap::sensor {

enum class DataMode : std::uint8_t { kUdp, kTcp };
enum class TlsMode : std::uint8_t {
  kOff,
  kRpcaps,  ///< The sensor begins the handshake (libpcap's rpcaps).
  kServer   ///< The tap begins it.
};

/// Ways to misbehave on request.
struct Fault {
  bool refuse = false;                       ///< ERROR instead of the first request.
  bool stop_reading = false;                 ///< Data is left in the socket.
  std::optional<std::chrono::seconds> hang;  ///< After this, nothing is read or answered.
  std::optional<std::chrono::seconds> close_after;
  std::chrono::milliseconds start_after{0};  ///< The capture is asked for late.
  std::uint32_t drop_every = 0;              ///< Every Nth datagram is thrown away unseen.
};

struct Options {
  bool active = true;
  net::HostPort address;  ///< To listen on (active) or to dial (passive).
  DataMode data = DataMode::kUdp;
  std::uint16_t data_port = 0;               ///< One for all sessions; 0: any, one for each.
  std::uint32_t receive_buffer = 64U << 20;  ///< SO_RCVBUF of a UDP socket.
  std::string user;
  std::string password;
  std::string filter;  ///< tcpdump expression.
  std::string next_filter;
  std::chrono::seconds next_filter_after{0};
  std::vector<net::Cidr> interface_rule;  ///< The interface with an address in it is captured.
  std::uint32_t snaplen = 262'144;
  std::uint32_t read_timeout_ms = 1000;
  rpcap::Sampling sampling;
  std::chrono::seconds stats_every{0};
  std::string output_dir;
  std::string json;  ///< "-": standard output.
  Fault fault;
  TlsMode tls = TlsMode::kOff;
  std::string tls_cert, tls_key, tls_ca, tls_name;
};

/// `arguments` begin with "active" or "passive". Prints help and errors as config::OptionSet does.
config::ParseResult parse_options(std::span<const char* const> arguments, Options& into);

}  // namespace sidetap::sensor
