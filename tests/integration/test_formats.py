"""The formats array and raw of /v1/ws (PROTOCOL.md, "Formats"): the same updates as in JSON, in other words or in none."""
import json
import random
import re
import signal
import unittest
from urllib.parse import quote

from client import TEXT, Closed, TooLate, Ws, path_of
from gateway import API_KEY, Gateway, GatewayTest

BODIES = ('{"p":189.30}', "0", "null", '"\\u2028\\n"', "[1,\n2,\r\n3]", '"' + "y" * 100 + '"', '"' + "y" * 70 + '"', '"' + "z" * 60000 + '"', '"ü€𝄞"', "1e5")


def as_sent(body):
    return body.replace("\n", " ").replace("\r", " ")


class FormatsTest(GatewayTest):
    flags = ("--topics.window", "3000", "--topics.window-bytes", "4194304", "--shards", "1")

    def raw(self, query, **how):
        """A reader of payloads; it says nothing itself but pongs, and is told nothing."""
        return self.ws(f"/v1/ws?format=raw&{query}", hello=False, **how)

    def text(self, ws, seconds=None):
        kind, data = ws.read_message(seconds)
        self.assertEqual(kind, TEXT)
        return data.decode()

    def assertArray(self, text, topic, seq, data):
        self.assertRegex(text, r"\A\[" + re.escape(json.dumps(topic)) + rf",{seq},\d{{16}}," + re.escape(data) + r"\]\Z")

    # array

    def test_array_says_what_json_says_in_another_form(self):
        topic = self.topic("crypto.BTC/USD")
        ws, twin = (self.ws(f"/v1/ws?topics={quote(topic, safe='')}&mode=every{rest}") for rest in ("&format=array", "&format=json"))
        self.assertEqual(ws.read().raw, twin.read().raw, "ops are the same")
        for seq, body in enumerate(BODIES, 1):
            self.publish(topic, body.encode())
            if seq == 1:
                self.assertEqual(self.text(ws), twin.read().raw, "op:topic")
            update, text = twin.read(), self.text(ws)
            self.assertArray(text, topic, seq, as_sent(body))
            self.assertEqual(json.loads(text), [update["topic"], update["seq"], update["ts"], update["data"]])

    def test_array_has_snapshots_resumes_and_gaps(self):
        topic = self.topic()
        epoch = self.publish(topic, 1)["epoch"]
        for n in range(2, 21):
            self.publish(topic, n)
        ws = self.ws("/v1/ws?format=array")
        self.assertEqual(ws.ask("subscribe", topics=[topic])["topics"], [{"topic": topic, "epoch": epoch, "seq": 20}])
        self.assertArray(self.text(ws), topic, 20, "20")
        other = self.ws("/v1/ws?format=array")
        ack = other.ask("subscribe", topics=[topic], mode="every", resume={topic: {"epoch": epoch, "seq": 5}})
        self.assertEqual(ack["topics"], [{"topic": topic, "epoch": epoch, "seq": 20, "resumed": True}])
        for n in range(6, 21):
            self.assertArray(self.text(other), topic, n, str(n))
        self.gateway.publish_many((topic, '{"n":%d,"x":"%s"}' % (n, random.randbytes(2000).hex())) for n in range(21, 3021))
        third = self.ws("/v1/ws?format=array")
        third.ask("subscribe", topics=[topic], mode="every", resume={topic: {"epoch": epoch, "seq": 20}})
        gap = third.read()
        self.assertEqual((gap["op"], gap["topic"], gap["from"]), ("gap", topic, 21))
        for n in range(gap["to"] + 1, 3021):
            text = self.text(third)
            self.assertEqual(json.loads(text)[:2], [topic, n])

    def test_array_of_a_pattern_tells_births_and_what_is_there(self):
        base = self.topic("pat").replace(".", "-")
        epochs = {f"{base}.{n}": self.publish(f"{base}.{n}", n)["epoch"] for n in range(4)}
        ws = self.ws("/v1/ws?format=array")
        self.assertEqual(ws.ask("subscribe", topics=[f"{base}.>"])["topics"], [{"topic": f"{base}.>"}])
        told = {(m := ws.read())["topic"]: (m["epoch"], m["seq"], m["by"]) for _ in range(4)}
        self.assertEqual(told, {topic: (epoch, 1, f"{base}.>") for topic, epoch in epochs.items()})
        self.assertEqual({json.loads(self.text(ws))[0] for _ in range(4)}, set(epochs))
        epoch = self.publish(f"{base}.x.y", 5)["epoch"]
        self.assertEqual(ws.read(), {"op": "topic", "topic": f"{base}.x.y", "epoch": epoch, "seq": 0, "by": f"{base}.>"})
        self.assertArray(self.text(ws), f"{base}.x.y", 1, "5")

    def test_array_of_a_keyed_topic_begins_with_its_key(self):
        topic = self.topic()
        for n in range(1, 31):
            self.publish(topic, n, key=n in (1, 20))
        ws = self.ws(f"/v1/ws?format=array&mode=every&topics={topic}")
        self.assertEqual(ws.read()["topics"][0]["seq"], 30)
        for n in range(20, 31):
            self.assertArray(self.text(ws), topic, n, str(n))

    def test_a_topic_deleted_and_born_again_is_told_in_array_and_not_in_raw(self):
        topic = self.topic()
        self.publish(topic, 1)
        ws, raw = self.ws(f"/v1/ws?format=array&topics={topic}"), self.raw(f"topics={topic}")
        ws.read()
        self.assertArray(self.text(ws), topic, 1, "1")
        self.assertEqual(self.text(raw), "1")
        self.assertEqual(self.fetch("DELETE", path_of(topic), [API_KEY]).status, 204)
        epoch = self.publish(topic, 2)["epoch"]
        self.assertEqual(ws.read(), {"op": "topic", "topic": topic, "epoch": epoch, "seq": 0})
        self.assertArray(self.text(ws), topic, 1, "2")
        self.assertEqual(self.text(raw), "2")

    def test_unsubscribing_ends_it_in_array(self):
        topic = self.topic()
        self.publish(topic, 1)
        ws = self.ws(f"/v1/ws?format=array&topics={topic}")
        ws.read()
        self.text(ws)
        self.assertEqual([(t["topic"], t["seq"]) for t in ws.ask("list")["topics"]], [(topic, 1)])
        self.assertEqual(ws.ask("unsubscribe", topics=[topic])["topics"], [topic])
        self.publish(topic, 2)
        self.assertEqual(ws.ask("list")["topics"], [])
        self.assertEqual(ws.quiet(), [])

    # raw

    def test_raw_is_the_payloads_alone(self):
        topic = self.topic()
        self.publish(topic, "-1")
        ws = self.raw(f"topics={topic}&mode=every")
        self.assertEqual(self.text(ws), "-1")
        for body in BODIES:
            self.publish(topic, body.encode())
            self.assertEqual(self.text(ws), as_sent(body))

    def test_raw_says_nothing_else_whatever_is_asked(self):
        topic, other = self.topic(), self.topic()
        ws = self.raw("heartbeat_ms=1000", add=[API_KEY])
        ws.send_json({"op": "subscribe", "id": 1, "topics": [topic]}, {"op": "subscribe", "topics": [other]}, {"op": "nonsense", "id": 2}, {"op": "list", "id": 3}, {"op": "ping", "id": 4})
        ws.send_text("no json")
        ws.send_json({"op": "subscribe", "id": 5, "topics": ["bad..name"]}, {"op": "publish", "id": 6, "topic": topic, "data": "its own"})
        self.assertEqual(self.text(ws), '"its own"')
        ws.send_frame(9, b"still there")
        ws.expect_pong(b"still there", 2)
        with self.assertRaises(TooLate):  # no heartbeat, however long nothing is said: pings alone, as of every WebSocket
            ws.read_message(2.5)
        self.assertTrue(ws.pings)
        self.publish(other, 5)
        self.assertEqual(self.text(ws), "5")

    def test_raw_of_a_reader_outrun_skips_and_says_nothing(self):
        topic = self.topic()
        ws = self.raw(f"topics={topic}&mode=every", receive_bytes=4096)
        reader = self.ws(f"/v1/ws?topics={topic}&mode=every")
        reader.read()
        count = 12000
        for start in range(0, count, 500):
            self.gateway.publish_many((topic, '{"n":%d,"x":"%s"}' % (n, "x" * 1000)) for n in range(start, start + 500))
            while (message := reader.read()).get("op") or message["seq"] < start + 500:
                pass
        last, jumps = -1, 0
        while last < count - 1:
            n = json.loads(self.text(ws))["n"]
            self.assertGreater(n, last)
            jumps += n != last + 1
            last = n
        self.assertGreater(jumps, 0, "12 MB fit neither in the window nor in a socket")

    def test_why_raw_is_closed_stands_in_the_reason(self):
        for query, code, words in (("topics=a..b", 4400, "a..b"), ("topics=a&mode=fast", 4400, "mode"), ("topics=a&token=wrong", 4401, "not right"), ("topics=a&topics=b", 4400, "twice"), ("token=wrong&token=wrong", 4400, "twice")):
            with self.subTest(query):
                ws = self.raw(query)
                self.assertEqual(ws.expect_close(code), [], "nothing but the close")
                self.assertIn(words, ws.close_reason)

    # the query

    def test_a_format_that_is_none_is_told_in_json(self):
        for value in ("sse", "xml", "JSON", "", "raw%20", "array,raw"):
            with self.subTest(value):
                ws = self.ws(f"/v1/ws?topics=a&format={value}")
                before = ws.expect_close(4400)
                self.assertEqual([message["op"] for message in before], ["error", "closing"])
                self.assertRefusal(before[0], "bad_request")
                self.assertIn("format must be json, array or raw", before[0]["message"])
        ws = self.ws("/v1/ws?format=raw&format=json", hello=False)
        ws.expect_close(4400)

    # all together

    def test_one_topic_in_all_formats_at_once_is_exact_in_each(self):
        topic, count = self.topic("mixed"), 3000
        path = f"/v1/ws?topics={topic}&mode=every"
        readers = [("json", self.ws(path)), ("array", self.ws(path + "&format=array")), ("array", self.ws(path + "&format=array")), ("json", self.ws(path))]
        raws = [self.raw(f"topics={topic}&mode=every") for _ in range(2)]
        for _, ws in readers:
            self.assertEqual(ws.read()["op"], "subscribed")
        for ws in raws:
            ws.send_frame(9, b"in")
            ws.expect_pong(b"in")
        late = {}
        for start in range(1, count + 1, 250):
            self.gateway.publish_many((topic, '{"n":%d,"x":"%s"}' % (n, "x" * (n % 300))) for n in range(start, start + 250))
            if start == 1001:  # comes when there is something to fill a log from
                late["array"] = self.ws(f"/v1/ws?topics={topic}&mode=every&format=array&snapshot=false")
        body = lambda n: '{"n":%d,"x":"%s"}' % (n, "x" * (n % 300))
        for name, ws in readers:
            self.assertEqual(ws.read()["op"], "topic")
            for n in range(1, count + 1):
                text = self.text(ws)
                if name == "array":
                    self.assertArray(text, topic, n, body(n))
                else:
                    self.assertEqual(text, '{"topic":"%s","seq":%d,"ts":%d,"data":%s}' % (topic, n, json.loads(text)["ts"], body(n)))
        for ws in raws:
            for n in range(1, count + 1):
                self.assertEqual(self.text(ws), body(n))
        seq = late["array"].read()["topics"][0]["seq"]
        self.assertGreaterEqual(seq, 1250)
        for n in range(seq + 1, count + 1):
            self.assertArray(self.text(late["array"]), topic, n, body(n))
        for ws in raws:
            ws.hang_up()


class ShardedFormatsTest(FormatsTest):
    flags = (*FormatsTest.flags[:-1], "2")


class FormatsOfPublishersTest(GatewayTest):
    flags = ("--shards", "2")

    def test_a_raw_publisher_to_topics_of_both_shards_is_served_in_order(self):
        topics = [self.topic("own") for _ in range(6)]
        ws = self.ws(f"/v1/ws?format=raw&mode=every&topics={','.join(topics)}", hello=False, add=[API_KEY])
        ws.send_text("\n".join(json.dumps({"op": "publish", "id": n, "topic": topics[n % 6], "data": [n % 6, n]}) for n in range(600)))
        seen = {n: [] for n in range(6)}
        for _ in range(600):
            which, n = json.loads(ws.read_message()[1])
            seen[which].append(n)
        self.assertEqual(seen, {which: list(range(which, 600, 6)) for which in range(6)})

    def test_a_raw_reader_is_closed_with_a_reason_in_a_drain(self):
        with Gateway("--shards", "2") as gateway:
            ws = Ws(gateway.port, "/v1/ws?format=raw&topics=a")
            gateway.signal(signal.SIGTERM)
            with self.assertRaises(Closed) as closed:
                ws.read_message()
            self.assertEqual(closed.exception.code, 1001)
            self.assertTrue(closed.exception.reason)
            ws.close()
            gateway.wait()


if __name__ == "__main__":
    unittest.main()
