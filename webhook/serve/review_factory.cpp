#include "webhook/serve/review_factory.h"

#include <memory>
#include <utility>

#include "shared/http/tls_context.h"
#include "webhook/admission/admit.h"
#include "webhook/configuration/configuration_file.h"
#include "webhook/configuration/pod_security.h"

namespace sidetap::webhook {

using configuration::Configuration;

ReviewFactory review_factory(std::string own_namespace, bool ca_to_come) {
  return [own_namespace = std::move(own_namespace), ca_to_come](
             const std::optional<std::string>& text,
             const std::string& registry_ca) -> Result<InForce> {
    auto configuration = std::make_shared<Configuration>();
    if (text) {
      auto parsed = configuration::parse_configuration(*text, "configuration");
      if (!parsed) return parsed.error();
      *configuration = std::move(*parsed);
    }
    if (auto& ca = configuration->registry.ca; ca.empty()) {
      ca = registry_ca;
    } else if (auto checked = http::check_certificates(ca); !checked) {
      return Error{"registry.ca: " + checked.error().text};
    }
    if (!ca_to_come && configuration::lacks_registry_ca(*configuration)) {
      return Error{
          "registry.address is set, but taps have no CA to verify the registry by, and would end "
          "at once: set --registry-ca, or registry.ca"};
    }
    std::string& own = configuration->injection.own_namespace;
    if (own.empty()) own = own_namespace;
    auto at_baseline = std::make_shared<Configuration>(*configuration);
    at_baseline->sidecar = configuration::at_baseline(std::move(at_baseline->sidecar));
    InForce made;
    made.profiles = std::make_shared<const profiles::Profiles>(*configuration);
    made.review = [configuration, at_baseline](std::string_view review, Route route) {
      return admission::admit(review, route.entry, route.baseline ? *at_baseline : *configuration);
    };
    return made;
  };
}

}  // namespace sidetap::webhook
