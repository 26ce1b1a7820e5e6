"""What other files promise of plain connections, over TLS: sessions, HTTP, illegal frames and slow readers, word for word.

Promise: nothing of the contract depends on which port it is asked at. (RINGCAST_TEST_TLS=1 does the same to any other file.)
"""
import os
import unittest

os.environ["RINGCAST_TEST_TLS"] = "1"  # before any of them is read

# pylint: disable=wrong-import-position,wildcard-import,unused-wildcard-import
from test_frames import *
from test_http import *
from test_session import *
from test_slow import *

if __name__ == "__main__":
    unittest.main()
