"""Purge beside everybody else: who reads, delivers, restores or looks at the past gets what he asked for, or a clear word."""
import json
import threading
import time

import pytest
from imap_client import Imap, mail
from lmtp_client import Lmtp, message
from node import PASSWORD, PopulatedNode, wait_until
from scene import checks, login, noise, served


@pytest.fixture
def node(tmp_path):
    with PopulatedNode(tmp_path, purge_grace='0') as n:
        n.perdura('set', 'retention.window=1s', 'lmtp.duplicate.window=0')
        yield n


def reopened(node):
    """The open pack is closed: purge may rewrite it."""
    node.stop()
    node.start()


def delete(node, numbers, folder='INBOX'):
    with login(node, select=folder) as m:
        m.ok(f'STORE {numbers} +FLAGS.SILENT (\\Deleted)')
        m.ok('EXPUNGE')


def purge(node, times=3):
    """Until nothing is left to do: bodies are condemned by one run and removed by the next."""
    total = {}
    for _ in range(times):
        lines = node.perdura('--json', 'purge').splitlines()  # what went of each account, and of all
        for name, n in json.loads(lines[-1]).items():
            if isinstance(n, int):
                total[name] = total.get(name, 0) + n
    return total


class Beside(threading.Thread):
    """Does it again and again until told to stop, and keeps what went wrong."""

    def __init__(self, do):
        super().__init__(daemon=True)
        self.do, self.over, self.rounds, self.wrong = do, threading.Event(), 0, None
        self.start()

    def run(self):
        try:
            while not self.over.is_set():
                self.do(self.rounds)
                self.rounds += 1
        except Exception as e:  # for the test to raise
            self.wrong = e

    def end(self):
        self.over.set()
        self.join(60)
        if self.wrong:
            raise self.wrong
        assert self.rounds > 0


def test_rewriting_beside_readers_and_deliveries(node):
    """Bodies move while they are read, and what is removed is delivered anew at the same time."""
    bodies = [message(f'number-{i}', noise(30_000)) for i in range(60)]
    with Lmtp(node.lmtp) as c:
        for b in bodies:
            assert c.deliver(b, node.user)[0].startswith('250')
    reopened(node)
    delete(node, '16:*')
    time.sleep(1.2)

    def read(_, sessions=[]):
        if not sessions:
            sessions.append(login(node))
        got = sessions[0].fetch('1:15 (BODY.PEEK[])')
        assert [f['BODY[]'] for _, f in got] == bodies[:15]

    def bring_back(n):
        with Lmtp(node.lmtp) as c:
            assert c.deliver(bodies[16 + n % 40], node.other)[0].startswith('250')
        time.sleep(0.01)

    beside = [Beside(read), Beside(lambda n: read(n, [login(node)])), Beside(bring_back)]
    try:
        time.sleep(0.2)
        done = purge(node, 5)
    finally:
        for b in beside:
            b.end()
    assert done['rewritten'] >= 1 and done['bodies'] >= 1, done
    with login(node, node.other) as m:
        for n, f in m.fetch('1:* (BODY.PEEK[])'):
            assert f['BODY[]'] == bodies[16 + (n - 1) % 40]
    checks(node)
    node.kill()
    node.start()
    assert purge(node)['emails'] == 0
    read(0, [login(node)])
    checks(node)


def test_restore_while_the_folder_is_purged(node):
    """All of it comes back, or it is said that it cannot; never a folder of messages that cannot be read."""
    node.perdura('set', 'retention.window=1h')
    node.create(node.user, 'Contracts')
    bodies = sorted(mail(f'contract-{i}', noise(3000).decode()).encode() for i in range(200))
    with login(node) as m:
        for b in bodies:
            m.append('Contracts', b.decode())
    reopened(node)
    for round in range(4):
        delete(node, '1:*', 'Contracts')
        time.sleep(1.1)
        if round % 2:
            with login(node) as m:
                m.ok('DELETE Contracts')
            time.sleep(1.1)
        node.perdura('set', f'retention.window={1 + round % 2}s')
        beside = [Beside(lambda n: node.run('purge')) for _ in range(2)]
        try:
            r = node.run('restore', node.user, '--at', f'{2 + round % 2}s', '--folder', 'Contracts')
        finally:
            node.perdura('set', 'retention.window=1h')
            for b in beside:
                b.end()
        assert r.returncode in (0, 1), r
        assert r.returncode == 0 or len(r.stderr.splitlines()) == 1, r
        with login(node) as m:
            m.ask('CREATE Contracts')
            m.ok('SELECT Contracts')
            have = [f['BODY[]'] for _, f in m.fetch('1:* (BODY.PEEK[])')] if m.search('ALL') else []
            assert set(have) <= set(bodies) and len(have) == len(set(have))
            for b in set(bodies) - set(have):
                m.append('Contracts', b.decode())
        checks(node)


def test_snapshot_is_removed_while_it_is_read(node):
    """A session that looks at it reads on, as it pins what it stands on; who comes later is told."""
    bodies = [message(f'number-{i}', noise(20_000)) for i in range(30)]
    with Lmtp(node.lmtp) as c:
        for b in bodies:
            assert c.deliver(b, node.user)[0].startswith('250')
    node.perdura('snapshot', 'create', 'monday')
    time.sleep(1.1)
    delete(node, '1:*')
    reopened(node)
    time.sleep(1.2)
    purge(node)
    with Imap(node.tcp('listen.imap'), node.user, PASSWORD) as m:
        m.ok('EXAMINE "#at/monday/INBOX"')
        assert [f['BODY[]'] for _, f in m.fetch('1:10 (BODY.PEEK[])')] == bodies[:10]
        node.perdura('snapshot', 'remove', 'monday')
        purge(node)
        assert [f['BODY[]'] for _, f in m.fetch('1:* (BODY.PEEK[])')] == bodies
        m.ok('COPY 5 INBOX')
        with Imap(node.tcp('listen.imap'), node.user, PASSWORD) as late:
            assert late.ask('EXAMINE "#at/monday/INBOX"').status == 'NO'
    with login(node) as m:
        assert [f['BODY[]'] for _, f in m.fetch('1:* (BODY.PEEK[])')] == [bodies[4]]
    time.sleep(1.2)
    done = purge(node)
    assert done['emails'] == 29, done
    served(node, 'after')
    checks(node)


def test_killed_while_purging(node):
    """Whatever was under way: what should be there is, and the next purge goes on."""
    bodies = [message(f'number-{i}', noise(10_000)) for i in range(150)]
    with Lmtp(node.lmtp) as c:
        for b in bodies:
            assert c.deliver(b, node.user)[0].startswith('250')
    kept = bodies[:]
    for round in range(4):
        reopened(node)
        delete(node, '11:30')
        del kept[10:30]
        time.sleep(1.2)
        runs = [Beside(lambda n: node.run('purge')) for _ in range(2)]
        time.sleep(0.02 + round * 0.04)
        node.kill()
        for r in runs:
            r.end()
        node.start()
        with login(node) as m:
            assert [f['BODY[]'] for _, f in m.fetch('1:* (BODY.PEEK[])')] == kept
        checks(node)
    purge(node)
    with login(node) as m:
        assert [f['BODY[]'] for _, f in m.fetch('1:* (BODY.PEEK[])')] == kept
    checks(node)


@pytest.mark.parametrize('plan', ['fail=remove&at=1&times=2', 'fail=remove&at=1&times=1&short=1', 'fail=sync&at=3&times=2',
                                  'fail=write&at=2&times=2&error=enospc', 'fail=read&at=5&times=3'])
def test_the_store_fails_while_purging(node, plan):
    """The run says so and ends; what should be there is, and a later run does what is left."""
    bodies = [message(f'number-{i}', noise(400_000 if i % 10 == 9 else 10_000)) for i in range(40)]
    with Lmtp(node.lmtp) as c:
        for b in bodies:
            assert c.deliver(b, node.user)[0].startswith('250')
    delete(node, '11:30')
    node.stop()
    node.settings['blob.url'] = f'failing:file:blobs?{plan}'
    node.start()
    time.sleep(3)  # past the grace, also on a busy machine
    ends = [node.run('purge') for _ in range(8)]
    assert {r.returncode for r in ends} <= {0, 1, 75} and ends[-1].returncode == 0, ends
    assert all(len(r.stderr.splitlines()) == 1 for r in ends if r.returncode), ends
    with login(node) as m:
        wait_until(lambda: m.ask('FETCH 1:* (BODY.PEEK[])').status == 'OK')  # purge may have left failures for others
        assert [f['BODY[]'] for _, f in m.fetch('1:* (BODY.PEEK[])')] == bodies[:10] + bodies[30:]
    checks(node)
    packs = [p.stat().st_size for p in node.data.glob('blobs/*/*/*.pack')]
    assert len([p for p in packs if p > 250_000]) == 2, packs  # of the four large ones two went
