"""SIGHUP: new settings without dropping a connection; what is wrong leaves the old ones in force."""
import json
import os
import re
import signal
import tempfile
import threading
import time
import unittest

from client import PATIENCE, Ended, Http, Refused, TooLate, Ws, fetch, path_of
from gateway import SHARDS, Gateway

ADMIN = "admin-key-51e0c3a7d94f2b68"


class ReloadTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.connections = []
        self.path = os.path.join(folder.name, "ringcast.ini")

    def write(self, text):
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            file.write(f"[auth]\nadmin-key = {ADMIN}\n{text}")
        os.rename(self.path + ".new", self.path)  # it is never seen half written

    def start(self, text, *flags):
        self.write(text)
        gateway = Gateway("--config", self.path, *flags, key=None).start()
        self.addCleanup(lambda: None if gateway.ended else gateway.kill())
        return gateway

    def stop(self, gateway):
        for ws in self.connections:
            ws.close()
        gateway.stop()

    def reload(self, gateway, text, words="settings were read again"):
        """Writes the file, sends SIGHUP, awaits that the log says so."""
        before = sum(words in line for line in gateway.logged().splitlines())
        self.write(text)
        gateway.signal(signal.SIGHUP)
        return gateway.await_logged(words, before + 1)[-1]

    def until(self, holds, what):
        """Each shard adopts by itself, a moment after the log said so."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > deadline:
                raise TooLate(what)
            time.sleep(0.01)

    def ws(self, gateway, path="/v1/ws", key=None):
        ws = Ws(gateway.port, path, add=[("X-API-Key", key)] if key else ())
        self.addCleanup(ws.close)
        self.connections.append(ws)
        self.hello = ws.read()
        return ws

    def ws_let_in(self, gateway):
        """Who has just left, as the one that saw the gateway start, still counts for a moment."""
        let_in = []

        def tried():
            try:
                let_in.append(self.ws(gateway))
            except Refused as refusal:
                self.assertEqual(refusal.response.status, 503)
            return let_in

        self.until(tried, "one more is let in")
        return let_in[0]

    def subscribe(self, gateway, count):
        """The code that subscribing to so many topics gets, None for an ack."""
        ws = self.ws(gateway)
        code = ws.ask("subscribe", topics=[f"s.{n}" for n in range(count)]).get("code")
        ws.close()
        return code

    def post(self, gateway, key):
        return gateway.fetch("POST", path_of("p"), [("X-API-Key", key)], b"1").status

    def test_a_limit_goes_down_and_up_and_nobody_is_dropped(self):
        gateway = self.start("[limits]\nsubscriptions = 10\n")
        follower = self.ws(gateway, "/v1/ws?topics=p&mode=every")
        self.assertEqual(follower.read()["op"], "subscribed")
        self.assertIsNone(self.subscribe(gateway, 10))
        line = self.reload(gateway, "[limits]\nsubscriptions = 2\n")
        self.assertIn("changed=1 version=2", line)
        self.assertIn("name=limits.subscriptions before=10 value=2", gateway.logged())
        self.until(lambda: self.subscribe(gateway, 3) == "too_many_topics", "the lower limit")
        self.reload(gateway, "[limits]\nsubscriptions = 20\n")
        self.until(lambda: self.subscribe(gateway, 20) is None, "the higher limit")
        self.assertEqual(self.subscribe(gateway, 21), "too_many_topics")
        self.assertEqual(self.post(gateway, ADMIN), 200)
        self.assertEqual(follower.read()["op"], "topic")
        self.assertEqual(follower.read()["seq"], 1, "the connection has lived through it")
        self.stop(gateway)

    def test_connections_may_be_more_and_fewer_and_those_there_are_stay(self):
        gateway = self.start("[limits]\nconnections = 3\n")
        held = [self.ws_let_in(gateway) for _ in range(3)]

        def refused():
            try:
                Ws(gateway.port).close()
                return False
            except Refused as refusal:
                self.assertEqual(refusal.response.status, 503)
                return True

        self.until(refused, "a fourth connection is refused")
        gateway.await_logged("refused: limits.connections")
        self.reload(gateway, "[limits]\nconnections = 6\n")
        self.until(lambda: not refused(), "a fourth is let in")
        held += [self.ws_let_in(gateway) for _ in range(2)]
        self.reload(gateway, "[limits]\nconnections = 2\n")
        self.until(refused, "the lower limit")
        for ws in held:
            self.assertEqual(ws.ask("ping")["op"], "pong")
        line = self.reload(gateway, "[limits]\nconnections = 7\n", "needs a restart")
        self.assertIn("name=limits.connections value=2 asked=7 most=6", line)
        self.stop(gateway)

    def test_a_payload_limit_that_was_low_at_the_start_can_be_raised(self):
        gateway = self.start("[auth]\npublish-key = abcdef\n[limits]\npayload = 1K\n", "--shards", "2")

        def statuses(size):
            """A payload of so many bytes to topics of both shards."""
            return {fetch(gateway.port, "POST", f"/v1/topics/raised.{n}", [("X-API-Key", "abcdef")], b'"' + b"x" * (size - 2) + b'"').status for n in range(8)}

        self.assertEqual(statuses(1024), {200})
        self.assertEqual(statuses(1025), {413})
        self.reload(gateway, "[auth]\npublish-key = abcdef\n[limits]\npayload = 64K\n")
        self.until(lambda: statuses(65536) == {200}, "the higher limit")
        self.assertEqual(statuses(65537), {413})
        line = self.reload(gateway, "[auth]\npublish-key = abcdef\n[limits]\npayload = 65K\n", "needs a restart")
        self.assertIn("name=limits.payload value=64K asked=65K most=65536", line)
        self.stop(gateway)

    def test_far_more_connections_than_the_limit_wait_for_their_answer(self):
        gateway = self.start("[limits]\nconnections = 100\n[deadline]\nclose-ms = 1500ms\n", "--shards", "1")
        self.reload(gateway, "[limits]\nconnections = 3\n[deadline]\nclose-ms = 1500ms\n")  # there is room for more than is to be held
        clients = [Http(gateway.port) for _ in range(150)]
        for http in clients:
            self.addCleanup(http.close)
            http.request("GET", "/healthz")
        gateway.signal(signal.SIGUSR1)
        statuses = []
        for http in clients:
            try:
                statuses.append(http.response().status)
            except (Ended, ConnectionError):  # the kernel takes one more from the backlog before it finds that there is no slot for it
                statuses.append(None)
        self.assertEqual(statuses.count(200), 3)
        self.assertLess(statuses.count(None), 3)
        held = [int(n) for n in re.findall(r"connections (\d+) of 3:", gateway.logged())]
        self.assertEqual(max(held), 3 + 64)
        for http in clients:
            http.close()
        self.until(lambda: gateway.fetch("GET", "/healthz").status == 200, "who comes later is served")
        self.stop(gateway)

    def test_a_new_key_counts_and_the_old_one_no_more(self):
        gateway = self.start("publish-key = old-key\n")
        self.assertEqual(self.post(gateway, "old-key"), 200)
        publisher, admin = self.ws(gateway, key="old-key"), self.ws(gateway, key=ADMIN)
        self.assertEqual(publisher.ask("publish", topic="p", data=1)["op"], "published")
        self.reload(gateway, "publish-key = new-key\n")
        self.until(lambda: self.post(gateway, "new-key") == 200, "the new key")
        self.assertEqual(self.post(gateway, "old-key"), 401)
        self.until(lambda: publisher.ask("publish", topic="p", data=1).get("code") == "forbidden", "what the old key allowed is over")
        self.assertEqual(publisher.ask("auth", token="old-key").get("code"), "unauthorized")
        self.assertEqual(publisher.ask("auth", token="new-key")["op"], "authenticated")
        self.assertEqual(publisher.ask("publish", topic="p", data=1)["op"], "published")
        self.assertEqual(admin.ask("publish", topic="p", data=1)["op"], "published", "its key is as before")
        self.stop(gateway)
        for key in ("old-key", "new-key", ADMIN):
            self.assertNotIn(key, gateway.said[1])

    def test_a_bad_file_is_refused_with_its_reason_and_the_old_settings_stay(self):
        gateway = self.start("[limits]\nsubscriptions = 2\n")
        for text, why in [("[limits]\nsubscriptions = 5\nconections = 5\n", ":5: unknown setting limits.conections; did you mean limits.connections?"), ("[limits]\nsubscriptions = 0\n", ":4: limits.subscriptions is"),
                          ("[limits]\nsubscriptions\n", ":4: neither"), ("[limits]\nsubscriptions = 5\nsubscriptions = 5\n", ":5: limits.subscriptions stands twice")]:
            with self.subTest(why):
                line = self.reload(gateway, text, "were not reloaded")
                self.assertIn(self.path + why, line.replace("\\\"", "\""))
                self.assertIn("level=error", line)
                self.assertEqual(self.subscribe(gateway, 3), "too_many_topics")
        os.unlink(self.path)
        gateway.signal(signal.SIGHUP)
        gateway.await_logged("No such file")
        self.assertEqual(self.subscribe(gateway, 3), "too_many_topics")
        self.reload(gateway, "[limits]\nsubscriptions = 3\n")
        self.until(lambda: self.subscribe(gateway, 3) is None, "a good file counts again")
        self.stop(gateway)

    def test_what_needs_a_restart_is_said_and_the_rest_is_taken(self):
        gateway = self.start("")
        self.ws(gateway)
        self.assertEqual(self.hello["heartbeat_ms"], 25000)
        self.write("")
        with open(self.path, "r+", encoding="utf-8") as file:
            text = file.read()
            file.seek(0)
            file.write("shards = 3\nheartbeat-ms = 5s\n" + text + "[limits]\npayload = 1M\ntopics = 5\n")
        gateway.signal(signal.SIGHUP)
        gateway.await_logged("settings were read again")
        shards = [] if SHARDS else ["name=shards value=0 asked=3"]  # the run's own flag is over the file
        restart = "\n".join(gateway.await_logged("needs a restart", 2 + len(shards)))
        for words in (*shards, "name=limits.payload value=64K asked=1M most=65536", "name=limits.topics value=1000000 asked=5"):
            self.assertIn(words, restart)

        def beats():
            self.ws(gateway)
            return self.hello["heartbeat_ms"] == 5000

        self.until(beats, "the new heartbeat")
        self.stop(gateway)

    def test_flags_stay_above_the_file(self):
        gateway = self.start("", "--heartbeat-ms", "7s")
        self.assertIn("changed=0", self.reload(gateway, "[topics]\nttl = 24h\n"))
        with open(self.path, "r+", encoding="utf-8") as file:
            text = file.read()
            file.seek(0)
            file.write("heartbeat-ms = 5s\n" + text)
        gateway.signal(signal.SIGHUP)
        gateway.await_logged("changed=0", 2)
        self.ws(gateway)
        self.assertEqual(self.hello["heartbeat_ms"], 7000)
        self.stop(gateway)

    def test_the_log_itself_follows(self):
        gateway = self.start("[log]\nlevel = warn\n")
        self.write("[log]\nlevel = debug\nformat = json\n")
        gateway.signal(signal.SIGHUP)

        def closed_is_told():
            self.ws(gateway).send_frame(2, b"binary")
            return any("a connection was closed" in line for line in gateway.logged().splitlines())

        self.until(closed_is_told, "debug lines")
        closed = json.loads(gateway.await_logged("a connection was closed")[0])
        self.assertEqual((closed["level"], closed["code"]), ("debug", 1003))
        self.stop(gateway)

    def test_the_demo_feed_goes_on_with_a_new_key(self):
        gateway = self.start("", "--demo")
        reader = self.ws(gateway, "/v1/ws?topics=demo.*&mode=every")
        self.reload(gateway, "publish-key = new-key\n")
        self.until(lambda: self.post(gateway, "new-key") == 200, "the new key")
        seen, deadline = set(), time.monotonic() + PATIENCE
        publishing = time.monotonic() + 1  # what was under way with the old key is over by then
        while time.monotonic() < deadline and len(seen) < 5:
            message = reader.read()
            if message.is_update and time.monotonic() > publishing:
                seen.add(message["topic"])
        self.assertGreaterEqual(len(seen), 5)
        self.stop(gateway)

    def test_two_hundred_reloads_under_load_lose_nothing(self):
        gateway = self.start("", "--shards", "3")
        gateway.fetch("POST", path_of("load"), [("X-API-Key", ADMIN)], b"null")
        follower = self.ws(gateway, "/v1/ws?topics=load&mode=every&snapshot=false")
        self.assertEqual(follower.read()["op"], "subscribed")
        publisher = self.ws(gateway, key=ADMIN)
        ending, sent, got, faults = threading.Event(), 0, 0, []

        def publish():
            nonlocal sent
            try:
                while True:
                    last = ending.is_set()
                    reply = publisher.ask("publish", topic="load", data=None if last else sent)
                    assert reply["op"] == "published", reply
                    if last:
                        return
                    sent += 1
            except Exception as fault:
                faults.append(fault)

        def follow():
            nonlocal got
            try:
                while True:
                    message = follower.read(seconds=PATIENCE)
                    if message.is_update and message["data"] is None:
                        return
                    assert message.is_update and message["seq"] == got + 2 and message["data"] == got, message
                    got += 1
            except Exception as fault:
                faults.append(fault)

        threads = [threading.Thread(target=publish), threading.Thread(target=follow)]
        for thread in threads:
            thread.start()
        for i in range(200):
            self.write(f"publish-key = key-{i}\n[limits]\nsubscriptions = {100 + i}\npatterns = {'x' if i % 10 == 9 else i}\n[log]\nlevel = {('info', 'debug')[i % 2]}\n")
            gateway.signal(signal.SIGHUP)
            if i % 20 == 0:
                gateway.signal(signal.SIGUSR1)
            time.sleep(0.002)
        self.reload(gateway, "publish-key = last-key\n[limits]\nsubscriptions = 2\n")
        self.until(lambda: self.subscribe(gateway, 3) == "too_many_topics" and self.post(gateway, "last-key") == 200, "the last version")
        ending.set()
        for thread in threads:
            thread.join()
        self.assertEqual(faults, [])
        self.assertGreater(sent, 0)
        self.assertEqual(got, sent)
        version = int(re.findall(r"changed=\d+ version=(\d+)", gateway.logged())[-1])
        self.assertGreater(version, 4, "several versions went around; signals that came meanwhile are one")
        gateway.signal(signal.SIGUSR1)
        gateway.await_logged(f"open, settings version {version},", 3)
        self.stop(gateway)

    def test_a_reload_while_it_drains_does_no_harm(self):
        gateway = self.start("[drain]\ntimeout = 2s\n")
        self.ws(gateway)
        gateway.signal(signal.SIGTERM)
        for i in range(20):
            self.write(f"[limits]\nsubscriptions = {i + 1}\n")
            gateway.signal(signal.SIGHUP)
        gateway.wait()


if __name__ == "__main__":
    unittest.main()
