"""Each limit by its name: what is answered, counted and logged when it is reached, and that the others are served all the same."""
import contextlib
import json
import re
import resource
import socket
import struct
import threading
import time
import unittest

from client import BINARY, CONTINUATION, PATIENCE, PING, TEXT, Closed, Ended, Http, Refused, Tcp, TooLate, Ws, deflated, frame, handshake, http_request, path_of
from gateway import API_KEY, KEY, Gateway, GatewayTest

ADMIN = "limits-admin-key-51c07be2a99d"
MIB = 1 << 20


class Limited(Gateway):
    """A gateway with one shard, whose counters can be read."""

    def __init__(self, *flags, shards="1"):
        super().__init__("--shards", shards, "--auth.admin-key", ADMIN, *flags)

    def metric(self, name):
        page = self.fetch("GET", "/metrics", [("X-API-Key", ADMIN)]).body.decode()
        return sum(float(value) for value in re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", page, re.M)) if "{" not in name else \
            float(re.search(rf"^{re.escape(name)} (\S+)$", page, re.M).group(1))

    def hits(self, limit):
        return self.metric('ringcast_limit_hits_total{limit="%s"}' % limit)

    def await_metric(self, name, right, seconds=None):
        deadline = time.monotonic() + (seconds or PATIENCE)
        while not right(value := self.metric(name)):
            if time.monotonic() > deadline:
                raise TooLate(f"{name} is {value}")
            time.sleep(0.02)  # between two looks; what ends the wait is the value
        return value


def wide(port, add=()):
    """A WebSocket from an address that is not loopback, as a trusted proxy names it."""
    ws = Ws(port, add=[("X-Forwarded-For", "203.0.113.7"), *add])
    ws.read()
    return ws


class TableTest(unittest.TestCase):
    """name of the limit, its flags, how it is reached: each returns what was answered."""

    def error(self, gateway, *requests, path="/v1/ws"):
        with Ws(gateway.port, path, add=[API_KEY]) as ws:
            ws.read()
            ws.send_json(*({"op": op, "id": n, **fields} for n, (op, fields) in enumerate(requests)))  # at once: no time passes between them
            while (reply := ws.read()).get("id") != len(requests) - 1:
                pass
            return reply.get("code")

    def close(self, gateway, *frames, path="/v1/ws"):
        with Ws(gateway.port, path, add=[API_KEY]) as ws:
            for one in frames:
                ws.send(one)
            for _ in range(100):
                try:
                    ws.read_message()
                except AssertionError as closed:
                    return closed.code, closed.reason.decode() if isinstance(closed.reason, bytes) else closed.reason
        return None

    def status(self, gateway, *request, **how):
        response = gateway.fetch(*request, **how)
        return response.status, response.code

    def connections(self, gateway):
        held = [Ws(gateway.port) for _ in range(3)]
        try:
            response = self.refused(gateway)
            return response.status, response.code, bool(response.header("Retry-After"))
        finally:
            for ws in held:
                ws.close()
            time.sleep(0)

    def refused(self, gateway, add=()):
        try:
            Ws(gateway.port, add=add).close()
        except Refused as refused:
            return refused.response
        raise AssertionError("it was let in")

    def per_address(self, gateway):
        held = [wide(gateway.port) for _ in range(3)]
        response = self.refused(gateway, [("X-Forwarded-For", "203.0.113.7")])
        for ws in held:
            ws.close()
        return response.status, response.code, bool(response.header("Retry-After"))

    ROWS = (
        ("connections", ["--limits.connections", "3"], connections, (503, "busy", True)),
        ("connections-per-address", ["--limits.connections-per-address", "3", "--proxies.trusted", "127.0.0.1"], per_address, (429, "rate_limited", True)),
        ("requests-per-second", ["--limits.requests-per-second", "1"], lambda self, gateway: self.error(gateway, *[("ping", {})] * 12), "rate_limited"),
        ("head", ["--limits.head", "1K"], lambda self, gateway: self.status(gateway, "GET", "/healthz", [("X", "x" * 2000)]), (431, "too_large")),
        ("body", ["--limits.body", "1K"], lambda self, gateway: self.status(gateway, "POST", "/v1/publish", [API_KEY], b"\n" * 2000), (413, "too_large")),
        ("payload", ["--limits.payload", "1K"], lambda self, gateway: self.error(gateway, ("publish", {"topic": "a", "data": "x" * 2000})), "too_large"),
        ("payload", ["--limits.payload", "1K"], lambda self, gateway: self.status(gateway, "POST", "/v1/topics/a", [API_KEY], b"1" * 90000), (413, "too_large")),
        ("message", ["--limits.message", "1K"], lambda self, gateway: self.close(gateway, frame(TEXT, b"x" * 2000)), (1009, "the message is larger than limits.message")),
        ("echo-message", ["--limits.echo-message", "1K", "--echo"], lambda self, gateway: self.close(gateway, frame(BINARY, b"x" * 2000), path="/v1/echo"), (1009, "the message is larger than limits.echo-message")),
        ("topics", ["--limits.topics", "1"], lambda self, gateway: self.error(gateway, ("publish", {"topic": "a", "data": 1}), ("publish", {"topic": "b", "data": 1})), "too_many_topics"),
        ("subscriptions", ["--limits.subscriptions", "2"], lambda self, gateway: self.error(gateway, ("subscribe", {"topics": ["a", "b", "c"]})), "too_many_topics"),
        ("patterns", ["--limits.patterns", "1"], lambda self, gateway: self.error(gateway, ("subscribe", {"topics": ["a.*", "b.*"]})), "too_many_topics"),
    )

    def test_each_is_answered_counted_and_logged(self):
        for name, flags, reach, answer in self.ROWS:
            with self.subTest(name), Limited(*flags) as gateway:
                self.assertEqual(reach(self, gateway), answer)
                gateway.await_logged(f': limits.{name}" shard=0 limit=')
                gateway.await_metric('ringcast_limit_hits_total{limit="%s"}' % name, lambda hits: hits >= 1)
                self.assertEqual(gateway.fetch("GET", "/healthz").status, 200)

    def test_each_limit_of_the_settings_is_in_the_metrics_and_in_this_table(self):
        with Limited() as gateway:
            page = gateway.fetch("GET", "/metrics", [("X-API-Key", ADMIN)]).body.decode()
        counted = set(re.findall(r'^ringcast_limit_hits_total\{limit="([^"]+)"\}', page, re.M))
        elsewhere = {"accepts-per-second", "memory", "log-bytes"}  # tested below, and in test_slow
        self.assertEqual(counted, {row[0] for row in self.ROWS} | elsewhere)


class RefusedSubscribeTest(unittest.TestCase):
    """A subscribe over a limit is refused as a whole, and what is followed already costs nothing again."""

    @staticmethod
    def listed(ws):
        return sorted((one["topic"], one["mode"], one.get("max_hz")) for one in ws.ask("list")["topics"])

    def test_a_refused_subscribe_leaves_mode_and_pace_of_what_is_followed_already(self):
        for shards in "1", "3":
            with self.subTest(shards=shards), Gateway("--limits.subscriptions", "3", "--limits.patterns", "1", "--shards", shards) as gateway, Ws(gateway.port) as ws:
                ws.read()
                ws.ask("subscribe", topics=["A", "d"], max_hz=4)
                ws.ask("subscribe", topics=["p.*"], max_hz=5)
                before = self.listed(ws)
                for topics in (["A", "b", "c"], ["p.*", "A", "b", "c"], ["A", "p.*", "q.*"], ["p.*", "q.*", "A"]):
                    self.assertEqual(ws.ask("subscribe", topics=topics, mode="every")["code"], "too_many_topics", topics)
                    self.assertEqual(self.listed(ws), before, topics)

    def test_a_pattern_that_covers_half_the_limit_may_be_subscribed_again(self):
        for shards in "1", "3":
            with self.subTest(shards=shards), Gateway("--limits.subscriptions", "6", "--shards", shards) as gateway, Ws(gateway.port) as ws:
                ws.read()
                gateway.publish_many([(f"half.{n}", "1") for n in range(5)])
                self.assertEqual(ws.ask("subscribe", topics=["half.*"])["op"], "subscribed")
                self.assertEqual(ws.ask("subscribe", topics=["half.*"], mode="every")["op"], "subscribed")
                self.assertEqual({one["mode"] for one in ws.ask("list")["topics"]}, {"every"})
                self.assertEqual(ws.ask("subscribe", topics=["half.>", "one"])["op"], "subscribed", "nothing new but the name")
                gateway.publish("another")
                self.assertEqual(ws.ask("subscribe", topics=[">"])["code"], "too_many_topics")


@unittest.skipIf(PATIENCE > 10, "a sanitizer needs more address space than a process may be given")
class LargeAnswerTest(unittest.TestCase):
    """An answer beyond the reserve of 2 MiB ended the process where the system refused memory for it."""

    @staticmethod
    def bound(gateway, more_bytes):
        """Lets the process have so much more address space than it has; None: all."""
        with open(f"/proc/{gateway.process.pid}/status", encoding="ascii") as file:
            now = int(re.search(r"VmSize:\s+(\d+) kB", file.read()).group(1)) * 1024
        most = resource.RLIM_INFINITY
        resource.prlimit(gateway.process.pid, resource.RLIMIT_AS, (now + more_bytes if more_bytes is not None else most, most))

    def asked(self, gateway, path):
        """The size of the answer, or how it was refused: a shard without its reserve may also end whoever holds the most."""
        try:
            answer = gateway.fetch("GET", path)
        except Ended:
            return "shed"
        if answer.status == 200:
            return len(answer.body)
        self.assertEqual((answer.status, answer.code, answer.header("Connection")), (503, "busy", "close"))
        self.assertIsNotNone(answer.header("Retry-After"))
        return answer.status

    def test_one_without_memory_is_answered_503_and_the_gateway_lives(self):
        data = json.dumps("x" * 60000)
        for shards in "1", "3":
            for path, size in (("/v1/topics/large.0/history?limit=1000", 1 << 23), ("/v1/last?topics=" + ",".join(f"large.{n}" for n in range(200)), 1 << 23)):
                with self.subTest(shards=shards, path=path[:20]), Gateway("--shards", shards, "--topics.window-bytes", "16M") as gateway:
                    for _ in range(20):
                        gateway.publish_many([("large.0", data)] * 10)
                    gateway.publish_many([(f"large.{n}", data) for n in range(1, 100)])
                    gateway.publish_many([(f"large.{n}", data) for n in range(100, 200)])
                    self.bound(gateway, 4 << 20)
                    for _ in range(3):
                        self.assertIn(self.asked(gateway, path), (503, "shed"))
                    self.bound(gateway, None)
                    deadline = time.monotonic() + PATIENCE
                    while (served := self.asked(gateway, path)) in (503, "shed"):  # until each shard has its reserve again
                        self.assertLess(time.monotonic(), deadline)
                        time.sleep(0.01)
                    self.assertGreater(served, size)


@unittest.skipIf(PATIENCE > 10, "a sanitizer needs more address space than a process may be given")
class LargeMessageTest(unittest.TestCase):
    """A list of 10,000 subscriptions ended the process where the system refused memory for it; so might what a pattern covers."""
    names = [f"large.{'x' * 90}{n}" for n in range(10000)]

    def test_who_is_to_be_told_what_there_is_no_memory_for_is_shed_and_the_gateway_lives(self):
        for shards, request in ("1", {"op": "list"}), ("3", {"op": "list"}), ("1", {"op": "subscribe", "topics": ["large.*"]}):
            with self.subTest(shards=shards, op=request["op"]), Gateway("--shards", shards) as gateway, Ws(gateway.port) as ws, Ws(gateway.port) as other:
                ws.read(), other.read()
                gateway.publish_many([(name, "1") for name in self.names])
                for at in range(0, 10000, 5000) if request["op"] == "list" else ():
                    self.assertEqual(ws.ask("subscribe", topics=self.names[at:at + 5000], snapshot=False)["op"], "subscribed")
                LargeAnswerTest.bound(gateway, 0)
                ws.send_json({**request, "id": 1})
                try:
                    while ws.read().get("id") != 1:  # answered all the same, where the allocator had as much at hand
                        pass
                except Closed as closed:
                    self.assertEqual(closed.code, 1013)
                except Ended:
                    pass  # more waits for it than it could be told behind
                LargeAnswerTest.bound(gateway, None)
                self.assertEqual(other.ask("ping")["op"], "pong")


class QueryTest(unittest.TestCase):
    """4400 is final for clients, ours too: it was also said where there was only no room for now."""

    def refused(self, gateway, topics, code):
        with Ws(gateway.port, f"/v1/ws?topics={topics}") as ws:
            before = ws.expect_close(code)
        self.assertEqual([message["op"] for message in before], ["hello", "error", "closing"])
        self.assertEqual(before[1]["code"], "too_many_topics")

    def test_what_has_no_room_for_now_in_a_query_is_to_come_again(self):
        for shards in "1", "3":
            with self.subTest(shards=shards), Gateway("--limits.topics", "4", "--limits.subscriptions", "40", "--limits.patterns", "2", "--shards", shards) as gateway, Ws(gateway.port) as ws:
                ws.read()
                names = [f"room.{n}" for n in range(40)]  # several shards may hold a quarter more
                self.refused(gateway, ",".join(names), 1013)
            with Gateway("--limits.subscriptions", "2", "--shards", shards) as gateway:
                gateway.publish_many([(f"wide.{n}", "1") for n in range(3)])
                self.refused(gateway, "wide.*", 1013)
                self.refused(gateway, "wide.*,other", 1013)

    def test_what_can_never_fit_in_a_query_is_final(self):
        for shards in "1", "3":
            with self.subTest(shards=shards), Gateway("--limits.subscriptions", "2", "--limits.patterns", "1", "--shards", shards) as gateway:
                self.refused(gateway, "a,b,c", 4400)
                self.refused(gateway, "x.*,a,b,c", 4400)
                self.refused(gateway, "x.*,y.*", 4400)


class RateTest(unittest.TestCase):
    def test_who_goes_on_is_sent_away_and_others_are_not_touched(self):
        with Limited("--limits.requests-per-second", "20") as gateway:
            with Ws(gateway.port) as ws, Ws(gateway.port) as other:
                ws.read(), other.read()
                answers = [ws.ask("ping") for _ in range(200)]
                self.assertTrue(all(answer["op"] == "pong" for answer in answers), "ten seconds' worth at once")
                ws.send_json(*[{"op": "ping", "id": n} for n in range(100)])
                codes, closing = [], None
                with self.assertRaises(AssertionError) as closed:
                    while True:
                        message = ws.read()
                        if message["op"] == "closing":
                            closing = message
                        codes.append(message.get("code"))
                self.assertEqual(closed.exception.code, 4429)
                self.assertIn("limits.requests-per-second", closed.exception.reason if isinstance(closed.exception.reason, str) else closed.exception.reason.decode())
                self.assertIn("limits.requests-per-second", closing["reason"])
                self.assertTrue(20 <= codes.count("rate_limited") <= 22, codes)
                self.assertEqual(other.ask("ping")["op"], "pong")

    def test_publishing_with_a_right_is_not_measured_and_being_refused_is(self):
        with Limited("--limits.requests-per-second", "5") as gateway:
            with Ws(gateway.port, add=[API_KEY]) as ws:
                ws.read()
                ws.send_json(*[{"op": "publish", "topic": "a", "data": n} for n in range(2000)])
                self.assertEqual(ws.ask("publish", topic="a", data=1)["seq"], 2001)
            with Ws(gateway.port) as ws:
                ws.read()
                ws.send_json(*[{"op": "publish", "topic": "a", "data": n} for n in range(100)])
                ws.expect_close(4429)

    def test_little_that_inflates_to_much_counts_by_its_size(self):
        """A message of 1 KB held a shard for 2 to 3 ms and counted as one request, or as none."""
        offer = ("Sec-WebSocket-Extensions", "permessage-deflate")
        large, pinging = deflated(b"\n" * (1 << 20)), deflated(json.dumps({"op": "ping", "id": 1}).encode())
        flags = ("--limits.requests-per-second", "5")
        for pieces in (1, 3):
            with self.subTest(pieces=pieces), Limited(*flags) as gateway, Ws(gateway.port, add=[offer]) as ws, Ws(gateway.port, add=[offer, API_KEY]) as publisher:
                ws.read(), publisher.read()

                def send(one, data):
                    step = -(-len(data) // pieces)
                    parts = [data[at : at + step] for at in range(0, len(data), step)]
                    for number, part in enumerate(parts):
                        one.send_frame(TEXT if number == 0 else CONTINUATION, part, rsv=4 if number == 0 else 0, fin=number == len(parts) - 1)

                for _ in range(10):  # of a burst of 50: two for each, the message and its request
                    send(ws, pinging)
                    self.assertEqual(ws.read()["op"], "pong")
                send(ws, large)  # 64, and what is beyond the burst is owed
                send(ws, pinging)
                self.assertEqual(ws.read()["code"], "rate_limited")
                send(ws, large)
                ws.expect_close(4429)
                for _ in range(20):
                    send(publisher, large)
                self.assertEqual(publisher.ask("publish", topic="a", data=1)["op"], "published", "publishing with a right is not measured")

    def test_floods_of_ping_frames_and_of_nonsense_end(self):
        for data in (frame(PING, b"x"), frame(TEXT, b"{"), frame(TEXT, b"[]"), frame(TEXT, b'{"op":"x"}'), frame(TEXT, b'{"op":"auth","token":"guess"}')):
            with self.subTest(data), Limited("--limits.requests-per-second", "5") as gateway, Ws(gateway.port) as ws:
                ws.read()
                ws.send_as_far_as_taken(data * 200)
                ws.expect_close(4429)

    def test_http_requests_are_measured_too(self):
        with Limited("--limits.requests-per-second", "2") as gateway, Http(gateway.port) as http:
            statuses, began = [], time.monotonic()
            with self.assertRaises((Ended, OSError)):
                while time.monotonic() < began + PATIENCE:
                    http.request("GET", "/healthz")
                    response = http.response()
                    statuses.append(response.status)
                    if response.status == 429:
                        self.assertEqual((response.code, response.header("Retry-After") is not None), ("rate_limited", True))
            self.assertEqual(statuses[:21], [200] * 21)
            self.assertGreaterEqual(statuses.count(429), 3)
            self.assertLessEqual(statuses.count(200), 21 + 2 * (time.monotonic() - began))
            with Http(gateway.port) as publisher:
                for _ in range(40):
                    publisher.request("POST", "/v1/topics/a", [API_KEY], b"1")
                    self.assertEqual(publisher.response().status, 200)
            with Http(gateway.port) as guesser:
                statuses, began = [], time.monotonic()
                while 429 not in statuses:
                    guesser.request("GET", "/v1/topics", [("X-API-Key", "guess")])
                    statuses.append(guesser.response().status)
                    self.assertLessEqual(len(statuses), 22 + 2 * (time.monotonic() - began))


class AcceptsTest(unittest.TestCase):
    def test_those_over_the_rate_wait_and_are_all_served(self):
        with Limited("--limits.accepts-per-second", "50") as gateway:
            start = time.monotonic()
            sockets = [Tcp(gateway.port) for _ in range(120)]
            for tcp in sockets:
                tcp.send(http_request(gateway.port, "GET", "/readyz"))
            for tcp in sockets:
                self.assertIn(b" 200 ", tcp.take_line(time.monotonic() + PATIENCE))
                tcp.close()
            self.assertEqual(gateway.fetch("GET", "/readyz").status, 200)
            self.assertGreater(time.monotonic() - start, 1.2, "50 at once and 50 a second: what the backlog gave at once is owed")
            gateway.await_logged('accepting pauses: limits.accepts-per-second" shard=0 limit=50')
            self.assertGreaterEqual(gateway.hits("accepts-per-second"), 1)


class OverTest(unittest.TestCase):
    def test_who_is_told_of_the_limit_of_connections_is_not_heard_out(self):
        """There are 64 places for them: who dripped in one had it for deadline.body-ms, and health probes waited in the backlog."""
        with Limited("--limits.connections", "4", "--deadline.close-ms", "500") as gateway, contextlib.ExitStack() as held:
            for _ in range(4):
                held.enter_context(Http(gateway.port)).request("GET", "/healthz").response()
            over = held.enter_context(Http(gateway.port))
            over.send(b"GET /")
            self.assertEqual(over.response().status, 503)
            deadline = time.monotonic() + PATIENCE
            with self.assertRaises(ConnectionError):
                while time.monotonic() < deadline:
                    over.send(b"x")
                    time.sleep(0.05)  # the next drop


class MemoryTest(unittest.TestCase):
    """limits.memory: what clients don't send or take whole is bounded, the heaviest go, the others stay."""

    def clients(self, gateway):
        return gateway.metric('ringcast_memory_bytes{kind="clients"}')

    def test_the_largest_message_is_taken_however_many_shards_share_the_memory(self):
        """With eight shards a message of 16 MiB was closed with 1013 in place of its echo."""
        message = bytes(16 << 20)
        with Limited("--echo", shards="8") as gateway, Ws(gateway.port, path="/v1/echo") as ws:
            ws.send_frame(BINARY, message)
            self.assertEqual(ws.read_message(), (BINARY, message))

    def test_incomplete_messages(self):
        with Limited("--limits.memory", "4M") as gateway:
            with Ws(gateway.port, "/v1/ws?topics=a") as bystander:
                bystander.read(), bystander.read()
                held, ends = [], 0
                for _ in range(12):
                    ws = Ws(gateway.port)
                    held.append(ws)
                    ws.send_as_far_as_taken(frame(TEXT, b" " * 900_000, length=1_000_000))
                gateway.await_metric('ringcast_limit_hits_total{limit="memory"}', lambda hits: hits > 0)
                self.assertLess(gateway.await_metric('ringcast_memory_bytes{kind="clients"}', lambda bytes: bytes < 4 * MIB), 4 * MIB)
                for ws in held:
                    try:
                        ws.read_message(seconds=0.2)
                        while True:
                            message = ws.read(seconds=0.2)
                            self.assertEqual(message["op"], "closing")
                    except TooLate:
                        continue
                    except Ended:
                        ends += 1
                    except AssertionError as closed:
                        self.assertEqual(closed.code, 1013, closed)
                        ends += 1
                self.assertGreaterEqual(ends, 5)
                gateway.publish("a", 7)
                self.assertEqual([bystander.read().get("op"), bystander.read().get("data")], ["topic", 7])
                for ws in held:
                    ws.close()

    def test_bodies_and_heads_get_503(self):
        with Limited("--limits.memory", "1M", "--limits.payload", "1M") as gateway:
            posts = []
            for _ in range(4):
                http = Http(gateway.port)
                posts.append(http)
                http.send_as_far_as_taken(b"POST /v1/topics/a HTTP/1.1\r\nHost: x\r\nX-API-Key: " + KEY.encode() + b"\r\nContent-Length: 900000\r\n\r\n" + b" " * 450_000)
            gateway.await_metric('ringcast_limit_hits_total{limit="memory"}', lambda hits: hits > 0)
            refused = 0
            for http in posts:
                try:
                    response = http.response(seconds=0.5)
                    self.assertEqual((response.status, response.code, response.header("Connection")), (503, "busy", "close"))
                    self.assertTrue(response.header("Retry-After"))
                    refused += 1
                except TooLate:
                    pass
                http.close()
            self.assertGreaterEqual(refused, 1)
            self.assertEqual(gateway.publish("a", 1)["seq"], 1)

    def test_answers_that_nobody_takes(self):
        with Limited("--limits.memory", "8M", "--topics.window", "1000", "--limits.payload", "64K", "--topics.window-bytes", "64M") as gateway:
            gateway.publish_many(("big", '"' + "x" * 16000 + '"') for _ in range(900))
            takers = []
            for _ in range(4):
                tcp = Tcp(gateway.port, receive_bytes=4096)
                takers.append(tcp)
                tcp.send(http_request(gateway.port, "GET", "/v1/topics/big/history?limit=1000"))
            gateway.await_metric("ringcast_closed_shed_total", lambda ends: ends >= 1)
            gateway.await_metric('ringcast_memory_bytes{kind="clients"}', lambda bytes: bytes < 8 * MIB)
            for tcp in takers:
                tcp.close()
            self.assertEqual(gateway.fetch("GET", "/v1/topics/big").status, 200)

    def test_at_rest_it_is_nothing(self):
        with Limited() as gateway:
            sockets = [Ws(gateway.port, f"/v1/ws?topics=a,b,c{n}") for n in range(30)]
            for n in range(30):
                gateway.publish(f"c{n}", n)
                sockets[n].send_text("{" * 3000)
            for ws in sockets:
                ws.quiet()
                ws.close()
            gateway.await_metric('ringcast_memory_bytes{kind="clients"}', lambda bytes: bytes < 4096)


if __name__ == "__main__":
    unittest.main()
