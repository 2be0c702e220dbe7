// Options of self-managed certificates, for the running webhook and for `sidetap-webhook certs`.
#pragma once

#include <string>
#include <vector>

#include "shared/config/options.h"
#include "webhook/certificates/keeper.h"

namespace sidetap::certificates {

/// Where self-managed certificates are stored.
struct SelfManagedOptions {
  bool enabled = false;
  std::string name_space;  ///< Empty: the pod's own.
  std::string secret;
  std::vector<std::string> services;
  std::string webhook_configuration;
  std::string collector_secret;  ///< Empty: there are no collectors.
  std::vector<std::string> collector_services;
  std::string service_account;  ///< Folder of the API token and CA.
};

/// Declares the options of self-managed certificates.
void declare_self_managed(config::OptionSet& options, SelfManagedOptions& into);

/// `own_namespace` applies if the options name no namespace.
KeeperConfig keeper_config(const SelfManagedOptions& options, const std::string& own_namespace);

}  // namespace sidetap::certificates
