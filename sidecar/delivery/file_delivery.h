// Delivers packets to capture files.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "sidecar/delivery/delivery.h"
#include "sidecar/delivery/output_options.h"
#include "sidecar/forwarding/tap_identities.h"
#include "sidecar/path/capture_loop.h"

namespace sidetap {

/// What the files of one interface are called, and what those of pcapng say of it.
struct FileLabels {
  std::string prefix{};  ///< Of the files' names.
  forwarding::InterfaceLabel label{};
  std::vector<forwarding::NamedAddress> names{};
  /// Of a collector: the pods of its packets, which pcapng names in place of the above. Else null.
  std::shared_ptr<const forwarding::TapIdentities> identities{};
};

class FileDelivery final : public Delivery {
 public:
  /// `loop` must outlive this object.
  FileDelivery(boost::asio::any_io_executor executor, FileOptions options, FileLabels labels,
               CaptureLoop& loop, std::uint64_t stage);
  ~FileDelivery() override;

  /// Error: the folder cannot be written to.
  Result<void> start() override;
  boost::asio::awaitable<void> stop() override;
  /// Whether the files are open and writable.
  bool forwarding() const override;
  bool healthy() const override;
  std::vector<registry::SensorReport> sensors() const override { return {}; }
  void on_forwarding_changed(std::function<void()> callback) override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap
