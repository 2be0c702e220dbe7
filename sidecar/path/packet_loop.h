// The capture thread of one interface: reads, decides and sends until it is told to stop.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <poll.h>

#include "shared/net/cidr.h"
#include "shared/result.h"
#include "shared/rpcap/messages.h"
#include "shared/telemetry/metrics.h"
#include "sidecar/capture/device.h"
#include "sidecar/capture/packet_source.h"
#include "sidecar/mesh/mesh_kind.h"
#include "sidecar/ownership/engine.h"
#include "sidecar/path/capture_register.h"
#include "sidecar/path/command_queue.h"
#include "sidecar/path/leg_path.h"
#include "sidecar/path/pipeline.h"
#include "sidecar/path/receivers.h"
#include "sidecar/path/source_slot.h"

namespace sidetap {

struct CaptureLoopConfig {
  std::string interface;
  std::string description;           ///< "NAMESPACE/POD", for the sensor.
  std::vector<std::string> sensors;  ///< Keys of captures that are counted one by one.
  PipelineConfig pipeline;
  /// Called on the control thread for what sensors are told of the interface. Null: what the system
  /// knows of it.
  std::function<rpcap::Interface()> describe;
  ownership::EngineConfig engine;
  /// Peers whose packets are never owned (VIP views that are dropped): left to the kernel's filter.
  std::vector<net::Cidr> unowned_peers;
  capture::CaptureMethod method = capture::CaptureMethod::kAuto;
  std::size_t buffer_bytes = 4U << 20;
  /// The plaintext of a mesh, which travels in the captures of this interface. Null: none.
  std::shared_ptr<LegPath> legs;
  std::chrono::milliseconds flush_interval{10};  ///< A partial batch leaves after this.
  /// For a source without blocks, which is readable with each packet. Two reads that find packets
  /// begin at least so far apart: what comes densely is read together, and what comes after a pause
  /// is read at once. Less than a second.
  std::chrono::microseconds gather{0};
  /// What is read later than that after it passed is decided by what holds then.
  std::chrono::milliseconds longest_backlog{2'000};
  /// At the tap's end, what waits in the backlog has so long to leave, and the first capture to
  /// come.
  std::chrono::milliseconds hand_over{2'000};
  /// By which the capture thread answers the control thread. Null only for a loop that never runs.
  CommandQueue::Reply reply;
  /// Called on the capture thread once it runs and the interface is open: what the thread may do
  /// beyond that, it needs no more.
  std::function<void()> give_up_rights;
  /// Called on the capture thread when is_open() or is_working() have changed, and when an
  /// interface that is there could not be opened for a minute.
  std::function<void()> on_change;
  std::function<void(std::string)> on_lost;
};

/// What became of the packets of all captures, and what the kernel says.
struct LoopCounts : CaptureTotals {
  capture::SourceCounts source{};
  std::uint64_t reopened = 0;  ///< Times that the interface had to be opened anew.
  /// Of the pod, as of now. Nothing: its plaintext is not wanted.
  std::optional<mesh::Kind> mesh{};
  std::uint64_t loopback = 0;  ///< Packets of `source` that are the loopback interface's.
  std::size_t flows = 0;       ///< As of the engine, and those that it gave up.
  std::array<std::uint64_t, ownership::kFlowPhaseCount> flow_evictions{};
};

/// Bytes, with BIG TCP, as far as the kernel lets it be set (GSO_MAX_SIZE, 524,280), and its
/// headers.
inline constexpr std::uint32_t kLongestPacket = 540'000;

/// What is taken from the kernel of each packet, bytes.
std::uint32_t captured_bytes(const PipelineConfig& config, const Narrowing& narrowing);

/// The capture thread, but for turns() and what any thread may ask of engine(), slot() and
/// pipeline().
class PacketLoop {
 public:
  using Clock = std::chrono::steady_clock;

  /// `commands` outlives the loop, which runs them.
  PacketLoop(CaptureLoopConfig config, std::unique_ptr<capture::Device> device,
             std::unique_ptr<ownership::ListeningSockets> listening, CommandQueue& commands);

  /// Returns after stop(), when what the kernel holds is read and what is packed is sent.
  void run();
  void stop() { stopping_ = true; }
  /// How often the thread has looked for something to do: twice a second at least, unless it hangs.
  /// Any thread.
  std::uint64_t turns() const { return turns_.value(); }

  /// For the tap's end. Calls `done` on the control thread when nothing is left in the backlog that
  /// a capture would take, after CaptureLoopConfig::hand_over at the latest. If there has been no
  /// capture yet, the first one may come meanwhile: `awaits` is called on the control thread then,
  /// once. Until then the loop goes on, and what comes goes behind what waits. Afterwards nothing
  /// is captured any more: everything that passed before that moment has been sent, whichever ring
  /// it came through.
  void hand_over(std::function<void()> done, std::function<void()> awaits);
  /// Ends that as if its time were over, now or when it begins.
  void hurry() { hurried_ = true; }

  void add(std::uint64_t id, CaptureRegister::Capture capture);
  /// See CaptureLoop::advance().
  void advance(std::uint64_t stage, const Receivers& receivers);
  /// Takes the capture away, and gives its sensor a moment to read what is packed for it; the
  /// others must not pay for that.
  void end(std::uint64_t id);
  /// Error: there is no such capture.
  Result<void> set_sensor_filter(std::uint64_t id, forwarding::SensorFilter filter);
  /// For packets that are read from now on.
  void set_narrowing(const Narrowing& narrowing);
  rpcap::Stats stats(std::uint64_t id);
  LoopCounts counts();

  ownership::Engine& engine() { return engine_; }
  Pipeline& pipeline() { return pipeline_; }
  SourceSlot& slot() { return slot_; }
  const SourceSlot& slot() const { return slot_; }
  /// Null: none.
  LegPath* legs() { return config_.legs.get(); }
  /// Opens the interface and, where legs of a mesh are wanted, the loopback interface.
  void open();
  const CaptureLoopConfig& config() const { return config_; }

 private:
  struct HandOver {
    Clock::time_point deadline;
    std::function<void()> done;
    std::function<void()> awaits;  // null: called, or nobody asked for it
  };

  /// Takes what the slot reads.
  capture::PacketHandler& inlet();
  capture::SourceCounts source_counts();
  void drain();
  void give_up_rights();
  void keep_source();
  void filter_new_link();
  std::size_t read_source();
  void send_what_waits(const std::function<bool()>& goes_on);
  /// Gets packets now.
  bool is_present(const CaptureRegister::Capture& capture) const;
  Part part_of(const CaptureRegister::Capture& capture) const;
  int until_next_look() const;
  void wait(int timeout_ms);
  bool gather(int timeout_ms);
  void end_hand_overs(bool all);
  void tell_that_it_awaits();
  void abandon();

  CaptureLoopConfig config_;
  std::unique_ptr<ownership::ListeningSockets> listening_;
  CommandQueue& commands_;
  ownership::Engine engine_;
  Pipeline pipeline_;
  capture::PacketHandler& handler_;  // that of pipeline_ for packets of this source
  SourceSlot slot_;
  CaptureRegister captures_;
  std::uint64_t stage_ = 0;
  bool clients_look_on_;  // false: they take the place of sensors
  std::vector<HandOver> hand_overs_;
  bool hurried_ = false;
  bool told_that_it_awaits_ = false;
  bool stopping_ = false;
  Clock::time_point last_read_{};  // that found packets
  telemetry::HotCounter turns_;
  std::vector<pollfd> polled_;
  std::vector<int> blocked_;
};

}  // namespace sidetap
