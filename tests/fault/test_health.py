"""What /health says when something is wrong, and when it is right again."""
import urllib.error
import urllib.request

import pytest
from node import Node, PopulatedNode, wait_until
from scene import deliver, fill


def health(node):
    host, port = node.tcp('listen.http')
    try:
        with urllib.request.urlopen(f'http://{host}:{port}/health', timeout=30) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


@pytest.mark.parametrize('ballast', ['0', '1M'])
def test_full_disk(small_disk, ballast):
    with PopulatedNode(small_disk, listen_http='127.0.0.1:0', ballast=ballast) as node:
        assert health(node) == (200, 'ok\n')
        fill(small_disk)
        wait_until(lambda: health(node) == (503, 'the disk is full\n'))
        assert not deliver(node, 'one').startswith('250')
        (small_disk / 'filler').unlink()
        wait_until(lambda: health(node) == (200, 'ok\n'))
        assert deliver(node, 'two').startswith('250')
        assert ' error health state="the disk is full"' in node.log_text()
        assert ' info health state="ok"' in node.log_text()


def test_failing_store(tmp_path):
    """From the 40th commit on nothing is taken any more; reads go on."""
    with Node(tmp_path, listen_http='127.0.0.1:0', meta_url='failing:sqlite:meta.db?commit=40&times=0&mode=unavailable') as node:
        for i in range(40):
            if node.run('account', 'add', f'user{i}@example.org', stdin='secret\n').returncode:
                break
        wait_until(lambda: health(node) == (503, 'the store takes no changes\n'))
        assert 'perdura_healthy 0' in node.perdura('metrics').splitlines()
