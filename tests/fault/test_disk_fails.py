"""The disk below a running node fails: its file system turns read-only. Needs root, a loop device and ext4."""
import os
import pathlib
import subprocess
import time

import pytest
from imap_client import mail
from node import PopulatedNode, wait_until
from scene import checks, deliver, fill, login, noise, served


def run(*words):
    return subprocess.run(list(map(str, words)), capture_output=True, text=True)


class Disk:
    """A file system in a file."""

    def __init__(self, folder):
        self.image, self.place = folder / 'image', folder / 'disk'
        self.place.mkdir()
        with open(self.image, 'wb') as f:
            f.truncate(64 << 20)
        made = not os.geteuid() and run('mkfs.ext4', '-q', '-F', self.image).returncode == 0
        if not made or not self.mount():
            pytest.skip('NOT TESTED: a file system of its own wants root, mkfs.ext4 and a loop device')

    def mount(self):
        return run('mount', '-o', 'loop,errors=remount-ro', self.image, self.place).returncode == 0

    def break_down(self):
        """As after an error of the medium."""
        device = pathlib.Path(run('findmnt', '-n', '-o', 'SOURCE', self.place).stdout.strip()).name
        try:
            pathlib.Path(f'/sys/fs/ext4/{device}/trigger_fs_error').write_text('1')
        except OSError:
            pytest.skip('NOT TESTED: this kernel does not break file systems on demand')

    def unmount(self):
        for _ in range(50):
            if run('umount', self.place).returncode == 0:
                return True
            time.sleep(0.1)
        return False

    def repair(self):
        assert self.unmount()
        assert run('fsck.ext4', '-f', '-y', self.image).returncode in (0, 1)
        assert self.mount()


@pytest.fixture
def disk(tmp_path):
    d = Disk(tmp_path)
    yield d
    if not d.unmount():
        run('umount', '-l', d.place)


@pytest.fixture
def node(tmp_path, disk):
    n = PopulatedNode(tmp_path)
    n.data = disk.place / 'data'
    with n:
        yield n


def test_read_only_while_it_runs(node, disk):
    kept = [deliver(node, f'kept-{i}', noise(20_000)) for i in range(20)]
    assert all(k.startswith('250') for k in kept)
    with login(node) as m:
        disk.break_down()
        refused = [deliver(node, f'refused-{i}', noise(20_000 if i % 2 else 400_000)) for i in range(6)]
        assert all(r.startswith(('451 4.3.0', '452 4.3.1')) for r in refused), refused
        m.no('STORE 1 +FLAGS (\\Flagged)', 'UNAVAILABLE')
        m.no('CREATE new', 'UNAVAILABLE')
        m.no('APPEND INBOX {11+}\r\nSubject: a\n', 'UNAVAILABLE')
        assert node.run('account', 'add', 'new@example.org', stdin='secret\n').returncode == 75
        assert len(m.fetch('1:* (BODY.PEEK[])')) == 20
        with login(node) as other:
            assert other.search('SUBJECT kept-7') == [8]
        assert node.process.poll() is None
    node.stop()
    disk.repair()
    node.start()
    served(node, 'after')
    with login(node) as m:
        subjects = [f['ENVELOPE'][1] for _, f in m.fetch('1:* (ENVELOPE)')]
        assert subjects == [f'kept-{i}'.encode() for i in range(20)]
        assert b'\\Flagged' not in m.fetch('1 (FLAGS)')[0][1]['FLAGS']
    checks(node)


def test_full(node, disk):
    """The same as on other small disks, where blocks are given back late and metadata wants room too."""
    assert deliver(node, 'kept').startswith('250')
    with login(node) as m:
        for again in range(2):
            fill(disk.place)
            wait_until(lambda: node.json('status')['disk_full'])
            assert all(deliver(node, f'full-{i}', noise(100_000)).startswith('452 4.3.1') for i in range(3))
            m.no('APPEND INBOX {11+}\r\nSubject: a\n', 'UNAVAILABLE')
            assert b'kept' in m.fetch('1 (BODY.PEEK[])')[0][1]['BODY[]']
            (disk.place / 'filler').unlink()
            wait_until(lambda: not node.json('status')['disk_full'])
            m.append('INBOX', mail(f'after-{again}'))
            served(node, f'after-{again}')
    checks(node)
