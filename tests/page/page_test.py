#!/usr/bin/env python3
"""The page in chromium, against page_fixture. Exits 77 where chromium is missing."""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import unittest

from browser import PROGRAM, Browser

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURE = os.environ.get("SIDETAP_PAGE_FIXTURE", str(ROOT / "build/release/bin/page_fixture"))
SCREENSHOTS = pathlib.Path(os.environ.get("SIDETAP_SCREENSHOTS", ROOT / "build/screenshots"))
VIEWS = ("overview", "taps", "taps/bank/db-0", "services", "forwarding", "coverage")
CONTROLS = "[...document.querySelectorAll('a[href], button, input, select, summary')].filter(e => e.checkVisibility())"
OVERFLOW = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


class Fixture:
    def __init__(self, *arguments):
        self.process = subprocess.Popen([FIXTURE, *arguments], stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().split()[1]}/"

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.process.stdout.close()


def axe():
    """The source of axe-core; None where npm does not give it."""
    tools = subprocess.run([ROOT / "tests/page/tools.sh"], capture_output=True, text=True, check=False)
    if tools.returncode == 77:
        return None
    if tools.returncode != 0:
        raise AssertionError(tools.stderr)
    return pathlib.Path(re.search("^AXE=(.*)$", tools.stdout, re.M)[1]).read_text()


class PageCase(unittest.TestCase):
    arguments = ()

    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        self.fixture = Fixture(*self.arguments)
        self.addCleanup(self.fixture.close)
        self.browser.size(1280, 800)
        self.browser.scheme("light")
        self.browser.faults.clear()

    def open(self, view="overview"):
        self.browser.open(f"{self.fixture.url}#/{view}")

    def text(self, selector="main"):
        return self.browser.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def texts(self, selector):
        return self.browser.run(f"[...document.querySelectorAll({json.dumps(selector)})].map(e => e.innerText)")

    def type(self, selector, value):
        self.browser.run(f"""(() => {{
            const input = document.querySelector({json.dumps(selector)});
            input.value = {json.dumps(value)};
            input.dispatchEvent(new Event(input.tagName === 'SELECT' ? 'change' : 'input', {{bubbles: true}}));
        }})()""")

    def keep(self, name):
        self.browser.screenshot(SCREENSHOTS / f"{name}.png")

    def assert_no_faults(self):
        self.browser.run("1")
        self.assertEqual(self.browser.faults, [])


class ThreeTaps(PageCase):
    def test_the_overview_says_first_what_needs_attention(self):
        self.open()
        entries = self.texts(".attention li")
        self.assertTrue(entries[0].startswith("Error: "), entries)
        self.assertTrue(any("shop/cart-0" in entry and "lost packets" in entry for entry in entries), entries)
        self.assertTrue(any("bank/db-0" in entry for entry in entries), entries)
        self.assertTrue(any("1 running pod" in entry for entry in entries), entries)
        self.assertIn("10.0.0.10:2002", self.text())
        self.keep("overview")
        self.assert_no_faults()

    def test_what_taps_say_is_text(self):
        self.open("taps/bank/db-0")
        self.assertIn("connection refused <b>by</b> 'it' & others", self.text())
        self.assertEqual(self.browser.run("document.querySelectorAll('main b').length"), 0)

    def test_rows_of_the_same_key_are_told_apart(self):
        self.open()
        texts = self.browser.run("""import('./dom.js').then(({table}) => {
            const rows = table('Sensors', [{head: 'State', of: row => row.state}]);
            for (const states of [['a', 'b'], ['c', 'd'], ['e', 'f']]) rows.fill(states.map(state => ({state})), () => 'same');
            return [...rows.node.querySelectorAll('td')].map(cell => cell.textContent);
        })""")
        self.assertEqual(texts, ["e", "f"])

    def test_numbers_move_by_themselves(self):
        self.open("taps/shop/web-0")
        seen = "document.querySelectorAll('.tiles dd')[0].innerText"
        before = self.browser.run(seen)
        self.browser.until(f"{seen} !== {json.dumps(before)}", "the counts grow")

    def test_updates_can_be_paused(self):
        self.open("taps/shop/web-0")
        self.browser.run("document.getElementById('pause').click()")
        self.assertEqual(self.browser.run("document.getElementById('pause').ariaPressed"), "true")
        asked = "performance.getEntriesByType('resource').filter(e => e.name.includes('/api/')).length"
        before = self.browser.run(asked)
        # Longer than a period: nothing happens that one could wait for.
        self.browser.run("new Promise(done => setTimeout(done, 4000))")
        self.assertLessEqual(self.browser.run(asked), before + 1)

    def test_a_dead_tap_appears(self):
        self.open()
        self.assertNotIn("disconnected unexpectedly", self.text())
        self.fixture.process.send_signal(signal.SIGUSR1)
        self.browser.until("document.querySelector('.attention').innerText.includes('disconnected unexpectedly: shop/web-0')")
        self.keep("dead-tap")
        self.browser.run("[...document.querySelectorAll('.attention a')].find(a => a.innerText.includes('disconnected unexpectedly')).click()")
        self.browser.until("document.querySelectorAll('tbody tr').length === 1", "the link shows the dead tap alone")
        self.assertIn("web-0", self.text("tbody"))
        self.assertIn("Gone", self.text("tbody"))

    def test_a_lost_connection_is_said_and_comes_back(self):
        self.open()
        self.assertTrue(self.browser.run("document.getElementById('banner').hidden"))
        self.fixture.process.send_signal(signal.SIGSTOP)
        self.addCleanup(self.fixture.process.send_signal, signal.SIGCONT)
        self.browser.until("!document.getElementById('banner').hidden", "the banner appears")
        self.assertIn("connection is lost", self.text("#banner"))
        self.keep("lost-connection")
        self.fixture.process.send_signal(signal.SIGCONT)
        self.browser.until("document.getElementById('banner').hidden", "the banner goes")

    def test_the_table_filters_and_sorts(self):
        self.open("taps")
        self.assertEqual(self.text("[role=status]"), "3 taps")
        self.type("input[type=search]", "SHOP/ca")
        self.assertEqual(self.text("[role=status]"), "1 of 3 taps")
        self.type("input[type=search]", "")
        self.type(".controls label:nth-child(2) select", "no-sensor")
        self.assertEqual(self.texts("tbody td:nth-child(2)"), ["db-0"])
        self.type(".controls label:nth-child(2) select", "")
        button = "document.querySelectorAll('thead button')[1]"
        self.browser.run(f"{button}.click()")
        self.assertEqual(self.texts("tbody td:nth-child(2)"), ["cart-0", "db-0", "web-0"])
        self.assertEqual(self.browser.run(f"{button}.closest('th').ariaSort"), "ascending")
        self.browser.run(f"{button}.click()")
        self.assertEqual(self.texts("tbody td:nth-child(2)"), ["web-0", "db-0", "cart-0"])
        self.assertEqual(self.browser.run("document.querySelectorAll('th[aria-sort]').length"), 1)

    def test_one_tap_has_its_last_minutes_as_charts(self):
        self.open("taps/shop/cart-0")
        labels = self.browser.run("[...document.querySelectorAll('svg[role=img]')].map(e => e.getAttribute('aria-label'))")
        self.assertEqual(len(labels), 3)
        self.assertRegex(labels[0], r"^Packets a second\. seen: now \d.*forwarded: now \d")
        points = self.browser.run("document.querySelector('polyline').getAttribute('points').split(' ').length")
        self.assertGreater(points, 80)
        self.keep("tap")
        self.assert_no_faults()

    def test_a_tap_that_forwards_the_plaintext_of_a_mesh_names_it(self):
        self.open("taps/shop/web-0")
        text = self.text()
        self.assertIn("Plaintext of the mesh", text)
        self.assertRegex(text, r"Mesh\s+istio")
        self.open("taps/shop/cart-0")
        self.assertNotIn("Plaintext of the mesh", self.text())

    def test_an_unknown_tap_is_said(self):
        self.open("taps/shop/other")
        self.assertIn("There is no such tap", self.text())

    def test_services_forwarding_and_coverage_have_their_views(self):
        self.open("services")
        self.assertEqual(self.texts("tbody td:nth-child(1)"), ["shop/all", "shop/web"])
        self.keep("services")
        self.open("forwarding")
        self.assertEqual(self.browser.run("document.querySelectorAll('path.edge').length"), 2)
        self.assertEqual(self.browser.run("document.querySelectorAll('path.broken').length"), 1)
        self.assertIn("10.0.0.9:2002", self.text("table"))
        self.keep("forwarding")
        self.open("coverage")
        self.assertIn("legacy-0", self.text())
        self.keep("coverage")
        self.assert_no_faults()

    def test_nothing_is_wider_than_a_narrow_window(self):
        self.browser.size(360, 740, mobile=True)
        for view in VIEWS:
            with self.subTest(view):
                self.open(view)
                self.assertFalse(self.browser.run(OVERFLOW))
                self.keep("narrow-" + view.replace("/", "-"))

    def test_the_keyboard_reaches_every_control(self):
        for view in ("overview", "taps", "taps/shop/web-0"):
            with self.subTest(view):
                self.open(view)
                self.browser.run("document.getElementById('pause').click()")
                self.browser.run(f"window.wanted = new Set({CONTROLS}); document.activeElement.blur()")
                for _ in range(150):
                    self.browser.press("Tab")
                    self.browser.run("wanted.delete(document.activeElement)")
                    if self.browser.run("wanted.size") == 0:
                        break
                self.assertEqual(self.browser.run("[...wanted].map(e => e.outerHTML)"), [])

    def test_the_skip_link_leads_to_the_content(self):
        self.open()
        self.browser.press("Tab")
        self.assertEqual(self.browser.run("document.activeElement.id"), "skip")
        self.keep("skip-link")
        self.browser.press("Enter")
        self.assertEqual(self.browser.run("document.activeElement.id"), "main")
        self.assertEqual(self.browser.run("location.hash"), "#/overview")

    def test_a_control_that_has_the_focus_keeps_it_through_updates(self):
        self.open()
        self.browser.run("window.kept = document.querySelector('.attention a'); kept.focus()")
        updated = self.text("#updated")
        self.browser.until(f"document.getElementById('updated').innerText !== {json.dumps(updated)}")
        self.assertTrue(self.browser.run("document.activeElement === kept"))

    def test_axe_finds_nothing(self):
        source = axe()
        if source is None:
            self.skipTest("npm does not give axe-core")
        # The scheme changes colours alone.
        of_colours = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
        for scheme, options in (("light", {}), ("dark", of_colours)):
            self.browser.scheme(scheme)
            for view in VIEWS:
                with self.subTest(f"{view}, {scheme}"):
                    self.open(view)
                    self.browser.run(source + ";1")
                    found = self.browser.run(
                        f"axe.run(document, {json.dumps(options)}).then("
                        "r => r.violations.map(v => `${v.id}: ${v.nodes.map(n => n.html + ' ' + n.failureSummary)}`))")
                    self.assertEqual(found, [])
                    if scheme == "dark":
                        self.keep("dark-" + view.replace("/", "-"))


class TenThousandTaps(PageCase):
    arguments = ("--taps", "10000")
    rows = "document.querySelectorAll('tbody tr').length"

    def assert_few_rows(self):
        self.assertLess(self.browser.run(self.rows), 60)
        self.assertGreater(self.browser.run(self.rows), 0)

    def test_only_what_is_seen_is_in_the_document(self):
        self.open("taps")
        self.assertEqual(self.text("[role=status]"), "10,000 taps")
        self.assertEqual(self.browser.run("document.querySelector('table').ariaRowCount ?? "
                                          "document.querySelector('table').getAttribute('aria-rowcount')"), "10001")
        self.assert_few_rows()
        self.browser.run("document.querySelector('.tall').scrollTop = 200_000")
        self.browser.until("[...document.querySelectorAll('tbody tr')].some(row => row.getAttribute('aria-rowindex') > 4900)")
        self.assert_few_rows()
        self.keep("many-taps")
        self.assert_no_faults()

    def test_the_last_row_can_be_seen(self):
        self.open("taps")
        self.browser.run("document.querySelector('.tall').scrollTop = 1e9")
        self.browser.until("document.querySelector('tbody tr[aria-rowindex=\"10001\"]')?.getBoundingClientRect().bottom"
                           " <= document.querySelector('.tall').getBoundingClientRect().bottom + 1")

    def test_a_filter_finds_one_of_them(self):
        self.open("taps")
        self.type("input[type=search]", "pod-7777")
        self.assertEqual(self.text("[role=status]"), "1 of 10,000 taps")
        self.assertEqual(self.texts("tbody td:nth-child(2)"), ["pod-7777"])
        self.type("input[type=search]", "load-3")
        self.assert_few_rows()

    def test_the_overview_stays_short(self):
        self.open()
        self.assertIn("10,000", self.text(".tiles"))
        self.assertLess(self.browser.run("document.querySelectorAll('main *').length"), 500)
        self.open("forwarding")
        self.assertLess(self.browser.run("document.querySelectorAll('circle').length"), 41)
        self.keep("many-forwarding")


if __name__ == "__main__":
    if PROGRAM is None:
        print("chromium is not installed")
        sys.exit(77)
    unittest.main()
