import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'protocol'))
from node import PopulatedNode  # noqa: E402


@pytest.fixture
def node(tmp_path):
    """A node with users, of the test's own."""
    with PopulatedNode(tmp_path) as n:
        yield n


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 12 MiB."""
    place = tmp_path / 'disk'
    place.mkdir()
    if os.geteuid() or subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', place], capture_output=True).returncode:
        pytest.skip('NOT TESTED: a small file system wants root and mount')
    yield place
    subprocess.run(['umount', '-l', place], check=True)
