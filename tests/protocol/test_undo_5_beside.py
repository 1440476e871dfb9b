"""Undo beside others at work, and killed in the middle."""
import subprocess
import threading
import time

import pytest
from imap_client import mail
from lmtp_client import Lmtp
from node import PERDURA, Node
from test_undo_1_range import Box


@pytest.fixture
def many(tmp_path):
    """An account that lost 4,000 messages by a client, flags of all of them before; with the state before and the range."""
    with Node(tmp_path) as n:
        box = Box(n, 'ida@example.org')
        with box.client('setup') as m:
            m.ok('CREATE Work')
            for i in range(50):
                m.append('Work', mail(f'w{i}'), flags='\\Seen' if i % 2 else '')
            m.ok('SELECT Work')
            for _ in range(6):
                m.ok('COPY 1:* Work')
            m.ok('COPY 1:800 Work')
        before, at = box.state(), box.last()
        with box.client('phone') as m:
            m.ok('SELECT Work')
            m.ok('STORE 1:* +FLAGS (\\Flagged gone)')
            m.ok('MOVE 1:2000 Trash')
            m.ok('STORE 1:* +FLAGS (\\Deleted)')
            m.ok('EXPUNGE')
        yield box, before, at + 1, box.last()


def test_killed_in_the_middle(many):
    box, before, first, last = many
    words = [str(PERDURA), '--data', str(box.node.data), 'undo', box.address, '--since', f'@{first}', '--until', f'@{last}', '--yes']
    for wait in (0.01, 0.03, 0.06):
        p = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(wait)
        box.node.kill()
        p.wait()
        box.node.start()
        box.node.settled()
    box.undo(first, last)  # what no start has had to finish
    assert box.state() == before
    box.check()


def test_beside_others(many):
    box, before, first, last = many
    stop, failed = threading.Event(), []

    def deliver():
        with Lmtp(box.node.lmtp) as l:
            while not stop.is_set():
                l.deliver(mail('beside').encode(), f'{box.address}')

    def use():
        try:
            with box.client('web') as m:
                m.ok('SELECT Work')
                while not stop.is_set():
                    n = m.ok('NOOP') and m.ok('UID SEARCH ALL')
                    if n.lines('SEARCH')[0]:
                        m.ask('STORE 1 +FLAGS (\\Answered)')
        except Exception as e:  # noqa: BLE001
            failed.append(e)

    threads = [threading.Thread(target=f) for f in (deliver, use)]
    for t in threads:
        t.start()
    time.sleep(0.1)
    did = box.undo(first, last)
    stop.set()
    for t in threads:
        t.join()
    assert not failed, failed
    now = box.state()[0]
    assert did['messages'] == 4000 and did['skipped'] == 0
    plain = lambda name, state: sorted((s, tuple(f for f in flags if f != b'\\Answered')) for s, flags in state[name])
    assert plain(b'Work', now) == plain(b'Work', before[0]) and now[b'Trash'] == []
    box.check()
