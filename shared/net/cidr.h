// Address prefixes (RFC 4632, RFC 4291) and sets of them with longest-prefix semantics.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/net/ip_address.h"

namespace sidetap::net {

/// A prefix. Host bits are cleared: "10.1.2.3/8" is 10.0.0.0/8.
class Cidr {
 public:
  /// `length` is 0 to 32 for IPv4, 0 to 128 for IPv6.
  static Result<Cidr> make(IpAddress address, unsigned length);
  /// "ADDRESS/LENGTH"; a bare address is the prefix of that single host.
  static Result<Cidr> parse(std::string_view text);
  static Cidr host(IpAddress address);

  IpAddress first() const { return first_; }
  IpAddress last() const;
  /// 0 to 32 for IPv4, 0 to 128 for IPv6.
  unsigned length() const { return first_.is_v4() ? bits_ - 96 : bits_; }
  /// Prefix length of the 128-bit form: an IPv4 prefix is 96 bits longer.
  unsigned length128() const { return bits_; }
  bool is_v4() const { return first_.is_v4(); }
  bool contains(IpAddress address) const;
  std::string to_string() const;

  friend auto operator<=>(const Cidr&, const Cidr&) = default;
  friend bool operator==(const Cidr&, const Cidr&) = default;

 private:
  Cidr(IpAddress first, unsigned bits) : first_(first), bits_(bits) {}
  IpAddress first_;
  unsigned bits_ = 128;
};

/// Comma-separated prefixes; blanks around them and empty items are ignored.
Result<std::vector<Cidr>> parse_cidr_list(std::string_view text);
std::string to_string(std::span<const Cidr> list);
/// The fewest prefixes that cover what both lists cover, in ascending order.
std::vector<Cidr> intersection(std::span<const Cidr> a, std::span<const Cidr> b);

/// An immutable set of addresses, given as prefixes; the longest matching prefix decides. A look-up
/// is a binary search over disjoint ranges; many short ranges (hosts) are found by hash. Look-ups
/// do not allocate and are safe from any thread.
class CidrSet {
 public:
  struct Rule {
    Cidr prefix;
    bool member = true;
  };

  CidrSet() = default;
  explicit CidrSet(std::span<const Rule> rules);
  explicit CidrSet(std::span<const Cidr> members);
  /// A comma-separated list in which "!PREFIX" excludes addresses: "10.244.0.0/16,!10.244.1.1".
  static Result<CidrSet> parse(std::string_view text);
  static Result<std::vector<Rule>> parse_rules(std::string_view text);

  bool contains(IpAddress address) const;
  bool empty() const { return ranges_.empty(); }
  /// Whether there are addresses of this family. A prefix of IPv6 addresses counts as IPv6 only,
  /// even if it covers mapped ones.
  bool has_family(bool v4) const;
  /// The fewest prefixes that cover exactly this set, in ascending order.
  std::vector<Cidr> prefixes() const;

  friend bool operator==(const CidrSet&, const CidrSet&) = default;

 private:
  struct Range {
    IpAddress first;
    IpAddress last;
    friend bool operator==(const Range&, const Range&) = default;
  };
  /// 64 neighbouring addresses, one bit each. All zero: an empty slot.
  struct Block {
    IpAddress first;
    std::uint64_t members = 0;
    friend bool operator==(const Block&, const Block&) = default;
  };
  void index();
  std::size_t place_of(IpAddress block_first) const;
  void add_to_blocks(const Range& range);
  bool in_blocks(IpAddress address) const;

  std::vector<Range> ranges_;       // ascending, disjoint, never adjacent
  std::vector<Range> long_ranges_;  // those of ranges_ that are not in blocks_
  std::vector<Block> blocks_;       // a hash table, a power of two long
};

}  // namespace sidetap::net
