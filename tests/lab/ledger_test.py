#!/usr/bin/env python3
"""The ledger over two hops must add up where every loss has a name, and nowhere else."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sidetap_lab.collectors import counts, ledger_of  # noqa: E402

TAP = {"interface": "eth0", "seen": 120, "not_owned": 20, "owned": 100, "paused": 0, "sampled_flows": 0, "filtered": 0,
       "dropped_kernel_ring": 0, "dropped_socket_full": 0, "forwarded": 100}
COLLECTOR = {**TAP, "interface": "collector", "seen": 200, "not_owned": 0, "owned": 200, "forwarded": 200}
RECEIVED = {"packets": 200, "refused_by_filter": 0, "missing_packets": 0, "broken_packets": 0, "lost_datagrams": 0,
            "malformed": 0}
TOTALS = {"packets": 200, "missing_packets": 0}


def line(words, numbers):
    return f"2026-08-01T10:00:00.000Z info {words} {' '.join(f'{key}={value}' for key, value in numbers.items())}\n"


class LedgerTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def log(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="ascii") as file:
            file.write("something else value=7\n" + text)
        return path

    def ledger(self, taps=(TAP, TAP), collectors=((COLLECTOR, RECEIVED),), totals=None, killed=0):
        """Two taps' ledgers in one log, as of a tap that was restarted; each collector in its own."""
        tap_log = self.log("tap.log", "".join(line("what became of the packets", tap) for tap in taps))
        logs = [self.log(f"collector-{number}.log", line("totals from taps", received) +
                         line("what became of the packets", ledger)) for number, (ledger, received) in enumerate(collectors)]
        return ledger_of([tap_log, os.path.join(self.folder, "never-started.log")], logs, TOTALS | (totals or {}), killed)

    def assert_adds_up(self, ledger, lost):
        self.assertEqual(ledger.faults(lost), [], ledger.line())

    def assert_does_not(self, ledger, lost, words):
        faults = ledger.faults(lost)
        self.assertTrue(any(words in fault for fault in faults), faults)

    def test_logs_are_text_or_json(self):
        text = self.log("text.log", line("what became of the packets", TAP))
        numbers = ",".join(f'"{key}":{value}' for key, value in TAP.items() if key != "interface")
        json = self.log("json.log", '{"time":"2026-08-01T10:00:00.000Z","level":"info","message":"what became of the packets",'
                        f'"interface":"eth0",{numbers}}}\n')
        wanted = {key: value for key, value in TAP.items() if key != "interface"}
        self.assertEqual(counts([text, json], "what became of the packets"), [wanted, wanted])

    def test_nothing_lost(self):
        self.assert_adds_up(self.ledger(), 0)
        self.assertIn("the sensor has 200", self.ledger().line())

    def test_a_loss_on_the_wire_without_a_name(self):
        self.assert_does_not(self.ledger(), 1, "1 packets of the wire are lost")

    def test_what_a_tap_drops_has_a_name(self):
        dropping = {**TAP, "owned": 103, "dropped_socket_full": 3}
        self.assert_adds_up(self.ledger(taps=(dropping, TAP)), 3)
        self.assert_does_not(self.ledger(taps=(dropping, TAP)), 4, "only 3 have a name")
        # It may have had its number already.
        late = ({**COLLECTOR, "seen": 203, "dropped_kernel_ring": 3}, {**RECEIVED, "missing_packets": 3})
        self.assert_adds_up(self.ledger(taps=(dropping, TAP), collectors=(late,)), 3)

    def test_what_is_lost_on_the_first_hop_is_missed_by_the_collector(self):
        missing = ({**COLLECTOR, "owned": 195, "forwarded": 195, "dropped_kernel_ring": 5},
                   {**RECEIVED, "packets": 195, "missing_packets": 5})
        self.assert_adds_up(self.ledger(collectors=(missing,), totals={"packets": 195}), 5)
        silent = ({**COLLECTOR, "seen": 195, "owned": 195, "forwarded": 195}, {**RECEIVED, "packets": 195})
        self.assert_does_not(self.ledger(collectors=(silent,), totals={"packets": 195}), 5, "nowhere")

    def test_what_a_collector_drops_has_a_name(self):
        dropping = {**COLLECTOR, "forwarded": 190, "dropped_socket_full": 10}
        self.assert_adds_up(self.ledger(collectors=((dropping, RECEIVED),), totals={"packets": 190}), 10)
        without = {**COLLECTOR, "forwarded": 190}
        self.assert_does_not(self.ledger(collectors=((without, RECEIVED),), totals={"packets": 190}), 10, "do not add up")

    def test_what_is_lost_on_the_second_hop_is_missed_by_the_sensor(self):
        self.assert_adds_up(self.ledger(totals={"packets": 198, "missing_packets": 2}), 2)
        self.assert_does_not(self.ledger(totals={"packets": 198}), 2, "the sensor has 198")

    def test_one_that_was_killed_may_take_packets_with_it(self):
        half = ({**COLLECTOR, "seen": 100, "owned": 100, "forwarded": 100}, {**RECEIVED, "packets": 100})
        ledger = self.ledger(collectors=(half,), totals={"packets": 196}, killed=1)
        self.assertEqual(ledger.without_trace, 4)
        self.assert_adds_up(ledger, 4)
        self.assert_does_not(ledger, 5, "only 4 have a name")
        self.assert_does_not(self.ledger(collectors=(half,), totals={"packets": 201}, killed=1), 0, "nowhere")

    def test_an_overrun_ring_explains_what_nobody_saw(self):
        overrun = {**TAP, "seen": 125, "dropped_kernel_ring": 5}
        self.assert_adds_up(self.ledger(taps=(overrun, TAP)), 4)

    def test_a_sensor_that_has_nothing(self):
        nothing = self.ledger(taps=(), collectors=(), totals={"packets": 0})
        self.assert_does_not(nothing, 0, "nothing has arrived")

    def test_a_collector_without_a_last_word(self):
        ledger = ledger_of([], [self.log("collector.log", line("totals from taps", RECEIVED))], TOTALS)
        self.assert_does_not(ledger, 0, "0 ledgers and 1 counts")


if __name__ == "__main__":
    unittest.main()
