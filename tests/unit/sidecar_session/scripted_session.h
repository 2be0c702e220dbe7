// Drives the protocol without any I/O: every action succeeds at once, unless told otherwise.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "sidecar/session/protocol.h"
#include "tests/support/protocol_driver.h"

namespace sidetap::session {

class ScriptedSession {
 public:
  static constexpr rpcap::Stats kStats{11, 12, 13, 14};
  static constexpr std::uint16_t kListeningPort = 40'000;
  enum Detail { kBrief, kVerbose };

  explicit ScriptedSession(ProtocolConfig config) : protocol_(std::move(config)) {
    resume(Began{});
  }

  /// Delivers one whole message from the peer.
  void receive(const rpcap::Bytes& message) {
    announce(message, static_cast<std::uint32_t>(message.size() - rpcap::kHeaderSize));
  }
  /// A message whose header claims `size`. Reads beyond it return zeros.
  void announce(const rpcap::Bytes& message, std::uint32_t size) {
    auto header = test::header_of(message);
    header.payload_size = size;
    payload_.assign(message.begin() + 8, message.end());
    resume(HeaderRead{header});
  }
  void resume(Event event) {
    if (!end_)
      test::drive(protocol_, std::move(event), [this](const auto& step) { return perform(step); });
  }
  /// Makes the next action that can fail do so.
  void fail_next(std::string why) { failure_ = std::move(why); }
  void forget() { done_.clear(); }

  Phase phase() const { return protocol_.phase(); }
  /// The actions since forget(), as text.
  std::string summary(Detail detail = kBrief) const {
    std::string text;
    for (const auto& [word, verbose] : done_) {
      if (verbose && detail == kBrief) continue;
      text += (text.empty() ? "" : ", ") + word;
    }
    return text;
  }
  rpcap::View last_payload() const { return rpcap::View(sent_).subspan(rpcap::kHeaderSize); }
  const std::optional<End>& end() const { return end_; }
  const std::optional<StartCapture>& started() const { return started_; }
  const std::optional<OpenData>& opened_data() const { return opened_data_; }
  std::optional<std::chrono::milliseconds> header_limit() const { return header_limit_; }
  std::uint32_t largest_payload() const { return largest_payload_; }
  std::uint64_t discarded() const { return discarded_; }

 private:
  using Outcome = std::optional<Event>;

  void note(std::string word, bool verbose = false) {
    done_.emplace_back(std::move(word), verbose);
  }
  Outcome result(Event event) {
    if (!failure_) return event;
    return Failed{*std::exchange(failure_, std::nullopt)};
  }

  Outcome perform(const Send& action) {
    sent_ = action.bytes;
    const auto header = test::header_of(sent_);
    const auto type = static_cast<int>(header.type);
    if (header.type == rpcap::MessageType::kError) {
      note("error " + std::to_string(header.value));
    } else {
      note((type >= 128 ? "reply " : "send ") + std::to_string(type));
    }
    return std::nullopt;
  }
  Outcome perform(const Pause&) {
    note("pause");
    return std::nullopt;
  }
  Outcome perform(const Discard& action) {
    discarded_ += action.size;
    return std::nullopt;
  }
  Outcome perform(const StopCapture&) {
    note("stop");
    return std::nullopt;
  }
  Outcome perform(const Note&) { return std::nullopt; }
  Outcome perform(const ReadHeader& action) {
    header_limit_ = action.limit;
    return std::nullopt;
  }
  Outcome perform(const ReadPayload& action) {
    largest_payload_ = std::max(largest_payload_, action.size);
    payload_.resize(action.size);
    return PayloadRead{payload_};
  }
  Outcome perform(const DescribeInterface&) {
    return InterfaceDescribed{
        {"eth0", "as captured", 6, {{net::IpAddress::v4(0x0af40107), {}, {}, {}}}}, 1};
  }
  Outcome perform(const OpenData& action) {
    note("open", true);
    opened_data_ = action;
    return result(DataOpened{action.listen ? kListeningPort : std::uint16_t{0}});
  }
  Outcome perform(const FinishData&) {
    note("finish", true);
    return result(DataReady{});
  }
  Outcome perform(const StartCapture& action) {
    note("start");
    started_ = action;
    return result(CaptureStarted{});
  }
  Outcome perform(const UpdateFilter&) {
    note("update");
    return result(FilterUpdated{});
  }
  Outcome perform(const AskStats&) { return StatsTold{kStats}; }
  Outcome perform(const End& action) {
    static constexpr const char* kNames[] = {"closed", "refused", "protocol", "tls",
                                             "lost",   "timeout", "data",     "stopped"};
    note(std::string("end ") + kNames[static_cast<int>(action.kind)]);
    end_ = action;
    return std::nullopt;
  }

  Protocol protocol_;
  std::vector<std::pair<std::string, bool>> done_;
  rpcap::Bytes sent_;
  rpcap::Bytes payload_;
  std::optional<std::string> failure_;
  std::optional<End> end_;
  std::optional<StartCapture> started_;
  std::optional<OpenData> opened_data_;
  std::optional<std::chrono::milliseconds> header_limit_;
  std::uint32_t largest_payload_ = 0;
  std::uint64_t discarded_ = 0;
};

}  // namespace sidetap::session
