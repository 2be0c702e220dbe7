// The parts of pods and namespaces that decide whether a pod should have a tap, and why it has
// none. Pure: what the webhook would do with a pod is asked of the function that also answers the
// API server.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "webhook/admission/answer.h"
#include "webhook/coverage/label_selector.h"
#include "webhook/identity/ledger.h"

namespace sidetap::webhook::coverage {

using identity::Time;

/// Which pods of a namespace should have a tap.
enum class Selects : std::uint8_t {
  kNone,        ///< The webhook is not asked about any.
  kThoseAsked,  ///< Those that ask for it by annotation or label.
  kAll,
};

struct NamespaceFacts {
  std::string name{};
  Selects selects = Selects::kNone;
  /// The latest time at which the namespace can have been selected: when the field manager that
  /// owns the label changed the namespace last. Nothing: the API server does not say.
  std::optional<Time> selected{};
};

struct PodName {
  std::string name_space{};
  std::string name{};
};

/// Of a pod that runs. `owner` and what follows are only there if it has no tap.
struct PodFacts {
  /// It has the container that the webhook has written down in it, or an ephemeral one that runs.
  bool tapped = false;
  bool asks = false;  ///< By annotation or label, and not with "false".
  /// Its controller: "StatefulSet/db". That of a Deployment's ReplicaSet is the Deployment. Empty:
  /// none.
  std::string owner{};
  bool of_job = false;
  std::optional<Time> created{};
  bool declined = false;  ///< The webhook would not inject it if it were created now.
  std::string detail{};   ///< Why it is declined, as the webhook's answer would say it.
};

/// Answers an AdmissionReview, as if the namespace of the pod asked for injection. For a pod that
/// asks by itself, the decision does not depend on the namespace.
using Judge = std::function<admission::Answer(std::string_view review)>;

/// `selector` is that of the webhook's entries, without what it says of the label that asks for
/// injection. Nothing: the object has no name.
std::optional<NamespaceFacts> read_namespace(const nlohmann::json& object,
                                             const LabelSelector& selector);
/// Nothing: the object has no name or no namespace.
std::optional<PodName> name_of(const nlohmann::json& object);
/// Nothing: the pod does not count, because it does not run, is being deleted or is not selected.
/// Asks `judge` only about a pod that counts and has no tap.
std::optional<PodFacts> read_pod(const nlohmann::json& object, Selects selects, const Judge& judge);

}  // namespace sidetap::webhook::coverage
