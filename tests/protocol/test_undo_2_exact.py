"""perdura restore --exact: the state becomes what it was; what was delivered since stays, unless asked otherwise."""
import pytest
from imap_client import mail
from lmtp_client import Lmtp
from test_undo_1_range import LOSSES, Box, box, lose_messages, server  # noqa: F401


def exact(box, at, *more):
    return box.node.json('restore', box.address, '--at', f'@{at}', '--exact', '--yes', *more)


@pytest.mark.parametrize('lose', LOSSES, ids=lambda f: f.__name__)
def test_everything_as_it_was(box, lose):
    before, at = box.state(), box.last()
    with box.client('phone') as m:
        lose(m)
    after, end = box.state(), box.last()
    dry = exact(box, at, '--dry-run')
    assert box.last() == end
    did = exact(box, at)
    assert box.state() == before
    assert {k: v for k, v in dry.items() if k != 'dry_run'} == {k: v for k, v in did.items() if k != 'dry_run'}
    box.check()
    again, done = exact(box, at), box.last()
    assert box.state() == before and not any(again[k] for k in ('folders', 'messages', 'flags', 'removed', 'folders_removed'))
    exact(box, end)
    assert box.state() == after
    box.undo(end + 1, done)
    box.check()


def deliver(box, subject, to=None):
    with Lmtp(box.node.lmtp) as l:
        l.deliver(mail(subject).encode(), to or box.address)


def test_deliveries_stay(box):
    before, at = box.state(), box.last()
    deliver(box, 'came')
    with box.client('phone') as m:
        m.ok('CREATE Later')
        m.append('Later', mail('appended'))
        m.ok('SELECT INBOX')
        m.ok('MOVE 5 Later')
        m.ok('COPY 1 Later')
        m.ok('CREATE Empty')
    did = exact(box, at)
    state = box.state()
    assert did['kept'] == 1 and did['removed'] == 2 and did['folders_removed'] == 1
    assert state[0].pop(b'Later') == [(b'Subject: came', ())] and state == before
    did = exact(box, at, '--with-deliveries')
    assert did['kept'] == 0 and box.state() == before
    box.check()


def test_only_one_folder(box):
    """What lies elsewhere stays; what was moved in from elsewhere is not removed."""
    before, at = box.state(), box.last()
    with box.client('phone') as m:
        lose_messages(m)
        m.append('Projects', mail('appended'))
        m.append('INBOX', mail('elsewhere'))
        m.ok('SELECT INBOX')
        m.ok('MOVE 1 Projects')
    did = exact(box, at, '--folder', 'Projects')
    state = box.state()[0]
    assert did['kept'] == 1 and len(state[b'INBOX']) == 4
    assert sorted(set(state[b'Projects']) - set(before[0][b'Projects'])) == [(b'Subject: i0', ())]
    assert len(state[b'Projects']) == 13


def test_wrong_usage(box):
    for words in (['--exact', '--match', 'x'], ['--exact', '--into', 'X'], ['--with-deliveries']):
        assert box.node.run('restore', box.address, '--at', '0s', '--yes', *words).returncode == 2
