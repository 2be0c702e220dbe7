#!/usr/bin/env python3
"""What a tap does when its sensor, the way there or the registry fails. Each fault of a sensor ends with a ledger that
adds up."""
import argparse
import datetime
import glob
import os
import signal
import subprocess
import sys
import time

from backlog import BACKLOG_FAULTS
from bench import OTHER_SENSOR, POD, SENSOR, Bench, Failure, Skipped, expect, outcomes, wait_for
from registry import RegistryBench, registry


def no_fault(bench):
    """Without a fault the tap's count and the sensor's agree."""
    sensor = bench.start_sensor("--data", "udp")
    bench.start_tap()
    bench.wait_for_capture()
    bench.wait_for_packets()
    ledger = bench.stop_tap()
    totals = bench.stop_sensor(sensor)
    expect(totals["packets"] == ledger["forwarded"], f"forwarded {ledger['forwarded']}, arrived {totals['packets']}")
    expect(totals["lost_datagrams"] == 0 and totals["malformed"] == 0, f"the sensor says {totals}")


def killed(bench):
    """A sensor that dies, and its successor at the same address, get what is captured while they are there."""
    first = bench.start_sensor("--data", "udp")
    bench.start_tap()
    bench.wait_for_capture()
    bench.wait_for_packets()
    first.kill()
    first.wait()
    wait_for("the session ends", lambda: bench.capturing() == 0)
    second = bench.start_sensor("--data", "udp")
    bench.wait_for_capture()
    bench.wait_for_packets()
    bench.stop_tap()
    expect(bench.stop_sensor(second)["packets"] >= 50, "the second sensor got nothing")


def dead(bench):
    """A sensor from which nothing comes any more is noticed within 15 s, and dialled again."""
    sensor = bench.start_sensor("--data", "udp")
    bench.start_tap()
    bench.wait_for_capture()
    bench.outside.nft("table ip cut { chain in { type filter hook input priority 0; policy drop; }; }")
    wait_for("the dead peer is noticed", lambda: bench.ends("lost", "timeout") == 1, seconds=15)
    bench.outside.nft("delete table ip cut")
    bench.wait_for_capture()
    bench.wait_for_packets()
    bench.stop_tap()
    bench.stop_sensor(sensor)


def port_unreachable(bench):
    """A data port where nobody listens ends the session, which is dialled again."""
    sensor = bench.start_sensor("--data", "udp", "--udp-port", "5555")
    bench.start_tap()
    bench.wait_for_capture()
    bench.outside.nft("table ip cut { chain in { type filter hook input priority 0;"
                      " udp dport 5555 reject with icmp port-unreachable; }; }")
    wait_for("the fault is noticed", lambda: bench.ends("data") >= 1)
    bench.outside.nft("delete table ip cut")
    bench.wait_for_capture()
    bench.wait_for_packets()
    bench.stop_tap()
    bench.stop_sensor(sensor)


def hung(bench):
    """A sensor that hangs, with more traffic than the tap holds, costs the application nothing, and gets packets again when
    it goes on."""
    sensor = bench.start_sensor("--data", "tcp")
    bench.start_tap("--backlog", "4M")
    bench.wait_for_capture()
    bench.wait_for_packets()
    sensor.send_signal(signal.SIGSTOP)
    answered = bench.application.answered
    bench.application.flood(megabytes=40)
    wait_for("the application is answered meanwhile", lambda: bench.application.answered >= answered + 200)
    sensor.send_signal(signal.SIGCONT)
    bench.wait_for_packets()
    ledger = bench.stop_tap()
    expect(bench.application.unanswered == 0, "the application got no answer")
    expect(ledger["dropped_socket_full"] > 0, "the tap had room for everything: it cannot have met the hanging sensor")
    totals = bench.stop_sensor(sensor)
    expect(totals["packets"] == ledger["forwarded"], f"forwarded {ledger['forwarded']}, arrived {totals['packets']}")


def stops_reading(bench):
    """A sensor that takes no more data fills the tap's socket: what does not fit is dropped and counted."""
    sensor = bench.start_sensor("--data", "tcp", "--fault", "stop-reading")
    bench.start_tap("--backlog", "4M")
    bench.wait_for_capture()
    bench.application.flood(megabytes=40)
    expect(bench.application.unanswered == 0, "the application got no answer")
    ledger = bench.stop_tap()
    expect(ledger["dropped_socket_full"] > 0, "nothing was dropped: the socket cannot have been full")
    bench.stop_sensor(sensor)


def refusing(bench):
    """A sensor that refuses is asked again, and taken when it relents."""
    sensor = bench.start_sensor("--fault", "refuse")
    bench.start_tap()
    wait_for("two refusals", lambda: bench.ends("refused") >= 2)
    bench.stop_sensor(sensor)
    sensor = bench.start_sensor()
    bench.wait_for_capture()
    bench.wait_for_packets()
    bench.stop_tap()
    bench.stop_sensor(sensor)


def name_changing(bench):
    """The sensor's name leads elsewhere: it is looked up anew at each dial."""
    hosts = bench.path("hosts")

    def lead_to(address):
        with open(hosts, "w", encoding="ascii") as file:
            file.write(f"127.0.0.1 localhost\n{address} sensor.test\n")

    lead_to(SENSOR)
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)  # in our own mount namespace
    try:
        first = bench.start_sensor()
        bench.start_tap(sensor="sensor.test")
        bench.wait_for_capture()
        second = bench.start_sensor(address=OTHER_SENSOR)
        lead_to(OTHER_SENSOR)
        bench.stop_sensor(first)
        bench.wait_for_capture()
        bench.wait_for_packets()
        bench.stop_tap()
        expect(bench.stop_sensor(second)["packets"] >= 50, "the second address got nothing")
    finally:
        subprocess.run(["umount", "/etc/hosts"], check=True)


def datagrams_dropped(bench):
    """What is lost on the way is the sensor's to count: both counts together add up."""
    sensor = bench.start_sensor("--data", "udp", "--fault", "drop-every=10")
    bench.start_tap()
    bench.wait_for_capture()
    bench.wait_for_packets(200)
    ledger = bench.stop_tap()
    totals = bench.stop_sensor(sensor)
    expect(totals["lost_datagrams"] > 0, "nothing was dropped")
    # Packets missing after the last one that arrived cannot be detected: they were in one or two datagrams.
    missing = totals["missing_packets"]
    expect(0 <= ledger["forwarded"] - totals["packets"] - missing <= 2,
           f"{totals['packets']} arrived and {missing} are missing of {ledger['forwarded']}")


def path_mtu_lowered(bench):
    """Datagrams follow the path's MTU; none is ever fragmented."""
    sensor = bench.start_sensor("--data", "udp")
    bench.start_tap()
    bench.wait_for_capture()
    bench.wait_for_packets()
    # The route back does not change: only the path to the sensor is narrow.
    bench.router.ip("link set out mtu 1300")
    time.sleep(1)
    before = bench.forwarded()
    wait_for("packets are forwarded", lambda: bench.forwarded() >= before + 200)
    bench.stop_tap()
    totals = bench.stop_sensor(sensor)
    expect(totals["packets"] >= 200, "too few packets arrived")
    with bench.pod, open("/proc/thread-self/net/snmp", encoding="ascii") as file:
        names, values = [line.split() for line in file if line.startswith("Ip:")]
    created = int(values[names.index("FragCreates")])
    expect(created == 0, f"{created} fragments were sent")


def path_mtu_learnt_late(bench):
    """That a large datagram did not fit is told when the next one is sent: a small one makes none smaller than the path's."""
    bench.application.size = 8
    sensor = bench.start_sensor("--data", "udp")
    bench.start_tap()
    bench.wait_for_capture()
    bench.router.ip("link set out mtu 1300")
    bench.application.send(20, pause=0.05)
    bench.application.send(1000, pause=0.0005)
    bench.wait_for_packets()
    ledger = bench.stop_tap()
    totals = bench.stop_sensor(sensor)
    expect(totals["lost_datagrams"] > 0, "nothing was too large for the path")
    expect(totals["datagrams"] < 1.5 * totals["packets"], f"{totals['datagrams']} datagrams for {totals['packets']} packets")
    expect(ledger["dropped_too_large"] == 0, f"{ledger['dropped_too_large']} packets that fit were dropped")


def interface_down_and_up(bench):
    """The tap outlives its interface going down."""
    sensor = bench.start_sensor("--data", "udp")
    bench.start_tap()
    bench.wait_for_capture()
    bench.pod.ip("link set eth0 down")
    time.sleep(1)
    bench.pod.ip("link set eth0 up", "route add default via 10.99.0.1")
    bench.wait_for_capture()
    bench.wait_for_packets()
    bench.stop_tap()
    bench.stop_sensor(sensor)


def clock_stepped(bench):
    """Steps of the clock, an hour back and two days ahead, end no session and stop nothing."""
    faketime = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    expect(faketime, "faketime is not installed")
    step = bench.path("step")

    def step_to(offset):
        with open(step, "w", encoding="ascii") as file:
            file.write(offset)

    step_to("+0")
    bench.tap_prefix = ["env", f"LD_PRELOAD={faketime[0]}", f"FAKETIME_TIMESTAMP_FILE={step}", "FAKETIME_NO_CACHE=1",
                        "FAKETIME_DONT_FAKE_MONOTONIC=1"]
    sensor = bench.start_sensor("--data", "udp")
    bench.start_tap("--max-packet-rate", "100000")
    bench.wait_for_capture()
    for offset in ("-3600", "+172800"):
        bench.wait_for_packets()
        step_to(offset)
        time.sleep(1)
        bench.wait_for_packets()
    expect(bench.ends("lost", "timeout", "closed", "refused") == 0, "a session has ended")
    ledger = bench.stop_tap()
    totals = bench.stop_sensor(sensor)
    expect(totals["packets"] == ledger["forwarded"], f"forwarded {ledger['forwarded']}, arrived {totals['packets']}")
    now = datetime.datetime.now(datetime.timezone.utc)
    last = bench.text("tap.log").splitlines()[-1].split()[0]
    expect(datetime.datetime.fromisoformat(last) - now > datetime.timedelta(days=1), f"the tap's clock was not stepped: {last}")


def failover(bench):
    """The second sensor gets the packets while the first is away, and no longer."""
    second = bench.start_sensor(address=OTHER_SENSOR)
    bench.start_tap("--sensor-mode", "failover", sensor=f"{SENSOR},{OTHER_SENSOR}")
    bench.wait_for_capture()
    bench.wait_for_packets()
    first = bench.start_sensor()
    wait_for("the first takes over", lambda: bench.metrics().get(
        f'sidetap_session_dials_total{{sensor="{SENSOR}:2003"}}', 0) >= 2 and "forwarding to sensor sensor=\""
        + SENSOR in bench.text("tap.log"))
    wait_for("the second is let go", lambda: bench.capturing() == 1)
    bench.wait_for_packets()
    bench.stop_tap(sensors=2)
    expect(bench.stop_sensor(first)["packets"] >= 50, "the first sensor got nothing")
    bench.stop_sensor(second)


def one_of_two_away(bench):
    """Where each of two sensors is to get everything, what one of them misses is counted."""
    there = bench.start_sensor()
    bench.start_tap(sensor=f"{SENSOR},{OTHER_SENSOR}")
    bench.wait_for_capture()
    bench.wait_for_packets()
    missed = f'sidetap_sensor_packets_total{{interface="eth0",result="no-session",sensor="{OTHER_SENSOR}:2003"}}'
    expect(bench.metrics().get(missed, 0) > 0, f"no {missed}")
    came = bench.start_sensor(address=OTHER_SENSOR)
    wait_for("both get packets", lambda: bench.capturing() == 2)
    bench.wait_for_packets()
    ledger = bench.stop_tap(sensors=2)
    for address, sensor in ((SENSOR, there), (OTHER_SENSOR, came)):
        own = ledger["sensors"][address]
        expect(outcomes(own) == ledger["owned"] - ledger["dropped_rate_limit"], f"{address} does not add up: {ledger}")
        expect(bench.stop_sensor(sensor)["packets"] == own["forwarded"], f"{address} did not get {own['forwarded']}")
    expect(ledger["sensors"][OTHER_SENSOR]["dropped_no_session"] >= 50, "the absent sensor missed nothing")
    expect(ledger["dropped_no_session"] < ledger["sensors"][OTHER_SENSOR]["dropped_no_session"],
           "what the other sensor got is not lost to all")


def outage_buffered(bench, data="udp"):
    """What is captured while no sensor is there is kept, and sent when it comes."""
    bench.start_tap("--backlog", "32M")
    wait_for("the tap answers", bench.metrics)
    bench.application.flood(megabytes=12)
    wait_for("packets wait", lambda: bench.waiting() >= 5000)
    sensor = bench.start_sensor("--data", data)
    bench.wait_for_capture()
    wait_for("nothing waits any more", lambda: bench.waiting() == 0)
    bench.wait_for_packets()
    ledger = bench.stop_tap()
    totals = bench.stop_sensor(sensor)
    expect(ledger["forwarded"] == ledger["owned"], f"not all that was kept is forwarded: {ledger}")
    expect(totals["packets"] == ledger["forwarded"], f"forwarded {ledger['forwarded']}, arrived {totals}")


def outage_buffered_tcp(bench):
    """The same over TCP, which takes only as much as the sensor reads."""
    outage_buffered(bench, "tcp")


def balanced_sensor_dies(bench):
    """When one of the sensors that share the flows dies, the other gets its flows."""
    first, second = bench.start_sensor(), bench.start_sensor(address=OTHER_SENSOR)
    bench.start_tap("--sensor-mode", "balance", sensor=f"{SENSOR},{OTHER_SENSOR}")
    wait_for("both capture", lambda: bench.capturing() == 2)
    bench.wait_for_packets()
    # One of them has the application's flow.
    at_first = bench.forwarded_to(SENSOR) > bench.forwarded_to(OTHER_SENSOR)
    dying, staying, address = (first, second, OTHER_SENSOR) if at_first else (second, first, SENSOR)
    without = bench.metrics()[Bench.NO_SESSION]
    dying.kill()
    wait_for("its session ends", lambda: bench.capturing() == 1)
    before = bench.forwarded_to(address)
    wait_for("the other gets its flows", lambda: bench.forwarded_to(address) >= before + 50)
    expect(bench.metrics()[Bench.NO_SESSION] == without, "a sensor was there all the time")
    ledger = bench.stop_tap()
    expect(bench.stop_sensor(staying)["packets"] == ledger["sensors"][address]["forwarded"], f"not all arrived: {ledger}")


def client_looks_on(bench):
    """A client that dials in takes nothing from the sensor: neither what it gets, nor what is kept for it."""
    bench.start_tap("--passive-listen", ":2002")
    wait_for("the tap answers", bench.metrics)
    client = bench.start(bench.outside, [os.path.join(bench.programs, "sidetap-sensor"), "passive", "--connect", POD,
                                         "--json", bench.path("client.json"), "--data", "tcp"], "client.log")
    client.totals = bench.path("client.json")
    wait_for("the client captures", lambda: bench.capturing() == 1)
    wait_for("packets wait", lambda: bench.waiting() >= 200)
    sensor = bench.start_sensor()
    wait_for("both get packets", lambda: bench.capturing() == 2)
    bench.wait_for_packets()
    ledger = bench.stop_tap()
    totals, copied = bench.stop_sensor(sensor), bench.stop_sensor(client)
    expect(totals["packets"] == ledger["forwarded"] and ledger["dropped_no_session"] == 0,
           f"{ledger}, the sensor got {totals['packets']}")
    expect(copied["packets"] == ledger["copied"] > 200, f"copied {ledger['copied']}, the client got {copied['packets']}")


FAULTS = [no_fault, killed, dead, one_of_two_away, outage_buffered,
          outage_buffered_tcp, balanced_sensor_dies, client_looks_on, port_unreachable, hung, stops_reading, refusing, name_changing, datagrams_dropped,
          path_mtu_lowered, path_mtu_learnt_late, interface_down_and_up, clock_stepped, failover, *BACKLOG_FAULTS, registry]


def main():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=os.path.join(root, "build", "release", "bin"), metavar="DIR",
                        help="where the programs are (default build/release/bin)")
    parser.add_argument("fault", nargs="*", help="only these: " + ", ".join(fault.__name__ for fault in FAULTS))
    arguments = parser.parse_args()
    failures = 0
    for fault in FAULTS:
        if arguments.fault and fault.__name__ not in arguments.fault:
            continue
        # Large enough that a narrower path matters.
        bench = RegistryBench(arguments.bin) if fault is registry else Bench(arguments.bin, size=1200)
        begin = time.monotonic()
        try:
            fault(bench)
            print(f"ok    {fault.__name__}: {fault.__doc__} ({time.monotonic() - begin:.1f} s)", flush=True)
            if fault is not registry:
                print(f"      the application's slowest answer took {bench.application.slowest * 1000:.0f} ms", flush=True)
        except Skipped as reason:
            print(f"skip  {fault.__name__}: {reason}", flush=True)
            if arguments.fault:
                return 77
        except (Failure, OSError, RuntimeError) as reason:
            failures += 1
            print(f"FAIL  {fault.__name__}: {reason}\n{bench.text('tap.log')}", flush=True)
        finally:
            bench.close()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
