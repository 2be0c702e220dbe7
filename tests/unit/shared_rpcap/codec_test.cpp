#include "shared/rpcap/codec.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/addresses.h"

namespace sidetap::rpcap {
namespace {

using testing::HasSubstr;

Header header_of(const Bytes& message) {
  return decode_header(std::span<const std::byte, kHeaderSize>(message.data(), kHeaderSize));
}
View payload_of(const Bytes& message) { return View(message).subspan(kHeaderSize); }

Bytes bytes(std::initializer_list<int> values) {
  Bytes result;
  for (const int value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}

const Filter kFilter = {{0x28, 0, 0, 12}, {0x15, 0, 1, 0x800}, {6, 0, 0, 65535}, {6, 0, 0, 0}};

TEST(RpcapCodec, HeaderIsBigEndian) {
  const Bytes message = encode_empty(MessageType::kFindAllInterfacesRequest, 0x0102);
  EXPECT_EQ(message, bytes({0, 2, 1, 2, 0, 0, 0, 0}));
  EXPECT_EQ(header_of(message).type, MessageType::kFindAllInterfacesRequest);
  EXPECT_EQ(header_of(message).value, 0x0102);
}

TEST(RpcapCodec, PayloadSizeHoldsMoreThanSixteenBits) {
  const Header header{0, MessageType::kPacket, 0, 70'020};
  std::array<std::byte, kHeaderSize> wire{};
  encode_header(header, wire);
  EXPECT_EQ(decode_header(wire), header);
}

TEST(RpcapCodec, ErrorTextIsNotTerminated) {
  const Bytes message = encode_error(ErrorCode::kAuthenticationFailed, "no");
  EXPECT_EQ(message, bytes({0, 1, 0, 18, 0, 0, 0, 2, 'n', 'o'}));
  EXPECT_EQ(decode_error(payload_of(message)), "no");
}

TEST(RpcapCodec, AuthenticationAsOnTheWire) {
  const AuthRequest request{true, "me", "pw"};
  const Bytes message = encode_auth_request(request);
  EXPECT_EQ(message, bytes({0, 8, 0, 0, 0, 0, 0, 12, 0, 1, 0, 0, 0, 2, 0, 2, 'm', 'e', 'p', 'w'}));
  EXPECT_EQ(*decode_auth_request(payload_of(message)), request);
  EXPECT_FALSE(decode_auth_request(payload_of(message).first(10)));
  EXPECT_FALSE(decode_auth_request(bytes({0, 9, 0, 0, 0, 0, 0, 0})));
}

TEST(RpcapCodec, InterfacesCarryAddressesInEitherIpv6Family) {
  Interface eth0{"eth0", "shop/web-0;preselected", 6, {}};
  eth0.addresses.push_back({ip("10.244.1.7"), ip("255.255.255.0"), ip("10.244.1.255"), {}});
  eth0.addresses.push_back({ip("fd00::7"), ip("ffff:ffff:ffff:ffff::"), {}, {}});
  const std::vector<Interface> list = {eth0, Interface{"lo", "", 1, {}}};
  for (const auto family : {Ipv6Family::kLinux, Ipv6Family::kWindows}) {
    const Bytes message = encode_interfaces(list, family);
    EXPECT_EQ(header_of(message).value, 2);
    EXPECT_EQ(header_of(message).payload_size, 12 + 4 + 22 + 8 * 128 + 12 + 2U);
    const auto decoded = decode_interfaces(payload_of(message), 2);
    ASSERT_TRUE(decoded) << decoded.error().text;
    EXPECT_EQ(*decoded, list);
    const std::size_t v6_entry = kHeaderSize + 12 + 4 + 22 + 4 * 128;
    EXPECT_EQ(message[v6_entry + 1], static_cast<std::byte>(family));
  }
}

TEST(RpcapCodec, InterfaceListMustFitItsCount) {
  const std::vector<Interface> list = {Interface{"lo", "", 1, {}}};
  const Bytes message = encode_interfaces(list, Ipv6Family::kLinux);
  EXPECT_FALSE(decode_interfaces(payload_of(message), 0));
  EXPECT_FALSE(decode_interfaces(payload_of(message), 2));
  EXPECT_FALSE(decode_interfaces(payload_of(message), 65535));
}

TEST(RpcapCodec, StartRequestAsOnTheWire) {
  const StartCaptureRequest request{262144, 100, kStartDatagram, 5555, kFilter};
  const Bytes message = encode_start_request(request);
  const Bytes expected = bytes({0,    4,    0, 0, 0, 0, 0, 52, 0, 4, 0, 0,    0, 0, 0, 100, 0, 2,
                                0x15, 0xb3, 0, 1, 0, 0, 0, 0,  0, 4, 0, 0x28, 0, 0, 0, 0,   0, 12});
  EXPECT_EQ(Bytes(message.begin(), message.begin() + 36), expected);
  EXPECT_EQ(*decode_start_request(payload_of(message)), request);
}

TEST(RpcapCodec, LoneReturnAndEmptyMeanNoFilter) {
  EXPECT_TRUE(decode_update_filter(payload_of(encode_update_filter({})))->empty());
  EXPECT_TRUE(decode_update_filter(payload_of(encode_update_filter({{6, 0, 0, 96}})))->empty());
  EXPECT_EQ(*decode_update_filter(payload_of(encode_update_filter(kFilter))), kFilter);
}

TEST(RpcapCodec, FiltersOfHostileSizeAreRefused) {
  EXPECT_THAT(decode_update_filter(bytes({0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff})).error().text,
              HasSubstr("over 8192"));
  // 0x20000001 instructions of 8 bytes are 8 bytes in 32 bits.
  EXPECT_FALSE(decode_update_filter(bytes({0, 1, 0, 0, 0x20, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 1})));
  EXPECT_THAT(decode_update_filter(bytes({0, 2, 0, 0, 0, 0, 0, 0})).error().text,
              HasSubstr("not BPF"));
  EXPECT_FALSE(decode_update_filter(bytes({0, 1, 0, 0, 0, 0, 0, 1, 0, 6, 0})));
  EXPECT_FALSE(decode_update_filter({}));
}

TEST(RpcapCodec, WhatFollowsARequestIsIgnored) {
  for (Bytes message : {encode_auth_request({true, "me", "pw"}), encode_update_filter(kFilter),
                        encode_sampling({SamplingMethod::kOneInN, 3})}) {
    message.push_back(std::byte{7});
    const bool read = header_of(message).type == MessageType::kAuthRequest
                          ? decode_auth_request(payload_of(message)).has_value()
                      : header_of(message).type == MessageType::kUpdateFilterRequest
                          ? decode_update_filter(payload_of(message)).has_value()
                          : decode_sampling(payload_of(message)).has_value();
    EXPECT_TRUE(read);
  }
}

TEST(RpcapCodec, TheRestRoundTrips) {
  const OpenReply open{1, 0};
  EXPECT_EQ(*decode_open_reply(payload_of(encode_open_reply(open))), open);
  EXPECT_EQ(decode_open_request(payload_of(encode_open_request("eth0"))), "eth0");
  EXPECT_EQ(decode_open_request(bytes({'l', 'o', 0, 'x'})), "lo");
  const StartCaptureReply start{1 << 20, 7};
  EXPECT_EQ(*decode_start_reply(payload_of(encode_start_reply(start))), start);
  const Stats stats{1, 2, 3, 0xffffffff};
  EXPECT_EQ(*decode_stats(payload_of(encode_stats(stats))), stats);
  const Sampling sampling{SamplingMethod::kOneInN, 10};
  EXPECT_EQ(*decode_sampling(payload_of(encode_sampling(sampling))), sampling);
  EXPECT_FALSE(decode_sampling(bytes({3, 0, 0, 0, 0, 0, 0, 1})));
  EXPECT_EQ(*decode_sampling(bytes({1, 0, 0, 0, 0, 0, 0, 0})), Sampling{});
  const PacketHeader packet{1, 2, 70'000, 70'001, 4};
  std::array<std::byte, kPacketHeaderSize> wire{};
  encode_packet_header(packet, wire);
  EXPECT_EQ(decode_packet_header(wire), packet);
}

TEST(RpcapCodec, NoBytesAtAllCanHarmADecoder) {
  std::mt19937 random(20261123);
  for (int round = 0; round < 20'000; ++round) {
    Bytes payload(random() % 300);
    // Mostly small numbers: they pass the first checks.
    for (auto& byte : payload)
      byte = static_cast<std::byte>(random() % 4 == 0 ? random() : random() % 2);
    const auto interfaces = decode_interfaces(payload, static_cast<std::uint16_t>(random() % 5));
    if (interfaces) {
      EXPECT_LE(interfaces->size(), 4U);
    }
    for (const bool decoded :
         {decode_auth_request(payload).has_value(), decode_start_request(payload).has_value(),
          decode_stats(payload).has_value(), decode_sampling(payload).has_value(),
          decode_open_reply(payload).has_value(), decode_start_reply(payload).has_value()}) {
      if (decoded) {
        EXPECT_GE(payload.size(), 8U);
      }
    }
  }
}

}  // namespace
}  // namespace sidetap::rpcap
