"""perdura restore --all: the whole server to a time."""
import json
import time

import pytest
from imap_client import mail
from node import Node
from test_undo_1_range import Box


@pytest.fixture
def server(tmp_path):
    with Node(tmp_path) as n:
        yield n


def boxes(server, n):
    out = [Box(server, f'u{i}@example.org') for i in range(n)]
    for b in out:
        with b.client('setup') as m:
            m.ok('CREATE Work')
            for i in range(5):
                m.append('Work', mail(f'{b.address} {i}'))
    return out


def test_all(server):
    everyone = boxes(server, 6)
    before = [b.state() for b in everyone]
    server.perdura('snapshot', 'create', 'before')
    for b in everyone[:4]:
        with b.client('phone') as m:
            m.ok('SELECT Work')
            m.ok('STORE 1:3 +FLAGS (\\Deleted)')
            m.ok('EXPUNGE')
            m.append('INBOX', mail('came since'))
    with everyone[4].client('phone') as m:
        m.ok('DELETE Work')
    server.perdura('account', 'remove', everyone[0].address)
    young = Box(server, 'young@example.org')
    with young.client('phone') as m:
        m.append('INBOX', mail('young'))
    young_state = young.state()
    dry = [json.loads(l) for l in server.perdura('--json', 'restore', '--all', '--at', 'before', '--dry-run').splitlines()][-1]
    assert dry['accounts_back'] == 1 and dry['made_since'] == 1 and dry['messages'] == 3 * 3 + 5
    assert server.run('restore', '--all', '--at', 'before').returncode == 2  # wants --yes
    lines = [json.loads(l) for l in server.perdura('--json', 'restore', '--all', '--at', 'before', '--yes').splitlines()]
    assert lines[-1]['accounts_back'] == 1 and lines[-1]['messages'] == 4 * 3 + 5 and lines[-1]['failed'] == 0
    assert {l['account'] for l in lines[:-1]} == {b.address for b in everyone[:5]}
    for b, was in zip(everyone, before):
        now = b.state()
        now[0][b'INBOX'] = []  # what came since stays
        assert now == was
    assert young.state() == young_state
    server.perdura('restore', '--all', '--at', 'before', '--exact', '--yes')
    assert [b.state() for b in everyone] == before and young.state() == young_state
    server.perdura('check')


def test_one_folder_of_all_and_errors(server):
    everyone = boxes(server, 2)
    other = Box(server, 'other@example.org')
    server.perdura('snapshot', 'create', 'before')
    for b in everyone:
        with b.client('phone') as m:
            m.ok('DELETE Work')
    done = server.perdura('restore', '--all', '--at', 'before', '--folder', 'Work', '--yes').splitlines()
    assert len(done) == 3 and done[0].startswith('u') and 'other' not in ''.join(done)
    for words in (['--all', other.address, '--at', '0s'], ['--at', '0s'], ['--all', '--at', '@1'], ['--all']):
        assert server.run('restore', *words, '--yes').returncode == 2, words
    assert server.run('restore', '--all', '--at', 'nosuch', '--yes').returncode == 1


def test_killed_in_the_middle(server):
    everyone = boxes(server, 8)
    for b in everyone:
        with b.client('setup') as m:
            m.ok('SELECT Work')
            for _ in range(6):
                m.ok('COPY 1:* Work')
    before = [b.state() for b in everyone]
    server.perdura('snapshot', 'create', 'before')
    for b in everyone:
        with b.client('phone') as m:
            m.ok('SELECT Work')
            m.ok('STORE 1:* +FLAGS (\\Deleted)')
            m.ok('EXPUNGE')
    import subprocess
    from node import PERDURA
    p = subprocess.Popen([str(PERDURA), '--data', str(server.data), 'restore', '--all', '--at', 'before', '--yes'])
    time.sleep(0.03)
    server.kill()
    p.wait()
    server.start()
    server.settled()
    if [b.state() for b in everyone] != before:  # killed before the plan was in the store
        server.perdura('restore', '--all', '--at', 'before', '--yes')
    assert [b.state() for b in everyone] == before
    server.perdura('check')
