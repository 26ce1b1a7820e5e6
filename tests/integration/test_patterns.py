"""Patterns: `*` one token, a final `>` one or more; births, overlap, fall-back, resume. And topics that are deleted (PROTOCOL.md)."""
import contextlib
import re
import unittest

from client import Ws, path_of
from gateway import API_KEY, KEY, Gateway, GatewayTest


class FollowTest(GatewayTest):
    flags = ("--shards", "1")  # what came is asked for by a ping, which goes no way through other shards

    def subscribe(self, ws, *topics, **how):
        """Subscribes and returns the ack's entries."""
        ack = ws.ask("subscribe", topics=list(topics), **how)
        self.assertEqual(ack["op"], "subscribed", ack)
        return ack["topics"]

    def came(self, ws):
        """What came up to now: (op:topic as (topic, seq, by), updates as (topic, seq))."""
        messages = ws.quiet() + ws.quiet()  # a reply goes before the updates of its turn
        updates = [(m["topic"], m["seq"]) for m in messages if m.is_update]
        return [(m["topic"], m["seq"], m.get("by")) for m in messages if not m.is_update], updates


class PatternTest(FollowTest):
    def test_a_pattern_is_acked_bare_and_each_topic_announced_before_its_first_update(self):
        base = self.topic("pat")
        for name in ("b", "a"):
            self.publish(f"{base}.{name}")
        ws = self.ws()
        self.assertEqual(self.subscribe(ws, f"{base}.*", mode="every"), [{"topic": f"{base}.*"}])
        ops, updates = self.came(ws)
        self.assertEqual(sorted(ops), [(f"{base}.a", 1, f"{base}.*"), (f"{base}.b", 1, f"{base}.*")])
        self.assertEqual(sorted(updates), [(f"{base}.a", 1), (f"{base}.b", 1)])

    def test_a_topic_born_later_is_announced_with_seq_0_and_nothing_of_it_is_missed(self):
        base = self.topic("born")
        ws = self.ws()
        self.subscribe(ws, f"{base}.>", mode="every")
        for _ in range(3):
            self.publish(f"{base}.x.y")
        ops, updates = self.came(ws)
        self.assertEqual(ops, [(f"{base}.x.y", 0, f"{base}.>")])
        self.assertEqual(updates, [(f"{base}.x.y", seq) for seq in (1, 2, 3)])

    def test_what_a_pattern_covers_before_and_after_birth(self):
        for pattern, topic, covered in [
            ("{}.*", "{}.a", True), ("{}.*", "{}.a.b", False), ("{}.>", "{}.a.b", True), ("{}.>", "{}.a", True), ("{}.>", "{}", False), ("{}.*.c", "{}.b.c", True),
            ("{}.*.c", "{}.b.d", False), ("*.{}", "q.{}", True), ("*.{}", "q.r.{}", False), ("{}.*.>", "{}.a", False), ("{}.*.>", "{}.a.b.c", True),
        ]:
            base = self.topic("cov").replace(".", "-")
            pattern, topic = pattern.format(base), topic.format(base)
            with self.subTest(pattern=pattern, topic=topic):
                early, late = self.ws(), self.ws()
                self.subscribe(early, pattern)
                self.publish(topic)
                self.subscribe(late, pattern)
                for ws in (early, late):
                    self.assertEqual(self.came(ws)[1], [(topic, 1)] if covered else [])

    def test_a_pattern_in_the_query_and_without_an_id(self):
        base = self.topic("query")
        self.publish(f"{base}.a")
        ws = self.ws(f"/v1/ws?topics={base}.*")
        ack = ws.read()
        self.assertEqual((ack["op"], ack["topics"]), ("subscribed", [{"topic": f"{base}.*"}]))
        self.assertEqual(self.came(ws), ([(f"{base}.a", 1, f"{base}.*")], [(f"{base}.a", 1)]))
        other = self.ws()
        other.send_json({"op": "subscribe", "topics": [f"{base}.*"]})
        self.assertEqual(self.came(other), ([(f"{base}.a", 1, f"{base}.*")], [(f"{base}.a", 1)]))

    def test_bad_patterns_are_bad_topic(self):
        ws = self.ws()
        for pattern in ("a.>.b", ">.a", "a*", "*b.c", "a.**", "a.>>", "*.", ".*"):
            with self.subTest(pattern=pattern):
                self.assertRefusal(ws.ask("subscribe", topics=["fine.*", pattern]), "bad_topic")
        self.assertEqual(ws.ask("list")["topics"], [], "a refused request subscribes to nothing")

    def test_patterns_over_the_limit_refuse_the_whole_request(self):
        ws = self.ws()
        self.assertRefusal(ws.ask("subscribe", topics=[f"lots.{n}.*" for n in range(101)]), "too_many_topics")
        self.assertEqual(ws.ask("list")["topics"], [])

    def test_overlapping_patterns_and_names_send_no_update_twice(self):
        base = self.topic("over")
        topic = f"{base}.a"
        self.publish(topic)
        ws = self.ws()
        self.subscribe(ws, f"{base}.*", mode="every")
        self.assertEqual(self.came(ws)[1], [(topic, 1)])
        self.subscribe(ws, f"{base}.>", mode="every")
        self.subscribe(ws, topic, mode="every")
        self.publish(topic)
        self.assertEqual(self.came(ws), ([], [(topic, 2)]), "one subscription, and no second snapshot")
        ws.ask("unsubscribe", topics=[topic])
        self.publish(topic)
        self.assertEqual(self.came(ws)[1], [(topic, 3)], "the pattern goes on covering it")
        ws.ask("unsubscribe", topics=[f"{base}.>"])
        self.publish(topic)
        self.assertEqual(self.came(ws)[1], [(topic, 4)], "the older pattern too")
        ws.ask("unsubscribe", topics=[f"{base}.*"])
        self.publish(topic)
        self.assertEqual(self.came(ws), ([], []))

    def test_a_name_beats_a_pattern_and_the_last_subscribed_pattern_rules(self):
        base = self.topic("rule")
        topic = f"{base}.a"
        self.publish(topic)
        ws = self.ws()

        def rules():
            entries = {entry["topic"]: entry for entry in ws.ask("list")["topics"]}
            return entries[topic]["mode"], entries[topic].get("by")

        self.subscribe(ws, f"{base}.*", mode="latest")
        self.subscribe(ws, f"{base}.>", mode="every")
        ws.quiet()
        self.assertEqual(rules(), ("every", f"{base}.>"))
        self.subscribe(ws, f"{base}.*", mode="latest")
        self.assertEqual(rules(), ("latest", f"{base}.*"), "subscribed again it is the last one")
        self.subscribe(ws, topic, mode="every")
        self.assertEqual(rules(), ("every", None))
        self.subscribe(ws, f"{base}.>", mode="latest")
        self.assertEqual(rules(), ("every", None))
        ws.ask("unsubscribe", topics=[topic])
        self.assertEqual(rules(), ("latest", f"{base}.>"))

    def test_resume_names_topics_that_the_pattern_covers(self):
        base = self.topic("res")
        for name in ("a", "b", "c"):
            for _ in range(3):
                self.publish(f"{base}.{name}")
        epoch = self.fetch("GET", path_of(f"{base}.a")).json()["epoch"]
        ws = self.ws()
        ws.send_json({"op": "subscribe", "id": 1, "topics": [f"{base}.*"], "mode": "every", "resume": {f"{base}.a": {"epoch": epoch, "seq": 1}, f"{base}.b": {"epoch": "XXXXXXXX", "seq": 1}, f"{base}.zz": {"epoch": "XXXXXXXX", "seq": 1}}})
        self.assertEqual(ws.read()["op"], "subscribed")
        messages = ws.quiet()
        self.assertEqual({m["topic"]: m.get("resumed") for m in messages if not m.is_update}, {f"{base}.a": True, f"{base}.b": False, f"{base}.c": None})
        self.assertEqual(sorted((m["topic"], m["seq"]) for m in messages if m.is_update), [(f"{base}.a", 2), (f"{base}.a", 3), (f"{base}.b", 3), (f"{base}.c", 3)])

    def test_ten_thousand_patterns_of_a_hundred_clients_and_a_birth(self):
        base = self.topic("many").replace(".", "-")
        clients = [self.ws() for _ in range(100)]
        for number, ws in enumerate(clients):
            self.subscribe(ws, *[f"{base}-{number}-{n}.*" for n in range(99)], f"{base}.>")
        self.publish(f"{base}.x")
        for ws in clients:
            self.assertEqual(self.came(ws)[1], [(f"{base}.x", 1)])


class DeleteTest(FollowTest):
    def delete(self, topic):
        return self.fetch("DELETE", path_of(topic), [API_KEY]).status

    def test_a_deleted_topic_is_gone_and_its_next_life_has_a_new_epoch(self):
        topic = self.topic("del")
        first = self.publish(topic)["epoch"]
        self.assertEqual(self.delete(topic), 204)
        self.assertEqual(self.delete(topic), 404)
        self.assertEqual(self.fetch("GET", path_of(topic)).status, 404)
        self.assertEqual(self.fetch("GET", path_of(topic, "/history")).status, 404)
        self.assertNotIn(topic, self.fetch("GET", f"/v1/topics?prefix={topic}").json()["topics"])
        again = self.publish(topic)
        self.assertEqual(again["seq"], 1)
        self.assertNotEqual(again["epoch"], first)
        self.assertEqual(self.fetch("GET", f"/v1/topics?prefix={topic}").json()["topics"], [topic])

    def test_deleting_needs_the_publishing_right(self):
        topic = self.topic("del")
        self.publish(topic)
        self.assertError(self.fetch("DELETE", path_of(topic)), 401, "unauthorized")
        self.assertError(self.fetch("DELETE", path_of("a b"), [API_KEY]), 400, "bad_topic")
        self.assertError(self.fetch("DELETE", "/v1/topics", [API_KEY]), 405, "bad_request")
        self.assertEqual(self.fetch("GET", path_of(topic)).status, 200)

    def test_subscribers_are_told_the_new_epoch_before_its_first_update(self):
        for form in ("{}", "{}.*"):
            base = self.topic("life")
            topic = base if form == "{}" else base + ".a"
            how = {"topics": [form.format(base)]}
            with self.subTest(**how):
                for _ in range(2):
                    self.publish(topic)
                ws = self.ws()
                ws.send_json({"op": "subscribe", "id": 1, "mode": "every", **how})
                ws.read()
                self.assertIn((topic, 2), self.came(ws)[1])
                self.delete(topic)
                self.assertEqual(ws.quiet(), [])
                epochs = {self.publish(topic)["epoch"] for _ in range(2)}
                messages = [m for m in ws.quiet() if m["topic"] == topic]
                self.assertEqual([(m["op"], m["epoch"] in epochs, m["seq"]) for m in messages[:1]], [("topic", True, 0)])
                self.assertEqual([m["seq"] for m in messages[1:]], [1, 2])

    def test_subscribing_to_and_resuming_a_deleted_topic_begins_anew(self):
        topic = self.topic("del")
        epoch = self.publish(topic)["epoch"]
        self.delete(topic)
        ws = self.ws()
        self.assertEqual(self.subscribe(ws, topic, mode="every", resume={topic: {"epoch": epoch, "seq": 1}})[0]["seq"], 0)
        self.publish(topic)
        ops, updates = self.came(ws)
        self.assertEqual((ops, updates), ([(topic, 0, None)], [(topic, 1)]))


class BirthsTest(unittest.TestCase):
    """A birth that thousands of patterns cover, or nearly, takes milliseconds: 256 of them in a message held a shard for 0.27 s, and a ping
    beside a flood of such messages waited for 1.7 s."""

    @staticmethod
    def turns(gateway):
        return sum(float(value) for value in re.findall(r"^ringcast_turns_total\S* (\S+)$", gateway.fetch("GET", "/metrics", [("X-API-Key", KEY)]).body.decode(), re.M))

    @staticmethod
    def born(reader):
        while (message := reader.read()).get("op") != "topic":
            pass  # an update of one born before
        return message["topic"]

    def births(self, shards, publish):
        """How many turns 64 births take among 2,048 patterns that differ in where their stars stand."""
        patterns = [".".join("*" if number >> bit & 1 else "a" for bit in range(11)) for number in range(2048)]
        names = [f"{'a.' * 9}a.b{number}" for number in range(64)]
        with Gateway("--shards", shards, "--auth.admin-key", KEY) as gateway, contextlib.ExitStack() as stack:
            readers = [stack.enter_context(Ws(gateway.port)) for _ in range(21)]
            for number, reader in enumerate(readers):
                reader.read()
                self.assertEqual(reader.ask("subscribe", topics=patterns[number * 100 : number * 100 + 100])["op"], "subscribed")
            before = self.turns(gateway)
            publish(gateway, names)
            after = self.turns(gateway)
            covering = [reader for number, reader in enumerate(readers) if any(pattern.endswith("*") for pattern in patterns[number * 100 : number * 100 + 100])]
            for reader in covering:
                self.assertEqual({self.born(reader) for _ in names}, set(names), "nobody misses one")
            return after - before

    def by_message(self, gateway, names):
        with Ws(gateway.port, add=[API_KEY]) as publisher:
            publisher.read()
            publisher.send_json(*({"op": "publish", "topic": name, "data": 1} for name in names))
            self.assertEqual(publisher.ask("publish", topic=names[-1], data=2)["seq"], 2)

    def by_lines(self, gateway, names):
        gateway.publish_many([(name, "1") for name in names])

    def test_births_among_thousands_of_patterns_are_spread_over_turns(self):
        for publish in (self.by_message, self.by_lines):
            with self.subTest(publish.__name__):
                self.assertGreater(self.births("1", publish), 60)

    def test_on_several_shards_nobody_misses_a_birth(self):
        for publish in (self.by_message, self.by_lines):
            with self.subTest(publish.__name__):
                self.births("3", publish)


class TtlTest(GatewayTest):
    flags = ("--topics.ttl", "1s")

    def test_a_topic_that_nobody_follows_or_publishes_to_is_forgotten(self):
        quiet, followed = self.topic("ttl"), self.topic("ttl")
        epoch = self.publish(followed)["epoch"]
        self.ws(f"/v1/ws?topics={followed}")
        self.publish(quiet)
        self.poll(lambda: self.fetch("GET", path_of(quiet)).status == 404)
        self.assertEqual(self.fetch("GET", path_of(followed)).json()["epoch"], epoch)

    def poll(self, done):
        """Asks until it is so, at most as long as a test may wait."""
        import threading
        import time
        until = time.monotonic() + 10
        while not done():
            self.assertLess(time.monotonic(), until)
            threading.Event().wait(0.05)


if __name__ == "__main__":
    unittest.main()
