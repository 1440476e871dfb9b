"""Two nodes on one database, with their message bodies in one folder that each sees by a mount of its own. Wants a MariaDB server
(PERDURA_TEST_META), and for CephFS root, ceph-fuse and the recipe in ../shared/stack."""
import concurrent.futures
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import threading
import time

import pytest
from lmtp_client import Lmtp, message
from node import Node, PopulatedNode, wait_until
from servers import Left, Recipe
from stores import META

pytestmark = pytest.mark.skipif(not META, reason='NOT TESTED: PERDURA_TEST_META names no database that nodes could share')

USER = PopulatedNode.user
HOURS = 3600


class Folder:
    """One folder of this machine: what every shared one must do at least."""

    def __init__(self, tmp_path_factory):
        self.root = tmp_path_factory.mktemp('shared')
        (self.root / 'bodies').mkdir()
        self.mounts = [self.root / 'bodies'] * 2

    def away(self):
        (self.root / 'bodies').rename(self.root / 'away')

    def back(self):
        (self.root / 'away').rename(self.root / 'bodies')

    def end(self):
        pass


class Cephfs:
    """Two clients of a CephFS of the test's own."""

    def __init__(self, tmp_path_factory):
        if os.geteuid():
            raise Left('CephFS is mounted by root')
        self.root = pathlib.Path(tempfile.mkdtemp(prefix='perdura-cephfs.'))
        self.root.chmod(0o755)  # the servers run as somebody else
        self.ceph = Recipe('ceph', self.root, FS='1', RGW='0', OSD_GB='3')
        self.mounts = [self.root / 'a', self.root / 'b']
        try:
            self.ceph.run('install')
            self.ceph.run('start')
            for m in self.mounts:
                self.ceph.run('mount', m)
        except Left:
            self.end()
            raise

    def away(self):
        self.ceph.run('kill', 'osd0')
        self.ceph.run('kill', 'mds')

    def back(self):
        self.ceph.run('up', 'osd0')
        self.ceph.run('up', 'mds')

    def end(self):
        for m in self.mounts:
            subprocess.run(['umount', '-l', m], capture_output=True)
        self.ceph.run('stop', check=False)
        shutil.rmtree(self.root, ignore_errors=True)


class Pair:
    """The nodes, and every message whose delivery was answered with 250."""

    def __init__(self, folder, shared):
        self.shared, self.lock, self.taken = shared, threading.Lock(), {}
        self.a = PopulatedNode(folder / 'a', node_name='n1', blob_url=self.url(0), purge_grace='0', purge_every='1d', blob_cache='0')
        self.b = Node(folder / 'b', node_name='n2', blob_url=self.url(1), meta_url=self.a.settings['meta.url'], purge_grace='0', purge_every='1d')
        self.a.start()
        self.b.start()
        self.nodes = [self.a, self.b]

    def url(self, i):
        return f'file:{self.shared.mounts[i]}/blobs'

    def deliver(self, node, size=500):
        subject = f'm{random.getrandbits(60)}'
        text = message(subject, random.randbytes(size // 2).hex().encode() + b'\r\n')
        with Lmtp(node.lmtp) as c:
            answer = c.deliver(text, USER)[0]
        if answer.startswith('250'):
            with self.lock:
                self.taken[subject] = text
        return answer, text

    def bodies(self, node):
        """All that the node shows of INBOX, as {subject: bytes}; each once."""
        with node.imap(USER) as m:
            n = int(m.select('INBOX', readonly=True)[1][0])
            kind, got = m.fetch('1:*', '(BODY.PEEK[])') if n else ('OK', [])
            assert kind == 'OK', (got, node.log_text()[-2000:])
        texts = [p[1] for p in got if isinstance(p, tuple)]
        found = {t.split(b'Subject: ', 1)[1].split(b'\r\n', 1)[0].decode(): t for t in texts}
        assert len(found) == len(texts) == n
        return found

    def agree(self):
        """Nothing taken is lost or changed, at either node."""
        for node in self.nodes:
            found = self.bodies(node)
            assert {s: found.get(s) for s in self.taken} == self.taken
        assert 'troubles      0' in self.a.perdura('check', timeout=120)

    def age(self):
        """Every change was made, and every pack written, hours ago: what other nodes may still need is kept for one."""
        for table in ('journal', 'head'):
            self.a.sql(f'UPDATE {table} SET stamp = stamp - {5 * HOURS * 10**6}')
        then = time.time() - 5 * HOURS
        for p in (self.shared.mounts[0] / 'blobs').glob('*/*/*.pack'):
            os.utime(p, (then, then))

    def packs(self):
        return {str(p) for p in (self.shared.mounts[0] / 'blobs').glob('*/*/*.pack')}

    def end(self):
        for n in self.nodes:
            n.kill()
        self.a.drop()


@pytest.fixture(scope='module', params=[Folder, Cephfs], ids=['one', 'cephfs'])
def shared(request, tmp_path_factory):
    try:
        s = request.param(tmp_path_factory)
    except Left as why:
        pytest.skip(f'NOT TESTED: {why}')
    yield s
    s.end()


@pytest.fixture(scope='module')
def pair(shared, tmp_path_factory):
    p = Pair(tmp_path_factory.mktemp('pair'), shared)
    yield p
    p.end()


def test_what_comes_in_at_one_is_read_at_the_other(pair):
    """Again and again out of packs that the reader has open, and that grow where it is not."""
    sessions = [n.imap(USER) for n in pair.nodes]
    for i in range(40):
        at = i % 2 if i < 20 else random.randrange(2)
        answer, text = pair.deliver(pair.nodes[at], random.choice([300, 300, 3000, 300_000]))
        assert answer.startswith('250')
        reader = sessions[1 - at]
        last = reader.select('INBOX', readonly=True)[1][0].decode()
        kind, got = reader.fetch(last, '(BODY.PEEK[])')
        assert kind == 'OK' and got[0][1] == text, (i, got, pair.nodes[1 - at].log_text()[-1000:])
    for s in sessions:
        s.logout()
    pair.agree()


def test_one_is_killed(pair):
    """With deliveries at both. It goes on where it was."""
    over = threading.Event()

    def load(node):
        while not over.is_set():
            try:
                pair.deliver(node, random.choice([300, 300_000]))
            except (OSError, AssertionError, EOFError):
                time.sleep(0.05)  # it is away

    with concurrent.futures.ThreadPoolExecutor(4) as many:
        jobs = [many.submit(load, n) for n in pair.nodes * 2]
        for _ in range(2):
            time.sleep(1)
            pair.b.kill()
            time.sleep(0.5)
            pair.b.start()
        time.sleep(0.5)
        over.set()
        [j.result() for j in jobs]
    assert len(pair.taken) > 40
    pair.agree()


def test_purge_at_one(pair):
    """It rewrites and removes also what the other has written, and has open."""
    pair.bodies(pair.b)
    for n in pair.nodes:  # what they wrote to is ended
        n.stop()
        n.start()
    with pair.a.imap(USER) as m:
        m.select('INBOX')
        gone = [p[1].strip().split(b'Subject: ')[1].decode() for p in m.fetch('1:*', '(BODY.PEEK[HEADER.FIELDS (SUBJECT)])')[1] if isinstance(p, tuple)]
        keep = set(gone[::7])
        numbers = ','.join(str(i + 1) for i, s in enumerate(gone) if s not in keep)
        assert m.store(numbers, '+FLAGS', '\\Deleted')[0] == 'OK' and m.expunge()[0] == 'OK'
    pair.taken = {s: t for s, t in pair.taken.items() if s in keep}
    pair.bodies(pair.b)
    before = pair.packs()
    pair.a.perdura('set', 'retention.window=1s', 'lmtp.duplicate.window=0')
    wait_until(lambda: [n['state'] for n in pair.a.json('status')['nodes'] if n['name'] == 'n2'] == ['alive'], every=0.2)

    def purged():
        pair.age()
        pair.a.perdura('purge')
        return len(before - pair.packs()) > len(before) / 2
    wait_until(purged, told=lambda: pair.a.perdura('purge', '--dry-run'), every=1)
    pair.agree()
    assert pair.deliver(pair.b)[0].startswith('250')
    pair.agree()


def test_the_folder_is_away(pair):
    """Nothing is said to be gone, nothing is taken that is not kept, what needs no body goes on."""
    before = len(pair.bodies(pair.b))
    pair.shared.away()
    try:
        with concurrent.futures.ThreadPoolExecutor(3) as many:
            asked = [many.submit(pair.deliver, n, size) for n, size in ((pair.a, 500), (pair.b, 300_000))]
            time.sleep(1)
            with pair.b.imap(USER) as m:
                assert m.select('INBOX', readonly=True)[0] == 'OK'
                kind, got = m.fetch('1:*', '(FLAGS ENVELOPE BODYSTRUCTURE)')
                assert kind == 'OK' and len(got) >= before
            time.sleep(2)
            pair.shared.back()
            for a in asked:  # at once, or when it is back; what was taken is looked for below
                assert a.result()[0][:3] in ('250', '451')
    except BaseException:
        pair.shared.back()
        raise
    for n in pair.nodes:
        wait_until(lambda: pair.deliver(n)[0].startswith('250'), every=0.5)
    pair.agree()
