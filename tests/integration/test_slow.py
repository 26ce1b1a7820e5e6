"""Slow subscribers: what they miss by the rules of their mode, and that nobody else notices.

The publisher goes in steps, each awaited by a subscriber that reads, so that this one is never outrun; those who do not read
are given so much that no socket could hide it.
"""
import json
import time
import unittest

from client import Closed, Ended, Ws
from gateway import GatewayTest

STEP = 100
UPDATES = 20000
TEXT_OF = '{"n":%d,"fill":"' + "x" * 1000 + '"}'


class SlowTest(GatewayTest):
    flags = ("--topics.window", "300", "--topics.window-bytes", "524288", "--deadline.write-ms", "60000")

    def slow(self, topic, mode):
        """A subscriber with a small window of TCP, which has read its ack and reads no more until it is told to."""
        ws = Ws(self.port, f"/v1/ws?topics={topic}&mode={mode}", receive_bytes=4096)
        self.addCleanup(ws.close)
        self.assertEqual([ws.read()["op"], ws.read()["op"]], ["hello", "subscribed"])
        return ws

    def feed(self, topic, reader, first, last):
        """Publishes first … last in steps, each read whole by the reader."""
        for start in range(first, last + 1, STEP):
            self.gateway.publish_many((topic, TEXT_OF % n) for n in range(start, start + STEP))
            for n in range(start, start + STEP):
                update = reader.read()
                if (update["topic"], update["seq"], update["data"]["n"]) != (topic, n, n):
                    self.fail(f"the reader lost {n}: {update}")

    def test_slow_subscribers_get_what_their_mode_promises_and_the_others_lose_nothing(self):
        topic = self.topic("slow")
        reader = self.ws(f"/v1/ws?topics={topic}&mode=every")
        self.assertEqual(reader.read()["op"], "subscribed")
        latest, every = [self.slow(topic, "latest") for _ in range(2)], [self.slow(topic, "every") for _ in range(2)]
        self.publish(topic, TEXT_OF % 1)
        self.assertEqual(reader.read()["op"], "topic")
        self.assertUpdate(reader.read(), topic, 1)
        self.gateway.publish_many((topic, TEXT_OF % n) for n in range(2, STEP + 1))
        for n in range(2, STEP + 1):
            self.assertUpdate(reader.read(), topic, n)
        self.feed(topic, reader, STEP + 1, UPDATES)

        for ws in latest:
            with self.subTest("latest"):
                self.assertEqual(ws.read()["op"], "topic")
                seqs = []
                while not seqs or seqs[-1] < UPDATES:
                    update = ws.read()
                    self.assertTrue(update.is_update, "latest gets no gap")
                    self.assertEqual(update["data"]["n"], update["seq"])
                    seqs.append(update["seq"])
                self.assertEqual(seqs, sorted(set(seqs)), "strictly increasing")
                self.assertLess(len(seqs), UPDATES // 2, "what was superseded is skipped")
                self.assertEqual(seqs[-1], UPDATES, "it ends on the newest")
                self.assertEqual(ws.quiet(), [])

        for ws in every:
            with self.subTest("every"):
                self.assertEqual(ws.read()["op"], "topic")
                due, gaps = 1, 0
                while due <= UPDATES:
                    message = ws.read()
                    if message.is_update:
                        self.assertEqual((message["seq"], message["data"]["n"]), (due, due), "received, or announced in a gap")
                        due += 1
                    else:
                        self.assertEqual((message["op"], message["topic"], message["from"]), ("gap", topic, due))
                        self.assertGreaterEqual(message["to"], due)
                        due, gaps = message["to"] + 1, gaps + 1
                self.assertGreater(gaps, 0, "20 MB fit neither in the window nor in a socket")
                self.assertEqual(due, UPDATES + 1)
                self.assertEqual(ws.quiet(), [])

        self.publish(topic, TEXT_OF % (UPDATES + 1))
        for ws in [reader, *latest, *every]:
            self.assertUpdate(ws.read(), topic, UPDATES + 1)

    def test_a_slow_latest_subscriber_of_many_topics_ends_on_the_newest_of_each(self):
        topics = [self.topic("many") for _ in range(30)]
        slow = self.slow(",".join(topics), "latest")
        reader = self.ws(f"/v1/ws?topics={','.join(topics)}&mode=every")
        self.assertEqual(reader.read()["op"], "subscribed")
        rounds = 300
        for n in range(1, rounds + 1):
            self.gateway.publish_many((topic, TEXT_OF % n) for topic in topics)
            left = len(topics)
            while left:
                message = reader.read()
                if message.is_update:
                    self.assertEqual(message["seq"], n)
                    left -= 1
        newest, count = {}, 0
        while len(newest) < len(topics) or set(newest.values()) != {rounds}:
            message = slow.read()
            if message.is_update:
                self.assertGreater(message["seq"], newest.get(message["topic"], 0))
                newest[message["topic"]] = message["seq"]
                count += 1
            else:
                self.assertEqual(message["op"], "topic")
        self.assertLess(count, rounds * len(topics))
        self.assertEqual(slow.quiet(), [])

    def test_a_slow_latest_subscriber_of_a_keyed_topic_never_gets_a_delta_without_its_key(self):
        """Falling behind it goes on from the newest key not yet sent: a jump may only land on a key."""
        topic = self.topic("keyed")
        reader = self.ws(f"/v1/ws?topics={topic}&mode=every")
        self.assertEqual(reader.read()["op"], "subscribed")
        slow = self.slow(topic, "latest")
        total = 12000
        for start in range(1, total + 1, STEP):
            self.gateway.publish_many((topic, TEXT_OF % n, n % 20 == 1) for n in range(start, start + STEP))
            left = STEP
            while left:
                left -= reader.read().is_update
        self.assertEqual(slow.read()["op"], "topic")
        last, jumps = 0, 0
        while last < total:
            update = slow.read()
            self.assertTrue(update.is_update, "latest gets no gap")
            self.assertGreater(update["seq"], last)
            if update["seq"] != last + 1:
                self.assertEqual(update["seq"] % 20, 1, "a jump lands on a key")
                jumps += 1
            last = update["seq"]
        self.assertGreater(jumps, 0)
        self.assertEqual(slow.quiet(), [])


class WriteDeadlineTest(GatewayTest):
    flags = ("--topics.window", "300", "--topics.window-bytes", "524288", "--deadline.write-ms", "500")

    def test_a_peer_that_takes_nothing_for_the_write_deadline_is_let_go(self):
        topic = self.topic("stuck")
        stuck = Ws(self.port, f"/v1/ws?topics={topic}&mode=every", receive_bytes=4096)
        self.addCleanup(stuck.close)
        reader = self.ws(f"/v1/ws?topics={topic}&mode=every")
        self.assertEqual(reader.read()["op"], "subscribed")
        until, count = time.monotonic() + 3, 0
        while time.monotonic() < until or count < 10000:  # the stuck one has to be stuck for a time, and behind more than a socket holds
            self.gateway.publish_many((topic, TEXT_OF % n) for n in range(count + 1, count + STEP + 1))
            count += STEP
            while not ((message := reader.read()).is_update and message["seq"] == count):
                self.assertNotEqual(message.get("op"), "gap")
        last = 0
        try:
            while last < count:
                last = json.loads(stuck.read_message()[1]).get("seq", last)
        except (Closed, Ended):
            pass
        self.assertLess(last, count, "it was let go before it got to the newest")
        self.assertServing()


if __name__ == "__main__":
    unittest.main()
