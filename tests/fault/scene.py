"""What tests of faults do again and again: deliver, log in, see that others are served, fill a disk."""
import base64
import contextlib
import os
import subprocess
import time

import pytest
from imap_client import Imap
from lmtp_client import Lmtp, message
from node import PASSWORD

OTHERS_WAIT = 10  # seconds that others may wait at most for what takes milliseconds, on a busy machine


def login(node, user=None, select='INBOX'):
    return Imap(node.tcp('listen.imap'), user or node.user, PASSWORD, select)


def deliver(node, subject, body=b'Hello.\r\n', user=None):
    with Lmtp(node.lmtp) as c:
        return c.deliver(message(subject, body), user or node.user)[0]


def served(node, subject):
    """Somebody else delivers and reads, soon. The subject is to be a new one."""
    begun = time.monotonic()
    assert deliver(node, subject, user=node.other).startswith('250 2.0.0')
    with login(node, node.other) as m:
        assert subject.encode() in m.fetch('* (BODY.PEEK[HEADER])')[0][1]['BODY[HEADER]']
    assert time.monotonic() - begun < OTHERS_WAIT


def end_of_start(node, **more):
    """A start that must fail: its exit status and its lines."""
    r = subprocess.run(node.arguments(), capture_output=True, text=True, timeout=60, **more)
    return r.returncode, r.stderr.splitlines()


def refused_start(node, *words):
    status, lines = end_of_start(node)
    assert status == 1 and len(lines) == 1 and lines[0].startswith('perdurad: '), lines
    for w in words:
        assert w in lines[0], lines
    return lines[0]


def checks(node, status=0):
    r = node.run('check', timeout=120)
    if 'no such command' in r.stderr:
        pytest.skip('perdura has no check here')
    assert r.returncode == status, (r.stdout, r.stderr)
    return r.stdout + r.stderr


@contextlib.contextmanager
def disk_of(size, place):
    """A file system of that size, in memory."""
    place.mkdir()
    if os.geteuid() or subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', place], capture_output=True).returncode:
        pytest.skip('NOT TESTED: a small file system wants root and mount')
    yield place
    subprocess.run(['umount', '-l', place], check=True)


def noise(n):
    """Lines that do not compress."""
    return b''.join(base64.b85encode(os.urandom(60)) + b'\r\n' for _ in range(n // 77 + 1))


def fill(place):
    with open(place / 'filler', 'ab', buffering=0) as f:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    f.write(b'x' * size)
            except OSError:
                pass
