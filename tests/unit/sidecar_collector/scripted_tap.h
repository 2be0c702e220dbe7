// Drives the sensor's side of a session without any I/O; the test is the tap.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "sidecar/collector/tap_protocol.h"
#include "tests/support/protocol_driver.h"

namespace sidetap::collector {

class ScriptedTap {
 public:
  static constexpr std::uint16_t kDataPort = 2'003;

  explicit ScriptedTap(TapProtocolConfig config) : protocol_(std::move(config)) { resume(Began{}); }

  /// The tap sends one whole message.
  void send(const rpcap::Bytes& message) {
    announce(message, static_cast<std::uint32_t>(message.size() - rpcap::kHeaderSize));
  }
  /// The same, but its header claims `size`; what is missing reads as zeros.
  void announce(const rpcap::Bytes& message, std::uint32_t size) {
    auto header = test::header_of(message);
    header.payload_size = size;
    payload_.assign(message.begin() + 8, message.end());
    resume(HeaderRead{header});
  }
  void resume(TapEvent event) {
    if (!end_)
      test::drive(protocol_, std::move(event), [this](const auto& step) { return perform(step); });
  }
  void fail_data(std::string why) { data_failure_ = std::move(why); }
  /// Chosen when the link type is known.
  void choose_filter(rpcap::Filter filter) { chosen_filter_ = std::move(filter); }
  /// What was done since the last call: "send 8", "read", "open", "take", "dial 2003", "end
  /// closed"...
  std::string done() { return std::exchange(done_, {}); }

  TapPhase phase() const { return protocol_.phase(); }
  rpcap::View last_payload() const { return rpcap::View(sent_).subspan(rpcap::kHeaderSize); }
  const std::optional<rpcap::Interface>& interface() const { return interface_; }
  const std::optional<rpcap::Stats>& stats() const { return stats_; }
  const std::optional<EndTap>& end() const { return end_; }
  std::optional<std::chrono::milliseconds> limit() const { return limit_; }
  std::optional<std::int32_t> link_type() const { return link_type_; }

 private:
  using Outcome = std::optional<TapEvent>;

  void note(const std::string& word) { done_ += (done_.empty() ? "" : ", ") + word; }
  Outcome data(TapEvent event) {
    if (data_failure_) return DataFailed{*std::exchange(data_failure_, std::nullopt)};
    return event;
  }

  Outcome perform(const SendToTap& action) {
    sent_ = action.bytes;
    note("send " + std::to_string(std::to_integer<int>(sent_[1])));
    return std::nullopt;
  }
  Outcome perform(const ReadTapHeader& action) {
    limit_ = action.limit;
    return std::nullopt;
  }
  Outcome perform(const ReadTapPayload& action) {
    payload_.resize(action.size);
    return PayloadRead{payload_};
  }
  Outcome perform(const InterfaceOpened& action) {
    interface_ = action.interface;
    return std::nullopt;
  }
  Outcome perform(const OpenTapData& action) {
    note("open");
    link_type_ = action.link_type;
    return data(DataOpened{kDataPort, chosen_filter_});
  }
  Outcome perform(const TakeTapData& action) {
    note(action.port == 0 ? "take" : "dial " + std::to_string(action.port));
    return data(DataTaken{});
  }
  Outcome perform(const TapStats& action) {
    stats_ = action.stats;
    return std::nullopt;
  }
  Outcome perform(const SettleTapData&) {
    note("settle");
    return DataSettled{};
  }
  Outcome perform(const CloseTapData&) {
    note("shut");
    return std::nullopt;
  }
  Outcome perform(const EndTap& action) {
    note("end " + std::string(tap_end_name(action.kind)));
    end_ = action;
    return std::nullopt;
  }

  TapProtocol protocol_;
  std::string done_;
  rpcap::Bytes sent_;
  rpcap::Bytes payload_;
  std::optional<std::string> data_failure_;
  std::optional<rpcap::Interface> interface_;
  std::optional<rpcap::Stats> stats_;
  std::optional<EndTap> end_;
  std::optional<std::chrono::milliseconds> limit_;
  std::optional<std::int32_t> link_type_;
  std::optional<rpcap::Filter> chosen_filter_;
};

}  // namespace sidetap::collector
