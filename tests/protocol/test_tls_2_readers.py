"""TLS and the loop: peers that do not read, notices to parked sessions, renegotiation, many at once."""
import hashlib
import socket
import ssl
import subprocess
import threading
import time

import pytest
from imap_client import Imap
from lmtp_client import Lmtp, message
from node import PATIENCE, PopulatedNode


@pytest.fixture(scope='module')
def node(tmp_path_factory, ca):
    cert, key = ca.make('mail', 'localhost')
    with PopulatedNode(tmp_path_factory.mktemp('node'), tls_cert=cert, tls_key=key, listen_imaps='127.0.0.1:0') as n:
        yield n


class Tls(Imap):
    """imaps, logged in; buffer: bytes of the socket's."""

    def __init__(self, node, ca, user=None, select=None, buffer=None):
        self.address, self.context, self.buffer = node.tcp('listen.imaps'), ca.client(), buffer
        super().__init__(self.address, user or node.user, select=select)

    def response(self):
        if not isinstance(self.sock, ssl.SSLSocket):
            if self.buffer:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.buffer)
            self.sock = self.context.wrap_socket(self.sock, server_hostname='localhost')
            self.file = self.sock.makefile('rb')
        return super().response()


def test_peers_that_do_not_read(node, ca):
    """Output for them waits in bounds, nobody else does, and all of it comes in the end."""
    body = b'x' * 76 + b'\r\n'
    text = b'From: a@example.org\r\n\r\n' + body * 20000
    with Tls(node, ca) as m:
        m.ok('CREATE Large')
        for _ in range(4):
            m.append('Large', text)
    slow = [Tls(node, ca, select='Large', buffer=65536) for _ in range(20)]
    before = node.memory()
    for m in slow:
        m.send(b'f FETCH 1:4 BODY.PEEK[]\r\ng NOOP\r\n')
    time.sleep(1)
    with Tls(node, ca, node.other) as m:
        m.ok('NOOP')
    assert node.memory() - before < 150
    want = hashlib.sha256(text).digest()
    for m in slow[:5]:
        got = [m.response() for _ in range(4)]
        assert all(b'BODY[]' in g and hashlib.sha256(g[g.index(b'\r\n') + 2:-1]).digest() == want for g in got)
        assert m.wait('f').status == 'OK' and m.wait('g').status == 'OK'
    for m in slow:
        m.close()


def test_idle_is_woken(node, ca):
    with Tls(node, ca, select='INBOX') as m:
        tag = m.start('IDLE')
        assert m.response().startswith(b'+')
        with Lmtp(node.lmtp) as out:
            assert out.deliver(message('wake'), node.user)[0].startswith('250 ')
        assert m.response().endswith(b' EXISTS')
        m.send('DONE\r\n')
        assert m.wait(tag).status == 'OK'


def test_commands_in_pieces(node, ca):
    """A command cut into records, and several in one."""
    with Tls(node, ca) as m:
        for byte in b'p NOOP\r\n':
            m.send(bytes([byte]))
        assert m.wait('p').status == 'OK'
        m.send(b'q NOOP\r\nr NOOP\r\ns NO')
        assert m.wait('q').status == m.wait('r').status == 'OK'
        m.send(b'OP\r\n')
        assert m.wait('s').status == 'OK'


def test_no_renegotiation(node, ca):
    """A client that asks for it over and over would cost a handshake each time."""
    host, port = node.tcp('listen.imaps')
    s = subprocess.Popen(['openssl', 's_client', '-connect', f'{host}:{port}', '-tls1_2', '-CAfile', str(ca.cert)],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    time.sleep(1)
    s.stdin.write(b'R\n')
    s.stdin.flush()
    out, _ = s.communicate(timeout=PATIENCE)
    assert b'RENEGOTIATING' in out and b'no renegotiation' in out, out[-2000:]


def test_many_sessions(node, ca):
    """Handshakes from many threads, each session used and left in its own way."""
    failed = []

    def one(i):
        try:
            for k in range(6):
                m = Tls(node, ca, select='INBOX')
                m.ok('NOOP')
                if (i + k) % 3 == 0:
                    m.ok('LOGOUT')
                elif (i + k) % 3 == 1:
                    m.sock.unwrap()
                m.close()
        except Exception as e:
            failed.append(repr(e))
    threads = [threading.Thread(target=one, args=(i,)) for i in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed, failed[:3]
