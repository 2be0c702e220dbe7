// Measures what a change costs in the registry's table of Services at its limits: 20,000 Services
// with 200,000 endpoints, half of the pods tapped.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>
#include <malloc.h>

#include "webhook/registry/service_table.h"

namespace sidetap::webhook::registry {
namespace {

constexpr std::uint32_t kServices = 19'999;
constexpr std::uint32_t kEndpointsEach = 9;
/// And one Service with this many.
constexpr std::uint32_t kLargest = 5'000;

net::IpAddress pod(std::uint32_t n) { return net::IpAddress::v4(0x0a000000U + n); }
std::string service_name(std::uint32_t n) { return "shop/service-" + std::to_string(n); }

SliceFacts slice_of(std::uint32_t service, std::uint32_t first, std::uint32_t endpoints) {
  SliceFacts facts{.name = service_name(service) + "-" + std::to_string(first),
                   .service = service_name(service),
                   .v4 = true};
  facts.ports = {{6, static_cast<std::uint16_t>(8000 + service % 500)}};
  for (std::uint32_t i = 0; i < endpoints; ++i)
    facts.endpoints.push_back({.address = pod(first + i)});
  return facts;
}

class Cluster {
 public:
  Cluster() {
    table_.services_begin();
    for (std::uint32_t n = 0; n <= kServices; ++n) {
      table_.set(ServiceFacts{.name = service_name(n),
                              .addresses = {net::IpAddress::v4(0x0b000000U + n)},
                              .ports = {{{6, 80}, static_cast<std::uint16_t>(n % 2000 + 30000)}}});
    }
    table_.services_end();
    table_.slices_begin();
    AddressChange taps;
    std::uint32_t next = 0;
    for (std::uint32_t n = 0; n < kServices; ++n, next += kEndpointsEach) {
      table_.set(slice_of(n, next, kEndpointsEach));
      // All pods of every second Service.
      for (std::uint32_t i = 0; n % 2 == 0 && i < kEndpointsEach; ++i)
        taps.add.push_back(pod(next + i));
    }
    first_of_largest_ = next;
    for (std::uint32_t i = 0; i < kLargest; i += 100, next += 100)
      table_.set(slice_of(kServices, next, 100));
    table_.slices_end();
    table_.taps_changed(taps);
    table_.set_current(true);
    table_.set_nodes_current(true);
  }

  /// A pod gets its tap, or loses it. Returns the number of items that taps are told.
  std::size_t toggle(std::uint32_t n) {
    const bool add = !std::exchange(tapped_, !tapped_);
    AddressChange taps;
    (add ? taps.add : taps.remove).push_back(pod(n));
    table_.taps_changed(taps);
    return flush();
  }
  std::size_t flush() {
    sidetap::registry::Change change;
    table_.flush(change);
    return change.add.services.size() + change.remove.services.size() +
           change.add.client_owned.size() + change.remove.client_owned.size();
  }
  std::uint32_t first_of_largest() const { return first_of_largest_; }
  std::size_t endpoints() const { return table_.endpoints(); }

 private:
  ServiceTable table_;
  std::uint32_t first_of_largest_ = 0;
  bool tapped_ = false;
};

void BM_EverythingAtOnce(benchmark::State& state) {
  for (auto _ : state) {
    const std::size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    Cluster cluster;
    benchmark::DoNotOptimize(cluster.flush());
    state.counters["endpoints"] = static_cast<double>(cluster.endpoints());
    const std::size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
    state.counters["MiB"] = static_cast<double>(after - before) / (1 << 20);
  }
}
BENCHMARK(BM_EverythingAtOnce)->Unit(benchmark::kMillisecond)->Iterations(1);

/// A pod of a Service with 9 endpoints (0), and of the one with 5,000 (1).
void BM_OneTap(benchmark::State& state) {
  Cluster cluster;
  cluster.flush();
  const std::uint32_t pod = state.range(0) == 0 ? kEndpointsEach : cluster.first_of_largest();
  std::size_t told = 0;
  for (auto _ : state) told += cluster.toggle(pod);
  state.counters["told"] = static_cast<double>(told) / static_cast<double>(state.iterations());
}
BENCHMARK(BM_OneTap)->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace sidetap::webhook::registry
