"""Peers that do not read what they asked for, for a while or at all."""
import contextlib
import re
import socket
import time

import pytest
from imap_client import Imap, login, mail
from node import PASSWORD, PATIENCE, STOP_TIMEOUT


def slow(node, *commands):
    """A session whose socket takes little."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(60)
    s.connect(node.tcp('listen.imap'))
    s.sendall(f'a LOGIN {node.user} "{PASSWORD}"\r\nb SELECT INBOX\r\n'.encode() + b''.join(c + b'\r\n' for c in commands))
    return s


def noise(n):
    return ''.join('%076d\r\n' % (i * i) for i in range(n // 78))


@pytest.fixture(scope='module')
def large(node):
    """The bytes of message 1 of INBOX."""
    message = mail('large', body=noise(12 << 20))
    with login(node, select='INBOX') as m:
        m.append('INBOX', message)
    return message.encode()


def test_reads_on_after_a_pause(node, large):
    """Longer than the node keeps the message at hand: what follows is still the message."""
    with slow(node, b'c FETCH 1 BODY.PEEK[]', b'd LOGOUT') as s, s.makefile('rb') as f:
        time.sleep(6)
        got = f.read()
    at = re.search(rb'BODY\[\] \{(\d+)\}\r\n', got)
    assert int(at[1]) == len(large)
    assert got[at.end():at.end() + len(large)] == large
    assert b'\r\nc OK FETCH completed\r\n' in got and b'\r\nd OK ' in got


def test_sizes_of_a_large_part(node):
    """Each item decodes the whole part: others have their turn, and what is known goes out, in between."""
    part = mail('parts', body=noise(12 << 20), **{'Content-Transfer-Encoding': 'base64'})
    with login(node, select='INBOX') as m:
        m.append('INBOX', part)
    sizes = b' '.join([b'BINARY.SIZE[1]'] * 60)
    with slow(node) as s, s.makefile('rb') as f:
        while not f.readline().startswith(b'b '):
            pass
        begun = time.monotonic()
        s.sendall(b'c FETCH * (' + sizes + b')\r\n')
        f.read(1)
        first = time.monotonic() - begun
        assert f.readline().count(b'BINARY.SIZE[1] ') == 60
        assert first < (time.monotonic() - begun) / 2


def test_readers_that_stop(node, large):
    """They hold no worker, and a stop of the node does not wait for them for long."""
    with Imap(node.tcp('listen.imap'), node.user, select='INBOX') as m:
        before = m.search('ALL')
    readers = [slow(node, b'c FETCH 1 BODY.PEEK[]') for _ in range(100)]
    readers += [slow(node, b'c SEARCH ALL\r\n' * 2000) for _ in range(20)]
    with login(node, node.other, select='INBOX') as m:
        for _ in range(20):
            m.ok('NOOP')
    for s in readers[::2]:
        s.close()
    begun = time.monotonic()
    assert node.stop() == 0
    assert time.monotonic() - begun < STOP_TIMEOUT + PATIENCE / 2
    node.start()
    for s in readers:
        s.close()
    with Imap(node.tcp('listen.imap'), node.user, select='INBOX') as m:
        assert m.search('ALL') == before


def all_that_comes(s):
    """Up to the end, or to where a node on a busy machine broke off what it had not read yet."""
    got = b''
    with contextlib.suppress(ConnectionResetError):
        while more := s.recv(1 << 16):
            got += more
    return got


def test_goodbye_is_not_taken_for_mail(node, large):
    """A literal that was begun is completed or broken off, never filled up with BYE."""
    head = re.compile(rb'BODY\[\]<0> \{(\d+)\}\r\n')
    readers = [slow(node, b'c FETCH 1 BODY.PEEK[]<0.%d>' % (n * 32768 + 10)) for n in range(1, 150)]
    time.sleep(1)
    node.process.terminate()
    whole = 0
    for s in readers:
        with s:
            got = all_that_comes(s)
            if at := head.search(got):
                n = int(at[1])
                assert large[:n].startswith(got[at.end():at.end() + n])
                whole += len(got) - at.end() >= n
    assert whole
    node.stop()
    node.start()
