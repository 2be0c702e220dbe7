// The tap's side of one RPCAP control session as a state machine: events in, actions out.
//
// Pure: no socket, clock or thread. The driver performs the actions in order; the last one of each
// list has an outcome, which is the next event. The reference is the behaviour of libpcap's rpcapd:
// wherever rpcapd answers with an error and continues, so does this class.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "shared/rpcap/codec.h"
#include "shared/rpcap/messages.h"

namespace sidetap::session {

struct ProtocolConfig {
  bool active = true;  ///< The tap connected, and also connects for data.
  bool tls = false;    ///< If set, packets never leave over UDP.
  std::string user{};  ///< Empty: only null authentication.
  std::string password{};
  rpcap::Ipv6Family ipv6_family = rpcap::Ipv6Family::kLinux;
  std::uint32_t snaplen = 262'144;
  std::uint32_t buffer_size = 2'097'152;
  std::string description{};  ///< Empty: the interface's own.
  bool preselected = false;
};

/// How far a session has come.
enum class Phase : std::uint8_t { kAuthenticating, kReady, kOpened, kCapturing, kEnded };

enum class EndKind : std::uint8_t {
  kClosed,    ///< The peer sent CLOSE, or ended the connection between two messages.
  kRefused,   ///< The peer's first message was ERROR.
  kProtocol,  ///< The peer violates the protocol.
  kTls,       ///< The handshake failed.
  kLost,      ///< The connection failed.
  kTimeout,   ///< The peer fell silent.
  kData,      ///< The data connection failed.
  kStopped,   ///< The tap ended the session.
};

// --- actions -------------------------------------------------------------------------------------
// Outcomes are in brackets: [HeaderRead, IdleTooLong]. ConnectionLost, CaptureLost or StopRequested
// may replace any outcome.

struct Send {
  rpcap::Bytes bytes;
};
struct Pause {
  std::chrono::milliseconds time;
};
/// Skips the next bytes.
struct Discard {
  std::uint32_t size;
};
/// Ends the capture, or closes a data connection without one.
struct StopCapture {};
/// Writes a line to the log.
struct Note {
  std::string text;
};
/// [HeaderRead, IdleTooLong]
struct ReadHeader {
  std::optional<std::chrono::milliseconds> limit;  ///< For the first byte.
};
/// [PayloadRead] with exactly this size.
struct ReadPayload {
  std::uint32_t size;
};
/// [InterfaceDescribed]
struct DescribeInterface {};
/// [DataOpened, Failed] To or from the address of the control connection's peer.
struct OpenData {
  bool datagram;
  bool listen;
  std::uint16_t port;  ///< The peer's; 0 when listening.
};
/// [DataReady, Failed] Accepts the data connection, and performs the TLS handshake.
struct FinishData {};
/// [CaptureStarted, Failed]
struct StartCapture {
  bool datagram;
  std::uint32_t snaplen;
  rpcap::Filter filter;
  rpcap::Sampling sampling;
};
/// [FilterUpdated, Failed]
struct UpdateFilter {
  rpcap::Filter filter;
};
/// [StatsTold]
struct AskStats {};
/// The session is over: close the connection. No outcome.
struct End {
  EndKind kind;
  std::string text;  ///< One sentence for the log.
};

using Action = std::variant<Send, Pause, Discard, StopCapture, Note, ReadHeader, ReadPayload,
                            DescribeInterface, OpenData, FinishData, StartCapture, UpdateFilter,
                            AskStats, End>;
using Actions = std::vector<Action>;

// --- events --------------------------------------------------------------------------------------

struct Began {};
struct HeaderRead {
  rpcap::Header header;
};
struct PayloadRead {
  rpcap::View payload;  ///< Not used after resume() returns.
};
struct IdleTooLong {};
struct InterfaceDescribed {
  rpcap::Interface interface;
  std::int32_t link_type;
};
struct DataOpened {
  std::uint16_t port;  ///< The tap's, when listening.
};
struct DataReady {};
struct CaptureStarted {};
struct FilterUpdated {};
struct StatsTold {
  rpcap::Stats stats;
};
/// The last action is not possible.
struct Failed {
  std::string text;
};
struct ConnectionLost {
  EndKind kind;
  std::string text;
};
struct CaptureLost {
  std::string text;
};
struct StopRequested {};

using Event = std::variant<Began, HeaderRead, PayloadRead, IdleTooLong, InterfaceDescribed,
                           DataOpened, DataReady, CaptureStarted, FilterUpdated, StatsTold, Failed,
                           ConnectionLost, CaptureLost, StopRequested>;

class Protocol {
 public:
  explicit Protocol(ProtocolConfig config) : config_(std::move(config)) {}

  /// Start with Began. Do not call it after an End.
  Actions resume(const Event& event);
  Phase phase() const { return phase_; }

  // The times of rpcapd.
  static constexpr std::chrono::milliseconds kAuthenticationLimit{90'000};
  static constexpr std::chrono::milliseconds kIdleLimit{180'000};  ///< Passive, without a capture.
  static constexpr std::chrono::milliseconds kWrongPasswordPause{1'000};

 private:
  enum class Awaiting : std::uint8_t {
    kBegin,
    kHeader,
    kPayload,
    kInterface,
    kDataOpened,
    kDataReady,
    kCaptureStarted,
    kFilterUpdated,
    kStats,
    kNothing,
  };

  void on(const Began&);
  void on(const HeaderRead& event);
  void on(const PayloadRead& event);
  void on(const IdleTooLong&);
  void on(const InterfaceDescribed& event);
  void on(const DataOpened& event);
  void on(const DataReady&);
  void on(const CaptureStarted&);
  void on(const FilterUpdated&);
  void on(const StatsTold& event);
  void on(const Failed& event);
  void on(const ConnectionLost& event);
  void on(const CaptureLost& event);
  void on(const StopRequested&);

  void message_before_authentication();
  void message();
  void authenticate(rpcap::View payload);
  void start_request(rpcap::View payload);
  void start_capture();
  rpcap::Bytes interface_list(rpcap::Interface interface) const;

  void read_header();
  void read_payload(std::uint32_t most);
  void reply(rpcap::Bytes bytes);
  void refuse(rpcap::ErrorCode code, std::string_view text);
  void refuse_and_end(rpcap::ErrorCode code, std::string text);
  void end(EndKind kind, std::string text);

  ProtocolConfig config_;
  Phase phase_ = Phase::kAuthenticating;
  Awaiting awaiting_ = Awaiting::kBegin;
  Actions actions_;
  rpcap::Header header_;      // of the current message
  std::uint32_t excess_ = 0;  // bytes of it that nobody has read
  std::string open_name_;
  std::uint16_t data_port_ = 0;  // for the reply
  bool reply_sent_ = false;      // before the capture started
  StartCapture start_{};
  rpcap::Sampling sampling_;
  rpcap::Stats last_stats_;
};

}  // namespace sidetap::session
