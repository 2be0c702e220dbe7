// Whether a tap is the pod that it says it is.
//
// A tap tells its pod in FINDALLIF, and nothing in RPCAP could prove that. But the registry knows
// by token which pod has which address, and TCP's handshake shows that the tap can receive at the
// address it dials from. So a tap is admitted if the registry lists that address for that pod.
//
// The two learn of a new pod at about the same time, so a tap that is not listed yet waits for some
// seconds. What was listed stays in force while the registry cannot be reached. Before anything is
// known, the operator says what holds: by default taps are admitted on their word, with a warning
// and a count, because packets that are refused are lost. Sessions that run are not judged again.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "shared/async/interruption.h"
#include "shared/net/ip_address.h"
#include "shared/result.h"
#include "sidecar/collector/proof_book.h"

namespace sidetap::collector {

struct ProofConfig {
  std::chrono::milliseconds patience{10'000};  ///< With a tap that is not listed.
  bool admit_unproven = true;                  ///< Before anything is known.
};

struct Judgement {
  enum class Kind : std::uint8_t {
    kProved,    ///< `pod` says who it is.
    kUnproven,  ///< Admitted on its word.
    kNotNow,    ///< `reason` says why not; it may change.
  };
  Kind kind = Kind::kNotNow;
  ProvedPod pod{};
  std::string_view reason{};  ///< "unlisted", "other-address" or "registry", as in the metric.
};

/// Use it on the control thread.
class TapProof {
 public:
  explicit TapProof(ProofConfig config) : config_(config) {}

  // What the registry says.

  /// The whole list comes anew. The former one stays in force until it is complete.
  void begin_list() { next_.emplace(); }
  /// One line. Returns the position in it, empty if there is none. A position completes the list.
  Result<std::string> take(std::string_view line);
  /// The registry cannot be reached, or has ended the connection in mid-stream.
  void lose();
  /// A list has been complete.
  bool knows() const { return knows_; }
  std::size_t held() const { return book_.held(); }

  // What a session asks.

  /// Of a tap in `pod` ("NAMESPACE/POD") that dials from there. `last`: it will not ask again.
  Judgement judge(const std::string& pod, const net::IpAddress& from, bool last) const;
  std::chrono::milliseconds patience() const { return config_.patience; }

  /// While it exists, `wake` is requested whenever judge() may say something else about this pod.
  class Waiting {
   public:
    Waiting(TapProof& proof, const std::string& pod, async::Interruption& wake)
        : proof_(proof), place_(proof.waiting_.emplace(pod, &wake)) {}
    ~Waiting() { proof_.waiting_.erase(place_); }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

   private:
    TapProof& proof_;
    std::multimap<std::string, async::Interruption*>::iterator place_;
  };

 private:
  void wake_all();

  const ProofConfig config_;
  ProofBook book_;
  std::optional<ProofBook> next_;  // until it is complete
  bool knows_ = false;
  bool lost_ = false;                                         // since it was last complete
  std::multimap<std::string, async::Interruption*> waiting_;  // by pod
};

}  // namespace sidetap::collector
