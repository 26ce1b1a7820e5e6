"""permessage-deflate (RFC 7692): what is agreed, what comes compressed, and what is wrong with it."""
import json
import os
import random
import shutil
import subprocess
import time
import unittest
import zlib

import test_batch
import test_formats
import test_patterns
import test_resume
import test_session
import test_shards
import test_slow

from client import BINARY, CLOSE, CONTINUATION, PATIENCE, PING, PONG, TEXT, Refused, Ws, close_payload, deadline_in, deflated, frame
from gateway import Gateway, GatewayTest

OFFER = ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")
ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
MESSAGE_MAX = 1 << 20
RSV1 = 4
ADMIN = "admin-key-of-deflate-91d2f7"


class NegotiationTest(GatewayTest):
    flags = ("--echo",)

    def test_offers_are_answered_to_the_letter(self):
        name = "Sec-WebSocket-Extensions"
        for path in ("/v1/ws", "/v1/echo"):
            for why, lines, answer in [
                ("none", [], None),
                ("the plainest", ["permessage-deflate"], ANSWER),
                ("a browser's", ["permessage-deflate; client_max_window_bits"], ANSWER),
                ("the largest window", ["permessage-deflate; server_max_window_bits=15"], ANSWER + "; server_max_window_bits=15"),
                ("the largest window, quoted", ['permessage-deflate; server_max_window_bits="15"'], ANSWER + "; server_max_window_bits=15"),
                ("a smaller window", ["permessage-deflate; server_max_window_bits=10"], None),
                ("a smaller window with a fallback", ["permessage-deflate; server_max_window_bits=10, permessage-deflate"], ANSWER),
                ("the fallback in a line of its own", ["permessage-deflate; server_max_window_bits=10", "permessage-deflate"], ANSWER),
                ("lines that stand apart", ["foo", "permessage-deflate"], ANSWER),
                ("an unknown parameter", ["permessage-deflate; x=1"], None),
                ("a parameter twice", ["permessage-deflate; client_max_window_bits; client_max_window_bits"], None),
                ("a value that is none", ["permessage-deflate; client_max_window_bits=16"], None),
                ("another extension", ["x-webkit-deflate-frame"], None),
                ("an empty line", [""], None),
            ]:
                with self.subTest(path=path, why=why):
                    add = [(name, lines[0])] + [("X-Between", "1"), (name, lines[1])] if len(lines) > 1 else [(name, line) for line in lines]
                    with Ws(self.port, path, add=add) as ws:
                        self.assertEqual(ws.answer.header(name), answer)

    def test_what_is_no_list_of_extensions_is_refused(self):
        for line in ("permessage-deflate;", "permessage-deflate; client_max_window_bits=", 'permessage-deflate; client_max_window_bits="10', "; foo"):
            with self.subTest(line), self.assertRaises(Refused) as refused:
                Ws(self.port, "/v1/ws", add=[("Sec-WebSocket-Extensions", line)])
            self.assertEqual((refused.exception.response.status, refused.exception.response.code), (400, "bad_request"))

    def test_it_can_be_off(self):
        with Gateway("--compression=false") as gateway:
            with Ws(gateway.port, "/v1/ws", add=[OFFER]) as ws:
                self.assertIsNone(ws.answer.header("Sec-WebSocket-Extensions"))
                ws.read()
                ws.send_frame(TEXT, deflated(b"{}"), rsv=RSV1)
                ws.expect_close(1002)


class EchoTest(GatewayTest):
    flags = ("--echo", "--limits.echo-message", str(MESSAGE_MAX))

    def echo(self):
        ws = Ws(self.port, "/v1/echo", add=[OFFER])
        self.addCleanup(ws.close)
        self.assertTrue(ws.deflates)
        return ws

    def test_messages_of_all_sizes_come_back_as_they_went(self):
        ws = self.echo()
        chance = random.Random(7)
        for size in (0, 1, 2, 63, 64, 65, 125, 126, 127, 500, 4096, 16383, 16384, 16385, 40000, 65535, 65536, 200000, MESSAGE_MAX):
            for kind, message in [(TEXT, (b'{"price":%d},' % size * size)[:size]), (BINARY, chance.randbytes(size)), (TEXT, b"\xc3\xa4" * (size // 2)), (BINARY, b"\0" * size)]:
                with self.subTest(size=size, kind=kind):
                    self.assertEqual(ws.send_frame(kind, deflated(message), rsv=RSV1).read_message(), (kind, message))
                    self.assertEqual(ws.send_frame(kind, message).read_message(), (kind, message))  # uncompressed is as good
        self.assertGreater(ws.messages_deflated, 50)
        ws.hang_up()

    def test_what_grows_or_is_small_goes_uncompressed(self):
        ws = self.echo()
        for message in (b"short", random.Random(1).randbytes(1000)):
            ws.send_frame(BINARY, message).read_message()
            self.assertEqual((ws.messages_deflated, ws.message_bytes), (0, len(message)))
        ws.send_frame(BINARY, b"a" * 1000).read_message()
        self.assertLess(ws.message_bytes, 50)

    def test_each_way_to_make_blocks_is_taken(self):
        ws = self.echo()
        message = b'{"topic":"AAPL","data":{"p":189.33}}' * 100
        ways = {"the RFC's Hello": (b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"Hello"), "stored": (b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", b"Hello"),
                "a last block": (b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", b"Hello"), "two blocks": (b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", b"Hello"),
                "empty": (b"\x00", b""), "nothing at all": (b"", b""), "empty, fixed": (b"\x02\x00", b""), "the last bytes not left out": (deflated(message) + b"\0\0\xff\xff", message)}
        for level in range(10):
            for memory in (1, 9):
                for strategy in range(5):
                    for wbits in (9, 15):
                        maker = zlib.compressobj(level, zlib.DEFLATED, -wbits, memory, strategy)
                        ways[f"level {level} memory {memory} strategy {strategy} window {wbits}"] = ((maker.compress(message) + maker.flush(zlib.Z_SYNC_FLUSH))[:-4], message)
        maker = zlib.compressobj(wbits=-15)
        parts = b"".join(maker.compress(message[at:at + 400]) + maker.flush(flush) for at, flush in zip(range(0, 3600, 400), [zlib.Z_FULL_FLUSH, zlib.Z_PARTIAL_FLUSH, zlib.Z_SYNC_FLUSH] * 3))
        ways["all flushes"] = (parts[:-4], message)
        ways["two runs of last blocks"] = (deflated(b"one ", last=True)[:-1] + deflated(b"two", last=True), b"one two")
        for why, (payload, message) in ways.items():
            with self.subTest(why):
                self.assertEqual(ws.send_frame(TEXT, payload, rsv=RSV1).read_message(), (TEXT, message))

    def test_fragments_are_one_message_with_control_frames_between(self):
        ws = self.echo()
        message = bytes(random.Random(3).choices(b"abcdef ", k=30000))
        payload = deflated(message)
        for size in (1, 7, 1000, len(payload)):
            with self.subTest(size=size):
                cuts = list(range(0, len(payload), size))
                for at in cuts[:-1]:
                    ws.send_frame(CONTINUATION if at else TEXT, payload[at:at + size], fin=False, rsv=0 if at else RSV1)
                    if at % 997 == 0:
                        ws.send_frame(PING, b"between")
                ws.send_frame(CONTINUATION if cuts[-1] else TEXT, payload[cuts[-1]:], rsv=0 if cuts[-1] else RSV1)
                self.assertEqual(ws.read_message(), (TEXT, message))
        for parts in ([b"", payload, b""], [b"", b"", payload]):
            for at, part in enumerate(parts):
                ws.send_frame(CONTINUATION if at else TEXT, part, fin=at == 2, rsv=0 if at else RSV1)
            self.assertEqual(ws.read_message(), (TEXT, message))
        self.assertGreater(len(ws.pongs), 0)

    def test_many_connections_in_the_middle_of_a_message_at_once(self):
        payloads = [deflated(b"%d " % n * 5000) for n in range(30)]
        connections = [self.echo() for _ in payloads]
        for ws, payload in zip(connections, payloads):
            ws.send_frame(TEXT, payload[:10], fin=False, rsv=RSV1)
        for ws, payload in zip(reversed(connections), reversed(payloads)):
            ws.send_frame(CONTINUATION, payload[10:])
        for n, ws in enumerate(connections):
            self.assertEqual(ws.read_message(), (TEXT, b"%d " % n * 5000))

    def test_the_mark_stands_only_on_the_first_frame_of_a_message(self):
        for why, frames in [
            ("a continuation", frame(TEXT, b"\x00", fin=False, rsv=RSV1) + frame(CONTINUATION, b"", rsv=RSV1)),
            ("a continuation of an uncompressed one", frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"", rsv=RSV1)),
            ("a ping", frame(PING, b"", rsv=RSV1)), ("a pong", frame(PONG, b"", rsv=RSV1)), ("a close", frame(CLOSE, close_payload(1000), rsv=RSV1)),
            ("RSV2", frame(TEXT, b"\x00", rsv=2)), ("RSV1 and RSV3", frame(TEXT, b"\x00", rsv=5)),
        ]:
            with self.subTest(why):
                self.echo().send(frames).expect_close(1002)

    def test_without_agreement_the_mark_is_a_fault(self):
        ws = self.ws("/v1/echo")
        ws.send_frame(TEXT, deflated(b"Hello"), rsv=RSV1).expect_close(1002)

    def test_broken_blocks_close_1007(self):
        whole = deflated(b"a text that is long enough to be cut " * 20)
        for why, payload in [("a reserved block type", b"\x06\x00"), ("lengths that don't match", b"\x00\x05\x00\x00\x00Hello\x00"), ("cut in a block", whole[:-8]), ("a distance too far back", b"\x4b\x04\x93\x00"),
                             ("random bytes", b"\xff" * 100)]:
            for fin in (True, False):
                with self.subTest(why, fin=fin):
                    ws = self.echo()
                    ws.send_frame(TEXT, payload, rsv=RSV1, fin=fin)
                    if not fin:
                        ws.send_as_far_as_taken(frame(CONTINUATION))
                    ws.expect_close(1007)

    def test_text_that_is_not_utf8_once_inflated_closes_1007_before_it_is_whole(self):
        for why, text in [("a stray byte", b"abc\xff"), ("a surrogate", b"\xed\xa0\x80"), ("cut in a character", b"a\xc3")]:
            with self.subTest(why):
                self.echo().send_frame(TEXT, deflated(text), rsv=RSV1).expect_close(1007)
        maker = zlib.compressobj(wbits=-15)
        ws = self.echo()
        ws.send_frame(TEXT, maker.compress(b"abc\xff" + b"d" * 100) + maker.flush(zlib.Z_SYNC_FLUSH), fin=False, rsv=RSV1)
        ws.expect_close(1007)

    def test_a_bomb_closes_1009_and_costs_no_more_than_the_limit(self):
        def rss():
            with open(f"/proc/{self.gateway.process.pid}/status", encoding="utf-8") as status:
                return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024
        self.echo().send_frame(BINARY, deflated(b"\0" * MESSAGE_MAX), rsv=RSV1).read_message()
        before = rss()
        bomb = deflated(b"\0" * (64 << 20))
        self.assertLess(len(bomb), 70000)
        for _ in range(3):
            self.echo().send_frame(BINARY, bomb, rsv=RSV1).expect_close(1009)
            ws = self.echo()
            ws.send_frame(BINARY, bomb[:5000], rsv=RSV1, fin=False)  # it shows before it is whole
            ws.expect_close(1009)
        if PATIENCE <= 10:  # a sanitizer keeps freed memory back
            self.assertLess(rss() - before, 8 << 20)
        ws = self.echo()
        ws.send_frame(BINARY, deflated(b"\0" * (MESSAGE_MAX + 1)), rsv=RSV1).expect_close(1009)
        self.echo().send(frame(BINARY, b"", rsv=RSV1, length=2 * MESSAGE_MAX)).expect_close(1009)


class HeldTest(GatewayTest):
    flags = ("--echo", "--shards", "1", "--limits.memory", "1M", "--auth.admin-key", ADMIN)

    def test_messages_that_never_end_hold_no_more_than_limits_memory(self):
        def memory():
            page = self.fetch("GET", "/metrics", [("X-API-Key", ADMIN)]).body.decode()
            return int(next(line for line in page.splitlines() if line.startswith('ringcast_memory_bytes{kind="clients"}')).split()[-1])
        connections, shed = [Ws(self.port, "/v1/echo", add=[OFFER]) for _ in range(60)], 0
        for ws in connections:
            self.addCleanup(ws.close)
            ws.send_frame(TEXT, deflated(b"a message of which the end does not come " * 20)[:-4], rsv=RSV1, fin=False)
        for ws in connections:  # each holds an inflater of some 40 KB: a third of them must go
            try:
                ws.send_frame(PING, b"there").expect_pong(b"there")
            except (AssertionError, OSError):
                shed += 1
        self.assertGreater(shed, 10)
        self.assertLess(shed, 60)
        deadline = deadline_in()
        while memory() > 1 << 20:  # the page is looked after a few times a second
            self.assertLess(time.monotonic(), deadline)
        for ws in connections:
            ws.close()
        while memory() > 0:
            self.assertLess(time.monotonic(), deadline)
        ws = Ws(self.port, "/v1/echo", add=[OFFER])
        self.addCleanup(ws.close)
        self.assertEqual(ws.send_frame(TEXT, deflated(b"Hello"), rsv=RSV1).read_message(), (TEXT, b"Hello"))


class SessionTest(GatewayTest):
    def test_requests_may_come_compressed(self):
        topic = self.topic("deflated")
        ws = Ws(self.port, f"/v1/ws?topics={topic}", add=[OFFER])
        self.addCleanup(ws.close)
        request = json.dumps({"op": "ping", "id": 1, "filler": "x" * 1000}).encode()
        ws.send_frame(TEXT, deflated(b"\n".join([request] * 3)), rsv=RSV1)
        came = [ws.read() for _ in range(5)]
        self.assertEqual([message["op"] for message in came], ["hello", "subscribed", "pong", "pong", "pong"])
        ws.send_frame(BINARY, deflated(b"{}"), rsv=RSV1).expect_close(1003)

    def test_a_bomb_of_requests_is_bounded_too(self):
        ws = Ws(self.port, "/v1/ws", add=[OFFER])
        self.addCleanup(ws.close)
        ws.send_frame(TEXT, deflated(b" " * ((1 << 20) + 1)), rsv=RSV1).expect_close(1009)


class ReadersTest(GatewayTest):
    flags = ("--shards", "2", "--compression.cpu", "100", "--auth.admin-key", ADMIN)

    def reader(self, query, offer=True):
        return self.ws(f"/v1/ws?{query}", add=[OFFER] if offer else [])

    def ticks(self, topic, count):
        chance = random.Random(5)
        return [(topic, '{"t":"Q","ts":%d,"b":%.2f,"bs":%.4f,"a":%.2f,"as":%.4f,"venue":"BINANCE-SPOT"}' % (1723161254024619568 + n * 7919, 61000 + chance.random() * 9, chance.random() * 9, 61010 + chance.random() * 9, chance.random() * 9)) for n in range(count)]

    def read_all(self, ws, count, form="json"):
        """So many updates, and the bytes of all their messages as they came."""
        updates, size = [], 0
        while len(updates) < count:
            _, message = ws.read_message()
            lines = message.decode().split("\n") if form != "raw" else [message.decode()]
            if '"op"' not in lines[0]:
                size += ws.message_bytes
                updates += lines
        return updates, size


class OutgoingTest(ReadersTest):
    def test_each_format_says_the_same_in_fewer_bytes(self):
        for form in ("json", "array", "raw"):
            with self.subTest(form):
                topic = self.topic("BTCUSDT")
                query = f"topics={topic}&mode=every&format={form}"
                hello = {"hello": form != "raw"}
                plain, first, second = (self.ws(f"/v1/ws?{query}", add=add, **hello) for add in ([], [OFFER], [OFFER]))
                self.gateway.publish_many(self.ticks(topic, 200))
                (updates, size), *others = (self.read_all(ws, 200, form) for ws in (plain, first, second))
                for other, other_size in others:
                    self.assertEqual(other, updates)
                    self.assertLess(other_size, size * (0.95 if form == "raw" else 0.9))
                self.assertEqual(first.messages_deflated, 200)

    def test_lines_of_one_turn_are_compressed_together(self):
        topics = [self.topic("BTCUSDT") for _ in range(3)]
        for form in ("json", "array"):
            with self.subTest(form):
                query = f"topics={','.join(topics)}&mode=every&batch=1&snapshot=0&format={form}"
                plain, deflated_one = self.reader(query, offer=False), self.reader(query)
                lines = [tick for ticks in zip(*(self.ticks(topic, 100) for topic in topics)) for tick in ticks]
                self.gateway.publish_many(lines)
                (updates, size), (others, smaller) = self.read_all(plain, 300), self.read_all(deflated_one, 300)
                self.assertEqual(sorted(others), sorted(updates))
                self.assertLess(smaller / 300, 45)
                self.assertGreater(size / 300, 100)

    def test_all_who_read_it_share_one_compression(self):
        def bytes_before():
            page = self.fetch("GET", "/metrics", [("X-API-Key", ADMIN)]).body.decode()
            return sum(int(line.split()[-1]) for line in page.splitlines() if line.startswith('ringcast_deflate_bytes_total{when="before"'))
        for rest in ("", "&batch=1"):
            with self.subTest(rest):
                topic = self.topic("shared")
                readers = [self.reader(f"topics={topic}&mode=every{rest}") for _ in range(20)]
                for ws in readers:
                    self.assertEqual(ws.read()["op"], "subscribed")
                before = bytes_before()
                self.gateway.publish_many(self.ticks(topic, 100))
                for ws in readers:
                    updates, _ = self.read_all(ws, 100)
                    self.assertEqual([json.loads(update)["seq"] for update in updates], list(range(1, 101)))
                spent = bytes_before() - before
                self.assertLess(spent, 100 * 250 * (4 if rest else 1))  # of lines each shard makes its own, in ranges as its turns had them
                self.assertGreater(spent, 100 * 150)

    def test_a_reader_cut_in_the_middle_of_messages_gets_them_whole(self):
        topic = self.topic("cut")
        for rest in ("", "&batch=1"):
            with self.subTest(rest):
                ws = self.ws(f"/v1/ws?topics={topic}&mode=every&snapshot=0{rest}", add=[OFFER], receive_bytes=2048)
                chance = random.Random(9)
                first = self.publish(topic, 0)["seq"]
                lines = [(topic, '{"n":%d,"x":"%s"}' % (n, chance.randbytes(chance.randrange(2000)).hex())) for n in range(300)]
                self.gateway.publish_many(lines)
                updates = [json.loads(update) for update in self.read_all(ws, 301)[0]]
                self.assertEqual([update["seq"] for update in updates], list(range(first, first + 301)))
                self.assertEqual([update["data"]["n"] for update in updates[1:]], list(range(300)))

    def test_beyond_its_share_of_time_updates_are_compressed_in_haste(self):
        sizes = {}
        for percent in ("100", "1"):
            with Gateway("--shards", "1", "--compression.cpu", percent, "--auth.admin-key", ADMIN) as gateway:
                for rest in ("", "&batch=1"):
                    with Ws(gateway.port, f"/v1/ws?topics=a&mode=every&snapshot=0{rest}", add=[OFFER]) as ws:
                        ws.read(), ws.read()
                        for _ in range(5):
                            gateway.publish_many(self.ticks("a", 900))
                            updates, sizes[percent, rest] = self.read_all(ws, 900)
                            seqs = [json.loads(update)["seq"] for update in updates]
                            self.assertEqual(seqs, list(range(seqs[0], seqs[0] + 900)))
                    sizes[percent, "plain"] = sum(len(update) for update in updates)
                page = gateway.fetch("GET", "/metrics", [("X-API-Key", ADMIN)]).body.decode()
                hasty = int(next(line for line in page.splitlines() if line.startswith("ringcast_deflate_quick_total")).split()[-1])
                self.assertEqual(hasty > 0, percent == "1")
        self.assertLess(sizes["100", ""], sizes["1", ""])
        self.assertLess(sizes["1", ""], sizes["1", "plain"])
        self.assertLess(sizes["100", "&batch=1"], sizes["100", ""] / 2)


NODE = """
const ws = new (require("/usr/share/nodejs/ws"))(process.argv[1]);
let count = 0;
ws.on("message", (data) => {
    for (const line of data.toString().split("\\n")) {
        const op = JSON.parse(line).op;
        if (op === "subscribed") console.log(ws.extensions.split ? ws.extensions.split(";")[0] : Object.keys(ws.extensions).join());
        if (op) continue;
        console.log(line);
        if (++count === Number(process.argv[2])) process.exit(0);
    }
});
"""
PYTHON = """
import asyncio, json, sys, websockets
async def main(count=0):
    async with websockets.connect(sys.argv[1], compression="deflate") as ws:
        async for message in ws:
            for line in message.split("\\n"):
                op = json.loads(line).get("op")
                if op == "subscribed":
                    print(",".join(extension.name for extension in ws.extensions), flush=True)
                if op:
                    continue
                print(line, flush=True)
                count += 1
                if count == int(sys.argv[2]):
                    return
asyncio.run(main())
"""


class OthersTest(ReadersTest):
    """What was compressed apart and joined to a message is inflated by the clients of others to the same lines."""

    def check(self, command):
        for rest in ("", "&batch=1"):
            with self.subTest(rest):
                topics = [self.topic("joined") for _ in range(3)]
                query = f"topics={','.join(topics)}&mode=every&snapshot=0{rest}"
                plain = self.reader(query, offer=False)
                other = subprocess.Popen([*command, f"ws://127.0.0.1:{self.port}/v1/ws?{query}", "300"], stdout=subprocess.PIPE, text=True)
                self.addCleanup(other.stdout.close)
                self.addCleanup(other.kill)
                self.assertEqual(other.stdout.readline().strip(), "permessage-deflate")
                self.gateway.publish_many([tick for ticks in zip(*(self.ticks(topic, 100) for topic in topics)) for tick in ticks])
                updates, _ = self.read_all(plain, 300)
                said, _ = other.communicate(timeout=PATIENCE)
                self.assertEqual(sorted(said.splitlines()), sorted(updates))

    @unittest.skipUnless(shutil.which("node") and os.path.exists("/usr/share/nodejs/ws"), "nodejs and node-ws are not installed")
    def test_by_node(self):
        self.check(["node", "-e", NODE])

    @unittest.skipUnless(os.path.exists("/usr/lib/python3/dist-packages/websockets"), "python3-websockets is not installed")
    def test_by_python(self):
        self.check(["/usr/bin/python3", "-c", PYTHON])


# ---- what is promised to all, once more for those who are sent it compressed -------------------------------------------------------

def one_shard(flags):
    """Where a test takes what did not come before a reply for what does not come: another shard may fill a format's log after the ack."""
    return flags if "--shards" in flags else (*flags, "--shards", "1")


class Deflated:
    """Each connection of the test offers compression, and messages did come compressed, where they are long enough to shrink."""
    shrinks = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        Ws.offers, Ws.all_deflated = [OFFER], 0

    @classmethod
    def tearDownClass(cls):
        Ws.offers = ()
        super().tearDownClass()
        if cls.shrinks and not Ws.all_deflated:
            raise AssertionError("nothing came compressed")


class DeflatedBatchTest(Deflated, test_batch.BatchTest):
    pass


class DeflatedFormatsTest(Deflated, test_formats.FormatsTest):
    pass


class DeflatedShardedFormatsTest(Deflated, test_formats.ShardedFormatsTest):
    pass


class DeflatedPatternTest(Deflated, test_patterns.PatternTest):
    flags = one_shard(test_patterns.PatternTest.flags)
    shrinks = False


class DeflatedResumeTest(test_resume.ResumeTest):
    how_followed = ("--deflate",)


class DeflatedLinesResumeTest(test_resume.ResumeTest):
    how_followed = ("--deflate", "--batch")


class DeflatedKeyTest(Deflated, test_session.KeyTest):
    flags = one_shard(test_session.KeyTest.flags)
    shrinks = False


class DeflatedOutrunTest(Deflated, test_session.OutrunTest):
    flags = one_shard(test_session.OutrunTest.flags)


class DeflatedSubscribeTest(Deflated, test_session.SubscribeTest):
    flags = one_shard(test_session.SubscribeTest.flags)
    shrinks = False


class DeflatedShardsTest(Deflated, test_shards.ShardsTest):
    shrinks = False


class DeflatedSlowTest(Deflated, test_slow.SlowTest):
    pass


if __name__ == "__main__":
    unittest.main()
