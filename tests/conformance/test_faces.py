"""The same updates by every face that the gateway has: each format, with lines gathered and alone, compressed and not, over ws and wss, and as
Server-Sent Events over http and https, by names and by a pattern, from three shards at once. What was published is in each payload itself, so
that every reader is held to it byte by byte: `every` to all of it in order, also over a cut connection; `latest` to rising seqs up to the newest.
"""
import json
import random
import tempfile
import threading
import time
import unittest
from urllib.parse import quote

from client import Ws, deadline_in
from gateway import API_KEY, KEY, Gateway
from sse import Sse
from suite import Dialled, Transport, has_tls, tls_of, tls_port_of

TOPICS = [f"faces.{name}" for name in ("a", "b/c", "ü", "d.e", "f", "g")]
UPDATES = 1500
SECONDS = 120


class SseBy(Dialled, Sse):
    """A stream by a transport."""


class WsBy(Dialled, Ws):
    """A WebSocket by a transport."""


def payloads(seed):
    """(topic, JSON text) in the order of publishing; each says which it is, sizes from a few bytes to 60 KB."""
    chance, counts, made = random.Random(seed), dict.fromkeys(TOPICS, 0), []
    for _ in range(UPDATES):
        topic = chance.choice(TOPICS)
        counts[topic] += 1
        pad = chance.choice(("", "x", "é€😀", "abc " * chance.randrange(40), "y" * chance.randrange(3000), chance.choice(("z" * 60000, "\n" * 30000, "é" * 10000)) if chance.random() < 0.1 else ""))
        made.append((topic, json.dumps([topic, counts[topic], pad], ensure_ascii=chance.random() < 0.5)))
    return made


class Reader(threading.Thread):
    """Follows all topics by one face until it has seen the last update of each. wanted: {topic: [text, ...]}."""

    def __init__(self, transport, form, batch, deflate, pattern, mode, cut, wanted):
        super().__init__(daemon=True)
        self.transport, self.form, self.batch, self.deflate, self.pattern, self.mode, self.wanted = transport, form, batch, deflate, pattern, mode, wanted
        self.seen = dict.fromkeys(TOPICS, 0)   # of each topic, how many or the last number
        self.epochs = {}
        self.cuts = [UPDATES * part // 100 for part in (1, 3, 10, 40, 70)] if cut else []  # after so many updates
        self.fault, self.subscribed = None, threading.Event()
        self.deadline = deadline_in(SECONDS)
        self.name = " ".join(filter(None, [transport.name, form, "batch" if batch else "", "deflated" if deflate else "", "by pattern" if pattern else "by names", mode, "cut" if cut else ""]))

    def run(self):
        try:
            self.open(resume=False)
            self.subscribed.set()
            while any(self.seen[topic] < len(self.wanted[topic]) for topic in TOPICS):
                self.take()
                if self.cuts and sum(self.seen.values()) > self.cuts[0] and self.can_resume():
                    del self.cuts[0]
                    self.connection.reset()
                    self.open(resume=True)
            self.connection.close()
        except Exception as error:  # noqa: BLE001  told by the test, with the reader's name
            self.fault = f"{type(error).__name__}: {str(error)[:600]}; seen {self.seen}"
            self.subscribed.set()

    def can_resume(self):
        """A stream once it knows a position; a WebSocket once it knows each topic's epoch (before that it has nothing to resume by)."""
        return self.connection.ids > 0 if self.form == "sse" else all(self.seen.values())

    def open(self, resume):
        topics = "faces.>" if self.pattern else ",".join(quote(topic, safe="") for topic in TOPICS)
        query = f"mode={self.mode}&token={KEY}"
        if self.form == "sse":
            self.connection = SseBy(self.transport, f"topics={topics}&{query}", last_id=self.connection.last_id if resume else None)
            self.pending = []
            return
        add = [("Sec-WebSocket-Extensions", "permessage-deflate")] if self.deflate else []
        self.connection = WsBy(self.transport, f"/v1/ws?format={self.form}&batch={int(self.batch)}&token={KEY}" + ("" if resume else f"&topics={topics}&mode={self.mode}"), add=add)
        if self.deflate != self.connection.deflates:
            raise AssertionError("compression was not agreed as offered")
        self.pending = []
        if resume:
            self.connection.send_json({"op": "subscribe", "id": 1, "mode": self.mode, "topics": ["faces.>"] if self.pattern else TOPICS,
                                       "resume": {topic: {"epoch": epoch, "seq": self.seen[topic]} for topic, epoch in self.epochs.items()}})

    def lines(self):
        if self.form == "sse":
            return [self.connection.read(self.deadline - deadline_in(0)).raw]
        kind, data = self.connection.read_message(self.deadline - deadline_in(0))
        if kind != 1:
            raise AssertionError(f"a message of kind {kind}")
        text = data.decode()
        return text.split("\n") if self.batch else [text]

    def take(self):
        for line in self.lines():
            if self.form == "raw":
                topic, number, _ = json.loads(line)
                self.update(topic, number, line)
                continue
            message = json.loads(line)
            if isinstance(message, list):
                topic, seq, _, _ = message
                self.update(topic, seq, line[:-1].split(",", 3)[3])
            elif "op" not in message:
                self.update(message["topic"], message["seq"], line[line.index('"data":') + 7:-1])
            else:
                self.op(message)

    def op(self, message):
        if message["op"] == "subscribed":
            self.epochs.update({one["topic"]: one["epoch"] for one in message["topics"] if "epoch" in one})
        elif message["op"] == "topic":
            self.epochs[message["topic"]] = message["epoch"]
        elif message["op"] not in ("hello", "heartbeat"):
            raise AssertionError(f"{message}")

    def update(self, topic, seq, text):
        if self.form == "sse" and seq <= self.seen[topic] and self.mode == "every":
            return  # what came after the last position may repeat
        if self.mode == "every" and seq != self.seen[topic] + 1:
            raise AssertionError(f"{topic} {seq} after {self.seen[topic]}")
        if seq <= self.seen[topic]:
            raise AssertionError(f"{topic} {seq} came again after {self.seen[topic]}")
        if text != self.wanted[topic][seq - 1]:
            raise AssertionError(f"{topic} {seq} is {text[:100]!r} instead of {self.wanted[topic][seq - 1][:100]!r}")
        self.seen[topic] = seq


class FacesTest(unittest.TestCase):
    def test_every_face_says_the_same(self):
        seed = random.randrange(1 << 30)
        made = payloads(seed)
        wanted = {topic: [text for name, text in made if name == topic] for topic in TOPICS}
        with tempfile.TemporaryDirectory() as folder:
            flags, context = tls_of(folder) if has_tls() else ([], None)
            with Gateway("--shards", "3", "--topics.window", "100000", "--topics.window-bytes", "64M", *flags) as gateway:
                transports = [Transport("ws", gateway.port)] + ([Transport("wss", tls_port_of(flags), context)] if flags else [])
                readers = [Reader(transport, form, batch, deflate, pattern, "every", form != "raw" and pattern == deflate, wanted)
                           for transport in transports for form, batch in (("json", False), ("json", True), ("array", False), ("array", True), ("raw", False)) for deflate in (False, True) for pattern in (False, True)]
                readers += [Reader(transport, "sse", False, False, pattern, mode, mode == "every", wanted) for transport in transports for pattern in (False, True) for mode in ("every", "latest")]
                readers += [Reader(transport, form, True, deflate, pattern, "latest", False, wanted) for transport in transports for form in ("json", "array", "raw") for deflate in (False, True) for pattern in (False, True)]
                self.publish_beneath(gateway, readers, made)
        faults = [f"{reader.name}: {reader.fault}" for reader in readers if reader.fault]
        if faults:
            self.fail(f"seed {seed}, {len(faults)} of {len(readers)} readers:\n" + "\n".join(faults))

    def publish_beneath(self, gateway, readers, made):
        for reader in readers:
            reader.start()
        for reader in readers:
            self.assertTrue(reader.subscribed.wait(SECONDS), f"{reader.name} is not there")
        with Ws(gateway.port, add=[API_KEY]) as ws:
            ws.read()
            at, chance = 0, random.Random(len(made))
            while at < len(made):
                some = made[at:at + chance.choice((1, 1, 5, 40))]
                at += len(some)
                time.sleep(0.01)  # so that positions of streams, one a second, fall into it
                ws.send_text("\n".join('{"op":"publish","topic":%s,"data":%s}' % (json.dumps(topic), text) for topic, text in some))
            if (answer := ws.ask("ping"))["op"] != "pong" or ws.stash:
                raise AssertionError(f"{answer}, before it {list(ws.stash)[:5]}")
        for reader in readers:
            reader.join(SECONDS)
            if reader.is_alive():
                reader.fault = f"it waits still, seen {reader.seen}"


if __name__ == "__main__":
    unittest.main()
