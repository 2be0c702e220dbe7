// The interface is one end of a pair of sockets, on which each message is a frame.
#include "sidecar/forwarding/interface_output.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "tests/unit/sidecar_forwarding/sockets.h"

namespace sidetap::forwarding {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::size_t kSmallFrame = 100;

/// What the port and the test share.
struct FakeInterface {
  Pair pair = stalling_pair();
  InterfacePort::State state{.index = 7, .working = true};
  std::string refusal{};  // of attach()
  std::vector<unsigned> attached{};
  std::vector<std::string> told{};
};

class FakePort final : public InterfacePort {
 public:
  explicit FakePort(FakeInterface& interface) : interface_(interface) {}
  State look(unsigned) override { return interface_.state; }
  Result<void> attach(unsigned index) override {
    if (!interface_.refusal.empty()) return Error{interface_.refusal};
    interface_.attached.push_back(index);
    return {};
  }
  int descriptor() const override { return interface_.pair.tap.get(); }

 private:
  FakeInterface& interface_;
};

std::unique_ptr<Output> output_into(FakeInterface& interface,
                                    capture::LinkType link = capture::LinkType::kEthernet) {
  InterfaceEvents events;
  events.on_lost = [&](const std::string& reason) { interface.told.push_back("lost: " + reason); };
  events.on_working = [&] { interface.told.push_back("working"); };
  events.on_too_large = [&](unsigned mtu) {
    interface.told.push_back("mtu " + std::to_string(mtu));
  };
  return make_interface_output(std::make_unique<FakePort>(interface), link, std::move(events));
}

void add_frame(Output& output, std::uint32_t number, std::size_t size = kSmallFrame) {
  std::vector<std::byte> bytes(size);
  if (size >= sizeof number) std::memcpy(bytes.data(), &number, sizeof number);
  const auto length = static_cast<std::uint32_t>(size);
  // In two parts, as packets come whose headers are rewritten.
  const std::span<const std::byte> whole(bytes);
  const std::size_t cut = std::min<std::size_t>(size, 54);
  output.add({.header = {.captured = length, .length = length},
              .head = whole.first(cut),
              .body = whole.subspan(cut)});
}

/// Flushes, and takes what comes, until everything is out.
std::vector<std::vector<std::byte>> take_frames(Output& output, FakeInterface& interface) {
  std::vector<std::vector<std::byte>> frames;
  for (int round = 0; round < 10'000; ++round) {
    output.flush();
    auto got = receive_now(interface.pair.sensor.get());
    if (got.empty() && output.takes_more()) break;
    for (auto& frame : got) frames.push_back(std::move(frame));
  }
  return frames;
}

std::uint64_t dropped_for(const Output& output, DropCause cause) {
  return output.counts().dropped[static_cast<unsigned>(cause)].value();
}

/// The interface is looked at twice a second.
void flush_until(Output& output, const std::function<bool()>& what) {
  for (int i = 0; !what() && i < 500; ++i) {
    output.flush();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(what());
}

TEST(InterfaceOutput, WritesEachPacketAsAFrameOfItsOwnInOrder) {
  FakeInterface interface;
  auto output = output_into(interface);
  EXPECT_THAT(interface.attached, ElementsAre(7U));
  EXPECT_THAT(interface.told, ElementsAre("working"));
  for (std::uint32_t i = 0; i < 300; ++i) add_frame(*output, i, kSmallFrame + i);
  const auto frames = take_frames(*output, interface);
  ASSERT_EQ(frames.size(), 300U);
  for (std::uint32_t i = 0; i < 300; ++i) {
    EXPECT_EQ(frames[i].size(), kSmallFrame + i);
    std::uint32_t number = 0;
    std::memcpy(&number, frames[i].data(), sizeof number);
    EXPECT_EQ(number, i);
  }
  EXPECT_EQ(output->counts().forwarded.value(), 300U);
  EXPECT_EQ(output->counts().bytes.value(), 300U * kSmallFrame + 300U * 299U / 2);
  EXPECT_EQ(output->counts().dropped_total(), 0U);
}

TEST(InterfaceOutput, GoesOnWhereAFullInterfaceStoppedIt) {
  FakeInterface interface;
  auto output = output_into(interface);
  std::uint32_t added = 0;
  while (output->takes_more() && added < 100'000) add_frame(*output, added++, 1'000);
  EXPECT_EQ(output->blocked_descriptor(), interface.pair.tap.get());
  for (int i = 0; i < 100; ++i) add_frame(*output, added++, 1'000);
  EXPECT_EQ(take_frames(*output, interface).size(), added);
  EXPECT_EQ(output->counts().forwarded.value(), added);
  EXPECT_EQ(output->blocked_descriptor(), -1);
}

TEST(InterfaceOutput, WhatNobodyTakesIsBoundedAndCounted) {
  FakeInterface interface;
  auto output = output_into(interface);
  constexpr std::uint32_t kMany = 5'000;
  for (std::uint32_t i = 0; i < kMany; ++i) add_frame(*output, i, 1'000);
  EXPECT_GT(dropped_for(*output, DropCause::kSocketFull), 0U);
  output->finish();
  EXPECT_EQ(output->counts().forwarded.value() + dropped_for(*output, DropCause::kSocketFull),
            kMany);
  EXPECT_EQ(receive_now(interface.pair.sensor.get()).size(), output->counts().forwarded.value());
}

TEST(InterfaceOutput, MakesAHeaderForPacketsWithoutEthernet) {
  FakeInterface interface;
  auto output = output_into(interface, capture::LinkType::kRawIp);
  std::vector<std::byte> packet(40);
  packet[0] = std::byte{0x60};
  output->add({.header = {.captured = 40, .length = 40}, .head = {}, .body = packet});
  const auto frames = take_frames(*output, interface);
  ASSERT_EQ(frames.size(), 1U);
  ASSERT_EQ(frames[0].size(), 54U);
  EXPECT_EQ(frames[0][12], std::byte{0x86});
  EXPECT_EQ(frames[0][13], std::byte{0xdd});
  EXPECT_EQ(frames[0][14], std::byte{0x60});
}

TEST(InterfaceOutput, DropsWhatDoesNotFitAndSaysOnceWhichMtuWould) {
  FakeInterface interface;
  auto output = output_into(interface);
  interface.told.clear();
  for (int i = 0; i < 3; ++i) {
    add_frame(*output, 0, 250'000);  // more than the socket takes as one message
    add_frame(*output, 1);
  }
  EXPECT_EQ(take_frames(*output, interface).size(), 3U);
  EXPECT_EQ(dropped_for(*output, DropCause::kTooLarge), 3U);
  EXPECT_THAT(interface.told, ElementsAre("mtu 65535"));
  EXPECT_EQ(mtu_for(1'514), 1'500U);
  EXPECT_EQ(mtu_for(1'515), 9'000U);
  EXPECT_EQ(mtu_for(9'015), 65'535U);
}

TEST(InterfaceOutput, DropsWhatHasNoWholeHeader) {
  FakeInterface interface;
  auto output = output_into(interface);
  for (const std::size_t size : {0U, 13U}) add_frame(*output, 0, size);
  EXPECT_THAT(take_frames(*output, interface), IsEmpty());
  EXPECT_EQ(dropped_for(*output, DropCause::kSendError), 2U);
}

TEST(InterfaceOutput, DropsWhileTheInterfaceIsAwayAndGoesOnWithTheOneThatComes) {
  FakeInterface interface;
  auto output = output_into(interface);
  interface.told.clear();
  interface.state = {};
  flush_until(*output, [&] { return !interface.told.empty(); });
  add_frame(*output, 1);
  EXPECT_THAT(take_frames(*output, interface), IsEmpty());
  EXPECT_EQ(dropped_for(*output, DropCause::kSendError), 1U);
  EXPECT_TRUE(output->takes_more());

  interface.state = {.index = 9, .working = true};
  flush_until(*output, [&] { return interface.attached.size() == 2; });
  add_frame(*output, 2);
  EXPECT_EQ(take_frames(*output, interface).size(), 1U);
  EXPECT_THAT(interface.attached, ElementsAre(7U, 9U));
  EXPECT_THAT(interface.told, ElementsAre("lost: there is no such interface", "working"));
}

TEST(InterfaceOutput, AnotherInterfaceOfTheNameIsAnOutageToo) {
  FakeInterface interface;
  auto output = output_into(interface);
  interface.told.clear();
  interface.state.index = 8;
  flush_until(*output, [&] { return interface.told.size() == 2; });
  EXPECT_THAT(interface.attached, ElementsAre(7U, 8U));
  EXPECT_THAT(interface.told, ElementsAre("lost: it is another interface now", "working"));
}

TEST(InterfaceOutput, SaysOnceWhyTheInterfaceIsOfNoUse) {
  FakeInterface interface;
  interface.state.working = false;
  auto output = output_into(interface);
  EXPECT_THAT(interface.told, ElementsAre("lost: it is down, or has no carrier"));
  interface.state.working = true;
  interface.refusal = "mon0: is not Ethernet";
  flush_until(*output, [&] { return interface.told.size() == 2; });
  EXPECT_EQ(interface.told.back(), "lost: mon0: is not Ethernet");
  EXPECT_THAT(interface.attached, IsEmpty());
  add_frame(*output, 1);
  output->finish();
  EXPECT_EQ(dropped_for(*output, DropCause::kSendError), 1U);
}

}  // namespace
}  // namespace sidetap::forwarding
