// The sensor's side of one RPCAP control session with a tap, as a state machine: events in, actions
// out. session/protocol.h is the tap's side. The collector drives it (tap_session.h), and so does
// the reference sensor of the tests, which also dials taps.
//
// Pure: no socket, clock or thread. The driver performs the actions in order; the last one of each
// list has an outcome, which is the next event. The tap is not trusted: whatever it sends, a
// session holds at most kMostPayload bytes of it, and what is not an answer to the request at hand
// ends the session, with one reason.
//
// In RPCAP the sensor logs in to the tap, and never the other way round. So user and password prove
// the collector, and a tap's token has no place in the login. What proves a tap is its TLS
// certificate, and the address that it dials from, which the registry may list for its pod
// (tap_proof.h).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "shared/net/cidr.h"
#include "shared/rpcap/codec.h"
#include "shared/rpcap/messages.h"

namespace sidetap::collector {

struct TapProtocolConfig {
  std::string user{};  ///< Empty: null authentication.
  std::string password{};
  /// The interface that has an address in one of these is opened, and a tap without one is refused.
  /// Empty: the first that has an address of its own. A preselected one comes before all others.
  std::vector<net::Cidr> interface_rule{};
  bool datagram = true;  ///< Packets come over UDP, otherwise over a stream.
  bool passive = false;  ///< The sensor has dialled, and opens the stream too.
  /// Taps of another LINKTYPE_ are refused. None: all are taken.
  std::optional<std::int32_t> link_type = 1;
  std::uint32_t snaplen = 262'144;     ///< Bytes.
  std::uint32_t read_timeout_ms = 10;  ///< Within which the tap sends what it has, if it asks.
  rpcap::Sampling sampling{};
  rpcap::Filter filter{};                         ///< Empty: every packet.
  std::chrono::milliseconds stats_every{30'000};  ///< Between two STATS. 0: only at the end.
  /// CLOSE tells the tap also that a session fails. Otherwise the sensor then just hangs up.
  bool close_on_failure = true;
};

/// How far a session has come. In this order, but for kEnded, which may follow on each.
enum class TapPhase : std::uint8_t {
  kOpening,    ///< From the login to the reply to OPEN.
  kStarting,   ///< The capture and its data connection.
  kCapturing,  ///< Packets come.
  kEnding,     ///< No more packets are asked for.
  kEnded,
};

enum class TapEnd : std::uint8_t {
  kClosed,      ///< The tap sent CLOSE, or ended the connection between two messages.
  kRefused,     ///< The tap answered with ERROR.
  kProtocol,    ///< The tap violates the protocol.
  kUnsuitable,  ///< It has no interface that is wanted, or one of another link layer.
  kUnproved,    ///< It is not proved to be the pod that it names.
  kTls,         ///< The handshake failed.
  kLost,        ///< The connection failed.
  kTimeout,     ///< The tap did not answer in time.
  kData,        ///< The data connection failed or did not come.
  kStopped,     ///< The collector ended the session.
};
inline constexpr unsigned kTapEndCount = static_cast<unsigned>(TapEnd::kStopped) + 1;
/// "closed" and the like, as in the metric; a static string.
std::string_view tap_end_name(TapEnd end);

// --- actions -------------------------------------------------------------------------------------
// Outcomes are in brackets: [HeaderRead, NothingCame]. TapLost may replace any outcome. After one
// that is no last action, what follows in the list is not performed.

struct SendToTap {
  rpcap::Bytes bytes;
};
/// [HeaderRead, NothingCame, DataLost, FilterChanged, StopRequested]
struct ReadTapHeader {
  /// Until the header is there. Nothing: what is left of the last one's limit.
  std::optional<std::chrono::milliseconds> limit;
};
/// [PayloadRead] with exactly this size, at most kMostPayload.
struct ReadTapPayload {
  std::uint32_t size;
};
/// [TapUnproved, StopRequested, or nothing: go on] The interface that is captured from now on,
/// whose description names the pod. Its texts hold printable ASCII characters only, at most
/// TapProtocol::kMostText of them.
struct InterfaceOpened {
  rpcap::Interface interface;
};
/// [DataOpened, DataFailed, StopRequested] From now on the tap may send packets.
struct OpenTapData {
  bool datagram;
  std::int32_t link_type;  ///< LINKTYPE_ of the packets.
};
/// [DataTaken, DataFailed, StopRequested] Accepts the stream that the tap has opened, or opens it.
struct TakeTapData {
  std::uint16_t port;  ///< Where the tap listens, in passive mode. 0: the tap has opened it.
};
/// What the tap says about itself.
struct TapStats {
  rpcap::Stats stats;
};
/// [DataSettled] Receives what the tap has sent until now.
struct SettleTapData {};
/// Takes no more packets of this tap. Harmless where there is no data connection.
struct CloseTapData {};
/// The session is over: close the connection. No outcome.
struct EndTap {
  TapEnd kind;
  std::string text;  ///< One sentence for the log.
};

using TapAction =
    std::variant<SendToTap, ReadTapHeader, ReadTapPayload, InterfaceOpened, OpenTapData,
                 TakeTapData, TapStats, SettleTapData, CloseTapData, EndTap>;
using TapActions = std::vector<TapAction>;

// --- events --------------------------------------------------------------------------------------

struct Began {};
struct HeaderRead {
  rpcap::Header header;
};
struct PayloadRead {
  rpcap::View payload;  ///< Not used after resume() returns.
};
/// The limit is over, and no whole header is there.
struct NothingCame {};
struct TapUnproved {
  std::string text;
};
struct DataOpened {
  std::uint16_t port;  ///< Where the tap is to send or connect; 0 if it listens.
  /// Replaces that of the configuration: what a filter looks like depends on the link type.
  std::optional<rpcap::Filter> filter{};
};
struct DataTaken {};
struct DataFailed {
  std::string text;
};
struct DataSettled {};
struct DataLost {
  std::string text;
};
struct TapLost {
  TapEnd kind;
  std::string text;
};
struct FilterChanged {
  rpcap::Filter filter;  ///< Empty: every packet.
};
/// Ends the session in good order: the tap sends all that it has.
struct StopRequested {};

using TapEvent =
    std::variant<Began, HeaderRead, PayloadRead, NothingCame, TapUnproved, DataOpened, DataTaken,
                 DataFailed, DataSettled, DataLost, TapLost, FilterChanged, StopRequested>;

class TapProtocol {
 public:
  explicit TapProtocol(TapProtocolConfig config) : config_(std::move(config)) {}

  /// Start with Began. Do not call it after an EndTap.
  TapActions resume(const TapEvent& event);
  TapPhase phase() const { return phase_; }

  /// For the answer to one request.
  static constexpr std::chrono::milliseconds kAnswerLimit{10'000};
  /// For the farewell of a tap that has ended its stream.
  static constexpr std::chrono::milliseconds kFarewellLimit{1'000};
  static constexpr std::uint32_t kMostPayload = 64 * 1024;
  static constexpr std::uint16_t kMostInterfaces = 64;
  /// "NAMESPACE/POD" has 317 at most.
  static constexpr std::size_t kMostText = 512;

 private:
  void on(const Began&);
  void on(const HeaderRead& event);
  void on(const PayloadRead& event);
  void on(const NothingCame&);
  void on(const TapUnproved& event);
  void on(const DataOpened& event);
  void on(const DataTaken&);
  void on(const DataFailed& event);
  void on(const DataSettled&);
  void on(const DataLost& event);
  void on(const TapLost& event);
  void on(const FilterChanged& event);
  void on(const StopRequested&);

  void answered(rpcap::View payload);
  void take_interfaces(rpcap::View payload);
  const rpcap::Interface* choose(const std::vector<rpcap::Interface>& interfaces) const;
  void take_opened(rpcap::View payload);
  void take_started(rpcap::View payload);
  void take_stats(rpcap::View payload);
  void open_data();
  void capture_on();
  void ask(rpcap::Bytes request, rpcap::MessageType reply);
  void hang_up(TapEnd kind, std::string text);
  void end(TapEnd kind, std::string text);

  TapProtocolConfig config_;
  TapPhase phase_ = TapPhase::kOpening;
  std::optional<rpcap::MessageType> awaited_;  // the reply to the request at hand
  TapActions actions_;
  rpcap::Header header_;  // of the current message
  std::int32_t link_type_ = 0;
  bool filter_due_ = false;
  bool stopping_ = false;
  bool settled_ = false;                   // what the tap has sent is received
  std::optional<EndTap> ending_;           // how it ends, once that is so
  std::optional<std::string> data_fault_;  // the stream has ended, and the tap has not said why
};

}  // namespace sidetap::collector
