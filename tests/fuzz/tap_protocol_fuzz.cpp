// A hostile tap: any bytes on the control connection of a collector, through header, codec and
// protocol. The first byte chooses the configuration, the second when the collector wants
// something.
//
// For any input, what is read of a message is bounded, requests are whole messages, data is asked
// for only after the reply to OPEN, and the data connection is closed before the session ends.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <utility>

#include "sidecar/collector/tap_protocol.h"
#include "tests/support/protocol_driver.h"

namespace {

using namespace sidetap;
using namespace sidetap::collector;

void require(bool holds) {
  if (!holds) std::abort();
}

/// Performs the actions; the input is both the tap's bytes and, where it runs out, its end.
class HostileTap {
 public:
  HostileTap(TapProtocolConfig config, std::uint8_t moments, rpcap::View input)
      : stream_(!config.datagram),
        passive_(config.passive),
        moments_(moments),
        input_(input),
        protocol_(std::move(config)) {}

  void run() {
    test::drive(protocol_, TapEvent(Began{}), [this](auto& step) {
      require(!ended_);
      Outcome outcome = perform(step);
      require(!(outcome && ended_));
      return outcome;
    });
    require(ended_);
    require(!data_open_);
    require(protocol_.phase() == TapPhase::kEnded);
  }

 private:
  using Outcome = std::optional<TapEvent>;

  rpcap::View take(std::size_t size) {
    const auto part = input_.first(std::min(size, input_.size()));
    input_ = input_.subspan(part.size());
    return part;
  }

  Outcome perform(SendToTap& action) {
    require(action.bytes.size() >= rpcap::kHeaderSize);
    const auto header = test::header_of(action.bytes);
    require(header.payload_size == action.bytes.size() - rpcap::kHeaderSize);
    if (header.type == rpcap::MessageType::kOpenRequest) open_asked_ = true;
    return std::nullopt;
  }
  Outcome perform(ReadTapHeader&) {
    if (++reads_ % 8 == (moments_ & 7U) && (moments_ & 8U) != 0) return NothingCame{};
    if (reads_ % 16 == (moments_ >> 4)) return FilterChanged{{{6, 0, 0, reads_}}};
    if (stream_ && data_open_ && (moments_ & 4U) != 0 && reads_ % 32 == 12)
      return DataLost{"the stream ended"};
    const auto bytes = take(rpcap::kHeaderSize);
    if (bytes.size() == rpcap::kHeaderSize) {
      return HeaderRead{test::header_of(bytes)};
    }
    if (bytes.empty() && !std::exchange(stopped_, true)) return StopRequested{};
    return TapLost{TapEnd::kLost, "the input ends"};
  }
  Outcome perform(ReadTapPayload& action) {
    require(action.size > 0 && action.size <= TapProtocol::kMostPayload);
    const auto bytes = take(action.size);
    if (bytes.size() < action.size) return TapLost{TapEnd::kLost, "the input ends"};
    return PayloadRead{bytes};
  }
  Outcome perform(InterfaceOpened& action) {
    for (const char c : action.interface.description + action.interface.name)
      require(static_cast<unsigned char>(c) >= ' ' && c != '\x7f');
    return std::nullopt;
  }
  Outcome perform(OpenTapData&) {
    require(open_asked_ && !data_open_);
    data_open_ = true;
    return DataOpened{2'003};
  }
  Outcome perform(TakeTapData& action) {
    require(data_open_ && stream_ && passive_ == (action.port != 0));
    return DataTaken{};
  }
  Outcome perform(TapStats&) {
    require(data_open_);
    return std::nullopt;
  }
  Outcome perform(SettleTapData&) {
    require(data_open_);
    return DataSettled{};
  }
  Outcome perform(CloseTapData&) {
    data_open_ = false;
    return std::nullopt;
  }
  Outcome perform(EndTap& action) {
    require(!data_open_ && !action.text.empty());
    ended_ = true;
    return std::nullopt;
  }

  const bool stream_;
  const bool passive_;
  const std::uint8_t moments_;
  rpcap::View input_;
  TapProtocol protocol_;
  std::uint32_t reads_ = 0;
  bool open_asked_ = false;
  bool data_open_ = false;
  bool stopped_ = false;
  bool ended_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  TapProtocolConfig config;
  config.datagram = (data[0] & 1) == 0;
  if ((data[0] & 2) != 0) config.interface_rule = {net::Cidr::host(net::IpAddress::v4(0x0af40107))};
  if ((data[0] & 4) != 0) {
    config.user = "me";
    config.password = "pw";
  }
  if ((data[0] & 8) != 0) config.sampling = {rpcap::SamplingMethod::kOneInN, 3};
  if ((data[0] & 16) != 0) config.stats_every = {};
  if ((data[0] & 32) != 0) {
    config.link_type.reset();
    config.close_on_failure = false;
  }
  config.passive = (data[0] & 64) != 0;
  HostileTap tap(config, data[1], std::as_bytes(std::span(data, size)).subspan(2));
  tap.run();
  return 0;
}
