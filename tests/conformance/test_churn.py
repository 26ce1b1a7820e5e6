"""PROTOCOL.md under haste: connections that subscribe, subscribe again, unsubscribe and change modes on topics that are published to, deleted and born again all the
while, on three shards, over ws and wss, compressed and not. Whatever the moment, each message must be one that the contract allows there:

- nothing of a topic between `unsubscribed` and the next `subscribed`, and nothing of one that was never covered;
- `every` with snapshot begins with exactly the ack's seq, without it with the one after, and goes on without a hole or with a `gap` of its exact bounds;
- `latest` only rises; a new epoch is announced by `op:topic` before its first update, which for `every` is its first;
- subscribing again keeps the position.
"""
import json
import os
import random
import tempfile
import threading
import time
import unittest

from client import TEXT, Ws, deadline_in, path_of
from gateway import API_KEY, Gateway
from suite import Dialled, Transport, has_tls, tls_of, tls_port_of

SEED = int(os.environ.get("RINGCAST_TEST_SEED", "0")) or random.randrange(1, 1 << 30)
SECONDS = 4
TOPICS = [f"churn.{name}" for name in "abcdefgh"]


class WsBy(Dialled, Ws):
    """A WebSocket by a transport."""


class Follow:
    """One topic as a subscriber knows it."""

    def __init__(self, epoch, last, exactly, mode):
        self.epoch, self.last, self.exactly, self.mode = epoch, last, exactly, mode  # exactly: the next must be last + 1
        self.got = False  # an update of it came


class Subscriber(threading.Thread):
    def __init__(self, transport, number, until):
        super().__init__(daemon=True)
        self.chance, self.until, self.fault, self.steps, self.updates = random.Random(SEED + number), until, None, 0, 0
        deflate = number % 2 == 1
        self.name = f"{transport.name}{' deflated' if deflate else ''} {number}"
        self.ws = WsBy(transport, add=[("Sec-WebSocket-Extensions", "permessage-deflate")] if deflate else [])
        self.ws.read()
        self.follows = {}
        self.story = []

    def run(self):
        try:
            while time.monotonic() < self.until:
                self.step()
                self.steps += 1
        except Exception as error:  # noqa: BLE001  told by the test with the story of this subscriber
            self.fault = f"{self.name}: {type(error).__name__}: {error}\n    " + "\n    ".join(self.story[-14:])

    def step(self):
        topics = self.chance.sample(TOPICS, self.chance.choice((1, 1, 2, 4)))
        what = self.chance.choice(("subscribe", "subscribe", "unsubscribe", "wait"))
        self.steps += 1
        if what == "wait":
            until = time.monotonic() + self.chance.random() * 0.02
            self.ask({"op": "ping"}, lambda reply: None)
            while time.monotonic() < until:
                self.ask({"op": "ping"}, lambda reply: None)
        elif what == "unsubscribe":
            self.ask({"op": "unsubscribe", "topics": topics}, lambda reply: [self.follows.pop(topic, None) for topic in topics])
        else:
            mode, snapshot = self.chance.choice(("every", "latest")), self.chance.random() < 0.7
            self.ask({"op": "subscribe", "topics": topics, "mode": mode, "snapshot": snapshot}, lambda reply: self.subscribed(reply, mode, snapshot))

    def subscribed(self, reply, mode, snapshot):
        for entry in reply["topics"]:
            follow, seq = self.follows.get(entry["topic"]), entry["seq"]
            if follow:  # its position is kept: what was sent before stands before the ack, and `every` goes on from the last of it
                follow.exactly = mode == "every" and (follow.exactly or follow.got)
                follow.mode = mode
                continue
            self.follows[entry["topic"]] = Follow(entry.get("epoch"), seq - 1 if snapshot and seq else seq, mode == "every", mode)

    def ask(self, request, effect):
        asked = self.steps * 1000 + self.chance.randrange(1000)
        self.story.append(f"> {json.dumps({**request, 'id': asked})}")
        self.ws.send_json({**request, "id": asked})
        deadline = deadline_in()
        while True:
            kind, data = self.ws.read_message(deadline - time.monotonic())
            message = json.loads(data)
            self.story.append(f"< {data[:200].decode()}")
            if kind != TEXT or message.get("op") == "error":
                raise AssertionError(f"{message}")
            if message.get("id") == asked:
                effect(message)
                return
            self.take(message)

    def take(self, message):
        if message.get("op") == "heartbeat":
            return
        follow = self.follows.get(message["topic"])
        if not follow:
            raise AssertionError(f"of a topic that is not subscribed: {message}")
        if message.get("op") == "topic":
            if message["epoch"] == follow.epoch:
                raise AssertionError(f"an epoch is announced that was known: {message}")
            follow.epoch, follow.last = message["epoch"], 0
            return
        if message.get("op") == "gap":
            if follow.mode != "every" or message["from"] != follow.last + 1 or message["to"] < message["from"]:
                raise AssertionError(f"after {follow.last} ({follow.mode}): {message}")
            follow.last = message["to"]
            return
        self.updates += 1
        seq = message["seq"]
        if follow.epoch is None:
            raise AssertionError(f"an update before its epoch was told: {message}")
        if follow.exactly and seq != follow.last + 1 or seq <= follow.last:
            raise AssertionError(f"{seq} after {follow.last} ({follow.mode}): {message}")
        follow.last, follow.exactly, follow.got = seq, follow.mode == "every", True


class ChurnTest(unittest.TestCase):
    def test_whatever_the_moment_each_message_is_one_that_may_come_there(self):
        until = time.monotonic() + SECONDS
        with tempfile.TemporaryDirectory() as folder:
            flags, context = tls_of(folder) if has_tls() else ([], None)
            with Gateway("--shards", "3", "--limits.requests-per-second", "1000000", *flags) as gateway:
                transports = [Transport("ws", gateway.port)] + ([Transport("wss", tls_port_of(flags), context)] if flags else [])
                subscribers = [Subscriber(transports[number // 2 % len(transports)], number, until) for number in range(8)]
                for subscriber in subscribers:
                    subscriber.start()
                self.publish(gateway, until)
                for subscriber in subscribers:
                    subscriber.join(30)
        faults = [subscriber.fault for subscriber in subscribers if subscriber.fault]
        if faults:
            self.fail(f"seed {SEED}, {len(faults)} of {len(subscribers)}:\n" + "\n".join(faults))
        self.assertGreater(min(subscriber.steps for subscriber in subscribers), 20)
        self.assertGreater(sum(subscriber.updates for subscriber in subscribers), 1000)

    @staticmethod
    def publish(gateway, until):
        """Publishes to all topics, and now and then deletes one."""
        chance, number = random.Random(SEED), 0
        with Ws(gateway.port, add=[API_KEY]) as ws:
            ws.read()
            while time.monotonic() < until:
                lines = []
                for _ in range(chance.choice((1, 5, 20))):
                    number += 1
                    lines.append('{"op":"publish","topic":"%s","data":[0,%d]}' % (chance.choice(TOPICS), number))
                ws.send_text("\n".join(lines))
                if chance.random() < 0.08:
                    gateway.fetch("DELETE", path_of(chance.choice(TOPICS)), [API_KEY])
                time.sleep(0.003)
            ws.ask("ping")


if __name__ == "__main__":
    unittest.main()
