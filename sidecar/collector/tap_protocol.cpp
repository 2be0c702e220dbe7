#include "sidecar/collector/tap_protocol.h"

#include <algorithm>
#include <utility>

namespace sidetap::collector {
namespace {

using rpcap::MessageType;

constexpr std::uint32_t kMostErrorText = 1024;
/// Of replies whose content does not matter, such as that to a login, which says more in newer
/// versions.
constexpr std::uint32_t kMostIgnored = 1024;
constexpr std::string_view kPreselected = ";preselected";
/// rpcapd refuses a program without instructions.
constexpr rpcap::BpfInstruction kAcceptAll{.code = 0x06, .jt = 0, .jf = 0, .k = 0xffffffff};

std::string number(MessageType type) { return std::to_string(static_cast<unsigned>(type)); }

/// The tap's text, made suitable for a log line, for labels of metrics, which must be UTF-8, and
/// for names in files.
std::string printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, ' ');
  return text;
}

/// What is kept of every tap.
std::string short_text(std::string text) {
  if (text.size() > TapProtocol::kMostText) text.resize(TapProtocol::kMostText);
  return printable(std::move(text));
}

std::uint32_t most_payload(MessageType type) {
  switch (type) {
    case MessageType::kFindAllInterfacesReply:
      return TapProtocol::kMostPayload;
    case MessageType::kError:
      return kMostErrorText;
    default:
      return kMostIgnored;
  }
}

rpcap::Filter program_of(const rpcap::Filter& filter) {
  return filter.empty() ? rpcap::Filter{kAcceptAll} : filter;
}

std::uint16_t start_flags(const TapProtocolConfig& config) {
  if (config.datagram) return rpcap::kStartDatagram;
  return config.passive ? std::uint16_t{0} : rpcap::kStartServerOpens;
}

bool has_address(const rpcap::Interface& interface, const auto& wanted) {
  return std::any_of(interface.addresses.begin(), interface.addresses.end(),
                     [&](const auto& entry) { return entry.address && wanted(*entry.address); });
}

}  // namespace

std::string_view tap_end_name(TapEnd end) {
  static constexpr std::string_view kNames[kTapEndCount] = {
      "closed", "refused", "protocol", "unsuitable", "unproved",
      "tls",    "lost",    "timeout",  "data",       "stopped"};
  return kNames[static_cast<unsigned>(end)];
}

TapActions TapProtocol::resume(const TapEvent& event) {
  actions_.clear();
  std::visit([this](const auto& happened) { on(happened); }, event);
  return std::move(actions_);
}

void TapProtocol::on(const Began&) {
  ask(rpcap::encode_auth_request({.with_password = !config_.user.empty(),
                                  .user = config_.user,
                                  .password = config_.password}),
      MessageType::kAuthReply);
}

void TapProtocol::on(const HeaderRead& event) {
  header_ = event.header;
  if (header_.version != 0) {
    return hang_up(TapEnd::kProtocol, "the tap speaks RPCAP version " +
                                          std::to_string(header_.version) + ", not version 0");
  }
  if (header_.type == MessageType::kClose) {
    return end(TapEnd::kClosed, "the tap closed the session");
  }
  if (header_.type != MessageType::kError && header_.type != awaited_) {
    return hang_up(TapEnd::kProtocol, "the tap sends message type " + number(header_.type) +
                                          " instead of " +
                                          (awaited_ ? number(*awaited_) : std::string("none")));
  }
  if (header_.payload_size > most_payload(header_.type)) {
    return hang_up(TapEnd::kProtocol, "the tap announces " + std::to_string(header_.payload_size) +
                                          " bytes in message type " + number(header_.type));
  }
  if (header_.payload_size == 0) return on(PayloadRead{});
  actions_.emplace_back(ReadTapPayload{header_.payload_size});
}

void TapProtocol::on(const PayloadRead& event) {
  if (header_.type == MessageType::kError) {
    return hang_up(TapEnd::kRefused,
                   "the tap says: " + printable(rpcap::decode_error(event.payload)));
  }
  awaited_.reset();
  answered(event.payload);
}

void TapProtocol::answered(rpcap::View payload) {
  switch (header_.type) {
    case MessageType::kAuthReply:
      return ask(rpcap::encode_empty(MessageType::kFindAllInterfacesRequest),
                 MessageType::kFindAllInterfacesReply);
    case MessageType::kFindAllInterfacesReply:
      return take_interfaces(payload);
    case MessageType::kOpenReply:
      return take_opened(payload);
    case MessageType::kSetSamplingReply:
      return open_data();
    case MessageType::kStartCaptureReply:
      return take_started(payload);
    case MessageType::kStatsReply:
      return take_stats(payload);
    case MessageType::kEndCaptureReply:
      // The tap has sent everything before it answers.
      actions_.emplace_back(SettleTapData{});
      return;
    default:  // the reply to UPDATEFILTER
      return capture_on();
  }
}

void TapProtocol::take_interfaces(rpcap::View payload) {
  if (header_.value > kMostInterfaces) {
    return hang_up(TapEnd::kProtocol,
                   "the tap announces " + std::to_string(header_.value) + " interfaces");
  }
  const auto interfaces = rpcap::decode_interfaces(payload, header_.value);
  if (!interfaces) return hang_up(TapEnd::kProtocol, interfaces.error().text);
  const rpcap::Interface* const chosen = choose(*interfaces);
  if (chosen == nullptr) {
    return hang_up(TapEnd::kUnsuitable,
                   interfaces->empty()
                       ? "the tap has no interface"
                       : "no interface of the tap has an address that the rule names");
  }
  rpcap::Interface opened = *chosen;
  opened.name = short_text(std::move(opened.name));
  if (opened.description.ends_with(kPreselected))
    opened.description.resize(opened.description.size() - kPreselected.size());
  opened.description = short_text(std::move(opened.description));
  actions_.emplace_back(InterfaceOpened{std::move(opened)});
  ask(rpcap::encode_open_request(chosen->name), MessageType::kOpenReply);
}

/// As sensors choose.
const rpcap::Interface* TapProtocol::choose(const std::vector<rpcap::Interface>& interfaces) const {
  const auto take = [&](const auto& wanted) -> const rpcap::Interface* {
    const auto found = std::find_if(interfaces.begin(), interfaces.end(), wanted);
    return found == interfaces.end() ? nullptr : &*found;
  };
  const auto* const preselected = take([](const rpcap::Interface& interface) {
    return interface.description.ends_with(kPreselected);
  });
  if (preselected != nullptr) return preselected;
  if (!config_.interface_rule.empty()) {
    return take([&](const rpcap::Interface& interface) {
      return has_address(interface, [&](const net::IpAddress& address) {
        return std::any_of(config_.interface_rule.begin(), config_.interface_rule.end(),
                           [&](const net::Cidr& cidr) { return cidr.contains(address); });
      });
    });
  }
  const auto* const usual = take([](const rpcap::Interface& interface) {
    return has_address(interface, [](const net::IpAddress& a) { return !a.is_loopback(); });
  });
  return usual != nullptr || interfaces.empty() ? usual : &interfaces.front();
}

void TapProtocol::take_opened(rpcap::View payload) {
  const auto opened = rpcap::decode_open_reply(payload);
  if (!opened) return hang_up(TapEnd::kProtocol, opened.error().text);
  link_type_ = opened->link_type;
  if (config_.link_type && link_type_ != *config_.link_type) {
    return hang_up(TapEnd::kUnsuitable, "the tap's interface has link type " +
                                            std::to_string(link_type_) + ", and only type " +
                                            std::to_string(*config_.link_type) + " is collected");
  }
  if (config_.sampling.method == rpcap::SamplingMethod::kNone) return open_data();
  ask(rpcap::encode_sampling(config_.sampling), MessageType::kSetSamplingReply);
}

void TapProtocol::open_data() {
  phase_ = TapPhase::kStarting;
  actions_.emplace_back(OpenTapData{config_.datagram, link_type_});
}

void TapProtocol::on(const DataOpened& event) {
  if (event.filter) config_.filter = *event.filter;
  filter_due_ = false;
  ask(rpcap::encode_start_request({.snaplen = config_.snaplen,
                                   .read_timeout_ms = config_.read_timeout_ms,
                                   .flags = start_flags(config_),
                                   .data_port = event.port,
                                   .filter = program_of(config_.filter)}),
      MessageType::kStartCaptureReply);
}

void TapProtocol::take_started(rpcap::View payload) {
  const auto started = rpcap::decode_start_reply(payload);
  if (!started) return hang_up(TapEnd::kProtocol, started.error().text);
  if (config_.datagram) return capture_on();
  if (!config_.passive) {
    actions_.emplace_back(TakeTapData{0});
    return;
  }
  if (started->data_port == 0)
    return hang_up(TapEnd::kProtocol, "the tap names no port for the stream");
  actions_.emplace_back(TakeTapData{started->data_port});
}

void TapProtocol::on(const DataTaken&) { capture_on(); }

/// No request is under way: the next one, or nothing until it is time.
void TapProtocol::capture_on() {
  phase_ = TapPhase::kCapturing;
  if (data_fault_) return hang_up(TapEnd::kData, *data_fault_);
  if (stopping_) {
    phase_ = TapPhase::kEnding;
    return ask(rpcap::encode_empty(MessageType::kStatsRequest), MessageType::kStatsReply);
  }
  if (std::exchange(filter_due_, false)) {
    return ask(rpcap::encode_update_filter(program_of(config_.filter)),
               MessageType::kUpdateFilterReply);
  }
  const bool never = config_.stats_every.count() == 0;
  actions_.emplace_back(ReadTapHeader{never ? std::chrono::hours(24) : config_.stats_every});
}

void TapProtocol::take_stats(rpcap::View payload) {
  const auto stats = rpcap::decode_stats(payload);
  if (!stats) return hang_up(TapEnd::kProtocol, stats.error().text);
  actions_.emplace_back(TapStats{*stats});
  if (phase_ == TapPhase::kEnding) {
    return ask(rpcap::encode_empty(MessageType::kEndCaptureRequest), MessageType::kEndCaptureReply);
  }
  capture_on();
}

void TapProtocol::on(const NothingCame&) {
  if (data_fault_) return hang_up(TapEnd::kData, *data_fault_);
  if (awaited_) return hang_up(TapEnd::kTimeout, "the tap does not answer");
  if (config_.stats_every.count() == 0) return capture_on();
  ask(rpcap::encode_empty(MessageType::kStatsRequest), MessageType::kStatsReply);
}

void TapProtocol::on(const TapUnproved& event) { hang_up(TapEnd::kUnproved, event.text); }

void TapProtocol::on(const DataFailed& event) { hang_up(TapEnd::kData, event.text); }

void TapProtocol::on(const DataSettled&) {
  settled_ = true;
  if (ending_) return end(ending_->kind, std::move(ending_->text));
  hang_up(TapEnd::kStopped, "the collector ended it");
}

void TapProtocol::on(const DataLost& event) {
  // At its end the tap closes the stream before it answers, or says that it closes the session.
  if (phase_ == TapPhase::kEnding) {
    actions_.emplace_back(ReadTapHeader{});
    return;
  }
  data_fault_ = event.text;
  actions_.emplace_back(ReadTapHeader{kFarewellLimit});
}

void TapProtocol::on(const TapLost& event) { end(event.kind, event.text); }

void TapProtocol::on(const FilterChanged& event) {
  config_.filter = event.filter;
  filter_due_ = true;
  if (awaited_ || phase_ != TapPhase::kCapturing) {
    actions_.emplace_back(ReadTapHeader{});
    return;
  }
  capture_on();
}

void TapProtocol::on(const StopRequested&) {
  if (phase_ < TapPhase::kCapturing) return hang_up(TapEnd::kStopped, "the collector ended it");
  stopping_ = true;
  if (awaited_) {
    actions_.emplace_back(ReadTapHeader{});
    return;
  }
  capture_on();
}

void TapProtocol::ask(rpcap::Bytes request, MessageType reply) {
  actions_.emplace_back(SendToTap{std::move(request)});
  actions_.emplace_back(ReadTapHeader{kAnswerLimit});
  awaited_ = reply;
}

/// Tells the tap, which dials again.
void TapProtocol::hang_up(TapEnd kind, std::string text) {
  if (config_.close_on_failure || kind == TapEnd::kStopped)
    actions_.emplace_back(SendToTap{rpcap::encode_empty(MessageType::kClose)});
  end(kind, std::move(text));
}

/// However a capture ends, what the tap has sent is under way, or waits in a socket.
void TapProtocol::end(TapEnd kind, std::string text) {
  const bool captured = phase_ == TapPhase::kCapturing || phase_ == TapPhase::kEnding;
  if (captured && !settled_) {
    phase_ = TapPhase::kEnding;
    // The first reason counts: that nobody hears the farewell is none.
    if (!ending_) ending_ = EndTap{kind, std::move(text)};
    actions_.emplace_back(SettleTapData{});
    return;
  }
  if (phase_ != TapPhase::kOpening) actions_.emplace_back(CloseTapData{});
  phase_ = TapPhase::kEnded;
  awaited_.reset();
  actions_.emplace_back(EndTap{kind, std::move(text)});
}

}  // namespace sidetap::collector
