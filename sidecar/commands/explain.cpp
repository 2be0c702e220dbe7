#include "sidecar/commands/explain.h"

#include <algorithm>
#include <iostream>
#include <map>
#include <optional>
#include <utility>

#include "shared/net/text.h"
#include "shared/tap/filter_expression.h"
#include "shared/tap/settings.h"
#include "sidecar/capture/capture_file.h"
#include "sidecar/commands/explain_legs.h"
#include "sidecar/commands/explain_report.h"
#include "sidecar/ownership/engine.h"

namespace sidetap {
namespace {

using capture::CapturedPacket;

class ListedSockets final : public ownership::ListeningSockets {
 public:
  explicit ListedSockets(const std::vector<std::uint16_t>& ports) : ports_(ports) {}
  bool is_listening(net::IpAddress, std::uint16_t port) override {
    return std::find(ports_.begin(), ports_.end(), port) != ports_.end();
  }

 private:
  const std::vector<std::uint16_t>& ports_;
};

/// What the kernel's filter would do with the expression.
class ExpressionFilter {
 public:
  explicit ExpressionFilter(std::string expression) : expression_(std::move(expression)) {}

  bool accepts(capture::LinkType link, const CapturedPacket& packet) {
    const auto [program, added] = programs_.try_emplace(link);
    if (added) {
      auto compiled = tap::compile_filter(expression_, static_cast<std::uint16_t>(link));
      if (compiled) {
        program->second = std::move(*compiled);
      } else {
        failures_.push_back("the filter leaves out nothing of link layer " +
                            std::to_string(static_cast<unsigned>(link)) + ", for which " +
                            "it does not compile: " + compiled.error().text);
      }
    }
    if (link == capture::LinkType::kEthernet && is_tagged(packet.bytes))
      return accepts_untagged(program->second, packet);
    return tap::filter_accepts(program->second, packet.bytes, packet.length);
  }
  const std::vector<std::string>& failures() const { return failures_; }

 private:
  static constexpr std::size_t kMacs = 12;
  static constexpr std::uint32_t kTag = 4;

  static bool is_tagged(std::span<const std::byte> bytes) {
    if (bytes.size() < kMacs + kTag) return false;
    const unsigned type =
        std::to_integer<unsigned>(bytes[kMacs]) << 8 | std::to_integer<unsigned>(bytes[kMacs + 1]);
    return type == 0x8100 || type == 0x88a8;
  }

  /// The kernel takes the outer tag out before its filter sees the packet.
  static bool accepts_untagged(std::span<const rpcap::BpfInstruction> program,
                               const CapturedPacket& packet) {
    std::vector<std::byte> bytes(packet.bytes.begin(), packet.bytes.end());
    bytes.erase(bytes.begin() + kMacs, bytes.begin() + kMacs + kTag);
    return tap::filter_accepts(program, bytes, packet.length - kTag);
  }

  std::string expression_;
  std::map<capture::LinkType, std::vector<rpcap::BpfInstruction>> programs_;
  std::vector<std::string> failures_;
};

class Explainer {
 public:
  /// `legs`: as find_legs() tells; nothing: the capture is not of the loopback interface.
  Explainer(ownership::Engine& engine, std::optional<std::vector<bool>> legs, std::string filter,
            ExplainReport& report)
      : engine_(engine), legs_(std::move(legs)), filter_(std::move(filter)), report_(report) {}

  void explain(capture::LinkType link, const CapturedPacket& packet) {
    const auto view = capture::parse_packet(link, packet.bytes);
    const Explanation explanation =
        filter_.accepts(link, packet) ? Explanation(decide(view)) : std::nullopt;
    totals_.count(explanation);
    if (!first_) first_ = time_of(packet);
    report_.packet(totals_.packets, time_of(packet) - *first_, packet, view, explanation);
  }

  const ExplainTotals& totals() const { return totals_; }
  const ExpressionFilter& filter() const { return filter_; }

 private:
  ownership::Decision decide(const capture::PacketView& view) {
    using ownership::Rule;
    if (!legs_) return engine_.decide(view);
    const std::uint64_t index = totals_.packets;
    const bool leg = index < legs_->size() && (*legs_)[index];
    return {leg, leg ? Rule::kMeshLeg : Rule::kLoopback};
  }

  ownership::Engine& engine_;
  std::optional<std::vector<bool>> legs_;
  ExpressionFilter filter_;
  ExplainReport& report_;
  ExplainTotals totals_;
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
  options.add_switch({.flag = "--mesh",
                      .help = "the capture is from the loopback interface of a pod in a mesh; show "
                              "which packets pass between the mesh's proxy and the application"},
                     into.loopback);
  declare_mesh_rules(options, into.mesh);
  options.add<std::string>(tap::kFilter.option, tap::check_filter, into.filter);
  options.add<std::vector<std::uint16_t>>({.flag = "--listening",
                                           .value = "PORT,...",
                                           .help = "TCP ports that the pod listens on; they decide "
                                                   "about connections that are first seen midway"},
                                          port_list(), into.listening);
  options.add<std::vector<net::IpAddress>>(
      {.flag = "--gateways",
       .value = "ADDRESS,...",
       .help = "addresses of the pod's next hops, which are nodes"},
      config::address_list(), into.gateways);
  options.add<std::array<std::byte, 6>>({.flag = "--mac",
                                         .value = "MAC",
                                         .help = "the pod's MAC address, which identifies the "
                                                 "pod's frames that have no usable IP address"},
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
                            .help = "json: one object on each line, the summary last"},
                           config::one_of({"text", "json"}), output);
}

}  // namespace

Result<void> explain(const ExplainOptions& options, std::ostream& out) {
  std::optional<std::vector<bool>> legs;
  if (options.loopback) {
    auto found = find_legs(options);
    if (!found) return found.error();
    legs = std::move(*found);
  }
  auto file = capture::open_capture_file(options.file);
  if (!file) return file.error();
  ListedSockets listening(options.listening);
  ownership::Engine engine(engine_config(options), listening);
  const auto report = make_explain_report(options.json, out);
  Explainer explainer(engine, std::move(legs), options.filter, *report);
  capture::FilePacket packet;
  auto got = (*file)->next(packet);
  for (; got && *got; got = (*file)->next(packet)) explainer.explain(packet.link, packet.packet);
  std::vector<std::string> assumed =
      options.loopback ? leg_assumptions(options) : assumptions(options.ownership);
  const auto& failures = explainer.filter().failures();
  assumed.insert(assumed.end(), failures.begin(), failures.end());
  report->summary(explainer.totals(), assumed);
  const std::string name = options.file == "-" ? "standard input" : options.file;
  if (!got)
    return Error{name + " was read up to packet " + std::to_string(explainer.totals().packets) +
                 ": " + got.error().text};
  if (const std::string left_out = (*file)->left_out(); !left_out.empty())
    return Error{name + ": " + left_out};
  return {};
}

int explain_command(std::span<const char* const> arguments) {
  ExplainOptions into;
  std::string output;
  config::OptionSet options("sidetap-sidecar explain",
                            "Says for each packet of a capture file whether the pod's tap "
                            "forwards it, and by which rule.");
  declare(options, into, output);
  const auto parsed = options.parse(arguments, config::process_environment);
  if (parsed != config::ParseResult::kRun) return parsed == config::ParseResult::kHelp ? 0 : 2;
  if (into.ownership.pod_ips.empty()) {
    std::cerr << "sidetap-sidecar explain: --pod-ips is required (or environment variable "
                 "POD_IPS)\n";
    return 2;
  }
  if (into.loopback && into.file == "-") {
    std::cerr << "sidetap-sidecar explain: --mesh reads --pcap twice, so it must be a file\n";
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
