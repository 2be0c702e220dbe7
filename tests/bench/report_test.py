#!/usr/bin/env python3
"""What must hold of the benchmark's results: rows from what a measurement left, tables and charts from rows, limits read."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree

import bar_chart
import forward_table
import report

HERE = pathlib.Path(__file__).resolve().parent
SVG = "{http://www.w3.org/2000/svg}"


def result(kind="burst16x1", tap="sidetap", **changed):
    return {"tap": tap, "kind": kind, "run": 1, "limits": {"cpu_millicores": 500, "memory_bytes": 64 << 20}, "elapsed": 10.0,
            "wire_packets": 1000, "wire_bytes": 1_000_000, "died": False, "idle_kib": 9216, "peak_kib": 17408,
            "machine": "2 CPUs", "arrived_packets": 2000, "arrived_bytes": 1_100_000, "percent": 100.0, "ring": 0,
            "tap_dropped": 0, "socket": 0, "way": 0, "cpu_seconds": 0.1, "ns_per_byte": 0.5, "ns_per_packet": 350.0,
            "p50_us": 1000, "p99_us": 2500, "oom_kills": 0} | changed


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def written(self, *results):
        """The page that these results make."""
        path = self.folder / "results.jsonl"
        path.write_text("".join(json.dumps(one) + "\n" for one in results), encoding="utf-8")
        report.write(str(path), str(self.folder / "out"))
        return (self.folder / "out" / "figures.md").read_text(encoding="utf-8")


class Rows(unittest.TestCase):
    FIGURES = {"tap": "sidetap", "kind": "burst1x1", "run": 1, "machine": "m", "limits": None, "wire_packets": 10,
               "wire_bytes": 10 * 66 + 50_000, "socket_drops": 3, "ticks": 5, "ticks_per_second": 100, "elapsed": 2.0,
               "idle_kib": 1, "peak_kib": 2, "died": False}

    @staticmethod
    def sensor(packets, size, **stats):
        session = {"packets": packets, "stats": {"received": 10, "dropped_by_kernel": 7} | stats,
                   "latency_us": {"p50": 1, "p99": 2}}
        return {"packets": packets, "bytes": size, "missing_packets": 4, "taps": [session]}

    def test_pieces_that_a_tap_splits_count_as_much_as_whole_ones(self):
        for packets in (10, 35):
            measured = forward_table.results(self.FIGURES, self.sensor(packets, packets * 66 + 50_000), "")
            self.assertEqual(measured["percent"], 100)

    def test_datagrams_have_shorter_headers(self):
        figures = self.FIGURES | {"kind": "startup+busy", "wire_packets": 10, "wire_bytes": 10 * 1042}
        self.assertEqual(forward_table.results(figures, self.sensor(5, 5 * 1042), "")["percent"], 50)

    def test_each_stage_has_its_losses(self):
        log = "what became of the packets dropped_kernel_ring=9 dropped_no_session=2 dropped_socket_full=3"
        measured = forward_table.results(self.FIGURES, self.sensor(10, 10), log)
        self.assertEqual([measured[stage] for stage in ("ring", "tap_dropped", "socket", "way")], [9, 5, 3, 4])

    def test_of_another_tap_the_ring_is_what_it_told_the_sensor(self):
        measured = forward_table.results(self.FIGURES, self.sensor(10, 10), "no ledger")
        self.assertEqual((measured["ring"], measured["tap_dropped"]), (7, None))

    def test_a_tap_that_told_nothing_has_no_figure_of_its_ring(self):
        self.assertIsNone(forward_table.results(self.FIGURES, self.sensor(10, 10, received=0), "")["ring"])

    def test_a_tap_that_never_reached_the_sensor_has_a_row(self):
        nothing = {"packets": 0, "bytes": 0, "missing_packets": 0, "taps": []}
        measured = forward_table.results(self.FIGURES, nothing, "")
        self.assertEqual(measured["percent"], 0)
        self.assertIn(" 0.00 ", forward_table.row(measured))

    def test_the_sender_says_how_long_it_sent(self):
        self.assertEqual(forward_table.results(self.FIGURES, self.sensor(1, 1), "", '{"seconds": 1.5}')["elapsed"], 1.5)


class Tables(Folder):
    def test_a_figure_is_the_median_with_its_range(self):
        page = self.written(*(result(percent=percent) for percent in (100.0, 80.0, 95.0)))
        self.assertIn("| 16 MB, 1 a second | 95.0 % (80.0-100) |", page)

    def test_what_is_less_than_all_never_reads_as_all(self):
        self.assertIn("| 99.99 % |", self.written(result(percent=99.99999)))
        self.assertIn("| 100 % |", self.written(result(percent=100.0)))

    def test_each_tap_has_a_column_and_what_was_not_measured_a_dash(self):
        page = self.written(result(), result(tap="rpcapd", percent=50.0), result(kind="burst64x1", percent=10.0))
        self.assertIn("| Traffic | sidetap | rpcapd |", page)
        self.assertIn("| 64 MB, 1 a second | 10.0 % | - |", page)

    def test_losses_stand_by_stage(self):
        page = self.written(result(ring=1200, tap_dropped=None, socket=3, way=40, percent=90.0))
        self.assertIn("| 16 MB, 1 a second | sidetap | 1,000 | 1,200 | - | 3 | 40 | 2,000 | 90.0 % |", page)

    def test_steady_streams_have_their_cost(self):
        self.assertIn("| UDP, 18 bytes, full rate | sidetap | 200 | 0.50 | 350 | 2.50 | 9.00 | 17.0 |",
                      self.written(result(kind="udp18")))

    def test_a_trickle_has_a_latency_and_no_cost(self):
        self.assertIn("| 200 datagrams a second | sidetap | 200 | - | - | 2.50 |", self.written(result(kind="low")))

    def test_the_conditions_are_told(self):
        page = self.written(result(), result(limits=None))
        self.assertIn("2 CPUs.", page)
        self.assertIn("500m of CPU and 64 MiB", page)
        self.assertIn("No limits.", page)

    def test_a_tap_that_died_is_named(self):
        self.assertIn("No tap died", self.written(result()))
        page = self.written(result(), result(died=True, oom_kills=1))
        self.assertIn("- sidetap died in 1 of 2 rounds: 16 MB, 1 a second", page)
        self.assertIn("- sidetap met its memory limit in 1 of 2 rounds", page)

    def test_what_is_no_result_is_named_by_its_line(self):
        path = self.folder / "broken"
        for text in ('{"tap": "x"}\n', "[]\n", "no JSON\n"):
            path.write_text(json.dumps(result()) + "\n" + text, encoding="utf-8")
            with self.assertRaisesRegex(report.Unusable, "line 2"):
                report.write(str(path), str(self.folder))
        path.write_text("", encoding="utf-8")
        with self.assertRaisesRegex(report.Unusable, "empty"):
            report.write(str(path), str(self.folder))


class Charts(Folder):
    def test_every_chart_that_the_page_shows_is_there(self):
        page = self.written(result(), result(kind="udp18"))
        for name in ("bursts.svg", "cpu.svg", "latency.svg"):
            self.assertIn(f"]({name})", page)
            xml.etree.ElementTree.parse(self.folder / "out" / name)

    def test_a_bar_is_as_long_as_its_value_and_has_its_range(self):
        text = bar_chart.svg("t", "%", ["a"], [("all", [(100, 100, 100)]), ("half", [(50, 25, 75)])], str, 100)
        root = xml.etree.ElementTree.fromstring(text)
        whole, half = [float(bar.get("width")) for bar in root.iter(SVG + "rect")
                       if bar.get("height") == str(bar_chart.BAR)]
        self.assertAlmostEqual(half, whole / 2)
        self.assertEqual(sum(path.get("class") == "range" for path in root.iter(SVG + "path")), 1)

    def test_it_is_readable_in_the_dark_and_without_sight(self):
        text = bar_chart.svg("Title", "ns", ["a"], [("kind", [(7, 7, 7)])], lambda value: str(value[0]))
        self.assertIn("prefers-color-scheme: dark", text)
        root = xml.etree.ElementTree.fromstring(text)
        self.assertEqual(root.find(SVG + "title").text, "Title")
        self.assertEqual(root.find(SVG + "desc").text, "kind: a 7")

    def test_names_are_text_and_not_markup(self):
        xml.etree.ElementTree.fromstring(bar_chart.svg("<&", "%", ["<a>"], [("&", [(1, 1, 1)])], str))

    def test_no_more_than_ten_lines_for_any_axis(self):
        for most in (0.004, 0.9, 1, 7, 99, 100, 12345):
            self.assertTrue(3 <= most / bar_chart.nice_step(most) <= 10, most)


class Limits(Folder):
    """cgroup.sh, with folders in the place of the kernel's."""

    def run_with(self, mounts, commands):
        """What the commands print, after cgroup.sh; `mounts` is what the kernel would list."""
        script = f'. {HERE}/cgroup.sh; limit_mounts() {{ echo "{mounts}"; }}; limit_own_path() {{ echo /own; }}; {commands}'
        return subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=False)

    def limits_of(self, values):
        path = self.folder / "values.yaml"
        path.write_text(values, encoding="utf-8")
        return self.run_with("", f"limit_of_chart cpu {path}; limit_of_chart memory {path}").stdout.split()

    def test_the_limits_are_those_of_the_taps_container_in_the_chart(self):
        other = "webhook:\n  resources:\n    limits:\n      cpu: 9\n      memory: 9Gi\n"
        tap = "sidecar:\n  x:\n    limits:\n      cpu: 8\n  resources:\n    requests:\n      cpu: 10m\n    limits:\n"
        self.assertEqual(self.limits_of(other + tap + "      cpu: 500m\n      memory: 64Mi\n"), ["500", str(64 << 20)])
        self.assertEqual(self.limits_of(tap + '      cpu: 1.5\n      memory: 1G\n' + other), ["1500", "1000000000"])

    def test_the_chart_has_limits(self):
        values = HERE.parent.parent / "deploy/helm/sidetap/values.yaml"
        done = self.run_with("", f"limit_of_chart cpu {values}; limit_of_chart memory {values}")
        self.assertEqual(len(done.stdout.split()), 2, done.stderr)

    def test_v2_alone_is_enough(self):
        root = self.folder
        (root / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
        for before, switched_on in (("cpu memory", ""), ("cpuset", "cpu memory")):
            (root / "cgroup.subtree_control").write_text(before + "\n")
            done = self.run_with(f"cgroup2 {root} rw", f"limit_make 500 67108864 group{len(before)}; echo ${{limit_enabled[*]}}")
            self.assertEqual((done.returncode, done.stdout), (0, switched_on + "\n"), done.stderr)
        (root / "group10").rename(root / "group")
        self.assertEqual((root / "group/cpu.max").read_text(), "50000 100000\n")
        self.assertEqual((root / "group/memory.max").read_text(), "67108864\n")
        (root / "group/cpu.stat").write_text("usage_usec 5\nthrottled_usec 7000\n")
        (root / "group/memory.peak").write_text("2048\n")
        (root / "group/memory.events").write_text("low 0\noom 1\noom_kill 1\n")
        done = self.run_with("", f"limit_groups=({root}/group); echo {{$(limit_figures)}}")
        self.assertEqual(json.loads(done.stdout), {"throttled_ms": 7, "limited_peak_kib": 2, "oom_kills": 1})

    def test_v1_has_a_group_in_each_hierarchy(self):
        root = self.folder
        for name in ("v2", "cpu", "memory/own"):
            (root / name).mkdir(parents=True)
        (root / "v2/cgroup.controllers").write_text("hugetlb\n")
        mounts = f"cgroup2 {root}/v2 rw\ncgroup {root}/cpu rw,cpuacct,cpu\ncgroup {root}/memory rw,memory"
        done = self.run_with(mounts, "limit_make 250 1048576 group; echo ${limit_groups[*]}")
        self.assertEqual((done.returncode, done.stdout), (0, f"{root}/cpu/group {root}/memory/own/group\n"), done.stderr)
        self.assertEqual((root / "cpu/group/cpu.cfs_quota_us").read_text(), "25000\n")
        self.assertEqual((root / "memory/own/group/memory.limit_in_bytes").read_text(), "1048576\n")

    def test_where_nothing_can_limit_it_fails(self):
        self.assertNotEqual(self.run_with("", "limit_make 1 1 group").returncode, 0)


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C"
    unittest.main()
