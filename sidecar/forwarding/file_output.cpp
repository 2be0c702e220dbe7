#include "sidecar/forwarding/file_output.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shared/net/unique_fd.h"

namespace sidetap::forwarding {
namespace {

constexpr std::size_t kBufferBytes = 64 * 1024;
// What a disk must hold to count as not full any more: what fails for want of one more buffer would
// else come and go.
constexpr std::size_t kBuffersOfRoom = 4;
constexpr std::uint32_t kMaxSnaplen = 262'144;

// In this machine's byte order; the magic number tells a reader which that is.
struct FileHeader {
  std::uint32_t magic = 0xa1b2c3d4;
  std::uint16_t major = 2;
  std::uint16_t minor = 4;
  std::uint32_t zone = 0;
  std::uint32_t accuracy = 0;
  std::uint32_t snaplen = kMaxSnaplen;
  std::uint32_t link_type = 0;
};
static_assert(sizeof(FileHeader) == 24);
struct RecordHeader {
  std::uint32_t seconds;
  std::uint32_t microseconds;
  std::uint32_t captured;
  std::uint32_t length;
};
static_assert(sizeof(RecordHeader) == 16);

class FileOutput final : public Output {
  using Clock = std::chrono::steady_clock;

 public:
  FileOutput(FileConfig config, FaultHandler on_fault, std::function<void()> on_recovered)
      : config_(std::move(config)),
        on_fault_(std::move(on_fault)),
        on_recovered_(std::move(on_recovered)),
        buffer_(std::make_unique_for_overwrite<std::byte[]>(kBufferBytes)) {}

  void add(const OutgoingPacket& packet) override {
    const std::size_t size = sizeof(RecordHeader) + packet.head.size() + packet.body.size();
    if (file_ && written_ + used_ + size > config_.file_bytes) {
      write_out();
      file_.reset();
    }
    if (kBufferBytes - used_ < size) write_out();
    const RecordHeader record{packet.header.seconds, packet.header.microseconds,
                              packet.header.captured, packet.header.length};
    if (size > kBufferBytes) {
      write_large(record, packet);
      return;
    }
    put(&record, sizeof record);
    put(packet.head.data(), packet.head.size());
    put(packet.body.data(), packet.body.size());
    ++packets_;
  }
  void flush() override {
    write_out();
    if (failing_ && Clock::now() >= next_probe_) probe();
  }

 private:
  void put(const void* bytes, std::size_t size) {
    if (size != 0) std::memcpy(buffer_.get() + used_, bytes, size);
    used_ += size;
  }

  void write_out() {
    if (used_ == 0) return;
    const iovec part{buffer_.get(), used_};
    finish(write_all({&part, 1}, used_), packets_, used_);
    used_ = 0;
    packets_ = 0;
  }
  void write_large(const RecordHeader& record, const OutgoingPacket& packet) {
    const auto part = [](const void* bytes, std::size_t size) {
      return iovec{const_cast<void*>(bytes), size};
    };
    const std::array<iovec, 3> parts{part(&record, sizeof record),
                                     part(packet.head.data(), packet.head.size()),
                                     part(packet.body.data(), packet.body.size())};
    const std::size_t size = sizeof record + packet.head.size() + packet.body.size();
    finish(write_all(parts, size), 1, size);
  }

  void finish(bool written, std::uint64_t packets, std::uint64_t bytes) {
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
        config_.folder + "/" + config_.prefix + "-" + std::to_string(next_) + ".pcap";
    file_.reset(::open(path.c_str(),
                       O_WRONLY | O_APPEND | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640));
    FileHeader header;
    header.link_type = config_.link_type;
    const ssize_t done = file_ ? ::write(file_.get(), &header, sizeof header) : -1;
    if (done != sizeof header) {
      fail(done < 0 ? errno : ENOSPC);
      file_.reset();
      return false;
    }
    next_ = (next_ + 1) % config_.files;
    written_ = sizeof header;
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
