// Encodes and decodes RPCAP messages, for both roles. Pure and bounded.
//
// Encoders return whole messages, including the header. Decoders take a payload without its header
// and never read past it. If it is too short or a value is out of bounds, they return an Error for
// the log. Trailing bytes of a request are ignored, as in rpcapd; a reply must have its exact size.
#pragma once

#include <bit>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/result.h"
#include "shared/rpcap/messages.h"

namespace sidetap::rpcap {

using Bytes = std::vector<std::byte>;
using View = std::span<const std::byte>;

/// Does not check the version: the caller refuses any version other than 0.
Header decode_header(std::span<const std::byte, kHeaderSize> bytes);
void encode_header(const Header& header, std::span<std::byte, kHeaderSize> bytes);

/// A message without payload: an empty request or reply, or CLOSE.
Bytes encode_empty(MessageType type, std::uint16_t value = 0);

Bytes encode_error(ErrorCode code, std::string_view text);
std::string decode_error(View payload);

Bytes encode_auth_request(const AuthRequest& request);
Result<AuthRequest> decode_auth_request(View payload);

Bytes encode_interfaces(std::span<const Interface> interfaces, Ipv6Family family);
/// `count` is the header's `value`. Accepts either number for IPv6.
Result<std::vector<Interface>> decode_interfaces(View payload, std::uint16_t count);

Bytes encode_open_request(std::string_view name);
std::string decode_open_request(View payload);
Bytes encode_open_reply(const OpenReply& reply);
Result<OpenReply> decode_open_reply(View payload);

Bytes encode_start_request(const StartCaptureRequest& request);
Result<StartCaptureRequest> decode_start_request(View payload);
Bytes encode_start_reply(const StartCaptureReply& reply);
Result<StartCaptureReply> decode_start_reply(View payload);

Bytes encode_update_filter(const Filter& filter);
/// Also accepts a filter without instructions, or of a single "return": both let every packet pass.
Result<Filter> decode_update_filter(View payload);

Bytes encode_stats(const Stats& stats);
Result<Stats> decode_stats(View payload);

Bytes encode_sampling(const Sampling& sampling);
/// A value of 0 means no sampling, whatever the method.
Result<Sampling> decode_sampling(View payload);

/// Inline and word by word, like encode_packet_header(), because they run for each packet.
inline PacketHeader decode_packet_header(std::span<const std::byte, kPacketHeaderSize> bytes) {
  static_assert(std::endian::native == std::endian::little);
  const auto load = [&](std::size_t at) {
    std::uint32_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return __builtin_bswap32(value);
  };
  return {.seconds = load(0),
          .microseconds = load(4),
          .captured = load(8),
          .length = load(12),
          .number = load(16)};
}
inline void encode_packet_header(const PacketHeader& header,
                                 std::span<std::byte, kPacketHeaderSize> bytes) {
  static_assert(std::endian::native == std::endian::little);
  const auto store = [&](std::size_t at, std::uint32_t value) {
    value = __builtin_bswap32(value);
    std::memcpy(bytes.data() + at, &value, sizeof value);
  };
  store(0, header.seconds);
  store(4, header.microseconds);
  store(8, header.captured);
  store(12, header.length);
  store(16, header.number);
}

}  // namespace sidetap::rpcap
