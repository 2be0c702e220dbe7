#include "sidecar/tap/tap_metrics.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sidecar/ownership/listening_sockets.h"
#include "sidecar/tap/exclusion.h"

namespace sidetap {
namespace {

using testing::HasSubstr;
using testing::Not;

class AbsentDevice final : public capture::Device {
 public:
  Result<std::unique_ptr<capture::PacketSource>> open(const capture::DeviceConfig&) override {
    return Error{"there is no such interface"};
  }
  capture::InterfaceNow look(const std::string&, unsigned) override { return {}; }
};

/// Has forwarded so many packets.
class CountedOutput final : public forwarding::Output {
 public:
  explicit CountedOutput(std::uint64_t packets) { counts_.forwarded.add(packets); }
  void add(const forwarding::OutgoingPacket&) override {}
  void flush() override {}
};

std::string forwarded_row(const std::string& sensor, unsigned packets) {
  return "sidetap_sensor_packets_total{interface=\"eth0\",result=\"forwarded\",sensor=\"" + sensor +
         "\"} " + std::to_string(packets) + "\n";
}

std::size_t times(const std::string& part, const std::string& text) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(TapMetrics, ARowForEachSensorThatThereIsOrHasBeen) {
  CaptureLoopConfig config;
  config.interface = "eth0";
  config.sensors = {"old", "both"};
  CaptureLoop loop(std::move(config), std::make_unique<AbsentDevice>(),
                   std::make_unique<ownership::NoListeningSockets>());
  telemetry::MetricsRegistry registry;
  TapMetrics metrics(registry, {&loop});
  loop.stop(loop.start_output(std::make_unique<CountedOutput>(3), "old", 0, {}), {});
  loop.stop(loop.start_output(std::make_unique<CountedOutput>(4), "both", 0, {}), {});
  loop.start_output(std::make_unique<CountedOutput>(5), "both", 1, {});
  loop.start_output(std::make_unique<CountedOutput>(6), "new", 1, {});
  metrics.refresh([] {});
  EXPECT_THAT(registry.text(), Not(HasSubstr("sensor=\"new\"")));

  loop.advance(1, {.sensors = {"both", "new"}}, {});
  for (int i = 0; i < 2; ++i) metrics.refresh([] {});
  const std::string text = registry.text();
  EXPECT_EQ(times(forwarded_row("old", 3), text), 1U) << text;
  EXPECT_EQ(times(forwarded_row("both", 9), text), 1U);
  EXPECT_EQ(times(forwarded_row("new", 6), text), 1U);
  EXPECT_THAT(text, HasSubstr("sidetap_packets_forwarded_total{interface=\"eth0\"} 18\n"));
}

TEST(MostConnections, LeaveRoomForTwoDeliveriesWhereTheRegistryMayAskForAnother) {
  RunOptions options;
  options.sessions.sensors.resize(10);
  const std::size_t alone = most_connections(options, 1);
  options.registry.address.emplace();
  EXPECT_EQ(most_connections(options, 1), alone + 40);
  options.sessions.sensors.resize(1);
  EXPECT_GT(most_connections(options, 1), alone - 36 + 4) << "the next ones may be more";
}

}  // namespace
}  // namespace sidetap
