#include "webhook/admission/review.h"

#include <algorithm>

#include "webhook/json/text.h"

namespace sidetap::admission {
namespace {

constexpr std::string_view kApiVersion = "admission.k8s.io/v1";
constexpr std::size_t kMaxQuoted = 24;

std::string describe(simdjson::error_code code) {
  switch (code) {
    case simdjson::EMPTY:
      return "the body is empty: an AdmissionReview is expected";
    case simdjson::UTF8_ERROR:
      return "the body is not valid UTF-8";
    case simdjson::DEPTH_ERROR:
      return "the body is nested more than " + std::to_string(kMaxDepth) + " levels deep";
    case simdjson::CAPACITY:
      return "the body is too large";
    default:
      return std::string("the body is not JSON: ") + simdjson::error_message(code);
  }
}

/// Characters, not bytes: where the last one of `limit` ends.
std::size_t cut_at(std::string_view text, std::size_t limit) {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80 && ++characters > limit) return i;
  return text.size();
}

Error wrong_kind(std::string_view what, std::string_view expected) {
  return Error{std::string(what) + " is not " + std::string(expected)};
}

bool is_plain_pod(Value request) {
  const auto kind = find(request, "kind");
  const std::string_view sub_resource = text_of(request, "subResource");
  if (!sub_resource.empty()) return false;
  // Every API server sends the kind; tools that do without are taken by the object's own.
  if (!kind) {
    const auto object = find(request, "object");
    return text_of(object, "kind") == "Pod" && text_of(object, "apiVersion") == "v1";
  }
  return text_of(kind, "group").empty() && text_of(kind, "version") == "v1" &&
         text_of(kind, "kind") == "Pod";
}

}  // namespace

Result<Review> ReviewDocument::decode(std::string_view bytes) {
  simdjson::error_code code = parser_.allocate(std::max<std::size_t>(bytes.size(), 64), kMaxDepth);
  Value root;
  if (!code) code = parser_.parse(bytes.data(), bytes.size()).get(root);
  if (code) return Error{describe(code)};
  if (!root.is_object()) return Error{"the body is not an AdmissionReview: it is no JSON object"};

  if (text_of(root, "kind") != "AdmissionReview")
    return Error{"the body is not an AdmissionReview: its kind is " +
                 in_quotes(text_of(root, "kind"))};
  const std::string_view version = text_of(root, "apiVersion");
  if (version != kApiVersion)
    return Error{"the AdmissionReview is of version " + in_quotes(version) + ": only " +
                 std::string(kApiVersion) + " is served"};
  const auto request = find(root, "request");
  if (!request || !request->is_object()) return wrong_kind("request", "an object");

  Review review;
  review.uid = text_of(request, "uid");
  if (review.uid.empty()) return wrong_kind("request.uid", "a text that names the request");
  review.operation = text_of(request, "operation");
  if (review.operation.empty())
    return wrong_kind("request.operation", "one of CREATE, UPDATE, DELETE and CONNECT");
  review.namespace_name = text_of(request, "namespace");
  review.pod = is_plain_pod(*request);
  review.dry_run = is_true(find(request, "dryRun"));
  review.object = find(request, "object");
  return review;
}

std::string encode(std::string_view uid, const Answer& answer) {
  std::string text;
  text.reserve(512 + answer.patch.size() / 3 * 4);
  JsonWriter json(text);
  json.begin_object().member("apiVersion", kApiVersion).member("kind", "AdmissionReview");
  json.key("response").begin_object().member("uid", uid).key("allowed").boolean(true);
  if (!answer.patch.empty()) {
    std::string encoded;
    encoded.reserve(answer.patch.size() / 3 * 4 + 6);
    encoded += '"';
    append_base64(encoded, answer.patch);
    encoded += '"';
    json.member("patchType", "JSONPatch").key("patch").raw(encoded);
  }
  json.key("auditAnnotations").begin_object();
  json.member("decision", decision_name(answer.decision));
  json.member("reason", reason_name(answer.reason)).end_object();
  if (!answer.warnings.empty()) {
    json.key("warnings").begin_array();
    for (const std::string& text_of_warning : answer.warnings) json.string(text_of_warning);
    json.end_array();
  }
  json.end_object().end_object();
  return text;
}

std::string shortened(std::string_view text, std::size_t limit) {
  if (cut_at(text, limit) == text.size()) return std::string(text);
  return std::string(text.substr(0, cut_at(text, limit - 3))) + "...";
}

std::string warning(std::string_view text) {
  const std::string whole = shortened("sidetap: " + std::string(text), kMaxWarning);
  std::string clean;
  clean.reserve(whole.size());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    const auto byte = static_cast<unsigned char>(whole[i]);
    // In UTF-8 the control characters from U+0080 on are C2 80 to C2 9F.
    const bool two =
        byte == 0xc2 && i + 1 < whole.size() && static_cast<unsigned char>(whole[i + 1]) < 0xa0;
    clean += two || byte < 0x20 || byte == 0x7f ? '?' : whole[i];
    if (two) ++i;
  }
  return clean;
}

std::string in_quotes(std::string_view value) { return '"' + shortened(value, kMaxQuoted) + '"'; }

}  // namespace sidetap::admission
