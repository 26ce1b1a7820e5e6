"""What once broke it, each by its symptom: clients that are hostile, or merely unusual.

Where memory or processor time is the symptom it is measured on the process itself; bounds are several times what a sound gateway
takes and a small part of what the broken one took.
"""
import os
import select
import signal
import subprocess
import threading
import time
import unittest

from client import PATIENCE, TEXT, Ended, Http, Ws, fetch, frame, http_request
from gateway import API_KEY, RINGCAST, Gateway, GatewayTest, environment, free_port

TICKS = os.sysconf("SC_CLK_TCK")
PAYLOAD = '"' + "x" * 50000 + '"'


def resident_kib(gateway):
    with open(f"/proc/{gateway.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def processor_s(gateway):
    with open(f"/proc/{gateway.process.pid}/stat") as file:
        fields = file.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def read_slowly(tcp, count=None, pause_s=0.01):
    """Bites with a rest between them, as over a slow line; up to the end of the stream or `count` bytes."""
    data = b""
    while count is None or len(data) < count:
        tcp.socket.settimeout(PATIENCE)
        bite = tcp.socket.recv(1 << 16)
        if not bite:
            break
        data += bite
        time.sleep(pause_s)  # the pace of the line
    return data


class BreakageTest(GatewayTest):
    flags = ("--echo", "--deadline.close-ms", "1000", "--topics.window-bytes", "4M")

    def history_of(self, updates=30):
        topic = self.topic("big")
        self.gateway.publish_many((topic, PAYLOAD) for _ in range(updates))
        return topic

    def assertWholeAnswer(self, data, updates):
        head, _, body = data.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 200"), head)
        self.assertEqual(body.count(b'"seq":'), updates, "the answer is whole")
        self.assertTrue(body.endswith(b"]}"), body[-40:])

    def test_the_last_answer_of_a_connection_is_not_cut_by_the_deadline_of_its_close(self):
        topic = self.history_of()
        for version, headers in (("HTTP/1.0", []), ("HTTP/1.1", [("Connection", "close")])):
            with self.subTest(version), Http(self.port, receive_bytes=16384) as http:
                http.request("GET", f"/v1/topics/{topic}/history", headers, version=version)
                self.assertWholeAnswer(read_slowly(http), 30)

    def test_a_client_that_shuts_its_side_after_its_requests_gets_all_their_answers(self):
        topic = self.history_of()
        for limit, count in [(30, 3)] + [(limit, 1) for limit in range(8, 13)]:  # how much waits when the end comes differs
            with self.subTest(limit=limit, count=count), Http(self.port, receive_bytes=8192) as http:
                http.send(http_request(self.port, "GET", f"/v1/topics/{topic}/history?limit={limit}") * count)
                http.half_close()
                data = read_slowly(http, pause_s=0.005 if count == 1 else 0.001)
                self.assertEqual((data.count(b"HTTP/1.1 200"), data.count(b'"seq":'), data[-2:]), (count, limit * count, b"]}"))

    def test_a_peer_that_ended_its_side_and_reads_nothing_costs_no_processor_time(self):
        """Every poll of such a socket is over at once, room or not."""
        topic = self.history_of()
        with Http(self.port, receive_bytes=4096) as http, Ws(self.port, receive_bytes=4096) as ws:
            http.send(http_request(self.port, "GET", f"/v1/topics/{topic}/history") * 20).half_close()
            ws.send_json(*[{"op": "list", "id": "x" * 60}] * 5000)
            ws.send_json(*[{"op": "list", "id": "x" * 60}] * 5000)
            ws.half_close()
            self.assertServing()
            before = processor_s(self.gateway)
            time.sleep(1)  # what is measured is this time
            self.assertLess(processor_s(self.gateway) - before, 0.4)

    def test_a_request_that_brings_a_body_along_gets_the_type_of_what_it_asked_for(self):
        for path in ("/healthz", "/readyz", "/"):
            plain, with_body = self.fetch("GET", path), self.fetch("GET", path, body=b"x")
            self.assertEqual((with_body.header("Content-Type"), with_body.body), (plain.header("Content-Type"), plain.body))

    def test_an_error_that_quotes_a_topic_cut_within_a_character_is_valid_text(self):
        ws = self.ws()
        for name in ("é" * 40 + " ", "x" + "é" * 40 + " ", "x" * 62 + "\U0001f600 ", "a\u0000b", "\\ud800"):
            self.assertRefusal(ws.ask("subscribe", topics=[name]), "bad_topic")
        with self.subTest("by query"):
            ws = self.ws("/v1/ws?topics=" + "%c3%a9" * 40 + "%20")
            self.assertRefusal(ws.read(), "bad_topic")
            ws.expect_close(4400)

    def test_more_senders_at_once_than_there_are_receive_buffers_are_all_served(self):
        count, lines = 300, 100 if PATIENCE <= 10 else 20  # what their home does not take within a second is answered `busy`
        line = b'{"topic":"%s","data":"' % self.topic("many").encode() + b"x" * 100 + b'"}\n'
        request = http_request(self.port, "POST", "/v1/publish", [API_KEY], line * lines)
        https = [self.http() for _ in range(count)]
        for http in https:
            http.send(request[:-1])
        idle = self.ws()
        for http in https:
            http.send(request[-1:])
        for http in https:
            self.assertEqual(http.response().json(), {"published": lines, "errors": []})
        self.assertEqual(idle.ask("ping")["op"], "pong", "one that was idle meanwhile is heard")


class MemoryTest(unittest.TestCase):
    def setUp(self):
        # Freed memory that the sanitizer keeps back is no growth.
        before = os.environ.get("ASAN_OPTIONS")
        os.environ["ASAN_OPTIONS"] = f"{before}:quarantine_size_mb=1" if before else "quarantine_size_mb=1"
        self.addCleanup(lambda: os.environ.pop("ASAN_OPTIONS") if before is None else os.environ.update(ASAN_OPTIONS=before))

    def test_replies_of_which_some_always_wait_do_not_add_up(self):
        with Gateway() as gateway, Ws(gateway.port, receive_bytes=4096) as ws:
            self.assertEqual(ws.read()["op"], "hello")
            for part in range(2):
                ws.ask("subscribe", topics=[f"{part}.{n}.{'x' * 100}" for n in range(4000)])
            before, got, pending = resident_kib(gateway), 0, b""
            ws.socket.setblocking(False)
            while got < 60 << 20:
                pending = pending or frame(TEXT, b'{"op":"list"}') * 20
                readable, writable, _ = select.select([ws.socket], [ws.socket], [], PATIENCE)
                self.assertTrue(readable or writable, "it goes on")
                if writable:
                    pending = pending[ws.socket.send(pending):]
                if readable:
                    got += len(ws.socket.recv(16384))
            self.assertLess(resident_kib(gateway) - before, 24 * 1024, "a reply is 1.3 MB")


class CommandsTest(unittest.TestCase):
    def test_sigterm_behind_a_flood_of_sigusr1_is_not_lost(self):
        """The shard is busy with publishing while the dumps queue up."""
        with Gateway() as gateway:
            request = http_request(gateway.port, "POST", "/v1/publish", [API_KEY], b'{"topic":"q","data":1}\n' * 300000)

            def load():
                try:
                    with Http(gateway.port) as http:
                        for _ in range(3):
                            http.send_as_far_as_taken(request)
                except AssertionError:
                    pass

            loading = threading.Thread(target=load)
            loading.start()
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                gateway.signal(signal.SIGUSR1)
            gateway.signal(signal.SIGTERM)
            loading.join()
            gateway.wait()

    def test_where_open_files_are_fewer_than_limits_connections_those_over_it_get_a_status(self):
        port = free_port()
        process = subprocess.Popen(["sh", "-c", 'ulimit -n 200 && exec "$0" --shards 1 --listen "$1"', RINGCAST, f"127.0.0.1:{port}"], stderr=subprocess.DEVNULL, env=environment())
        held, statuses = [], []
        try:
            for _ in range(3000):
                try:
                    fetch(port, "GET", "/healthz")
                    break
                except (OSError, Ended):
                    time.sleep(0.01)
            for _ in range(200):
                http = Http(port)
                held.append(http)
                http.request("GET", "/healthz")
                statuses.append(http.response().status)
                if statuses[-1] == 503:
                    break
            self.assertEqual(statuses[-1], 503)
            self.assertGreater(len(statuses), 50)
        finally:
            for http in held:
                http.close()
            process.terminate()
            self.assertEqual(process.wait(20), 0)


class LargeMessageTest(GatewayTest):
    flags = ("--limits.message", "4M", "--topics.window", "40000", "--topics.window-bytes", "16M")

    def test_one_message_of_many_updates_does_not_outrun_a_subscriber_who_reads(self):
        topic, count = "a", 100000
        subscriber = self.ws(f"/v1/ws?topics={topic}&mode=every")
        publisher = self.publisher()
        message = frame(TEXT, b'{"op":"publish","topic":"a","data":1}\n' * count)
        sending = threading.Thread(target=publisher.send, args=(message,))
        sending.start()
        data, last = bytearray(), b'"seq":%d,' % count
        subscriber.socket.settimeout(2 * PATIENCE)
        while last not in data[-1000:]:
            data += subscriber.socket.recv(1 << 18)
        sending.join()
        self.assertEqual(data.count(b'"op":"gap"'), 0)
        self.assertEqual(data.count(b'"data":1}'), count)


class UnbornTopicsTest(GatewayTest):
    flags = ("--limits.topics", "50", "--shards", "1")

    def test_names_that_were_followed_and_never_published_to_do_not_fill_limits_topics(self):
        ws = self.ws()
        for round_ in range(5):
            names = [f"unborn.{round_}.{n}" for n in range(40)]
            until = time.monotonic() + 2 * PATIENCE  # those of the last round linger for a second
            while ws.ask("subscribe", topics=names)["op"] != "subscribed":
                self.assertLess(time.monotonic(), until, f"round {round_}")
            ws.ask("unsubscribe", topics=names)
        self.assertEqual(self.publish("born")["seq"], 1)


if __name__ == "__main__":
    unittest.main()
