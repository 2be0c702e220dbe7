#include "shared/tap/filter_expression.h"

#include <algorithm>
#include <memory>
#include <string>

#include <pcap/pcap.h>

#include "shared/net/ip_address.h"
#include "shared/tap/libpcap_program.h"
#include "shared/tap/settings.h"

namespace sidetap::tap {

namespace {

constexpr int kFilterSnaplen = 262'144;
constexpr std::uint16_t kRawIpLink = 101;

/// What libpcap reads as words of its own. Every other word is a name to it, which it looks up.
constexpr std::string_view kFilterWords =
    " dst src and or not host net mask port portrange proto ether link ip ip6 arp rarp tcp udp "
    "sctp icmp icmp6 igmp igrp pim vrrp carp ah esp aarp atalk stp ipx netbeui llc iso clnp "
    "esis es-is isis is-is decnet lat sca moprc mopdl broadcast multicast less greater byte len "
    "length mpls pppoed pppoes geneve tcpflags tcp-fin tcp-syn tcp-rst tcp-push tcp-ack tcp-urg "
    "tcp-ece tcp-cwr icmptype icmpcode icmp-echoreply icmp-unreach icmp-sourcequench "
    "icmp-redirect icmp-echo icmp-routeradvert icmp-routersolicit icmp-timxceed icmp-paramprob "
    "icmp-tstamp icmp-tstampreply icmp-ireq icmp-ireqreply icmp-maskreq icmp-maskreply "
    "icmp6type icmp6code icmp6-echo icmp6-echoreply icmp6-packettoobig icmp6-timeexceeded "
    "icmp6-parameterproblem icmp6-routersolicit icmp6-routeradvert icmp6-neighborsolicit "
    "icmp6-neighboradvert icmp6-redirect ";
constexpr std::string_view kInterfaceWords = " inbound outbound ifindex vlan ";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_in_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' ||
         c == '-' || c == ':';
}

/// Cuts the text before the first `separator` off; the rest loses the separator too.
std::string_view cut_before(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view piece = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return piece;
}

/// From `least` to `most` pieces of digits.
bool is_digits(std::string_view text, char separator, std::size_t least, std::size_t most) {
  if (text.empty() || text.back() == separator) return false;
  std::size_t pieces = 0;
  for (; !text.empty(); ++pieces) {
    const std::string_view piece = cut_before(text, separator);
    if (piece.empty() || !std::all_of(piece.begin(), piece.end(), is_digit)) return false;
  }
  return pieces >= least && pieces <= most;
}

bool is_hex_number(std::string_view text) {
  if (!text.starts_with("0x") && !text.starts_with("0X")) return false;
  text.remove_prefix(2);
  return !text.empty() && std::all_of(text.begin(), text.end(), is_hex);
}

bool is_mac(std::string_view text, char separator) {
  if (text.empty() || text.back() == separator) return false;
  std::size_t pieces = 0;
  for (; !text.empty(); ++pieces) {
    const std::string_view piece = cut_before(text, separator);
    if (piece.empty() || piece.size() > 2 || !std::all_of(piece.begin(), piece.end(), is_hex))
      return false;
  }
  return pieces == 6;
}

/// A number, an address, or a part of one.
bool is_literal(std::string_view text) {
  return is_digits(text, '.', 1, 4) || is_hex_number(text) || is_mac(text, ':') ||
         is_mac(text, '-') || net::IpAddress::parse(text).has_value();
}

/// Of ports. Without portrange in front of it, libpcap takes it for a name.
bool is_range(std::string_view text) { return is_digits(text, '-', 2, 2); }

/// `words` are between spaces.
bool is_one_of(std::string_view word, std::string_view words) {
  const std::string whole = " " + std::string(word) + " ";
  return words.find(whole) != std::string_view::npos;
}

Result<void> check_word_of_filter(std::string_view word) {
  if (word.empty() || is_one_of(word, kFilterWords) || is_literal(word)) return {};
  if (is_one_of(word, kInterfaceWords))
    return Error{std::string(word) +
                 " cannot be used, because the kernel's filter does not know it"};
  return Error{"\"" + std::string(word) +
               "\" is not a word of a filter, and names are not looked up: use numbers"};
}

/// Refuses what libpcap would look up.
Result<void> check_words_of_filter(std::string_view text) {
  std::string_view last;  // word, but for those that join
  while (!text.empty()) {
    if (text.front() == '\\') return Error{"names of protocols are not looked up: use numbers"};
    std::size_t end = 0;
    while (end < text.size() && is_in_word(text[end])) ++end;
    std::string_view run = text.substr(0, end);
    text.remove_prefix(std::max<std::size_t>(end, 1));
    // A minus or a colon that stands alone is an operator.
    while (!run.empty() && run.front() == '-') run.remove_prefix(1);
    if (run.empty() || is_literal(run) || (is_range(run) && last == "portrange")) continue;
    while (!run.empty()) {
      const std::string_view word = cut_before(run, ':');
      if (auto checked = check_word_of_filter(word); !checked) return checked;
      if (!is_one_of(word, " and or not ")) last = word;
    }
  }
  return {};
}

struct CloseDead {
  void operator()(pcap_t* handle) const { pcap_close(handle); }
};

/// In libpcap's numbers, which differ for raw IP.
int dlt_of(std::uint16_t link_type) { return link_type == kRawIpLink ? DLT_RAW : link_type; }

}  // namespace

Result<std::vector<rpcap::BpfInstruction>> compile_filter(std::string_view text,
                                                          std::uint16_t link_type) {
  std::vector<rpcap::BpfInstruction> compiled;
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return compiled;
  if (text.size() > kMostFilterText)
    return Error{"it has " + std::to_string(text.size()) + " bytes; at most " +
                 std::to_string(kMostFilterText) + " are accepted"};
  if (text.find('\0') != std::string_view::npos) return Error{"it contains a NUL character"};
  if (auto checked = check_words_of_filter(text); !checked) return checked.error();
  const std::unique_ptr<pcap_t, CloseDead> handle(
      pcap_open_dead(dlt_of(link_type), kFilterSnaplen));
  if (!handle) return Error{"out of memory"};
  bpf_program program{};
  if (pcap_compile(handle.get(), &program, std::string(text).c_str(), 1, PCAP_NETMASK_UNKNOWN) != 0)
    return Error{pcap_geterr(handle.get())};
  compiled.reserve(program.bf_len);
  for (u_int i = 0; i < program.bf_len; ++i) {
    const bpf_insn& at = program.bf_insns[i];
    compiled.push_back({.code = at.code, .jt = at.jt, .jf = at.jf, .k = at.k});
  }
  pcap_freecode(&program);
  if (compiled.size() > kMostFilterInstructions)
    return Error{"it needs " + std::to_string(compiled.size()) + " instructions; at most " +
                 std::to_string(kMostFilterInstructions) + " are accepted"};
  return compiled;
}

bool filter_accepts(std::span<const rpcap::BpfInstruction> program,
                    std::span<const std::byte> bytes, std::uint32_t length) {
  if (program.empty()) return true;
  return bpf_filter(as_libpcap(program), reinterpret_cast<const u_char*>(bytes.data()), length,
                    static_cast<u_int>(bytes.size())) != 0;
}

Result<std::string> check_filter(std::string_view text) {
  const auto compiled = compile_filter(text);
  if (!compiled)
    return Error{"a pcap filter expression, such as \"not port 9100\" (" + compiled.error().text +
                 ")"};
  return std::string(text);
}

}  // namespace sidetap::tap
