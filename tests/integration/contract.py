"""What the tests of PROTOCOL.md share (test_protocol.py, test_protocol_http.py): a class of facts becomes two test classes, one against a
gateway of one shard and one against three, so that no fact depends on where a topic lives."""
import sys
import time

from client import path_of
from gateway import API_KEY, GatewayTest

SHARDS = (1, 3)


def on_one_shard_and_three(facts):
    """Puts <Name>1 and <Name>3 beside the class; it itself is no test. flags: of its gateways, beside the shards."""
    module = sys.modules[facts.__module__]
    for shards in SHARDS:
        name = f"{facts.__name__}{shards}"
        setattr(module, name, type(name, (facts, ContractTest), {"flags": (*facts.flags, "--shards", str(shards)), "__module__": facts.__module__}))
    return facts


class ContractTest(GatewayTest):
    def several(self, name, count=6):
        """Topics of a base without a dot, so many that they live on all shards; and their base."""
        base = self.topic(name).replace(".", "-")
        return [f"{base}.{n}" for n in range(count)], base

    def subscribe(self, ws, *topics, **fields):
        """Subscribes and returns the ack's entries by topic, in their order."""
        ack = ws.ask("subscribe", topics=list(topics), **fields)
        self.assertEqual(ack["op"], "subscribed", ack)
        return {entry["topic"]: entry for entry in ack["topics"]}

    def listed(self, ws):
        answer = ws.ask("list")
        self.assertEqual(answer["op"], "subscriptions", answer)
        return {entry["topic"]: entry for entry in answer["topics"]}

    def rest(self, ws):
        """What has come beside what was read; where nothing may come, a late message makes the next assertion fail, never this one."""
        time.sleep(0.03)  # news of other shards are not ordered with the answer to a ping
        return ws.quiet() + ws.quiet()  # and a reply goes before the updates of its turn

    def assertNothing(self, ws):
        self.assertEqual(self.rest(ws), [])

    def assertSeqs(self, ws, topic, seqs):
        for seq in seqs:
            self.assertUpdate(ws.read(), topic, seq)

    def assertOp(self, message, **expected):
        self.assertEqual(dict(message), expected)

    def fill(self, topic, marks):
        """Publishes one update for each letter: k is marked as key. Returns the epoch."""
        self.gateway.publish_many((topic, str(n), mark == "k") for n, mark in enumerate(marks, 1))
        return self.epoch(topic)

    def epoch(self, topic):
        return self.fetch("GET", path_of(topic)).json()["epoch"]

    def delete(self, topic):
        self.assertEqual(self.fetch("DELETE", path_of(topic), [API_KEY]).status, 204)

    def ordered(self, ws, count):
        """So many messages, by topic, each topic's in their order: between topics there is none."""
        came = {}
        for _ in range(count):
            message = ws.read()
            topic = message.get("topic") if "topics" not in message else None
            came.setdefault(topic, []).append(message)
        return came
