"""The container image, built by buildah and run by runc as an engine would run it (`make image-test`; not part of `make test`).

Promise: what deploy/Dockerfile makes runs as a plain user without capabilities on a read-only root under deploy/seccomp.json, does the
main job, and says what is wrong where io_uring is forbidden. All that is built stays below build/image.

The base is BASE, or debian:bookworm-slim where a registry answers, else a bookworm made by debootstrap.
"""
import copy
import json
import os
import shutil
import subprocess
import tempfile
import time
import unittest

import systemd_unit
from client import PATIENCE, Ended, TooLate, Ws, fetch
from gateway import API_KEY, KEY, ROOT, free_port

WORK = os.path.join(ROOT, "build", "image")
BUILD_SECONDS = 1200
SECCOMP = os.path.join(ROOT, "deploy", "seccomp.json")
IO_URING = {"io_uring_setup", "io_uring_enter", "io_uring_register"}
SIZE_MAX = 16 << 20


def environment():
    """For buildah: a storage of its own below build/, and no namespaces, which sandboxes forbid."""
    return {**os.environ, "CONTAINERS_STORAGE_CONF": os.path.join(WORK, "storage.conf"), "BUILDAH_ISOLATION": "chroot", "ENGINE": "buildah"}


def run(*command, seconds=BUILD_SECONDS, **variables):
    done = subprocess.run(command, cwd=ROOT, env={**environment(), **variables}, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: status {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout.strip()


def runs(*command):
    return subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, timeout=BUILD_SECONDS, stdin=subprocess.DEVNULL).returncode == 0


def make_base():
    """The name of an image to build upon."""
    if os.environ.get("BASE"):
        return os.environ["BASE"]
    own = "localhost/ringcast-base"
    if runs("buildah", "inspect", "--type", "image", own):
        return own
    if runs("buildah", "pull", "--quiet", "debian:bookworm-slim"):
        return "debian:bookworm-slim"
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        root, tar = os.path.join(folder, "root"), os.path.join(folder, "root.tar")
        run("debootstrap", "--variant=minbase", "bookworm", root)
        run("tar", "--numeric-owner", "-C", root, "-cf", tar, ".")
        container = run("buildah", "from", "scratch")
        run("buildah", "add", "--quiet", container, tar, "/")
        run("buildah", "commit", "--quiet", "--rm", container, own)
    return own


def without_io_uring(profile, errno):
    profile = copy.deepcopy(profile)
    for rule in profile["syscalls"]:
        rule["names"] = [name for name in rule["names"] if name not in IO_URING]
    profile["syscalls"] = [rule for rule in profile["syscalls"] if rule["names"]]
    profile["defaultErrnoRet"] = errno
    return profile


class Container:
    """A container of the image, as engines make it from its configuration; a context manager. In the host's network, so that the test reaches it."""

    def __init__(self, image, rootfs, seccomp, *arguments, variables=()):
        self.name = f"ringcast-test-{os.getpid()}-{free_port()}"
        self.folder = tempfile.TemporaryDirectory(dir=WORK)
        self.port = free_port()
        self.state = os.path.join(self.folder.name, "state")
        uid, gid = (int(number) for number in image["User"].split(":"))
        process = {
            "terminal": False, "user": {"uid": uid, "gid": gid}, "cwd": "/", "noNewPrivileges": True,
            "args": image["Entrypoint"] + (list(arguments) or image["Cmd"]),
            "env": [*(entry for entry in image["Env"] if not entry.startswith("RINGCAST_LISTEN=")), f"RINGCAST_LISTEN=127.0.0.1:{self.port}", f"RINGCAST_AUTH_PUBLISH_KEY={KEY}", *variables],
            "capabilities": {kind: [] for kind in ("bounding", "effective", "permitted", "inheritable", "ambient")},
        }
        config = {
            "ociVersion": "1.0.2", "hostname": "ringcast", "process": process, "root": {"path": rootfs, "readonly": True},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
                       {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]}],
            "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")], "seccomp": seccomp,
                      "maskedPaths": ["/proc/kcore", "/proc/keys"], "readonlyPaths": ["/proc/sys", "/proc/sysrq-trigger"]},
        }
        with open(os.path.join(self.folder.name, "config.json"), "w") as file:
            json.dump(config, file)

    def runc(self, *arguments):
        return subprocess.run(["runc", "--root", self.state, *arguments], capture_output=True, text=True, timeout=6 * PATIENCE, stdin=subprocess.DEVNULL)

    def __enter__(self):
        self.said = open(os.path.join(self.folder.name, "said"), "w+")
        self.process = subprocess.Popen(["runc", "--root", self.state, "run", "--bundle", self.folder.name, self.name], stdin=subprocess.DEVNULL, stdout=self.said, stderr=self.said)
        return self

    def __exit__(self, *_):
        self.runc("delete", "--force", self.name)
        self.process.kill()
        self.process.wait()
        self.said.close()
        self.folder.cleanup()

    def words(self):
        with open(self.said.name) as file:
            return file.read()

    def await_answer(self):
        deadline = time.monotonic() + 2 * PATIENCE
        while True:
            try:
                return fetch(self.port, "GET", "/readyz")
            except (OSError, Ended, TooLate):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"the container does not answer: status {self.process.poll()}\n{self.words()}") from None
                time.sleep(0.02)  # between two tries

    def status(self):
        """Of the program inside: one line of /proc/PID/status by its name."""
        pid = json.loads(self.runc("state", self.name).stdout)["pid"]
        with open(f"/proc/{pid}/status") as file:
            return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


class ImageTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        os.makedirs(WORK, exist_ok=True)
        with open(os.path.join(WORK, "storage.conf"), "w") as file:
            file.write(f'[storage]\ndriver = "vfs"\ngraphroot = "{WORK}/storage"\nrunroot = "{WORK}/run"\n')
        cls.base = make_base()
        run("deploy/image", "ringcast-test", BASE=cls.base)
        cls.image = json.loads(run("buildah", "inspect", "--type", "image", "ringcast-test"))
        cls.config = cls.image["Docker"]["config"]
        cls.container = run("buildah", "from", "ringcast-test")
        cls.rootfs = run("buildah", "mount", cls.container)
        with open(SECCOMP) as file:
            cls.seccomp = json.load(file)

    @classmethod
    def tearDownClass(cls):
        run("buildah", "rm", cls.container)

    def container_of(self, seccomp, *arguments, **how):
        return Container(self.config, self.rootfs, seccomp, *arguments, **how)

    def does_its_job(self, container):
        """Publishing, subscribing, and an end by the signal that the image names."""
        with Ws(container.port, "/v1/ws?topics=in.a.container&mode=every") as ws:
            self.assertEqual([ws.read()["op"], ws.read()["op"]], ["hello", "subscribed"])
            for n in range(1, 101):
                self.assertEqual(fetch(container.port, "POST", "/v1/topics/in.a.container", [API_KEY], str(n).encode()).json()["seq"], n)
            self.assertEqual(ws.read()["op"], "topic")
            self.assertEqual([(message["seq"], message["data"]) for message in (ws.read() for _ in range(100))], [(n, n) for n in range(1, 101)])
        self.assertEqual(container.runc("kill", container.name, self.config["StopSignal"]).returncode, 0)
        self.assertEqual(container.process.wait(4 * PATIENCE), 0)
        self.assertIn("msg=ended", container.words())

    def test_it_is_small_and_holds_no_shell_and_nothing_to_write(self):
        files = [os.path.join(folder, name) for folder, _, names in os.walk(self.rootfs) for name in names]
        programs = [os.path.relpath(path, self.rootfs) for path in files if os.access(path, os.X_OK) and ".so" not in path]
        self.assertEqual(programs, ["ringcast"])
        self.assertLess(sum(os.lstat(path).st_size for path in files), SIZE_MAX)
        self.assertEqual([path for path in files if os.lstat(path).st_uid != 0 or os.lstat(path).st_mode & 0o022], [])
        for licence in ("ringcast", "libc6", "liburing2", "libjemalloc2", "libinih1"):
            self.assertTrue(os.path.getsize(os.path.join(self.rootfs, "usr/share/doc", licence, "copyright")) > 0)

    def test_it_says_what_it_is_and_how_to_ask_for_its_health(self):
        self.assertEqual(self.config["User"], "65532:65532")
        self.assertEqual(self.config["Healthcheck"]["Test"], ["CMD", "/ringcast", "health"])
        self.assertEqual(self.config["Labels"]["org.opencontainers.image.licenses"], "GPL-3.0-or-later")
        for label in ("title", "description", "version", "revision", "created"):
            self.assertTrue(self.config["Labels"][f"org.opencontainers.image.{label}"])
        self.assertEqual((self.config["StopSignal"], list(self.config["ExposedPorts"])), ("SIGTERM", ["8080/tcp"]))

    def test_built_again_it_is_the_same(self):
        run("deploy/image", "ringcast-test-again", BASE=self.base)
        again = json.loads(run("buildah", "inspect", "--type", "image", "ringcast-test-again"))
        self.assertEqual(again["OCIv1"]["rootfs"], self.image["OCIv1"]["rootfs"])

    def test_it_does_its_job_as_a_plain_user_under_the_profile(self):
        with self.container_of(self.seccomp) as container:
            self.assertEqual(container.await_answer().status, 200)
            status = container.status()
            self.assertEqual((status["Uid"].split()[0], int(status["CapEff"], 16), int(status["CapBnd"], 16), status["Seccomp"], status["NoNewPrivs"]), ("65532", 0, 0, "2", "1"))
            healthy = container.runc("exec", container.name, *self.config["Healthcheck"]["Test"][1:])
            self.assertEqual((healthy.returncode, healthy.stdout, healthy.stderr), (0, "", ""))
            self.does_its_job(container)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze (package systemd) is not installed")
    def test_the_system_calls_that_the_systemd_unit_leaves_are_enough(self):
        with self.container_of({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "syscalls": [{"names": sorted(systemd_unit.allowed_system_calls()), "action": "SCMP_ACT_ALLOW"}]}) as container:
            self.assertEqual(container.await_answer().status, 200)
            self.does_its_job(container)

    def test_nothing_can_be_written_there(self):
        with self.container_of(self.seccomp) as container:
            container.await_answer()
            pid = json.loads(container.runc("state", container.name).stdout)["pid"]
            with open(f"/proc/{pid}/mountinfo") as file:
                options = [line.split()[5].split(",") for line in file if line.split()[4] == "/"]
            self.assertEqual([entry[0] for entry in options], ["ro"])

    def test_where_io_uring_is_forbidden_it_says_so_and_names_the_profile(self):
        for errno, engine in ((1, "Docker's default"), (38, "Podman's default")):
            with self.subTest(engine), self.container_of(without_io_uring(self.seccomp, errno)) as container:
                self.assertEqual(container.process.wait(4 * PATIENCE), 1)
                self.assertIn("io_uring is forbidden here, most likely by the container's seccomp profile", container.words())


if __name__ == "__main__":
    unittest.main()
