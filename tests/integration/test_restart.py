"""Restarts: with --state no topic begins anew, with listening sockets that somebody holds no connection is refused, and clients that come
back resume as if nothing had been.
"""
import itertools
import json
import os
import selectors
import signal
import socket
import tempfile
import threading
import time
import unittest

from client import PATIENCE, Closed, Ended, Http, Refused, TooLate, Ws, fetch, path_of
from gateway import API_KEY, Gateway, GatewayTest, free_port


def listening(port, count):
    """Sockets that share a port, as a service manager holds them."""
    sockets = []
    for _ in range(count):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind(("127.0.0.1", port))
        one.listen(1024)
        sockets.append(one)
    return sockets


class StateTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "state")

    def gateway(self, *flags):
        return Gateway("--state", self.path, "--deadline.close-ms", "100", *flags)

    def lines(self):
        with open(self.path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def test_topics_go_on_with_their_seq_epoch_and_newest_update(self):
        with self.gateway("--shards", "2") as gateway:
            said = {topic: [gateway.publish(topic, n) for n in range(1, count + 1)][-1] for topic, count in (("A", 3), ("b.c", 1), ("\u00e9/%", 7))}
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        with self.gateway("--shards", "3") as gateway:  # other shards, other homes
            for topic, reply in said.items():
                with self.subTest(topic):
                    ws = Ws(gateway.port)
                    self.addCleanup(ws.close)
                    ws.read()
                    ack = ws.ask("subscribe", topics=[topic], mode="every", resume={topic: {"epoch": reply["epoch"], "seq": reply["seq"] - 1}})
                    self.assertEqual(ack["topics"], [{"topic": topic, "epoch": reply["epoch"], "seq": reply["seq"], "resumed": True}])
                    self.assertEqual(ws.read()["seq"], reply["seq"])
                    again = gateway.publish(topic, 100)
                    self.assertEqual((again["epoch"], again["seq"]), (reply["epoch"], reply["seq"] + 1))
                    self.assertEqual(ws.read()["data"], 100)
            self.assertEqual(json.loads(gateway.fetch("GET", "/v1/topics").body)["topics"], sorted(said, key=str.encode))

    def test_what_the_window_held_beyond_it_is_a_gap(self):
        with self.gateway() as gateway:
            reply = [gateway.publish("A", n) for n in range(10)][-1]
        with self.gateway() as gateway:
            ws = Ws(gateway.port)
            self.addCleanup(ws.close)
            ws.read()
            ws.ask("subscribe", topics=["A"], mode="every", resume={"A": {"epoch": reply["epoch"], "seq": 4}})
            gap = ws.read()
            self.assertEqual((gap["op"], gap["from"], gap["to"]), ("gap", 5, 9))
            self.assertEqual(ws.read()["seq"], 10)

    def test_of_a_keyed_topic_the_last_key_and_what_follows_are_kept(self):
        with self.gateway() as gateway:
            for n in range(5):
                gateway.publish("book", n, key=n in (0, 2))
        self.assertEqual([(line["seq"], line.get("key", False)) for line in self.lines()], [(3, True), (4, False), (5, False)])
        with self.gateway() as gateway:
            ws = Ws(gateway.port, "/v1/ws?topics=book")
            self.addCleanup(ws.close)
            ws.read(), ws.read()
            self.assertEqual([ws.read()["data"] for _ in range(3)], [2, 3, 4])
            gateway.publish("book", 5)
            self.assertEqual(ws.read()["data"], 5)

    def test_a_deleted_topic_stays_so(self):
        with self.gateway() as gateway:
            old = gateway.publish("A")
            gateway.fetch("DELETE", "/v1/topics/A", [API_KEY])
        self.assertEqual(self.lines(), [])
        with self.gateway() as gateway:
            self.assertNotEqual(gateway.publish("A")["epoch"], old["epoch"])

    def test_lines_that_say_nothing_are_skipped_and_told_and_the_rest_is_there(self):
        good = '{"topic":"%s","epoch":"abcdEFGH","seq":7,"ts":5,"data":{"a":[1,2]}}'
        lines = [good % "A", "", "nonsense", '{"topic":"a b","epoch":"abcdEFGH","seq":1,"ts":1,"data":1}', '{"topic":"B","epoch":"short","seq":1,"ts":1,"data":1}',
                 '{"topic":"B","epoch":"abcdEFGH","seq":0,"ts":1,"data":1}', '{"topic":"B","epoch":"abcdEFGH","seq":1,"ts":1}', good % "A", good % "C", (good % "D")[:-3]]
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
        with self.gateway() as gateway:
            self.assertEqual(json.loads(gateway.fetch("GET", "/v1/topics").body)["topics"], ["A", "C"])
            self.assertEqual(json.loads(gateway.fetch("GET", "/v1/topics/C").body), {"topic": "C", "epoch": "abcdEFGH", "seq": 7, "ts": 5, "data": {"a": [1, 2]}})
            self.assertRegex(gateway.await_logged("saved state was read")[0], "topics=2 updates=2 skipped=8 first_skipped=2")

    def test_a_state_that_cannot_be_read_stops_the_start_and_says_why(self):
        os.mkdir(self.path)
        with self.assertRaisesRegex(AssertionError, "no regular file"):
            self.gateway().start()

    def test_a_state_that_cannot_be_written_is_told_and_the_end_is_clean(self):
        gateway = Gateway("--state", os.path.join(self.path, "no", "such", "directory"))
        with gateway:
            gateway.publish("A")
        self.assertIn("the state was not saved", gateway.said[1])


class DrainTest(unittest.TestCase):
    CLIENTS, DRAIN_MS = 120, 4000

    def goodbyes(self, shards):
        """What each is told, in the order in which it comes: (reconnect_ms, close code)."""
        with Gateway("--shards", str(shards), "--drain.timeout", f"{self.DRAIN_MS}ms", "--deadline.close-ms", "300") as gateway, selectors.DefaultSelector() as selector:
            clients = [Ws(gateway.port) for _ in range(self.CLIENTS)]
            for ws in clients:
                self.addCleanup(ws.close)
                ws.read()
                selector.register(ws.socket, selectors.EVENT_READ, ws)
            gateway.signal(signal.SIGTERM)
            told, order = {}, []
            while len(order) < self.CLIENTS:
                ready = selector.select(PATIENCE)
                self.assertTrue(ready, "all are told")
                for key, _ in ready:
                    closing = key.data.read()
                    self.assertEqual((closing["op"], closing["reason"]), ("closing", "shutdown"))
                    with self.assertRaises(Closed) as closed:
                        key.data.read()
                    self.assertEqual(closed.exception.code, 1001)
                    order.append(closing["reconnect_ms"])
                    selector.unregister(key.fileobj)
            gateway.wait()
            return order

    def test_all_are_told_to_come_back_evenly_over_the_time_of_the_drain(self):
        for shards in (1, 3):
            with self.subTest(shards=shards):
                times = sorted(self.goodbyes(shards))
                apart = self.DRAIN_MS / self.CLIENTS
                self.assertGreaterEqual(times[0], 0)
                self.assertLess(times[0], 4 * apart)
                self.assertGreater(times[-1], self.DRAIN_MS - 4 * apart)
                self.assertLessEqual(times[-1], self.DRAIN_MS)
                # Shards have not quite the same number of clients each; on one it is even to the millisecond.
                most = apart + 1 if shards == 1 else 4 * apart
                self.assertLessEqual(max(b - a for a, b in zip(times, times[1:])), most)

    def test_they_are_closed_in_the_order_in_which_they_may_come_back(self):
        order = self.goodbyes(1)
        behind = sum(b < a for a, b in zip(order, order[1:]))
        self.assertLessEqual(behind, self.CLIENTS // 20, order)

    def test_a_drain_ends_by_its_deadline_whoever_does_not_leave_and_a_second_signal_ends_it_at_once(self):
        for twice in (False, True):
            with self.subTest(twice=twice):
                gateway = Gateway("--drain.timeout", "1s" if not twice else "1m", "--deadline.close-ms", "50s").start()
                self.addCleanup(gateway.kill)
                clients = [Ws(gateway.port) for _ in range(5)]  # they never answer the close
                for ws in clients:
                    self.addCleanup(ws.close)
                    ws.read()
                began = time.monotonic()
                gateway.signal(signal.SIGTERM)
                gateway.await_logged("draining")  # a signal takes its time until it is taken
                while fetch(gateway.port, "GET", "/readyz").status != 503:
                    self.assertLess(time.monotonic() - began, PATIENCE)
                if twice:
                    gateway.signal(signal.SIGTERM)
                gateway.wait()
                took = time.monotonic() - began
                self.assertLess(took, 1 + PATIENCE / 2)
                self.assertTrue(twice or took > 0.9)


class EndTest(unittest.TestCase):
    ENDS, PUBLISHERS, TOPICS = 10, 8, 40

    def publish_until_refused(self, port, number):
        """Each on a connection of its own, to topics of all shards. Connections that were never accepted are reset; to close one without
        an answer is the fault."""
        for count in itertools.count(number * 5):
            try:
                with Http(port) as http:
                    http.request("POST", path_of(f"end.{count % self.TOPICS}"), [API_KEY], b"1")
                    try:
                        self.answered += http.response().status == 200
                    except Ended:
                        if not http.was_reset:
                            self.dropped += 1
            except ConnectionRefusedError:
                return
            except ConnectionError:
                pass  # reset while it asked

    def test_publishes_that_come_at_the_very_end_are_answered_whichever_shard_their_topics_live_on(self):
        self.answered = self.dropped = 0
        for _ in range(self.ENDS):
            with Gateway("--shards", "3") as gateway:
                publishers = [threading.Thread(target=self.publish_until_refused, args=(gateway.port, number)) for number in range(self.PUBLISHERS)]
                for publisher in publishers:
                    publisher.start()
                before = self.answered
                while self.answered < before + 100:
                    time.sleep(0.001)  # between two looks; what ends the wait are the answers
                gateway.stop()
                for publisher in publishers:
                    publisher.join()
        self.assertEqual(self.dropped, 0)


class InheritedTest(unittest.TestCase):
    def test_wrong_sockets_are_refused_with_a_plain_word(self):
        port = free_port()
        three = listening(port, 3)
        deaf = socket.socket()
        for one in [*three, deaf]:
            self.addCleanup(one.close)
        with self.assertRaisesRegex(AssertionError, "3 listening sockets, but there are 2 shards"):
            Gateway("--shards", "2", sockets=three).start(free_port())
        with self.assertRaisesRegex(AssertionError, "no listening TCP socket"):
            Gateway("--shards", "1", sockets=[deaf]).start(free_port())
        with self.assertRaisesRegex(AssertionError, "TLS is not served"):
            Gateway("--shards", "1", sockets=three[:2], variables={"LISTEN_FDNAMES": "http:tls"}).start(free_port())

    def test_one_socket_serves_all_shards(self):
        port = free_port()
        sockets = listening(port, 1)
        self.addCleanup(sockets[0].close)
        gateway = Gateway("--shards", "3", "--deadline.close-ms", "100", sockets=sockets).start(port)
        self.addCleanup(gateway.kill)
        clients = [Ws(port, "/v1/ws?topics=A") for _ in range(30)]
        for ws in clients:
            self.addCleanup(ws.close)
            ws.read(), ws.read()
        gateway.publish("A", 5)
        for ws in clients:
            self.assertEqual(ws.read()["op"], "topic")
            self.assertEqual(ws.read()["data"], 5)
        gateway.stop()


class Follower(threading.Thread):
    """Follows some topics in mode `every` through any number of restarts; what it saw of each is one numbering without a hole that was
    not told."""

    def __init__(self, port, topics):
        super().__init__(daemon=True)
        self.port, self.topics = port, topics
        self.at = {}      # topic: (epoch, seq) seen last
        self.last = {}    # topic: data
        self.wrong = []
        self.refused = self.came_back = 0
        self.over = False

    def run(self):
        while not self.over:
            try:
                self.follow()
            except Refused:
                time.sleep(0.02)  # 503: it drains; a client backs off
            except (Closed, Ended, TooLate):
                pass
            except (ConnectionRefusedError, ConnectionResetError, BrokenPipeError) as error:
                self.refused += 1
                self.wrong.append(repr(error))

    def follow(self):
        with Ws(self.port) as ws:
            self.came_back += 1
            ws.read()
            ack = ws.ask("subscribe", topics=self.topics, mode="every", resume={topic: {"epoch": epoch, "seq": seq} for topic, (epoch, seq) in self.at.items()})
            for topic in ack["topics"]:
                before = self.at.get(topic["topic"])
                if before and not topic.get("resumed"):
                    self.wrong.append(f"not resumed: {topic} after {before}")
                if topic["seq"] == 0:
                    self.wrong.append(f"empty: {topic}")
                if not topic.get("resumed"):
                    self.at[topic["topic"]] = (topic["epoch"], topic["seq"] - 1)
            while not self.over:
                try:
                    message = ws.read(0.2)
                except TooLate:
                    continue
                if message.get("op") == "gap":
                    epoch, seq = self.at[message["topic"]]
                    if message["from"] != seq + 1:
                        self.wrong.append(f"{message} after {seq}")
                    self.at[message["topic"]] = (epoch, message["to"])
                elif message.is_update:
                    epoch, seq = self.at[message["topic"]]
                    if message["seq"] != seq + 1:
                        self.wrong.append(f"{message} after {seq}")
                    self.at[message["topic"]] = (epoch, message["seq"])
                    self.last[message["topic"]] = message["data"]
                elif message.get("op") == "topic":
                    self.wrong.append(f"a new life: {message}")


class RestartTest(unittest.TestCase):
    CLIENTS, RESTARTS, TOPICS = 120, 10, 8

    def test_restarts_under_clients_refuse_nobody_and_begin_no_topic_anew(self):
        port = free_port()
        sockets = listening(port, 2)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        for one in sockets:
            self.addCleanup(one.close)
        names = [f"t{i}" for i in range(self.TOPICS)]
        newest = {}

        def gateway():
            return Gateway("--shards", "2", "--state", os.path.join(directory.name, "state"), "--drain.timeout", "2s", sockets=sockets).start(port)

        running = gateway()
        self.addCleanup(lambda: running.kill())
        for name in names:
            newest[name] = running.publish(name, 0)
        followers = [Follower(port, [names[i % self.TOPICS], names[(i * 3 + 1) % self.TOPICS]] if i % self.TOPICS != (i * 3 + 1) % self.TOPICS else [names[i % self.TOPICS]]) for i in range(self.CLIENTS)]
        for follower in followers:
            follower.start()
        count = 0
        for _ in range(self.RESTARTS):
            for _ in range(40):
                count += 1
                name = names[count % self.TOPICS]
                newest[name] = running.publish(name, count)
            running.stop()
            running = gateway()
            for name in names:  # acknowledged before the end is there after it
                there = json.loads(fetch(port, "GET", f"/v1/topics/{name}").body)
                self.assertEqual((there["epoch"], there["seq"]), (newest[name]["epoch"], newest[name]["seq"]))
        for name in names:
            newest[name] = running.publish(name, '"the end"')
        until = time.monotonic() + 2 * PATIENCE
        while not all(follower.last.get(topic) == "the end" for follower in followers for topic in follower.topics) and time.monotonic() < until:
            time.sleep(0.05)
        for follower in followers:
            follower.over = True
        for follower in followers:
            follower.join(2 * PATIENCE)
        for follower in followers:
            self.assertEqual(follower.wrong, [])
            self.assertGreaterEqual(follower.came_back, 2)
            for topic in follower.topics:
                self.assertEqual(follower.at[topic], (newest[topic]["epoch"], newest[topic]["seq"]))
                self.assertEqual(follower.last[topic], "the end")
        running.stop()


if __name__ == "__main__":
    unittest.main()
