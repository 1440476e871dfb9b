"""perdura purge on a node: what it tells, what is left, and what sessions and commands hear of a past that is gone."""
import json
import random
import threading
import time

import pytest
from node import Node, imap_name, wait_until
from stores import looks_into_packs

USER = 'ada@example.org'


def mail(subject, size=300):
    return (f'From: a@example.org\r\nSubject: {subject}\r\n\r\n' + f'body of {subject} '.ljust(size, '.') + '\r\n').encode()


def fill(node, folder, n, size=300):
    with node.imap(USER) as m:
        m.create(imap_name(folder))
        for i in range(n):
            assert m.append(imap_name(folder), None, None, mail(f'{folder} {i}', size))[0] == 'OK'


def expunge(node, folder, numbers):
    with node.imap(USER) as m:
        m.select(imap_name(folder))
        assert m.store(numbers, '+FLAGS', '\\Deleted')[0] == 'OK'
        assert m.expunge()[0] == 'OK'


def rows(node, sql):
    return int(node.sql(sql)[0][0])


def window_over(node):
    """The window is a second, and it is over."""
    node.perdura('set', 'retention.window=1s')
    time.sleep(1.2)


@pytest.fixture
def node(tmp_path):
    with Node(tmp_path, purge_grace='0', purge_every='1d') as n:
        n.add(USER)
        yield n


def test_it_says_what_goes_and_why_the_rest_stays(node):
    fill(node, 'Work', 4)
    node.perdura('snapshot', 'create', 'monday')
    expunge(node, 'Work', '1:3')
    fill(node, 'Work', 1)
    expunge(node, 'Work', '2')
    window_over(node)
    told = node.perdura('purge', '--dry-run')
    line = next(l for l in told.splitlines() if l.startswith(USER))
    assert '1 message' in line and 'kept: 3 versions by snapshot monday' in line.replace('4 versions', '3 versions')
    assert 'would go: ' in told
    assert rows(node, 'SELECT COUNT(*) FROM email') == 5
    lines = [json.loads(l) for l in node.perdura('purge', '--dry-run', '--json').splitlines()]
    assert lines[-1]['emails'] == 1 and lines[-1]['rewritten'] == 0
    kept = next(l for l in lines if l.get('account') == USER)['kept']
    assert [k['by'] for k in kept] == ['snapshot monday']
    assert 'gone: 1 message' in node.perdura('purge')
    assert rows(node, 'SELECT COUNT(*) FROM email') == 4
    with node.imap(USER) as m:
        assert m.select('"#at/monday/Work"', readonly=True)[1] == [b'4']
        kind, got = m.fetch('1:4', '(BODY.PEEK[])')
        assert [p[1] for p in got if isinstance(p, tuple)] == [mail(f'Work {i}') for i in range(4)]
    node.perdura('restore', USER, '--at', 'monday', '--folder', 'Work', '--yes')
    assert node.count(USER, 'Work') == 4
    node.perdura('snapshot', 'remove', 'monday')
    time.sleep(1.2)
    node.perdura('purge')
    node.perdura('check')
    assert rows(node, 'SELECT COUNT(*) FROM past WHERE account = 1') == 0
    status = dict(l.split(' ', 1) for l in node.perdura('status').splitlines() if l.startswith('purge'))
    assert status['purges'] == '2' and status['purges_refused'] == '0' and int(status['purged_emails']) == 1
    assert node.log_text().count(' purge versions=') == 2


def test_a_past_that_is_gone_is_refused_in_clear_words(node):
    fill(node, 'Work', 2)
    expunge(node, 'Work', '1')
    window_over(node)
    with node.imap(USER) as m:
        m.select('Work')
        node.perdura('purge')
        for when in ('@3', '1d', '2020-01-01T00:00:00Z'):
            kind, said = m.select(f'"#at/{when}/Work"', readonly=True)
            assert kind == 'NO', when
            assert b'is purged' in said[0] or b'before the account' in said[0]
    for verb in (['restore', USER, '--at', '@3', '--yes'], ['export', USER, node.dir / 'out', '--at', '@3']):
        r = node.run(*verb)
        assert r.returncode == 1 and 'the past before 20' in r.stderr and 'is purged' in r.stderr
    told = node.perdura('history', USER).splitlines()
    assert told[0].startswith('(the past before 20') and told[1].startswith('@1 ')


def test_sessions_that_move_on_are_never_cut(node):
    """A window of a second, purge after purge, and sessions in the same mailbox: only an hour behind is too far."""
    fill(node, 'Work', 30)
    window_over(node)
    with node.imap(USER) as idle, node.imap(USER) as busy:
        idle.select('Work')
        busy.select('Work')
        for i in range(4):
            assert busy.store('1', '+FLAGS', '\\Deleted')[0] == 'OK'
            assert busy.expunge()[0] == 'OK'
            time.sleep(1.1)
            node.perdura('purge')
            kind, got = idle.fetch('1:3', '(UID BODY.PEEK[HEADER])')  # told of nothing: all are still there
            assert kind == 'OK' and len([p for p in got if isinstance(p, tuple)]) == 3
        assert idle.noop()[0] == 'OK'
        assert len(idle.response('EXPUNGE')[1]) == 4
        node.perdura('purge')
        assert rows(node, 'SELECT COUNT(*) FROM past WHERE account = 1') == 0
    node.perdura('check')


@looks_into_packs
def test_packs_go_and_are_rewritten(node):
    fill(node, 'Big', 3, 300000)  # files of their own
    fill(node, 'Work', 60)
    packs = lambda: {p.name for p in node.data.glob('blobs/**/*') if p.is_file()}
    node.stop()
    node.start()  # what was the open pack is closed
    before = packs()
    expunge(node, 'Big', '1:2')
    expunge(node, 'Work', '1:55')
    window_over(node)
    node.perdura('purge')
    node.perdura('purge')
    time.sleep(0.1)
    node.perdura('purge')
    after = packs()
    assert len(before - after) == 3, (before, after)  # two files, and the pack that was mostly dead
    with node.imap(USER) as m:
        m.select('Work')
        kind, got = m.fetch('1:*', '(BODY.PEEK[])')
        assert [p[1] for p in got if isinstance(p, tuple)] == [mail(f'Work {i}') for i in range(55, 60)]
    told = json.loads(node.perdura('check', '--json'))
    assert told['troubles'] == 0


def test_the_job_runs_by_itself(tmp_path):
    with Node(tmp_path, purge_grace='0', purge_every='1s') as node:
        node.add(USER)
        fill(node, 'Work', 3)
        expunge(node, 'Work', '1:2')
        window_over(node)
        end = time.monotonic() + 30
        while rows(node, 'SELECT COUNT(*) FROM email') > 1:
            assert time.monotonic() < end, node.log_text()
            time.sleep(0.1)
        assert node.stop() == 0
        assert ' purge versions=' in node.log_text()


def test_killed_while_it_purges(tmp_path):
    """kill -9 again and again, with mail coming and going beside it: nothing that is there is lost, check finds nothing."""
    chance = random.Random(7)
    node = Node(tmp_path, purge_grace='0', purge_every='1d').start()
    node.add(USER)
    node.perdura('set', 'retention.window=1s')
    try:
        for round in range(6):
            fill(node, 'Work', 40, 500)
            have = node.count(USER, 'Work')
            expunge(node, 'Work', f'1:{have - 5}')
            time.sleep(1.1)
            worker = threading.Thread(target=lambda: node.run('purge'))
            worker.start()
            time.sleep(chance.random() * 0.06)
            node.kill()
            worker.join()
            node.start()
            with node.imap(USER) as m:
                assert m.select('Work')[1] == [b'5']
                kind, got = m.fetch('1:*', '(BODY.PEEK[])')
                assert [p[1] for p in got if isinstance(p, tuple)] == [mail(f'Work {i}', 500) for i in range(35, 40)]
            node.perdura('check')
            node.perdura('purge')
            node.perdura('check')
        assert rows(node, 'SELECT COUNT(*) FROM email') == 5
    finally:
        node.kill()


def test_damaged_plan_does_not_hold_it(node):
    fill(node, 'Work', 3)
    expunge(node, 'Work', '1:2')
    assert node.stop() == 0
    account = rows(node, 'SELECT MAX(account) FROM head')
    node.sql(f"INSERT INTO changeset (account, id, kind, owner, epoch, steps, plan, progress) VALUES ({account}, 1, 12, 1, 1, 0, x'FF', x'')")
    node.start()
    wait_until(lambda: 'operation=restore' in node.log_text(), told=node.log_text)
    line = next(l for l in node.log_text().splitlines() if 'operation=restore' in l)
    assert f'account={account} ' in line and 'is damaged' in line and 'ask for it again' in line
    window_over(node)
    assert json.loads(node.perdura('--json', 'purge').splitlines()[-1])['busy'] == 0
    assert rows(node, 'SELECT COUNT(*) FROM past') == 0
