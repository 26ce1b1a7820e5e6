"""Faults on purpose, at seeded random (core/base/faults.h): operations of the ring that fail or are cut short, queues that are always full, memory
that is refused. The promises hold: no update lost or doubled for a connection that stays up, none for one that resumes, nothing leaked.

The builds for the sanitizers alone can do this: `make asan`, `make tsan`; elsewhere all is skipped. What leaked, the sanitizer says at the end.
"""
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

from certificates import Authority
from client import PATIENCE, Closed, Ended, Refused, TooLate, Ws, path_of
from gateway import API_KEY, KEY, RINGCAST, RINGCAST_BENCH, Gateway, environment, free_port


ADMIN_KEY = "admin-key-of-the-faults"


def can_fail():
    with open(RINGCAST, "rb") as program:
        return b"FAULTS_RING" in program.read()


def faulty(*flags, **faults):
    return Gateway("--auth.admin-key", ADMIN_KEY, *flags, variables={f"FAULTS_{name.upper()}": str(value) for name, value in faults.items()})


def metrics_of(gateway):
    return gateway.fetch("GET", "/metrics", [("X-API-Key", ADMIN_KEY)]).body.decode()


def write_ticks(path, rows, topics):
    with open(path, "w", encoding="ascii") as file:
        file.write("ts_ns,symbol,type,price,size,bid,bid_size,ask,ask_size,venue\n")
        for row in range(rows):
            file.write(f"{1723161257506332764 + row},S{row * 7 % topics},T,{row}.25,{row % 100},,,,,V\n")


class Resumer(threading.Thread):
    """Follows topics in mode `every` whatever happens to its connections; what is wrong is what no fault excuses."""

    def __init__(self, port, topics, ordered=True, host=None, path="/v1/ws", add=()):
        super().__init__(daemon=True)
        self.port, self.topics, self.host, self.path, self.add = port, topics, host, path, add
        self.ordered = ordered  # its publisher's payloads are numbers that go up
        self.at = {}    # topic: (epoch, seq) seen last
        self.data = {}  # topic: data of what was seen last
        self.wrong = []
        self.lives = 0
        self.said = []  # what did not serve
        self.over = False

    def run(self):
        while not self.over:
            try:
                self.follow()
            except (Closed, Ended, TooLate, Refused, OSError) as why:
                self.said.append(repr(why))
                time.sleep(0.005)  # it was cut off; what it has it keeps

    def follow(self):
        with Ws(self.port, self.path, self.add, host=self.host) as ws:
            ws.read()
            resume = {topic: {"epoch": epoch, "seq": seq} for topic, (epoch, seq) in self.at.items() if epoch}
            ack = ws.ask("subscribe", topics=self.topics, mode="every", resume=resume)
            if ack.get("op") != "subscribed":
                self.said.append(ack)
                return  # busy, for want of memory
            self.lives += 1
            for topic in ack["topics"]:
                if topic["topic"] in resume:
                    if not topic.get("resumed"):
                        self.wrong.append(f"not resumed: {topic}")
                else:  # what was cut off before its first update has nothing to resume by
                    self.at[topic["topic"]] = (topic.get("epoch"), max(0, topic["seq"] - 1))
            while not self.over:
                try:
                    self.take(ws.read(0.2))
                except TooLate:
                    pass

    def take(self, message):
        if message.get("op") == "topic":
            epoch, seq = self.at[message["topic"]]
            if epoch:
                self.wrong.append(f"a new life: {message}")
            self.at[message["topic"]] = (message["epoch"], 0)
        elif message.get("op") == "gap":
            self.wrong.append(f"the window held it: {message}")
        elif message.is_update:
            epoch, seq = self.at[message["topic"]]
            if message["seq"] != seq + 1 or (self.ordered and seq and message["data"] <= self.data.get(message["topic"], -1)):
                self.wrong.append(f"{message} after {seq} {self.data.get(message['topic'])}")
            self.at[message["topic"]] = (epoch, message["seq"])
            self.data[message["topic"]] = message["data"]


@unittest.skipUnless(can_fail(), "this build has no faults on purpose: `make asan` has")
class FaultsTest(unittest.TestCase):
    """The seeds are fixed: each asks for other faults at other places."""

    def follow(self, seed, rows=6000, connections=30, *flags, **faults):
        with tempfile.TemporaryDirectory() as folder, faulty("--shards", "2", "--topics.window", str(rows), *flags, seed=seed, **faults) as gateway:
            path = os.path.join(folder, "ticks.csv")
            write_ticks(path, rows, topics=8)
            at = ["--url", f"ws://127.0.0.1:{gateway.port}", "--key", KEY]
            follow = subprocess.Popen([RINGCAST_BENCH, "follow", path, "--connections", str(connections), "--churn", str(connections // 3), "--churn-every", "0.5", "--json", *at],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
            drain = threading.Thread(target=follow.stderr.read, daemon=True)
            try:
                for line in follow.stderr:
                    if "start the replay now" in line:
                        break
                drain.start()
                replay = subprocess.run([RINGCAST_BENCH, "replay", path, "--speed", "4000", *at], capture_output=True, text=True, env=environment(), timeout=120)
                self.assertEqual(replay.returncode, 0, replay.stderr + replay.stdout)
                said = json.loads(follow.stdout.read())
                self.assertEqual(follow.wait(60), 0, said)
            finally:
                follow.kill()
                follow.wait()
                drain.join(PATIENCE)
                follow.stdout.close()
                follow.stderr.close()
            self.assertEqual([said[name] for name in ("lost", "doubled", "changed", "gaps", "errors", "closed")], [0] * 6, said)
            self.assertTrue(said["complete"])
            return metrics_of(gateway)

    def test_operations_that_fail_or_are_cut_short_lose_nothing(self):
        for seed, odds in ((1, 20), (2, 3), (3, 100)):
            with self.subTest(seed=seed, odds=odds):
                metrics = self.follow(seed, ring=odds)
                self.assertRegex(metrics, r"(?m)^ringcast_short_sends_total [1-9]")

    def test_queues_that_are_always_full_lose_nothing(self):
        metrics = self.follow(4, queues=4)
        self.assertRegex(metrics, r"(?m)^ringcast_cq_overflows_total [1-9]")
        self.follow(5, ring=10, queues=8)

    def test_accepts_that_find_no_file_are_made_again(self):
        failures = 0
        for seed in range(4):  # an accept is armed once, and again when it failed: of some seeds the first one does
            with faulty("--shards", "1", seed=seed, ring=2) as gateway:
                for _ in range(20):
                    with Ws(gateway.port) as ws:
                        self.assertEqual(ws.read()["op"], "hello")
                failures += int(re.search(r"(?m)^ringcast_accept_failures_total (\d+)", metrics_of(gateway))[1])
        self.assertGreater(failures, 0)

    def churn(self, seed, seconds, authority=None, **faults):
        """A publisher that tries again what was busy, and followers that resume whatever becomes of their connections."""
        topics = [f"t{i}" for i in range(6)]
        tls_port, flags, add = free_port(), (), ()
        if authority:  # the same over TLS and compressed
            certificate, key = authority.issue("faulty")
            flags, add = ("--tls-listen", f"127.0.0.1:{tls_port}", "--cert", certificate, "--key", key, "--compression.threshold", "0"), [("Sec-WebSocket-Extensions", "permessage-deflate")]
        with faulty(*flags, "--shards", "2", "--topics.window", "100000", "--topics.window-bytes", "64M", "--deadline.close-ms", "200", seed=seed, **faults) as gateway:
            followers = [Resumer(authority.port(tls_port) if authority else gateway.port, [topics[i % 6], topics[(i + 1) % 6]], add=add) for i in range(12)]
            for follower in followers:
                follower.start()
            newest, number, until, failures = {}, 0, time.monotonic() + seconds, 0
            while time.monotonic() < until or set(newest) < set(topics):
                number += 1
                self.assertLess(time.monotonic(), until + 4 * PATIENCE, "publishing goes through now and then")
                topic = topics[number % 6]
                seq = self.publish(gateway, topic, number)
                if seq is None:
                    failures += 1
                    continue
                self.assertGreater(seq, newest.get(topic, 0))
                newest[topic] = seq
            for topic in topics:
                while (seq := self.publish(gateway, topic, number + 1)) is None:
                    self.assertLess(time.monotonic(), until + 4 * PATIENCE)
                newest[topic], number = seq, number + 1
            until = time.monotonic() + 4 * PATIENCE
            while any(follower.at.get(topic, (0, 0))[1] < newest[topic] for follower in followers for topic in follower.topics) and time.monotonic() < until:
                time.sleep(0.02)  # between two looks
            for follower in followers:
                follower.over = True
            for follower in followers:
                follower.join(2 * PATIENCE)
                self.assertEqual(follower.wrong, [])
                for topic in follower.topics:
                    self.assertEqual(follower.at.get(topic, (None, 0))[1], newest[topic], f"{topic} ends on the newest; {follower.at} {follower.lives} {follower.said[-6:]}")
            self.assertTrue(gateway.running(), gateway.last_words())
            for _ in range(100):  # an answer to this may be lost too
                try:
                    return sum(follower.lives for follower in followers), failures, metrics_of(gateway)
                except (OSError, Ended, TooLate):
                    pass
            raise AssertionError("/metrics never answers")

    @staticmethod
    def publish(gateway, topic, number):
        """Its seq, or None: it was refused, or the answer was lost."""
        try:
            response = gateway.fetch("POST", path_of(topic), [API_KEY], str(number).encode())
        except (OSError, Ended, TooLate):
            if not gateway.running():
                raise AssertionError(gateway.last_words()) from None
            return None
        if response.status in (401, 403):
            raise AssertionError(f"no shortage makes a right key wrong: {response}")
        return response.json()["seq"] if response.status == 200 else None

    def test_a_right_key_is_not_called_wrong_where_memory_is_short(self):
        answers = 0
        with faulty("--shards", "1", seed=12, memory=5) as gateway:
            for number in range(400):
                answers += self.publish(gateway, "a", number) is not None
        self.assertGreater(answers, 0)

    def test_connections_that_are_broken_off_resume_without_a_hole(self):
        lives, failures, _ = self.churn(7, 6, ring=15, fatal=1)
        self.assertGreater(lives, 24)
        self.assertGreater(failures, 0)

    def test_memory_that_is_refused_is_told_and_loses_nothing(self):
        for seed, odds in ((8, 200), (9, 10)):
            with self.subTest(seed=seed, odds=odds):
                _, _, metrics = self.churn(seed, 5, memory=odds)
                self.assertRegex(metrics, r"(?m)^ringcast_memory_reserve_draws_total [1-9]")

    def test_all_of_it_at_once(self):
        self.churn(10, 8, ring=15, fatal=1, memory=40, queues=8)

    @unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
    def test_all_of_it_at_once_over_tls_and_compressed(self):
        with Authority() as authority:
            self.churn(11, 8, authority, ring=20, fatal=1, memory=60, queues=16)


if __name__ == "__main__":
    unittest.main()
