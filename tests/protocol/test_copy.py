"""perdura snapshot --copy-to: the copy starts, is sound, and holds all that was answered before; the node goes on meanwhile."""
import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest
from lmtp_client import Lmtp, message
from node import PERDURA, Node, PopulatedNode
from stores import BLOB, META

pytestmark = pytest.mark.skipif(bool(META or BLOB), reason='only a database and bodies that are files of the node are copied')


@contextlib.contextmanager
def serve(copy, name='n1'):
    """A node on a copy."""
    n = Node(folder=copy.parent / f'{copy.name}.node', node_name=name)
    n.dir.mkdir(exist_ok=True)
    n.data = copy
    with n:
        n.user = 'ada@example.org'
        yield n


def sound(node):
    said = node.run('check')
    assert said.returncode == 0, said


def subjects(node, user):
    with node.imap(user) as m:
        m.select('INBOX', readonly=True)
        kind, got = m.search(None, 'ALL')
        if not got[0]:
            return set()
        kind, got = m.fetch('1:*', '(BODY.PEEK[HEADER.FIELDS (SUBJECT)])')
        return {x[1].split()[1].decode() for x in got if isinstance(x, tuple)}


class Load:
    """Clients that deliver without rest and remember what was answered, and when."""

    def __init__(self, node, clients=4, size=2000, pause=0.0):
        self.node, self.size, self.pause, self.stop = node, size, pause, threading.Event()
        self.acked, self.took = [], []
        self.threads = [threading.Thread(target=self.work, args=(i,)) for i in range(clients)]

    def work(self, me):
        n = 0
        with Lmtp(self.node.lmtp) as c:
            while not self.stop.is_set():
                n += 1
                name = f'load{id(self) % 9973}-{me}-{n}'
                body = os.urandom(self.size // 2).hex().encode() + b'\r\n'
                since = time.monotonic()
                assert c.deliver(message(name, body), self.node.user)[0].startswith('250')
                self.took.append(time.monotonic() - since)
                self.acked.append((name, time.monotonic()))
                time.sleep(self.pause)

    def __enter__(self):
        for t in self.threads:
            t.start()
        time.sleep(0.3)
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join()

    def before(self, moment):
        return {name for name, at in list(self.acked) if at < moment}


@pytest.fixture
def one(tmp_path):
    (tmp_path / 'node').mkdir()
    with PopulatedNode(tmp_path / 'node') as n:
        yield n
        sound(n)


def deliver(node, *names, size=1000):
    with Lmtp(node.lmtp) as c:
        for n in names:
            assert c.deliver(message(n, b'x' * size + b'\r\n'), node.user)[0].startswith('250')


def test_under_load(one, tmp_path):
    with Load(one, size=20000) as load:
        for i in range(3):
            began = time.monotonic()
            said = one.json('snapshot', '--copy-to', tmp_path / 'copy')
            assert said['copied'] + said['shared'] > 0
            with serve(tmp_path / 'copy') as copy:
                sound(copy)
                assert load.before(began) <= subjects(copy, one.user)
                deliver(copy, 'after')
                assert 'after' in subjects(copy, one.user)
            shutil.rmtree(tmp_path / 'copy')
    assert len(load.acked) > 20


def test_what_it_names(one, tmp_path):
    """Both forms; a relative path is the user's."""
    deliver(one, 'first')
    said = subprocess.run([PERDURA, '--data', one.data, 'snapshot', 'create', 'friday', '--copy-to', 'sub/copy'], cwd=tmp_path,
                          capture_output=True, text=True)
    assert said.returncode == 0 and 'friday' in said.stdout and str(tmp_path / 'sub/copy') in said.stdout, said
    with serve(tmp_path / 'sub/copy') as copy:
        assert 'friday' in copy.perdura('snapshot', 'list')
        assert subjects(copy, one.user) == {'first'}
        assert copy.json('status')['torn_packs_repaired'] == 1  # the pack that deliveries went to
    assert one.run('snapshot').returncode == 2


def packs(folder):
    return {p.relative_to(folder): (p.stat().st_ino, p.stat().st_mtime_ns) for p in folder.rglob('*.pack')}


def test_again_takes_what_is_new(one, tmp_path):
    with Lmtp(one.lmtp) as c:
        for i in range(6):  # a pack each
            c.deliver(message(f'large{i}', os.urandom(300000).hex().encode() + b'\r\n'), one.user)
    first = one.json('snapshot', '--copy-to', tmp_path / 'copy')
    before = packs(tmp_path / 'copy/blobs')
    deliver(one, 'new')
    second = one.json('snapshot', '--copy-to', tmp_path / 'copy')
    now = packs(tmp_path / 'copy/blobs')
    assert len(before) >= 6 and sum(now[p] == before[p] for p in before) >= 6
    assert second['copied'] + second['shared'] < first['copied'] + first['shared']
    # a restart of the original seals its pack and begins another
    one.stop()
    one.start()
    deliver(one, 'newer')
    one.perdura('snapshot', '--copy-to', tmp_path / 'copy')
    assert not list((tmp_path / 'copy').rglob('*.part'))
    with serve(tmp_path / 'copy') as copy:
        sound(copy)
        assert subjects(copy, one.user) == subjects(one, one.user)
    r = one.run('snapshot', '--copy-to', tmp_path / 'copy')  # a node worked on it: it has a life of its own
    assert r.returncode == 1 and 'another folder' in r.stderr


def test_packs_that_are_gone(one, tmp_path):
    deliver(one, 'a')
    one.perdura('snapshot', '--copy-to', tmp_path / 'copy')
    epoch = next((tmp_path / 'copy/blobs/n1').glob('0*'))
    (epoch / '7fffffff.pack').write_bytes(b'of an earlier copy')
    one.perdura('snapshot', '--copy-to', tmp_path / 'copy')
    assert not (epoch / '7fffffff.pack').exists()


@pytest.mark.parametrize('who', ['command', 'node'])
def test_broken_off(one, tmp_path, who):
    """Killed while it copies; the next one makes it whole, and until then an earlier copy is what it was."""
    with Lmtp(one.lmtp) as c:
        for i in range(40):
            c.deliver(message(f'm{i}', os.urandom(300000).hex().encode() + b'\r\n'), one.user)
    for i in range(4):
        p = subprocess.Popen([PERDURA, '--data', one.data, 'snapshot', '--copy-to', tmp_path / 'copy'],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wanted = 1 + 3 * i
        while p.poll() is None and len(list((tmp_path / 'copy').rglob('*.pack'))) < wanted:
            time.sleep(0.001)
        if who == 'node':
            one.kill()
            p.wait(60)
            one.start()
        else:
            with contextlib.suppress(ProcessLookupError):
                p.send_signal(signal.SIGINT)
            p.wait(60)
    one.perdura('snapshot', '--copy-to', tmp_path / 'copy')
    assert not list((tmp_path / 'copy').rglob('*.part'))
    with serve(tmp_path / 'copy') as copy:
        sound(copy)
        assert len(subjects(copy, one.user)) == 40


def test_refusals(one, tmp_path):
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other/file').write_text('x')
    (tmp_path / 'file').write_text('x')
    for to in (tmp_path / 'other', tmp_path / 'file', one.data, '/proc/copy'):
        r = one.run('snapshot', '--copy-to', to)
        assert r.returncode in (1, 75) and r.stderr.count('\n') == 1, r
    assert (tmp_path / 'other/file').read_text() == 'x'
    assert one.serves()


def test_settings_go_along(one, tmp_path):
    (one.data / 'perdura.conf').write_text('# ours\naccount.domain = example.org\nblob.url = file:/somewhere/else\n')
    one.perdura('snapshot', '--copy-to', tmp_path / 'copy')
    text = (tmp_path / 'copy/perdura.conf').read_text()
    assert 'account.domain = example.org\n' in text and '\n# not in a copy: blob.url' in text
    (one.data / 'perdura.conf').unlink()


def test_beside_the_original(one, tmp_path):
    """A copy is a node of its own: nothing it does is seen by the original. With a name of its own it mints ids that the original
    never does; its packs go below that name."""
    deliver(one, 'both')
    one.perdura('snapshot', '--copy-to', tmp_path / 'copy')
    with serve(tmp_path / 'copy', name='copy') as copy:
        deliver(one, 'original')
        deliver(copy, 'copied')
        assert subjects(one, one.user) == {'both', 'original'}
        assert subjects(copy, one.user) == {'both', 'copied'}
        sound(copy)
    numbers = {p.parent.name: p.read_text() for p in (tmp_path / 'copy/blobs').glob('*/number')}
    assert set(numbers) == {'n1', 'copy'} and numbers['n1'] != numbers['copy']


def test_one_mailbox_out_of_a_copy(one, tmp_path):
    deliver(one, 'lost')
    one.perdura('snapshot', '--copy-to', tmp_path / 'copy')
    with one.imap(one.user) as m:
        m.select('INBOX')
        m.store('1:*', '+FLAGS', '\\Deleted')
        m.expunge()
    with serve(tmp_path / 'copy', name='copy') as copy:
        copy.perdura('export', one.user, tmp_path / 'maildir')
    one.perdura('import', one.user, tmp_path / 'maildir')
    assert subjects(one, one.user) == {'lost'}


def test_no_room(one, tmp_path):
    if os.geteuid():
        pytest.skip('needs root to mount')
    deliver(one, *(f'm{i}' for i in range(50)), size=10000)
    (tmp_path / 'small').mkdir()
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=200k', 'none', tmp_path / 'small'], check=True)
    try:
        r = one.run('snapshot', '--copy-to', tmp_path / 'small')
        assert r.returncode == 75 and 'No space' in r.stderr, r
        assert one.serves()
        subprocess.run(['mount', '-o', 'remount,size=50m', tmp_path / 'small'], check=True)
        one.perdura('snapshot', '--copy-to', tmp_path / 'small')
        with serve(tmp_path / 'small') as copy:
            sound(copy)
    finally:
        subprocess.run(['umount', tmp_path / 'small'], check=True)


@pytest.fixture
def btrfs(tmp_path):
    """A btrfs on a loop file."""
    if os.geteuid() or not shutil.which('mkfs.btrfs'):
        pytest.skip('needs root and mkfs.btrfs')
    at = tmp_path / 'btrfs'
    at.mkdir()
    with open(tmp_path / 'image', 'wb') as f:
        f.truncate(1 << 30)
    subprocess.run(['mkfs.btrfs', '-q', '-m', 'single', tmp_path / 'image'], check=True)
    if subprocess.run(['mount', '-o', 'loop,noatime', tmp_path / 'image', at], capture_output=True).returncode:
        pytest.skip('cannot mount a loop file here')
    yield at
    subprocess.run(['umount', at], check=True)


def test_blocks_are_shared(btrfs, tmp_path):
    (btrfs / 'node').mkdir()
    with PopulatedNode(btrfs / 'node') as n, Load(n, clients=2, size=100000) as load:
        while len(load.acked) < 100:
            time.sleep(0.1)
        began = time.monotonic()
        said = n.json('snapshot', '--copy-to', btrfs / 'copy')
        assert said['shared'] > 1000000 and said['copied'] < 100000
        with serve(btrfs / 'copy') as copy:
            sound(copy)
            assert load.before(began) <= subjects(copy, n.user)


def test_file_system_snapshots(btrfs, tmp_path):
    """An atomic snapshot of the data folder is a node whose power failed at that moment."""
    subprocess.run(['btrfs', '-q', 'subvolume', 'create', btrfs / 'volume'], check=True)
    with PopulatedNode(btrfs / 'volume') as n, Load(n, clients=4, size=20000) as load:
        for i in range(5):
            began = time.monotonic()
            subprocess.run(['btrfs', '-q', 'subvolume', 'snapshot', btrfs / 'volume', btrfs / f'snap{i}'], check=True)
            with serve(btrfs / f'snap{i}/data') as copy:
                sound(copy)
                assert load.before(began) <= subjects(copy, n.user)
            time.sleep(0.2)
