import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'protocol'))
from node import PopulatedNode  # noqa: E402
from scene import disk_of  # noqa: E402


@pytest.fixture
def node(tmp_path):
    """A node with users, of the test's own."""
    with PopulatedNode(tmp_path) as n:
        yield n


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 12 MiB."""
    with disk_of('12m', tmp_path / 'disk') as place:
        yield place
