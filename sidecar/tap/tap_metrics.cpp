#include "sidecar/tap/tap_metrics.h"

#include <array>
#include <set>
#include <string>
#include <utility>

#include "shared/async/after_all.h"
#include "shared/telemetry/log.h"
#include "sidecar/tap/totals.h"

namespace sidetap {
namespace {

using telemetry::MetricSpec;
using telemetry::MetricType;

const MetricSpec kSeen{
    "sidetap_packets_seen_total", MetricType::kCounter,
    "Packets that passed the kernel's filter, including those that the kernel then dropped"};
const MetricSpec kSeenBytes{"sidetap_bytes_seen_total", MetricType::kCounter,
                            "Bytes on the wire of the packets that the process has read"};
const MetricSpec kOwnedBytes{"sidetap_bytes_owned_total", MetricType::kCounter,
                             "Bytes on the wire of the packets that this tap forwards"};
const MetricSpec kOwned{"sidetap_packets_owned_total", MetricType::kCounter,
                        "Packets that this tap forwards, by rule of ownership"};
const MetricSpec kNotOwned{"sidetap_packets_not_owned_total", MetricType::kCounter,
                           "Packets that this tap does not forward, by rule of ownership"};
const MetricSpec kForwarded{"sidetap_packets_forwarded_total", MetricType::kCounter,
                            "Packets sent to sensors"};
const MetricSpec kDropped{"sidetap_packets_dropped_total", MetricType::kCounter,
                          "Owned packets that no sensor got, by cause; kernel-ring counts before "
                          "ownership is known"};
const MetricSpec kFiltered{"sidetap_packets_filtered_total", MetricType::kCounter,
                           "Owned packets that were left out on purpose: by a sensor's filter or "
                           "sampling, by the operator's sampling of flows, or while paused"};
const MetricSpec kBytes{"sidetap_sent_bytes_total", MetricType::kCounter,
                        "Bytes given to data sockets, RPCAP headers included"};
const MetricSpec kDatagrams{"sidetap_sent_datagrams_total", MetricType::kCounter,
                            "Datagrams given to data sockets"};
const MetricSpec kSegments{
    "sidetap_segments_added_total", MetricType::kCounter,
    "Additional packets from splitting those that offloads made larger than the MTU"};
const MetricSpec kUnsplit{"sidetap_packets_unsplit_total", MetricType::kCounter,
                          "Packets forwarded in one piece although they left the pod in several, "
                          "such as those that a tunnel's device splits"};
const MetricSpec kTruncated{
    "sidetap_packets_truncated_total", MetricType::kCounter,
    "Packets cut to what fits a datagram (plain UDP, VXLAN), or to what the "
    "capture had room for"};
const MetricSpec kSensor{"sidetap_sensor_packets_total", MetricType::kCounter,
                         "What became of owned packets at each sensor: forwarded, filtered, or the "
                         "cause by which that sensor did not get them; no-session counts what it "
                         "missed while another sensor had a session"};
const MetricSpec kCopied{
    "sidetap_copied_packets_total", MetricType::kCounter,
    "Packets also sent to clients of --passive-listen while sensors are configured"};
const MetricSpec kCopiesDropped{"sidetap_copied_packets_dropped_total", MetricType::kCounter,
                                "Packets that such a client missed because it was too slow"};
const MetricSpec kWaiting{"sidetap_packets_waiting", MetricType::kGauge,
                          "Packets in the backlog, until they can leave"};
const MetricSpec kDelayed{"sidetap_packets_delayed_total", MetricType::kCounter,
                          "Owned packets that could not leave at once, and were put into the "
                          "backlog"};
const MetricSpec kLeftToPeers{
    "sidetap_packets_left_to_peers_total", MetricType::kCounter,
    "Owned packets from a time without a session that a peer's tap forwarded instead"};
const MetricSpec kCaptures{"sidetap_captures", MetricType::kGauge,
                           "Captures that sensors have started and not ended"};
const MetricSpec kOpen{"sidetap_interface_open", MetricType::kGauge,
                       "1 while the interface is open for capture"};
const MetricSpec kWorking{"sidetap_interface_working", MetricType::kGauge,
                          "1 while the interface is open, is up and has a carrier"};
const MetricSpec kReopened{"sidetap_interface_reopened_total", MetricType::kCounter,
                           "Times that the interface was opened again"};

const MetricSpec kFlows{"sidetap_flows", MetricType::kGauge,
                        "TCP flows whose opener the tap remembers; the table holds 131,072, and a "
                        "flow leaves it only to make room for another"};
const MetricSpec kFlowEvictions{
    "sidetap_flow_evictions_total", MetricType::kCounter,
    "TCP flows that the tap has forgotten to make room for others, by state: closed, opening (SYNs "
    "only), or open; the tap decides open ones again by their ports"};

/// By FlowPhase.
constexpr std::string_view kFlowStates[ownership::kFlowPhaseCount] = {"closed", "opening", "open"};

std::uint64_t waiting(const Ledger& ledger) {
  // Read in this order, so that the difference is never negative.
  const std::uint64_t released = ledger.released.value();
  return ledger.kept.value() - released;
}

std::string_view name_of_cause(unsigned cause) {
  return forwarding::drop_cause_name(static_cast<forwarding::DropCause>(cause));
}

std::uint64_t by_rule(const std::array<telemetry::HotCounter, ownership::kRuleCount>& counters,
                      ownership::Rule rule) {
  return counters[static_cast<std::size_t>(rule)].value();
}

constexpr std::string_view kDroppedFields[forwarding::kDropCauseCount] = {
    "dropped_socket_full", "dropped_too_large", "dropped_send_error", "dropped_disconnected"};

void log_counts(std::string_view what, std::vector<telemetry::Field> fields,
                const CaptureCounts& counts, std::uint64_t no_session) {
  fields.emplace_back("segments_added", counts.segments);
  fields.emplace_back("forwarded", counts.forwarded);
  fields.emplace_back("filtered", counts.filtered + counts.sampled);
  fields.emplace_back("dropped_no_session", no_session);
  for (unsigned cause = 0; cause < forwarding::kDropCauseCount; ++cause)
    fields.emplace_back(kDroppedFields[cause], counts.dropped[cause]);
  telemetry::log(telemetry::LogLevel::kInfo, what, fields);
}

}  // namespace

/// One interface. It stays where it is: its metrics refer to it.
struct TapMetrics::Row {
  telemetry::MetricsRegistry& registry;
  CaptureLoop* loop;
  LoopCounts counts{};
  std::set<std::string> sensors{};  // that are shown

  void take(LoopCounts now) {
    counts = std::move(now);
    // A former sensor keeps its row and its last totals, so a counter never goes back.
    for (const SensorCounts& each : counts.sensors) {
      if (sensors.insert(each.sensor).second) show_sensor(each.sensor);
    }
  }

  telemetry::Labels labels() const { return {{"interface", loop->name()}}; }
  telemetry::Labels with(const char* key, std::string_view value) const {
    telemetry::Labels more = labels();
    more[key] = value;
    return more;
  }
  template <typename Read>
  void show(const MetricSpec& spec, telemetry::Labels all, Read read) const {
    registry.expose(spec, std::move(all),
                    [this, read] { return static_cast<double>(read(*this)); });
  }

  void show_interface() const {
    show(kSeen, labels(), [](const Row& x) { return x.counts.source.accepted; });
    show(kSeenBytes, labels(), [](const Row& x) { return x.loop->ledger().read_bytes.value(); });
    show(kOwnedBytes, labels(), [](const Row& x) { return x.loop->ledger().owned_bytes.value(); });
    show(kReopened, labels(), [](const Row& x) { return x.counts.reopened; });
    show(kWorking, labels(), [](const Row& x) { return x.loop->is_working() ? 1 : 0; });
    show(kOpen, labels(), [](const Row& x) { return x.loop->is_open() ? 1 : 0; });
    show(kFlows, labels(), [](const Row& x) { return x.counts.flows; });
    for (unsigned state = 0; state < ownership::kFlowPhaseCount; ++state)
      show(kFlowEvictions, with("state", kFlowStates[state]),
           [state](const Row& x) { return x.counts.flow_evictions[state]; });
  }
  void show_forwarding() const {
    show(kForwarded, labels(), [](const Row& x) { return x.counts.forwarded; });
    show(kBytes, labels(), [](const Row& x) { return x.counts.bytes; });
    show(kDatagrams, labels(), [](const Row& x) { return x.counts.datagrams; });
    show(kCaptures, labels(), [](const Row& x) { return x.counts.captures; });
    show(kFiltered, with("by", "filter"), [](const Row& x) { return x.counts.filtered; });
    show(kFiltered, with("by", "sampling"), [](const Row& x) { return x.counts.sampled; });
    show(kFiltered, with("by", "flow-sampling"),
         [](const Row& x) { return x.loop->ledger().sampled_flows.value(); });
    show(kFiltered, with("by", "pause"),
         [](const Row& x) { return x.loop->ledger().paused.value(); });
    show(kSegments, labels(), [](const Row& x) { return x.loop->ledger().segments.value(); });
    show(kUnsplit, labels(), [](const Row& x) { return x.loop->ledger().unsplit.value(); });
    show(kTruncated, labels(),
         [](const Row& x) { return x.counts.truncated + x.loop->ledger().cut.value(); });
    show(kWaiting, labels(), [](const Row& x) { return waiting(x.loop->ledger()); });
    show(kDelayed, labels(), [](const Row& x) { return x.loop->ledger().kept.value(); });
    show(kLeftToPeers, labels(),
         [](const Row& x) { return x.loop->ledger().left_to_peers.value(); });
    show(kCopied, labels(), [](const Row& x) { return x.counts.copies.forwarded; });
    show(kCopiesDropped, labels(), [](const Row& x) { return x.counts.copies.dropped_total(); });
  }
  void show_drops() const {
    for (std::size_t cause = 0; cause < kLossCauseCount; ++cause)
      show(kDropped, with("cause", loss_cause_name(cause)),
           [cause](const Row& x) { return packets_lost(cause, x.counts, x.loop->ledger()); });
  }
  void show_sensor(const std::string& sensor) const {
    const auto result = [&](std::string_view name) {
      telemetry::Labels all = with("sensor", sensor);
      all["result"] = name;
      return all;
    };
    const auto of = [sensor](const Row& x) -> const CaptureCounts& {
      return *x.counts.find(sensor);  // once it is counted, it stays so
    };
    show(kSensor, result("forwarded"), [of](const Row& x) { return of(x).forwarded; });
    show(kSensor, result("filtered"),
         [of](const Row& x) { return of(x).filtered + of(x).sampled; });
    show(kSensor, result("no-session"), [of](const Row& x) { return of(x).missed; });
    for (unsigned cause = 0; cause < forwarding::kDropCauseCount; ++cause)
      show(kSensor, result(name_of_cause(cause)),
           [of, cause](const Row& x) { return of(x).dropped[cause]; });
  }
  void show_rules() const {
    for (unsigned rule = 0; rule < ownership::kRuleCount; ++rule) {
      const auto named = with("rule", ownership::rule_name(static_cast<ownership::Rule>(rule)));
      show(kOwned, named, [rule](const Row& x) { return x.loop->ledger().owned[rule].value(); });
      show(kNotOwned, named,
           [rule](const Row& x) { return x.loop->ledger().not_owned[rule].value(); });
    }
  }
};

TapMetrics::TapMetrics(telemetry::MetricsRegistry& registry, std::vector<CaptureLoop*> loops) {
  for (CaptureLoop* loop : loops) {
    auto row = std::make_unique<Row>(Row{registry, loop});
    row->show_interface();
    row->show_forwarding();
    row->show_drops();
    loop->counts([r = row.get()](LoopCounts counts) { r->take(std::move(counts)); });
    row->show_rules();
    rows_.push_back(std::move(row));
  }
}

TapMetrics::~TapMetrics() = default;

void TapMetrics::refresh(std::function<void()> done) {
  const auto answered = async::after_all(rows_.size(), std::move(done));
  for (const auto& row : rows_) {
    row->loop->counts([row = row.get(), answered](LoopCounts counts) {
      row->take(std::move(counts));
      answered();
    });
  }
}

void TapMetrics::log_summary() {
  refresh([] {});  // answered at once, because the loops have ended
  for (const auto& row : rows_) {
    const Ledger& ledger = row->loop->ledger();
    const auto& sensors = row->counts.sensors;
    for (std::size_t i = 0; sensors.size() > 1 && i < sensors.size(); ++i) {
      log_counts("packets of one sensor of several",
                 {{"interface", row->loop->name()}, {"sensor", sensors[i].sensor}}, sensors[i],
                 sensors[i].missed);
    }
    log_counts("what became of the packets",
               {{"interface", row->loop->name()},
                {"seen", row->counts.source.accepted},
                {"not_owned", ledger.not_owned_total()},
                {"owned", ledger.owned_total()},
                {"seen_bytes", ledger.read_bytes.value()},
                {"owned_bytes", ledger.owned_bytes.value()},
                {"paused", ledger.paused.value()},
                {"sampled_flows", ledger.sampled_flows.value()},
                {"mesh_legs", by_rule(ledger.owned, ownership::Rule::kMeshLeg)},
                {"mesh_covered", by_rule(ledger.not_owned, ownership::Rule::kMeshCovered)},
                {"copied", row->counts.copies.forwarded},
                {"dropped_kernel_ring", row->counts.source.dropped},
                {"dropped_rate_limit", ledger.rate_limited.value()},
                {"delayed", ledger.kept.value()},
                {"left_to_peers", ledger.left_to_peers.value()}},
               row->counts, ledger.no_session.value());
  }
}

}  // namespace sidetap
