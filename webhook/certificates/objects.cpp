#include "webhook/certificates/objects.h"

#include <optional>
#include <utility>

#include <openssl/evp.h>

namespace sidetap::certificates {
namespace {

using nlohmann::json;

std::string encode(const std::string& text) {
  std::string encoded((text.size() + 2) / 3 * 4, '\0');
  // It writes a terminating zero where std::string has one.
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                  reinterpret_cast<const unsigned char*>(text.data()),
                  static_cast<int>(text.size()));
  return encoded;
}

std::string decode(const std::string& text) {
  std::string decoded(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(decoded.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) return {};
  // The padding counts as zero bytes.
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  decoded.resize(static_cast<std::size_t>(size) - padding);
  return decoded;
}

const json* member(const json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

std::string text_of(const json& object, const char* key) {
  const json* found = member(object, key);
  return found != nullptr && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

State state_of_secret(const json& secret) {
  const json* found = member(secret, "data");
  const json& data = found != nullptr ? *found : secret;
  const auto read = [&](const char* key) { return decode(text_of(data, key)); };
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
  const json* webhooks = member(configuration, "webhooks");
  for (std::size_t i = 0; webhooks != nullptr && webhooks->is_array() && i < webhooks->size();
       ++i) {
    const json* client = member((*webhooks)[i], "clientConfig");
    if (client == nullptr || text_of(*client, "caBundle") == encoded) continue;
    patch.push_back({{"op", "add"},
                     {"path", "/webhooks/" + std::to_string(i) + "/clientConfig/caBundle"},
                     {"value", encoded}});
  }
  if (patch.empty()) return nullptr;
  // Entries are addressed by their place: only in the object that was read.
  const json* metadata = member(configuration, "metadata");
  json test = {{"op", "test"}, {"path", "/metadata/resourceVersion"}};
  test["value"] = metadata != nullptr ? text_of(*metadata, "resourceVersion") : std::string();
  patch.insert(patch.begin(), std::move(test));
  return patch;
}

}  // namespace sidetap::certificates
