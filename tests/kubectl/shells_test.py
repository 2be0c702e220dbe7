#!/usr/bin/env python3
"""Runs kubectl_test.py with the shell that is Debian's sh, the part of it that knows every function of the script with another
one, and checks what needs no cluster.
"""
import os
import re
import shutil
import subprocess
import unittest

import kubectl_test
import rendering

ROOT = kubectl_test.ROOT
SHELLS = os.environ.get("SIDETAP_SHELLS", "dash bash").split()
# The script keeps to POSIX, and dash is the stricter shell: whatever else may be a system's sh need only be seen to read every part.
WHOLE = "dash"
PARTS = {
    kubectl_test.Tap: (
        "test_a_running_pod_is_tapped_and_given_its_token_and_time",
        "test_a_pod_can_be_tapped_again_under_another_name",
        "test_every_running_pod_of_a_deployment_is_tapped",
    ),
    kubectl_test.Refusals: (
        "test_what_the_webhook_says_is_passed_on",
        "test_a_pod_security_level_is_named",
        "test_wrong_arguments_are_explained",
    ),
    kubectl_test.Dump: (
        "test_into_a_file_also_one_with_blanks_in_its_name",
        "test_a_filter_is_not_looked_at_for_options",
        "test_without_a_tap_or_the_right_it_says_so",
        "test_whoever_ends_the_command_ends_the_stream",
    ),
    kubectl_test.Status: (
        "test_all_is_well",
        "test_a_tap_in_need_of_attention_is_1",
        "test_as_json",
        "test_explain",
        "test_explain_says_whether_a_pod_can_be_tapped",
    ),
}


class Alone(unittest.TestCase):
    def run_it(self, *arguments, shell="dash"):
        return subprocess.run([shell, kubectl_test.PROGRAM, *arguments], capture_output=True, text=True, timeout=20)

    @unittest.skipUnless(shutil.which("shellcheck"), "no shellcheck here")
    def test_shellcheck_finds_nothing(self):
        found = subprocess.run(["shellcheck", "--shell=sh", kubectl_test.PROGRAM], capture_output=True, text=True)
        self.assertEqual(found.stdout, "")

    def test_it_is_of_the_same_version_as_the_programs(self):
        version = re.search(r"project\(sidetap VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
        self.assertEqual(self.run_it("version").stdout, f"kubectl-sidetap {version}\n")

    def test_every_command_has_help(self):
        for command in ("dump", "tap", "untap", "status", "explain", "completion", "version"):
            with self.subTest(command):
                result = self.run_it(command, "--help")
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertTrue(result.stdout.startswith(f"Usage: kubectl sidetap {command}"), result.stdout)
                self.assertIn(f"  {command} ", self.run_it("--help").stdout)

    def test_it_can_be_executed_and_runs_under_sh(self):
        self.assertTrue(kubectl_test.PROGRAM.stat().st_mode & 0o111)
        self.assertTrue(kubectl_test.PROGRAM.read_text().startswith("#!/bin/sh\n"))

    def test_commands_and_options_are_completed(self):
        self.assertEqual(self.run_it("__complete", "un").stdout, "untap\n:4\n")
        self.assertEqual(self.run_it("__complete", "completion", "").stdout, "bash\nzsh\n:4\n")
        self.assertEqual(self.run_it("__complete", "status", "--o").stdout, "--output\n:4\n")
        self.assertEqual(self.run_it("__complete", "dump", "--m").stdout, "--mesh\n:4\n")
        self.assertEqual(self.run_it("__complete", "tap", "--m").stdout, ":4\n")
        for shell in ("bash", "zsh"):
            self.assertIn("kubectl-sidetap __complete", self.run_it("completion", shell).stdout)
        script = self.run_it("completion", "bash").stdout
        self.assertEqual(subprocess.run(["bash", "-n"], input=script, text=True).returncode, 0)

    def test_the_manifest_of_krew_takes_its_digest_from_the_archive(self):
        result = subprocess.run([ROOT / "deploy/kubectl/package.sh", "--check"], capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 0, result.stderr)


def load_tests(loader, _tests, _pattern):
    suite = unittest.TestSuite()
    if WHOLE in SHELLS:
        suite.addTests(loader.loadTestsFromTestCase(Alone))
    for shell in SHELLS:
        for case, part in PARTS.items():
            by_shell = type(f"{case.__name__}_{shell}", (case,), {"shell": shell})
            suite.addTests(map(by_shell, loader.getTestCaseNames(by_shell) if shell == WHOLE else part))
    return suite


if __name__ == "__main__":
    rendering.tools()
    unittest.main(verbosity=2)
