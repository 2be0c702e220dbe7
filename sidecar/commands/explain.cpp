#include "sidecar/commands/explain.h"

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>

#include <nlohmann/json.hpp>

#include "shared/net/text.h"
#include "sidecar/capture/capture_file.h"
#include "sidecar/ownership/engine.h"

namespace sidetap {
namespace {

using capture::CapturedPacket;
using capture::Depth;
using capture::IpProtocol;
using capture::PacketView;
using ownership::Decision;
using ownership::Rule;

class ListedSockets final : public ownership::ListeningSockets {
 public:
  explicit ListedSockets(const std::vector<std::uint16_t>& ports) : ports_(ports) {}
  bool is_listening(net::IpAddress, std::uint16_t port) override {
    return std::find(ports_.begin(), ports_.end(), port) != ports_.end();
  }

 private:
  const std::vector<std::uint16_t>& ports_;
};

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
  const std::string text = address.to_string();
  if (!with_port) return text;
  return (address.is_v4() ? text : "[" + text + "]") + ":" + std::to_string(port);
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

/// Nanoseconds since 1970.
std::int64_t time_of(const CapturedPacket& packet) {
  return std::int64_t{packet.seconds} * 1'000'000'000 + packet.nanoseconds;
}

/// "12.345678", in seconds. May be negative, because the packets of a file may be out of order.
std::string seconds_text(std::int64_t nanoseconds) {
  const std::int64_t micro = (nanoseconds < 0 ? -nanoseconds : nanoseconds) / 1000;
  std::ostringstream out;
  out << (nanoseconds < 0 ? "-" : "") << micro / 1'000'000 << '.' << std::setw(6)
      << std::setfill('0') << micro % 1'000'000;
  return out.str();
}

struct Totals {
  std::uint64_t packets = 0;
  std::uint64_t owned = 0;
  std::array<std::array<std::uint64_t, 2>, ownership::kRuleCount> by_rule{};  ///< [rule][owned]

  void count(Decision decision) {
    ++packets;
    owned += decision.owned;
    ++by_rule[static_cast<unsigned>(decision.rule)][decision.owned];
  }
  /// Calls `each` for every rule that decided packets, with the verdict and their number.
  template <typename Each>
  void for_each(Each each) const {
    for (unsigned rule = 0; rule < ownership::kRuleCount; ++rule) {
      for (const bool verdict : {true, false}) {
        if (by_rule[rule][verdict] != 0) {
          each(Decision{verdict, static_cast<Rule>(rule)}, by_rule[rule][verdict]);
        }
      }
    }
  }
};

class Report {
 public:
  explicit Report(std::ostream& out) : out_(out) {}
  virtual ~Report() = default;
  virtual void packet(std::uint64_t number, std::int64_t since_first, const CapturedPacket& packet,
                      const PacketView& view, Decision decision) = 0;
  virtual void summary(const Totals& totals, const std::vector<std::string>& assumed) = 0;

 protected:
  std::ostream& out_;
};

const char* verdict(Decision decision) { return decision.owned ? "owned" : "not owned"; }

class TextReport final : public Report {
 public:
  using Report::Report;

  void packet(std::uint64_t number, std::int64_t since_first, const CapturedPacket&,
              const PacketView& view, Decision decision) override {
    out_ << std::setw(6) << number << ' ' << std::setw(12) << seconds_text(since_first) << "  "
         << std::left << std::setw(9) << verdict(decision) << "  " << std::setw(19)
         << ownership::rule_name(decision.rule) << ' ' << std::right << flow_text(view) << ": "
         << ownership::rule_text(decision.rule) << '\n';
  }

  void summary(const Totals& totals, const std::vector<std::string>& assumed) override {
    out_ << '\n'
         << totals.packets << " packets: " << totals.owned << " owned, "
         << totals.packets - totals.owned << " not owned\n";
    totals.for_each([this](Decision decision, std::uint64_t packets) {
      out_ << std::setw(10) << packets << "  " << std::left << std::setw(9) << verdict(decision)
           << "  " << std::setw(19) << ownership::rule_name(decision.rule) << ' ' << std::right
           << ownership::rule_text(decision.rule) << '\n';
    });
    for (const std::string& sentence : assumed) out_ << "assumed: " << sentence << '\n';
  }
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

class JsonReport final : public Report {
 public:
  using Report::Report;

  void packet(std::uint64_t number, std::int64_t since_first, const CapturedPacket& packet,
              const PacketView& view, Decision decision) override {
    nlohmann::ordered_json line{{"packet", number},
                                {"time", seconds_text(time_of(packet))},
                                {"since_first", seconds_text(since_first)},
                                {"length", packet.length},
                                {"owned", decision.owned},
                                {"rule", ownership::rule_name(decision.rule)},
                                {"reason", ownership::rule_text(decision.rule)},
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

  void summary(const Totals& totals, const std::vector<std::string>& assumed) override {
    nlohmann::ordered_json rules = nlohmann::ordered_json::array();
    totals.for_each([&](Decision decision, std::uint64_t packets) {
      rules.push_back({{"rule", ownership::rule_name(decision.rule)},
                       {"owned", decision.owned},
                       {"packets", packets},
                       {"reason", ownership::rule_text(decision.rule)}});
    });
    out_ << nlohmann::ordered_json{{"summary",
                                    {{"packets", totals.packets},
                                     {"owned", totals.owned},
                                     {"not_owned", totals.packets - totals.owned},
                                     {"rules", std::move(rules)},
                                     {"assumed", assumed}}}}
                .dump()
         << '\n';
  }
};

class Explainer {
 public:
  Explainer(ownership::Engine& engine, Report& report) : engine_(engine), report_(report) {}

  void explain(capture::LinkType link, const CapturedPacket& packet) {
    const PacketView view = capture::parse_packet(link, packet.bytes);
    const Decision decision = engine_.decide(view);
    totals_.count(decision);
    if (!first_) first_ = time_of(packet);
    report_.packet(totals_.packets, time_of(packet) - *first_, packet, view, decision);
  }

  const Totals& totals() const { return totals_; }

 private:
  ownership::Engine& engine_;
  Report& report_;
  Totals totals_;
  std::optional<std::int64_t> first_;
};

ownership::EngineConfig engine_config(const ExplainOptions& options) {
  ownership::EngineConfig config =
      make_engine_config(options.ownership, make_self(options.ownership, {}, ""), options.gateways);
  config.self.mac = options.mac;
  config.self.broadcasts = options.broadcasts;
  config.ephemeral = options.ephemeral;
  return config;
}

config::Parser<std::array<std::byte, 6>> mac_address() {
  return [](std::string_view text) -> Result<std::array<std::byte, 6>> {
    const Error wrong{"six bytes, as in 02:42:0a:f4:01:05"};
    if (text.size() != 17) return wrong;
    std::array<std::byte, 6> mac{};
    for (std::size_t i = 0; i < mac.size(); ++i) {
      const auto value = net::whole_number<std::uint8_t>(text.substr(i * 3, 2), 16);
      if (!value || (i > 0 && text[i * 3 - 1] != ':')) return wrong;
      mac[i] = std::byte{*value};
    }
    return mac;
  };
}

config::Parser<ownership::PortRange> port_range() {
  return [](std::string_view text) -> Result<ownership::PortRange> {
    const auto first = net::take_number<std::uint16_t>(text);
    if (first && text.starts_with('-')) {
      const auto last = net::whole_number<std::uint16_t>(text.substr(1));
      if (last && *first <= *last) return ownership::PortRange{*first, *last};
    }
    return Error{"FIRST-LAST, as in 32768-60999"};
  };
}

config::Parser<std::string> file_or_standard_input() {
  return [file = config::readable_file()](std::string_view text) -> Result<std::string> {
    return text == "-" ? Result<std::string>(std::string(text)) : file(text);
  };
}

void declare(config::OptionSet& options, ExplainOptions& into, std::string& output) {
  options.add<std::string>(
      {.flag = "--pcap",
       .value = "FILE",
       .help = "capture of the pod's interface, pcap or pcapng; - is standard input",
       .required = true},
      file_or_standard_input(), into.file);
  declare_ownership(options, into.ownership);
  options.add<std::vector<std::uint16_t>>(
      {.flag = "--listening",
       .value = "PORT,...",
       .help =
           "TCP ports in LISTEN in the pod; they decide connections that are first seen midway"},
      port_list(), into.listening);
  options.add<std::vector<net::IpAddress>>({.flag = "--gateways",
                                            .value = "ADDRESS,...",
                                            .help = "the pod's next hops, which are nodes"},
                                           config::address_list(), into.gateways);
  options.add<std::array<std::byte, 6>>(
      {.flag = "--mac",
       .value = "MAC",
       .help = "the pod's MAC address, which tells its frames without an address from others'"},
      mac_address(), into.mac);
  options.add<std::vector<net::IpAddress>>({.flag = "--broadcasts",
                                            .value = "ADDRESS,...",
                                            .help = "broadcast addresses of the pod's own subnets"},
                                           config::address_list(), into.broadcasts);
  options.add<ownership::PortRange>({.flag = "--ephemeral-ports",
                                     .value = "FIRST-LAST",
                                     .fallback = "32768-60999",
                                     .help = "net.ipv4.ip_local_port_range in the pod"},
                                    port_range(), into.ephemeral);
  options.add<std::string>({.flag = "--output",
                            .value = "text|json",
                            .fallback = "text",
                            .help = "json: one object a line, the summary last"},
                           config::one_of({"text", "json"}), output);
}

}  // namespace

Result<void> explain(const ExplainOptions& options, std::ostream& out) {
  auto file = capture::open_capture_file(options.file);
  if (!file) return file.error();
  ListedSockets listening(options.listening);
  ownership::Engine engine(engine_config(options), listening);
  std::unique_ptr<Report> report;
  if (options.json) {
    report = std::make_unique<JsonReport>(out);
  } else {
    report = std::make_unique<TextReport>(out);
  }
  Explainer explainer(engine, *report);
  capture::FilePacket packet;
  auto got = (*file)->next(packet);
  for (; got && *got; got = (*file)->next(packet)) explainer.explain(packet.link, packet.packet);
  report->summary(explainer.totals(), assumptions(options.ownership));
  const std::string name = options.file == "-" ? "standard input" : options.file;
  if (!got)
    return Error{name + " is read up to packet " + std::to_string(explainer.totals().packets) +
                 ": " + got.error().text};
  if (const std::string left_out = (*file)->left_out(); !left_out.empty())
    return Error{name + ": " + left_out};
  return {};
}

int explain_command(std::span<const char* const> arguments) {
  ExplainOptions into;
  std::string output;
  config::OptionSet options("sidetap-sidecar explain",
                            "Tells for each packet of a capture file whether the pod's tap "
                            "forwards it, and by which rule.");
  declare(options, into, output);
  const auto parsed = options.parse(arguments, config::process_environment);
  if (parsed != config::ParseResult::kRun) return parsed == config::ParseResult::kHelp ? 0 : 2;
  if (into.ownership.pod_ips.empty()) {
    std::cerr << "sidetap-sidecar explain: --pod-ips is required (or environment variable "
                 "POD_IPS)\n";
    return 2;
  }
  into.json = output == "json";
  if (auto done = explain(into, std::cout); !done) {
    std::cout.flush();
    std::cerr << "sidetap-sidecar explain: " << done.error().text << '\n';
    return 1;
  }
  return 0;
}

}  // namespace sidetap
