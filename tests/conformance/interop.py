"""Browsers, and what is compiled first; apart from `make test`, since they take their time to start."""
import unittest

from interop_clients import SLOW, make_client_tests

make_client_tests(globals(), SLOW)

if __name__ == "__main__":
    unittest.main()
