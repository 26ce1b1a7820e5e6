"""Server-Sent Events on /v1/stream (PROTOCOL.md, "Endpoints"): what a stream is sent, where it goes on after a break, how it is refused."""
import re
import shutil
import signal
import subprocess
import time
import unittest
from urllib.parse import quote

from client import PATIENCE, Ended, TooLate, Ws, path_of
from gateway import API_KEY, BEARER, KEY, Gateway, GatewayTest
from sse import Sse, query_of

ADMIN = "integration-admin-key-19c0"
TEXT_OF = '{"n":%d,"fill":"' + "x" * 1000 + '"}'


class StreamTest(GatewayTest):
    flags = ("--topics.window", "2000", "--auth.admin-key", ADMIN, "--shards", "1")

    def stream(self, query, hello=True, **how):
        sse = Sse(self.port, query, **how)
        self.addCleanup(sse.close)
        self.assertEqual(sse.status, 200, sse.headers)
        if hello:
            self.assertEqual(sse.read()["op"], "hello")
        return sse

    def acked(self, sse, *topics):
        """The ack: [(topic, seq, resumed)]."""
        ack = sse.read()
        self.assertEqual(ack["op"], "subscribed", ack)
        self.assertNotIn("id", ack)
        self.assertEqual([one["topic"] for one in ack["topics"]], list(topics))
        return [(one["topic"], one.get("seq"), one.get("resumed")) for one in ack["topics"]]

    # what a stream is

    def test_the_head_is_that_of_an_event_stream_and_nothing_caches_or_gathers_it(self):
        sse = Sse(self.port, query_of(self.topic()))
        self.assertEqual((sse.status, sse.header("Content-Type"), sse.header("Cache-Control")), (200, "text/event-stream", "no-store"))
        self.assertEqual((sse.header("Content-Length"), sse.header("Transfer-Encoding"), sse.header("Connection")), (None, None, "close"))
        sse.close()

    def test_each_message_is_one_event_of_one_data_line_byte_for_byte_what_a_websocket_gets(self):
        topic = self.topic()
        self.publish(topic, '{"first":1}')
        sse, ws = self.stream(query_of(topic, mode="every")), self.ws(f"/v1/ws?topics={topic}&mode=every")
        bodies = ['"\\u2028\\n\\"x"', '{"p":189.30,"a":[1,\n2,\r\n3]}', "null", '"' + "y" * 60000 + '"', "1e5", '"ü€𝄞"']
        for body in bodies:
            self.publish(topic, body.encode())
        for _ in range(2 + len(bodies)):
            self.assertEqual(sse.read().raw, ws.read().raw)
        self.assertEqual(self.gateway.history(topic)[2]["data"], {"p": 189.3, "a": [1, 2, 3]})

    def test_a_snapshot_then_what_comes_in_order_and_no_id_within_shared_events(self):
        topic, other = self.topic(), self.topic()
        for n in range(3):
            self.publish(topic, n)
        sse = self.stream(query_of(topic, other, mode="every"))
        self.assertEqual(self.acked(sse, topic, other), [(topic, 3, None), (other, 0, None)])
        self.assertUpdate(sse.read(), topic, 3, "2")
        epoch = self.publish(other, 7)["epoch"]
        self.assertEqual(sse.read(), {"op": "topic", "topic": other, "epoch": epoch, "seq": 0})
        self.assertUpdate(sse.read(), other, 1, "7")
        for n in range(500):
            self.publish(topic, n) if n < 5 else None
        self.gateway.publish_many((topic, n) for n in range(5, 500))
        for n in range(500):
            self.assertUpdate(sse.read(), topic, 4 + n, str(n))

    def test_options_of_the_query_hold(self):
        topic = self.topic()
        self.publish(topic)
        sse = self.stream(query_of(topic, snapshot="false", heartbeat_ms=1000), hello=False)
        self.assertEqual(sse.read()["heartbeat_ms"], 1000)
        self.acked(sse, topic)
        self.assertEqual(sse.quiet(0.3), [])
        self.publish(topic, 5)
        self.assertUpdate(sse.read(), topic, 2, "5")

    def test_heartbeats_are_comments(self):
        sse = self.stream(query_of(self.topic(), heartbeat_ms=1000))
        sse.read()
        began, held_up = time.monotonic(), 0
        while sse.heartbeats < 2:
            before = time.monotonic()
            self.assertEqual(sse.quiet(0.25), [])
            self.fetch("GET", "/healthz")  # who is held up, this test or the gateway, is held up here too
            held_up += max(0, time.monotonic() - before - 0.3)
            self.assertLess(time.monotonic() - began - held_up, 2.9, "two a second apart")
        self.assertLessEqual(sse.heartbeats, time.monotonic() - began + 1, "no more than one a second")

    def test_a_pattern_covers_what_is_and_what_comes(self):
        base = self.topic("pat").replace(".", "-")
        epochs = {f"{base}.{n}": self.publish(f"{base}.{n}", n)["epoch"] for n in range(3)}
        sse = self.stream(query_of(f"{base}.*"))
        self.acked(sse, f"{base}.*")
        told = sorted((sse.read() for _ in range(3)), key=lambda message: message["topic"])  # by shard, so in any order
        self.assertEqual([(m["op"], m["topic"], m["epoch"], m["seq"], m["by"]) for m in told], [("topic", t, e, 1, f"{base}.*") for t, e in epochs.items()])
        self.assertEqual({sse.read()["topic"] for _ in range(3)}, set(epochs))
        epoch = self.publish(f"{base}.new", 1)["epoch"]
        self.assertEqual(sse.read(), {"op": "topic", "topic": f"{base}.new", "epoch": epoch, "seq": 0, "by": f"{base}.*"})
        self.assertUpdate(sse.read(), f"{base}.new", 1)

    def test_a_topic_deleted_and_born_again_is_told_with_its_new_epoch(self):
        topic = self.topic()
        first = self.publish(topic)["epoch"]
        sse = self.stream(query_of(topic))
        self.acked(sse, topic)
        self.assertUpdate(sse.read(), topic, 1)
        self.assertEqual(self.fetch("DELETE", path_of(topic), [API_KEY]).status, 204)
        again = self.publish(topic)["epoch"]
        self.assertNotEqual(first, again)
        self.assertEqual(sse.read(), {"op": "topic", "topic": topic, "epoch": again, "seq": 0})
        self.assertUpdate(sse.read(), topic, 1)

    # the position

    def test_the_position_comes_after_what_it_stands_for_and_at_most_once_a_second(self):
        topic = self.topic()
        epoch = self.publish(topic)["epoch"]
        sse = self.stream(query_of(topic, mode="every"))
        self.acked(sse, topic)
        self.assertUpdate(sse.read(), topic, 1)
        sse.read_id()
        self.assertEqual(sse.parts(), {f"{epoch}:1:{topic}"})
        began, n = time.monotonic(), 1
        while time.monotonic() < began + 3.2 or sse.ids < 3:
            self.assertLess(time.monotonic() - began, 4 + PATIENCE)
            n += 1
            self.publish(topic, n)
            self.assertUpdate(sse.read(), topic, n)
            if sse.last_id:
                self.assertLess(sse.position()[topic], n, "a position never runs ahead")
            time.sleep(0.02)
        sse.read_id({topic: n})
        self.assertEqual(sse.parts(), {f"{epoch}:{n}:{topic}"}, "the last one stands for all")
        self.assertLessEqual(sse.ids, time.monotonic() - began + 2, "at most one a second, and the first")

    def test_last_event_id_resumes_and_says_so(self):
        topic, other, unknown = self.topic(), self.topic("Ü€%:x"), self.topic()
        epoch, other_epoch = self.publish(topic, 1)["epoch"], self.publish(other, 1)["epoch"]
        sse = self.stream(query_of(topic, other, mode="every"))
        self.acked(sse, topic, other)
        self.assertEqual({sse.read()["topic"], sse.read()["topic"]}, {topic, other})
        written = quote(other, safe=":.")
        last_id = sse.read_id({topic: 1, written: 1}, seconds=3)
        self.assertEqual(sse.parts(), {f"{epoch}:1:{topic}", f"{other_epoch}:1:{written}"})
        sse.close()
        for n in range(2, 40):
            self.publish(topic, n)
        sse = self.stream(query_of(topic, other, unknown, mode="every"), last_id=last_id)
        self.assertEqual(self.acked(sse, topic, other, unknown), [(topic, 39, True), (other, 1, True), (unknown, 0, None)])
        for n in range(2, 40):
            self.assertUpdate(sse.read(), topic, n, str(n))
        self.assertEqual(sse.quiet(0.2), [])

    def test_another_epoch_or_a_seq_beyond_the_head_begins_anew_and_says_so(self):
        topic, other = self.topic(), self.topic()
        epoch = self.publish(topic, 1)["epoch"]
        self.publish(other, 1)
        sse = self.stream(query_of(topic, other, mode="every"), last_id=f"{epoch}:5:{topic},AAAAAAAA:1:{other}")
        self.assertEqual(self.acked(sse, topic, other), [(topic, 1, False), (other, 1, False)])
        self.assertEqual({(m["topic"], m["seq"]) for m in (sse.read(), sse.read())}, {(topic, 1), (other, 1)})

    def test_what_the_window_no_longer_holds_is_a_gap_after_resuming(self):
        topic = self.topic("win")
        epoch = self.publish(topic, 0)["epoch"]
        self.gateway.publish_many((topic, TEXT_OF % n) for n in range(2, 3001))
        oldest = self.gateway.oldest(topic)
        self.assertGreater(oldest, 2)
        sse = self.stream(query_of(topic, mode="every"), last_id=f"{epoch}:1:{topic}")
        self.assertEqual(self.acked(sse, topic), [(topic, 3000, True)])
        gap = sse.read()
        self.assertEqual((gap["op"], gap["topic"], gap["from"], gap["to"]), ("gap", topic, 2, oldest - 1))
        for n in range(oldest, 3001):
            self.assertUpdate(sse.read(), topic, n)

    def test_a_position_resumes_what_a_pattern_covers(self):
        base = self.topic("rpat").replace(".", "-")
        epoch = self.publish(f"{base}.a", 1)["epoch"]
        for n in range(2, 6):
            self.publish(f"{base}.a", n)
        self.publish(f"{base}.b", 1)
        sse = self.stream(query_of(f"{base}.*", mode="every"), last_id=f"{epoch}:2:{base}.a,AAAAAAAA:1:{base}.b")
        self.acked(sse, f"{base}.*")
        self.assertEqual({(m["topic"], m["seq"], m["resumed"]) for m in (sse.read(), sse.read())}, {(f"{base}.a", 5, True), (f"{base}.b", 1, False)})
        self.assertEqual(sorted((m["topic"], m["seq"]) for m in (sse.read() for _ in range(4))), [(f"{base}.a", 3), (f"{base}.a", 4), (f"{base}.a", 5), (f"{base}.b", 1)])

    def test_what_was_born_after_the_last_position_loses_nothing_over_a_break(self):
        for by_pattern in (False, True):
            with self.subTest(by_pattern=by_pattern):
                base = self.topic("born").replace(".", "-")
                names = [f"{base}.{n}" for n in range(6)]
                query = query_of(f"{base}.*", mode="every") if by_pattern else query_of(*names, mode="every")
                self.publish(names[0], 1)
                sse = self.stream(query)
                last_id = sse.read_id_after({names[0]: 1})
                for name in names[1:]:  # after the position, and none of it named there
                    for n in range(1, 4):
                        self.publish(name, n)
                sse.reset()
                sse = self.stream(query, last_id=last_id)
                came = {}
                while sum(map(len, came.values())) < 15:
                    message = sse.read()
                    if message.is_update:
                        came.setdefault(message["topic"], []).append(message["seq"])
                self.assertEqual(came, {name: [1, 2, 3] for name in names[1:]})
                self.assertEqual(sse.quiet(0.1), [])

    def test_latest_gets_the_newest_alone_of_what_was_born_after_the_last_position(self):
        base = self.topic("born").replace(".", "-")
        self.publish(f"{base}.a", 1)
        sse = self.stream(query_of(f"{base}.*"))
        last_id = sse.read_id_after({f"{base}.a": 1})
        sse.close()
        for n in range(1, 6):
            self.publish(f"{base}.b", n)
        sse = self.stream(query_of(f"{base}.*"), last_id=last_id)
        while not (message := sse.read()).is_update:
            pass
        self.assertUpdate(message, f"{base}.b", 5)
        self.assertEqual(sse.quiet(0.1), [])

    def test_a_position_of_other_topics_says_nothing_of_those_it_does_not_name(self):
        topic, other = self.topic(), self.topic()
        self.publish(topic, 1)
        last_id = self.stream(query_of(topic, mode="every")).read_id_after({topic: 1})
        for n in range(1, 6):
            self.publish(other, n)
        sse = self.stream(query_of(topic, other, mode="every"), last_id=last_id)
        self.assertEqual(self.acked(sse, topic, other), [(topic, 1, True), (other, 5, None)])
        self.assertUpdate(sse.read(), other, 5)

    def test_positions_that_say_nothing_are_ignored(self):
        topic = self.topic()
        epoch = self.publish(topic, 1)["epoch"]
        self.publish(topic, 2)
        for nonsense in ("", ",", ",,,", "x", ":::", f"{epoch}", f"{epoch}:", f"{epoch}::{topic}", f"{epoch}:-1:{topic}", f"{epoch}:0:{topic}", f"{epoch}:1x:{topic}",
                         f"{epoch}:99999999999999999999999:{topic}", f"{epoch}:1:%zz", f"{epoch}:1:%", f"{epoch}:1:", f"{epoch[:7]}:1:{topic}", f"{epoch}1:1:{topic}",
                         f"{epoch}:1:" + "%41" * 4000, "%00" * 5000, "," * 15000, "a:1:b," * 2500, f"{epoch}:1:x{topic}," * 500, "\x80\xff" * 7000):
            with self.subTest(nonsense=nonsense[:40]):
                sse = self.stream(query_of(topic, mode="every"), last_id=nonsense)
                self.assertEqual(self.acked(sse, topic), [(topic, 2, None)])
                self.assertUpdate(sse.read(), topic, 2)
                sse.close()

    def test_a_position_of_thousands_of_parts_and_double_ones_resumes_once(self):
        topic = self.topic()
        epoch = self.publish(topic, 1)["epoch"]
        self.publish(topic, 2)
        self.publish(topic, 3)
        encoded = "".join(f"%{byte:02x}" for byte in topic.encode())
        for last_id in (f"{epoch}:2:{topic}," * 400 + f"{epoch}:2:{topic}", "AAAAAAAA:1:a," * 900 + f"{epoch}:2:{encoded}"):
            self.assertLess(len(last_id), 15500)
            sse = self.stream(query_of(topic, topic, mode="every"), last_id=last_id)
            self.assertEqual(self.acked(sse, topic), [(topic, 3, True)])
            self.assertUpdate(sse.read(), topic, 3)
            self.assertEqual(sse.quiet(0.1), [])
            sse.close()

    # refusals

    def test_faults_of_the_query_get_a_status(self):
        topics = ",".join(self.topic() for _ in range(101))
        for query, code in (("", "bad_request"), ("topics=", "bad_request"), ("topics=a,", "bad_topic"), ("topics=a..b", "bad_topic"), ("topics=a%20b", "bad_topic"), ("topics=%ff", "bad_topic"),
                            ("topics=a%", "bad_request"), ("topics=a&topics=b", "bad_request"), ("topics=a&mode=fast", "bad_request"), ("topics=a&snapshot=maybe", "bad_request"),
                            ("topics=a&max_hz=-1", "bad_request"), ("topics=a&max_hz=x", "bad_request"), ("topics=a&heartbeat_ms=10", "bad_request"), (f"topics={topics}", "bad_request"),
                            ("topics=a%00b", "bad_topic"), ("topics=*a", "bad_topic"), ("topics=" + "a" * 129, "bad_topic")):
            with self.subTest(query=query[:60]):
                http = self.http()
                http.request("GET", f"/v1/stream?{query}").request("GET", "/healthz")
                self.assertError(http.response(), 400, code)
                self.assertEqual(http.response().status, 200, "the connection goes on")

    def test_a_hundred_topics_are_served_and_repeated_ones_count_once(self):
        topics = [self.topic() for _ in range(100)]
        sse = self.stream(query_of(*topics, *topics))
        self.acked(sse, *topics)

    def test_a_wrong_token_is_401_and_a_right_one_is_served(self):
        topic = self.topic()
        http = self.http()
        http.request("GET", f"/v1/stream?topics={topic}&token=wrong")
        self.assertError(http.response(), 401, "unauthorized")
        http.request("GET", f"/v1/stream?topics={topic}", [("Authorization", "Bearer wrong")])
        self.assertError(http.response(), 401, "unauthorized")
        for query, headers in ((query_of(topic, token=KEY), ()), (query_of(topic), [API_KEY]), (query_of(topic), [BEARER])):
            self.acked(self.stream(query, headers=headers), topic)

    def test_other_methods_and_bodies_are_refused(self):
        self.assertError(self.fetch("POST", "/v1/stream?topics=a", [API_KEY], b"1"), 405, "bad_request")
        self.assertError(self.fetch("GET", "/v1/stream?topics=a", body=b"1"), 400, "bad_request")

    def test_after_a_refusal_the_same_connection_may_become_a_websocket_in_json(self):
        topic = self.topic()
        self.publish(topic)
        ws = self.http()
        ws.__class__ = Ws  # its handshake is still to come
        ws.request("GET", f"/v1/stream?topics={topic}&heartbeat_ms=2000&mode=wrong")
        self.assertError(ws.response(), 400, "bad_request")
        ws.upgrade(f"/v1/ws?topics={topic}")
        self.assertEqual(ws.read()["heartbeat_ms"], 25000)
        self.assertEqual(ws.read()["op"], "subscribed")
        self.assertUpdate(ws.read(), topic, 1)

    # HTTP

    def test_head_and_http_1_0(self):
        topic = self.topic()
        self.publish(topic)
        sse = Sse(self.port, query_of(topic), method="HEAD")
        self.assertEqual((sse.status, sse.header("Content-Type")), (200, "text/event-stream"))
        sse.expect_end()
        sse.close()
        sse = self.stream(query_of(topic), version="HTTP/1.0")
        self.acked(sse, topic)
        self.assertUpdate(sse.read(), topic, 1)

    def test_what_a_client_says_after_its_request_is_ignored(self):
        topic = self.topic()
        sse = self.stream(query_of(topic), with_it=b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + b"\x00" * 5000)
        self.acked(sse, topic)
        for n in range(1, 20):
            sse.send(b"noise" * 1000)
            self.publish(topic, n)
            message = sse.read()
            if n == 1:
                self.assertEqual(message["op"], "topic")
                message = sse.read()
            self.assertUpdate(message, topic, n)

    def test_a_request_in_single_bytes_and_in_front_of_it_another_one(self):
        topic = self.topic()
        self.publish(topic)
        http = self.http()
        http.send_in_pieces(f"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/stream?topics={topic} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.assertEqual(http.response().status, 200)
        http.__class__ = Sse
        http.ids, http.last_id, http.heartbeats = 0, None, 0
        self.assertEqual(http.head().status, 200)
        self.assertEqual([http.read()["op"], http.read()["op"]], ["hello", "subscribed"])
        self.assertUpdate(http.read(), topic, 1)

    def test_a_foreign_origin_is_served_without_cors(self):
        sse = self.stream(query_of(self.topic()), headers=[("Origin", "http://elsewhere.example")])
        self.assertFalse([name for name, _ in sse.headers if name.lower().startswith("access-control-")])

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_with_curl(self):
        topic = self.topic()
        epoch = self.publish(topic, '{"p":1}')["epoch"]
        curl = subprocess.Popen(["curl", "-sN", f"http://127.0.0.1:{self.port}/v1/stream?topics={topic}"], stdout=subprocess.PIPE)
        try:
            lines = [curl.stdout.readline().decode() for _ in range(6)]
            self.assertTrue(lines[0].startswith('data: {"op":"hello"'))
            self.assertTrue(lines[2].startswith('data: {"op":"subscribed","topics":[{"topic":"%s","epoch":"%s","seq":1}]}' % (topic, epoch)), lines[2])
            self.assertTrue(lines[4].startswith('data: {"topic":"%s","seq":1,' % topic))
            self.assertEqual(lines[1::2], ["\n"] * 3)
        finally:
            curl.kill()
            curl.wait()
            curl.stdout.close()

    # many and slow

    def test_many_streams_and_websockets_of_one_topic_get_the_same(self):
        topic = self.topic()
        streams = [self.stream(query_of(topic, mode="every")) for _ in range(20)]
        ws = self.ws(f"/v1/ws?topics={topic}&mode=every")
        for one in [*streams, ws]:
            self.assertEqual(one.read()["op"], "subscribed")
        self.gateway.publish_many((topic, TEXT_OF % n) for n in range(1, 301))
        expected = [ws.read().raw for _ in range(301)]
        for sse in streams:
            self.assertEqual([sse.read().raw for _ in range(301)], expected)

    def test_streams_of_many_topics_that_begin_stall_nobody(self):
        ws, waiting = self.ws(), []
        base = self.topic("stall")
        for n in range(30):
            http = self.http()
            http.request("GET", "/v1/stream?" + query_of(*(f"{base}.{n}.{i}" for i in range(100))))
            waiting.append(http)
            began = time.monotonic()
            self.assertEqual(ws.ask("ping")["op"], "pong")
            self.assertLess(time.monotonic() - began, PATIENCE / 2)
        for http in waiting:
            self.assertEqual(http.take_line(time.monotonic() + PATIENCE), b"HTTP/1.1 200 OK")

    def test_streams_that_leave_at_any_moment_leave_nothing_behind(self):
        topic = self.topic()
        with Sse(self.port, query_of(topic)) as sse:
            sse.read()
            self.assertGreaterEqual(self.streams_open(), 1)
        for n in range(60):
            http = self.http()
            http.request("GET", f"/v1/stream?topics={topic},other.{n},leave.*")
            if n % 3 == 0:
                http.take_line(time.monotonic() + PATIENCE)
            self.publish(topic, n)
            (http.reset if n % 2 else http.close)()
        until = time.monotonic() + PATIENCE
        while (open_ := self.streams_open()) and time.monotonic() < until:
            time.sleep(0.02)
        self.assertEqual(open_, 0)
        self.assertServing()

    def streams_open(self):
        page = self.fetch("GET", "/metrics", [("X-API-Key", ADMIN)])
        self.assertEqual(page.status, 200)
        return sum(int(number) for number in re.findall(rb"^ringcast_streams (\d+)$", page.body, re.M))


class ShardedStreamTest(StreamTest):
    flags = (*StreamTest.flags[:-1], "2")


class SlowStreamTest(GatewayTest):
    flags = ("--topics.window", "300", "--topics.window-bytes", "524288", "--deadline.write-ms", "60000", "--shards", "2")

    def test_slow_streams_get_what_their_mode_promises_and_the_gateway_stays_small(self):
        topic, updates, step = self.topic("slow"), 20000, 100
        reader = self.ws(f"/v1/ws?topics={topic}&mode=every")
        self.assertEqual(reader.read()["op"], "subscribed")
        slow = {mode: Sse(self.port, query_of(topic, mode=mode), receive_bytes=4096) for mode in ("every", "latest")}
        for sse in slow.values():
            self.addCleanup(sse.close)
            self.assertEqual([sse.read()["op"], sse.read()["op"]], ["hello", "subscribed"])
        self.publish(topic, TEXT_OF % 1)
        self.assertEqual([reader.read().get("op"), reader.read()["seq"]], ["topic", 1])
        memory = 0
        for start in range(2, updates + 1, step):
            self.gateway.publish_many((topic, TEXT_OF % n) for n in range(start, min(start + step, updates + 1)))
            for n in range(start, min(start + step, updates + 1)):
                self.assertUpdate(reader.read(), topic, n)
            if start > updates // 4 and not memory:
                memory = self.resident()
        grown = self.resident() - memory
        self.assertLess(grown, 4 << 20, "what slow streams have not read is kept nowhere")

        sse, due, gaps = slow["every"], 1, 0
        self.assertEqual(sse.read()["op"], "topic")
        while due <= updates:
            message = sse.read()
            if message.is_update:
                self.assertEqual((message["seq"], message["data"]["n"]), (due, due))
                due += 1
            else:
                self.assertEqual((message["op"], message["topic"], message["from"]), ("gap", topic, due))
                due, gaps = message["to"] + 1, gaps + 1
        self.assertGreater(gaps, 0)
        sse.read_id({topic: updates}, seconds=5)

        sse, seqs = slow["latest"], []
        self.assertEqual(sse.read()["op"], "topic")
        while not seqs or seqs[-1] < updates:
            message = sse.read()
            self.assertTrue(message.is_update, "latest gets no gap")
            seqs.append(message["seq"])
        self.assertEqual(seqs, sorted(set(seqs)))
        self.assertLess(len(seqs), updates // 2)

    def resident(self):
        with open(f"/proc/{self.gateway.process.pid}/statm") as file:
            return int(file.read().split()[1]) * 4096


class RefusedStreamTest(unittest.TestCase):
    def test_without_room_for_the_topic_it_is_503(self):
        with Gateway("--limits.topics", "2", "--shards", "1") as gateway:
            gateway.publish("a")
            gateway.publish("b")
            response = gateway.fetch("GET", "/v1/stream?topics=a,c")
            self.assertEqual((response.status, response.code), (503, "too_many_topics"))
            self.assertIsNotNone(response.header("Retry-After"))
            sse = Sse(gateway.port, "topics=a,b")
            self.assertEqual([sse.read()["op"], sse.read()["op"], sse.read()["seq"], sse.read()["seq"]], ["hello", "subscribed", 1, 1])
            sse.close()

    def test_more_than_the_limit_of_subscriptions_is_503(self):
        with Gateway("--limits.subscriptions", "3") as gateway:
            response = gateway.fetch("GET", "/v1/stream?topics=a,b,c,d")
            self.assertEqual((response.status, response.code), (503, "too_many_topics"))
            sse = Sse(gateway.port, "topics=a,b,c")
            self.assertEqual([sse.read()["op"], sse.read()["op"]], ["hello", "subscribed"])
            sse.close()


class DrainTest(unittest.TestCase):
    def test_a_drain_says_closing_and_ends_the_stream_and_new_ones_get_503(self):
        for shards in ("1", "2"):
            with self.subTest(shards=shards), Gateway("--shards", shards, "--drain.timeout", "20s") as gateway:
                gateway.publish("a")
                streams = [Sse(gateway.port, "topics=a") for _ in range(6)]
                stuck = Sse(gateway.port, "topics=a", receive_bytes=4096)
                gateway.publish_many(("a", TEXT_OF % n) for n in range(3000))
                held = gateway.fetch  # an HTTP connection is answered to the end of the drain
                gateway.signal(signal.SIGTERM)
                for sse in streams:
                    message = sse.read()
                    while message.get("op") != "closing":
                        message = sse.read()
                    self.assertEqual(message["reason"], "shutdown")
                    self.assertGreater(message["reconnect_ms"], 0)
                    sse.expect_end()
                    sse.close()
                try:
                    response = held("GET", "/v1/stream?topics=a")
                    self.assertEqual((response.status, response.code), (503, "shutting_down"))
                except (OSError, Ended, TooLate):
                    pass  # it has ended already
                stuck.close()
                gateway.wait()

    def test_a_stream_resumes_nothing_from_a_gateway_that_was_started_anew(self):
        with Gateway() as gateway:
            gateway.publish("a")
            sse = Sse(gateway.port, "topics=a")
            while not sse.last_id:
                try:
                    sse.read(0.2)
                except TooLate:
                    pass
            sse.close()
        with Gateway() as gateway:
            gateway.publish("a")
            sse = Sse(gateway.port, "topics=a", last_id=sse.last_id)
            self.assertEqual(sse.read()["op"], "hello")
            self.assertIs(sse.read()["topics"][0]["resumed"], False)
            self.assertEqual(sse.read()["seq"], 1)
            sse.close()


if __name__ == "__main__":
    unittest.main()
