"""Wrong passwords by the thousand, from many addresses: they get slower and slower, and everybody else logs in as ever."""
import contextlib
import socket
import threading
import time

import pytest
from imap_client import Imap
from node import PASSWORD, PopulatedNode
from scene import served


@pytest.fixture(scope='module')
def node(tmp_path_factory):
    with PopulatedNode(tmp_path_factory.mktemp('node')) as n:
        yield n


class Guesser(threading.Thread):
    """Guesses at one account as fast as it gets answers, from an address of its own."""

    def __init__(self, node, user, address, stop):
        super().__init__(daemon=True)
        self.target, self.user, self.address, self.stop, self.answers = node.tcp('listen.imap'), user, address, stop, 0
        self.start()

    def run(self):
        while not self.stop.is_set():
            with contextlib.suppress(OSError), socket.create_connection(self.target, 30, (self.address, 0)) as s:
                s.settimeout(5)
                s.recv(1000)
                s.sendall(b''.join(f'a{i} LOGIN {self.user} wrong{i}\r\n'.encode() for i in range(20)))
                while not self.stop.is_set():
                    got = s.recv(4000)
                    assert b' OK ' not in got
                    if not got:
                        break
                    self.answers += got.count(b'AUTHENTICATIONFAILED')


def timed_login(node, user, address):
    begun = time.monotonic()
    with socket.create_connection(node.tcp('listen.imap'), 30, (address, 0)) as s:
        f = s.makefile('rb')
        f.readline()
        s.sendall(f'a LOGIN {user} "{PASSWORD}"\r\n'.encode())
        line = f.readline()
        while not line.startswith(b'a '):
            line = f.readline()
    assert line.startswith(b'a OK'), line
    return time.monotonic() - begun


def test_thousands_of_guesses(node):
    stop = threading.Event()
    timed_login(node, node.user, '127.0.0.4')  # where its owner is known to be
    crowd = [Guesser(node, node.user if i % 2 else f'nobody{i}@example.org', f'127.0.1.{i % 50 + 1}', stop) for i in range(200)]
    try:
        time.sleep(2)
        waits = []
        for _ in range(5):
            waits.append(timed_login(node, node.other, '127.0.0.1'))
            waits.append(timed_login(node, node.postmaster, '127.0.0.3'))
            waits.append(timed_login(node, node.user, '127.0.0.4'))  # his account is guessed at
        served(node, f'beside-{time.monotonic_ns()}')
        early = sum(g.answers for g in crowd)
        time.sleep(4)
        late = sum(g.answers for g in crowd)
    finally:
        stop.set()
        for g in crowd:
            g.join(60)
    waits.sort()
    assert waits[len(waits) // 2] < 1 and waits[-1] < 10, waits  # one waits behind the free guesses
    assert late - early < 4 * 200, 'guesses are not slowed'
    assert node.json('status')['resident_bytes'] < 200 << 20


def test_the_right_one_after_wrong_ones(node):
    """Who mistypes a few times gets in with the next try."""
    with Imap(node.tcp('listen.imap')) as m:
        for _ in range(3):
            m.no(f'LOGIN {node.other} wrong')
        begun = time.monotonic()
        m.ok(f'LOGIN {node.other} "{PASSWORD}"')
        assert time.monotonic() - begun < 10
