"""Bodies that are damaged or gone: said so, never served wrong, never short; and everything else goes on."""
import os
import random
import re
import time

import pytest
from imap_client import Closed, login, mail
from node import PopulatedNode
from stores import looks_into_packs


@pytest.fixture
def node(tmp_path):
    """Of the test's own: its store gets damaged."""
    with PopulatedNode(tmp_path) as n:
        yield n


def store_files(node):
    return [p for p in (node.data / 'blobs').rglob('*') if p.is_file() and p.name != '.store']


def damage(node, where):
    """Flips bytes in every file of the blob store, behind `where` of its length."""
    for p in store_files(node):
        with open(p, 'r+b') as f:
            size = os.fstat(f.fileno()).st_size
            for at in range(int(size * where), size, max(1, size // 200)):
                f.seek(at)
                b = f.read(1)
                f.seek(at)
                f.write(bytes([b[0] ^ 0x55]))


def noise(n):
    rng = random.Random(n)
    return ''.join('%064x\r\n' % rng.getrandbits(256) for _ in range(n // 66))


@looks_into_packs
def test_damaged_bodies(node):
    with login(node, select='INBOX') as m:
        for i in range(3):
            m.append('INBOX', mail(f's{i}', body=noise(3000)))
        damage(node, 0)
        for item in ('BODY[]', 'BODY.PEEK[TEXT]', 'RFC822', 'BODY.PEEK[1]', 'BODY.PEEK[HEADER]', 'BODY.PEEK[HEADER.FIELDS (X-Uncommon)]'):
            a = m.no(f'FETCH 1:3 ({item})', 'UNAVAILABLE')
            assert a.fetches() == [] or all(set(f) == {'FLAGS'} for _, f in a.fetches())
        assert len(m.fetch('1:3 (FLAGS ENVELOPE BODYSTRUCTURE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (Subject From)])')) == 3
        assert m.search('SUBJECT s1') == [2] and m.search('FROM ann') == [1, 2, 3]
        assert m.search('TEXT zzz') == []
        m.ok('COPY 1:3 Sent')
        m.ok('STORE 1:3 +FLAGS (\\Flagged)')
        new = mail('after', body=noise(3000))
        m.append('INBOX', new)
        got = m.ask('FETCH 1:4 (BODY.PEEK[])')
        assert got.status == 'NO' and got.code() == 'UNAVAILABLE'
        assert [(n, f['BODY[]']) for n, f in got.fetches()] == [(4, new.encode())]
    assert 'imap-failed' in node.log_text()
    with login(node, select='INBOX') as m:
        assert m.fetch('4 BODY.PEEK[]')[0][1]['BODY[]'] == new.encode()


@looks_into_packs
def test_damage_in_the_middle_drops_the_connection(node):
    message = mail('large', body=noise(6 << 20)).encode()
    with login(node, select='INBOX') as m:
        m.append('INBOX', message)
        damage(node, 0.6)
        m.start('FETCH 1 BODY.PEEK[]')
        head = m.line()
        if head.startswith(b'* '):
            got = b''
            assert int(re.search(rb'\{(\d+)\}', head)[1]) == len(message)
            while piece := m.file.read(65536):
                got += piece
            assert len(got) < len(message) and message.startswith(got)
        else:
            assert b'NO [UNAVAILABLE]' in head
    with login(node, select='INBOX') as m:
        m.ok('FETCH 1 ENVELOPE')


@looks_into_packs
def test_bodies_are_gone_and_come_back(node):
    with login(node, select='INBOX') as m:
        message = mail('s', body=noise(3000))
        m.append('INBOX', message)
    node.stop()
    moved = [(p, p.with_name(p.name + '.away')) for p in store_files(node)]
    for p, away in moved:
        os.rename(p, away)
    node.start()
    with login(node, select='INBOX') as m:
        m.no('FETCH 1 BODY[]', 'UNAVAILABLE')
        assert len(m.fetch('1 (ENVELOPE FLAGS)')) == 1
    node.stop()
    for p, away in moved:
        os.rename(away, p)
    node.start()
    with login(node, select='INBOX') as m:
        assert m.fetch('1 BODY.PEEK[]')[0][1]['BODY[]'] == message.encode()


def test_killed_while_it_works(node):
    with login(node, select='INBOX') as m:
        for i in range(20):
            m.append('INBOX', mail(f's{i}'))
        m.ok('STORE 1:10 +FLAGS (\\Deleted)')
        node.kill()
        with pytest.raises((Closed, ConnectionError)):
            m.ok('NOOP')
    node.start()
    with login(node, select='INBOX') as m:
        assert m.search('DELETED') == list(range(1, 11)) and m.search('ALL') == list(range(1, 21))
        m.ok('EXPUNGE')
    node.stop()
    node.start()
    with login(node, select='INBOX') as m:
        assert [int(f['UID']) for _, f in m.fetch('1:* UID')] == list(range(11, 21))


def test_idle_sessions_are_small(node):
    if node.sanitized():
        pytest.skip('a sanitizer maps more than memory')
    with login(node, select='INBOX') as m:
        for i in range(50):
            m.append('INBOX', mail(f's{i}'))
        m.ok('FETCH 1:* BODY[]')
        before, sessions = node.memory(), []
        for _ in range(300):
            s = login(node, select='INBOX')
            s.start('IDLE')
            assert s.response().startswith(b'+')
            sessions.append(s)
        assert (node.memory() - before) * 1024 / 300 < 16, 'KiB for an idle session'
        for s in sessions:
            s.close()


@pytest.mark.skipif('PERDURA_SLOW' not in os.environ, reason='takes two minutes: set PERDURA_SLOW')
def test_timeouts(node):
    from imap_client import connect
    with connect(node) as silent, connect(node) as busy, login(node, select='INBOX') as idle:
        began = time.time()
        idle.start('IDLE')
        idle.response()
        while time.time() - began < 55:
            busy.ok('NOOP')
            time.sleep(1)
        idle.sock.settimeout(150)
        assert silent.ends().startswith(b'* BYE') and 55 < time.time() - began < 100
        assert busy.ends().startswith(b'* BYE')
        assert idle.response() == b'* OK Still here' and 100 < time.time() - began < 200
