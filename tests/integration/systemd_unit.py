"""Reads deploy/systemd/ringcast.service."""
import os
import subprocess

from gateway import ROOT

PATH = os.path.join(ROOT, "deploy", "systemd", "ringcast.service")


def settings():
    """{name: [values in order]}"""
    found = {}
    with open(PATH, encoding="utf-8") as file:
        for line in file:
            name, is_setting, value = line.strip().partition("=")
            if is_setting and not name.startswith("#"):
                found.setdefault(name, []).append(value)
    return found


def system_calls(name):
    """Those of a group, @system-service for example, as this machine's systemd knows it."""
    if not name.startswith("@"):
        return {name}
    told = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, timeout=60, check=True).stdout
    entries = [line.strip() for line in told.splitlines()[1:]]
    return set().union(*(system_calls(entry) for entry in entries if entry and not entry.startswith("#")))


def allowed_system_calls():
    """What the unit's SystemCallFilter leaves, lines with ~ taken away."""
    allowed = set()
    for line in settings()["SystemCallFilter"]:
        names = set().union(*(system_calls(name) for name in line.removeprefix("~").split()))
        allowed = allowed - names if line.startswith("~") else allowed | names
    return allowed
