// A hostile tap: any text as a message to the registry. What the registry takes is within the
// limits and survives the wire: encoded and decoded again it is the same.
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>

#include "shared/registry/codec.h"

namespace {

using namespace sidetap::registry;

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const Unknown&) {}
void check(const State& state) { require(state.addresses.size() <= kMostTapAddresses); }
void check(const Hello& hello) {
  check(hello.state);
  require(hello.control.size() <= kMostControls && hello.profile.size() <= kMostReportedText);
}
void check(const Report& report) {
  require(report.interfaces.size() <= kMostReportedInterfaces);
  require(report.sensors.size() <= kMostReportedSensors);
  require(report.lost.size() <= kMostReportedCauses);
  if (report.mesh) require(report.mesh->kind.size() <= kMostReportedText);
  for (const auto& sensor : report.sensors) require(sensor.reason.size() <= kMostReportedText);
}
void check(const Resync&) {}

template <typename T>
void survives(const T& message) {
  const std::string text = encode(message);
  require(text.size() <= kMostTapMessageBytes);
  const auto again = decode_tap_message(text);
  require(again && *again == TapMessage(message));
}
/// What is written of a report may be longer than what was read, since members may be missing. Then
/// it is cut, once.
void survives(const Report& report) {
  const std::string text = encode(report);
  require(text.size() <= kMostTapMessageBytes);
  const auto cut = decode_tap_message(text);
  require(cut && std::holds_alternative<Report>(*cut));
  const auto again = decode_tap_message(encode(std::get<Report>(*cut)));
  require(again && *again == *cut);
}
void survives(const Unknown&) {}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto message = decode_tap_message({reinterpret_cast<const char*>(data), size});
  if (!message) {
    require(!message.error().text.empty());
    return 0;
  }
  require(size <= kMostTapMessageBytes);
  std::visit([](const auto& said) { check(said), survives(said); }, *message);
  return 0;
}
