#include "webhook/admission/review.h"

#include <algorithm>

#include "shared/base64.h"
#include "webhook/json/text.h"
#include "webhook/pods/warning.h"

namespace sidetap::admission {
namespace {

using json::find;
using json::text_of;
using json::Value;
using pods::in_quotes;

constexpr std::string_view kApiVersion = "admission.k8s.io/v1";

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

Error wrong_kind(std::string_view what, std::string_view expected) {
  return Error{std::string(what) + " is not " + std::string(expected)};
}

/// `kind` is the kind that the request names.
bool is_plain_pod(const std::optional<Value>& kind, const std::optional<Value>& object) {
  // Every API server sends the kind. For tools that omit it, the object's own kind decides.
  if (!kind) return text_of(object, "kind") == "Pod" && text_of(object, "apiVersion") == "v1";
  return text_of(kind, "group").empty() && text_of(kind, "version") == "v1" &&
         text_of(kind, "kind") == "Pod";
}

/// `request` must be an object.
Result<Review> read_request(Value request) {
  const auto [uid, operation, namespace_name, kind, sub_resource, dry_run, object, before] =
      json::pick(request, "uid", "operation", "namespace", "kind", "subResource", "dryRun",
                 "object", "oldObject");
  Review review;
  review.uid = json::text_or_empty(uid);
  if (review.uid.empty()) return wrong_kind("request.uid", "a text that names the request");
  const std::string_view what = json::text_or_empty(operation);
  if (what.empty())
    return wrong_kind("request.operation", "one of CREATE, UPDATE, DELETE and CONNECT");
  review.namespace_name = json::text_or_empty(namespace_name);
  const std::string_view part = json::text_or_empty(sub_resource);
  review.creates_pod = what == "CREATE" && part.empty() && is_plain_pod(kind, object);
  review.adds_ephemeral =
      what == "UPDATE" && part == "ephemeralcontainers" && is_plain_pod(kind, object);
  review.dry_run = json::is_true(dry_run);
  if (!review.adds_ephemeral) {
    if (object) review.pod = pods::read(*object);
    return review;
  }
  if (object) review.ephemeral_after = pods::read_ephemeral(*object);
  if (before) {
    review.pod = pods::read(*before);
    review.ephemeral_before = pods::read_ephemeral(*before);
  }
  return review;
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

  return read_request(*request);
}

std::string encode(std::string_view uid, const Answer& answer) {
  std::string text;
  text.reserve(512 + answer.patch.size() / 3 * 4);
  json::JsonWriter json(text);
  json.begin_object().member("apiVersion", kApiVersion).member("kind", "AdmissionReview");
  const bool allowed = answer.action != Action::kDeny;
  json.key("response").begin_object().member("uid", uid).key("allowed").boolean(allowed);
  if (!allowed) {
    json.key("status").begin_object().member("message", answer.refusal);
    json.member("reason", "Forbidden").key("code").number(403).end_object();
  }
  if (!answer.patch.empty()) {
    std::string encoded;
    encoded.reserve(answer.patch.size() / 3 * 4 + 6);
    encoded += '"';
    append_base64(encoded, answer.patch);
    encoded += '"';
    json.member("patchType", "JSONPatch").key("patch").raw(encoded);
  }
  json.key("auditAnnotations").begin_object();
  json.member("decision", action_name(answer.action));
  json.member("reason", reason_name(answer.reason)).end_object();
  if (!answer.warnings.empty()) {
    json.key("warnings").begin_array();
    for (const std::string& text_of_warning : answer.warnings) json.string(text_of_warning);
    json.end_array();
  }
  json.end_object().end_object();
  return text;
}

}  // namespace sidetap::admission
