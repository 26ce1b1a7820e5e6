"""The log and the state: one line an event whatever clients send, bounded, never a secret, and nobody waits for who reads it."""
import json
import os
import re
import signal
import subprocess
import time
import unittest

from client import PATIENCE, TEXT, Ended, TooLate, Ws, fetch, path_of
from gateway import API_KEY, KEY, RINGCAST, Gateway, environment, free_port

LINE = re.compile(r'^time=\S+Z level=(error|warn|info|debug) msg=("(?:[^"\\]|\\.)*"|[^\s"]+)( [a-z]+=("(?:[^"\\]|\\.)*"|[^\s"=]+))*$')


class LogTest(unittest.TestCase):
    def too_large(self, gateway, topic="t", times=1):
        body = b'"' + b"x" * 2000 + b'"'
        with Ws(gateway.port, add=[API_KEY]) as ws:
            ws.read()
            for _ in range(times):
                ws.send_json({"op": "publish", "topic": topic, "data": body.decode()})
            ws.quiet()

    def test_each_line_is_json(self):
        with Gateway("--log.format", "json", "--log.level", "debug", "--limits.payload", "1K") as gateway:
            self.too_large(gateway, "hostile\u202e\u2029-name")
            gateway.await_logged("limits.payload")
        lines = [json.loads(line) for line in gateway.said[1].splitlines()]
        for line in lines:
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
            self.assertIn(line["level"], ("error", "warn", "info", "debug"))
        self.assertEqual(lines[0]["msg"], "listening")
        self.assertEqual([line["msg"] for line in lines[-2:]], ["draining", "ended"])
        settings = {line["name"]: line["value"] for line in lines if line["msg"] == "setting differs from its default"}
        self.assertEqual(settings["limits.payload"], "1K")
        self.assertEqual(settings["auth.publish-key"], "(set)")
        self.assertNotIn("limits.body", settings)

    def test_what_clients_send_makes_no_second_line(self):
        with Gateway("--log.level", "debug", "--limits.payload", "1K") as gateway:
            for topic in ("a\"b", "line\nlevel=error", "\x1b[31m", "caf\u00e9 \u2028"):
                self.too_large(gateway, topic)
            with Ws(gateway.port) as ws:
                ws.read()
                ws.send_frame(TEXT, b"\xff\n\x1b[2J")
                ws.expect_close(1007)
            gateway.await_logged("the text is not UTF-8")
        for line in gateway.said[1].splitlines():
            self.assertRegex(line, LINE)
        self.assertIsNone(re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", gateway.said[1]))

    def test_of_one_kind_so_many_are_said_in_a_second_and_the_rest_is_counted(self):
        with Gateway("--limits.payload", "1K", "--shards", "1") as gateway:
            self.too_large(gateway, times=500)
            deadline = time.monotonic() + PATIENCE
            while True:
                lines = [line for line in gateway.logged().splitlines() if "limits.payload\"" in line]
                suppressed = sum(int(n) for n in re.findall(r"suppressed=(\d+)", "\n".join(lines)))
                said = sum("suppressed" not in line for line in lines)
                if said + suppressed == 500 or time.monotonic() > deadline:
                    break
                time.sleep(0.02)
            self.assertEqual(said + suppressed, 500)
            self.assertLess(said, 200)

    def test_below_the_level_nothing_is_said(self):
        with Gateway("--log.level", "error", "--limits.payload", "1K") as gateway:
            self.too_large(gateway)
        self.assertEqual(gateway.said, ("", ""))

    def test_limits_are_told(self):
        with Gateway("--limits.topics", "1", "--limits.subscriptions", "2", "--limits.body", "1K", "--limits.head", "1K", "--limits.message", "1K", "--shards", "1") as gateway:
            with Ws(gateway.port) as ws:
                ws.read()
                self.assertEqual(ws.ask("subscribe", topics=["a", "b", "c"])["code"], "too_many_topics")
                ws.send_frame(TEXT, b"x" * 2000)
                ws.expect_close(1009)
            gateway.fetch("GET", "/" + "x" * 2000)
            gateway.fetch("POST", "/v1/publish", [API_KEY], b"\n" * 2000)
            for n in range(100):
                if gateway.fetch("POST", path_of(f"t{n}"), [API_KEY], b"1").status != 200:
                    break
            for words in ("topics", "message", "head", "body"):
                line = gateway.await_logged(f'refused: limits.{words}" shard=0')[0]
                self.assertRegex(line, " limit=[0-9]+( |$)")

    def test_the_state_is_told_as_text(self):
        with Gateway("--shards", "2") as gateway:
            ws = Ws(gateway.port, "/v1/ws?topics=a,b,c")
            self.addCleanup(ws.close)
            ws.read(), ws.read()
            gateway.publish("a")
            gateway.signal(signal.SIGUSR1)
            gateway.await_logged("counters that are not 0", 2)
            state = gateway.logged()
            self.assertRegex(state, r"(?m)^ringcast \S+: the state of 2 shards, settings version 1$")
            self.assertEqual(sorted(re.findall(r"(?m)^shard (\d): open, settings version 1,", state)), ["0", "1"])
            self.assertEqual(sum(int(n) for n in re.findall(r" open (\d+) closing", state)), 1)
            self.assertEqual(sum(int(n) for n in re.findall(r"; subscriptions (\d+), patterns", state)), 3)
            self.assertEqual(sum(int(n) for n in re.findall(r"with an update (\d+)", state)), 1)
            self.assertEqual(sorted(re.findall(r"link to (\d): credits \d+", state)), ["0", "1"])
            self.assertIn("websockets=1", state)
        self.assertNotIn(KEY, gateway.said[1])

    def test_a_full_pipe_holds_nobody_up_and_what_was_lost_is_told(self):
        reading, writing = os.pipe()
        gateway = Gateway("--shards", "2", "--auth.admin-key", KEY + "-admin", stderr=writing).start()
        os.close(writing)
        try:
            ws = Ws(gateway.port, "/v1/ws?topics=a&mode=every")
            self.addCleanup(ws.close)
            self.assertEqual([ws.read()["op"], ws.read()["op"]], ["hello", "subscribed"])
            gateway.publish("a", 0)
            self.assertEqual([ws.read()["op"], ws.read()["seq"]], ["topic", 1])
            for n in range(1, 1001):  # more than pipe and outlet hold: some 3 KiB of state for each signal and two shards
                gateway.signal(signal.SIGUSR1)
                if n % 100 == 0:
                    self.assertEqual(gateway.publish("a", n)["seq"], n // 100 + 1)
                    self.assertEqual(ws.read()["seq"], n // 100 + 1)
                time.sleep(0.001)
            said, lost = b"", None
            os.set_blocking(reading, False)
            until = time.monotonic() + PATIENCE
            while not lost and time.monotonic() < until:
                try:
                    said += os.read(reading, 65536)
                except BlockingIOError:
                    time.sleep(0.01)
                lost = re.search(rb"lines of the log were lost: standard error did not take them\" lines=(\d+)", said)
            self.assertIsNotNone(lost, said[-2000:])
            self.assertGreater(int(lost[1]), 0)
            metrics = gateway.fetch("GET", "/metrics", [("X-API-Key", KEY + "-admin")]).body.decode()
            self.assertGreaterEqual(int(re.search(r"^ringcast_log_lines_lost_total (\d+)", metrics, re.M)[1]), int(lost[1]))
        finally:
            ws.close()
            gateway.stop()
            os.close(reading)

    def test_it_ends_though_nobody_reads_its_log(self):
        reading, writing = os.pipe()
        gateway = Gateway("--shards", "1", stderr=writing).start()
        os.close(writing)
        for _ in range(500):
            gateway.signal(signal.SIGUSR1)
            time.sleep(0.0005)
        began = time.monotonic()
        gateway.stop()
        self.assertLess(time.monotonic() - began, PATIENCE)
        os.close(reading)

    def test_it_lives_on_when_its_log_is_closed(self):
        reading, writing = os.pipe()
        with Gateway(stderr=writing) as gateway:
            os.close(writing)
            os.close(reading)
            gateway.signal(signal.SIGUSR1)
            gateway.publish("a")

    def test_it_may_be_started_without_standard_files(self):
        port = free_port()
        process = subprocess.Popen(["sh", "-c", 'exec "$0" --listen "$1" <&- >&- 2>&-', RINGCAST, f"127.0.0.1:{port}"], env=environment())
        try:
            until = time.monotonic() + 2 * PATIENCE
            while True:
                try:
                    self.assertEqual(fetch(port, "GET", "/healthz").status, 200)
                    break
                except (OSError, Ended, TooLate):
                    self.assertLess(time.monotonic(), until)
                    time.sleep(0.01)
            process.send_signal(signal.SIGUSR1)
            self.assertEqual(fetch(port, "GET", "/healthz").status, 200)
        finally:
            process.terminate()
            self.assertEqual(process.wait(2 * PATIENCE), 0)


if __name__ == "__main__":
    unittest.main()
