#include "sidecar/forwarding/file_output.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shared/net/unique_fd.h"
#include "sidecar/forwarding/tap_interfaces.h"
#include "sidecar/forwarding/wall_clock.h"

namespace sidetap::forwarding {
namespace {

constexpr std::size_t kBufferBytes = 64 * 1024;
// What a disk must hold to count as not full any more: what fails for want of one more buffer would
// else come and go.
constexpr std::size_t kBuffersOfRoom = 4;
// With a number and an ending it fits a file's name, which has at most 255 bytes.
constexpr std::size_t kMostPrefix = 200;

/// Of a name that is too long the end stays: in it, the pods of an owner differ.
std::string safe_prefix(std::string prefix) {
  std::replace(prefix.begin(), prefix.end(), '/', '_');
  if (prefix.size() > kMostPrefix) prefix.erase(0, prefix.size() - kMostPrefix);
  return prefix;
}

class FileOutput final : public Output {
  using Clock = std::chrono::steady_clock;

 public:
  FileOutput(FileConfig config, FaultHandler on_fault, std::function<void()> on_recovered)
      : config_(std::move(config)),
        on_fault_(std::move(on_fault)),
        on_recovered_(std::move(on_recovered)),
        buffer_(std::make_unique_for_overwrite<std::byte[]>(kBufferBytes)) {
    config_.prefix = safe_prefix(std::move(config_.prefix));
    if (config_.identities && config_.heading.format == CaptureFormat::kPcapng) {
      taps_.emplace(config_.identities);
      config_.heading.interfaces.clear();
    }
    beginning_ = beginning_of(config_.heading);
    totals_.resize(config_.heading.interfaces.size());
  }

  void add(const OutgoingPacket& packet) override {
    const CaptureFormat format = config_.heading.format;
    const std::size_t size = record_size(format, packet.header.captured);
    const std::optional<std::uint32_t> interface = make_room(packet.origin, size);
    if (interface) ++totals_[*interface].received;
    if (!interface || failing_) return count_dropped(interface);
    const RecordFrame frame = frame_of(format, {.interface = *interface,
                                                .seconds = packet.header.seconds,
                                                .nanoseconds = packet.nanoseconds,
                                                .captured = packet.header.captured,
                                                .length = packet.header.length});
    if (size > kBufferBytes) return write_large(frame, packet, size, *interface);
    put(frame.head());
    put(packet.head);
    put(packet.body);
    put(frame.tail());
    buffered_.push_back(*interface);
  }
  void flush() override {
    write_out();
    if (failing_) {
      if (Clock::now() >= next_probe_) probe();
    } else if (file_ && config_.file_age.count() != 0 &&
               Clock::now() - opened_ >= config_.file_age) {
      end_file();
    }
  }
  void finish() override {
    flush();
    end_file();
  }

 private:
  bool holds_some() const { return file_ || used_ != 0 || !additions_.empty(); }
  /// With `more` bytes, `interfaces` more interfaces, and its end.
  bool is_too_large_with(std::size_t more, std::size_t interfaces) const {
    const std::uint64_t size = (file_ ? written_ : beginning_.size()) + additions_.size() + used_ +
                               more +
                               ending_size(config_.heading.format, totals_.size() + interfaces);
    return holds_some() && size > config_.file_bytes;
  }
  std::size_t room() const { return kBufferBytes - additions_.size() - used_; }

  std::optional<std::uint32_t> interface_of(std::uint32_t origin) {
    return taps_ ? taps_->find(origin) : std::optional<std::uint32_t>(0);
  }

  /// In a file, and in the buffer if the packet fits there at all. Returns the packet's interface;
  /// nothing: it has none, and cannot get one while nothing can be written.
  std::optional<std::uint32_t> make_room(std::uint32_t origin, std::size_t size) {
    std::optional<std::uint32_t> interface = interface_of(origin);
    if (failing_) return interface;
    if (interface && is_too_large_with(size, 0)) {
      next_file();
      interface = interface_of(origin);
    }
    if (!interface) interface = introduce(origin, size);
    if (room() < size) write_out();
    return interface;
  }

  /// Into this file, or the next one if this has no room for its packet too.
  std::optional<std::uint32_t> introduce(std::uint32_t origin, std::size_t size) {
    TapInterfaces::Newcomer newcomer = taps_->meet(origin);
    std::vector<std::byte> blocks = blocks_of(newcomer);
    const std::size_t interfaces = newcomer.interface ? 0U : 1U;
    if (is_too_large_with(size + blocks.size(), interfaces) ||
        (interfaces != 0 && taps_->is_full())) {
      next_file();
      newcomer = taps_->meet(origin);
      blocks = blocks_of(newcomer);
    }
    if (room() < blocks.size()) write_out();
    if (failing_) return std::nullopt;
    additions_.insert(additions_.end(), blocks.begin(), blocks.end());
    const std::uint32_t interface = taps_->add(origin, newcomer);
    if (interface == totals_.size()) totals_.emplace_back();
    return interface;
  }

  /// Much less than kBufferBytes, because texts and the number of names are bounded.
  std::vector<std::byte> blocks_of(const TapInterfaces::Newcomer& newcomer) const {
    return addition_to(config_.heading, newcomer.interface ? nullptr : &newcomer.label,
                       newcomer.names);
  }

  void next_file() {
    write_out();
    end_file();
  }

  void put(std::span<const std::byte> bytes) {
    if (!bytes.empty()) std::memcpy(buffer_.get() + used_, bytes.data(), bytes.size());
    used_ += bytes.size();
  }
  static iovec part_of(std::span<const std::byte> bytes) {
    return {const_cast<std::byte*>(bytes.data()), bytes.size()};
  }

  /// New interfaces, which stay if they cannot be written, before their packets, which are dropped.
  void write_out() {
    if (additions_.empty() && used_ == 0) return;
    const std::array<iovec, 2> parts{part_of(additions_), iovec{buffer_.get(), used_}};
    if (write_all(parts, additions_.size() + used_)) {
      counts_.forwarded.add(buffered_.size());
      counts_.bytes.add(used_);
      additions_.clear();
    } else {
      for (const std::uint32_t interface : buffered_) count_dropped(interface);
    }
    used_ = 0;
    buffered_.clear();
  }
  /// Nothing else waits.
  void write_large(const RecordFrame& frame, const OutgoingPacket& packet, std::size_t size,
                   std::uint32_t interface) {
    const std::array<iovec, 4> parts{part_of(frame.head()), part_of(packet.head),
                                     part_of(packet.body), part_of(frame.tail())};
    if (!write_all(parts, size)) return count_dropped(interface);
    counts_.forwarded.add();
    counts_.bytes.add(size);
  }

  void count_dropped(std::optional<std::uint32_t> interface) {
    counts_.dropped[static_cast<unsigned>(DropCause::kSendError)].add();
    if (interface) ++totals_[*interface].dropped;
  }

  /// All of it, or nothing.
  bool write_all(std::span<const iovec> parts, std::size_t size) {
    if (failing_ || (!file_ && !open_next())) return false;
    const ssize_t done = ::writev(file_.get(), parts.data(), static_cast<int>(parts.size()));
    if (done == static_cast<ssize_t>(size)) {
      written_ += size;
      return true;
    }
    fail(done < 0 ? errno : ENOSPC);
    spoiled_ = !cut_off();
    return false;
  }

  /// The buffer is empty. Without its end, a file is whole all the same.
  void end_file() {
    if (file_ && !failing_) {
      // Interfaces whose packets were all dropped are told too.
      std::vector<std::byte> end = std::move(additions_);
      const auto totals = ending_of(config_.heading.format, wall_clock_ns(), totals_);
      end.insert(end.end(), totals.begin(), totals.end());
      if (!end.empty() &&
          ::write(file_.get(), end.data(), end.size()) != static_cast<ssize_t>(end.size()))
        (void)cut_off();
    }
    leave_file();
  }
  void leave_file() {
    file_.reset();
    spoiled_ = false;
    additions_.clear();
    totals_.assign(config_.heading.interfaces.size(), {});
    if (taps_) taps_->clear();
  }

  /// Readers take half a record for damage. What follows is appended, so it must not follow if this
  /// fails.
  bool cut_off() { return ::ftruncate(file_.get(), static_cast<off_t>(written_)) == 0; }

  /// Is there room again, for more than the next buffer? The buffer is empty.
  void probe() {
    next_probe_ = Clock::now() + config_.probe_interval;
    if (spoiled_) leave_file();
    if (!file_) {
      if (open_next()) recovered();
      return;
    }
    std::memset(buffer_.get(), 0, kBufferBytes);
    std::array<iovec, kBuffersOfRoom> trial;
    trial.fill({buffer_.get(), kBufferBytes});
    const ssize_t done = ::writev(file_.get(), trial.data(), static_cast<int>(trial.size()));
    spoiled_ = !cut_off();
    if (done == static_cast<ssize_t>(kBuffersOfRoom * kBufferBytes) && !spoiled_) recovered();
  }

  bool open_next() {
    const std::string path =
        config_.folder + "/" + config_.prefix + "-" + std::to_string(next_) +
        (config_.heading.format == CaptureFormat::kPcapng ? ".pcapng" : ".pcap");
    // Without O_NONBLOCK, a pipe in place of the file would stop the packet path.
    file_.reset(::open(
        path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
        0640));
    struct stat facts {};
    if (file_ && ::fstat(file_.get(), &facts) == 0 && !S_ISREG(facts.st_mode)) {
      fail(EEXIST);
      file_.reset();
      return false;
    }
    const ssize_t done = file_ ? ::write(file_.get(), beginning_.data(), beginning_.size()) : -1;
    if (done != static_cast<ssize_t>(beginning_.size())) {
      fail(done < 0 ? errno : ENOSPC);
      file_.reset();
      return false;
    }
    next_ = (next_ + 1) % config_.files;
    written_ = beginning_.size();
    opened_ = Clock::now();
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
  std::optional<TapInterfaces> taps_;    // of this file
  std::vector<std::byte> beginning_;     // of each file
  std::vector<InterfaceTotals> totals_;  // of this file, by interface
  net::UniqueFd file_;
  Clock::time_point opened_;
  std::uint64_t written_ = 0;  // to this file
  unsigned next_ = 0;
  std::vector<std::byte> additions_;  // for this file: what has to stand before what is buffered
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t used_ = 0;
  std::vector<std::uint32_t> buffered_;  // the interface of each packet in the buffer
  bool failing_ = false;
  bool spoiled_ = false;  // the file ends with a part of a record; nothing is appended any more
  Clock::time_point next_probe_;
};

}  // namespace

std::unique_ptr<Output> make_file_output(FileConfig config, FaultHandler on_fault,
                                         std::function<void()> on_recovered) {
  // A limit of the size of files is as a full disk. By default, the signal ends the process.
  std::signal(SIGXFSZ, SIG_IGN);
  return std::make_unique<FileOutput>(std::move(config), std::move(on_fault),
                                      std::move(on_recovered));
}

}  // namespace sidetap::forwarding
