"""Who is not logged in cannot make others wait, nor make the node keep much for him."""
import contextlib
import socket
import statistics
import threading
import time

import pytest
from imap_client import connect, login
from node import PASSWORD


class Guesses(threading.Thread):
    """Guesses passwords from another address, as fast as it gets answers."""

    def __init__(self, node, stop):
        super().__init__(daemon=True)
        self.address, self.user, self.stop, self.answers = node.tcp('listen.imap'), node.user, stop, []
        self.socket = None

    def run(self):
        while not self.stop.is_set():
            with contextlib.suppress(OSError), socket.create_connection(self.address, 30, ('127.0.0.2', 0)) as self.socket:
                self.socket.recv(1000)
                for _ in range(5):
                    self.socket.sendall(f'a LOGIN {self.user} wrong{len(self.answers)}\r\n'.encode())
                    self.answers.append(self.socket.recv(1000)[:22])

    def end(self):
        """Now, not when the answer that it waits for has come."""
        while self.is_alive():
            with contextlib.suppress(OSError, AttributeError):
                self.socket.shutdown(socket.SHUT_RDWR)
            self.join(0.1)


def test_flood_of_wrong_passwords(node):
    stop, times = threading.Event(), []
    flood = [Guesses(node, stop) for _ in range(150)]
    with login(node, node.other, select='INBOX') as m:
        for g in flood:
            g.start()
        end = time.monotonic() + 4
        while time.monotonic() < end:
            begun = time.monotonic()
            m.ok('NOOP')
            times.append(time.monotonic() - begun)
            time.sleep(0.02)
        begun = time.monotonic()
        with login(node, node.postmaster):
            fresh = time.monotonic() - begun
        stop.set()
    for g in flood:
        g.end()
    answers = {a for g in flood for a in g.answers if a}
    # the last: who guesses slowed down runs out of the minute that a connection has to log in
    assert answers <= {b'a NO [AUTHENTICATIONFA', b'a NO [UNAVAILABLE] A s', b'a NO [LIMIT] Too many ',
                       b'* BYE Too long without'}, answers
    # guessers would hold others up for seconds, each time; those of the test itself share the machine with them
    assert statistics.median(times) < 0.5 and fresh < 20 or node.sanitized(), (times, fresh)


@pytest.mark.parametrize('text', [b'a LOGIN ' + b'x' * 60000, b'(' * 60000, b'a LOGIN {4000+}\r\n' + b'x' * 4000 + b' y' * 4000])
def test_endless_command(node, text):
    """Ten thousand who never end their command must fit into memory."""
    with connect(node) as m:
        m.send(text)
        assert b'BYE' in m.ends()


def test_literals(node):
    with connect(node) as m:
        m.no('LOGIN {5000}', 'LIMIT')
        m.no('LOGIN {5000+}\r\n' + 'x' * 5000 + ' y', 'LIMIT')
        m.ok('LOGIN {%d+}\r\n%s {%d+}\r\n%s' % (len(node.other), node.other, len(PASSWORD), PASSWORD))


def test_endless_answer_to_a_challenge(node):
    with connect(node) as m:
        m.start('AUTHENTICATE PLAIN')
        assert m.response().startswith(b'+')
        m.send(b'QUFB' * 4096)
        assert m.ends() == b'* BYE Line too long'
