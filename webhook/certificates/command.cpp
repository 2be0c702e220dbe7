#include "webhook/certificates/command.h"

#include <ctime>
#include <iostream>
#include <optional>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "shared/async/task_group.h"
#include "shared/kube/credentials.h"
#include "webhook/certificates/options.h"

namespace sidetap::certificates {
namespace {

namespace asio = boost::asio;

/// "2026-11-24T01:02:03Z"
std::string date_text(TimePoint time) {
  const std::time_t seconds = Clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

void print(const State& state) {
  const auto authority = read_facts(state.authority.certificate);
  const auto leaf = read_facts(state.leaf.certificate);
  if (!authority || !leaf) return;
  std::cout << "certificate until " << date_text(leaf->not_after) << " for";
  for (const auto& name : leaf->dns_names) std::cout << ' ' << name;
  std::cout << "\nauthority until " << date_text(authority->not_after) << '\n';
}

}  // namespace

int command(std::span<const char* const> arguments) {
  SelfManagedOptions wanted;
  config::OptionSet options(
      "sidetap-webhook certs",
      "Checks the self-managed certificates once, and renews them if needed.");
  declare_self_managed(options, wanted);
  switch (options.parse(arguments, config::process_environment)) {
    case config::ParseResult::kHelp:
      return 0;
    case config::ParseResult::kError:
      return 2;
    case config::ParseResult::kRun:
      break;
  }
  auto credentials =
      kube::in_cluster_credentials(config::process_environment, wanted.service_account);
  if (!credentials) {
    std::cerr << "sidetap-webhook certs: " << credentials.error().text << '\n';
    return 1;
  }
  KeeperConfig config = keeper_config(wanted, credentials->pod_namespace);
  asio::io_context context{1};
  Keeper keeper(kube::Client(context.get_executor(), std::move(*credentials)), std::move(config),
                print);
  std::optional<Result<TimePoint>> due;
  const auto look = [&]() -> asio::awaitable<void> { due.emplace(co_await keeper.reconcile()); };
  async::run_to_end(context, look());
  if (!due || !*due) {
    std::cerr << "sidetap-webhook certs: " << (due ? due->error().text : "interrupted") << '\n';
    return 1;
  }
  std::cout << "the caBundle is right; next step due " << date_text(**due) << '\n';
  return 0;
}

}  // namespace sidetap::certificates
