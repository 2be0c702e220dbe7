// AdmissionReview (admission.k8s.io/v1): bytes in, what the webhook needs of it out; and back.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "shared/result.h"
#include "webhook/admission/reason.h"
#include "webhook/json/tree.h"

namespace sidetap::admission {

/// Objects and arrays within each other that a review may have.
inline constexpr std::size_t kMaxDepth = 256;

/// What the API server asks. All texts and values lie in the ReviewDocument.
struct Review {
  std::string_view uid;             ///< Never empty.
  std::string_view namespace_name;  ///< request.namespace: the object's own may be empty.
  std::string_view operation;       ///< "CREATE" and so on.
  bool pod = false;                 ///< A Pod of the core API's v1, not one of its subresources.
  bool dry_run = false;
  std::optional<Value> object;  ///< Nothing: missing or null.
};

/// Owns the parsed document.
class ReviewDocument {
 public:
  /// Errors: one sentence that says why this is no AdmissionReview. Once for each object.
  Result<Review> decode(std::string_view bytes);

 private:
  simdjson::dom::parser parser_;
};

/// What becomes of it.
struct Answer {
  Decision decision = Decision::kSkip;
  Reason reason = Reason::kNotPodCreation;
  std::string_view patch;  ///< JSON; empty: none.
  std::span<const std::string> warnings;
};
std::string encode(std::string_view uid, const Answer& answer);

/// `text`, or of a longer one `limit` characters, "..." the last of them.
std::string shortened(std::string_view text, std::size_t limit);

/// The API server may cut longer warnings.
inline constexpr std::size_t kMaxWarning = 120;
/// "sidetap: " and `text`, fit for an HTTP header: at most kMaxWarning characters, none of them a
/// control character (API servers drop a warning that has one, those from U+0080 on included).
std::string warning(std::string_view text);
/// `value` in quotes, shortened, for the middle of a warning.
std::string in_quotes(std::string_view value);

}  // namespace sidetap::admission
