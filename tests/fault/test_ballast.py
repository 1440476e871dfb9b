"""Room that is held for the day the disk is full: mail is refused then, what makes room goes on."""
import os
import time

import pytest
from node import PopulatedNode, wait_until
from scene import checks, deliver, disk_of, fill, login, noise, served

HELD = 4 << 20  # a 16th of the disk


@pytest.fixture
def disk(tmp_path):
    with disk_of('64m', tmp_path / 'disk') as place:
        yield place


@pytest.fixture
def node(tmp_path, disk):
    node = PopulatedNode(tmp_path, ballast='64M')
    node.data = disk / 'data'
    with node:
        yield node


def status(node):
    s = node.json('status')
    return s['disk_full'], s['ballast_bytes']


def blocks(node):
    return (node.data / 'ballast').stat().st_blocks * 512


def stored(node):
    return sum(p.stat().st_size for p in (node.data / 'blobs').rglob('*') if p.is_file())


def refuses(node, m):
    """Nothing is taken, and nothing eats up the room that was made."""
    before = stored(node)
    for i in range(5):
        assert deliver(node, f'full-{i}', noise(400_000)).startswith('452 4.3.1')
    m.no('APPEND INBOX {11+}\r\nSubject: a\n', 'UNAVAILABLE')
    for change in 'STORE 1 +FLAGS (\\Flagged)', 'STORE 1 +FLAGS (\\Deleted)', 'COPY 1 Archive', 'CREATE new':
        m.no(change, 'UNAVAILABLE')
    assert node.run('import', node.user, '/dev/stdin', stdin='From a\n\nx\n').returncode != 0
    assert b'kept' in m.fetch('1 (BODY.PEEK[])')[0][1]['BODY[]']
    assert stored(node) == before


def test_ballast(node, disk):
    assert status(node) == (0, HELD) and blocks(node) >= HELD
    assert deliver(node, 'kept').startswith('250')
    with login(node) as m:
        for again in range(2):
            fill(disk)
            wait_until(lambda: status(node) == (1, 0))
            assert os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize >= HELD
            refuses(node, m)
            node.perdura('snapshot', 'create', f'then{again}')  # the admin's own log goes on: what ends snapshots makes room
            node.perdura('snapshot', 'remove', f'then{again}')
            (disk / 'filler').unlink()
            wait_until(lambda: status(node) == (0, HELD))
            served(node, f'after-{again}')
            m.ok('STORE 1 +FLAGS (\\Flagged)')
    log = node.log_text()
    assert log.count('disk-full ') == log.count('disk-has-room ') == 2 and log.count('released=') == 2, log
    checks(node)


def test_no_restart_takes_the_room(node, disk):
    """A node that starts on the full disk does not take what was released for free room."""
    assert deliver(node, 'kept').startswith('250')
    fill(disk)
    wait_until(lambda: status(node) == (1, 0))
    for end in node.stop, node.kill:
        end()
        node.start()
        assert status(node) == (1, 0)
        with login(node) as m:
            refuses(node, m)
    (disk / 'filler').unlink()
    wait_until(lambda: status(node) == (0, HELD))
    served(node, 'after')


def test_a_copy_without_its_blocks(node):
    node.stop()
    os.truncate(node.data / 'ballast', 0)
    os.truncate(node.data / 'ballast', HELD)
    assert blocks(node) == 0
    node.start()
    assert status(node) == (0, HELD) and blocks(node) >= HELD


def test_sizes(node, disk):
    for setting, held in ('1M', 1 << 20), ('2M', 2 << 20), ('0', 0):
        node.stop()
        node.settings['ballast'] = setting
        node.start()
        assert status(node) == (0, held)
        assert (node.data / 'ballast').exists() == (held > 0)
        assert not held or blocks(node) == held
    served(node, 'without')


def test_a_disk_that_never_had_room(tmp_path, disk):
    """No ballast fits: the node serves all the same, and takes it when it does."""
    with open(disk / 'filler', 'wb') as f:
        f.write(b'x' * ((64 << 20) - HELD - (1 << 20)))
    node = PopulatedNode(tmp_path, ballast='64M')
    node.data = disk / 'data'
    with node:
        assert status(node) == (0, 0)
        served(node, 'crowded')
        (disk / 'filler').unlink()
        wait_until(lambda: status(node) == (0, HELD))


def test_purge_makes_room(node, disk):
    """Nobody frees a byte of the full disk but purge, and it has what it needs for that."""
    node.stop()
    node.settings['purge.grace'] = '0'
    node.start()
    node.perdura('set', 'retention.window=1s', 'lmtp.duplicate.window=0')
    assert deliver(node, 'kept', noise(100_000)).startswith('250')
    for i in range(60):
        assert deliver(node, f'lost-{i}', noise(200_000)).startswith('250')
    for i in range(4):
        assert deliver(node, f'large-{i}', noise(4_000_000)).startswith('250')
    with login(node) as m:
        m.ok('STORE 2:* +FLAGS.SILENT (\\Deleted)')
        m.ok('EXPUNGE')
    node.stop()  # closes the pack
    node.start()
    time.sleep(2)
    fill(disk)
    wait_until(lambda: status(node) == (1, 0))
    assert deliver(node, 'full').startswith('452 4.3.1')
    for _ in range(3):  # bodies are condemned by one run and removed by the next
        node.perdura('purge')
    wait_until(lambda: status(node) == (0, HELD))
    assert deliver(node, 'after').startswith('250')
    with login(node) as m:
        assert [f['ENVELOPE'][1] for _, f in m.fetch('1:* (ENVELOPE)')] == [b'kept', b'after']
        assert len(m.fetch('1:* (BODY.PEEK[])')) == 2
    checks(node)
