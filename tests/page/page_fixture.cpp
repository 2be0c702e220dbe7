// The page with an invented inventory, for the tests in a browser: `page_fixture [--taps NUMBER]`.
//
// Prints "port NUMBER" and serves until SIGTERM. Without --taps there are three taps: shop/web-0
// forwards, also the plaintext of its mesh, shop/cart-0 loses packets and bank/db-0 reaches no
// sensor. All counts grow. On SIGUSR1, shop/web-0 goes without a word.
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "webhook/coverage/summary.h"
#include "webhook/identity/ledger.h"
#include "webhook/inventory/inventory.h"
#include "webhook/page/page_server.h"
#include "webhook/registry/service_table.h"
#include "webhook/registry/view.h"

namespace sidetap::webhook::page {
namespace {

namespace asio = boost::asio;
using inventory::Time;

constexpr std::uint64_t kGeneration = 7;
constexpr auto kPeriod = std::chrono::milliseconds(500);
constexpr std::size_t kLoses = 1;
constexpr std::size_t kHasNoSensor = 2;

Time wall_time() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

identity::Pod invented_pod(std::size_t number) {
  if (number == 0) return {"shop", "web-0", "uid-web", "node-1"};
  if (number == kLoses) return {"shop", "cart-0", "uid-cart", "node-2"};
  if (number == kHasNoSensor) return {"bank", "db-0", "uid-db", "node-1"};
  const std::string digits = std::to_string(number);
  return {"load-" + std::to_string(number % 20), "pod-" + digits, "uid-" + digits, "node-3"};
}

/// After `seconds` of work.
sidetap::registry::Report invented_report(std::size_t number, std::uint64_t seconds) {
  sidetap::registry::Report report;
  report.release = "1.0.0";
  report.generation = kGeneration;
  report.interfaces = {{"eth0", true}};
  const std::uint64_t seen = seconds * (100 + number % 50);
  report.counts.seen = seen;
  report.counts.seen_bytes = seen * 800;
  report.counts.owned = seen / 2;
  report.counts.owned_bytes = seen * 400;
  if (number == kHasNoSensor) {
    report.sensors = {{"10.0.0.10:2002", "dialling", "connection refused <b>by</b> 'it' & others"}};
    report.lost = {{"no_session", seen / 2}};
    return report;
  }
  report.sensors = {{"10.0.0.9:2002", "capturing", ""}};
  if (number == 0)
    report.mesh = sidetap::registry::MeshReport{
        .kind = "istio", .read = seen / 4, .legs = seen / 5, .covered = seen / 3};
  report.lost = {{"kernel_ring", number == kLoses ? seconds : 0}};
  report.counts.forwarded = seen / 2;
  report.counts.forwarded_bytes = seen * 400;
  return report;
}

coverage::Summary invented_coverage(std::size_t taps) {
  coverage::Summary summary;
  summary.tapped = taps;
  summary.untapped = 1;
  summary.by_cause.at(static_cast<std::size_t>(coverage::Cause::kOlder)) = 1;
  summary.listed = {{"shop", "legacy-0", "Deployment/legacy", coverage::Cause::kOlder, ""}};
  return summary;
}

/// Plays the registry, on the thread that runs `context`.
class Invented {
 public:
  Invented(asio::io_context& context, std::size_t taps)
      : taps_(taps), timer_(context), signals_(context, SIGUSR1) {
    for (std::size_t number = 0; number < taps_; ++number) {
      inventory_.stated(number + 1, invented_pod(number), {address(number)}, number != kHasNoSensor,
                        2, began_);
    }
    // Three taps get a past.
    for (int at = taps_ > 3 ? -20 : -890; at < 0; at += 10) report(std::chrono::seconds(at));
    service("shop/web", 1, {address(0)});
    service("shop/all", 2, {address(0), net::IpAddress::v4(0x0a0000ffU)});
    tick();
    wait_for_signal();
  }

  registry::View view() const { return {inventory_, ledger_, &services_, kGeneration}; }

 private:
  static net::IpAddress address(std::size_t number) {
    return net::IpAddress::v4(0x0a010000U + static_cast<std::uint32_t>(number));
  }

  void report(std::chrono::milliseconds since_start) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since_start).count() + 1'000;
    for (std::size_t number = first_; number < taps_; ++number) {
      inventory_.reported(number + 1, invented_report(number, static_cast<std::uint64_t>(seconds)),
                          began_ + since_start);
    }
  }

  void service(const std::string& name, std::uint32_t cluster_ip,
               const std::vector<net::IpAddress>& backends) {
    registry::ServiceFacts facts;
    facts.name = name;
    facts.addresses = {net::IpAddress::v4(0x0a600000U + cluster_ip)};
    services_.set(std::move(facts));
    registry::SliceFacts slice;
    slice.name = name + "-1";
    slice.service = name;
    slice.v4 = true;
    for (const auto& backend : backends) slice.endpoints.push_back({backend});
    services_.set(std::move(slice));
    services_.taps_changed({{address(0)}, {}});
  }

  void tick() {
    report(wall_time() - began_);
    timer_.expires_after(kPeriod);
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) tick();
    });
  }

  void wait_for_signal() {
    signals_.async_wait([this](const boost::system::error_code& error, int) {
      if (error) return;
      first_ = 1;
      inventory_.ended(1, wall_time());
      wait_for_signal();
    });
  }

  const std::size_t taps_;
  const Time began_ = wall_time();
  std::size_t first_ = 0;  ///< Those before have gone.
  inventory::Inventory inventory_;
  identity::Ledger ledger_{identity::LedgerConfig{}};
  registry::ServiceTable services_;
  asio::steady_timer timer_;
  asio::signal_set signals_;
};

int run(std::size_t taps) {
  asio::io_context context(1);
  Invented invented(context, taps);
  const auto summary = std::make_shared<const coverage::Summary>(invented_coverage(taps));
  PageConfig config;
  config.listen = {"127.0.0.1", 0};
  config.with_view = [&](std::function<void(const registry::View&)> use) {
    asio::post(context, [&invented, use = std::move(use)] { use(invented.view()); });
  };
  config.coverage = [summary] { return summary; };
  PageServer server(std::move(config));
  const auto port = server.start();
  if (!port) {
    std::cerr << port.error().text << "\n";
    return 1;
  }
  std::cout << "port " << *port << std::endl;
  asio::signal_set end(context, SIGTERM, SIGINT);
  end.async_wait([&context](const boost::system::error_code&, int) { context.stop(); });
  context.run();
  server.stop();
  return 0;
}

}  // namespace
}  // namespace sidetap::webhook::page

int main(int count, char** arguments) {
  std::size_t taps = 3;
  if (count == 3 && std::string_view(arguments[1]) == "--taps") {
    taps = std::strtoul(arguments[2], nullptr, 10);
  }
  return sidetap::webhook::page::run(taps);
}
