import pytest
import stores
from certificates import Authority
from node import Node, PopulatedNode


@pytest.fixture(scope='module', autouse=True)
def databases():
    """Those that the nodes of a file made go with it."""
    yield
    stores.drop_all()


@pytest.fixture(scope='module')
def node(tmp_path_factory):
    """A node with users, shared by the tests of a file."""
    with PopulatedNode(tmp_path_factory.mktemp('node')) as n:
        yield n
    n.drop()


@pytest.fixture(scope='module')
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp('ca'))


@pytest.fixture
def fresh(tmp_path):
    """A node of the test's own, not started and without users."""
    n = Node(tmp_path)
    yield n
    n.drop()
