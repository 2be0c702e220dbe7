// Metrics of the registry's server.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "shared/telemetry/metrics.h"
#include "webhook/inventory/inventory.h"
#include "webhook/registry/service_table.h"
#include "webhook/registry/tap_set.h"

namespace sidetap::webhook::registry {

inline const telemetry::MetricSpec kResyncs{"sidetap_registry_resyncs_total",
                                            telemetry::MetricType::kCounter,
                                            "Snapshots that taps requested."};
inline const telemetry::MetricSpec kRefused{"sidetap_registry_refused_total",
                                            telemetry::MetricType::kCounter,
                                            "Registrations refused, by reason."};
inline const telemetry::MetricSpec kUnproven{
    "sidetap_registry_unproven_addresses_total", telemetry::MetricType::kCounter,
    "Addresses left out because the tap did not prove that it has them."};
inline const telemetry::MetricSpec kReportsDropped{
    "sidetap_registry_reports_dropped_total", telemetry::MetricType::kCounter,
    "Reports that were ignored because their tap sent more than two within a second."};
inline const telemetry::MetricSpec kDelay{
    "sidetap_registry_propagation_seconds",
    telemetry::MetricType::kHistogram,
    "Time from a tap's message to the publication of what it says.",
    {0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5}};

inline const telemetry::MetricSpec kChecksWaiting{
    "sidetap_registry_checks_waiting", telemetry::MetricType::kGauge,
    "Requests to the API server about taps that wait for their turn: which pod a token belongs to, "
    "and which addresses the pod has."};
inline const telemetry::MetricSpec kCheckWait{"sidetap_registry_check_wait_seconds",
                                              telemetry::MetricType::kHistogram,
                                              "Time that such a request waited for its turn.",
                                              {0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}};

/// Counts a registration that is refused, or a connection that is ended for what it says. `reason`
/// is one of few.
void count_refused(telemetry::MetricsRegistry& metrics, const char* reason);

/// Values for scrapes, which come from another thread.
class Figures {
 public:
  /// `services`: whether Services are watched. This object must outlive the scrapes.
  void expose(telemetry::MetricsRegistry& metrics, bool services) const;
  void count(const TapSet& taps, std::uint64_t version);
  void count(const ServiceTable& table);
  void count(const inventory::Inventory& taps);
  void count_ca(bool announced) { announced_ = announced; }
  void count_connections(std::size_t open) { connections_ = open; }

 private:
  /// One of the lists that are published.
  struct List {
    explicit List(const char* the_name) : name(the_name) {}
    void expose(telemetry::MetricsRegistry& metrics) const;
    void count(std::size_t now_published, std::size_t now_left_out) {
      published = now_published;
      left_out = now_left_out;
    }
    const char* const name;
    std::atomic<std::size_t> published{0}, left_out{0};
  };

  std::atomic<std::size_t> forwarding_{0}, registered_{0}, listed_{0}, connections_{0};
  std::atomic<std::uint64_t> version_{0};
  std::atomic<bool> announced_{false};
  std::array<std::atomic<std::size_t>, inventory::kStandings> standing_{};
  std::atomic<std::size_t> not_following_{0};
  std::atomic<std::size_t> tapped_{0}, untapped_{0}, mixed_{0}, none_{0};
  std::atomic<std::size_t> endpoints_{0}, hidden_{0}, overflowing_{0};
  List taps_{"taps"}, older_{"older"}, services_{"services"}, nodes_{"nodes"};
  List client_owned_{"client_owned"}, server_ports_{"server_ports"}, front_ends_{"front_ends"};
};

}  // namespace sidetap::webhook::registry
