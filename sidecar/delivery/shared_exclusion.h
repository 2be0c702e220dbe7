// Gives the sessions of one delivery their CaptureControl: their captures belong to its stage, and
// their connections are excluded on all interfaces, because the routes decide through which one
// they leave.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sidecar/delivery/delivery.h"
#include "sidecar/session/capture_control.h"

namespace sidetap {

class SharedExclusion final : public session::CaptureControl {
 public:
  /// Prepends `prefix` to the names of owners.
  SharedExclusion(session::CaptureControl& own, std::string prefix, std::uint64_t stage,
                  Exclude exclude)
      : own_(own), prefix_(std::move(prefix)), stage_(stage), exclude_(std::move(exclude)) {}

  std::chrono::milliseconds exclude_own_traffic(
      const std::string& owner, std::vector<capture::OwnEndpoint> endpoints) override {
    const std::string name = prefix_ + " " + owner;
    if (endpoints.empty()) {
      owners_.erase(name);
    } else {
      owners_.insert(name);
    }
    return exclude_(name, endpoints);
  }
  /// Ends the exclusion of every owner.
  void forget() {
    for (const std::string& owner : owners_) exclude_(owner, {});
    owners_.clear();
  }
  Result<std::uint64_t> start(session::CaptureOrder order, Done begun) override {
    order.stage = stage_;
    return own_.start(std::move(order), std::move(begun));
  }
  void update_filter(std::uint64_t capture, std::vector<rpcap::BpfInstruction> filter,
                     std::function<void(Result<void>)> done) override {
    own_.update_filter(capture, std::move(filter), std::move(done));
  }
  void stop(std::uint64_t capture, Done done) override { own_.stop(capture, std::move(done)); }
  void stats(std::uint64_t capture, std::function<void(rpcap::Stats)> told) override {
    own_.stats(capture, std::move(told));
  }
  rpcap::Interface interface() override { return own_.interface(); }
  std::int32_t link_type() override { return own_.link_type(); }

 private:
  session::CaptureControl& own_;
  std::string prefix_;
  std::uint64_t stage_;
  Exclude exclude_;
  std::set<std::string> owners_;
};

}  // namespace sidetap
