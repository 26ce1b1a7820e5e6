"""The bench: its commands against the real program, each run short, and what becomes of what they say: plots, tables, README."""
import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
import time
import unittest
import xml.etree.ElementTree as xml

from gateway import KEY, RINGCAST, RINGCAST_BENCH, ROOT, Gateway, environment
from proxy import Proxy

BENCH = os.path.join(ROOT, "bench")
sys.dont_write_bytecode = True
sys.path.insert(0, BENCH)
import digest  # noqa: E402
import svg  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"
ADMIN_KEY = "admin-key-of-the-bench-test"


def say(*arguments, status=0):
    run = subprocess.run([RINGCAST_BENCH, *map(str, arguments), "--json"], capture_output=True, text=True, env=environment(), cwd=ROOT, timeout=120)
    assert run.returncode == status, f"{arguments} ended with {run.returncode}: {run.stderr}\n{run.stdout}"
    return json.loads(run.stdout) if run.stdout else run.stderr


class LateFirst(Proxy):
    """What the gateway says to the first who comes, the bench's publisher, takes its time."""
    first = None

    def pump(self, pair, source, sink):
        self.first = self.first or pair
        super().pump(pair, source, Late(sink) if pair is self.first and source is pair[1] else sink)


class Late:
    def __init__(self, sink):
        self.sink = sink

    def sendall(self, data):
        time.sleep(0.1)  # the way to the publisher is long
        self.sink.sendall(data)


class Commands(unittest.TestCase):
    """Each verifies what it is sent: exact, or the run fails."""

    @classmethod
    def setUpClass(cls):
        cls.gateway = Gateway("--auth.admin-key", ADMIN_KEY)
        cls.gateway.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.gateway.__exit__(None, None, None)

    def beside(self, command, *arguments, status=0):
        return say(command, "--url", f"ws://127.0.0.1:{self.gateway.port}", "--key", KEY, *arguments, status=status)

    def fanout(self, topic, *arguments):
        return self.beside("fanout", "--topic", topic, "--subscribers", 20, "--seconds", 0.3, "--warmup", 0.1, *arguments)

    def exact(self, said):
        self.assertEqual([said[name] for name in ("lost", "doubled", "changed", "gaps_wrong", "errors")], [0] * 5)
        self.assertTrue(said["complete"])
        self.assertGreater(said["delivered_per_s"], 0)

    def test_fanout_in_each_format(self):
        for format in ("json", "array", "raw"):
            with self.subTest(format):
                self.exact(self.fanout(f"f.{format}", "--format", format))

    def test_fanout_whose_acknowledgements_come_after_all_that_was_published(self):
        with LateFirst(self.gateway.port) as proxy:
            self.exact(say("fanout", "--url", f"ws://127.0.0.1:{proxy.port}", "--key", KEY, "--topic", "late", "--subscribers", 5, "--seconds", 0.3, "--warmup", 0.1))

    def test_fanout_by_zipf_tells_who_was_last(self):
        said = self.fanout("z", "--topics", 20, "--each", 5, "--zipf", 1, "--rate", 200)
        self.exact(said)
        self.assertGreater(said["last_updates"], 10)
        self.assertGreaterEqual(said["last_max_ms"], said["last_p50_ms"])
        self.assertGreaterEqual(said["delay_max_ms"], said["last_max_ms"])
        self.assertTrue(self.fanout("z", "--topics", 20, "--each", 5, "--zipf", 1, "--sweep")["exact"])

    def test_fanout_with_slow_stalled_and_churning_readers(self):
        self.exact(self.fanout("s", "--slow", 3, "--stalled", 2))
        said = self.fanout("c", "--churn", 5, "--churn-every", 0.1, "--rate", 200)
        self.exact(said)
        self.assertGreater(said["cuts"], 0)
        self.assertGreater(said["resumed"], 0)

    def test_fanout_without_a_traced_gateway_says_what_is_missing(self):
        self.assertIn("--trace N", self.beside("fanout", "--subscribers", 20, "--rate", 100, "--seconds", 0.3, "--trace", "--metrics-key", ADMIN_KEY, status=1))

    def test_fanout_refuses_what_makes_no_sense(self):
        for arguments, words in ((("--format", "raw", "--topics", 2), "no topic"), (("--churn", 20), "someone has to read"),
                                 (("--churn", 1, "--sweep"), "--sweep"), (("--trace",), "--rate"), (("--trace", "--rate", 9, "--sweep"), "--sweep"), (("--format", "raw", "--unbounded"), "no gaps")):
            with self.subTest(arguments):
                self.assertIn(words, self.beside("fanout", "--subscribers", 20, *arguments, status=2))

    def test_publish_counts_what_was_taken(self):
        for arguments in ((), ("--acks",), ("--batch", 1, "--acks"), ("--lines",)):
            with self.subTest(arguments):
                said = self.beside("publish", "--seconds", 0.2, "--warmup", 0.05, *arguments)
                self.assertGreater(said["updates"], 100)
                self.assertEqual(said.get("acks", said["updates"]), said["updates"])
        self.assertIn("no --acks", self.beside("publish", "--lines", "--acks", status=2))

    def test_storm(self):
        said = self.beside("storm", "--connections", 30, "--storming", 20, "--storms", 2, "--seconds", 0.3, "--rate", 50)
        self.assertEqual((said["lost"], said["doubled"], said["complete"], said["resumed"]), (0, 0, True, 40))

    def test_slow(self):
        said = self.beside("slow", "--readers", 10, "--stalled", 10, "--slow", 5, "--seconds", 0.4, "--rows", 4)
        self.assertEqual((said["lost"], said["gaps_wrong"], said["complete"], len(said["over_time"])), (0, 0, True, 4))
        self.assertEqual(said["caught_up"] + said["closed"], 15)

    def test_micro(self):
        step = say("micro", "--only", "mask")["steps"]
        self.assertEqual(len(step), 1)
        self.assertLessEqual(step[0]["ns"], step[0]["ns_median"])


class TracedFanout(unittest.TestCase):
    """`fanout --trace` beside a gateway with --trace: each door once, in order, from the publisher's send to the last client."""

    def doors(self, shards, *arguments):
        with Gateway("--shards", shards, "--trace", "1", "--auth.admin-key", ADMIN_KEY) as gateway:
            said = say("fanout", "--url", f"ws://127.0.0.1:{gateway.port}", "--key", ADMIN_KEY, "--subscribers", 20, "--rate", 100, "--seconds", 0.5, "--warmup", 0.1, "--trace", *arguments)
        self.assertGreater(said["traced"], 20)
        names = [row["name"] for row in said["trace"]]
        for row in said["trace"]:
            for before, after in (("p50", "p90"), ("p90", "p99"), ("p99", "max")):
                self.assertLessEqual(row[f"{before}_us"], row[f"{after}_us"], row)
                self.assertLessEqual(row[f"sent_{before}_us"], row[f"sent_{after}_us"], row)
            if row["name"] == "last client has it":  # maybe before the gateway hears that the kernel has it
                continue
            if row["name"] == "first client has it" and shards != "1":  # maybe of a shard that sent earlier than the one whose way is told
                continue
            self.assertGreaterEqual(row["p50_us"], 0, row)
        return names

    def test_of_one_shard(self):
        self.assertEqual(self.doors("1"), ["due", "sent", "received", "read", "appended", "waiters woken", "first send staged", "submitted", "first client has it",
                                           "first batch settled", "last batch settled", "last client has it"])

    def test_of_several_shards_with_several_topics(self):
        names = self.doors("3", "--topics", 6)
        self.assertTrue({"taken by its home", "told", "heard abroad", "last client has it"} <= set(names), names)


@unittest.skipIf((os.cpu_count() or 1) < 2, "server and load each need a CPU")
class OwnServers(unittest.TestCase):
    """Commands that start what they measure."""

    def claim_measured(self, said, figure):
        """Above 0; or not there, where the bench says that something held a run up."""
        if figure is not None or not any("not count" in warning for warning in said["warnings"]):
            self.assertIsNotNone(figure, said["warnings"])
            self.assertGreater(figure, 0, said["warnings"])

    def test_compare_counts_what_each_server_delivers(self):
        said = say("compare", "--gateway", RINGCAST, "--seconds", 0.3, "--warmup", 0.1, "--connections", 20, "--growth", 400)
        peers = {row["name"]: row for row in said["peers"]}
        self.assertIn("ringcast", peers)
        for name, row in peers.items():
            with self.subTest(name):
                if name != "a bare loop":
                    self.claim_measured(said, row["window_delivered_per_s"])
                    self.assertGreater(row["resident_bytes_each"], 0, said["warnings"])
                self.claim_measured(said, row["last_max_ms"])
        for name, title in (("nginx", "nginx with nchan"), ("nats", "nats-server"), ("ws", "Node ws")):  # there, or skipped by name
            self.assertEqual(title in peers, "not installed" not in said[f"peer_{name}"], said)

    def undisturbed_delays(self, *peers):
        """A run that something else on the machine disturbed has no figure, and is repeated."""
        for _ in range(8):
            said = say("compare", "--gateway", RINGCAST, *peers, "--scenario", "delay", "--connections", 50, "--seconds", 0.3, "--warmup", 0.1)
            rows = {row["name"]: row for row in said["peers"]}
            for row in rows.values():
                self.assertIsNone(row["window_delivered_per_s"])
            if all(row["last_p50_ms"] is not None for row in rows.values()):
                break
        return rows, said

    def test_compare_tells_delays_of_a_bare_loop_too(self):
        rows, _ = self.undisturbed_delays("--only", "ringcast,bare")
        self.assertEqual(set(rows), {"ringcast", "a bare loop"})
        for name, row in rows.items():
            with self.subTest(name):
                self.assertGreater(row["last_p50_ms"], 0)

    def test_compare_takes_a_server_of_the_user_s_own(self):
        own = f"own=cd . && {RINGCAST_BENCH} bare --port @PORT@"
        rows, said = self.undisturbed_delays("--only", "ringcast", "--peer", own)
        self.assertEqual(set(rows), {"ringcast", "own"})
        self.assertGreater(rows["own"]["last_p50_ms"], 0)
        self.assertEqual(said["peer_own"], own.partition("=")[2][:79])
        for wrong in ("own", "=node @PORT@", "own=node server.js", "Own Server=node @PORT@", "ws=node @PORT@"):
            with self.subTest(wrong):
                self.assertIn("--peer takes NAME=COMMAND", say("compare", "--peer", wrong, status=2))
        ended = say("compare", "--only", "nobody", "--peer", "own=sh -c 'echo no port @PORT@ for me; exit 1'", "--scenario", "delay", status=1)
        self.assertRegex(" ".join(ended["warnings"]), r"own does not start: it ended: no port \d+ for me")

    def test_many_connections_get_a_tick(self):
        told = subprocess.run([os.path.join(BENCH, "many"), "--connections", "300", "--shards", "2", "--json", "--bench", RINGCAST_BENCH, "--gateway", RINGCAST], capture_output=True,
                              text=True, env=environment(), timeout=120)
        self.assertEqual(told.returncode, 0, told.stderr)
        facts = json.loads(told.stdout)
        self.assertEqual((facts["tick_reached"], facts["still_open"], facts["refused"]), (300, 300, 0))

    def test_compare_says_what_is_missing(self):
        self.assertIn("make release", say("compare", "--gateway", "/no/such/program", "--only", "ringcast", status=1)["peer_ringcast"])

    def test_pair_alternates(self):
        said = say("pair", "--gateway", RINGCAST, "--pairs", 2, "--seconds", 0.3, "--connections", 20, "--load", "window")
        self.assertEqual([row["name"] for row in said["variants"]], ["--window 128"])
        row = said["variants"][0]
        self.assertLessEqual(row["pairs"], 1)  # of two the first is thrown away; the other may have been disturbed
        if row["pairs"]:
            self.assertAlmostEqual(row["ratio"], row["delivered_per_busy_s"] / row["floor_per_s"], 2)
            self.assertGreater(row["ratio_by_process"], 0)
            self.assertEqual(row["ratio_by_process_least"], row["ratio_by_process_most"])

    def test_shards_beside_their_load_and_floors_send_as_many_frames_each(self):
        said = say("beside", "--gateway", RINGCAST, "--pairs", 2, "--seconds", 0.3, "--connections", 40, "--round", 5)
        self.assertEqual(said["pairs"], 1)  # each send carried five, or it would not count
        self.assertEqual([row["name"] for row in said["runs"]], ["one shard", "shards", "one floor", "floors"])
        for row in said["runs"]:
            with self.subTest(row["name"]):
                self.assertAlmostEqual(row["frames_per_send"], 5, delta=0.25)
                self.assertAlmostEqual(row["bytes_per_send"], 500, delta=25)
        one, shards = said["runs"][0], said["runs"][1]
        self.assertAlmostEqual(said["ratios"][0]["ratio"], shards["sends_per_process_s"] / one["sends_per_process_s"], 2)

    def test_floors_that_share_connections_keep_step(self):
        self.assertIn("--apart", say("floor", "--senders", 2, status=2))
        said = say("floor", "--senders", 2, "--apart", "--beside", "--connections", 41, "--frames", 3, "--seconds", 0.3, "--warmup", 0.1)
        self.assertEqual((said["senders"], said["failed_sends"]), (2, 0))
        self.assertGreater(said["rounds"], 1)


class Plots(unittest.TestCase):
    def circles(self, document):
        return [(float(circle.get("cx")), float(circle.get("cy")), circle.get("fill")) for circle in xml.fromstring(document).iter(f"{SVG}circle")]

    def test_points_lie_where_their_values_are(self):
        document = svg.plot("a < b & c", "x", "y", {"one": [(0, 0, True), (10, 100, True), (5, 50, False)]})
        first, middle, last = self.circles(document)
        self.assertEqual(first[:2], (svg.LEFT, svg.HEIGHT - svg.BOTTOM))
        self.assertEqual(last[:2], (svg.WIDTH - svg.RIGHT, svg.TOP))
        self.assertEqual(middle[:2], ((first[0] + last[0]) / 2, (first[1] + last[1]) / 2))
        self.assertEqual((first[2] == svg.COLOURS[0], middle[2]), (True, "#ffffff"))
        self.assertIn("a < b & c", [text.text for text in xml.fromstring(document).iter(f"{SVG}text")])

    def test_decades_are_evenly_apart(self):
        points = self.circles(svg.plot("t", "x", "y", {"one": [(10.0 ** i, 10.0 ** i, True) for i in range(4)]}, log_x=True, log_y=True))
        steps = [(round(b[0] - a[0], 0), round(b[1] - a[1], 0)) for a, b in zip(points, points[1:])]
        self.assertEqual(len(set(steps)), 1)

    def test_ticks_are_round_and_few(self):
        for most in (0.003, 1, 7, 99, 1234, 45e6):
            axis = svg.Axis([0, most], False, 0, 100)
            with self.subTest(most):
                self.assertTrue(4 <= len(axis.ticks) <= 12, axis.ticks)
                self.assertGreaterEqual(axis.ticks[-1] * 1.0000001, most)
                self.assertRegex(svg.short(axis.ticks[1]), r"^[0-9.]+(e-?[0-9]+)?[kMG]?$")

    def test_nothing_is_said_to_be_nothing(self):
        self.assertIn("nothing was measured", svg.plot("t", "x", "y", {"one": []}, log_x=True))
        with self.assertRaises(ValueError):
            svg.plot("t", "x", "y", {str(i): [(1, 1, True)] for i in range(6)})


def canned():
    fine, busy = {"status": 0, "warnings": []}, {"status": 0, "warnings": ["THE LOAD'S CPU WAS 97 % BUSY: this run does not count"]}
    peer = {"window_delivered_per_s": 9e6, "window_counted": 1, "saturated_delivered_per_s": 21e6, "saturated_counted": 0, "last_p50_ms": 8.1, "last_p99_ms": 11.0,
            "delay_counted": 1, "resident_bytes_each": 345, "saturated_resident_mib": 8, "saturated_sockets_mib": 12}
    rate = {"delay_p50_ms": 4, "delay_p99_ms": 9, "delay_p9999_ms": 12, "last_p50_ms": 8, "last_p99_ms": 11, "last_max_ms": 12}
    return {
        "date": "2026-01-02", "time": "03:04", "commit": "abc1234", "quick": False, "minutes": 7.5,
        "machine": {"processor": "CPU", "cpus": 2, "virtual": True, "memory_gib": 8, "kernel": "6.1", "system": "Debian", "compiler": "gcc 12", "load_before": 0.1,
                    "server_cpu": 0, "load_cpu": 1},
        "runs": {
            "pair": {**fine, "variants": [{"name": "--window 128", "pairs": 6, "delivered_per_s": 1e7, "frames_per_send": 45.2, "floor_per_s": 1.04e7, "ratio": 0.96,
                                           "ratio_least": 0.93, "ratio_most": 0.99}]},
            "compare": {**busy, "peer_nats": "nats-server: v2", "peers": [{"name": "ringcast", **peer}, {"name": "nats-server", **peer, "saturated_delivered_per_s": None}]},
            "rates": [{**fine, **rate, "rate": 10, "frames_per_send": 1}, {**busy, **rate, "rate": 1000, "frames_per_send": 7}],
            "crowds": [{"connections": 1000, "gateway": {**fine, "delivered_per_s": 9e6, "delivered_per_busy_s": 9.5e6, "frames_per_send": 45},
                        "floor": {**fine, "frames_per_s": 1e7, "counts": True}},
                       {"connections": 10000, "gateway": {"failed": "no more files", "status": 1}, "floor": {**fine, "frames_per_s": 9e6, "counts": True}}],
            "idles": [{**fine, "connections": 1000, "resident_after_kib": 6000, "bytes_per_connection_after": 345}],
            "storm": {**fine, "reconnects_per_s": 20000, "back_s": 0.05}, "slow": {**fine, "stalled": 2000, "readers": 1000, "ratio": 0.93}, "zipf": fine,
            "micro": {**fine, "steps": [{"name": "unmask", "ns": 9.2, "ns_median": 9.9, "gb_per_s": None}]},
        },
    }


class Reports(unittest.TestCase):
    def test_the_report_tells_ratios_bounds_and_failures(self):
        report = digest.report(canned(), "name")
        self.assertIn("| --window 128 | **0.96** (0.93 to 0.99) | 10.00 M | 45.2 | - | 10.40 M | 6 |", report)
        self.assertIn("21.00 M (not counted: load busy)", report)
        self.assertRegex(report, r"\| nats-server \| 9\.00 M \| - \|")
        self.assertIn("- compare: THE LOAD'S CPU WAS 97 % BUSY", report)
        self.assertRegex(report, r"\| 1,000 \| .* \| \*\*no\*\* \|")
        self.assertEqual(digest.failures(canned()), ["crowds, 10,000 connections, gateway: no more files"])
        tables = [part.splitlines() for part in report.split("\n\n") if part.startswith("| ")]
        self.assertEqual(len(tables), 7)
        for lines in tables:
            self.assertEqual(len({line.count("|") for line in lines}), 1, lines)

    def test_plots_are_drawn_of_all_that_was_measured(self):
        plots = digest.plots(canned())
        self.assertEqual(sorted(plots), ["delay", "delivered", "frames", "memory"])
        for name, document in plots.items():
            self.assertTrue(list(xml.fromstring(document).iter(f"{SVG}circle")), name)
        self.assertIn('fill="#ffffff"/>', plots["delay"].split("circle", 1)[1])  # what does not count is hollow

    def test_readme_holds_the_newest_table_only(self):
        text = f"before\n{digest.README_BEGIN}\nold\n{digest.README_END}\nafter\n"
        once = digest.into_readme(text, canned(), "bench/results/name.md")
        self.assertEqual(digest.into_readme(once, canned(), "bench/results/name.md"), once)
        self.assertTrue(once.startswith("before\n") and once.endswith("\nafter\n"))
        self.assertIn("[2026-01-02, commit abc1234](bench/results/name.md)", once)
        self.assertNotIn("old", once)
        with self.assertRaises(ValueError):
            digest.into_readme("no marks", canned(), "x")
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
            self.assertIn(digest.README_BEGIN, file.read())


class Instructions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        loader = importlib.machinery.SourceFileLoader("instructions", os.path.join(BENCH, "instructions"))
        cls.instructions = importlib.util.module_from_spec(importlib.util.spec_from_loader("instructions", loader))
        loader.exec_module(cls.instructions)

    def test_what_is_written_is_read_back_and_changes_are_told(self):
        rows = [("a range", 1519.13), ("unmask 100 bytes", 133.0)]
        path = os.path.join(ROOT, "build", "instructions-test.md")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.instructions.table(rows, {}))
        kept = self.instructions.read_table(path)
        os.unlink(path)
        self.assertEqual(kept, {"a range": 1519.1, "unmask 100 bytes": 133.0})
        again = self.instructions.table([("a range", 1600.0), ("unmask 100 bytes", 133.0), ("other", 1.0)], kept)
        self.assertIn("| a range | 1,600.0 | 1,519.1 | +5.3 % |", again)
        self.assertIn("| unmask 100 bytes | 133.0 | 133.0 | = |", again)
        self.assertIn("| other | 1.0 | - | new |", again)

    def test_a_table_is_kept(self):
        kept = self.instructions.read_table(os.path.join(BENCH, "results", "instructions.md"))
        self.assertGreater(len(kept), 15)


if __name__ == "__main__":
    unittest.main()
