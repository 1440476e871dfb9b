"""COMPRESS: what scripts cannot say. Deflated bytes in pieces, ahead of time, or not deflated at all; bombs; peers that do
not read; what a parked session costs."""
import base64
import contextlib
import hashlib
import io
import random
import socket
import time
import zlib

import pytest
from imap_client import Closed, Imap, quote
from node import PASSWORD, PopulatedNode


class Inflated(io.RawIOBase):
    """What comes from the socket, inflated."""

    def __init__(self, sock):
        self.sock, self.inflate, self.got, self.taken = sock, zlib.decompressobj(-15), b'', 0

    def readable(self):
        return True

    def readinto(self, room):
        while not self.got:
            data = self.sock.recv(65536)
            if not data:
                return 0
            self.taken += len(data)
            self.got = self.inflate.decompress(data)
        n = min(len(room), len(self.got))
        room[:n], self.got = self.got[:n], self.got[n:]
        return n


class Deflated(Imap):
    """Logged in, and deflated from then on. ahead: commands whose deflated bytes come with COMPRESS itself."""

    def __init__(self, address, user, select=None, ahead=b'', tls=None, buffer=None):
        self.deflate = None
        super().__init__(address)
        if buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        if tls:
            self.ok('STARTTLS')
            self.sock = tls.wrap_socket(self.sock, server_hostname='localhost')
            self.file = self.sock.makefile('rb')
        self.ok(f'LOGIN {quote(user)} {quote(PASSWORD)}')
        self.deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        tag = next(self.tags)
        self.sock.sendall(f'{tag} COMPRESS DEFLATE\r\n'.encode() + (self.squeeze(ahead) if ahead else b''))
        answer = b''
        while not answer.endswith(b'\n'):
            answer += self.sock.recv(1)
        assert answer.startswith(tag.encode() + b' OK'), answer
        self.wire = Inflated(self.sock)
        self.file = io.BufferedReader(self.wire)
        if select:
            self.ok(f'SELECT {select}')

    def send(self, data):
        data = data if isinstance(data, bytes) else data.encode('latin-1')
        self.sock.sendall(self.squeeze(data) if self.deflate else data)

    def squeeze(self, data):
        return self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH)

    def rest(self):
        """All that comes until the server closes."""
        out = []
        with contextlib.suppress(Closed, ConnectionError):
            while True:
                out.append(self.line())
        return b''.join(out)


@pytest.fixture(scope='module')
def secure(tmp_path_factory, ca):
    cert, key = ca.make('mail', 'localhost')
    with PopulatedNode(tmp_path_factory.mktemp('node'), tls_cert=cert, tls_key=key) as n:
        yield n


def deflated(node, **more):
    return Deflated(node.tcp('listen.imap'), node.user, **more)


def squeezed(pieces):
    """A stream of these, deflated as well as can be."""
    z = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b''.join([z.compress(p) for p in pieces]) + z.flush(zlib.Z_SYNC_FLUSH)


def test_pieces(node):
    """A stream that is cut anywhere, and references far back after long rests."""
    with deflated(node) as m:
        for byte in m.squeeze(b'p NOOP\r\n'):
            m.sock.sendall(bytes([byte]))
            time.sleep(0.002)
        assert m.wait('p').status == 'OK'
        noise = random.Random(1).randbytes(12000).hex()
        for i in range(6):
            assert m.ask(f'NOOP {noise}').status == 'BAD'
            m.ok('NOOP')
        data = m.squeeze(b'q NOOP\r\nr NOOP\r\ns NO') + m.squeeze(b'OP\r\n')
        m.sock.sendall(data)
        assert [m.wait(t).status for t in 'qrs'] == ['OK'] * 3


def test_input_ahead(node):
    """What comes with COMPRESS is deflated already: none of it is lost, nor taken for plain text."""
    with deflated(node, ahead=b'p NOOP\r\nq LIST "" ""\r\n') as m:
        assert m.wait('p').status == 'OK' and m.wait('q').lines('LIST')


def test_one_flush_is_enough(node):
    """Small replies are small, and there at once."""
    with deflated(node) as m:
        m.ok('NOOP')
        before = m.wire.taken
        for _ in range(20):
            m.ok('NOOP')
        assert m.wire.taken - before < 20 * 40


@pytest.mark.parametrize('data', [b'a1 NOOP\r\n', b'\x07', b'\x00\x01\x00\x00\x00', b'\xff' * 100])
def test_bad_data(node, data):
    """It ends the connection, and says why; what came before it is answered."""
    with deflated(node) as m:
        m.sock.sendall(m.squeeze(b'p NOOP\r\n') + data)
        assert m.wait('p').status == 'OK'
        assert m.response() == b'* BYE That is no deflated data'
        with pytest.raises(Closed):
            m.response()


def test_plain_commands_after(node):
    with deflated(node) as m:
        m.sock.sendall(b'a1 LOGOUT\r\n')
        assert m.response().startswith(b'* BYE')


def test_end_of_stream(node):
    """A client that ends its stream sends no more."""
    with deflated(node) as m:
        m.sock.sendall(m.deflate.compress(b'p NOOP\r\n') + m.deflate.flush(zlib.Z_FINISH))
        assert m.rest().startswith(b'p OK')


def test_bomb_without_lines(node):
    """200 MB of nothing in 200 KB: over the limit of a line after 64 KiB of it."""
    before = node.memory()
    for byte in (b'x', b'\0'):
        with deflated(node) as m:
            with contextlib.suppress(ConnectionError):
                m.sock.sendall(squeezed([byte * (1 << 20)] * 200))
            assert b'* BYE ' in m.rest()
    assert node.memory() - before < 16


def test_bomb_of_commands(node):
    """Two million commands in a few KiB hold up nobody, and cost no memory."""
    bomb = squeezed([b'p NOOP\r\n' * 20000] * 100)
    before = node.memory()
    with deflated(node) as m, node_client(node) as other:
        m.sock.sendall(bomb)
        time.sleep(0.3)
        waits = []
        for _ in range(20):
            begun = time.monotonic()
            other.ok('NOOP')
            waits.append(time.monotonic() - begun)
        assert sorted(waits)[10] < 0.2, waits
        assert node.memory() - before < 16


def test_bomb_of_a_message(node):
    """A literal that is refused, deflated a thousand to one, is read away without being kept."""
    with deflated(node) as m:
        before = node.memory()
        m.sock.sendall(squeezed([b'p APPEND INBOX {30000000+}\r\n'] + [b'x' * 998 + b'\r\n'] * 30000 + [b'\r\nq NOOP\r\n']))
        assert m.wait('p').status in ('OK', 'NO') and m.wait('q').status == 'OK'
        assert node.memory() - before < 48


def test_blocks_of_nothing(node):
    """Blocks that make no byte at all: as much work as input, and others have their turn."""
    with deflated(node) as m, node_client(node) as other:
        for _ in range(20):
            m.sock.sendall(b'\0\0\0\xff\xff' * 20000)
            other.ok('NOOP')
        m.send(b'p NOOP\r\n')
        assert m.wait('p').status == 'OK'


def node_client(node):
    return Imap(node.tcp('listen.imap'), node.other)


def test_large_fetch_to_slow_readers(node):
    """Text and noise come whole; who does not read costs what stands unsent, no more."""
    noise = base64.encodebytes(random.Random(2).randbytes(1500000)).replace(b'\n', b'\r\n')
    texts = [b'From: a@example.org\r\n\r\n' + body for body in ((b'x' * 76 + b'\r\n') * 25000, noise)]
    with deflated(node) as m:
        m.ok('CREATE Large')
        for text in texts:
            m.append('Large', text)
    slow = [deflated(node, select='Large', buffer=16384) for _ in range(15)]
    before = node.memory()
    for m in slow:
        m.send(b'f FETCH 1:2 BODY.PEEK[]\r\ng NOOP\r\n')
    time.sleep(1)
    with node_client(node) as other:
        other.ok('NOOP')
    assert node.memory() - before < 60
    for m in slow[:3]:
        got = [hashlib.sha256(r[r.index(b'\r\n') + 2:-1]).digest() for r in (m.response(), m.response())]
        assert got == [hashlib.sha256(t).digest() for t in texts]
        assert m.wait('f').status == m.wait('g').status == 'OK'
        assert m.wire.taken < sum(map(len, texts))
    for m in slow:
        m.close()


def test_bytes_without_pattern(node):
    """What cannot be made smaller is not made much larger."""
    noise = random.Random(3).randbytes(400000).replace(b'\0', b'1').replace(b'\r', b'2').replace(b'\n', b'3')
    text = b'Subject: noise\r\n\r\n' + b'\r\n'.join(noise[i:i + 900] for i in range(0, len(noise), 900))
    with deflated(node, select='INBOX') as m:
        uid = m.append('INBOX', text)
        before = m.wire.taken
        (_, got), = m.ok(f'UID FETCH {uid} BODY.PEEK[]').fetches()
        assert got['BODY[]'] == text and m.wire.taken - before < len(text) * 1.01 + 200


def test_over_tls(secure, ca):
    with deflated(secure, select='INBOX', tls=ca.client()) as m:
        uid = m.append('INBOX', b'Subject: s\r\n\r\n' + b'line\r\n' * 100000)
        (_, got), = m.ok(f'UID FETCH {uid} BODY.PEEK[TEXT]').fetches()
        assert got['BODY[TEXT]'] == b'line\r\n' * 100000
        m.bad('STARTTLS')
        tag = m.start('IDLE')
        assert m.response().startswith(b'+')
        with node_client(secure) as other:
            other.ok('NOOP')
        with Imap(secure.tcp('listen.imap'), secure.user) as other:
            other.append('INBOX', b'Subject: t\r\n\r\nt\r\n')
        assert m.response().endswith(b' EXISTS')
        m.send('DONE\r\n')
        assert m.wait(tag).status == 'OK'


def test_stop_says_goodbye(fresh):
    fresh.start()
    fresh.add('ada@example.org')
    with Deflated(fresh.tcp('listen.imap'), 'ada@example.org') as m:
        m.ok('NOOP')
        fresh.stop()
        assert m.rest().startswith(b'* BYE')


def test_parked_sessions_are_small(node):
    """One that rests keeps what its client sent, up to 32 KiB of it, and no tables."""
    warm = [deflated(node, select='INBOX') for _ in range(20)]
    before = node.memory()
    parked = [deflated(node, select='INBOX') for _ in range(200)]
    assert (node.memory() - before) * 1024 / 200 < 12
    for m in warm + parked:
        m.ok('NOOP')
        m.close()


def test_many_that_stop_amid_a_block(node):
    """Those keep an inflater each, some 50 KiB, and no more."""
    before = node.memory()
    stuck = [deflated(node) for _ in range(50)]
    for m in stuck:
        m.sock.sendall(squeezed([bytes(random.Random(4).randbytes(30000))])[:20000])
    time.sleep(0.5)
    assert (node.memory() - before) * 1024 / 50 < 150
    for m in stuck:
        m.close()
