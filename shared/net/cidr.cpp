#include "shared/net/cidr.h"

#include <algorithm>
#include <bit>
#include <optional>

#include "shared/net/text.h"

namespace sidetap::net {
namespace {

/// The bits below a prefix, as an address.
IpAddress host_mask(unsigned length128) {
  const std::uint64_t high = length128 >= 64 ? 0 : ~0ULL >> length128;
  const std::uint64_t low = length128 >= 128  ? 0
                            : length128 <= 64 ? ~0ULL
                                              : ~0ULL >> (length128 - 64);
  return IpAddress::v6(high, low);
}

IpAddress next(IpAddress a) {
  const std::uint64_t low = a.low() + 1;
  return IpAddress::v6(a.high() + (low == 0 ? 1 : 0), low);
}

IpAddress previous(IpAddress a) {
  return IpAddress::v6(a.high() - (a.low() == 0 ? 1 : 0), a.low() - 1);
}

/// The first address of the block of 64 that contains `address`.
IpAddress block_of(IpAddress address) {
  return IpAddress::v6(address.high(), address.low() & ~std::uint64_t{63});
}

const IpAddress kHighest = IpAddress::v6(~0ULL, ~0ULL);

/// Calls `each` for every non-empty item of a comma-separated list. Stops at the first error.
template <typename Each>
std::optional<Error> for_each_item(std::string_view text, Each each) {
  for (const std::string_view padded : Items(text)) {
    const std::string_view item = trimmed(padded);
    if (item.empty()) continue;
    if (auto error = each(item)) return error;
  }
  return std::nullopt;
}

}  // namespace

Result<Cidr> Cidr::make(IpAddress address, unsigned length) {
  const unsigned most = address.is_v4() ? 32 : 128;
  if (length > most) {
    return Error{"prefix length " + std::to_string(length) + " is over " + std::to_string(most)};
  }
  const unsigned bits = length + (128 - most);
  const IpAddress mask = host_mask(bits);
  return Cidr(IpAddress::v6(address.high() & ~mask.high(), address.low() & ~mask.low()), bits);
}

Result<Cidr> Cidr::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return Error{"\"" + std::string(text) + "\" is not an address or CIDR"};
  if (slash == std::string_view::npos) return host(*address);
  const auto digits = whole_number<unsigned>(text.substr(slash + 1));
  if (!digits) return Error{"\"" + std::string(text) + "\" has no prefix length after the slash"};
  unsigned length = *digits;
  // The family of the text counts: "::ffff:10.0.0.0/104" has an IPv6 length.
  if (address->is_v4() && text.find(':') != std::string_view::npos) {
    if (length < 96)
      return Error{"\"" + std::string(text) + "\" mixes IPv4-mapped and other addresses"};
    length -= 96;
  }
  return make(*address, length);
}

Cidr Cidr::host(IpAddress address) { return {address, 128}; }

IpAddress Cidr::last() const {
  const IpAddress mask = host_mask(bits_);
  return IpAddress::v6(first_.high() | mask.high(), first_.low() | mask.low());
}

bool Cidr::contains(IpAddress address) const { return first_ <= address && address <= last(); }

std::string Cidr::to_string() const { return first_.to_string() + "/" + std::to_string(length()); }

Result<std::vector<Cidr>> parse_cidr_list(std::string_view text) {
  std::vector<Cidr> list;
  auto error = for_each_item(text, [&](std::string_view item) -> std::optional<Error> {
    auto cidr = Cidr::parse(item);
    if (!cidr) return cidr.error();
    list.push_back(*cidr);
    return std::nullopt;
  });
  if (error) return *error;
  return list;
}

std::string to_string(std::span<const Cidr> list) {
  std::string text;
  for (const Cidr& cidr : list) {
    if (!text.empty()) text += ',';
    text += cidr.to_string();
  }
  return text;
}

std::vector<Cidr> intersection(std::span<const Cidr> a, std::span<const Cidr> b) {
  std::vector<Cidr> both;
  for (const Cidr& left : a) {
    for (const Cidr& right : b) {
      // Prefixes nest or are disjoint: the intersection of two that nest is the longer one.
      const Cidr& longer = left.length128() > right.length128() ? left : right;
      const Cidr& shorter = left.length128() > right.length128() ? right : left;
      if (shorter.contains(longer.first())) both.push_back(longer);
    }
  }
  return CidrSet(std::span<const Cidr>(both)).prefixes();
}

CidrSet::CidrSet(std::span<const Rule> rules) {
  // Prefixes nest or are disjoint. In ascending order (wider first), a stack of the open ones
  // therefore has the longest covering prefix of every boundary on top. Of equal prefixes, the last
  // one given decides.
  std::vector<Rule> sorted(rules.begin(), rules.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Rule& a, const Rule& b) { return a.prefix < b.prefix; });
  const auto emit = [this](IpAddress first, IpAddress last) {
    if (!ranges_.empty() && ranges_.back().last == previous(first) && first != IpAddress{}) {
      ranges_.back().last = last;
    } else {
      ranges_.push_back({first, last});
    }
  };
  std::vector<Rule> open;
  IpAddress position;
  bool done = false;  // the highest address has been passed
  const auto close_up_to = [&](std::optional<IpAddress> limit) {
    while (!done && !open.empty() && (!limit || open.back().prefix.last() < *limit)) {
      const IpAddress last = open.back().prefix.last();
      if (position <= last) {
        if (open.back().member) emit(position, last);
        done = last == kHighest;
        if (!done) position = next(last);
      }
      open.pop_back();
    }
  };
  for (const Rule& rule : sorted) {
    close_up_to(rule.prefix.first());
    if (!open.empty() && position < rule.prefix.first()) {
      if (open.back().member) emit(position, previous(rule.prefix.first()));
    }
    if (position < rule.prefix.first()) position = rule.prefix.first();
    open.push_back(rule);
  }
  close_up_to(std::nullopt);
  index();
}

void CidrSet::index() {
  constexpr std::size_t kWorthwhile = 16;
  constexpr std::uint64_t kMostBlocks = 8;  // per range
  const auto blocks_of = [](const Range& range) -> std::uint64_t {
    if (range.first.high() != range.last.high()) return kMostBlocks + 1;
    return (range.last.low() >> 6) - (range.first.low() >> 6) + 1;
  };
  std::size_t blocks = 0;
  std::size_t shorts = 0;
  for (const Range& range : ranges_) {
    if (blocks_of(range) > kMostBlocks) continue;
    blocks += blocks_of(range);
    ++shorts;
  }
  if (shorts < kWorthwhile) {
    long_ranges_ = ranges_;
    return;
  }
  blocks_.resize(std::bit_ceil(blocks + blocks / 3));
  for (const Range& range : ranges_) {
    if (blocks_of(range) > kMostBlocks) {
      long_ranges_.push_back(range);
    } else {
      add_to_blocks(range);
    }
  }
}

std::size_t CidrSet::place_of(IpAddress block_first) const {
  const std::uint64_t hash =
      ((block_first.low() >> 6) ^ std::rotl(block_first.high(), 29)) * 0x9e3779b97f4a7c15ULL;
  std::size_t place = hash >> 32 & (blocks_.size() - 1);
  while (blocks_[place].members != 0 && blocks_[place].first != block_first) {
    place = (place + 1) & (blocks_.size() - 1);
  }
  return place;
}

void CidrSet::add_to_blocks(const Range& range) {
  for (IpAddress block = block_of(range.first);;
       block = IpAddress::v6(block.high(), block.low() + 64)) {
    const bool begins = block == block_of(range.first);
    const bool ends = block == block_of(range.last);
    const std::uint64_t from = ~0ULL << (begins ? range.first.low() & 63 : 0);
    const std::uint64_t to = ~0ULL >> (63 - (ends ? range.last.low() & 63 : 63));
    Block& place = blocks_[place_of(block)];
    place.first = block;
    place.members |= from & to;
    if (ends) return;
  }
}

bool CidrSet::in_blocks(IpAddress address) const {
  return (blocks_[place_of(block_of(address))].members >> (address.low() & 63) & 1) != 0;
}

CidrSet::CidrSet(std::span<const Cidr> members) {
  std::vector<Rule> rules;
  rules.reserve(members.size());
  for (const Cidr& cidr : members) rules.push_back({cidr, true});
  *this = CidrSet(std::span<const Rule>(rules));
}

Result<std::vector<CidrSet::Rule>> CidrSet::parse_rules(std::string_view text) {
  std::vector<Rule> rules;
  auto error = for_each_item(text, [&](std::string_view item) -> std::optional<Error> {
    const bool member = item.front() != '!';
    auto cidr = Cidr::parse(member ? item : item.substr(1));
    if (!cidr) return cidr.error();
    rules.push_back({*cidr, member});
    return std::nullopt;
  });
  if (error) return *error;
  return rules;
}

Result<CidrSet> CidrSet::parse(std::string_view text) {
  const auto rules = parse_rules(text);
  if (!rules) return rules.error();
  return CidrSet(std::span<const Rule>(*rules));
}

bool CidrSet::contains(IpAddress address) const {
  if (!blocks_.empty() && in_blocks(address)) return true;
  const auto after =
      std::upper_bound(long_ranges_.begin(), long_ranges_.end(), address,
                       [](IpAddress a, const Range& range) { return a < range.first; });
  return after != long_ranges_.begin() && address <= std::prev(after)->last;
}

bool CidrSet::has_family(bool v4) const {
  if (ranges_.empty()) return false;
  // In ascending order, all IPv4 addresses stand together.
  if (!v4) return !ranges_.front().first.is_v4() || !ranges_.back().first.is_v4();
  const auto after =
      std::lower_bound(ranges_.begin(), ranges_.end(), IpAddress::v4(0),
                       [](const Range& range, IpAddress a) { return range.first < a; });
  return after != ranges_.end() && after->first.is_v4();
}

std::vector<Cidr> CidrSet::prefixes() const {
  std::vector<Cidr> list;
  for (const Range& range : ranges_) {
    IpAddress first = range.first;
    while (true) {
      // The widest aligned prefix that starts here and does not pass the end of the range. IPv4 and
      // IPv6 never share a prefix: an IPv4 prefix has at least 96 bits.
      const unsigned widest = first.is_v4() ? 96 : 0;
      unsigned length = 128;
      while (length > widest) {
        const IpAddress mask = host_mask(length - 1);
        const bool aligned = (first.high() & mask.high()) == 0 && (first.low() & mask.low()) == 0;
        const IpAddress last = IpAddress::v6(first.high() | mask.high(), first.low() | mask.low());
        if (!aligned || last > range.last) break;
        --length;
      }
      const Cidr cidr = *Cidr::make(first, first.is_v4() ? length - 96 : length);
      list.push_back(cidr);
      if (cidr.last() == range.last) break;
      first = next(cidr.last());
    }
  }
  return list;
}

}  // namespace sidetap::net
