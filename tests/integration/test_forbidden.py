"""Where io_uring is forbidden the gateway does not start and says what forbids it."""
import ctypes
import json
import os
import signal
import struct
import subprocess
import unittest

from client import PATIENCE
from gateway import RINGCAST, ROOT, environment, free_port

IO_URING_SETUP = 425  # the same on x86-64 and arm64
IO_URING = {"io_uring_setup", "io_uring_enter", "io_uring_register"}
PROFILE = os.path.join(ROOT, "deploy", "seccomp.json")
DEFAULT = "/usr/share/containers/seccomp.json"

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
RET_ALLOW, RET_ERRNO = 0x7FFF0000, 0x00050000
LOAD_WORD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06


def forbid_io_uring(errno):
    """For the process to be started: io_uring_setup fails by this number, as under an engine's seccomp profile."""
    class Program(ctypes.Structure):
        _fields_ = [("count", ctypes.c_ushort), ("code", ctypes.c_char_p)]

    code = b"".join(struct.pack("=HBBI", *step) for step in [
        (LOAD_WORD, 0, 0, 0), (JUMP_EQUAL, 0, 1, IO_URING_SETUP), (RETURN, 0, 0, RET_ERRNO | errno), (RETURN, 0, 0, RET_ALLOW)])
    program = Program(4, code)
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def forbid():
        if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0):
            raise OSError(ctypes.get_errno(), "no seccomp filter")
    return forbid


def packaged():
    """The version of the default profile that is installed."""
    try:
        asked = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "golang-github-containers-common"], capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        return ""
    return asked.stdout if asked.returncode == 0 else ""


class ForbiddenTest(unittest.TestCase):
    def test_the_start_is_refused_with_a_sentence_that_names_the_seccomp_profile(self):
        for errno, engine in ((1, "EPERM, as Docker's default"), (38, "ENOSYS, as Podman's default")):
            with self.subTest(engine):
                started = subprocess.run([RINGCAST, "--listen", f"127.0.0.1:{free_port()}"], preexec_fn=forbid_io_uring(errno), env=environment(), capture_output=True, text=True, timeout=6 * PATIENCE)
                self.assertEqual((started.returncode, started.stdout), (1, ""), started.stderr)
                self.assertRegex(started.stderr, r"^ringcast: .*io_uring is forbidden here, most likely by the container's seccomp profile: run with one that allows io_uring_setup, io_uring_enter and io_uring_register\n$")

    def test_the_same_without_the_filter_starts(self):
        started = subprocess.Popen([RINGCAST, "--listen", f"127.0.0.1:{free_port()}"], env=environment(), stderr=subprocess.PIPE, text=True)
        try:
            self.assertIn("msg=listening", started.stderr.readline())
        finally:
            started.send_signal(signal.SIGTERM)
            self.assertEqual(started.wait(2 * PATIENCE), 0)
            started.stderr.close()


class ProfileTest(unittest.TestCase):
    """deploy/seccomp.json"""
    @classmethod
    def setUpClass(cls):
        with open(PROFILE, encoding="utf-8") as file:
            cls.profile = json.load(file)

    def allowed(self, plain=False):
        return {name for rule in self.profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" and not (plain and rule.get("args")) for name in rule["names"]}

    def test_it_forbids_what_is_not_named_and_allows_io_uring(self):
        self.assertEqual(self.profile["defaultAction"], "SCMP_ACT_ERRNO")
        self.assertLess(IO_URING, self.allowed(plain=True))

    def test_it_is_in_the_plain_form_that_every_engine_reads_alike(self):
        self.assertEqual(set(self.profile), {"defaultAction", "defaultErrnoRet", "syscalls"})
        for rule in self.profile["syscalls"]:
            self.assertLessEqual(set(rule), {"names", "action", "args", "errnoRet", "comment"}, "no condition that some engine would pass over")
        allowed = self.allowed(plain=True)
        for rule in self.profile["syscalls"]:
            if rule["action"] != "SCMP_ACT_ALLOW":
                self.assertEqual(allowed & set(rule["names"]), set(), "allowed and forbidden at once")

    def test_nothing_that_needs_a_capability_is_allowed(self):
        self.assertEqual(self.allowed() & set("""acct bpf chroot clone3 delete_module finit_module init_module ioperm iopl kcmp kexec_load keyctl mount move_mount open_by_handle_at
            perf_event_open pivot_root process_vm_readv process_vm_writev ptrace reboot setns sethostname settimeofday swapon syslog umount2 unshare userfaultfd vhangup""".split()), set())
        clone = [rule for rule in self.profile["syscalls"] if "clone" in rule["names"]]
        self.assertEqual([(rule["action"], rule["args"][0]["value"], rule["args"][0]["op"]) for rule in clone], [("SCMP_ACT_ALLOW", 0x7E020000, "SCMP_CMP_MASKED_EQ")], "no new namespaces")

    @unittest.skipUnless(os.path.exists(DEFAULT), f"{DEFAULT} (package golang-github-containers-common) is not installed")
    def test_beyond_the_engines_default_it_allows_io_uring_alone(self):
        with open(DEFAULT, encoding="utf-8") as file:
            default = json.load(file)
        in_default = {name for rule in default["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" and not (rule.get("includes") or {}).get("caps") for name in rule["names"]}
        self.assertEqual(self.allowed() - in_default, IO_URING)

    @unittest.skipUnless(os.path.exists(DEFAULT) and packaged().startswith("0.50."), "golang-github-containers-common 0.50 (Debian 12) is not installed")
    def test_it_is_what_make_seccomp_makes_of_that_default(self):
        made = subprocess.run([os.path.join(ROOT, "deploy", "make-seccomp"), DEFAULT], capture_output=True, text=True, timeout=60, check=True)
        self.assertEqual(json.loads(made.stdout), self.profile)


if __name__ == "__main__":
    unittest.main()
