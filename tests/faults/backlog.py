"""What a tap keeps while packets cannot leave, and sends when they can: each once, in order, with its own time stamp."""
import signal
import socket
import time

from bench import POD, Failure, expect, wait_for
from sidetap_lab.capture import PcapFolder

ASKED = 9999  # the port that the application asks


def questions(folder):
    """Time stamp and number of each question of the application's, in the order in which the sensor got them."""
    for frame in PcapFolder(folder).take():
        data = frame.data
        if data[12:14] == b"\x08\x00" and data[23] == socket.IPPROTO_UDP and data[26:30] == socket.inet_aton(POD):
            if int.from_bytes(data[36:38], "big") == ASKED:
                yield frame.time, int.from_bytes(data[42:50], "big")


def expect_complete(folder, since, least=21):
    """Every question from the moment `since` on, once, in order, with time stamps that go on with the questions."""
    got = list(questions(folder))
    numbers = [number for _, number in got]
    expect(len(numbers) >= least, f"only {len(numbers)} questions arrived")
    expect(numbers == list(range(numbers[0], numbers[0] + len(numbers))), "questions are missing, doubled or out of order")
    stamps = [stamp for stamp, _ in got]
    expect(stamps == sorted(stamps), "time stamps go back")
    expect(stamps[0] < since, f"the first time stamp is {stamps[0] - since:.3f} s too late")


def lives_for(bench, lifetime, least):
    """A pod that lives for so many seconds, and whose session takes 400 ms, asks at least so many questions: all arrive."""
    sensor = bench.start_sensor("--fault", "start-after=400", "--output-dir", bench.folder_for("captures"))
    bench.start_tap()
    wait_for("the tap captures", lambda: bench.metrics().get('sidetap_packets_seen_total{interface="eth0"}', 0) > 0)
    begun = time.time()
    time.sleep(lifetime)
    ledger = bench.stop_tap()
    totals = bench.stop_sensor(sensor)
    expect(ledger["delayed"] > 0, "nothing waited: it shows nothing")
    expect(ledger["dropped_no_session"] == 0 and totals["packets"] == ledger["forwarded"], f"{ledger}, arrived {totals['packets']}")
    expect_complete(bench.path("captures"), begun + 0.1, least)


def lives_for_a_second(bench):
    """Of a pod that lives for a second, and gets its session meanwhile, everything arrives."""
    lives_for(bench, 0.9, least=21)


def lives_for_a_moment(bench):
    """Of a pod that ends before its tap's first session, everything arrives: the tap waits for the session."""
    lives_for(bench, 0.2, least=5)


def dials_in_vain(bench):
    """Comes back when the tap, which has no sensor, is to wait for at least 4 s until it dials again."""
    wait_for("the tap has dialled five times", lambda: bench.ends("connect") >= 5)


def comes_at_the_end(bench):
    """A sensor that comes after the tap was told to end gets everything that was kept: the tap goes on dialling."""
    bench.start_tap()
    wait_for("packets wait", lambda: bench.waiting() > 0)
    begun = time.time()
    dials_in_vain(bench)
    sensors = []
    ledger = bench.stop_tap(
        meanwhile=lambda: sensors.append(bench.start_sensor("--output-dir", bench.folder_for("captures"))))
    totals = bench.stop_sensor(sensors[0])
    expect("waiting for the first session" in bench.text("tap.log"), "the tap does not say that it waits")
    expect(ledger["dropped_no_session"] == 0 and totals["packets"] == ledger["forwarded"], f"{ledger}, arrived {totals['packets']}")
    expect_complete(bench.path("captures"), begun)


def told_twice_to_end(bench):
    """A tap that is told again to end waits no longer for its first session; what it kept is counted as lost."""
    bench.start_tap()
    wait_for("packets wait", lambda: bench.waiting() >= 20)

    def tell_again():
        wait_for("the tap waits", lambda: "waiting for the first session" in bench.text("tap.log"))
        bench.tap.send_signal(signal.SIGTERM)

    ledger = bench.stop_tap(meanwhile=tell_again)
    log = bench.text("tap.log")
    expect("stopping without waiting any longer" in log, "the tap did not heed the second signal")
    expect("no session took what was still waiting" in log, "the tap does not say that packets are lost")
    expect(ledger["dropped_no_session"] == ledger["delayed"] == ledger["owned"] > 0, f"not all is lost: {ledger}")


def away_for_a_while(bench):
    """While the sensor is away everything is kept, and arrives when it is back."""
    bench.start_tap()
    wait_for("the tap answers", bench.metrics)
    begun = time.time()
    bench.application.flood(megabytes=12)  # 10 s of 10 Mbit/s
    time.sleep(2)
    sensor = bench.start_sensor("--output-dir", bench.folder_for("captures"))
    bench.wait_for_capture()
    wait_for("nothing waits any more", lambda: bench.waiting() == 0)
    bench.wait_for_packets()
    ledger = bench.stop_tap()
    totals = bench.stop_sensor(sensor)
    expect(ledger["dropped_no_session"] == 0 and totals["packets"] == ledger["forwarded"], f"{ledger}, arrived {totals['packets']}")
    expect_complete(bench.path("captures"), begun + 0.1)


def hung_for_a_moment(bench):
    """A sensor that hangs for less than the backlog holds misses nothing."""
    sensor = bench.start_sensor("--data", "tcp", "--output-dir", bench.folder_for("captures"))
    bench.start_tap()
    bench.wait_for_capture()
    bench.wait_for_packets()
    begun = time.time()
    sensor.send_signal(signal.SIGSTOP)
    bench.application.flood(megabytes=30)
    wait_for("packets wait", lambda: bench.waiting() > 1000)
    sensor.send_signal(signal.SIGCONT)
    wait_for("nothing waits any more", lambda: bench.waiting() == 0)
    bench.wait_for_packets()
    ledger = bench.stop_tap()
    totals = bench.stop_sensor(sensor)
    expect(ledger["dropped_socket_full"] == 0 and totals["packets"] == ledger["forwarded"],
           f"{ledger}, arrived {totals['packets']}")
    expect_complete(bench.path("captures"), begun)


def memory_limit(bench):
    """At its memory limit, with no sensor and more to keep than fits, the tap neither dies nor holds more than it may."""
    limit = 96 << 20
    with bench.memory_limited(limit) as group:
        bench.start_tap("--backlog", "1G")
        wait_for("the tap answers", bench.metrics)
        bench.application.flood(megabytes=100)
        wait_for("the backlog is full", lambda: bench.metrics().get(bench.NO_SESSION, 0) > 0)
        expect("smaller than --backlog" in bench.text("tap.log"), "the tap does not say that it keeps less")
        sensor = bench.start_sensor("--data", "tcp")
        bench.wait_for_capture()
        sensor.send_signal(signal.SIGSTOP)
        bench.application.flood(megabytes=100)
        sensor.send_signal(signal.SIGCONT)
        wait_for("nothing waits any more", lambda: bench.waiting() == 0)
        bench.wait_for_packets()
        expect(group.peak() <= limit, f"{group.peak()} bytes at a limit of {limit}")
        expect(group.kills() == 0, "the kernel killed a process of the group")
        ledger = bench.stop_tap()
        totals = bench.stop_sensor(sensor)
        expect(totals["packets"] == ledger["forwarded"], f"forwarded {ledger['forwarded']}, arrived {totals['packets']}")
        if ledger["delayed"] * 1200 < 40e6:
            raise Failure(f"hardly anything was kept: {ledger}")


BACKLOG_FAULTS = [lives_for_a_second, lives_for_a_moment, comes_at_the_end, told_twice_to_end, away_for_a_while, hung_for_a_moment, memory_limit]
