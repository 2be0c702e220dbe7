#include "sidecar/commands/explain_report.h"

#include <array>
#include <iomanip>
#include <ostream>
#include <sstream>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "shared/net/host_port.h"

namespace sidetap {
namespace {

using capture::CapturedPacket;
using capture::Depth;
using capture::IpProtocol;
using capture::PacketView;
using ownership::Decision;
using ownership::Rule;

constexpr std::string_view kFilterName = "filter";
constexpr std::string_view kFilterText = "the operator's filter refuses it";

std::string protocol_name(std::uint8_t protocol) {
  switch (static_cast<IpProtocol>(protocol)) {
    case IpProtocol::kIcmp:
      return "icmp";
    case IpProtocol::kTcp:
      return "tcp";
    case IpProtocol::kUdp:
      return "udp";
    case IpProtocol::kDccp:
      return "dccp";
    case IpProtocol::kIcmpV6:
      return "icmpv6";
    case IpProtocol::kSctp:
      return "sctp";
    case IpProtocol::kUdpLite:
      return "udp-lite";
  }
  return "protocol " + std::to_string(protocol);
}

std::string tcp_flag_names(std::uint8_t flags) {
  constexpr std::array<std::string_view, 6> kNames{"FIN", "SYN", "RST", "PSH", "ACK", "URG"};
  std::string text;
  for (std::size_t bit = 0; bit < kNames.size(); ++bit) {
    if ((flags >> bit & 1) != 0) text += (text.empty() ? "" : "+") + std::string(kNames[bit]);
  }
  return text;
}

bool is_icmp(const PacketView& view) {
  return view.protocol == static_cast<std::uint8_t>(IpProtocol::kIcmp) ||
         view.protocol == static_cast<std::uint8_t>(IpProtocol::kIcmpV6);
}

bool has_ports(const PacketView& view) { return view.depth == Depth::kTransport && !is_icmp(view); }

std::string end_text(net::IpAddress address, bool with_port, std::uint16_t port) {
  std::string text = address.to_string();
  if (!with_port) return text;
  return net::HostPort{std::move(text), port}.to_string();
}

/// "10.0.0.2:40000 > 10.0.0.1:443 tcp SYN"; for other packets than IP, their EtherType.
std::string flow_text(const PacketView& view) {
  if (view.depth == Depth::kNothing) return "unreadable";
  std::ostringstream out;
  if (view.depth == Depth::kLink) {
    if (view.arp_sender) {
      out << "arp from " << view.arp_sender->to_string();
    } else {
      out << "ethertype 0x" << std::hex << std::setw(4) << std::setfill('0') << view.ether_type;
    }
    return out.str();
  }
  const bool ports = has_ports(view);
  out << end_text(view.source, ports, view.source_port) << " > "
      << end_text(view.destination, ports, view.destination_port) << ' '
      << protocol_name(view.protocol);
  if (view.depth == Depth::kTransport) {
    if (is_icmp(view)) {
      out << " type " << int{view.icmp_type} << " code " << int{view.icmp_code};
    } else if (view.protocol == static_cast<std::uint8_t>(IpProtocol::kTcp)) {
      out << ' ' << tcp_flag_names(view.tcp_flags);
    }
  }
  if (view.fragment) {
    out << (view.first_fragment ? " first" : " later") << " fragment of " << view.fragment_id;
  }
  return out.str();
}

/// "12.345678", in seconds. May be negative, because the packets of a file may be out of order.
std::string seconds_text(std::int64_t nanoseconds) {
  const std::int64_t micro = (nanoseconds < 0 ? -nanoseconds : nanoseconds) / 1000;
  std::ostringstream out;
  out << (nanoseconds < 0 ? "-" : "") << micro / 1'000'000 << '.' << std::setw(6)
      << std::setfill('0') << micro % 1'000'000;
  return out.str();
}

const char* verdict(const Explanation& explanation) {
  if (!explanation) return "filtered";
  return explanation->owned ? "owned" : "not owned";
}

std::string_view rule_name(const Explanation& explanation) {
  return explanation ? ownership::rule_name(explanation->rule) : kFilterName;
}

std::string_view rule_text(const Explanation& explanation) {
  return explanation ? ownership::rule_text(explanation->rule) : kFilterText;
}

/// Calls `each` for every rule that decided packets, with the verdict and their number.
template <typename Each>
void for_each_rule(const ExplainTotals& totals, Each each) {
  if (totals.filtered != 0) each(Explanation(), totals.filtered);
  for (unsigned rule = 0; rule < ownership::kRuleCount; ++rule) {
    for (const bool owned : {true, false}) {
      if (const std::uint64_t packets = totals.by_rule[rule][owned]; packets != 0)
        each(Explanation(Decision{owned, static_cast<Rule>(rule)}), packets);
    }
  }
}

class TextReport final : public ExplainReport {
 public:
  explicit TextReport(std::ostream& out) : out_(out) {}

  void packet(std::uint64_t number, std::int64_t since_first, const CapturedPacket&,
              const PacketView& view, const Explanation& explanation) override {
    out_ << std::setw(6) << number << ' ' << std::setw(12) << seconds_text(since_first) << "  "
         << std::left << std::setw(9) << verdict(explanation) << "  " << std::setw(19)
         << rule_name(explanation) << ' ' << std::right << flow_text(view) << ": "
         << rule_text(explanation) << '\n';
  }

  void summary(const ExplainTotals& totals, const std::vector<std::string>& assumed) override {
    out_ << '\n'
         << totals.packets << " packets: " << totals.owned << " owned, " << totals.not_owned()
         << " not owned";
    if (totals.filtered != 0) out_ << ", " << totals.filtered << " filtered";
    out_ << '\n';
    for_each_rule(totals, [this](const Explanation& explanation, std::uint64_t packets) {
      out_ << std::setw(10) << packets << "  " << std::left << std::setw(9) << verdict(explanation)
           << "  " << std::setw(19) << rule_name(explanation) << ' ' << std::right
           << rule_text(explanation) << '\n';
    });
    for (const std::string& sentence : assumed) out_ << "assumed: " << sentence << '\n';
  }

 private:
  std::ostream& out_;
};

nlohmann::ordered_json quote_object(const capture::QuotedFlow& quote) {
  nlohmann::ordered_json object{{"source", quote.source.to_string()},
                                {"destination", quote.destination.to_string()},
                                {"protocol", quote.protocol}};
  if (quote.has_ports) {
    object["source_port"] = quote.source_port;
    object["destination_port"] = quote.destination_port;
  }
  return object;
}

class JsonReport final : public ExplainReport {
 public:
  explicit JsonReport(std::ostream& out) : out_(out) {}

  void packet(std::uint64_t number, std::int64_t since_first, const CapturedPacket& packet,
              const PacketView& view, const Explanation& explanation) override {
    nlohmann::ordered_json line{{"packet", number},
                                {"time", seconds_text(time_of(packet))},
                                {"since_first", seconds_text(since_first)},
                                {"length", packet.length},
                                {"owned", explanation && explanation->owned},
                                {"rule", rule_name(explanation)},
                                {"reason", rule_text(explanation)},
                                {"flow", flow_text(view)}};
    if (view.is_ip()) {
      line["source"] = view.source.to_string();
      line["destination"] = view.destination.to_string();
      line["protocol"] = view.protocol;
    }
    if (has_ports(view)) {
      line["source_port"] = view.source_port;
      line["destination_port"] = view.destination_port;
      if (view.protocol == static_cast<std::uint8_t>(IpProtocol::kTcp))
        line["tcp_flags"] = view.tcp_flags;
    } else if (view.depth == Depth::kTransport) {
      line["icmp_type"] = view.icmp_type;
      line["icmp_code"] = view.icmp_code;
    }
    if (view.fragment) line["fragment"] = view.first_fragment ? "first" : "later";
    if (view.quote) line["quoted"] = quote_object(*view.quote);
    out_ << line.dump() << '\n';
  }

  void summary(const ExplainTotals& totals, const std::vector<std::string>& assumed) override {
    nlohmann::ordered_json rules = nlohmann::ordered_json::array();
    for_each_rule(totals, [&](const Explanation& explanation, std::uint64_t packets) {
      rules.push_back({{"rule", rule_name(explanation)},
                       {"owned", explanation && explanation->owned},
                       {"packets", packets},
                       {"reason", rule_text(explanation)}});
    });
    out_ << nlohmann::ordered_json{{"summary",
                                    {{"packets", totals.packets},
                                     {"owned", totals.owned},
                                     {"not_owned", totals.not_owned()},
                                     {"filtered", totals.filtered},
                                     {"rules", std::move(rules)},
                                     {"assumed", assumed}}}}
                .dump()
         << '\n';
  }

 private:
  std::ostream& out_;
};

}  // namespace

void ExplainTotals::count(const Explanation& explanation) {
  ++packets;
  if (!explanation) {
    ++filtered;
    return;
  }
  owned += explanation->owned;
  ++by_rule[static_cast<unsigned>(explanation->rule)][explanation->owned];
}

std::int64_t time_of(const CapturedPacket& packet) {
  return std::int64_t{packet.seconds} * 1'000'000'000 + packet.nanoseconds;
}

std::unique_ptr<ExplainReport> make_explain_report(bool json, std::ostream& out) {
  if (json) return std::make_unique<JsonReport>(out);
  return std::make_unique<TextReport>(out);
}

}  // namespace sidetap
