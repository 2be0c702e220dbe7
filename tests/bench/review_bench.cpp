// Measures time and allocations of one review without the network; tests/bench/webhook.sh measures
// over TLS.
#include <atomic>
#include <cstdlib>
#include <new>
#include <string>

#include <benchmark/benchmark.h>

#include "support/review_builder.h"

namespace {
std::atomic<std::size_t> allocations{0};
}  // namespace

void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace sidetap {
namespace {

using test::Json;
using test::pod;
using test::PodBuilder;

/// A pod as a controller creates it, with `variables` variables of `size` bytes each.
PodBuilder application(int variables, std::size_t size) {
  Json environment = Json::array();
  for (int i = 0; i < variables; ++i)
    environment.push_back(
        {{"name", "SETTING_" + std::to_string(i)}, {"value", std::string(size, 'v')}});
  return pod()
      .label("tier", "front")
      .annotation("prometheus.io/scrape", "true")
      .set("/metadata/ownerReferences", Json::parse(R"([{"apiVersion": "apps/v1",
        "kind": "ReplicaSet", "name": "web-7d4b9c6f5d", "controller": true}])"))
      .set("/spec/containers/0/env", environment)
      .set("/spec/containers/0/ports", Json::parse(R"([{"containerPort": 8080}])"))
      .set("/spec/containers/0/resources",
           Json::parse(R"({"limits": {"cpu": "1", "memory": "256Mi"}})"))
      .set("/spec/initContainers", Json::parse(R"([{"name": "migrate", "image": "migrate:1"}])"))
      .set("/spec/volumes", Json::parse(R"([{"name": "data", "emptyDir": {}}])"));
}

void run(benchmark::State& state, const PodBuilder& builder) {
  const std::string review = builder.review().dump();
  const configuration::Configuration configuration = test::test_configuration();
  const std::size_t before = allocations;
  for (auto _ : state)
    benchmark::DoNotOptimize(admit(review, admission::Entry::kNamespace, configuration));
  state.counters["allocations"] = benchmark::Counter(static_cast<double>(allocations - before),
                                                     benchmark::Counter::kAvgIterations);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(review.size()));
}

void injected(benchmark::State& state) { run(state, application(32, 20)); }
void injected_large(benchmark::State& state) { run(state, application(1000, 1000)); }
void overridden(benchmark::State& state) {
  run(state, application(32, 20)
                 .annotation("sidetap.io/snaplen", "128")
                 .annotation("sidetap.io/sensor", "192.0.2.1"));
}
void declined(benchmark::State& state) {
  run(state, application(32, 20).annotation("sidetap.io/inject", "false"));
}
void on_the_nodes_network(benchmark::State& state) {
  run(state, application(32, 20).set("/spec/hostNetwork", true));
}

BENCHMARK(injected);
BENCHMARK(overridden);
BENCHMARK(declined);
BENCHMARK(on_the_nodes_network);
BENCHMARK(injected_large);

}  // namespace
}  // namespace sidetap
