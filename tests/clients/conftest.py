import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "protocol"))
from mail import Person  # noqa: E402
from node import Node  # noqa: E402


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with Node(tmp_path_factory.mktemp("node")) as n:
        yield n
        n.perdura("check")


@pytest.fixture
def person(node, request, tmp_path):
    """An account of its own for each test."""
    return Person(node, request.node.name.removeprefix("test_").replace("_", "-"), tmp_path)
