// The tap settings that have a key in the webhook's configuration, each declared once for both
// programs.
//
// A row of kSettings defines the tap's option (the sidecar binds it to its target), how the webhook
// reads the key and a pod's annotation, the variable that the webhook writes into the tap's
// container, the chart's schema and templates, and the operator's table of options.
//
// To add a setting, add its row and bind it in the sidecar's options. The test `option_texts` then
// says how to update the chart and the pages. Declare an option that needs no key in the sidecar
// only: operators set its variable with sidecar.env.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "shared/config/options.h"
#include "shared/result.h"
#include "shared/tap/controls.h"

namespace sidetap::tap {

/// The form of a setting's value in the configuration.
enum class Form : std::uint8_t {
  kNumber,    ///< From `least` to `most`.
  kSize,      ///< Bytes as text, "4M", from `least` to `most`. Empty: the tap's own default.
  kWord,      ///< One of `words`.
  kSwitch,    ///< true or false; in the variable "on" or "off".
  kText,      ///< A text that `check` accepts.
  kTexts,     ///< A list of texts or one comma-separated text; `check` gets one text.
  kPrefixes,  ///< The same, for CIDRs.
};

/// Returns the value to keep; the Error says what is accepted.
using Check = Result<std::string> (*)(std::string_view);

struct Setting {
  std::string_view key;  ///< Path in the configuration and the chart's values.
  config::OptionSpec option;
  Form form = Form::kText;
  std::uint64_t least = 0;
  std::uint64_t most = 0;
  std::string_view unit = {};     ///< Of a number, for error lines.
  std::string_view words = {};    ///< "auto,never,always".
  std::string_view example = {};  ///< Of a size, for error lines.
  Check check = nullptr;          ///< Null for the sensors: their port is a separate key.
  std::string_view initial = {};  ///< The value if the operator sets none.
  std::string_view implied = {};  ///< Not written to the container: the tap's own default.
  std::string_view before = {};   ///< Prefix of the value in the variable.
  /// The group under which the registry may change it while the tap runs, one of kControls. A
  /// profile may set it. Empty: it is fixed when the pod starts.
  std::string_view control = {};
};

/// Bytes of the value of a setting that the registry may change.
inline constexpr std::size_t kMostControlledBytes = 8U << 10;

/// Accepts an empty text, or names of network interfaces. Repetitions are dropped.
Result<std::string> check_interfaces(std::string_view text);
/// Returns the prefixes in canonical form.
Result<std::string> check_prefixes(std::string_view text);
Result<std::string> check_tapped_peers(std::string_view text);
/// Accepts an empty text, or a filter expression that libpcap compiles for Ethernet to a program
/// that leaves room for the tap's own. See shared/tap/filter_expression.h.
Result<std::string> check_filter(std::string_view text);
/// Accepts a rate in bits per second, such as 100M; 0 means unlimited.
Result<std::string> check_bit_rate(std::string_view text);

/// In the order of the container's environment.
inline constexpr auto kSettings = std::to_array<Setting>({
    {.key = "sensor.address",
     .option =
         {.flag = "--sensor",
          .env = "SENSOR",
          .value = "HOST[:PORT],...",
          .help =
              "sensors to forward to, at most 10; default port: 2003, or 4789 with --output vxlan"},
     .form = Form::kTexts,
     .control = "sensors"},
    {.key = "sensor.mode",
     .option = {.flag = "--sensor-mode",
                .env = "SENSOR_MODE",
                .value = "MODE",
                .fallback = "replicate",
                .help = "replicate: every sensor gets every packet; failover: the first sensor "
                        "that works gets every packet; balance: each flow goes to one sensor; hash "
                        "(for collectors): each tap ranks all addresses of the sensors' names in "
                        "an order of its own, and uses the first one that answers"},
     .form = Form::kWord,
     .words = "replicate,failover,balance,hash",
     .initial = "replicate",
     .implied = "replicate",
     .control = "sensors"},
    {.key = "sensor.tls",
     .option = {.flag = "--sensor-tls",
                .env = "SENSOR_TLS",
                .value = "ROLE",
                .fallback = "off",
                .help = "TLS for control and TCP data; rpcaps: the sensor begins the handshake, as "
                        "libpcap does; client: the tap begins it; registry: the tap begins it, and "
                        "trusts only the registry's CA, which signs collectors' certificates"},
     .form = Form::kWord,
     .words = "off,rpcaps,client,registry",
     .initial = "off",
     .implied = "off",
     .control = "sensors"},
    {.key = "subnets.pods",
     .option = {.flag = "--pod-subnets",
                .env = "PODNET",
                .value = "CIDR,...",
                .help = "subnets of the pods, IPv4 and IPv6; needed without --registry; if unset: "
                        "the subnets of the pod's own interfaces"},
     .form = Form::kPrefixes,
     .check = check_prefixes},
    {.key = "subnets.services",
     .option = {.flag = "--service-subnets",
                .env = "SVCNET",
                .value = "CIDR,...",
                .help = "subnets of the cluster IPs of Services, IPv4 and IPv6; needed for "
                        "--service-view never, and without a registry that watches Services; if "
                        "unset: the Services that the registry names"},
     .form = Form::kPrefixes,
     .check = check_prefixes},
    {.key = "sidecar.tappedPeers",
     .option = {.flag = "--tapped-peers",
                .env = "TAPPED_PEERS",
                .value = "all|none|CIDR,...",
                .fallback = "none",
                .help = "peers that have taps of their own; all: every address in the pod subnets; "
                        "none: packets between tapped pods may arrive twice, but none is lost; the "
                        "longest prefix decides; !PREFIX excludes addresses; a gateway of the pod "
                        "counts only if you name it as a single address"},
     .form = Form::kTexts,
     .check = check_tapped_peers,
     .initial = "none"},
    {.key = "sidecar.serviceView",
     .option = {.flag = "--service-view",
                .env = "SERVICE_VIEW",
                .value = "auto|never|always",
                .fallback = "auto",
                .help = "whether to forward packets as a Service's client sees them, with the "
                        "Service's cluster IP; auto: if the registry says that no backend's tap "
                        "forwards them; without that knowledge, only while no peer is tapped"},
     .form = Form::kWord,
     .words = "auto,never,always",
     .initial = "auto"},
    {.key = "sidecar.untappedServices",
     .option = {.flag = "--untapped-services",
                .env = "UNTAPPED_SERVICES",
                .value = "CIDR,...",
                .help = "cluster IPs of Services whose backends are not tapped; their packets are "
                        "forwarded whatever --service-view says"},
     .form = Form::kPrefixes,
     .check = check_prefixes},
    {.key = "sidecar.interface",
     .option = {.flag = "--interface",
                .env = "INTERFACE",
                .value = "NAME,...",
                .help = "interfaces to capture on, one RPCAP session each; if unset: the one that "
                        "has the pod's address"},
     .form = Form::kText,
     .check = check_interfaces},
    {.key = "sidecar.snaplen",
     .option = {.flag = "--snaplen",
                .env = "SNAPLEN",
                .value = "BYTES",
                .fallback = "262144",
                .help = "bytes kept of each packet; the sensor may ask for fewer"},
     .form = Form::kNumber,
     .least = 64,
     .most = 262'144,
     .unit = "bytes",
     .initial = "262144",
     .control = "snaplen"},
    {.key = "sidecar.output",
     .option = {.flag = "--output",
                .env = "OUTPUT",
                .value = "KIND",
                .fallback = "rpcap",
                .help =
                    "rpcap: sessions with sensors; vxlan: packets in VXLAN to the sensors' "
                    "addresses, for receivers without RPCAP; pcap: files in --pcap-dir; "
                    "pcap-over-ip: capture streams over TCP, for Arkime and Wireshark; interface: "
                    "frames into --output-interface"},
     .form = Form::kWord,
     .words = "rpcap,vxlan,pcap,pcap-over-ip,interface",
     .initial = "rpcap",
     .implied = "rpcap",
     .control = "sensors"},
    {.key = "sidecar.filter",
     .option = {.flag = "--filter",
                .env = "FILTER",
                .value = "EXPRESSION",
                .help = "capture only packets that this pcap filter accepts, such as \"not port "
                        "9100\"; if unset: all packets"},
     .form = Form::kText,
     .check = check_filter,
     .control = "filter"},
    {.key = "sidecar.flowSampling",
     .option = {.flag = "--flow-sampling",
                .env = "FLOW_SAMPLING",
                .value = "NUMBER",
                .fallback = "1",
                .help = "forward one of this many flows, in both directions; 1: all flows"},
     .form = Form::kNumber,
     .least = 1,
     .most = 65'535,
     .unit = "flows",
     .initial = "1",
     .implied = "1",
     .control = "sampling"},
    {.key = "sidecar.maxRate",
     .option = {.flag = "--max-rate",
                .env = "MAX_RATE",
                .value = "BITS",
                .fallback = "0",
                .help = "maximum forwarding rate in bits per second; keeps whole flows where "
                        "possible; 0: unlimited"},
     .form = Form::kText,
     .check = check_bit_rate,
     .initial = "0",
     .implied = "0",
     .control = "rate"},
    {.key = "sidecar.maxPacketRate",
     .option = {.flag = "--max-packet-rate",
                .env = "MAX_PACKET_RATE",
                .value = "PACKETS",
                .fallback = "0",
                .help = "maximum forwarding rate in packets per second; 0: unlimited"},
     .form = Form::kNumber,
     .most = 1'000'000'000,
     .unit = "packets per second",
     .initial = "0",
     .implied = "0",
     .control = "rate"},
    {.key = "sidecar.paused",
     .option = {.flag = "--paused",
                .env = "PAUSED",
                .value = "on|off",
                .fallback = "off",
                .help = "on: keep the sessions and forward nothing; peers do not take over"},
     .form = Form::kSwitch,
     .initial = "off",
     .implied = "off",
     .control = "pause"},
    {.key = "sidecar.mesh",
     .option = {.flag = "--mesh",
                .env = "MESH",
                .value = "off|both|plaintext",
                .fallback = "off",
                .help = "in a pod of a service mesh; both: also forward the plaintext between the "
                        "mesh's proxy and the application; plaintext: forward it, and leave out "
                        "the ciphertext that carries it; both need TLS towards the sensor"},
     .form = Form::kWord,
     .words = "off,both,plaintext",
     .initial = "off",
     .implied = "off"},
    {.key = "sidecar.bufferSize",
     .option = {.flag = "--buffer-size",
                .env = "BUFFER_SIZE",
                .value = "BYTES",
                .fallback = "16M",
                .help = "size of the capture ring of each interface"},
     .form = Form::kSize,
     .least = 512U << 10,
     .most = 1U << 30,
     .example = "4M"},
    {.key = "sidecar.backlog",
     .option = {.flag = "--backlog",
                .env = "BACKLOG",
                .value = "auto|BYTES",
                .fallback = "auto",
                .help =
                    "memory for packets that cannot be sent at once, used when needed; auto: what "
                    "the memory limit leaves after 32Mi, at most 64M; 0: such packets are dropped"},
     .form = Form::kSize,
     .most = 1U << 30,
     .example = "16M"},
    {.key = "sidecar.dataMtu",
     .option = {.flag = "--data-mtu",
                .env = "DATA_MTU",
                .value = "BYTES",
                .fallback = "0",
                .help = "largest IP packet on the path to the sensor; 0: the route's MTU"},
     .form = Form::kNumber,
     .most = 65'535,
     .unit = "bytes",
     .initial = "0"},
    {.key = "sidecar.statusPort",
     .option = {.flag = "--status-listen",
                .env = "STATUS_LISTEN",
                .value = "[HOST]:PORT",
                .help = "address that serves /healthz, /readyz and /metrics over HTTP; without a "
                        "host: every address"},
     .form = Form::kNumber,
     .least = 1,
     .most = 65'535,
     .initial = "15920",
     .before = ":"},
    {.key = "sidecar.logLevel",
     .option = {.flag = "--log-level",
                .env = "LOG_LEVEL",
                .value = "LEVEL",
                .fallback = "info",
                .help = "debug, info, warn or error"},
     .form = Form::kWord,
     .words = "debug,info,warn,error",
     .initial = "info"},
    {.key = "sidecar.logFormat",
     .option = {.flag = "--log-format",
                .env = "LOG_FORMAT",
                .value = "FORMAT",
                .fallback = "text",
                .help = "text or json, one line per event"},
     .form = Form::kWord,
     .words = "json,text",
     .initial = "json"},
});

/// The setting with this environment variable; does not compile if there is none.
consteval const Setting& setting_of(std::string_view variable) {
  for (const Setting& setting : kSettings)
    if (setting.option.env == variable) return setting;
  throw "no setting has this variable";
}
inline constexpr const Setting& kSensor = setting_of("SENSOR");
inline constexpr const Setting& kSensorMode = setting_of("SENSOR_MODE");
inline constexpr const Setting& kSensorTls = setting_of("SENSOR_TLS");
inline constexpr const Setting& kPodSubnets = setting_of("PODNET");
inline constexpr const Setting& kServiceSubnets = setting_of("SVCNET");
inline constexpr const Setting& kTappedPeers = setting_of("TAPPED_PEERS");
inline constexpr const Setting& kServiceView = setting_of("SERVICE_VIEW");
inline constexpr const Setting& kUntappedServices = setting_of("UNTAPPED_SERVICES");
inline constexpr const Setting& kInterface = setting_of("INTERFACE");
inline constexpr const Setting& kSnaplen = setting_of("SNAPLEN");
inline constexpr const Setting& kOutput = setting_of("OUTPUT");
inline constexpr const Setting& kFilter = setting_of("FILTER");
inline constexpr const Setting& kFlowSampling = setting_of("FLOW_SAMPLING");
inline constexpr const Setting& kMaxRate = setting_of("MAX_RATE");
inline constexpr const Setting& kMaxPacketRate = setting_of("MAX_PACKET_RATE");
inline constexpr const Setting& kPaused = setting_of("PAUSED");
inline constexpr const Setting& kMesh = setting_of("MESH");
inline constexpr const Setting& kBufferSize = setting_of("BUFFER_SIZE");
inline constexpr const Setting& kBacklog = setting_of("BACKLOG");
inline constexpr const Setting& kDataMtu = setting_of("DATA_MTU");
inline constexpr const Setting& kStatusPort = setting_of("STATUS_LISTEN");
inline constexpr const Setting& kLogLevel = setting_of("LOG_LEVEL");
inline constexpr const Setting& kLogFormat = setting_of("LOG_FORMAT");

/// Whether this word of kOutput sends packets out of the pod.
constexpr bool leaves_pod(std::string_view output) {
  return output != "pcap" && output != "interface";
}

/// Whether packets go to those whom kSensor names.
constexpr bool goes_to_sensors(std::string_view output) {
  return output == "rpcap" || output == "vxlan";
}

/// Returns the value to keep; the Error says what is accepted. Not for the sensors.
Result<std::string> check(const Setting& setting, std::string_view text);

/// The tap's parsers for a setting of form kNumber and of form kSize.
template <typename T>
config::Parser<T> number(const Setting& setting) {
  return config::number<T>(static_cast<T>(setting.least), static_cast<T>(setting.most),
                           std::string(setting.unit));
}
inline config::Parser<std::uint64_t> size(const Setting& setting) {
  return config::byte_size(setting.least, setting.most);
}

/// A checked value for each setting, initially Setting::initial.
class Values {
 public:
  Values() {
    for (std::size_t i = 0; i < kSettings.size(); ++i) texts_[i] = kSettings[i].initial;
  }
  /// `setting` is one of kSettings, not a copy.
  std::string& operator[](const Setting& setting) { return texts_[index_of(setting)]; }
  const std::string& operator[](const Setting& setting) const { return texts_[index_of(setting)]; }

 private:
  static std::size_t index_of(const Setting& setting) {
    return static_cast<std::size_t>(&setting - kSettings.data());
  }
  std::array<std::string, kSettings.size()> texts_;
};

}  // namespace sidetap::tap
