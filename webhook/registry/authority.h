// Chooses the CA bundle to send to taps. It always verifies the registry's current certificate.
// With any other bundle, a tap could not connect again, nor receive the correction.
#pragma once

#include <memory>
#include <string>

#include "shared/http/tls_context.h"

namespace sidetap::webhook::registry {

/// For one thread only.
class Authority {
 public:
  using Shown = std::shared_ptr<const http::TlsContext>;

  /// Sets the wanted bundle (PEM). It takes effect with review().
  void set(std::string bundle);
  /// Call it after set(), and whenever the certificate may have changed. Returns true if text() has
  /// changed. Logs a bundle that cannot be sent once.
  bool review(const Shown& shown);

  /// The message to send; null if there is none. It holds the bundle that was set last. While that
  /// bundle does not verify the certificate, it holds the previous one that does.
  const std::shared_ptr<const std::string>& text() const { return text_; }

 private:
  std::string wanted_;
  std::string told_;  // the bundle in text_
  std::shared_ptr<const std::string> text_;
  Shown shown_;
  bool reviewed_ = false;
};

}  // namespace sidetap::webhook::registry
