"""perdura undo: a range of changes is reversed, by time, client and session; what was changed again since stays."""
import itertools
import json

import pytest
from imap_client import login, mail, parse
from node import Node

ADDRESS = 'ida@example.org'
numbers = itertools.count()


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    with Node(tmp_path_factory.mktemp('undo')) as n:
        n.address = ADDRESS
        yield n


@pytest.fixture
def box(server):
    """An account of the test's own with three folders and some mail."""
    b = Box(server, f'ida{next(numbers)}@example.org')
    with b.client('setup') as m:
        m.ok('CREATE Projects')
        m.ok('CREATE Projects/North')
        m.ok('SUBSCRIBE Projects')
        for i in range(12):
            m.append('Projects', mail(f'p{i}', body=f'p {i}\r\n'), flags='\\Flagged blue' if i % 3 == 0 else '\\Seen')
        for i in range(4):
            m.append('INBOX', mail(f'i{i}', body=f'i {i}\r\n'))
        m.append('Projects/North', mail('n0'))
    return b


class Box:
    def __init__(self, node, address):
        self.node, self.address = node, address
        node.add(address)

    def client(self, name):
        m = login(self.node, self.address)
        m.ok(f'ID ("name" "{name}" "version" "1")')
        return m

    def state(self):
        """Every folder's messages as (subject, flags), and the subscribed names."""
        with login(self.node, self.address) as m:
            out = {}
            for line in m.ok('LIST "" *').lines('LIST'):
                attributes, _, name = parse(line)
                if b'\\Noselect' in attributes or b'\\NonExistent' in attributes:
                    out[name] = None
                    continue
                exists = m.ok(f'EXAMINE "{name.decode()}"').numbers('EXISTS')[0]
                got = m.fetch('1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])') if exists else []
                out[name] = sorted((f['BODY[HEADER.FIELDS (SUBJECT)]'].strip(), tuple(sorted(set(f['FLAGS']) - {b'\\Recent'})))
                                   for _, f in got)
            subscribed = sorted(parse(line)[2] for line in m.ok('LSUB "" *').lines('LSUB'))
        return out, subscribed

    def ids(self, name):
        """EMAILIDs are not told by every server version: what stands in the body tells messages apart."""
        with login(self.node, self.address) as m:
            return m.ok(f'STATUS "{name}" (MESSAGES UIDNEXT UIDVALIDITY)').lines('STATUS')

    def last(self):
        return json.loads(self.node.perdura('--json', 'history', self.address).splitlines()[-1])['last']

    def undo(self, first, last=None, *more, code=0):
        r = self.node.run('--json', 'undo', self.address, '--since', f'@{first}', '--until', f'@{last or self.last()}', '--yes', *more)
        assert r.returncode == code, (r.stdout, r.stderr)
        return json.loads(r.stdout) if code == 0 else r.stderr

    def check(self):
        self.node.perdura('check')


def lose_messages(m):
    m.ok('SELECT Projects')
    m.ok('STORE 1:8 +FLAGS (\\Deleted)')
    m.ok('EXPUNGE')


def change_flags(m):
    m.ok('SELECT Projects')
    m.ok('STORE 1:6 FLAGS (\\Answered green)')
    m.ok('STORE 7:8 +FLAGS (\\Draft blue)')
    m.ok('STORE 9:12 -FLAGS (\\Seen \\Flagged)')


def move_messages(m):
    m.ok('SELECT Projects')
    m.ok('MOVE 1:5 Trash')
    m.ok('COPY 1:2 INBOX')
    m.ok('SELECT Trash')
    m.ok('MOVE 1:2 Archive')
    m.ok('SELECT INBOX')
    m.ok('MOVE 1:2 INBOX')


def delete_folders(m):
    m.ok('DELETE Projects')
    m.ok('UNSUBSCRIBE Projects')
    m.ok('DELETE Projects/North')


def rename_folders(m):
    m.ok('RENAME Projects Work')
    m.ok('RENAME Work/North Elsewhere/South')
    m.ok('CREATE Projects')
    m.append('Projects', mail('new'))


def swap_folders(m):
    m.ok('RENAME Projects/North T')
    m.ok('RENAME Projects North')
    m.ok('RENAME T Projects')


def make_folders(m):
    m.ok('CREATE New/One')
    m.append('New/One', mail('new'))
    m.ok('SELECT INBOX')
    m.ok('COPY 1:4 New/One')
    m.ok('MOVE 1:2 New')
    m.ok('SUBSCRIBE New/One')


def empty_trash(m):
    m.ok('SELECT INBOX')
    m.ok('MOVE 1:3 Trash')
    m.ok('SELECT Trash')
    m.ok('STORE 1:2 +FLAGS (\\Deleted)')
    m.ok('EXPUNGE')


def rename_inbox(m):
    m.ok('RENAME INBOX Old')


def make_and_drop(m):
    m.ok('CREATE P2')
    m.ok('SELECT Projects')
    m.ok('MOVE 1:12 P2')
    m.ok('CLOSE')
    m.ok('DELETE Projects/North')
    m.ok('DELETE Projects')
    m.ok('RENAME P2 Projects')


LOSSES = [lose_messages, change_flags, move_messages, delete_folders, rename_folders, swap_folders, make_folders, empty_trash,
          rename_inbox, make_and_drop]


@pytest.mark.parametrize('lose', LOSSES, ids=lambda f: f.__name__)
def test_undo_and_undo_of_undo(box, lose):
    before, at = box.state(), box.last()
    with box.client('phone') as m:
        lose(m)
    after, end = box.state(), box.last()
    assert after != before
    dry = box.undo(at + 1, end, '--dry-run')
    assert box.last() == end and box.state() == after
    did = box.undo(at + 1, end)
    assert did['skipped'] == 0 and {k: v for k, v in dry.items() if k != 'dry_run'} == {k: v for k, v in did.items() if k != 'dry_run'}
    assert box.state() == before
    assert 'undo' not in box.node.run('check').stderr
    box.check()
    undone = box.last()
    box.undo(end + 1, undone)
    assert box.state() == after
    box.undo(undone + 1)
    assert box.state() == before
    box.check()


def test_all_of_them_at_once(box):
    before, at = box.state(), box.last()
    with box.client('phone') as m:
        lose_messages(m)
        make_folders(m)
        rename_folders(m)
        change = box.last()
        m.ok('SELECT Work')
        m.ok('MOVE 1:2 New/One')
        m.ok('STORE 1:2 +FLAGS (\\Answered)')
        m.ok('CLOSE')
        m.ok('DELETE Work')
    after, end = box.state(), box.last()
    assert box.undo(at + 1)['skipped'] == 0
    assert box.state() == before and change
    box.undo(end + 1)
    assert box.state() == after
