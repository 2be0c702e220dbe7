// AdmissionReview (admission.k8s.io/v1): bytes in, what the webhook needs of it out; and back.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "shared/result.h"
#include "webhook/admission/answer.h"
#include "webhook/json/tree.h"
#include "webhook/pods/pod.h"

namespace sidetap::admission {

/// Objects and arrays within each other that a review may have.
inline constexpr std::size_t kMaxDepth = 256;

/// What the API server asks. All texts lie in the ReviewDocument.
struct Review {
  std::string_view uid;             ///< Never empty.
  std::string_view namespace_name;  ///< request.namespace: the object's own may be empty.
  /// It is about the creation of a Pod of the core API's v1, not about another operation or one of
  /// its subresources.
  bool creates_pod = false;
  bool dry_run = false;
  std::optional<pods::Pod> pod;  ///< The object, whatever it is. Nothing: missing or null.
};

/// Owns the parsed document.
class ReviewDocument {
 public:
  /// Errors: one sentence that says why this is no AdmissionReview. Once for each object.
  Result<Review> decode(std::string_view bytes);

 private:
  simdjson::dom::parser parser_;
};

/// The AdmissionReview with the answer's action, reason, patch and warnings.
std::string encode(std::string_view uid, const Answer& answer);

}  // namespace sidetap::admission
