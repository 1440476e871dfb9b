"""perdura history reads well, and the commands it shows undo what they stand by; three-way."""
import json
import shlex
import time

import pytest
from imap_client import mail
from lmtp_client import Lmtp
from test_undo_1_range import Box, box, server  # noqa: F401


def events(box):
    return [json.loads(l) for l in box.node.perdura('--json', 'history', box.address).splitlines()]


def paste(box, line):
    words = shlex.split(line)
    assert words[:2] == ['perdura', 'undo']
    return json.loads(box.node.perdura('--json', *words[1:], '--yes'))


def test_sentences(box):
    with box.client('Apple Mail') as m:
        m.ok('SELECT Projects')
        m.ok('MOVE 1:2 INBOX')
        m.ok('STORE 1:3 +FLAGS (\\Deleted)')
        m.ok('EXPUNGE')
        m.ok('COPY 1 Trash')
        m.ok('CREATE Made')
        m.ok('RENAME Made Better')
        m.ok('DELETE Better')
        m.ok('SUBSCRIBE Better')
    with Lmtp(box.node.lmtp) as l:
        l.deliver(mail('x').encode(), box.address)
    text = box.node.perdura('history', box.address)
    who = f'{box.address} (imap Apple Mail 1 from 127.0.0.1) '
    for sentence in ('moved 2 messages from Projects to INBOX', 'changed flags of 3 messages in Projects', 'deleted 3 messages from Projects',
                     'copied 1 message from Projects to Trash', 'created Made', 'renamed Made to Better', 'deleted Better',
                     'subscribed Better'):
        assert who + sentence in text
    assert f'lmtp delivered 1 message to INBOX (from sender@example.org to {box.address})' in text
    assert 'made the account' in text.splitlines()[0] and 'perdura undo' not in text.splitlines()[1]


def test_every_line_undoes_what_it_stands_by(box):
    before = box.state()
    with box.client('phone') as m, box.client('web') as w:
        m.ok('SELECT Projects')
        m.ok('STORE 1:4 +FLAGS (\\Deleted)')
        m.ok('EXPUNGE')
        w.ok('SELECT INBOX')
        w.ok('STORE 1 +FLAGS (\\Flagged)')
        m.ok('MOVE 1:2 Trash')
        w.ok('RENAME Projects Work')
        w.ok('STORE 2 +FLAGS (\\Answered)')
    now = events(box)
    at = next(i for i, e in enumerate(now) if 'phone' in e['client'])
    for e in reversed(now[at:]):
        paste(box, e['undo'])
    assert box.state() == before
    for e in reversed(events(box)[len(now):]):  # and each undo again
        paste(box, e['undo'])
    assert box.state() != before


def test_neighbours_of_another_client_stand_apart(box):
    with box.client('phone') as m:
        m.ok('SELECT Projects')
        m.ok('STORE 1 +FLAGS (\\Answered)')
        m.ok('STORE 2 +FLAGS (\\Answered)')
        m.ok('ID ("name" "other")')
        m.ok('STORE 3 +FLAGS (\\Answered)')
    last = events(box)[-2:]
    assert [e['last'] - e['first'] for e in last] == [1, 0]
    assert 'phone' in last[0]['client'] and 'other' in last[1]['client'] and last[0]['session'] == last[1]['session']


def flags(box, name, subject):
    return next(set(f) for s, f in box.state()[0][name] if s == f'Subject: {subject}'.encode())


def test_by_client_and_by_session(box):
    at = box.last()
    with box.client('phone') as m, box.client('web') as w:
        m.ok('SELECT Projects')
        w.ok('SELECT Projects')
        m.ok('STORE 1:12 +FLAGS (\\Answered)')
        w.ok('STORE 1:12 +FLAGS (\\Draft)')
        m.ok('STORE 2 +FLAGS (\\Deleted)')
        m.ok('EXPUNGE')
        w.ok('NOOP')
        w.ok('STORE 2 -FLAGS (\\Answered)')
    did = box.undo(at + 1, None, '--client', 'PHONE')
    assert did['messages'] == 1 and did['flags'] == 10 and did['skipped'] == 1
    assert all('\\Answered'.encode() not in f and b'\\Draft' in f for _, f in box.state()[0][b'Projects'])
    session = next(e['session'] for e in events(box) if 'web' in e['client'])
    box.undo(at + 1, None, '--client', session)
    assert sum(b'\\Draft' in f for _, f in box.state()[0][b'Projects']) == 1  # of one that was expunged and came back since
    assert 'was done by nobody' in box.undo(at + 1, None, '--client', 'nobody', code=1)


def test_deliveries_only_when_named(box):
    at = box.last()
    with Lmtp(box.node.lmtp) as l:
        l.deliver(mail('junk').encode(), box.address)
    with box.client('phone') as m:
        m.ok('SELECT INBOX')
        m.ok('STORE 1 +FLAGS (\\Flagged)')
    box.undo(at + 1)
    assert len(box.state()[0][b'INBOX']) == 5
    assert box.undo(at + 1, None, '--client', 'lmtp')['removed'] == 1
    assert len(box.state()[0][b'INBOX']) == 4


def test_three_way(box):
    """What was changed again since stays."""
    at = box.last()
    with box.client('phone') as m, box.client('web') as w:
        m.ok('SELECT INBOX')
        m.ok('MOVE 1:3 Trash')           # i0 i1 i2
        m.ok('RENAME Projects/North Projects/South')
        m.ok('CREATE Made')
        m.append('Made', mail('mine'))
        end = box.last()
        w.ok('SELECT Trash')
        w.ok('STORE 1 +FLAGS (\\Seen)')  # i0 goes back, seen
        w.ok('MOVE 2 Archive')           # i1 stays in Archive
        w.ok('STORE 2 +FLAGS (\\Deleted)')
        w.ok('EXPUNGE')                  # i2 stays gone
        w.ok('RENAME Projects/South East')
        w.append('Made', mail('other'))
    did = box.undo(at + 1, end)
    state = box.state()[0]
    assert flags(box, b'INBOX', 'i0') == {b'\\Seen'}
    assert [s for s, _ in state[b'Archive']] == [b'Subject: i1'] and state[b'Trash'] == []
    assert b'East' in state and b'Projects/North' not in state
    assert [s for s, _ in state[b'Made']] == [b'Subject: other']
    assert did['messages'] == 1 and did['removed'] == 1 and did['skipped'] == 4
    box.check()


def test_name_taken_meanwhile(box):
    """The messages of a folder whose name is taken join the one that has it; undone, they leave it again."""
    before, at = box.state()[0][b'Projects'], box.last()
    with box.client('phone') as m:
        m.ok('DELETE Projects/North')
        m.ok('DELETE Projects')
        end = box.last()
    with box.client('web') as w:
        w.ok('CREATE Projects')
        w.append('Projects', mail('new'))
    taken, now = box.state(), box.last()
    did = box.undo(at + 1, end)
    state = box.state()[0]
    assert did['messages'] == 13 and sorted(state[b'Projects']) == sorted(before + [(b'Subject: new', ())])
    assert len(state[b'Projects/North']) == 1
    again = box.undo(at + 1, end)  # nothing comes back twice
    assert again['messages'] == 0 and box.state()[0] == state
    box.undo(now + 1)
    assert box.state() == taken
    box.check()


def test_time_bounds(box):
    before = box.state()
    box.node.perdura('snapshot', 'create', f's-{box.last()}')
    name = f's-{box.last()}'
    with box.client('phone') as m:
        m.ok('DELETE Projects')
    time.sleep(0.01)
    at = events(box)[-1]['at']
    box.node.perdura('undo', box.address, '--since', name, '--until', at, '--yes')
    assert box.state() == before
    box.node.perdura('undo', box.address, '--since', name, '--until', '0s', '--yes')  # the undo of it too
    assert box.state() == before
    run = lambda *w: box.node.run('undo', box.address, *w).returncode
    assert run('--since', '@1', '--until', '@2') == 2
    assert run('--since', '@1') == 2 and run('--until', '@1', '--yes') == 2
    assert run('--since', '@5', '--until', '@2', '--yes') == 1 and run('--since', '@999999', '--until', '@999999', '--yes') == 1
    assert run('--since', 'nonsense at all', '--until', '0s', '--yes') == 1


def test_one_folder(box):
    at = box.last()
    with box.client('phone') as m:
        for name in ('Projects', 'INBOX'):
            m.ok(f'SELECT {name}')
            m.ok('STORE 1:* +FLAGS (\\Answered)')
        m.ok('MOVE 1 Projects')
        m.ok('MOVE 1 Trash')
    box.undo(at + 1, None, '--folder', 'Projects')
    state = box.state()[0]
    assert len(state[b'INBOX']) == 3 and len(state[b'Projects']) == 12 and len(state[b'Trash']) == 1
    assert not any(b'\\Answered' in f for _, f in state[b'Projects']) and any(b'\\Answered' in f for _, f in state[b'INBOX'])
