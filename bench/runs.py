"""The runs of `make bench`: starts the gateway, asks ringcast-bench, and collects what it says, in one dictionary.

Promise: nothing that was said is changed; a run that failed is kept as {"failed": its last words}.
"""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

KEY = "bench-may-do-all-with-this"


class Sizes:
    """How much and how long. The whole set takes under ten minutes; `quick` shows only that everything runs."""

    def __init__(self, quick):
        self.quick = quick
        self.seconds, self.pairs, self.rounds = (0.3, 2, 1) if quick else (2, 7, 2)
        self.subscribers, self.growth = (50, 200) if quick else (1000, 4000)
        self.rates = [20, 200] if quick else [10, 50, 200, 1000, 5000, 20000]
        self.crowds = [10, 50] if quick else [10, 100, 1000, 5000, 10000]
        self.idles = [100, 200] if quick else [1000, 5000, 10000, 15000]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gateway:
    """Our own, with one shard unless told otherwise, pinned where `cpu` is no None; a context manager."""

    def __init__(self, program, cpu, *flags, host="127.0.0.1"):
        self.program, self.cpu, self.port, self.host = program, cpu, free_port(), host
        self.flags = [str(flag) for flag in flags] if "--shards" in flags else ["--shards", "1", *map(str, flags)]

    def __enter__(self):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [self.program, "serve", "--listen", f"{self.host}:{self.port}", "--auth.admin-key", KEY, *self.flags],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, preexec_fn=lambda: self.cpu is None or os.sched_setaffinity(0, {self.cpu}))
        for _ in range(500):
            if self.process.poll() is not None:
                self.log.seek(0)
                sys.exit(f"the gateway ended: {self.log.read().decode(errors='replace')[-500:]}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.01)
        self.__exit__()
        sys.exit("the gateway takes no connections")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Runs:
    def __init__(self, bench, gateway, peers, cpus, sizes):
        self.bench, self.gateway, self.peers, self.sizes = bench, gateway, peers, sizes
        self.server_cpu, self.load_cpu = cpus

    def say(self, *arguments):
        """One command with --json; its object."""
        words = [str(argument) for argument in arguments]
        print("  " + " ".join(word for word in words if word != KEY), file=sys.stderr, flush=True)
        run = subprocess.run([self.bench, *words, "--json"], capture_output=True, text=True)
        try:
            said = json.loads(run.stdout)
        except ValueError:
            said = {"failed": (run.stderr.strip().splitlines() or ["it said nothing"])[-1]}
        said["status"] = run.returncode
        return said

    def beside(self, command, gateway, *arguments):
        return self.say(command, "--url", f"ws://127.0.0.1:{gateway.port}", "--key", KEY, "--pid", gateway.process.pid, "--cpu", self.load_cpu, *arguments)

    def rates(self, gateway):
        """Delay, and frames for each send, against the offered rate."""
        return [self.beside("fanout", gateway, "--subscribers", self.sizes.subscribers, "--rate", rate, "--topic", f"rate{rate}",
                            "--seconds", self.sizes.seconds, "--warmup", 0.5) for rate in self.sizes.rates]

    def crowds(self):
        """Delivered against connections, with the floor at as many frames for each send."""
        found = []
        for count in self.sizes.crowds:
            with Gateway(self.gateway, self.server_cpu) as gateway:
                said = self.beside("fanout", gateway, "--subscribers", count, "--window", 128, "--sweep", "--seconds", self.sizes.seconds, "--warmup", 0.5)
            frames = min(max(said.get("frames_per_send", 1), 1), 4096)
            floor = self.say("floor", "--connections", count, "--frames", f"{frames:.2f}", "--seconds", self.sizes.seconds, "--sender-cpu", self.server_cpu,
                             "--reader-cpu", self.load_cpu)
            found.append({"connections": count, "gateway": said, "floor": floor})
        return found

    def idles(self):
        found = []
        for count in self.sizes.idles:
            with Gateway(self.gateway, self.server_cpu) as gateway:
                found.append(self.say("idle", "--url", f"ws://127.0.0.1:{gateway.port}", "--pid", gateway.process.pid, "--cpu", self.load_cpu,
                                      "--connections", count, "--seconds", self.sizes.seconds))
        return found

    def all(self):
        sizes, found = self.sizes, {}
        crowd = ("--connections", sizes.subscribers)
        pinned = ("--server-cpu", self.server_cpu, "--load-cpu", self.load_cpu)
        found["pair"] = self.say("pair", "--gateway", self.gateway, "--pairs", sizes.pairs, "--seconds", sizes.seconds / 2, *crowd, *pinned)
        found["bare"] = self.say("compare", "--gateway", self.gateway, "--peers", self.peers, "--only", "ringcast,bare", "--scenario", "delay", "--rounds", 3 * sizes.pairs // 2,
                                 "--seconds", sizes.seconds / 2, "--warmup", sizes.seconds / 8, *crowd, *pinned)
        found["compare"] = self.say("compare", "--gateway", self.gateway, "--peers", self.peers, "--rounds", sizes.rounds, "--seconds", sizes.seconds,
                                    "--warmup", sizes.seconds / 2, "--growth", sizes.growth, *crowd, *pinned)
        with Gateway(self.gateway, self.server_cpu) as gateway:
            found["rates"] = self.rates(gateway)
        found["crowds"] = self.crowds()
        found["idles"] = self.idles()
        with Gateway(self.gateway, self.server_cpu) as gateway:
            found["zipf"] = self.beside("fanout", gateway, "--subscribers", sizes.subscribers, "--topics", 100, "--each", 10, "--zipf", 1, "--sweep", "--seconds",
                                        sizes.seconds)
            found["storm"] = self.beside("storm", gateway, "--connections", 2 * sizes.subscribers, "--storming", sizes.subscribers, "--seconds", sizes.seconds)
        with Gateway(self.gateway, self.server_cpu) as gateway:
            found["slow"] = self.beside("slow", gateway, "--readers", sizes.subscribers, "--stalled", 2 * sizes.subscribers, "--stalled-buffer", 4096, "--sweep",
                                        "--seconds", 1.5 * sizes.seconds)
        with Gateway(self.gateway, self.server_cpu) as gateway:
            found["publish"] = [self.beside("publish", gateway, "--seconds", sizes.seconds, "--topic", f"publish{i}", *how) for i, how in
                                enumerate(((), ("--acks",), ("--lines",)))]
        found["micro"] = self.say("micro", "--cpu", self.server_cpu)
        return found


def first_line(*command):
    run = subprocess.run(command, capture_output=True, text=True)
    return run.stdout.strip().splitlines()[0] if run.returncode == 0 and run.stdout.strip() else "unknown"


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def machine(cpus):
    """What the figures were measured on."""
    model = re.search(r"^model name\s*:\s*(.+)$", read("/proc/cpuinfo"), re.M)
    memory = re.search(r"^MemTotal:\s*(\d+)", read("/proc/meminfo"), re.M)
    name = re.search(r'^PRETTY_NAME="?([^"\n]+)', read("/etc/os-release"), re.M)
    virtual = " hypervisor" in read("/proc/cpuinfo")
    return {"processor": model.group(1) if model else first_line("uname", "-m"), "cpus": os.cpu_count(), "virtual": virtual,
            "memory_gib": round(int(memory.group(1)) / 1048576, 1) if memory else None, "kernel": first_line("uname", "-r"),
            "system": name.group(1) if name else "unknown", "compiler": first_line("gcc", "--version"), "load_before": os.getloadavg()[0],
            "server_cpu": cpus[0], "load_cpu": cpus[1]}
