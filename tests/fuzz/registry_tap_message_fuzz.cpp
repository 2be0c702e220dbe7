// A hostile tap: any text as a message to the registry. What the registry takes is within the
// limits and survives the wire: encoded and decoded again it is the same.
#include <cstdlib>
#include <string_view>

#include "shared/registry/codec.h"

namespace {

using namespace sidetap::registry;

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const Unknown&) {}
void check(const State& state) { require(state.addresses.size() <= kMostTapAddresses); }
void check(const Hello& hello) { check(hello.state); }
void check(const Resync&) {}

template <typename T>
void survives(const T& message) {
  const std::string text = encode(message);
  require(text.size() <= kMostTapMessageBytes);
  const auto again = decode_tap_message(text);
  require(again && *again == TapMessage(message));
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
