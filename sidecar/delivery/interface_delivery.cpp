#include "sidecar/delivery/interface_delivery.h"

#include <optional>
#include <string>
#include <utility>

#include <boost/asio/post.hpp>
#include <prometheus/counter.h>

#include "shared/async/answer.h"
#include "shared/telemetry/log.h"
#include "sidecar/capture/link_facts.h"
#include "sidecar/delivery/interface_port.h"
#include "sidecar/forwarding/interface_output.h"

namespace sidetap {

namespace asio = boost::asio;

/// Callbacks from the packet path keep it alive.
struct InterfaceDelivery::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::any_io_executor the_executor, InterfaceOptions the_options,
       Result<net::UniqueFd> the_socket, unsigned the_usual_mtu, CaptureLoop& the_loop,
       std::uint64_t the_stage, telemetry::MetricsRegistry& metrics)
      : executor(std::move(the_executor)),
        options(std::move(the_options)),
        socket(std::move(the_socket)),
        usual_mtu(the_usual_mtu),
        loop(the_loop),
        stage(the_stage),
        outages(metrics.counter(kOutputOutagesMetric, {{"interface", options.name}})) {}

  void begin() {
    compare_mtu();
    forwarding::InterfaceEvents events;
    events.on_lost = [weak = weak_from_this(), on = executor](const std::string& reason) {
      tell(weak, on, [reason](Impl& self) { self.hear_lost(reason); });
    };
    events.on_working = [weak = weak_from_this(), on = executor] {
      tell(weak, on, [](Impl& self) { self.hear_working(); });
    };
    events.on_too_large = [weak = weak_from_this(), on = executor](unsigned mtu) {
      tell(weak, on, [mtu](Impl& self) { self.advise(mtu); });
    };
    output =
        loop.start_output(forwarding::make_interface_output(
                              make_interface_port(options.name, std::move(*socket)),
                              static_cast<capture::LinkType>(loop.link_type()), std::move(events)),
                          "interface", stage, [weak = weak_from_this()] {
                            const auto self = weak.lock();
                            if (!self) return;
                            self->begun = true;
                            self->changed();
                          });
  }

  /// Called on the packet path.
  static void tell(std::weak_ptr<Impl> weak, const asio::any_io_executor& executor,
                   std::function<void(Impl&)> what) {
    asio::post(executor, [weak = std::move(weak), what = std::move(what)] {
      if (const auto self = weak.lock()) what(*self);
    });
  }

  void hear_lost(const std::string& reason) {
    if (!std::exchange(lost, true)) outages.Increment();
    working = false;
    telemetry::warn("packets cannot be written into the interface and are dropped",
                    {{"interface", options.name}, {"reason", reason}});
    changed();
  }
  void hear_working() {
    lost = false;
    working = true;
    telemetry::info("packets are written into the interface", {{"interface", options.name}});
    changed();
  }

  /// What the interfaces of pods carry, the one that is written into should carry too.
  void compare_mtu() {
    const auto facts = capture::read_link_facts(options.name);
    if (facts && facts->mtu < usual_mtu) advise(usual_mtu);
  }
  void advise(unsigned mtu) {
    if (mtu <= advised_mtu) return;
    advised_mtu = mtu;
    telemetry::warn(
        "the MTU of the interface to write into is too small; frames that do not fit are dropped",
        {{"interface", options.name}, {"raise_to", mtu}});
  }

  void changed() {
    if (on_changed) on_changed();
  }

  const asio::any_io_executor executor;
  const InterfaceOptions options;
  Result<net::UniqueFd> socket;  // until it is handed on
  const unsigned usual_mtu;
  CaptureLoop& loop;
  const std::uint64_t stage;
  prometheus::Counter& outages;
  std::function<void()> on_changed;
  std::optional<std::uint64_t> output;
  unsigned advised_mtu = 0;
  bool begun = false;
  bool lost = false;     // told that no packet goes there
  bool working = false;  // told that packets do
};

InterfaceDelivery::InterfaceDelivery(asio::any_io_executor executor, InterfaceOptions options,
                                     Result<net::UniqueFd> socket, unsigned usual_mtu,
                                     CaptureLoop& loop, std::uint64_t stage,
                                     telemetry::MetricsRegistry& metrics)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options), std::move(socket),
                                   usual_mtu, loop, stage, metrics)) {}
InterfaceDelivery::~InterfaceDelivery() = default;

Result<void> InterfaceDelivery::start() {
  if (!impl_->socket) return Error{"--output interface: " + impl_->socket.error().text};
  impl_->begin();
  return {};
}

asio::awaitable<void> InterfaceDelivery::stop() {
  const auto impl = impl_;
  if (!impl->output) co_return;
  const async::Arrival stopped(impl->executor);
  impl->loop.stop(*std::exchange(impl->output, std::nullopt), stopped.callback());
  co_await stopped.wait();
}

bool InterfaceDelivery::forwarding() const { return impl_->begun && impl_->working; }
bool InterfaceDelivery::healthy() const { return !impl_->lost; }

void InterfaceDelivery::on_forwarding_changed(std::function<void()> callback) {
  impl_->on_changed = std::move(callback);
}

}  // namespace sidetap
