"""Clients of others that are quick to start; those that are not stand in interop.py (`make interop` runs both)."""
import unittest

from interop_clients import QUICK, make_client_tests

make_client_tests(globals(), QUICK)

if __name__ == "__main__":
    unittest.main()
