"""Floods, by ringcast-bench: whatever some clients do at full speed, the gateway lives, its memory stays within bounds, and ordinary subscribers get each update,
in order and as it was. How much later is measured, not tested: `ringcast-bench flood` prints it."""
import json
import os
import subprocess
import unittest

from client import PATIENCE
from gateway import KEY, RINGCAST_BENCH, Gateway, environment

SANITIZED = "asan" in os.environ.get("RINGCAST", "") or "tsan" in os.environ.get("RINGCAST", "")
MIB = 1024  # of KiB


class FloodTest(unittest.TestCase):
    def flood(self, kind, most_mib, *flags, connections=None):
        with Gateway("--limits.requests-per-second", "1000", *flags) as gateway:
            told = subprocess.run([RINGCAST_BENCH, "flood", "--kind", kind, "--url", f"ws://127.0.0.1:{gateway.port}", "--key", KEY, "--pid", str(gateway.process.pid), "--subscribers", "50", "--rate", "200",
                                   "--rounds", "1", "--seconds", "1", "--settle", "0.2", "--json", *(["--connections", str(connections)] if connections else [])],
                                  capture_output=True, text=True, timeout=6 * PATIENCE, env=environment())
            self.assertEqual(told.returncode, 0, told.stderr + told.stdout)
            facts = json.loads(told.stdout)
            self.assertGreater(facts["delivered"], 0)
            if not SANITIZED:
                self.assertLess(facts["resident_most_kib"] - facts["resident_before_kib"], most_mib * MIB)
            self.assertEqual(gateway.fetch("GET", "/healthz").status, 200)

    def test_heads_that_never_end(self):
        self.flood("slowloris", 16, connections=1000)

    def test_twenty_thousand_subscriptions(self):
        self.flood("subscribe", 24)

    def test_pings_without_reading(self):
        self.flood("pings", 8)

    def test_lists_without_reading(self):
        self.flood("lists", 16)

    def test_all_that_is_illegal(self):
        self.flood("illegal", 16)

    def test_messages_that_never_end(self):
        self.flood("incomplete", 32, "--limits.memory", "16M", connections=60)


if __name__ == "__main__":
    unittest.main()
