// RPCAP messages as values, for both roles: the tap (the server in libpcap's terms) and the sensor
// (the client).
//
// Sources: libpcap's rpcap-protocol.h; for type 110, ExtraHop's public rpcapd. Integers are
// big-endian on the wire and in host order here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shared/net/ip_address.h"

namespace sidetap::rpcap {

enum class MessageType : std::uint8_t {
  kError = 1,
  kFindAllInterfacesRequest = 2,
  kOpenRequest = 3,
  kStartCaptureRequest = 4,
  kUpdateFilterRequest = 5,
  kClose = 6,
  kPacket = 7,
  kAuthRequest = 8,
  kStatsRequest = 9,
  kEndCaptureRequest = 10,
  kSetSamplingRequest = 11,
  kUdpstrPacket = 110,
  kFindAllInterfacesReply = 130,
  kOpenReply = 131,
  kStartCaptureReply = 132,
  kUpdateFilterReply = 133,
  kAuthReply = 136,
  kStatsReply = 137,
  kEndCaptureReply = 138,
  kSetSamplingReply = 139,
};

/// The PCAP_ERR_* codes of libpcap that a tap sends in a header's `value`.
enum class ErrorCode : std::uint16_t {
  kNetwork = 1,
  kTimeout = 2,  ///< No request came for too long.
  kAuthentication = 3,
  kGetInterfaces = 4,
  kOpen = 6,
  kUpdateFilter = 7,
  kGetStats = 8,
  kHostNotAuthorized = 10,
  kStartCapture = 12,
  kEndCapture = 13,
  kSetSampling = 15,
  kWrongMessage = 16,
  kWrongVersion = 17,
  kAuthenticationFailed = 18,
  kTlsRequired = 19,
  kAuthenticationType = 20,
};

inline constexpr std::size_t kHeaderSize = 8;
inline constexpr std::size_t kPacketHeaderSize = 20;
/// Longer control messages are refused. The largest real one, a full filter, has 64 KiB.
inline constexpr std::uint32_t kMaxControlPayload = 256 * 1024;
/// libpcap's limit on a filter's instructions.
inline constexpr std::uint32_t kMaxFilterInstructions = 8192;

struct Header {
  std::uint8_t version = 0;
  MessageType type = MessageType::kError;  ///< May hold a value that is not an enumerator.
  std::uint16_t value = 0;
  std::uint32_t payload_size = 0;  ///< Bytes.
  friend bool operator==(const Header&, const Header&) = default;
};

struct AuthRequest {
  bool with_password = false;
  std::string user;
  std::string password;
  friend bool operator==(const AuthRequest&, const AuthRequest&) = default;
};

/// The address family number of IPv6 on the wire. libpcap sends 23 (Windows), ExtraHop's tap 10
/// (Linux).
enum class Ipv6Family : std::uint16_t { kLinux = 10, kWindows = 23 };

/// Absent parts are all zero on the wire.
struct InterfaceAddress {
  std::optional<net::IpAddress> address;
  std::optional<net::IpAddress> netmask;
  std::optional<net::IpAddress> broadcast;
  std::optional<net::IpAddress> destination;
  friend bool operator==(const InterfaceAddress&, const InterfaceAddress&) = default;
};

struct Interface {
  std::string name;
  std::string description;
  std::uint32_t flags = 0;  ///< PCAP_IF_* of pcap/pcap.h.
  std::vector<InterfaceAddress> addresses;
  friend bool operator==(const Interface&, const Interface&) = default;
};

struct OpenReply {
  std::int32_t link_type = 0;
  std::int32_t time_zone_offset = 0;
  friend bool operator==(const OpenReply&, const OpenReply&) = default;
};

/// The same as the kernel's sock_filter (linux/filter.h). It comes from the network: validate it
/// before use.
struct BpfInstruction {
  std::uint16_t code = 0;
  std::uint8_t jt = 0;
  std::uint8_t jf = 0;
  std::uint32_t k = 0;
  friend bool operator==(const BpfInstruction&, const BpfInstruction&) = default;
};

/// Empty: every packet passes.
using Filter = std::vector<BpfInstruction>;

inline constexpr std::uint16_t kStartPromiscuous = 1;
inline constexpr std::uint16_t kStartDatagram = 2;
inline constexpr std::uint16_t kStartServerOpens = 4;
inline constexpr std::uint16_t kStartInbound = 8;
inline constexpr std::uint16_t kStartOutbound = 16;

struct StartCaptureRequest {
  std::uint32_t snaplen = 0;  ///< Bytes.
  std::uint32_t read_timeout_ms = 0;
  std::uint16_t flags = 0;      ///< kStart*.
  std::uint16_t data_port = 0;  ///< Where the sensor waits for the data connection.
  Filter filter;
  friend bool operator==(const StartCaptureRequest&, const StartCaptureRequest&) = default;
};

struct StartCaptureReply {
  std::int32_t buffer_size = 0;  ///< Bytes.
  std::uint16_t data_port = 0;   ///< Passive mode: where the tap listens. Otherwise 0.
  friend bool operator==(const StartCaptureReply&, const StartCaptureReply&) = default;
};

/// 32-bit counters that wrap.
struct Stats {
  std::uint32_t received = 0;  ///< By the interface, after the kernel's filter.
  std::uint32_t dropped_by_interface = 0;
  std::uint32_t dropped_by_kernel = 0;
  std::uint32_t captured = 0;  ///< Sent to the sensor.
  friend bool operator==(const Stats&, const Stats&) = default;
};

enum class SamplingMethod : std::uint8_t {
  kNone = 0,
  kOneInN = 1,         ///< value: N.
  kOncePerNMillis = 2  ///< value: milliseconds.
};

struct Sampling {
  SamplingMethod method = SamplingMethod::kNone;
  std::uint32_t value = 0;
  friend bool operator==(const Sampling&, const Sampling&) = default;
};

struct PacketHeader {
  std::uint32_t seconds = 0;
  std::uint32_t microseconds = 0;
  std::uint32_t captured = 0;  ///< Bytes that follow.
  std::uint32_t length = 0;    ///< Bytes on the wire.
  std::uint32_t number = 0;    ///< Starts at 1 in each capture.
  friend bool operator==(const PacketHeader&, const PacketHeader&) = default;
};

}  // namespace sidetap::rpcap
