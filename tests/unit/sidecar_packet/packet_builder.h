// Packets for tests, said in one line: packet().from("10.0.0.1").to("10.0.0.2").tcp(40000,
// 443).syn()
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/net/ip_address.h"
#include "sidecar/packet/packet_view.h"
#include "tests/support/addresses.h"

namespace sidetap::test {

using Bytes = std::vector<std::byte>;
using Mac = std::array<std::byte, 6>;

inline Mac mac(unsigned last) {
  return {std::byte{2}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte(last)};
}

inline void put8(Bytes& out, unsigned v) { out.push_back(static_cast<std::byte>(v & 0xff)); }
inline void put16(Bytes& out, unsigned v) {
  put8(out, v >> 8);
  put8(out, v);
}
inline void put32(Bytes& out, std::uint32_t v) {
  put16(out, v >> 16);
  put16(out, v & 0xffff);
}
inline void append(Bytes& out, const Bytes& more) {
  out.insert(out.end(), more.begin(), more.end());
}

/// Checksums are left zero: nothing here reads them.
class PacketBuilder {
 public:
  PacketBuilder& from(net::IpAddress a) { return source_ = a, *this; }
  PacketBuilder& to(net::IpAddress a) { return destination_ = a, *this; }
  PacketBuilder& from(std::string_view a) { return from(ip(a)); }
  PacketBuilder& to(std::string_view a) { return to(ip(a)); }
  PacketBuilder& source_mac(Mac m) { return source_mac_ = m, *this; }
  PacketBuilder& destination_mac(Mac m) { return destination_mac_ = m, *this; }
  PacketBuilder& vlan(std::uint16_t type = 0x8100) { return vlans_.push_back(type), *this; }
  PacketBuilder& protocol(std::uint8_t p) { return protocol_ = p, *this; }

  PacketBuilder& tcp(std::uint16_t sport, std::uint16_t dport, std::uint8_t flags = 0x10) {
    transport_.clear();
    put16(transport_, sport);
    put16(transport_, dport);
    put32(transport_, 1);
    put32(transport_, 1);
    put16(transport_, 0x5000U | flags);
    put16(transport_, 512);
    put32(transport_, 0);
    return protocol(6);
  }
  PacketBuilder& flags(std::uint8_t f) { return transport_[13] = std::byte{f}, *this; }
  PacketBuilder& syn() { return flags(0x02); }
  PacketBuilder& syn_ack() { return flags(0x12); }
  PacketBuilder& ports(std::uint8_t p, std::uint16_t sport, std::uint16_t dport) {
    transport_.clear();
    put16(transport_, sport);
    put16(transport_, dport);
    put32(transport_, 0);
    put32(transport_, 0);
    return protocol(p);
  }
  PacketBuilder& udp(std::uint16_t sport, std::uint16_t dport) { return ports(17, sport, dport); }
  PacketBuilder& icmp(std::uint8_t type, const Bytes& quote = {}) {
    transport_.clear();
    put8(transport_, type);
    put8(transport_, 0);
    put16(transport_, 0);
    put32(transport_, 0);
    append(transport_, quote);
    return protocol(source_.is_v4() ? 1 : 58);
  }
  PacketBuilder& echo(bool request) {
    return icmp(source_.is_v4() ? (request ? 8 : 0) : (request ? 128 : 129));
  }
  PacketBuilder& payload(Bytes bytes) { return transport_ = std::move(bytes), *this; }
  /// Appends this many bytes.
  PacketBuilder& data(std::size_t count) {
    return transport_.insert(transport_.end(), count, std::byte{0x5a}), *this;
  }
  PacketBuilder& ip_options(unsigned words) { return option_words_ = words, *this; }
  /// `offset` in units of 8 bytes. Later parts carry data instead of a transport header.
  PacketBuilder& fragment(std::uint32_t id, unsigned offset, bool more) {
    fragment_ = Fragment{id, offset, more};
    if (offset != 0) transport_.assign(16, std::byte{0x5a});
    return *this;
  }
  /// An IPv6 extension header of 8 bytes and `more` times 8.
  PacketBuilder& extension(std::uint8_t type, unsigned more = 0) {
    return extensions_.emplace_back(type, more), *this;
  }

  Bytes network() const { return source_.is_v4() && destination_.is_v4() ? ipv4() : ipv6(); }
  Bytes ethernet() const {
    Bytes out;
    append(out, Bytes(destination_mac_.begin(), destination_mac_.end()));
    append(out, Bytes(source_mac_.begin(), source_mac_.end()));
    for (const std::uint16_t type : vlans_) {
      put16(out, type);
      put16(out, 7);
    }
    const Bytes inner = network();
    put16(out, (inner[0] >> 4) == std::byte{4} ? 0x0800 : 0x86dd);
    append(out, inner);
    return out;
  }

 private:
  struct Fragment {
    std::uint32_t id;
    unsigned offset;
    bool more;
  };

  Bytes ipv4() const {
    Bytes out;
    put8(out, 0x45 + option_words_);
    put8(out, 0);
    put16(out, static_cast<unsigned>(20 + option_words_ * 4 + transport_.size()));
    put16(out, fragment_ ? fragment_->id : 0);
    put16(out, fragment_ ? fragment_->offset | (fragment_->more ? 0x2000U : 0) : 0x4000U);
    put8(out, 64);
    put8(out, protocol_);
    put16(out, 0);
    put32(out, source_.v4_bits());
    put32(out, destination_.v4_bits());
    out.insert(out.end(), option_words_ * 4, std::byte{1});
    append(out, transport_);
    return out;
  }
  Bytes ipv6() const {
    Bytes chain;
    std::uint8_t first = protocol_;
    if (!extensions_.empty())
      first = extensions_.front().first;
    else if (fragment_)
      first = 44;
    for (std::size_t i = 0; i < extensions_.size(); ++i) {
      const bool last = i + 1 == extensions_.size();
      const unsigned after = fragment_ ? 44 : protocol_;
      put8(chain, last ? after : extensions_[i + 1].first);
      put8(chain, extensions_[i].second);
      chain.insert(chain.end(), 6 + extensions_[i].second * 8, std::byte{0});
    }
    if (fragment_) {
      put8(chain, protocol_);
      put8(chain, 0);
      put16(chain, fragment_->offset << 3 | (fragment_->more ? 1U : 0));
      put32(chain, fragment_->id);
    }
    append(chain, transport_);
    Bytes out;
    put32(out, 0x60000000U);
    put16(out, static_cast<unsigned>(chain.size()));
    put8(out, first);
    put8(out, 64);
    for (net::IpAddress a : {source_, destination_}) {
      const auto raw = a.v6_bytes();
      append(out, Bytes(raw.begin(), raw.end()));
    }
    append(out, chain);
    return out;
  }

  net::IpAddress source_ = net::IpAddress::v4(0x0a000001);
  net::IpAddress destination_ = net::IpAddress::v4(0x0a000002);
  Mac source_mac_ = mac(1);
  Mac destination_mac_ = mac(2);
  std::vector<std::uint16_t> vlans_;
  std::uint8_t protocol_ = 17;
  Bytes transport_;
  unsigned option_words_ = 0;
  std::optional<Fragment> fragment_;
  std::vector<std::pair<std::uint8_t, unsigned>> extensions_;
};

inline PacketBuilder packet() { return {}; }

/// An Ethernet frame that carries no IP.
inline Bytes frame(Mac to, Mac from, std::uint16_t type, const Bytes& payload) {
  Bytes out(to.begin(), to.end());
  append(out, Bytes(from.begin(), from.end()));
  put16(out, type);
  append(out, payload);
  return out;
}

inline Bytes arp(Mac to, Mac from, net::IpAddress sender, net::IpAddress target) {
  Bytes body;
  put16(body, 1);
  put16(body, 0x0800);
  put16(body, 0x0604);
  put16(body, 1);
  append(body, Bytes(from.begin(), from.end()));
  put32(body, sender.v4_bits());
  body.insert(body.end(), 6, std::byte{0});
  put32(body, target.v4_bits());
  return frame(to, from, 0x0806, body);
}

inline constexpr Mac kBroadcastMac{std::byte{0xff}, std::byte{0xff}, std::byte{0xff},
                                   std::byte{0xff}, std::byte{0xff}, std::byte{0xff}};

}  // namespace sidetap::test
