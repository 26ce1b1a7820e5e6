"""Bad lines, and processes that are killed: over delay, loss, reordering and cuts, and whoever is killed in the middle of anything, nobody loses or
doubles an update. Each line is a namespace of its own (bad_line.py); where that is not permitted its tests are skipped.
"""
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from client import PATIENCE
from gateway import KEY, RINGCAST_BENCH, Gateway, environment, free_port
from test_faults import ADMIN_KEY, Resumer, metrics_of, write_ticks


def may_make_lines():
    if not shutil.which("unshare") or not shutil.which("ip") or not os.path.exists("/dev/net/tun"):
        return False
    made = subprocess.run(["unshare", "-n", sys.executable, "-c", "import bad_line; bad_line.BadLine()"], capture_output=True, env={**os.environ, "PYTHONPATH": os.path.dirname(__file__)})
    return made.returncode == 0


def bench(*arguments, **how):
    return subprocess.Popen([RINGCAST_BENCH, *map(str, arguments)], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), **how)


# ---- within the namespace ---------------------------------------------------------------------------------------------------


class Inside:
    """What runs on a bad line; its words end on standard output as JSON."""

    def __init__(self, *flags, **line):
        import bad_line
        self.line = bad_line.BadLine(**line)
        self.line.start()
        self.port = free_port()
        self.there = bad_line.THERE  # over the line; the publisher's own, by 127.0.0.1, is good
        self.gateway = Gateway("--shards", "2", "--listen", f"0.0.0.0:{self.port}", "--topics.window", "100000", "--topics.window-bytes", "32M", *flags).start(self.port)

    def replay(self, rows, connections, speed):
        """The bench's oracle over the line: rows as they were published, in order, to all."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "ticks.csv")
            write_ticks(path, rows, topics=4)
            follow = bench("follow", path, "--connections", connections, "--json", "--url", f"ws://{self.there}:{self.port}")
            for said in follow.stderr:
                if "start the replay now" in said:
                    break
            threading.Thread(target=follow.stderr.read, daemon=True).start()
            replay = subprocess.run([RINGCAST_BENCH, "replay", path, "--speed", str(speed), "--key", KEY, "--url", f"ws://{self.there}:{self.port}"], env=environment(), capture_output=True, text=True)
            assert replay.returncode == 0, replay.stderr
            said = json.loads(follow.stdout.read())
            follow.wait()
            return said

    def cuts(self, lengths_s, heartbeat_ms):
        """Followers over the line while it is cut; the publisher goes on."""
        followers = [Resumer(self.port, ["a", "b"], host=self.there, path=f"/v1/ws?heartbeat_ms={heartbeat_ms}") for _ in range(8)]
        for name in ("a", "b"):
            self.gateway.publish(name, 0)
        for follower in followers:
            follower.start()
        number, newest = 0, {}

        def publish_for(seconds):
            nonlocal number
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                number += 1
                newest["ab"[number % 2]] = self.gateway.publish("ab"[number % 2], number)["seq"]
                time.sleep(0.005)  # the pace of the feed

        publish_for(1)
        for length_s in lengths_s:
            self.line.cut = True
            publish_for(length_s)
            self.line.cut = False
            publish_for(0.5)
        until = time.monotonic() + 60
        while any(follower.at.get(name, (0, 0))[1] < newest[name] for follower in followers for name in "ab") and time.monotonic() < until:
            time.sleep(0.05)
        for follower in followers:
            follower.over = True
        return {"wrong": sum((follower.wrong for follower in followers), []), "newest": newest, "at": [[follower.at[name][1] for name in "ab"] for follower in followers],
                "lives": [follower.lives for follower in followers], "said": sum((follower.said for follower in followers), [])}

    def end(self, said):
        self.line.cut = False
        self.gateway.signal(15)
        self.gateway.wait(60)
        print(json.dumps({**said, "carried": self.line.carried, "lost_packets": self.line.lost}))


def lossy():
    inside = Inside(delay_s=0.01, jitter_s=0.01, loss=0.03)
    inside.end(inside.replay(rows=1500, connections=8, speed=500))


def short_cuts():
    inside = Inside("--deadline.close-ms", "500", "--drain.timeout", "1s", delay_s=0.002)
    inside.end(inside.cuts([0.3, 0.8, 1.6], heartbeat_ms=15000))  # silence ends one after 30 s: what is tried again comes long before


def long_cut():
    inside = Inside("--deadline.close-ms", "500", "--drain.timeout", "1s", delay_s=0.002, loss=0.01)
    inside.end(inside.cuts([4], heartbeat_ms=1000))


# ---- the tests --------------------------------------------------------------------------------------------------------------


@unittest.skipUnless(may_make_lines(), "no network namespace with a TUN device may be made here (it takes root, iproute2 and /dev/net/tun)")
class LineTest(unittest.TestCase):
    def on_a_line(self, scenario):
        here = os.path.dirname(os.path.abspath(__file__))
        done = subprocess.run(["unshare", "-n", sys.executable, "-c", f"import test_network; test_network.{scenario}()"], cwd=here, capture_output=True, text=True, timeout=180,
                              env={**os.environ, "PYTHONPATH": here})
        self.assertEqual(done.returncode, 0, done.stderr[-4000:] + done.stdout)
        return json.loads(done.stdout.splitlines()[-1])

    def test_delay_loss_and_reordering_lose_and_double_nothing(self):
        said = self.on_a_line("lossy")
        self.assertEqual([said[name] for name in ("lost", "doubled", "changed", "gaps", "errors", "closed")], [0] * 6, said)
        self.assertTrue(said["complete"])
        self.assertGreater(said["lost_packets"], 30)

    def claim_cuts(self, said):
        self.assertEqual(said["wrong"], [])
        for at in said["at"]:
            self.assertEqual(at, [said["newest"]["a"], said["newest"]["b"]])

    def test_connections_outlive_short_cuts(self):
        said = self.on_a_line("short_cuts")
        self.claim_cuts(said)
        self.assertEqual(set(said["lives"]), {1}, said["said"])

    def test_after_a_long_cut_all_come_back_and_resume(self):
        said = self.on_a_line("long_cut")
        self.claim_cuts(said)
        self.assertGreater(min(said["lives"]), 1)


def connections_of(gateway):
    return sum(map(int, re.findall(r"(?m)^ringcast_connections\{.*\} (\d+)", metrics_of(gateway))))


class KilledTest(unittest.TestCase):
    def test_publishers_and_clients_that_are_killed_harm_nobody(self):
        dice = random.Random(7)
        with tempfile.TemporaryDirectory() as folder, Gateway("--shards", "2", "--auth.admin-key", ADMIN_KEY, "--topics.window", "100000", "--topics.window-bytes", "64M") as gateway:
            path = os.path.join(folder, "ticks.csv")
            write_ticks(path, 20000, topics=4)
            at = ["--url", f"ws://127.0.0.1:{gateway.port}", "--key", KEY]
            names = [f"S{i}" for i in range(4)]
            followers = [Resumer(gateway.port, names, ordered=False) for _ in range(4)]
            for follower in followers:
                follower.start()
            for _ in range(8):
                running = [bench("replay", path, "--speed", "20000", *at), bench("replay", path, "--speed", "20000", "--via", "ndjson", *at), bench("follow", path, "--connections", 20, *at)]
                time.sleep(dice.uniform(0.1, 0.5))  # in the middle of anything
                for process in running:
                    process.kill()
                    process.communicate()
            until = time.monotonic() + 2 * PATIENCE
            while connections_of(gateway) > len(followers) + 1 and time.monotonic() < until:  # one asks
                time.sleep(0.02)  # what the killed had sent is published yet
            newest = {name: gateway.publish(name, 1)["seq"] for name in names}
            until = time.monotonic() + 2 * PATIENCE
            while any(follower.at.get(name, (0, 0))[1] < newest[name] for follower in followers for name in names) and time.monotonic() < until:
                time.sleep(0.02)  # between two looks
            for follower in followers:
                self.assertEqual(follower.wrong, [])
                self.assertEqual({name: follower.at[name][1] for name in names}, newest)
                self.assertEqual(follower.lives, 1)
                follower.over = True
            for follower in followers:
                follower.join(PATIENCE)
            gateway.signal(10)  # its state: those who were killed have left nothing
            self.assertTrue(gateway.await_logged("connections"))


if __name__ == "__main__":
    unittest.main()
