#include "webhook/certificates/objects.h"

#include <utility>

#include "shared/base64.h"
#include "shared/json_members.h"

namespace sidetap::certificates {
namespace {

using nlohmann::json;

std::string encode(const std::string& text) {
  std::string encoded;
  append_base64(encoded, text);
  return encoded;
}

std::string decoded(const json& data, const char* key) {
  return decode_base64(text_of(data, key)).value_or(std::string());
}

}  // namespace

State state_of_secret(const json& secret) {
  const json& data = member(secret, "data");
  const auto read = [&](const char* key) { return decoded(data, key); };
  return {{read("ca.crt"), read("ca.key")},
          {read("next-ca.crt"), read("next-ca.key")},
          read("previous-ca.crt"),
          {read("tls.crt"), read("tls.key")}};
}

json with_state(json secret, const State& state) {
  json& data = secret["data"];
  if (!data.is_object()) data = json::object();
  const auto write = [&](const char* key, const std::string& text) {
    if (text.empty()) {
      data.erase(key);
    } else {
      data[key] = encode(text);
    }
  };
  write("tls.crt", state.leaf.certificate);
  write("tls.key", state.leaf.key);
  write("ca.crt", state.authority.certificate);
  write("ca.key", state.authority.key);
  write("next-ca.crt", state.next.certificate);
  write("next-ca.key", state.next.key);
  write("previous-ca.crt", state.previous);
  write("bundle.crt", state.bundle());
  return secret;
}

Pair leaf_of_secret(const json& secret) {
  const json& data = member(secret, "data");
  return {decoded(data, "tls.crt"), decoded(data, "tls.key")};
}

json with_leaf(json secret, const Pair& leaf, const std::string& bundle) {
  json& data = secret["data"];
  if (!data.is_object()) data = json::object();
  data["tls.crt"] = encode(leaf.certificate);
  data["tls.key"] = encode(leaf.key);
  data["ca.crt"] = encode(bundle);
  return secret;
}

json new_secret(const std::string& name_space, const std::string& name) {
  return {{"apiVersion", "v1"},
          {"kind", "Secret"},
          {"metadata",
           {{"name", name},
            {"namespace", name_space},
            {"labels", {{"app.kubernetes.io/managed-by", "sidetap-webhook"}}}}},
          {"type", "kubernetes.io/tls"}};
}

json bundle_patch(const json& configuration, const std::string& bundle) {
  const std::string encoded = encode(bundle);
  json patch = json::array();
  const json& webhooks = member(configuration, "webhooks");
  for (std::size_t i = 0; webhooks.is_array() && i < webhooks.size(); ++i) {
    const json& client = member(webhooks[i], "clientConfig");
    if (client.is_null() || text_of(client, "caBundle") == encoded) continue;
    patch.push_back({{"op", "add"},
                     {"path", "/webhooks/" + std::to_string(i) + "/clientConfig/caBundle"},
                     {"value", encoded}});
  }
  if (patch.empty()) return nullptr;
  // The patch addresses entries by index, so it must apply only to the object that was read.
  json test = {{"op", "test"}, {"path", "/metadata/resourceVersion"}};
  test["value"] = text_of(member(configuration, "metadata"), "resourceVersion");
  patch.insert(patch.begin(), std::move(test));
  return patch;
}

}  // namespace sidetap::certificates
