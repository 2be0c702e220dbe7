// Decodes what the webhook needs from an AdmissionReview (admission.k8s.io/v1), and encodes the
// answer.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "shared/result.h"
#include "webhook/admission/answer.h"
#include "webhook/json/tree.h"
#include "webhook/pods/ephemeral.h"
#include "webhook/pods/pod.h"

namespace sidetap::admission {

/// Most levels of nested objects and arrays in a review.
inline constexpr std::size_t kMaxDepth = 256;

/// The request of the API server. All texts are valid as long as the ReviewDocument.
struct Review {
  std::string_view uid;             ///< Never empty.
  std::string_view namespace_name;  ///< request.namespace: the object's may be empty.
  /// Whether the request creates a Pod (core v1), and is not another operation or for a
  /// subresource.
  bool creates_pod = false;
  /// Whether the request changes the ephemeral containers of a pod (pods/ephemeralcontainers).
  bool adds_ephemeral = false;
  bool dry_run = false;
  /// The object, of any kind; with `adds_ephemeral` the one before the request, as it is stored.
  /// Nothing: missing or null.
  std::optional<pods::Pod> pod;
  // Only with `adds_ephemeral`.
  pods::Ephemeral ephemeral_before{};
  pods::Ephemeral ephemeral_after{};
};

/// Owns the parsed document.
class ReviewDocument {
 public:
  /// Call it once per object. Errors: one sentence that says why `bytes` is not an AdmissionReview.
  Result<Review> decode(std::string_view bytes);

 private:
  simdjson::dom::parser parser_;
};

/// The AdmissionReview as JSON, with the answer's action, reason, patch and warnings.
std::string encode(std::string_view uid, const Answer& answer);

}  // namespace sidetap::admission
