#include "shared/async/resolve.h"

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "shared/async/waiting.h"

namespace sidetap::async {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

/// Longer than any system's look-up takes.
constexpr std::chrono::hours kForEver{24};

/// A look-up may write here even after its caller has stopped waiting.
struct LookUp {
  explicit LookUp(const asio::any_io_executor& executor) : resolver(executor) {}
  tcp::resolver resolver;
  /// Requested when there is an answer, and when somebody interrupts.
  Interruption over;
  boost::system::error_code error;
  std::vector<tcp::endpoint> endpoints;
  bool finished = false;
};

}  // namespace

asio::awaitable<Result<std::vector<tcp::endpoint>>> resolve(asio::any_io_executor executor,
                                                            const net::HostPort& name,
                                                            Interruption* interruption) {
  boost::system::error_code no_address;
  const auto address = asio::ip::make_address(name.host, no_address);
  if (!no_address) co_return std::vector<tcp::endpoint>{{address, name.port}};
  if (interruption != nullptr && interruption->requested()) {
    co_return Error{"look-up of " + name.host + ": interrupted"};
  }
  const auto look_up = std::make_shared<LookUp>(executor);
  look_up->resolver.async_resolve(
      name.host, std::to_string(name.port),
      [look_up](const boost::system::error_code& error, const tcp::resolver::results_type& found) {
        look_up->error = error;
        for (const auto& entry : found) look_up->endpoints.push_back(entry.endpoint());
        look_up->finished = true;
        look_up->over.request();
      });
  {
    const Interruption::Scope scope(interruption, [&look_up] { look_up->over.request(); });
    co_await sleep(executor, kForEver, &look_up->over);
  }
  if (!look_up->finished) co_return Error{"look-up of " + name.host + ": interrupted"};
  if (look_up->error) {
    co_return Error{"look-up of " + name.host + ": " + look_up->error.message()};
  }
  if (look_up->endpoints.empty()) co_return Error{"look-up of " + name.host + ": no address"};
  co_return std::move(look_up->endpoints);
}

}  // namespace sidetap::async
