"""The S3 server is cut off, in three ways, while a node serves: what needs no body goes on, what needs one is told to try again within
seconds, and all is as it was when the server is back. Wants a real server (PERDURA_TEST_BLOB)."""
import concurrent.futures
import random
import re
import socket
import threading
import time

import pytest
from lmtp_client import Lmtp, message
from node import PopulatedNode, wait_until
from stores import BLOB

pytestmark = pytest.mark.skipif(not (BLOB or '').startswith('s3:'), reason='PERDURA_TEST_BLOB names no S3 store')

LARGE = 400_000
USER = 'cut@example.org'


class Cut:
    """A way to the server that can be cut."""

    def __init__(self, host, port):
        self.to = host, port
        self.mode = 'open'
        self.open = []
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def cut(self, mode):
        """'refused': nobody listens any more; 'ended': connections end at once; 'silent': they are open and nothing comes."""
        self.mode = mode
        if mode != 'silent':
            for s in self.open:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self.open = []

    def _listen(self):
        while True:
            s, _ = self.listener.accept()
            if self.mode in ('refused', 'ended'):
                if self.mode == 'refused':
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
                s.close()
                continue
            t = socket.create_connection(self.to)
            self.open += [s, t]
            for a, b in ((s, t), (t, s)):
                threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    def _pump(self, a, b):
        try:
            while data := a.recv(65536):
                while self.mode == 'silent':
                    time.sleep(0.05)
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@pytest.fixture(scope='module')
def cut_node(tmp_path_factory):
    host, port = re.search(r'endpoint=http://([^:]*):(\d+)', BLOB).groups()
    way = Cut(host, int(port))
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


@pytest.mark.parametrize('mode', ['refused', 'ended', 'silent'])
def test_away(cut_node, mode):
    node, way = cut_node
    answer, msg = deliver(node, LARGE)
    assert answer.startswith('250')
    last = node.count(USER)
    way.cut(mode)
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
    way.cut('open')
    wait_until(lambda: fetch(node, 'BODY.PEEK[]', last)[0] == 'OK', seconds=20)
    assert fetch(node, 'BODY.PEEK[]', last)[1][0][1] == msg
    assert deliver(node, LARGE)[0].startswith('250')
    assert 'troubles      0' in node.perdura('check')


def test_started_while_away(cut_node):
    node, way = cut_node
    last = node.count(USER)
    way.cut('refused')
    node.stop()
    node.start()
    assert fetch(node, 'ENVELOPE', last)[0] == 'OK'
    assert deliver(node, 2000)[0].startswith('250')
    assert deliver(node, LARGE)[0].startswith('451')
    way.cut('open')
    wait_until(lambda: deliver(node, LARGE)[0].startswith('250'), seconds=20)
