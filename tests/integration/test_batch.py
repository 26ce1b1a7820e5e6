"""`batch=1`: a message may hold several lines, and lines are what is promised: each update once, in order, whole, however the
message that carries it was cut on its way.
"""
import json
import unittest

from client import Ws
from gateway import GatewayTest

UPDATES = 6000
TOPICS = 7


class BatchTest(GatewayTest):
    flags = ("--topics.window", "20000", "--topics.window-bytes", "67108864", "--shards", "2")

    def lines(self, ws, until):
        """All updates until each topic has come as far as `until`, each message's lines in turn; how many messages they took."""
        seen, messages = {topic: [] for topic in until}, 0
        while any(len(seqs) == 0 or seqs[-1] < until[topic] for topic, seqs in seen.items()):
            _, message = ws.read_message()
            messages += 1
            for line in message.decode().split("\n"):
                update = json.loads(line)  # no line is empty, none is cut
                if isinstance(update, dict) and "op" in update:
                    self.assertNotEqual(update["op"], "gap")
                    continue
                topic, seq, data = (update["topic"], update["seq"], update["data"]) if isinstance(update, dict) else (update[0], update[1], update[3])
                self.assertEqual(data["n"], seq)
                seen[topic].append(seq)
        return seen, messages

    def check(self, form, receive_bytes=None):
        topics = [self.topic(f"batch{i}") for i in range(TOPICS)]
        ws = Ws(self.port, f"/v1/ws?topics={','.join(topics)}&mode=every&batch=1&format={form}", receive_bytes=receive_bytes)
        self.addCleanup(ws.close)
        numbers = dict.fromkeys(topics, 0)
        lines = []
        for i in range(UPDATES):
            topic = topics[i * i % TOPICS]
            numbers[topic] += 1
            lines.append((topic, json.dumps({"n": numbers[topic], "fill": "x" * (i % 700)})))
        self.gateway.publish_many(lines)
        seen, messages = self.lines(ws, {topic: n for topic, n in numbers.items() if n})
        for topic, seqs in seen.items():
            self.assertEqual(seqs, list(range(1, numbers[topic] + 1)))
        return messages

    def test_many_updates_share_a_message(self):
        self.assertLess(self.check("json"), UPDATES // 2)

    def test_so_do_arrays(self):
        self.assertLess(self.check("array"), UPDATES // 2)

    def test_messages_that_are_cut_by_a_full_socket_come_whole(self):
        self.check("json", receive_bytes=4096)

    def test_raw_has_nothing_to_tell_lines_apart_by_and_stays_as_it_is(self):
        topic = self.topic("raw")
        ws = Ws(self.port, f"/v1/ws?topics={topic}&mode=every&batch=1&format=raw")
        self.addCleanup(ws.close)
        self.gateway.publish_many((topic, json.dumps(n)) for n in range(100))
        self.assertEqual([ws.read_message()[1] for _ in range(100)], [str(n).encode() for n in range(100)])

    def test_a_single_update_is_one_message_as_ever(self):
        topic = self.topic("one")
        ws = self.ws(f"/v1/ws?topics={topic}&batch=1")
        self.assertEqual(ws.read()["op"], "subscribed")
        self.publish(topic, 5)
        self.assertEqual(ws.read()["op"], "topic")
        self.assertUpdate(ws.read(), topic, 1)


if __name__ == "__main__":
    unittest.main()
