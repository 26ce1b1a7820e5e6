"""Hand-over: a new gateway takes the listening sockets from the one that runs. Under restarts no connection is refused or reset, no topic is
empty, each change of a numbering's life is told, and every client ends on the newest of all that it follows.
"""
import asyncio
import base64
import json
import os
import random
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from client import PATIENCE, Ws, fetch
from gateway import RINGCAST, SHARDS, Gateway, environment, free_port

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
MASK = b"\x11\x22\x33\x44"


def masked(opcode, payload):
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
    return bytes([0x80 | opcode]) + size + MASK + bytes(byte ^ MASK[i & 3] for i, byte in enumerate(payload))


class Twin:
    """What /ringcast.js does about its connection, many to a thread: it subscribes by `latest`, resumes what it has, and comes back after
    reconnect_ms, or a moment later where the gateway still drains (503)."""

    def __init__(self, port, topics, keeps):
        self.port, self.topics = port, topics
        self.keeps = keeps  # no topic may ever be empty
        self.at, self.data = {}, {}
        self.wrong, self.epochs = [], 0
        self.came_back = self.busy = 0
        self.open = False
        self.wait_ms = 0

    async def run(self):
        while True:
            try:
                await self.live()
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                self.wrong.append(f"cut off: {error!r}")
            await asyncio.sleep(self.wait_ms / 1000)

    async def live(self):
        self.wait_ms = 20
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            key = base64.b64encode(random.randbytes(16)).decode()
            writer.write(f"GET /v1/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 503 " in head.split(b"\r\n")[0]:
                self.busy += 1
                return
            self.came_back += 1
            while True:
                first, size = await reader.readexactly(2)
                if size == 126:
                    size, = struct.unpack(">H", await reader.readexactly(2))
                payload = await reader.readexactly(size)
                opcode = first & 15
                if opcode == TEXT:
                    self.take(json.loads(payload), writer)
                elif opcode == PING:
                    writer.write(masked(PONG, payload))
                elif opcode == CLOSE:
                    code, = struct.unpack(">H", payload[:2])
                    if code != 1001:
                        self.wrong.append(f"closed with {code} {payload[2:]}")
                    writer.write(masked(CLOSE, payload[:2]))
                    await writer.drain()
                    return
        finally:
            self.open = False
            writer.close()

    def take(self, message, writer):
        op = message.get("op")
        if op == "hello":
            resume = {topic: {"epoch": epoch, "seq": seq} for topic, (epoch, seq) in self.at.items()}
            writer.write(masked(TEXT, json.dumps({"op": "subscribe", "id": 1, "topics": self.topics, "resume": resume}).encode()))
        elif op == "subscribed":
            self.open = True
            for topic in message["topics"]:
                name = topic["topic"]
                if topic["seq"] == 0:
                    if self.keeps:
                        self.wrong.append(f"empty: {topic}")
                elif name in self.at and topic["epoch"] != self.at[name][0]:
                    self.epochs += 1
                    if topic.get("resumed") is not False:
                        self.wrong.append(f"a new life that was not told: {topic}")
                    self.at[name] = (topic["epoch"], 0)
                elif name in self.at and topic.get("resumed") is not True:
                    self.wrong.append(f"not resumed: {topic}")
                else:
                    self.at.setdefault(name, (topic["epoch"], 0))
        elif op == "topic":
            self.epochs += 1
            self.at[message["topic"]] = (message["epoch"], 0)
        elif op == "closing":
            self.wait_ms = message["reconnect_ms"]
        elif op is None:
            epoch, seq = self.at[message["topic"]]
            if message["seq"] <= seq:
                self.wrong.append(f"{message} after {seq}")
            self.at[message["topic"]] = (epoch, message["seq"])
            self.data[message["topic"]] = message["data"]
        elif op != "heartbeat":
            self.wrong.append(str(message))


class Crowd(threading.Thread):
    def __init__(self, twins):
        super().__init__(daemon=True)
        self.twins = twins

    def run(self):
        asyncio.run(self.live())

    async def live(self):
        self.loop = asyncio.get_running_loop()
        self.over = asyncio.Event()
        tasks = [asyncio.create_task(twin.run()) for twin in self.twins]
        await self.over.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def end(self):
        self.loop.call_soon_threadsafe(self.over.set)
        self.join(PATIENCE)


class HandoverTest(unittest.TestCase):
    CLIENTS, RESTARTS, TOPICS = 500, 10, 12

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path, self.state = os.path.join(folder.name, "handover"), os.path.join(folder.name, "state")

    def gateway(self, *flags):
        return Gateway("--handover", self.path, "--drain.timeout", "1s", "--deadline.close-ms", "500", *flags)

    def succeed(self, running, port, *flags):
        """The next one, when the one before has ended and it serves."""
        after = self.gateway(*flags).start(port)
        self.addCleanup(after.kill)
        running.wait()
        after.await_logged("msg=listening")
        return after

    def restart_under(self, *flags, restarts, new_lives):
        port = free_port()
        names = [f"t{i}" for i in range(self.TOPICS)]
        flags = ("--shards", "2", *flags)
        running = self.gateway(*flags).start(port)
        self.addCleanup(lambda: running.kill())
        for name in names:
            running.publish(name, 0)
        twins = [Twin(port, [names[i % self.TOPICS], names[(i + 1 + i // self.TOPICS % (self.TOPICS - 1)) % self.TOPICS]], keeps=not new_lives) for i in range(self.CLIENTS)]
        crowd = Crowd(twins)
        crowd.start()
        self.wait_for(lambda: all(len(twin.data) == 2 for twin in twins), "all have begun")
        newest, count = {}, 0
        for _ in range(restarts):
            self.wait_for(lambda: sum(twin.open for twin in twins) >= self.CLIENTS * 9 // 10, "most are back")
            for _ in range(3 * self.TOPICS):
                count += 1
                newest[names[count % self.TOPICS]] = running.publish(names[count % self.TOPICS], count)
            running = self.succeed(running, port, *flags)
            if new_lives:
                for name in names:
                    count += 1
                    running.publish(name, count)
            else:  # acknowledged before the end is there after it
                for name in names:
                    there = json.loads(fetch(port, "GET", f"/v1/topics/{name}").body)
                    self.assertEqual((there["epoch"], there["seq"]), (newest[name]["epoch"], newest[name]["seq"]))
        for name in names:
            newest[name] = running.publish(name, '"the end"')
        self.wait_for(lambda: all(twin.data.get(topic) == "the end" for twin in twins for topic in twin.topics), "all end on the newest")
        crowd.end()
        for twin in twins:
            self.assertEqual(twin.wrong, [])
            self.assertGreaterEqual(twin.came_back, 2)
            for topic in twin.topics:
                self.assertEqual(twin.at[topic], (newest[topic]["epoch"], newest[topic]["seq"]))
        running.stop()
        return twins

    def wait_for(self, condition, what):
        until = time.monotonic() + 4 * PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), until, what)
            time.sleep(0.02)  # between two looks

    def test_ten_restarts_under_500_clients_refuse_nobody_and_begin_no_topic_anew(self):
        twins = self.restart_under("--state", self.state, restarts=self.RESTARTS, new_lives=False)
        self.assertEqual(sum(twin.epochs for twin in twins), 0)
        self.assertGreater(sum(twin.came_back for twin in twins), self.CLIENTS * self.RESTARTS * 9 // 10)

    def test_without_a_state_each_new_life_is_told(self):
        twins = self.restart_under(restarts=2, new_lives=True)
        self.assertGreaterEqual(sum(twin.epochs for twin in twins), self.CLIENTS)

    def test_a_successor_that_cannot_start_changes_nothing(self):
        with self.gateway("--shards", "2") as running:
            running.publish("a", 1)
            with Ws(running.port, "/v1/ws?topics=a") as ws:
                ws.read(), ws.read(), ws.read()
                for flags, words in ((("--shards", "1"), "use as many shards"), (("--shards", "2", "--listen", "127.0.0.1:1"), f"listens on port {running.port}"), (("--shards", "2", "--auth.keys", "/no/such/file"), "no/such/file")):
                    with self.subTest(words):
                        failed = subprocess.run([RINGCAST, "--listen", f"127.0.0.1:{running.port}", "--handover", self.path, *flags], capture_output=True, text=True, timeout=60, env=environment())
                        self.assertEqual(failed.returncode, 1, failed)
                        self.assertIn(words, failed.stderr)
                running.publish("a", 2)
                self.assertEqual(ws.read()["data"], 2)
            self.assertEqual(running.fetch("GET", "/readyz").status, 200)

    def test_more_shards_than_sockets_share_them(self):
        running = self.gateway("--shards", "1").start()
        self.addCleanup(running.kill)
        after = self.succeed(running, running.port, "--shards", "3")
        clients = [Ws(after.port) for _ in range(20)]
        for ws in clients:
            self.addCleanup(ws.close)
            self.assertEqual(ws.read()["op"], "hello")
        after.stop()

    def test_what_a_killed_gateway_left_behind_hinders_nobody(self):
        killed = self.gateway().start()
        killed.kill()
        self.assertTrue(os.path.exists(self.path))
        with self.gateway() as gateway:
            self.assertEqual(gateway.fetch("GET", "/readyz").status, 200)
            self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        self.assertFalse(os.path.exists(self.path))

    def test_strangers_at_the_socket_get_nothing_and_stop_nothing(self):
        with self.gateway() as gateway:
            for say in (b"", b"go", b"g", b"nonsense" * 100):
                with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
                    stranger.settimeout(PATIENCE)
                    stranger.connect(self.path)
                    self.assertEqual(len(stranger.recv(64)), 16)  # its user's own: the offer; descriptors that are not taken are dropped
                    if say == b"go":
                        continue
                    if say:
                        stranger.send(say)
            self.assertEqual(gateway.fetch("GET", "/readyz").status, 200)

    def test_a_signal_ends_one_that_waits_for_its_predecessor(self):
        with self.gateway("--drain.timeout", "1m", "--deadline.close-ms", "50s") as running, Ws(running.port) as held:
            held.read()
            with tempfile.TemporaryFile() as said:
                waiting = subprocess.Popen([RINGCAST, "--listen", f"127.0.0.1:{running.port}", "--handover", self.path, *(["--shards", SHARDS] if SHARDS else [])], stderr=said, env=environment())
                running.await_logged("draining")
                waiting.send_signal(signal.SIGTERM)
                self.assertEqual(waiting.wait(PATIENCE), 1)
                said.seek(0)
                self.assertIn(b"a signal came", said.read())
            running.signal(signal.SIGTERM)
            running.wait()


if __name__ == "__main__":
    unittest.main()
