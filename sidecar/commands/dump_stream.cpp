#include "sidecar/commands/dump_stream.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sidetap {
namespace {

constexpr std::size_t kEnough = 256U << 10;  // waits at most, but for one packet
constexpr std::size_t kLargeChunk = 64U << 10;
constexpr int kPatienceMs = 200;

/// A file takes any number of bytes. A pipe that has room takes so many without a pause; a larger
/// write could wait for the reader for ever.
std::size_t chunk_of(int descriptor) {
  struct stat facts {};
  const bool is_file = ::fstat(descriptor, &facts) == 0 && S_ISREG(facts.st_mode);
  return is_file ? kLargeChunk : std::size_t{PIPE_BUF};
}

}  // namespace

DumpStream::DumpStream(int descriptor, const DumpBounds& bounds, std::function<bool()> may_wait)
    : descriptor_(descriptor),
      bounds_(bounds),
      may_wait_(std::move(may_wait)),
      chunk_(chunk_of(descriptor)) {}

void DumpStream::put(std::span<const std::byte> bytes) {
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  bytes_ += bytes.size();
}

void DumpStream::begin(const forwarding::CaptureHeading& heading) {
  format_ = heading.format;
  end_bytes_ = forwarding::ending_size(format_, heading.interfaces.size());
  put(forwarding::beginning_of(heading));
  flush();
}

void DumpStream::add(const forwarding::PacketRecord& packet, std::span<const std::byte> head,
                     std::span<const std::byte> body) {
  if (!is_open()) return;
  const std::size_t size = forwarding::record_size(format_, packet.captured);
  if (bounds_.bytes != 0 && bytes_ + size + end_bytes_ > bounds_.bytes) {
    state_ = State::kFull;
    return;
  }
  const forwarding::RecordFrame frame = forwarding::frame_of(format_, packet);
  put(frame.head());
  put(head);
  put(body);
  put(frame.tail());
  ++packets_;
  if (buffer_.size() >= kEnough) flush();
  if (is_open() && packets_ == bounds_.packets) state_ = State::kFull;
}

void DumpStream::flush() {
  if (is_open()) write_out();
}

void DumpStream::end(std::uint64_t time, std::span<const forwarding::InterfaceTotals> interfaces) {
  if (state_ != State::kOpen && state_ != State::kFull) return;
  put(forwarding::ending_of(format_, time, interfaces));
  write_out();
}

void DumpStream::note(short revents) {
  if (is_open() && (revents & (POLLERR | POLLHUP)) != 0) state_ = State::kGone;
}

/// False: nobody reads, and what waits is given up.
bool DumpStream::wait_for_room() {
  while (true) {
    pollfd ready{descriptor_, POLLOUT, 0};
    const int count = ::poll(&ready, 1, kPatienceMs);
    const bool gone = count > 0 && (ready.revents & (POLLERR | POLLHUP)) != 0;
    if (count > 0 && !gone) return true;
    if (gone || !may_wait_()) {
      state_ = State::kGone;
      return false;
    }
  }
}

void DumpStream::write_out() {
  std::size_t at = 0;
  while (at < buffer_.size() && wait_for_room()) {
    const ssize_t done =
        ::write(descriptor_, buffer_.data() + at, std::min(chunk_, buffer_.size() - at));
    if (done >= 0) {
      at += static_cast<std::size_t>(done);
    } else if (errno == EPIPE) {
      state_ = State::kGone;
      break;
    } else if (errno != EINTR && errno != EAGAIN) {
      state_ = State::kFailed;
      failure_ = std::strerror(errno);
      break;
    }
  }
  buffer_.clear();
}

}  // namespace sidetap
