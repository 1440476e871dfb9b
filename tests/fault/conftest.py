import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'protocol'))
from node import PopulatedNode  # noqa: E402


@pytest.fixture
def node(tmp_path):
    """A node with users, of the test's own."""
    with PopulatedNode(tmp_path) as n:
        yield n
