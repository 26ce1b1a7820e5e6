"""The gateway's own figures, $sys.>: they follow what happens, come once a second while somebody looks, and are for the admin key alone."""
import os
import tempfile
import time

from client import PATIENCE, TooLate, path_of
from gateway import API_KEY, Gateway, GatewayTest

ADMIN_KEY = "admin-key-of-the-system-test"
ADMIN = ("X-API-Key", ADMIN_KEY)


class SystemTests:
    shards = 1

    def figures(self, topic="$sys.gateway"):
        response = self.fetch("GET", path_of(topic), [ADMIN])
        self.assertEqual(response.status, 200, response)
        return response.json()["data"]

    def until(self, holds, ws, topic="$sys.gateway"):
        """The first figures of the topic for which it holds, as a follower gets them."""
        deadline = time.monotonic() + 2 * PATIENCE
        while True:
            message = ws.read()
            if message.is_update and message["topic"] == topic and holds(message["data"]):
                return message["data"]
            if time.monotonic() > deadline:
                raise TooLate(f"in vain, last: {message}")

    def follower(self, topics="$sys.>"):
        ws = self.ws(f"/v1/ws?topics={topics}", add=[ADMIN])
        self.assertEqual(ws.read()["op"], "subscribed")
        return ws

    def test_each_shard_and_the_whole_have_a_topic_that_is_there_from_the_start(self):
        names = ["$sys.gateway", *(f"$sys.shard.{i}" for i in range(self.shards))]
        for name in names:
            self.assertTrue(self.figures(name)["memory_bytes"])
        answer = self.fetch("GET", "/v1/topics?prefix=$sys", [ADMIN]).json()
        self.assertEqual(answer["topics"], names)
        self.assertEqual(self.figures()["shards"], self.shards)
        self.assertEqual(len(self.figures()["busy"]), self.shards)

    def test_followers_get_them_once_a_second(self):
        ws = self.follower()
        times = {topic: [] for topic in ("$sys.gateway", *(f"$sys.shard.{i}" for i in range(self.shards)))}
        deadline = time.monotonic() + 5 + PATIENCE
        while min(map(len, times.values())) < 5:
            self.assertLess(time.monotonic(), deadline, times)
            message = ws.read()
            if message.is_update:
                times[message["topic"]].append(message["ts"])
        for topic, stamps in times.items():
            apart = [later - earlier for earlier, later in zip(stamps[1:], stamps[2:])]  # the first may be the snapshot
            self.assertGreaterEqual(min(apart), 950_000, topic)
            self.assertLess(min(apart), 1_500_000, topic)

    def test_figures_tell_what_happened(self):
        ws = self.follower()
        topic, hot = self.topic("quiet"), self.topic("hot")
        reader = self.ws(f"/v1/ws?topics={topic},{hot}&mode=every")
        reader.read()
        self.publish(topic)
        def published(data):
            self.gateway.publish_many([(hot, "1")] * 300)
            rates = data["per_second"]
            return rates.get("updates_published", 0) > 100 and rates.get("frames_sent", 0) > 100 and data["delay_us"]["count"] > 0
        data = self.until(published, ws)
        self.assertLessEqual(data["delay_us"]["p50"], data["delay_us"]["p99"])
        self.assertLessEqual(data["delay_us"]["p99"], data["delay_us"]["most"])
        self.assertGreaterEqual(data["now"]["websockets"], 2)
        self.assertGreater(data["frames_per_send"], 0)
        self.assertGreater(data["resident_bytes"], 1 << 20)
        self.assertGreater(max(data["busy"]), 0)
        self.assertLess(max(data["busy"]), 1)
        deadline = time.monotonic() + 2 * PATIENCE
        best = {}
        while not {"published", "sent"} <= best.keys():
            message = ws.read()
            self.assertLess(time.monotonic(), deadline, (best, message))
            if message.is_update and message["topic"].startswith("$sys.shard."):
                self.gateway.publish_many([(hot, "1")] * 300)
                for kind, topics in message["data"]["top"].items():
                    if topics and topics[0]["topic"] == hot and topics[0]["per_second"] > 10:
                        best[kind] = topics[0]

    def test_what_was_reached_and_how_connections_ended_are_told_by_name(self):
        ws = self.follower("$sys.gateway")
        with self.ws() as bad:
            bad.send_frame(2, b"binary")
            bad.expect_close(1003)
        with self.ws() as large:
            large.ask("publish", topic="a", data="x" * 70000)
            self.fetch("POST", path_of("a"), [API_KEY], b'"' + b"x" * 70000 + b'"')
        data = self.until(lambda data: "1003" in data["closes"] and "payload" in data["limit_hits"], ws)
        self.assertGreaterEqual(data["closes"]["1003"], 1)

    def test_a_gateway_where_nobody_looks_stays_asleep_and_is_read_fresh(self):
        def turns():
            lines = self.fetch("GET", "/metrics", [ADMIN]).body.decode().splitlines()
            return sum(float(line.split()[-1]) for line in lines if line.startswith("ringcast_turns_total"))

        time.sleep(2.5)  # those who followed before linger for a second
        before, at = turns(), time.time()
        time.sleep(2.5)
        self.assertLess(turns() - before, 12 * self.shards)
        asked = time.time()
        response = self.fetch("GET", path_of("$sys.gateway"), [ADMIN]).json()
        self.assertGreater(response["ts"] / 1e6, asked - 1.5, "asking wakes who publishes it")

    def test_they_are_for_the_admin_key_alone(self):
        for headers, code, status in (((), "unauthorized", 401), ([API_KEY], "forbidden", 403)):
            self.assertError(self.fetch("GET", path_of("$sys.gateway"), headers), status, code)
            self.assertError(self.fetch("GET", path_of("$sys.gateway", "/history"), headers), status, code)
            self.assertError(self.fetch("GET", "/v1/last?topics=$sys.gateway", headers), status, code)
            self.assertError(self.fetch("GET", "/v1/stream?topics=$sys.gateway", headers), status, code)
            self.assertEqual(self.fetch("GET", "/v1/topics?prefix=$", headers).json(), {"topics": []})
            ws = self.ws(add=headers)
            for topic in ("$sys.gateway", "$sys.>", "$sys.shard.*", "$sys.*"):
                self.assertRefusal(ws.ask("subscribe", topics=[topic]), code)

    def test_no_pattern_covers_them_but_one_that_begins_with_their_token(self):
        ws = self.ws("/v1/ws?topics=>,*,*.*,*.>", add=[ADMIN])
        ws.read()
        topic = self.topic("seen")
        time.sleep(1.2)
        self.publish(topic)
        while True:
            message = ws.read()
            self.assertFalse(message.get("topic", "").startswith("$"), message)
            if message.get("topic") == topic:
                break
        self.assertEqual(self.follower("$sys.gateway").read()["topic"], "$sys.gateway")

    def test_nobody_publishes_or_deletes_them(self):
        for name in ("$sys.gateway", "$sys.shard.0", "$sys.x", "$x"):
            for headers in ([ADMIN], [API_KEY]):
                self.assertError(self.fetch("POST", path_of(name), headers, b"1"), 400, "bad_topic")
                self.assertError(self.fetch("DELETE", path_of(name), headers), 400, "bad_topic")
            self.assertRefusal(self.ws(add=[ADMIN]).ask("publish", topic=name, data=1), "bad_topic")

    def test_they_count_as_no_update_and_no_topic(self):
        with Gateway("--shards", str(self.shards), "--limits.topics", "1") as gateway:
            gateway.publish("only", 1)

        def counted():
            lines = [line.split() for line in self.fetch("GET", "/metrics", [ADMIN]).body.decode().splitlines()]
            return [sum(float(line[-1]) for line in lines if line[0].startswith(name)) for name in ("ringcast_topics", "ringcast_updates_published_total")]
        before, ws = counted(), self.follower()
        for _ in range(3 * self.shards):
            ws.read()
        self.assertEqual(counted(), before)

    def test_the_saved_state_holds_none_of_them(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "state")
            with Gateway("--shards", str(self.shards), "--state", path) as gateway:
                gateway.publish("kept", 1)
            with open(path, encoding="utf-8") as file:
                lines = file.read()
            self.assertIn('"kept"', lines)
            self.assertNotIn("$sys", lines)
            with open(path, "a", encoding="utf-8") as file:
                file.write('{"topic":"$sys.gateway","epoch":"AAAAAAAA","seq":7,"ts":1,"data":"forged"}\n')
            with Gateway("--shards", str(self.shards), "--state", path, key=None) as gateway:
                self.assertNotIn("forged", gateway.fetch("GET", path_of("$sys.gateway", "/history")).body.decode())
                self.assertIn("skipped=1", gateway.await_logged("state")[0])


class OneShardTest(SystemTests, GatewayTest):
    flags = ("--shards", "1", "--auth.admin-key", ADMIN_KEY)


class ThreeShardsTest(SystemTests, GatewayTest):
    shards = 3
    flags = ("--shards", "3", "--auth.admin-key", ADMIN_KEY)


class NoKeyTest(GatewayTest):
    key = None
    flags = ("--shards", "2")

    def test_without_any_key_on_loopback_they_are_open_but_not_listed(self):
        self.assertEqual(self.fetch("GET", path_of("$sys.shard.1")).json()["data"]["shard"], 1)
        self.assertEqual(self.fetch("GET", "/v1/topics").json(), {"topics": []})


if __name__ == "__main__":
    import unittest
    unittest.main()
