"""A topic's lives over four shards (PROTOCOL.md, "Acknowledged"): who follows it, by name or pattern, in whatever format of lines or frames, is told of
each new life before its first update, and `topics.ttl` ends a life that nobody needs."""
import json
import time
import unittest

from client import PATIENCE
from gateway import API_KEY, GatewayTest


class LivesTest(GatewayTest):
    flags = ("--shards", "4", "--topics.ttl", "1s")

    def lines(self, ws, count):
        """So many lines, ops and updates alike, but for acks and heartbeats."""
        came, deadline = [], time.monotonic() + PATIENCE
        while len(came) < count:
            kind, data = ws.read_message(deadline - time.monotonic())
            for line in data.decode().splitlines():
                message = json.loads(line)
                if isinstance(message, list) or message.get("op") in (None, "topic", "gap"):
                    came.append(message)
        return came

    def test_each_life_is_told_before_its_first_update(self):
        for query in ("", "?format=array", "?batch=1", "?format=array&batch=1"):
            for pattern in (False, True):
                with self.subTest(query=query, pattern=pattern):
                    start = self.topic("life").replace(".", "-")
                    topics = [f"{start}.{n}" for n in range(8)]  # of several homes
                    ws = self.ws(f"/v1/ws{query}", hello=False)
                    ws.send_json({"op": "subscribe", "id": 1, "mode": "every", "topics": [f"{start}.*"] if pattern else topics})
                    ack = None
                    while not ack:
                        _, data = ws.read_message()
                        ack = next((line for line in map(json.loads, data.decode().splitlines()) if isinstance(line, dict) and line.get("id") == 1), None)
                    epochs = {}
                    for life in range(3):
                        for n in (1, 2):
                            for topic in topics:
                                reply = self.publish(topic, n)
                                self.assertEqual(reply["seq"], n)
                                if n == 1:
                                    self.assertNotEqual(epochs.get(topic), reply["epoch"])
                                epochs[topic] = reply["epoch"]
                        due = {topic: [("topic", epochs[topic]), 1, 2] for topic in topics}
                        for message in self.lines(ws, 3 * len(topics)):
                            array = isinstance(message, list)
                            topic = message[0] if array else message["topic"]
                            got = message[1] if array else ("topic", message["epoch"]) if "op" in message else message["seq"]
                            self.assertEqual(got, due[topic].pop(0), (message, life))
                        for topic in topics:
                            self.assertEqual(self.fetch("DELETE", f"/v1/topics/{topic}", [API_KEY]).status, 204)

    def test_what_nobody_needs_is_forgotten_and_what_is_followed_is_not(self):
        topics = [self.topic("ttl") for _ in range(12)]
        first = {topic: self.publish(topic, 1)["epoch"] for topic in topics}
        ws = self.ws()
        ws.ask("subscribe", topics=topics[:6])
        deadline = time.monotonic() + 4 * PATIENCE
        while any(self.fetch("GET", f"/v1/topics/{topic}").status == 200 for topic in topics[6:]):
            self.assertLess(time.monotonic(), deadline, "they are never forgotten")
            time.sleep(0.05)
        for topic in topics:
            reply = self.publish(topic, 2)
            self.assertEqual((reply["epoch"] == first[topic], reply["seq"]), (True, 2) if topic in topics[:6] else (False, 1))


if __name__ == "__main__":
    unittest.main()
