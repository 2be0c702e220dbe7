#include "sidecar/forwarding/file_output.h"

#include <cstdio>
#include <utility>

namespace sidetap::forwarding {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

/// Numbers of this machine's byte order; the magic number tells a reader which that is.
template <typename... T>
bool write_numbers(std::FILE* file, T... numbers) {
  return ((std::fwrite(&numbers, sizeof numbers, 1, file) == 1) && ...);
}

class FileOutput final : public Output {
 public:
  explicit FileOutput(FileConfig config) : config_(std::move(config)) {}

  void add(const OutgoingPacket& packet) override {
    const std::uint64_t size = 16 + packet.head.size() + packet.body.size();
    if (file_ && written_ + size > config_.file_bytes) file_.reset();
    if (!file_ && !failed_) open_next();
    if (!file_ || !write(packet)) {
      counts_.dropped[static_cast<unsigned>(DropCause::kSendError)].add();
      file_.reset();
      failed_ = true;
      return;
    }
    written_ += size;
    unflushed_ = true;
    counts_.forwarded.add();
    counts_.bytes.add(size);
  }
  void flush() override {
    failed_ = false;
    unflushed_ = false;
    if (file_ && std::fflush(file_.get()) != 0) file_.reset();
  }
  bool pending() const override { return unflushed_; }

 private:
  void open_next() {
    const std::string path =
        config_.folder + "/" + config_.prefix + "-" + std::to_string(next_) + ".pcap";
    next_ = (next_ + 1) % config_.files;
    file_.reset(std::fopen(path.c_str(), "wbe"));
    written_ = 24;
    if (file_ &&
        !write_numbers(file_.get(), std::uint32_t{0xa1b2c3d4}, std::uint16_t{2}, std::uint16_t{4},
                       std::uint32_t{0}, std::uint32_t{0}, std::uint32_t{262'144},
                       static_cast<std::uint32_t>(config_.link_type)))
      file_.reset();
  }

  bool write(const OutgoingPacket& packet) {
    const rpcap::PacketHeader& header = packet.header;
    return write_numbers(file_.get(), header.seconds, header.microseconds, header.captured,
                         header.length) &&
           std::fwrite(packet.head.data(), 1, packet.head.size(), file_.get()) ==
               packet.head.size() &&
           std::fwrite(packet.body.data(), 1, packet.body.size(), file_.get()) ==
               packet.body.size();
  }

  FileConfig config_;
  std::unique_ptr<std::FILE, CloseFile> file_;
  std::uint64_t written_ = 0;
  unsigned next_ = 0;
  bool failed_ = false;
  bool unflushed_ = false;
};

}  // namespace

std::unique_ptr<Output> make_file_output(FileConfig config) {
  return std::make_unique<FileOutput>(std::move(config));
}

}  // namespace sidetap::forwarding
