"""A bad line inside a network namespace of one's own: `unshare -n python3 bad_line.py …` has a device behind which 10.9.0.2 is the same machine
again, but every packet takes its time, may be lost, overtake another, or meet a cut. No module of the kernel is needed for it (netem is not
in all of them): a TUN device, and this process, which hands each packet back with its two addresses exchanged (checksums stay right).

    client 10.9.0.1:p -> 10.9.0.2:port   comes out of the device, and goes in again as   10.9.0.2:p -> 10.9.0.1:port   to the gateway
"""
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time

HERE, THERE = "10.9.0.1", "10.9.0.2"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000


class BadLine(threading.Thread):
    def __init__(self, delay_s=0.0, jitter_s=0.0, loss=0.0, seed=1):
        super().__init__(daemon=True)
        self.delay_s, self.jitter_s, self.loss = delay_s, jitter_s, loss
        self.dice = random.Random(seed)
        self.cut = False
        self.carried = self.lost = 0
        self.device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.device, TUNSETIFF, struct.pack("16sH22x", b"bad0", IFF_TUN | IFF_NO_PI))
        for command in ("link set lo up", f"addr add {HERE}/30 dev bad0", "link set bad0 up"):
            subprocess.run(["ip", *command.split()], check=True)

    def run(self):
        waiting, number = [], 0
        while True:
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                self.hand_back(heapq.heappop(waiting)[2])
            ready, _, _ = select.select([self.device], [], [], max(0, waiting[0][0] - now) if waiting else None)
            for _ in range(64 if ready else 0):
                try:
                    packet = os.read(self.device, 65536)
                except BlockingIOError:
                    break
                if packet[0] >> 4 != 4:
                    continue  # what the kernel says of its own, in IPv6
                if self.cut or self.dice.random() < self.loss:
                    self.lost += 1
                    continue
                number += 1
                heapq.heappush(waiting, (time.monotonic() + self.delay_s + self.dice.random() * self.jitter_s, number, packet))

    def hand_back(self, packet):
        if self.cut:
            self.lost += 1
            return
        try:
            os.write(self.device, packet[:12] + packet[16:20] + packet[12:16] + packet[20:])
            self.carried += 1
        except BlockingIOError:
            self.lost += 1
