"""max_hz (PROTOCOL.md, "Modes"): updates of a topic come no faster than asked for, as fast as that, and end on the newest."""
import json
import threading
import time
import unittest

from client import CLOSE, Ended, Closed
from gateway import GatewayTest


class Feed:
    """Publishes to topics all the while, from a thread of its own; a context manager. Ends with one that says so."""

    def __init__(self, publisher, *topics, every=0.002):
        self.publisher, self.topics, self.every = publisher, topics, every
        self.stop, self.thread = threading.Event(), threading.Thread(target=self.run)
        self.seqs = {}
        self.held_up = 0  # seconds in which this thread and the gateway took long for what takes a millisecond

    def run(self):
        n, before = 0, time.monotonic()
        while not self.stop.wait(self.every):
            n += 1
            self.publisher.send_json(*({"op": "publish", "topic": topic, "data": n} for topic in self.topics))
            self.publisher.ask("ping")
            now = time.monotonic()
            if now - before > 0.0125:  # half of what lies between two updates of the fastest
                self.held_up += now - before
            before = now

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stop.set()
        self.thread.join()
        if kind is None:
            for topic in self.topics:
                self.seqs[topic] = self.publisher.ask("publish", topic=topic, data="end")["seq"]


class MaxHzTests:
    """What must hold with any number of shards."""

    def subscribe(self, ws, *topics, **fields):
        ack = ws.ask("subscribe", topics=list(topics), **fields)
        self.assertEqual(ack["op"], "subscribed", ack)
        return ack

    def listed(self, ws):
        return {entry["topic"]: entry for entry in ws.ask("list")["topics"]}

    def rates(self, ws):
        return {topic: (entry["mode"], entry["max_hz"]) for topic, entry in self.listed(ws).items()}

    def updates_for(self, ws, seconds):
        """(when, update) of all that came in that time."""
        came, until = [], time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                message = ws.read(left)
            except AssertionError as error:
                if isinstance(error, (Ended, Closed)):
                    raise
                break
            if message.is_update:
                came.append((time.monotonic(), message))
        return came

    def assertRate(self, came, hz, seconds, began, feed, why=None):
        """As many as the rate allows in that time of reading, and never more than since it was asked for. That this machine holds something
        up is forgiven, as far as the feed was held up too, which asks the gateway all the while; that something comes too early is not."""
        count = len(came)
        self.assertLessEqual(count, hz * (time.monotonic() - began) + 1.2, why)
        self.assertGreaterEqual(count, hz * max(0, seconds - feed.held_up) * 0.7 - 1, why)
        seqs = [update["seq"] for _, update in came]
        self.assertEqual(seqs, sorted(set(seqs)), "in order, none double")

    def next_update(self, ws):
        while not (message := ws.read()).is_update:
            pass
        return message

    def until_end(self, ws, topic, seq):
        """Reads up to this update, which must be the last one."""
        while (message := self.next_update(ws))["topic"] != topic or message["seq"] < seq:
            pass
        self.assertUpdate(message, topic, seq, '"end"')
        self.assertEqual([m for m in ws.quiet() if m.is_update and m["topic"] == topic], [])

    def test_a_busy_topic_comes_at_the_rate_that_was_asked_for_and_ends_on_the_newest(self):
        topic = self.topic()
        self.publish(topic, 0)
        clients = {hz: self.ws() for hz in (2, 7.5, 40)}
        free = self.ws()
        with Feed(self.publisher(), topic) as feed:
            self.subscribe(free, topic)
            began = time.monotonic()
            for hz, ws in clients.items():
                self.subscribe(ws, topic, max_hz=hz)
            threads, came = [], {}
            for hz, ws in clients.items():
                threads.append(threading.Thread(target=lambda hz=hz, ws=ws: came.update({hz: self.updates_for(ws, 3)})))
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        for hz, ws in clients.items():
            self.assertRate(came[hz], hz, 3, began, feed, f"{hz} Hz")
            self.until_end(ws, topic, feed.seqs[topic])
        self.until_end(free, topic, feed.seqs[topic])
        self.assertGreater(feed.seqs[topic], 80 * (3 - feed.held_up), "the feed was faster than any of them")

    def test_the_stamps_of_what_is_sent_lie_an_interval_apart(self):
        """The newest is sent, so that its stamp is at most one step of the feed older than the send: read from the gateway's own clock."""
        topic, ws = self.topic(), self.ws()
        self.publish(topic, 0)
        with Feed(self.publisher(), topic, every=0.001):
            self.subscribe(ws, topic, max_hz=20)
            stamps = [self.next_update(ws)["ts"] / 1e6 for _ in range(40)][1:]
        self.assertGreaterEqual(stamps[-1] - stamps[0], (len(stamps) - 1) * 0.05 - 0.3)

    def test_the_snapshot_counts_and_a_lone_update_leaves_at_once(self):
        topic, ws = self.topic(), self.ws()
        self.publish(topic, 1)
        self.subscribe(ws, topic, max_hz=0.4)
        began = time.monotonic()
        self.assertUpdate(self.next_update(ws), topic, 1)
        for n in (2, 3):
            self.publish(topic, n)
        self.assertEqual(ws.quiet(), [])
        self.assertUpdate(self.next_update(ws), topic, 3)
        self.assertGreaterEqual(time.monotonic() - began, 2.4)
        time.sleep(2.8)  # it rests no more
        self.publish(topic, 4)
        self.assertEqual([m["seq"] for m in ws.quiet()], [4])

    def test_a_feed_slower_than_the_rate_loses_nothing(self):
        topic, ws = self.topic(), self.ws()
        self.publish(topic, 0)
        self.subscribe(ws, topic, max_hz=100)
        for n in range(2, 12):
            self.assertUpdate(self.next_update(ws), topic, n - 1)
            time.sleep(0.03)
            self.publish(topic, n)

    def test_with_keys_a_range_is_one(self):
        topic, ws = self.topic(), self.ws()
        self.publish(topic, 1, key=True)
        self.subscribe(ws, topic, max_hz=1)
        self.assertUpdate(self.next_update(ws), topic, 1)
        for n in (2, 3, 4):
            self.publish(topic, n)
        self.assertEqual(ws.quiet(), [])
        self.assertEqual([self.next_update(ws)["seq"] for _ in range(3)], [2, 3, 4])
        self.gateway.publish_many((topic, str(n), n == 7) for n in range(5, 10))
        self.assertEqual(ws.quiet(), [])
        self.assertEqual([self.next_update(ws)["seq"] for _ in range(3)], [7, 8, 9])

    def test_resuming_sends_the_newest_at_once_and_rests(self):
        topic, ws = self.topic(), self.ws()
        epoch = [self.publish(topic, n) for n in (1, 2, 3)][0]["epoch"]
        self.subscribe(ws, topic, max_hz=0.5, resume={topic: {"epoch": epoch, "seq": 1}})
        self.publish(topic, 4)
        came = ws.quiet()
        self.assertIn([m["seq"] for m in came], ([3], [4]))
        if came[0]["seq"] == 3:
            self.assertUpdate(self.next_update(ws), topic, 4)

    def test_list_tells_it_as_it_was_asked_for(self):
        ws = self.ws()
        for text, told in [("0", "0"), ("-0.0", "0"), ("4", "4"), ("4.0", "4"), ("0.5", "0.5"), ("1000", "1000"), ("1e2", "100"), ("0.1", "0.1"), ("59.94", "59.94"), ("123456.75", "123456.75"), ("1e-9", "1e-09"), ("1e300", "1e+300")]:
            with self.subTest(text):
                for name in (self.topic("listed"), self.topic("listed") + ".*"):
                    ws.send_text('{"op":"subscribe","id":1,"topics":[%s],"max_hz":%s}' % (json.dumps(name), text))
                    self.assertEqual(ws.read()["op"], "subscribed")
                    ws.send_text('{"op":"list","id":2}')
                    raw = ws.read().raw
                    self.assertIn('{"topic":%s,"mode":"latest","max_hz":%s%s' % (json.dumps(name), told, "}" if "*" in name else ","), raw)
                    ws.ask("unsubscribe", topics=[name])

    def test_subscribing_again_changes_it(self):
        topic, ws = self.topic(), self.ws()
        self.publish(topic, 1)
        self.subscribe(ws, topic, max_hz=0.01)
        self.assertUpdate(self.next_update(ws), topic, 1)
        self.publish(topic, 2)
        self.publish(topic, 3)
        self.assertEqual(ws.quiet(), [])
        self.subscribe(ws, topic, max_hz=0)
        self.assertUpdate(self.next_update(ws), topic, 3)
        for n in (4, 5):
            self.publish(topic, n)
            self.assertUpdate(self.next_update(ws), topic, n)
        self.subscribe(ws, topic, max_hz=0.02)
        self.publish(topic, 6)
        self.assertUpdate(self.next_update(ws), topic, 6)
        self.publish(topic, 7)
        self.publish(topic, 8)
        self.assertEqual(ws.quiet(), [])
        self.assertEqual(self.rates(ws), {topic: ("latest", 0.02)})
        self.subscribe(ws, topic, mode="every")
        self.assertEqual([self.next_update(ws)["seq"] for _ in range(2)], [7, 8])
        self.assertEqual(self.rates(ws), {topic: ("every", 0)})
        self.subscribe(ws, topic, max_hz=0.01)
        self.publish(topic, 9)
        self.assertUpdate(self.next_update(ws), topic, 9)
        self.publish(topic, 10)
        self.assertEqual(ws.quiet(), [])
        self.subscribe(ws, topic, max_hz=50)
        self.assertUpdate(self.next_update(ws), topic, 10)
        ws.ask("unsubscribe", topics=[topic])
        self.publish(topic, 11)
        self.assertEqual(ws.quiet(), [])

    def test_what_a_pattern_covers_gets_its_rate(self):
        first, ws = self.topic("paced"), self.ws()
        start = first.split(".")[1]
        topics = [f"{start}.{n}" for n in range(6)]
        for topic in topics[:3]:
            self.publish(topic, 0)
        began = time.monotonic()
        self.subscribe(ws, f"{start}.*", max_hz=5)
        with Feed(self.publisher(), *topics) as feed:
            came = self.updates_for(ws, 2)
        for topic in topics:
            self.assertRate([(when, update) for when, update in came if update["topic"] == topic], 5, 2, began, feed, topic)
        newest = {}
        while any(newest.get(topic) != feed.seqs[topic] for topic in topics):
            message = self.next_update(ws)
            newest[message["topic"]] = message["seq"]
        self.assertEqual(self.rates(ws), {f"{start}.*": ("latest", 5), **{topic: ("latest", 5) for topic in topics}})
        self.subscribe(ws, topics[0], mode="every")  # a name beats it
        self.subscribe(ws, f"{start}.>", max_hz=0.25)  # the last subscribed rules
        self.assertEqual(self.rates(ws), {f"{start}.*": ("latest", 5), f"{start}.>": ("latest", 0.25), topics[0]: ("every", 0), **{topic: ("latest", 0.25) for topic in topics[1:]}})
        ws.ask("unsubscribe", topics=[topics[0], f"{start}.>"])
        self.assertEqual(self.rates(ws), {f"{start}.*": ("latest", 5), **{topic: ("latest", 5) for topic in topics}})

    def test_the_query_takes_it(self):
        topic = self.topic()
        self.publish(topic, 0)
        began = time.monotonic()
        ws = self.ws(f"/v1/ws?topics={topic}&max_hz=2.5")
        self.assertEqual(ws.read()["op"], "subscribed")
        with Feed(self.publisher(), topic) as feed:
            came = self.updates_for(ws, 2)
        self.assertRate(came, 2.5, 2, began, feed)
        self.until_end(ws, topic, feed.seqs[topic])
        self.assertEqual(self.rates(ws), {topic: ("latest", 2.5)})

    def test_what_is_no_rate_is_a_bad_request(self):
        topic, ws = self.topic(), self.ws()
        for value, mode, word, why in [
            ("-1", None, "negative", "negative"), ("-0.001", None, "negative", "a little negative"), ("1e400", None, "bounds", "beyond any number"), ("-1e400", None, "bounds", "likewise"), ('"4"', None, "number", "a string"),
            ("null", None, "number", "null"), ("[4]", None, "number", "an array"), ("4", "every", "latest", "with every"), ("0.001", "every", "latest", "a little with every"),
        ]:
            with self.subTest(why):
                ws.send_text('{"op":"subscribe","id":1,"topics":["%s"],"max_hz":%s%s}' % (topic, value, f',"mode":"{mode}"' if mode else ""))
                refusal = ws.read()
                self.assertRefusal(refusal, "bad_request")
                self.assertIn("max_hz", refusal["message"])
                self.assertIn(word, refusal["message"])
                self.assertEqual(self.listed(ws), {})
        for value in ("NaN", "inf", "Infinity", "1,5"):  # no JSON at all
            ws.send_text('{"op":"subscribe","id":1,"topics":["%s"],"max_hz":%s}' % (topic, value))
            self.assertRefusal(ws.read(), "bad_json", "bad_request")
        self.assertEqual(self.listed(ws), {})
        self.subscribe(ws, topic, mode="every", max_hz=0)
        self.assertEqual(self.rates(ws), {topic: ("every", 0)})

    def test_in_the_query_too(self):
        for query, why in [("max_hz=-1", "negative"), ("max_hz=NaN", "no number"), ("max_hz=inf", "likewise"), ("max_hz=1e400", "beyond any number"), ("max_hz=", "empty"), ("max_hz=4x", "more than a number"), ("max_hz=%224%22", "a string"),
                           ("max_hz=4&mode=every", "with every"), ("mode=every&max_hz=4", "likewise")]:
            with self.subTest(why):
                ws = self.ws("/v1/ws?topics=A&" + query, hello=False)
                before = ws.expect_close(4400)
                errors = [m for m in before if m.get("op") == "error"]
                self.assertEqual(len(errors), 1, before)
                self.assertRefusal(errors[0], "bad_request")
                self.assertIn("max_hz", errors[0]["message"])
        self.assertServing()

    def test_clients_leave_while_they_rest(self):
        topic = self.topic()
        self.publish(topic, 0)
        with Feed(self.publisher(), topic):
            for n in range(40):
                with self.ws(f"/v1/ws?topics={topic}&max_hz={10 + n}") as ws:
                    self.next_update(ws)
                    if n % 2:
                        ws.send_frame(CLOSE)
        self.assertServing()


class OneShardTest(MaxHzTests, GatewayTest):
    flags = ("--shards", "1")

    def test_a_gateway_where_nothing_rests_is_asleep(self):
        topic, ws = self.topic(), self.ws()
        self.publish(topic, 0)
        self.subscribe(ws, topic, max_hz=20)
        self.next_update(ws)
        time.sleep(0.2)  # the rest is over

        def turns():
            text = self.fetch("GET", "/metrics").body.decode()
            return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("ringcast_turns_total"))

        before = turns()
        time.sleep(1)
        self.assertLess(turns() - before, 15, "no timer wakes it")


class TwoShardsTest(MaxHzTests, GatewayTest):
    flags = ("--shards", "2")


if __name__ == "__main__":
    unittest.main()
