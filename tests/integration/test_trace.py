"""`--trace`: the time stamps of an update at each door of the real program, told in $sys.trace.N; and nothing of it without."""
import time
import unittest

from client import PATIENCE, path_of
from gateway import KEY, GatewayTest

ADMIN_KEY = "admin-key-of-the-trace-test"
HOME = ("received", "read", "taken", "appended", "told")
READER = ("heard", "woken", "staged", "submitted", "settled", "last")


class Traced:
    """What a gateway has told in its topics: {(shard, topic, seq): {door: ns}}"""

    def __init__(self, gateway):
        self.gateway, self.told, self.missed = gateway, {}, 0

    def look(self, shards):
        for shard in range(shards):
            response = self.gateway.fetch("GET", path_of(f"$sys.trace.{shard}", "/history?limit=1000"), [("X-API-Key", ADMIN_KEY)])
            for update in response.json()["updates"] if response.status == 200 else ():
                data = update["data"]
                assert data["shard"] == shard and tuple(data["doors"]) == HOME + READER, data
                self.missed = max(self.missed, data["missed"])
                for topic, seq, base, *after in data["updates"]:
                    self.told[shard, topic, seq] = {door: base + ns for door, ns in zip(data["doors"], after) if ns is not None}
        return self.told

    def until(self, shards, enough):
        end = time.monotonic() + PATIENCE
        while not enough(self.look(shards)):
            assert time.monotonic() < end, f"in vain: {self.told}"
            time.sleep(0.05)
        return self.told


def publish(test, topic, count):
    ws = test.publisher()
    for number in range(count):
        ws.send_json({"op": "publish", "id": number, "topic": topic, "data": number})
        assert ws.read()["op"] == "published"


class OneShardTest(GatewayTest):
    flags = ("--shards", "1", "--trace", "5", "--auth.admin-key", ADMIN_KEY)

    def test_every_fifth_update_passes_all_doors_in_order(self):
        topic = self.topic()
        before = time.monotonic_ns()
        readers = [self.ws(f"/v1/ws?topics={topic}&mode=every") for _ in range(3)]
        for ws in readers:
            ws.read()
        publish(self, topic, 23)
        told = Traced(self.gateway).until(1, lambda told: (0, topic, 20) in told)
        self.assertEqual(sorted(seq for _, of, seq in told if of == topic), [5, 10, 15, 20])
        for (_, of, _), doors in told.items():
            if of != topic:
                continue
            self.assertEqual(list(doors), ["received", "read", "appended", "woken", "staged", "submitted", "settled", "last"])
            self.assertEqual(list(doors.values()), sorted(doors.values()))
            self.assertGreater(doors["received"], before)
            self.assertLess(doors["last"], time.monotonic_ns())

    def test_who_publishes_by_http_and_to_nobody_passes_the_first_doors(self):
        topic = self.topic()
        for _ in range(5):
            self.publish(topic)
        told = Traced(self.gateway).until(1, lambda told: (0, topic, 5) in told)
        self.assertEqual(list(told[0, topic, 5]), ["received", "read", "appended"])

    def test_it_is_the_admins_alone(self):
        response = self.fetch("GET", path_of("$sys.trace.0"), [("X-API-Key", KEY)])
        self.assertError(response, 403, "forbidden")


class SeveralShardsTest(GatewayTest):
    flags = ("--shards", "3", "--trace", "1", "--auth.admin-key", ADMIN_KEY)

    def test_each_shard_tells_its_part_and_together_they_are_a_whole_way(self):
        topics = [self.topic() for _ in range(6)]
        readers = [self.ws("/v1/ws?mode=every&topics=" + ",".join(topics)) for _ in range(24)]  # the kernel spreads them over all shards
        for ws in readers:
            ws.read()
        for topic in topics:
            publish(self, topic, 3)

        def whole(told):
            parts = {}
            for (shard, topic, seq), doors in told.items():
                if topic in topics:
                    parts.setdefault((topic, seq), {})[shard] = doors
            return len(parts) == 18 and all(any("appended" in doors for doors in of.values()) and sum("last" in doors for doors in of.values()) > 1 for of in parts.values()) and parts

        parts = whole(Traced(self.gateway).until(3, whole))
        told_abroad = taken = 0
        for of in parts.values():
            homes = [shard for shard, doors in of.items() if "appended" in doors]
            self.assertEqual(len(homes), 1)
            came = {door: of[homes[0]][door] for door in HOME if door in of[homes[0]]}
            taken += "taken" in came
            for shard, doors in of.items():
                went = [doors[door] for door in READER if door in doors]
                self.assertEqual("heard" in doors, shard != homes[0])
                told_abroad += "heard" in doors
                way = [ns for door, ns in came.items() if shard != homes[0] or door != "told"] + went
                self.assertEqual(way, sorted(way), (came, doors))
        self.assertGreater(told_abroad, 0)
        self.assertGreater(taken, 0)


class OffTest(GatewayTest):
    flags = ("--shards", "1", "--auth.admin-key", ADMIN_KEY)

    def test_without_the_setting_nothing_is_told(self):
        topic = self.topic()
        ws = self.ws(f"/v1/ws?topics={topic}")
        ws.read()
        publish(self, topic, 10)
        self.gateway.publish(topic)
        time.sleep(1.5)  # longer than it would take
        names = self.fetch("GET", "/v1/topics?prefix=$sys.&limit=1000", [("X-API-Key", ADMIN_KEY)]).json()["topics"]
        self.assertIn("$sys.shard.0", names)
        self.assertFalse([name for name in names if "trace" in name])


if __name__ == "__main__":
    unittest.main()
