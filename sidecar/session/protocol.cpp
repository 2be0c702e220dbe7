#include "sidecar/session/protocol.h"

#include <algorithm>

namespace sidetap::session {
namespace {

using rpcap::ErrorCode;
using rpcap::MessageType;

constexpr std::uint32_t kFilterHeader = 8;
constexpr std::uint32_t kMostFilterBytes = kFilterHeader + 8 * rpcap::kMaxFilterInstructions;
constexpr std::uint32_t kMostAuthBytes = 8 + 2 * 0xffff;
constexpr std::uint32_t kMostErrorText = 1024;
constexpr std::uint32_t kMostNameBytes = 1024;
/// libpcap's client accepts 1024 bytes.
constexpr std::size_t kMostDescription = 512;
/// First byte of a TLS handshake, where RPCAP has its version.
constexpr std::uint8_t kTlsHandshake = 22;

/// Compares in constant time.
bool same(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < b.size(); ++i) {
    const char other = i < a.size() ? a[i] : '\0';
    difference |= static_cast<unsigned char>(other ^ b[i]);
  }
  return difference == 0;
}

std::string number(MessageType type) { return std::to_string(static_cast<unsigned>(type)); }

/// The peer's text, made suitable for a log line.
std::string printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, ' ');
  return text;
}

}  // namespace

Actions Protocol::resume(const Event& event) {
  actions_.clear();
  std::visit([this](const auto& happened) { on(happened); }, event);
  return std::move(actions_);
}

void Protocol::on(const Began&) { read_header(); }

void Protocol::on(const HeaderRead& event) {
  header_ = event.header;
  excess_ = header_.payload_size;
  if (header_.version == kTlsHandshake && phase_ == Phase::kAuthenticating && !config_.tls) {
    return end(EndKind::kProtocol, "the peer begins a TLS handshake, which is not configured here");
  }
  if (header_.version != 0) {
    return refuse_and_end(
        ErrorCode::kWrongVersion,
        "RPCAP version " + std::to_string(header_.version) + " is not supported, only version 0");
  }
  if (phase_ == Phase::kAuthenticating) {
    message_before_authentication();
  } else {
    message();
  }
}

void Protocol::message_before_authentication() {
  switch (header_.type) {
    case MessageType::kAuthRequest:
      return read_payload(kMostAuthBytes);
    case MessageType::kError:
      return read_payload(kMostErrorText);
    case MessageType::kClose:
      return end(EndKind::kClosed, "the peer closed the session before it authenticated");
    default:
      refuse(ErrorCode::kWrongMessage,
             "message of type " + number(header_.type) + " before authentication was completed");
  }
}

void Protocol::message() {
  const bool capturing = phase_ == Phase::kCapturing;
  switch (header_.type) {
    case MessageType::kError:
      return read_payload(kMostErrorText);
    case MessageType::kClose:
      return end(EndKind::kClosed, "the peer closed the session");
    case MessageType::kFindAllInterfacesRequest:
      actions_.emplace_back(DescribeInterface{});
      awaiting_ = Awaiting::kInterface;
      return;
    case MessageType::kOpenRequest:
      if (header_.payload_size > kMostNameBytes) {
        return refuse(ErrorCode::kOpen, "the interface's name is too long");
      }
      return read_payload(kMostNameBytes);
    case MessageType::kStartCaptureRequest:
      if (capturing)
        return refuse(ErrorCode::kStartCapture, "a capture is already running: end it first");
      if (phase_ != Phase::kOpened) {
        return refuse(ErrorCode::kStartCapture, "no interface was opened");
      }
      return read_payload(12 + kMostFilterBytes);
    case MessageType::kUpdateFilterRequest:
      if (!capturing) return refuse(ErrorCode::kUpdateFilter, "no capture is running");
      return read_payload(kMostFilterBytes);
    case MessageType::kEndCaptureRequest:
      if (!capturing) return refuse(ErrorCode::kEndCapture, "no capture is running");
      actions_.emplace_back(AskStats{});
      awaiting_ = Awaiting::kStats;
      return;
    case MessageType::kStatsRequest:
      if (!capturing) return reply(rpcap::encode_stats(last_stats_));
      actions_.emplace_back(AskStats{});
      awaiting_ = Awaiting::kStats;
      return;
    case MessageType::kSetSamplingRequest:
      return read_payload(kFilterHeader);
    default:
      return refuse_and_end(ErrorCode::kWrongMessage,
                            "message of type " + number(header_.type) + " is not a request");
  }
}

void Protocol::on(const PayloadRead& event) {
  const rpcap::View payload = event.payload;
  switch (header_.type) {
    case MessageType::kAuthRequest:
      return authenticate(payload);
    case MessageType::kError: {
      const std::string text = printable(rpcap::decode_error(payload));
      if (phase_ == Phase::kAuthenticating) {
        return end(EndKind::kRefused, "the peer refused the session: " + text);
      }
      actions_.emplace_back(Note{"the peer reports an error: " + text});
      return reply({});
    }
    case MessageType::kOpenRequest:
      open_name_ = rpcap::decode_open_request(payload);
      actions_.emplace_back(DescribeInterface{});
      awaiting_ = Awaiting::kInterface;
      return;
    case MessageType::kStartCaptureRequest:
      return start_request(payload);
    case MessageType::kUpdateFilterRequest: {
      auto filter = rpcap::decode_update_filter(payload);
      if (!filter) return refuse(ErrorCode::kUpdateFilter, filter.error().text);
      actions_.emplace_back(UpdateFilter{std::move(*filter)});
      awaiting_ = Awaiting::kFilterUpdated;
      return;
    }
    case MessageType::kSetSamplingRequest: {
      const auto sampling = rpcap::decode_sampling(payload);
      if (!sampling) return refuse(ErrorCode::kSetSampling, sampling.error().text);
      sampling_ = *sampling;
      return reply(rpcap::encode_empty(MessageType::kSetSamplingReply));
    }
    default:
      return;
  }
}

void Protocol::authenticate(rpcap::View payload) {
  const auto request = rpcap::decode_auth_request(payload);
  if (!request) return refuse(ErrorCode::kAuthentication, request.error().text);
  const bool password_wanted = !config_.user.empty();
  if (request->with_password != password_wanted) {
    return refuse(ErrorCode::kAuthenticationFailed,
                  password_wanted ? "null authentication is not permitted: a password is required"
                                  : "this tap has no user: null authentication is required");
  }
  // Always compare both.
  const bool user = same(request->user, config_.user);
  const bool password = same(request->password, config_.password);
  if (password_wanted && !(user && password)) {
    actions_.emplace_back(Pause{kWrongPasswordPause});
    return refuse(ErrorCode::kAuthenticationFailed, "user or password is wrong");
  }
  phase_ = Phase::kReady;
  reply(rpcap::encode_empty(MessageType::kAuthReply));
}

void Protocol::on(const InterfaceDescribed& event) {
  if (header_.type == MessageType::kFindAllInterfacesRequest) {
    return reply(interface_list(event.interface));
  }
  if (open_name_ != event.interface.name) {
    return refuse(ErrorCode::kOpen, "there is no interface \"" + printable(open_name_) +
                                        "\" here, only \"" + event.interface.name + "\"");
  }
  if (phase_ == Phase::kReady) phase_ = Phase::kOpened;
  reply(rpcap::encode_open_reply({.link_type = event.link_type, .time_zone_offset = 0}));
}

rpcap::Bytes Protocol::interface_list(rpcap::Interface interface) const {
  if (!config_.description.empty()) interface.description = config_.description;
  interface.description.resize(std::min(interface.description.size(), kMostDescription));
  if (config_.preselected) interface.description += ";preselected";
  return rpcap::encode_interfaces({&interface, 1}, config_.ipv6_family);
}

void Protocol::start_request(rpcap::View payload) {
  auto request = rpcap::decode_start_request(payload);
  if (!request) return refuse(ErrorCode::kStartCapture, request.error().text);
  const bool datagram = (request->flags & rpcap::kStartDatagram) != 0;
  const bool listen =
      !config_.active && !datagram && (request->flags & rpcap::kStartServerOpens) == 0;
  if (datagram && config_.tls) {
    return refuse(ErrorCode::kStartCapture, "packets cannot use UDP while TLS is configured");
  }
  if (!listen && request->data_port == 0) {
    return refuse(ErrorCode::kStartCapture, "port 0 is not valid for data");
  }
  // 0 means no limit, as in libpcap.
  const std::uint32_t snaplen =
      request->snaplen == 0 ? config_.snaplen : std::min(request->snaplen, config_.snaplen);
  start_ = {datagram, snaplen, std::move(request->filter), sampling_};
  reply_sent_ = false;
  actions_.emplace_back(OpenData{datagram, listen, listen ? std::uint16_t{0} : request->data_port});
  awaiting_ = Awaiting::kDataOpened;
}

void Protocol::on(const DataOpened& event) {
  data_port_ = event.port;
  // The peer connects, or starts its handshake, once it has the reply. Otherwise the reply waits
  // until the capture runs, so that an unusable filter gets an error as its answer.
  const bool peer_acts = event.port != 0 || (config_.tls && !start_.datagram);
  if (!peer_acts) return start_capture();
  reply_sent_ = true;
  actions_.emplace_back(Send{rpcap::encode_start_reply(
      {.buffer_size = static_cast<std::int32_t>(config_.buffer_size), .data_port = data_port_})});
  actions_.emplace_back(FinishData{});
  awaiting_ = Awaiting::kDataReady;
}

void Protocol::on(const DataReady&) { start_capture(); }

void Protocol::start_capture() {
  actions_.emplace_back(std::move(start_));
  awaiting_ = Awaiting::kCaptureStarted;
}

void Protocol::on(const CaptureStarted&) {
  phase_ = Phase::kCapturing;
  if (reply_sent_) return reply({});
  reply(rpcap::encode_start_reply(
      {.buffer_size = static_cast<std::int32_t>(config_.buffer_size), .data_port = data_port_}));
}

void Protocol::on(const FilterUpdated&) {
  reply(rpcap::encode_empty(MessageType::kUpdateFilterReply));
}

void Protocol::on(const StatsTold& event) {
  last_stats_ = event.stats;
  if (header_.type == MessageType::kStatsRequest) {
    return reply(rpcap::encode_stats(last_stats_));
  }
  actions_.emplace_back(StopCapture{});
  phase_ = Phase::kOpened;
  reply(rpcap::encode_empty(MessageType::kEndCaptureReply));
}

void Protocol::on(const Failed& event) {
  switch (awaiting_) {
    case Awaiting::kFilterUpdated:
      return refuse(ErrorCode::kUpdateFilter, event.text);
    case Awaiting::kInterface:
      return refuse(ErrorCode::kGetInterfaces, event.text);
    default:
      actions_.emplace_back(StopCapture{});  // the data connection may already be open
      return refuse(ErrorCode::kStartCapture, event.text);
  }
}

void Protocol::on(const IdleTooLong&) {
  refuse_and_end(ErrorCode::kTimeout, "no request for too long");
}

void Protocol::on(const ConnectionLost& event) { end(event.kind, event.text); }

void Protocol::on(const CaptureLost& event) {
  if (phase_ == Phase::kCapturing) actions_.emplace_back(StopCapture{});
  phase_ = Phase::kEnded;
  actions_.emplace_back(Send{rpcap::encode_error(ErrorCode::kNetwork, event.text)});
  end(EndKind::kData, event.text);
}

void Protocol::on(const StopRequested&) {
  actions_.emplace_back(StopCapture{});
  phase_ = Phase::kEnded;
  actions_.emplace_back(Send{rpcap::encode_empty(MessageType::kClose)});
  end(EndKind::kStopped, "the tap ended the session");
}

void Protocol::read_header() {
  std::optional<std::chrono::milliseconds> limit;
  if (phase_ == Phase::kAuthenticating) {
    limit = kAuthenticationLimit;
  } else if (!config_.active && phase_ != Phase::kCapturing) {
    limit = kIdleLimit;
  }
  actions_.emplace_back(ReadHeader{limit});
  awaiting_ = Awaiting::kHeader;
}

void Protocol::read_payload(std::uint32_t most) {
  const std::uint32_t size = std::min(header_.payload_size, most);
  excess_ = header_.payload_size - size;
  actions_.emplace_back(ReadPayload{size});
  awaiting_ = Awaiting::kPayload;
}

void Protocol::reply(rpcap::Bytes bytes) {
  if (!bytes.empty()) actions_.emplace_back(Send{std::move(bytes)});
  if (excess_ > 0) actions_.emplace_back(Discard{excess_});
  excess_ = 0;
  read_header();
}

void Protocol::refuse(ErrorCode code, std::string_view text) {
  reply(rpcap::encode_error(code, text));
}

void Protocol::refuse_and_end(ErrorCode code, std::string text) {
  rpcap::Bytes bytes = rpcap::encode_error(code, text);
  // In the peer's version, so that it can read the text.
  bytes[0] = static_cast<std::byte>(header_.version);
  actions_.emplace_back(Send{std::move(bytes)});
  end(code == ErrorCode::kTimeout ? EndKind::kTimeout : EndKind::kProtocol, std::move(text));
}

void Protocol::end(EndKind kind, std::string text) {
  if (phase_ == Phase::kCapturing) actions_.insert(actions_.begin(), StopCapture{});
  phase_ = Phase::kEnded;
  awaiting_ = Awaiting::kNothing;
  actions_.emplace_back(End{kind, std::move(text)});
}

}  // namespace sidetap::session
