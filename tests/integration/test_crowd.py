"""A crowd that comes at once: slow is allowed, refused is not (PROTOCOL.md; `busy` is for what has no room)."""
import ctypes
import os
import time
import unittest

from client import PATIENCE, TEXT, frame
from gateway import GatewayTest

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000  # a thread is waited for like a child

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class Stopped:
    """One thread of a process stands still within this context, as if its CPU were taken away."""

    def __init__(self, thread):
        self.thread = thread

    def ask(self, request):
        if LIBC.ptrace(request, self.thread, None, None) != 0:
            raise unittest.SkipTest(f"a thread can't be stopped here: {os.strerror(ctypes.get_errno())}")

    def __enter__(self):
        self.ask(PTRACE_SEIZE)
        self.ask(PTRACE_INTERRUPT)
        os.waitpid(self.thread, WALL)
        return self

    def __exit__(self, *_):
        self.ask(PTRACE_DETACH)


class CrowdTest(GatewayTest):
    flags = ("--shards", "2")

    def a_shard(self):
        """The thread of one of them."""
        pid = self.gateway.process.pid
        return max(int(task) for task in os.listdir(f"/proc/{pid}/task") if int(task) != pid)

    def test_a_crowd_that_subscribes_at_once_waits_for_a_slow_shard_and_is_not_answered_busy(self):
        topics = [self.topic("crowd") for _ in range(1000)]
        crowd = [self.ws() for _ in range(400)]
        request = frame(TEXT, ('{"op":"subscribe","id":1,"topics":["%s"]}' % '","'.join(topics)).encode(), mask=b"\0\0\0\0")
        with Stopped(self.a_shard()):
            for ws in crowd:
                ws.send(request)
            time.sleep(1.5)  # longer than what has no room is kept waiting
        for ws in crowd:
            ack = ws.read(3 * PATIENCE)
            self.assertEqual(ack["op"], "subscribed", ack)
            self.assertEqual([t["topic"] for t in ack["topics"]], topics)
        self.assertServing()


if __name__ == "__main__":
    unittest.main()
