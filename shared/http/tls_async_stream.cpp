#include "shared/http/tls_async_stream.h"

#include <boost/asio/post.hpp>

namespace sidetap::http {
namespace {

namespace asio = boost::asio;

void deliver(std::unique_ptr<TlsCompletion> completion, const TlsStep& step) {
  TlsCompletion& told = *completion;
  told.tell(std::move(completion), step.error, step.bytes);
}

/// One read or write, as often as it has to be tried.
struct TlsAttempt {
  TlsStream& tls;
  std::span<char> into;
  std::span<const char> from;
  bool reads;

  TlsStep operator()() const { return reads ? tls.read_step(into) : tls.write_step(from); }
};

/// A handler of Asio: tries again when the socket is ready.
struct TlsRetry {
  using executor_type = asio::any_io_executor;
  using cancellation_slot_type = asio::cancellation_slot;

  TlsAttempt attempt;
  std::unique_ptr<TlsCompletion> completion;

  executor_type get_executor() const noexcept { return completion->executor(); }
  cancellation_slot_type get_cancellation_slot() const noexcept { return completion->slot(); }
  void operator()(const boost::system::error_code& error);
};

void retry_when_ready(TlsStep::Want want, TlsRetry retry) {
  auto& socket = retry.attempt.tls.socket();
  socket.async_wait(want == TlsStep::Want::kRead ? asio::ip::tcp::socket::wait_read
                                                 : asio::ip::tcp::socket::wait_write,
                    std::move(retry));
}

void TlsRetry::operator()(const boost::system::error_code& error) {
  completion->slot().clear();
  // After an error the stream may be gone.
  const TlsStep step = error ? TlsStep{0, TlsStep::Want::kNothing, error} : attempt();
  if (step.want == TlsStep::Want::kNothing) return deliver(std::move(completion), step);
  retry_when_ready(step.want, std::move(*this));
}

void deliver_soon(std::unique_ptr<TlsCompletion> completion, const TlsStep& step) {
  const asio::any_io_executor executor = completion->executor();
  asio::post(executor,
             [step, told = std::move(completion)]() mutable { deliver(std::move(told), step); });
}

void attempt_first(const TlsAttempt& attempt, std::unique_ptr<TlsCompletion> completion) {
  const TlsStep step = attempt();
  if (step.want == TlsStep::Want::kNothing) return deliver_soon(std::move(completion), step);
  retry_when_ready(step.want, {attempt, std::move(completion)});
}

}  // namespace

void TlsAsyncStream::start_read(std::span<char> into, Completion completion) {
  attempt_first({tls_, into, {}, true}, std::move(completion));
}

void TlsAsyncStream::start_write(std::span<const char> from, Completion completion) {
  attempt_first({tls_, {}, from, false}, std::move(completion));
}

void TlsAsyncStream::start_shutdown(Completion completion) {
  tls_.shutdown();
  deliver_soon(std::move(completion), {});
}

}  // namespace sidetap::http
