// The tap's side and the sensor's side of a session talk to each other, in random interleavings and
// over connections that hand over a few bytes at a time.
#include <algorithm>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "sidecar/collector/tap_protocol.h"
#include "sidecar/session/protocol.h"
#include "tests/support/protocol_driver.h"

namespace sidetap::collector {
namespace {

/// Bytes under way in one direction, and those that have arrived.
struct Pipe {
  rpcap::Bytes sent;
  rpcap::Bytes arrived;

  void carry(std::size_t most) {
    const auto bytes = static_cast<std::ptrdiff_t>(std::min(most, sent.size()));
    arrived.insert(arrived.end(), sent.begin(), sent.begin() + bytes);
    sent.erase(sent.begin(), sent.begin() + bytes);
  }
  bool take(std::size_t size, rpcap::Bytes& into) {
    if (arrived.size() < size) return false;
    const auto bytes = static_cast<std::ptrdiff_t>(size);
    into.assign(arrived.begin(), arrived.begin() + bytes);
    arrived.erase(arrived.begin(), arrived.begin() + bytes);
    return true;
  }
};

/// Performs the actions of one side, as far as there are bytes for them.
template <typename Machine, typename Action, typename Event>
class Side {
 public:
  Side(Machine machine, Pipe& in, Pipe& out) : machine_(std::move(machine)), in_(in), out_(out) {}
  virtual ~Side() = default;

  void resume(const Event& event) {
    todo_.clear();
    for (auto& action : machine_.resume(event)) todo_.push_back(std::move(action));
  }
  /// False: it waits for bytes, or is at its end.
  bool step() {
    if (todo_.empty()) return false;
    std::optional<Event> event;
    if (!perform(todo_.front(), event)) return false;
    if (event) {
      resume(*event);
    } else {
      todo_.pop_front();
    }
    return true;
  }
  const Machine& machine() const { return machine_; }

 protected:
  /// False: it cannot be done yet.
  virtual bool perform(Action& action, std::optional<Event>& event) = 0;

  Machine machine_;
  Pipe& in_;
  Pipe& out_;
  std::deque<Action> todo_;
  rpcap::Bytes bytes_;
};

/// Of a tap that is dialled.
constexpr std::uint16_t kListeningPort = 40'000;

class TapEndOfIt final : public Side<session::Protocol, session::Action, session::Event> {
 public:
  using Side::Side;
  bool capturing = false;
  unsigned captures = 0;
  rpcap::Filter filter;
  std::optional<session::EndKind> ended;

 private:
  bool perform(session::Action& action, std::optional<session::Event>& event) override {
    if (auto* const send = std::get_if<session::Send>(&action)) {
      out_.sent.insert(out_.sent.end(), send->bytes.begin(), send->bytes.end());
    } else if (std::get_if<session::ReadHeader>(&action) != nullptr) {
      if (!in_.take(rpcap::kHeaderSize, bytes_)) return false;
      event = session::HeaderRead{test::header_of(bytes_)};
    } else if (const auto* const payload = std::get_if<session::ReadPayload>(&action)) {
      if (!in_.take(payload->size, bytes_)) return false;
      event = session::PayloadRead{bytes_};
    } else if (std::get_if<session::DescribeInterface>(&action) != nullptr) {
      event = session::InterfaceDescribed{
          {"eth0", "shop/cart", 6, {{net::IpAddress::v4(0x0af40107), {}, {}, {}}}}, 1};
    } else if (const auto* const data = std::get_if<session::OpenData>(&action)) {
      EXPECT_EQ(data->port, data->listen ? 0 : 2'003);
      event = session::DataOpened{data->listen ? kListeningPort : std::uint16_t{0}};
    } else if (std::get_if<session::FinishData>(&action) != nullptr) {
      event = session::DataReady{};
    } else if (auto* const start = std::get_if<session::StartCapture>(&action)) {
      capturing = true;
      ++captures;
      filter = start->filter;
      event = session::CaptureStarted{};
    } else if (auto* const update = std::get_if<session::UpdateFilter>(&action)) {
      filter = update->filter;
      event = session::FilterUpdated{};
    } else if (std::get_if<session::AskStats>(&action) != nullptr) {
      event = session::StatsTold{{9, 0, 0, 9}};
    } else if (std::get_if<session::StopCapture>(&action) != nullptr) {
      capturing = false;
    } else if (const auto* const end = std::get_if<session::End>(&action)) {
      ended = end->kind;
    } else if (std::get_if<session::Pause>(&action) == nullptr) {
      ADD_FAILURE() << "an action of a session with a peer that is no good sensor";
    }
    return true;
  }
};

class SensorEndOfIt final : public Side<TapProtocol, TapAction, TapEvent> {
 public:
  using Side::Side;
  bool data_open = false;
  std::uint16_t dialled = 0;  ///< For the stream.
  std::optional<TapEnd> ended;
  std::string why;

  /// It waits for a header, where anything may happen to it.
  bool waits() const {
    return !todo_.empty() && std::holds_alternative<ReadTapHeader>(todo_.front());
  }
  /// Nobody owes it an answer.
  bool rests() const {
    return waits() && machine_.phase() == TapPhase::kCapturing &&
           std::get<ReadTapHeader>(todo_.front()).limit != TapProtocol::kAnswerLimit &&
           std::get<ReadTapHeader>(todo_.front()).limit.has_value();
  }

 private:
  bool perform(TapAction& action, std::optional<TapEvent>& event) override {
    if (auto* const send = std::get_if<SendToTap>(&action)) {
      out_.sent.insert(out_.sent.end(), send->bytes.begin(), send->bytes.end());
    } else if (std::get_if<ReadTapHeader>(&action) != nullptr) {
      if (!in_.take(rpcap::kHeaderSize, bytes_)) return false;
      event = HeaderRead{test::header_of(bytes_)};
    } else if (const auto* const payload = std::get_if<ReadTapPayload>(&action)) {
      if (!in_.take(payload->size, bytes_)) return false;
      event = PayloadRead{bytes_};
    } else if (std::get_if<OpenTapData>(&action) != nullptr) {
      data_open = true;
      event = DataOpened{2'003};
    } else if (const auto* const take = std::get_if<TakeTapData>(&action)) {
      dialled = take->port;
      event = DataTaken{};
    } else if (std::get_if<SettleTapData>(&action) != nullptr) {
      event = DataSettled{};
    } else if (std::get_if<CloseTapData>(&action) != nullptr) {
      data_open = false;
    } else if (const auto* const end = std::get_if<EndTap>(&action)) {
      ended = end->kind;
      why = end->text;
    }
    return true;
  }
};

class Conversation {
 public:
  Conversation(unsigned seed, session::ProtocolConfig of_tap, TapProtocolConfig of_sensor)
      : random_(seed),
        tap(session::Protocol(std::move(of_tap)), to_tap_, to_sensor_),
        sensor(TapProtocol(std::move(of_sensor)), to_sensor_, to_tap_) {
    tap.resume(session::Began{});
    sensor.resume(Began{});
  }

  bool chance(unsigned one_in) { return random_() % one_in == 0; }
  /// Lets one of the two, or of the connections between them, do something.
  void go_on() {
    switch (random_() % 4) {
      case 0:
        return to_tap_.carry(random_() % 40);
      case 1:
        return to_sensor_.carry(random_() % 40);
      case 2:
        if (!tap.ended) tap.step();
        return;
      default:
        if (!sensor.ended) sensor.step();
    }
  }
  /// Everything that can happen has happened.
  void settle() {
    for (int i = 0; i < 20'000; ++i) go_on();
  }

 private:
  std::mt19937 random_;
  Pipe to_tap_;
  Pipe to_sensor_;

 public:
  TapEndOfIt tap;
  SensorEndOfIt sensor;
};

rpcap::Filter numbered(std::uint32_t number) { return {{0x28, 0, 0, 12}, {6, 0, 0, number}}; }

TEST(BothProtocols, AgreeOnEveryKindOfCapture) {
  for (const bool datagram : {true, false}) {
    for (const unsigned kind : {0U, 1U, 2U, 3U}) {
      const bool login = (kind & 1U) != 0;
      const bool passive = (kind & 2U) != 0;
      const std::string user = login ? "me" : "";
      const std::string password = login ? "secret" : "";
      Conversation both(7, {.active = !passive, .user = user, .password = password},
                        {.user = user,
                         .password = password,
                         .datagram = datagram,
                         .passive = passive,
                         .sampling = {rpcap::SamplingMethod::kOneInN, 2}});
      both.settle();
      EXPECT_EQ(both.sensor.dialled, passive && !datagram ? kListeningPort : 0);
      EXPECT_EQ(both.tap.machine().phase(), session::Phase::kCapturing);
      EXPECT_EQ(both.sensor.machine().phase(), TapPhase::kCapturing) << both.sensor.why;
      EXPECT_TRUE(both.tap.capturing && both.sensor.data_open);
    }
  }
}

TEST(BothProtocols, AWrongPasswordEndsIt) {
  Conversation both(1, {.user = "me", .password = "secret"}, {.user = "me", .password = "guess"});
  both.settle();
  EXPECT_EQ(both.sensor.ended, TapEnd::kRefused) << both.sensor.why;
  EXPECT_EQ(both.tap.ended, session::EndKind::kClosed);
}

TEST(BothProtocols, HoweverTheyInterleaveTheSessionEndsInGoodOrder) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Conversation both(seed, {}, {.datagram = seed % 2 == 0});
    std::uint32_t filters = 0;
    for (int i = 0; i < 3'000; ++i) {
      both.go_on();
      if (both.sensor.waits() && both.chance(200))
        both.sensor.resume(FilterChanged{numbered(++filters)});
      if (both.sensor.rests() && both.chance(100)) both.sensor.resume(NothingCame{});
    }
    both.settle();
    ASSERT_FALSE(both.sensor.ended) << both.sensor.why;
    EXPECT_EQ(both.tap.filter, filters == 0 ? rpcap::Filter() : numbered(filters));
    EXPECT_EQ(both.tap.captures, 1U);
    both.sensor.resume(StopRequested{});
    both.settle();
    EXPECT_EQ(both.sensor.ended, TapEnd::kStopped) << both.sensor.why;
    EXPECT_EQ(both.tap.ended, session::EndKind::kClosed);
    EXPECT_FALSE(both.tap.capturing);
    EXPECT_FALSE(both.sensor.data_open);
  }
}

TEST(BothProtocols, AStopAtAnyMomentLeavesNothingBehind) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Conversation both(seed, {}, {.datagram = seed % 2 == 0});
    const unsigned moment = seed * 2;
    for (unsigned i = 0; i < moment; ++i) both.go_on();
    while (!both.sensor.waits()) both.go_on();
    both.sensor.resume(StopRequested{});
    both.settle();
    EXPECT_EQ(both.sensor.ended, TapEnd::kStopped) << both.sensor.why;
    EXPECT_EQ(both.tap.ended, session::EndKind::kClosed);
    EXPECT_FALSE(both.tap.capturing || both.sensor.data_open);
  }
}

TEST(BothProtocols, ATapThatStopsOrLosesItsDataEndsIt) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Conversation both(seed, {}, {});
    for (unsigned i = 0; i < seed * 2; ++i) both.go_on();
    if (both.tap.ended) continue;
    if (seed % 2 == 0) {
      both.tap.resume(session::StopRequested{});
    } else {
      both.tap.resume(session::CaptureLost{"the sensor refuses packets"});
    }
    both.settle();
    EXPECT_EQ(both.sensor.ended, seed % 2 == 0 ? TapEnd::kClosed : TapEnd::kRefused)
        << both.sensor.why;
    EXPECT_FALSE(both.tap.capturing || both.sensor.data_open);
  }
}

}  // namespace
}  // namespace sidetap::collector
