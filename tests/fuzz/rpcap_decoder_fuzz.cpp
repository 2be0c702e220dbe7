// Any bytes as any RPCAP message, for tap and sensor: no decoder reads past its payload, and what a
// decoder accepts is a value that survives the wire: encoded and decoded again it is the same.
//
// Input: header (8 bytes) and payload. The length in the header is ignored.
#include <algorithm>
#include <cstdlib>
#include <span>

#include "shared/rpcap/codec.h"

namespace {

using namespace sidetap::rpcap;

void require(bool holds) {
  if (!holds) std::abort();
}

View payload_of(const Bytes& message) { return View(message).subspan(kHeaderSize); }

std::uint16_t value_of(const Bytes& message) {
  return decode_header(View(message).first<kHeaderSize>()).value;
}

/// `encode(value)` is a message whose header is right and whose payload means `value` again.
template <class T, class Encode, class Decode>
void survives(const T& value, Encode encode, Decode decode) {
  const Bytes message = encode(value);
  const Header header = decode_header(View(message).first<kHeaderSize>());
  require(header.version == 0 && header.payload_size == message.size() - kHeaderSize);
  const auto again = decode(payload_of(message));
  require(again && *again == value);
}

void check_interfaces(View payload, std::uint16_t count) {
  const auto interfaces = decode_interfaces(payload, count);
  if (!interfaces) return;
  require(interfaces->size() == count);
  for (const Ipv6Family family : {Ipv6Family::kLinux, Ipv6Family::kWindows}) {
    const Bytes message = encode_interfaces(*interfaces, family);
    require(value_of(message) == count);
    survives(
        *interfaces, [&](const auto& v) { return encode_interfaces(v, family); },
        [&](View p) { return decode_interfaces(p, count); });
  }
}

void check_packet(View payload) {
  if (payload.size() < kPacketHeaderSize) return;
  const PacketHeader header = decode_packet_header(payload.first<kPacketHeaderSize>());
  std::array<std::byte, kPacketHeaderSize> wire;
  encode_packet_header(header, wire);
  require(std::equal(wire.begin(), wire.end(), payload.begin()));
}

void check_start_request(View payload) {
  const auto request = decode_start_request(payload);
  if (!request) return;
  require(request->filter.size() <= kMaxFilterInstructions);
  survives(*request, encode_start_request, decode_start_request);
}

void check_update_filter(View payload) {
  const auto filter = decode_update_filter(payload);
  if (!filter) return;
  require(filter->size() <= kMaxFilterInstructions);
  survives(*filter, encode_update_filter, decode_update_filter);
}

template <class Decode, class Encode>
void check(View payload, Decode decode, Encode encode) {
  if (const auto value = decode(payload)) survives(*value, encode, decode);
}

void check_texts(const Header& header, View payload) {
  if (header.type == MessageType::kError) require(decode_error(payload).size() <= payload.size());
  if (header.type == MessageType::kOpenRequest)
    require(decode_open_request(payload).size() <= payload.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const View input = std::as_bytes(std::span(data, size));
  if (input.size() < kHeaderSize) return 0;
  const auto bytes = input.first<kHeaderSize>();
  const Header header = decode_header(bytes);
  std::array<std::byte, kHeaderSize> wire;
  encode_header(header, wire);
  require(std::equal(wire.begin(), wire.end(), bytes.begin()));

  const View payload = input.subspan(kHeaderSize);
  switch (header.type) {
    case MessageType::kFindAllInterfacesReply:
      check_interfaces(payload, header.value);
      break;
    case MessageType::kAuthRequest:
      check(payload, decode_auth_request, encode_auth_request);
      break;
    case MessageType::kOpenReply:
      check(payload, decode_open_reply, encode_open_reply);
      break;
    case MessageType::kStartCaptureRequest:
      check_start_request(payload);
      break;
    case MessageType::kStartCaptureReply:
      check(payload, decode_start_reply, encode_start_reply);
      break;
    case MessageType::kUpdateFilterRequest:
      check_update_filter(payload);
      break;
    case MessageType::kStatsReply:
      check(payload, decode_stats, encode_stats);
      break;
    case MessageType::kSetSamplingRequest:
      check(payload, decode_sampling, encode_sampling);
      break;
    case MessageType::kPacket:
      check_packet(payload);
      break;
    default:
      check_texts(header, payload);
  }
  return 0;
}
