"""Who is cut off again and again and resumes has every update once in the end (PROTOCOL.md, Resuming), whatever was under way when
the line was lost. The bench's follower is the judge: each update byte for byte, each seq once."""
import json
import os
import random
import subprocess
import tempfile
import time
import unittest

from client import PATIENCE
from gateway import KEY, RINGCAST_BENCH, GatewayTest, environment

HEADER = "ts_ns,symbol,type,price,size,bid,bid_size,ask,ask_size,venue\n"


def write_ticks(file, rows, seed=7):
    """Trades and quotes of a few symbols; some come much more often than others."""
    chance = random.Random(seed)
    ts = 1_700_000_000_000_000_000
    file.write(HEADER)
    for _ in range(rows):
        ts += chance.randrange(1, 2_000_000)
        symbol = chance.choice("AAAABBC") + "-TEST"
        price = f"{chance.randrange(1, 10 ** 6)}.{chance.randrange(1, 10)}"
        size = chance.randrange(1, 1000)
        fields = [price, size, "", "", "", ""] if chance.random() < 0.3 else ["", "", price, size, price, size]
        file.write(",".join(map(str, [ts, symbol, "T" if fields[0] else "Q", *fields, "HERE"])) + "\n")
    file.flush()


class ResumeTest(GatewayTest):
    flags = ("--shards", "2", "--topics.window", "100000", "--topics.window-bytes", "64M")
    rows = 6000
    how_followed = ()

    def bench(self, command, *arguments, **how):
        return subprocess.Popen([RINGCAST_BENCH, command, *arguments, "--url", f"ws://127.0.0.1:{self.port}", "--key", KEY, "--json"],
                                stdin=subprocess.DEVNULL, env=environment(), text=True, **how)

    def test_who_is_cut_at_any_byte_and_resumes_has_every_seq_once(self):
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as ticks, tempfile.TemporaryFile("w+") as said:
            write_ticks(ticks, self.rows)
            follow = self.bench("follow", ticks.name, "--connections", "24", "--churn", "8", "--churn-every", "0.2",
                                "--patience", str(3 * PATIENCE), *self.how_followed, stdout=subprocess.PIPE, stderr=said)
            try:
                self.await_word(follow, said, "start the replay")
                replay = self.bench("replay", ticks.name, "--speed", "2", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                self.assertEqual(json.loads(replay.communicate(timeout=12 * PATIENCE)[0])["published"], self.rows)
                facts = json.loads(follow.communicate(timeout=12 * PATIENCE)[0])
            finally:
                follow.kill()
                follow.wait()
        self.assertEqual(facts["warnings"], [])
        self.assertEqual((facts["least"], facts["most"]), (self.rows, self.rows))
        self.assertEqual({name: facts[name] for name in ("lost", "doubled", "changed", "gaps", "errors", "closed")},
                         {"lost": 0, "doubled": 0, "changed": 0, "gaps": 0, "errors": 0, "closed": 0})
        self.assertTrue(facts["complete"])
        self.assertGreater(facts["resumed"], 8, "else it was not tried")
        self.assertEqual(follow.returncode, 0)
        self.assertServing()

    def await_word(self, process, said, word):
        deadline = time.monotonic() + 3 * PATIENCE
        while word not in os.pread(said.fileno(), 1 << 16, 0).decode():
            self.assertIsNone(process.poll(), "the follower has ended")
            self.assertLess(time.monotonic(), deadline, "the follower does not begin")
            time.sleep(0.02)


if __name__ == "__main__":
    unittest.main()
