// A hostile sensor: any bytes on the control connection of a tap, through header, codec and
// protocol. The first byte chooses the configuration.
//
// For any input, memory is bounded, no capture starts before authentication and OPEN, a running
// capture stops before the session ends, and the tap answers with whole messages.
#include <algorithm>
#include <cstdlib>
#include <optional>
#include <span>

#include "sidecar/session/protocol.h"
#include "tests/support/protocol_driver.h"

namespace {

using namespace sidetap;
using namespace sidetap::session;

void require(bool holds) {
  if (!holds) std::abort();
}

/// Performs the actions; the input is both the peer's bytes and, where it runs out, its end.
class HostileSession {
 public:
  HostileSession(ProtocolConfig config, bool failing, rpcap::View input)
      : failing_(failing), input_(input), protocol_(std::move(config)) {}

  void run() {
    test::drive(protocol_, Event(Began{}), [this](auto& step) {
      require(!ended_);
      Outcome outcome = perform(step);
      require(!(outcome && ended_));
      return outcome;
    });
    require(ended_);
    require(!capturing_);
    require(protocol_.phase() == Phase::kEnded);
  }

 private:
  using Outcome = std::optional<Event>;

  rpcap::View take(std::size_t size) {
    const auto part = input_.first(std::min(size, input_.size()));
    input_ = input_.subspan(part.size());
    return part;
  }
  Outcome over() { return ConnectionLost{EndKind::kLost, "the input ends"}; }

  Outcome perform(Send& action) {
    require(action.bytes.size() >= rpcap::kHeaderSize);
    const auto header = test::header_of(action.bytes);
    require(header.payload_size == action.bytes.size() - rpcap::kHeaderSize);
    if (header.type == rpcap::MessageType::kAuthReply) authenticated_ = true;
    if (header.type == rpcap::MessageType::kOpenReply) opened_ = true;
    return std::nullopt;
  }
  Outcome perform(Pause&) { return std::nullopt; }
  Outcome perform(Note&) { return std::nullopt; }
  Outcome perform(Discard& action) {
    require(action.size > 0);
    return take(action.size).size() < action.size ? over() : std::nullopt;
  }
  Outcome perform(StopCapture&) {
    capturing_ = false;
    return std::nullopt;
  }
  Outcome perform(ReadHeader&) {
    const auto bytes = take(rpcap::kHeaderSize);
    if (bytes.size() < rpcap::kHeaderSize) {
      return bytes.empty() ? Outcome(StopRequested{}) : over();
    }
    return HeaderRead{test::header_of(bytes)};
  }
  Outcome perform(ReadPayload& action) {
    require(action.size <= rpcap::kMaxControlPayload);
    const auto bytes = take(action.size);
    return bytes.size() < action.size ? over() : Outcome(PayloadRead{bytes});
  }
  Outcome perform(DescribeInterface&) {
    return InterfaceDescribed{{"eth0", "", 6, {{net::IpAddress::v4(0x0af40107), {}, {}, {}}}}, 1};
  }
  Outcome perform(OpenData& action) {
    require(authenticated_ && opened_ && !capturing_);
    require(action.listen || action.port != 0);
    if (failing_) return Failed{"no"};
    return DataOpened{action.listen ? std::uint16_t{40'000} : std::uint16_t{0}};
  }
  Outcome perform(FinishData&) { return DataReady{}; }
  Outcome perform(StartCapture& action) {
    require(authenticated_ && opened_ && !capturing_);
    require(action.filter.size() <= rpcap::kMaxFilterInstructions);
    require(action.snaplen >= 1 && action.snaplen <= 262'144);
    capturing_ = true;
    return CaptureStarted{};
  }
  Outcome perform(UpdateFilter& action) {
    require(capturing_ && action.filter.size() <= rpcap::kMaxFilterInstructions);
    if (failing_) return Failed{"no"};
    return FilterUpdated{};
  }
  Outcome perform(AskStats&) {
    require(capturing_);
    return StatsTold{{1, 2, 3, 4}};
  }
  Outcome perform(End&) {
    require(!capturing_);
    ended_ = true;
    return std::nullopt;
  }

  const bool failing_;
  rpcap::View input_;
  Protocol protocol_;
  bool authenticated_ = false;
  bool opened_ = false;
  bool capturing_ = false;
  bool ended_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  ProtocolConfig config;
  config.active = (data[0] & 1) == 0;
  config.tls = (data[0] & 2) != 0;
  if ((data[0] & 4) != 0) {
    config.user = "me";
    config.password = "pw";
  }
  config.preselected = (data[0] & 8) != 0;
  HostileSession session(config, (data[0] & 16) != 0,
                         std::as_bytes(std::span(data, size)).subspan(1));
  session.run();
  return 0;
}
