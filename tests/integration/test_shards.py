"""Several shards: whatever shard a client is on, it sees the same topics (PROTOCOL.md; one gateway, four threads)."""
import json
import os
import threading
import time
import unittest

from client import PATIENCE, TEXT, Ws, frame, path_of
from gateway import API_KEY, RINGCAST, Gateway, GatewayTest


class ShardsTest(GatewayTest):
    flags = ("--shards", "4", "--topics.window", "2000")

    def spread(self, count=12, path="/v1/ws"):
        """Connections, which the kernel spreads over the shards."""
        return [self.ws(path) for _ in range(count)]

    def until(self, ws, topic, seq):
        """Reads up to this update; returns all updates of the topic that came, and the ops."""
        updates, ops = [], []
        while not updates or updates[-1]["seq"] < seq:
            message = ws.read()
            if message.is_update and message["topic"] == topic:
                updates.append(message)
            elif not message.is_update:
                ops.append(message)
        return updates, ops

    def test_connections_are_spread_over_the_shards(self):
        self.spread(40)
        self.assertEqual(self.fetch("GET", "/healthz").status, 200)

    def test_every_subscriber_of_every_shard_sees_each_update_once_and_in_order(self):
        topic = self.topic("order")
        clients = self.spread()
        for ws in clients:
            ws.send_json({"op": "subscribe", "id": 1, "topics": [topic], "mode": "every"})
            self.assertEqual(ws.read()["op"], "subscribed")
        publishers = [self.publisher() for _ in range(4)]
        for n in range(100):
            for publisher in publishers:
                publisher.send_json({"op": "publish", "topic": topic, "data": n})
        for ws in clients:
            updates, _ = self.until(ws, topic, 400)
            self.assertEqual([u["seq"] for u in updates], list(range(1, 401)))

    def test_acks_are_exact_wherever_the_topic_lives(self):
        for _ in range(20):
            topic = self.topic("ack")
            for n in range(3):
                self.publish(topic, n)
            for ws in self.spread(4):
                ack = ws.ask("subscribe", topics=[topic], mode="every")
                self.assertEqual([(t["topic"], t["seq"]) for t in ack["topics"]], [(topic, 3)])
                self.assertEqual([u["seq"] for u in self.until(ws, topic, 3)[0]], [3])

    def test_a_publisher_gets_its_acks_in_order_for_each_topic_and_before_its_own_update(self):
        topics = [self.topic("own") for _ in range(8)]
        ws = self.publisher()
        ws.ask("subscribe", topics=topics, mode="every")
        ws.send_text("\n".join(json.dumps({"op": "publish", "id": n, "topic": topics[n % 8], "data": n}) for n in range(400)))
        acked, seen = {topic: [] for topic in topics}, {topic: [] for topic in topics}
        while any(len(seqs) < 50 for seqs in seen.values()):
            message = ws.read()
            if message.get("op") == "published":
                acked[message["topic"]].append(message["seq"])
            elif message.is_update:
                self.assertIn(message["seq"], acked[message["topic"]], "published comes before the own update")
                seen[message["topic"]].append(message["seq"])
        for topic in topics:
            self.assertEqual(acked[topic], list(range(1, 51)))
            self.assertEqual(seen[topic], list(range(1, 51)))

    def test_http_reads_reach_every_home(self):
        base = self.topic("read").replace(".", "-")
        names = sorted(f"{base}.{n}" for n in range(40))
        lines = "".join(json.dumps({"topic": name, "data": number}) + "\n" for number, name in enumerate(names))
        self.assertEqual(self.fetch("POST", "/v1/publish", [API_KEY], lines.encode()).json(), {"published": 40, "errors": []})
        for number, name in enumerate(names):
            self.assertEqual(self.fetch("GET", path_of(name)).json()["data"], number)
            self.assertEqual([u["seq"] for u in self.fetch("GET", path_of(name, "/history")).json()["updates"]], [1])
        last = self.fetch("GET", "/v1/last?topics=" + ",".join(reversed(names))).json()["updates"]
        self.assertEqual([u["topic"] for u in last], list(reversed(names)))
        found, after = [], ""
        while True:
            page = self.fetch("GET", f"/v1/topics?prefix={base}.&limit=7" + (f"&after={after}" if after else "")).json()
            found += page["topics"]
            if "next" not in page:
                break
            after = page["next"]
            self.assertEqual(after, page["topics"][-1])
        self.assertEqual(found, names)
        self.assertError(self.fetch("GET", path_of("nowhere." + base)), 404, "not_found")

    def test_bad_lines_of_a_body_are_named_whichever_shard_refuses_them(self):
        body = b'{"topic":"ok.a","data":1}\nnonsense\n\n{"topic":"ok.b","data":1}\n{"topic":"a b","data":1}\n{"topic":"ok.c"}\n'
        answer = self.fetch("POST", "/v1/publish", [API_KEY], body).json()
        self.assertEqual(answer["published"], 2)
        self.assertEqual(sorted((e["line"], e["code"]) for e in answer["errors"]), [(2, "bad_json"), (5, "bad_topic"), (6, "bad_request")])

    def test_patterns_cover_topics_of_all_shards_before_and_after_their_birth(self):
        base = self.topic("pat").replace(".", "-")
        for n in range(12):
            self.publish(f"{base}.{n}")
        clients = self.spread(8)
        for ws in clients:
            ws.send_json({"op": "subscribe", "id": 1, "topics": [f"{base}.*"], "mode": "every"})
            self.assertEqual(ws.read()["topics"], [{"topic": f"{base}.*"}])
        for n in range(12, 24):
            self.publish(f"{base}.{n}")
        for ws in clients:
            announced, updates = {}, set()
            while len(updates) < 24:
                message = ws.read()
                if message.is_update:
                    self.assertIn(message["topic"], announced)
                    self.assertNotIn(message["topic"], updates)
                    updates.add(message["topic"])
                else:
                    self.assertEqual((message["op"], message["by"]), ("topic", f"{base}.*"))
                    announced[message["topic"]] = message["seq"]
            self.assertEqual(announced, {f"{base}.{n}": int(n < 12) for n in range(24)})

    def test_deleting_is_seen_by_the_subscribers_of_all_shards(self):
        topic = self.topic("del")
        first = self.publish(topic)["epoch"]
        clients = self.spread(8)
        for ws in clients:
            ws.send_json({"op": "subscribe", "id": 1, "topics": [topic], "mode": "every"})
            ws.read()
            self.until(ws, topic, 1)
        self.assertEqual(self.fetch("DELETE", path_of(topic), [API_KEY]).status, 204)
        self.assertEqual(self.fetch("DELETE", path_of(topic), [API_KEY]).status, 404)
        again = self.publish(topic)["epoch"]
        self.assertNotEqual(first, again)
        for ws in clients:
            updates, ops = self.until(ws, topic, 1)
            self.assertEqual([(op["op"], op["epoch"], op["seq"]) for op in ops], [("topic", again, 0)])

    def test_resuming_and_gaps_on_topics_of_other_shards(self):
        for _ in range(8):
            topic = self.topic("res")
            epoch = self.publish(topic)["epoch"]
            for _ in range(9):
                self.publish(topic)
            ws = self.ws()
            ack = ws.ask("subscribe", topics=[topic], mode="every", resume={topic: {"epoch": epoch, "seq": 4}})
            self.assertEqual((ack["topics"][0]["seq"], ack["topics"][0]["resumed"]), (10, True))
            self.assertEqual([u["seq"] for u in self.until(ws, topic, 10)[0]], [5, 6, 7, 8, 9, 10])

    def test_a_subscription_by_query_waits_for_its_topics_before_the_101(self):
        for _ in range(12):
            topic = self.topic("query")
            self.publish(topic)
            ws = self.ws(f"/v1/ws?topics={topic}&mode=every")
            self.assertEqual(ws.read()["topics"][0]["seq"], 1)
            self.until(ws, topic, 1)

    def test_clients_that_leave_while_their_requests_are_under_way_leave_nothing_behind(self):
        for round_ in range(30):
            ws = Ws(self.port, add=[API_KEY])
            ws.send_text("\n".join([json.dumps({"op": "publish", "id": n, "topic": f"leave.{n}", "data": n}) for n in range(50)] + ['{"op":"subscribe","topics":["leave.>","other.%d"]}' % round_]))
            (ws.reset if round_ % 2 else ws.close)()
        self.assertServing()


@unittest.skipIf(PATIENCE > 10, "a sanitizer's home serves so slowly that each waits more than the second after which `busy` is said")
class FloodTest(GatewayTest):
    flags = ("--shards", "4")

    def test_publishers_who_flood_a_topic_leave_room_for_those_behind_them(self):
        topic = self.topic("flood")
        flood = frame(TEXT, b"\n".join([b'{"op":"publish","topic":"%s","data":1}' % topic.encode()] * 1500))
        flooders = [self.publisher() for _ in range(24)]  # the first to come have the lowest places
        late = [self.publisher() for _ in range(8)]
        end = time.monotonic() + 3  # a good while longer than the second after which `busy` is said
        answers = [[] for _ in late]

        def pour(ws):
            while time.monotonic() < end:
                ws.send(flood)

        def ask(ws, ops):
            while time.monotonic() < end:
                ops.append(ws.ask("publish", topic=topic, data=2)["op"])

        threads = [threading.Thread(target=pour, args=(ws,)) for ws in flooders] + [threading.Thread(target=ask, args=(ws, ops)) for ws, ops in zip(late, answers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for ops in answers:  # on a slow machine a turn may come later than that; but it comes
            self.assertIn("published", ops)


class PinTest(unittest.TestCase):
    """shards.pin: a CPU for each shard, where there is exactly one for each."""

    def masks(self, *flags, awaited=None):
        """The CPUs that each shard may run on, of a gateway that may use two; of one that just began, once they are as awaited."""
        cpus = sorted(os.sched_getaffinity(0))[:2]
        if len(cpus) < 2:
            self.skipTest("two CPUs are needed")
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cpus)
        try:
            with Gateway(*flags) as gateway:
                pid, deadline = gateway.process.pid, time.monotonic() + PATIENCE
                while True:
                    masks = sorted(sorted(os.sched_getaffinity(int(task))) for task in os.listdir(f"/proc/{pid}/task") if int(task) != pid)
                    if "/tsan/" in RINGCAST and cpus in masks:
                        masks.remove(cpus)  # the sanitizer has a thread of its own
                    if awaited is None or awaited(masks, cpus) or time.monotonic() > deadline:
                        return masks, cpus
                    time.sleep(0.02)  # between two looks
        finally:
            os.sched_setaffinity(0, before)

    def test_as_many_shards_as_cpus_have_one_each(self):
        masks, cpus = self.masks("--shards", "2", awaited=lambda masks, cpus: masks == [[cpus[0]], [cpus[1]]] or self.quota() < 2)
        self.assertEqual(masks, [cpus, cpus] if self.quota() < 2 else [[cpus[0]], [cpus[1]]])

    @staticmethod
    def quota():
        try:
            group = next(line.split(":", 2)[2].strip() for line in open("/proc/self/cgroup") if line.startswith("0::"))
        except (OSError, StopIteration):
            group = ""
        for path in (f"/sys/fs/cgroup{group}/cpu.max", "/sys/fs/cgroup/cpu.max"):
            try:
                most, period = open(path).read().split()
                return float("inf") if most == "max" else -(-int(most) // int(period))
            except OSError:
                continue
        return float("inf")

    def test_fewer_or_more_shards_or_the_setting_leave_it_to_the_kernel(self):
        for flags in (("--shards", "1"), ("--shards", "3"), ("--shards", "2", "--shards.pin=false")):
            masks, cpus = self.masks(*flags)
            self.assertEqual(masks, [cpus] * len(masks), flags)


if __name__ == "__main__":
    unittest.main()
