#include "sidecar/delivery/stream_sender.h"

#include <array>
#include <cerrno>
#include <cstddef>

#include <boost/asio/post.hpp>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <sys/socket.h>

#include "shared/async/answer.h"
#include "shared/telemetry/log.h"
#include "sidecar/delivery/stream_metrics.h"
#include "sidecar/forwarding/pcap_over_ip.h"
#include "sidecar/session/sockets.h"

namespace sidetap {
namespace {

namespace asio = boost::asio;

// The output gives up a reader that takes nothing for 30 s, and says so. The kernel must not be
// faster.
constexpr unsigned kReaderTimeoutMillis = 40'000;
// A reader has nothing to say. Some send a line end.
constexpr std::size_t kMostHeard = 1024;

std::string_view cause_of_fault(forwarding::ReaderFault fault) {
  return fault == forwarding::ReaderFault::kStalled ? "stalled" : "lost";
}

void prepare_for_stream(int socket) {
  session::keep_alive(socket);
  const int at_once = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
  ::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &kReaderTimeoutMillis,
               sizeof kReaderTimeoutMillis);
}

}  // namespace

asio::awaitable<void> StreamSender::serve(std::shared_ptr<StreamReader> reader,
                                          net::UniqueFd socket) {
  prepare_for_stream(socket.get());
  // The packet path sends. A second descriptor shows here that the reader has gone, also while
  // there is no packet to send.
  net::UniqueFd twin(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
  if (!twin) {
    reader->end = StreamEnd{"lost", session::system_error("fcntl", errno).text};
    co_return;
  }
  async::AsyncFd connection(executor_, std::move(twin));
  const async::Arrival begun(executor_);
  const async::Arrival stopped(executor_);
  reader->capture = loop_.start_output(make_output(reader, std::move(socket)), reader->key, stage_,
                                       begun.callback());
  co_await begun.wait();
  set_begun(*reader, true);
  if (const auto kept_back = log_throttle_.admit())
    telemetry::info(
        "sending a capture stream",
        {{"reader", reader->name}, {"interface", loop_.name()}, {"not_logged", *kept_back}});
  co_await await_end(*reader, connection);
  set_begun(*reader, false);
  // What waits in the backlog is for the next reader, not for one that has gone.
  if (reader->end) ::shutdown(connection.get(), SHUT_RDWR);
  if (!reader->capture) co_return;  // abandoned
  loop_.stop(*std::exchange(reader->capture, std::nullopt), stopped.callback());
  co_await stopped.wait();
}

std::unique_ptr<forwarding::Output> StreamSender::make_output(
    const std::shared_ptr<StreamReader>& reader, net::UniqueFd socket) {
  forwarding::CaptureStreamConfig config{.heading = parts_.heading,
                                         .identities = parts_.identities,
                                         .buffer_bytes = options_.reader_buffer};
  config.heading.link_type = static_cast<std::uint16_t>(loop_.link_type());
  return forwarding::make_pcap_over_ip_output(
      std::move(socket), std::move(config),
      [weak = std::weak_ptr(reader), on = executor_](forwarding::ReaderFault fault,
                                                     const std::string& reason) {
        asio::post(on, [weak, fault, reason] {
          const auto self = weak.lock();
          if (!self) return;
          if (!self->end) self->end = StreamEnd{cause_of_fault(fault), reason};
          self->waiting.request();
        });
      });
}

asio::awaitable<void> StreamSender::await_end(StreamReader& reader, async::AsyncFd& connection) {
  std::array<std::byte, 256> ignored{};
  std::size_t heard = 0;
  while (!stopping_ && !reader.end) {
    const async::Wait wait =
        co_await connection.wait(async::AsyncFd::kRead, async::Limit(), &reader.waiting);
    if (wait != async::Wait::kReady) continue;
    const ssize_t got = ::recv(connection.get(), ignored.data(), ignored.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got < 0) {
      reader.end = StreamEnd{"lost", session::system_error("recv", errno).text};
    } else if (got == 0) {
      reader.end = StreamEnd{"closed", "the reader has closed the connection"};
    } else if ((heard += static_cast<std::size_t>(got)) > kMostHeard) {
      reader.end = StreamEnd{"talked", "it sends data, as no reader does"};
    }
  }
}

void StreamSender::set_begun(StreamReader& reader, bool begun) {
  if (std::exchange(reader.begun, begun) == begun) return;
  if (parts_.metrics != nullptr) {
    auto& readers = parts_.metrics->gauge(kReadersMetric);
    if (begun) {
      readers.Increment();
    } else {
      readers.Decrement();
    }
  }
  changed_();
}

void StreamSender::abandon(StreamReader& reader) {
  set_begun(reader, false);
  if (reader.capture) loop_.stop(*std::exchange(reader.capture, std::nullopt), {});
}

void StreamSender::note_end(const StreamReader& reader) {
  if (stopping_ || !reader.end) return;
  if (parts_.metrics != nullptr)
    parts_.metrics->counter(kReaderEndsMetric, {{"cause", std::string(reader.end->cause)}})
        .Increment();
  if (const auto kept_back = log_throttle_.admit())
    telemetry::warn("a capture stream has ended", {{"reader", reader.name},
                                                   {"cause", reader.end->cause},
                                                   {"detail", reader.end->reason},
                                                   {"not_logged", *kept_back}});
}

}  // namespace sidetap
