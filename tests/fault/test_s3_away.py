"""The S3 server is cut off, in three ways, while a node serves: what needs no body goes on, what needs one is told to try again within
seconds, and all is as it was when the server is back. Wants a real server (PERDURA_TEST_BLOB)."""
import concurrent.futures
import random
import re
import time

import pytest
from lmtp_client import Lmtp, message
from node import PopulatedNode, wait_until
from proxy import Proxy
from stores import BLOB

pytestmark = pytest.mark.skipif(not (BLOB or '').startswith('s3:'), reason='PERDURA_TEST_BLOB names no S3 store')

LARGE = 400_000
USER = 'cut@example.org'


@pytest.fixture(scope='module')
def cut_node(tmp_path_factory):
    host, port = re.search(r'endpoint=http://([^:]*):(\d+)', BLOB).groups()
    way = Proxy(host, port)
    node = PopulatedNode(tmp_path_factory.mktemp('cut'))
    node.settings['blob.url'] = re.sub(r'endpoint=[^&]*', f'endpoint=http://127.0.0.1:{way.port}', node.settings['blob.url'])
    node.settings['blob.cache'] = '0'
    with node:
        node.add(USER)
        yield node, way


def deliver(node, size):
    msg = message('m', random.randbytes(size // 2).hex().encode() + b'\r\n')
    with Lmtp(node.lmtp) as c:
        return c.deliver(msg, USER)[0], msg


def fetch(node, what, number):
    imap = node.imap(USER)
    imap.select('INBOX')
    typ, data = imap.fetch(str(number), f'({what})')
    return typ, data


AWAY = {'refused': lambda way: way.cut(refuses=True), 'ended': lambda way: way.cut(), 'silent': lambda way: way.hold()}


@pytest.mark.parametrize('mode', AWAY)
def test_away(cut_node, mode):
    node, way = cut_node
    answer, msg = deliver(node, LARGE)
    assert answer.startswith('250')
    last = node.count(USER)
    AWAY[mode](way)
    began = time.monotonic()
    typ, data = fetch(node, 'BODY.PEEK[]', last)
    assert (typ, data[0][:13]) == ('NO', b'[UNAVAILABLE]'), (typ, data)
    assert time.monotonic() - began < 25
    # Who asks now does not wait, and nobody else waits for those who ask.
    with concurrent.futures.ThreadPoolExecutor(30) as many:
        began = time.monotonic()
        asked = [many.submit(fetch, node, 'BODY.PEEK[]', last) for _ in range(30)]
        assert fetch(node, 'FLAGS ENVELOPE BODYSTRUCTURE', last)[0] == 'OK'
        assert time.monotonic() - began < 5
        assert all(a.result()[0] == 'NO' for a in asked)
    # A small message is a row; a large one is for later.
    answer, small = deliver(node, 2000)
    assert answer.startswith('250')
    assert deliver(node, LARGE)[0].startswith('451')
    assert fetch(node, 'BODY.PEEK[]', last + 1)[1][0][1] == small
    assert node.count(USER) == last + 1
    way.heal(late=True)
    wait_until(lambda: fetch(node, 'BODY.PEEK[]', last)[0] == 'OK', seconds=20)
    assert fetch(node, 'BODY.PEEK[]', last)[1][0][1] == msg
    assert deliver(node, LARGE)[0].startswith('250')
    assert 'troubles      0' in node.perdura('check')


def test_started_while_away(cut_node):
    node, way = cut_node
    last = node.count(USER)
    way.cut(refuses=True)
    node.stop()
    node.start()
    assert fetch(node, 'ENVELOPE', last)[0] == 'OK'
    assert deliver(node, 2000)[0].startswith('250')
    assert deliver(node, LARGE)[0].startswith('451')
    way.heal(late=True)
    wait_until(lambda: deliver(node, LARGE)[0].startswith('250'), seconds=20)
