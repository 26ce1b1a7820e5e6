"""deploy/tls-library where the fast wolfSSL is not to be had: the build goes on with the system's, and says so.

Promise: whatever step fails, make is told what to link. The package tools are stand-ins here.
"""
import os
import subprocess
import tempfile
import unittest

LIBRARY = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "deploy", "tls-library")
ALL_INSTALLED = 'for name; do case $name in -*) ;; *) echo "ii  $name" ;; esac; done'
APT = {
    "the tools for building it could not be installed": "exit 1",
    "its source package could not be fetched": 'case "$*" in *source*) exit 1 ;; esac',
    "is none of those that deploy/tls-library knows": 'case "$*" in *"source --download-only"*) echo altered >wolfssl_5.5.4.orig.tar.gz ;; esac',
}


class FallBackTest(unittest.TestCase):
    def test_a_step_that_fails_leaves_the_system_s_library_to_link(self):
        """What failed after the first steps left nothing to link, and each program hundreds of undefined names."""
        for why, apt in APT.items():
            with self.subTest(why), tempfile.TemporaryDirectory() as folder:
                programs = os.path.join(folder, "programs")
                os.mkdir(programs)
                installed = "exit 0" if apt == "exit 1" else ALL_INSTALLED
                for name, script in {"apt-get": apt, "apt-cache": "exit 0", "sudo": "exit 1", "dpkg-query": installed}.items():
                    with open(os.path.join(programs, name), "w", encoding="utf-8") as file:
                        file.write(f"#!/bin/sh\n{script}\n")
                    os.chmod(os.path.join(programs, name), 0o755)
                made = subprocess.run([LIBRARY, os.path.join(folder, "deps")], capture_output=True, text=True, timeout=120, env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"})
                self.assertEqual(made.returncode, 0, made.stderr)
                self.assertIn(why, made.stderr)
                with open(os.path.join(folder, "deps", "tls.mk"), encoding="utf-8") as file:
                    name, libraries = file.read().splitlines()[:2]
                self.assertEqual(libraries, "TLS_LIBS := -lwolfssl")
                self.assertNotRegex(name, "['\"]", "it stands between quotes of the shell's and of C's")
                self.assertFalse(os.path.exists(os.path.join(folder, "deps", "work")))


if __name__ == "__main__":
    unittest.main()
