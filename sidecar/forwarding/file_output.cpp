#include "sidecar/forwarding/file_output.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shared/net/unique_fd.h"
#include "sidecar/forwarding/wall_clock.h"

namespace sidetap::forwarding {
namespace {

constexpr std::size_t kBufferBytes = 64 * 1024;
// What a disk must hold to count as not full any more: what fails for want of one more buffer would
// else come and go.
constexpr std::size_t kBuffersOfRoom = 4;

class FileOutput final : public Output {
  using Clock = std::chrono::steady_clock;

 public:
  FileOutput(FileConfig config, FaultHandler on_fault, std::function<void()> on_recovered)
      : config_(std::move(config)),
        on_fault_(std::move(on_fault)),
        on_recovered_(std::move(on_recovered)),
        beginning_(beginning_of(config_.heading)),
        end_bytes_(ending_size(config_.heading.format, kInterfaces)),
        buffer_(std::make_unique_for_overwrite<std::byte[]>(kBufferBytes)) {}

  void add(const OutgoingPacket& packet) override {
    const CaptureFormat format = config_.heading.format;
    const std::size_t size = record_size(format, packet.header.captured);
    if (holds_some() && size_with(size) > config_.file_bytes) {
      write_out();
      end_file();
    }
    if (kBufferBytes - used_ < size) write_out();
    const RecordFrame frame = frame_of(format, {.seconds = packet.header.seconds,
                                                .nanoseconds = packet.nanoseconds,
                                                .captured = packet.header.captured,
                                                .length = packet.header.length});
    if (size > kBufferBytes) {
      write_large(frame, packet, size);
      return;
    }
    put(frame.head());
    put(packet.head);
    put(packet.body);
    put(frame.tail());
    ++packets_;
  }
  void flush() override {
    write_out();
    if (failing_ && Clock::now() >= next_probe_) probe();
  }
  void finish() override {
    flush();
    end_file();
  }

 private:
  static constexpr std::size_t kInterfaces = 1;

  bool holds_some() const { return file_ || used_ != 0; }
  /// Of the file with `more` bytes and its end.
  std::uint64_t size_with(std::size_t more) const {
    return (file_ ? written_ : beginning_.size()) + used_ + more + end_bytes_;
  }

  void put(std::span<const std::byte> bytes) {
    if (!bytes.empty()) std::memcpy(buffer_.get() + used_, bytes.data(), bytes.size());
    used_ += bytes.size();
  }

  void write_out() {
    if (used_ == 0) return;
    const iovec part{buffer_.get(), used_};
    count_written(write_all({&part, 1}, used_), packets_, used_);
    used_ = 0;
    packets_ = 0;
  }
  void write_large(const RecordFrame& frame, const OutgoingPacket& packet, std::size_t size) {
    const auto part = [](std::span<const std::byte> bytes) {
      return iovec{const_cast<std::byte*>(bytes.data()), bytes.size()};
    };
    const std::array<iovec, 4> parts{part(frame.head()), part(packet.head), part(packet.body),
                                     part(frame.tail())};
    count_written(write_all(parts, size), 1, size);
  }

  void count_written(bool written, std::uint64_t packets, std::uint64_t bytes) {
    if (!written) {
      counts_.dropped[static_cast<unsigned>(DropCause::kSendError)].add(packets);
      return;
    }
    counts_.forwarded.add(packets);
    counts_.bytes.add(bytes);
    written_ += bytes;
  }

  /// All of it, or nothing.
  bool write_all(std::span<const iovec> parts, std::size_t size) {
    if (failing_ || (!file_ && !open_next())) return false;
    const ssize_t done = ::writev(file_.get(), parts.data(), static_cast<int>(parts.size()));
    if (done == static_cast<ssize_t>(size)) return true;
    fail(done < 0 ? errno : ENOSPC);
    cut_off();
    return false;
  }

  /// The buffer is empty. Without its end, a file is whole all the same.
  void end_file() {
    const InterfaceTotals totals{counts_.forwarded.value() + counts_.dropped_total(),
                                 counts_.dropped_total()};
    const auto end = ending_of(config_.heading.format, wall_clock_ns(), {&totals, kInterfaces});
    const bool wanted = file_ && !failing_ && !end.empty();
    if (wanted && ::write(file_.get(), end.data(), end.size()) != static_cast<ssize_t>(end.size()))
      cut_off();
    file_.reset();
  }

  /// Readers take half a record for damage. What follows is appended.
  void cut_off() {
    [[maybe_unused]] const int cut = ::ftruncate(file_.get(), static_cast<off_t>(written_));
  }

  /// Is there room again, for more than the next buffer? The buffer is empty.
  void probe() {
    next_probe_ = Clock::now() + config_.probe_interval;
    if (!file_) {
      if (open_next()) recovered();
      return;
    }
    std::memset(buffer_.get(), 0, kBufferBytes);
    std::array<iovec, kBuffersOfRoom> room;
    room.fill({buffer_.get(), kBufferBytes});
    const ssize_t done = ::writev(file_.get(), room.data(), static_cast<int>(room.size()));
    cut_off();
    if (done == static_cast<ssize_t>(kBuffersOfRoom * kBufferBytes)) recovered();
  }

  bool open_next() {
    const std::string path =
        config_.folder + "/" + config_.prefix + "-" + std::to_string(next_) +
        (config_.heading.format == CaptureFormat::kPcapng ? ".pcapng" : ".pcap");
    file_.reset(::open(path.c_str(),
                       O_WRONLY | O_APPEND | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640));
    const ssize_t done = file_ ? ::write(file_.get(), beginning_.data(), beginning_.size()) : -1;
    if (done != static_cast<ssize_t>(beginning_.size())) {
      fail(done < 0 ? errno : ENOSPC);
      file_.reset();
      return false;
    }
    next_ = (next_ + 1) % config_.files;
    written_ = beginning_.size();
    return true;
  }

  void fail(int error) {
    if (std::exchange(failing_, true)) return;
    next_probe_ = Clock::now() + config_.probe_interval;
    if (on_fault_) on_fault_(config_.folder + ": " + std::strerror(error));
  }
  void recovered() {
    if (std::exchange(failing_, false) && on_recovered_) on_recovered_();
  }

  FileConfig config_;
  FaultHandler on_fault_;
  std::function<void()> on_recovered_;
  std::vector<std::byte> beginning_;  // of each file
  std::size_t end_bytes_;             // of each file
  net::UniqueFd file_;
  std::uint64_t written_ = 0;  // to this file
  unsigned next_ = 0;
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t used_ = 0;
  std::uint64_t packets_ = 0;  // in the buffer
  bool failing_ = false;
  Clock::time_point next_probe_;
};

}  // namespace

std::unique_ptr<Output> make_file_output(FileConfig config, FaultHandler on_fault,
                                         std::function<void()> on_recovered) {
  return std::make_unique<FileOutput>(std::move(config), std::move(on_fault),
                                      std::move(on_recovered));
}

}  // namespace sidetap::forwarding
