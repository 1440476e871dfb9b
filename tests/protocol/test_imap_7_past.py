"""The past as folders: #at/WHEN/... is what was there, can be read and copied out, and cannot be changed."""
import math
import time
import uuid

import pytest
from imap_client import folder, login, mail, parse


def now():
    """An instant between what was done and what is done next."""
    time.sleep(0.002)
    t = time.time_ns() // 1000
    time.sleep(0.002)
    return time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(t // 1000000)) + f'.{t % 1000000:06d}Z'


def names(answer):
    return [parse(line)[2].decode() for line in answer.lines('LIST')]


@pytest.fixture
def lost(node):
    """A folder that had three messages; one was expunged, one flagged anew, one came later. Gives (session, name, WHEN)."""
    with folder(node) as (m, name):
        for i in range(3):
            m.append(name, mail(f'm{i}', body=f'body {i}\r\n'), flags='\\Flagged k1' if i == 1 else '\\Deleted' if i == 2 else '')
        when = now()
        m.ok('STORE 1 FLAGS (\\Seen later)')
        m.ok('EXPUNGE')
        m.ok('STORE 2 +FLAGS (\\Deleted)')
        m.ok('EXPUNGE')
        m.append(name, mail('m3'))
        yield m, name, when


def test_select(lost):
    m, name, when = lost
    a = m.ok(f'SELECT "#at/{when}/{name}"')
    text = b' '.join(a.untagged)
    assert a.code() == 'READ-ONLY' and a.numbers('EXISTS') == [3] and a.numbers('RECENT') == [0]
    assert b'[PERMANENTFLAGS ()]' in text and b'[NOMODSEQ]' in text
    validity = next(u for u in a.untagged if b'UIDVALIDITY' in u)
    got = m.fetch('1:* (UID FLAGS BODY[TEXT])')
    assert [(int(f['UID']), set(f['FLAGS']), f['BODY[TEXT]']) for _, f in got] == [
        (1, set(), b'body 0\r\n'), (2, {b'\\Flagged', b'k1'}, b'body 1\r\n'), (3, {b'\\Deleted'}, b'body 2\r\n')]
    assert m.search('FLAGGED') == [2] and m.search('SUBJECT m2') == [3] and m.search('BODY "body 1"') == [2]
    assert m.ok('NOOP').untagged == []
    assert validity in m.ok(f'SELECT {name}').untagged
    assert [int(f['UID']) for _, f in m.fetch('1:* UID')] == [1, 4]


def test_copy_out(lost):
    m, name, when = lost
    m.ok(f'EXAMINE "#at/{when}/{name}"')
    a = m.ok(f'UID COPY 1:* {name}')
    assert 'COPYUID' in a.text and a.text.split()[2] == '1:3'
    m.ok(f'SELECT {name}')
    got = m.fetch('3:5 (FLAGS BODY.PEEK[TEXT])')
    assert [set(f['FLAGS']) - {b'\\Recent'} for _, f in got] == [set(), {b'\\Flagged', b'k1'}, set()]
    assert [f['BODY[TEXT]'] for _, f in got] == [f'body {i}\r\n'.encode() for i in range(3)]


@pytest.mark.parametrize('command', ['STORE 1 +FLAGS (\\Seen)', 'STORE 1 FLAGS.SILENT ()', 'EXPUNGE', 'UID EXPUNGE 1', 'MOVE 1 INBOX', 'UID MOVE 1 INBOX',
                                     'COPY 1 "{past}"', 'CREATE "{past}"', 'CREATE "{past}/x"', 'DELETE "{past}"', 'RENAME "{past}" other', 'RENAME Drafts "{past}x"',
                                     'APPEND "{past}" {{3+}}\r\nabc', 'APPEND "{past}" {{3}}'])
def test_read_only(lost, command):
    m, name, when = lost
    past = f'#at/{when}/{name}'
    m.ok(f'SELECT "{past}"')
    a = m.no(command.format(past=past), 'CANNOT')
    assert 'the past is read-only: copy it out instead' in a.text
    assert len(m.fetch('1:* UID')) == 3
    m.ok('CLOSE')
    assert m.ok(f'SELECT "{past}"').numbers('EXISTS') == [3]


def test_status_and_subscribe(lost):
    m, name, when = lost
    past = f'#at/{when}/{name}'
    line = m.ok(f'STATUS "{past}" (MESSAGES UNSEEN RECENT)').lines('STATUS')[0]
    assert line == f'"{past}" (MESSAGES 3 RECENT 0 UNSEEN 3)'.encode()
    m.ok(f'SUBSCRIBE "{past}"')
    assert any(past.encode() in line for line in m.ok('LSUB "" "*"').lines('LSUB'))
    m.ok(f'UNSUBSCRIBE "{past}"')


def test_deleted_folder_and_tree(node):
    with login(node) as m:
        base = 'P' + uuid.uuid4().hex[:10]
        m.ok(f'CREATE {base}/sub/&ZeVnLIqe-')
        m.append(f'{base}/sub/&ZeVnLIqe-', mail('kept'))
        when = now()
        m.ok(f'RENAME {base}/sub {base}/renamed')
        m.ok(f'DELETE {base}/renamed/&ZeVnLIqe-')
        past = f'#at/{when}'
        assert names(m.ok(f'LIST "" "{past}/{base}*"')) == [f'{past}/{base}', f'{past}/{base}/sub', f'{past}/{base}/sub/&ZeVnLIqe-']
        assert names(m.ok(f'LIST "{past}/" "{base}/%"')) == [f'{past}/{base}/sub']
        assert f'{past}/INBOX' in names(m.ok(f'LIST "" "{past}/%"'))
        assert b'\\Sent' not in b' '.join(m.ok(f'LIST "" "{past}/*"').lines('LIST'))
        assert names(m.ok(f'LIST "" "{past}"')) == [past]
        m.ok(f'SELECT "{past}/{base}/sub/&ZeVnLIqe-"')
        assert m.search('SUBJECT kept') == [1]
        m.no(f'SELECT "{past}/{base}/renamed"', 'NONEXISTENT')
        m.ok(f'CREATE {base}/back')
        m.ok(f'SELECT "{past}/{base}/sub/&ZeVnLIqe-"')
        m.ok(f'COPY 1 {base}/back')


def test_inbox_of_the_past_in_any_case(node):
    with login(node) as m:
        when = now()
        for inbox in ('INBOX', 'inbox', 'Inbox'):
            m.ok(f'EXAMINE "#at/{when}/{inbox}"')


def test_not_in_list(node):
    with login(node) as m:
        assert not [n for n in names(m.ok('LIST "" "*"')) if n.startswith('#')]
        assert not [n for n in names(m.ok('LIST "" "%"')) if n.startswith('#')]
        assert not [n for n in names(m.ok('LIST "" "#at/*"')) if n.count('/') > 1]
        m.ok('LIST "" "#at/%"')
        assert m.ok('LIST "" "#%"').lines('LIST') == []


@pytest.mark.parametrize('when', ['2099-01-01T00:00:00Z', '1999-01-01T00:00:00Z', '99999w', 'nosuchsnapshot', '@0', '@99999999', 'NOT A TIME', '-1h', '%', '*', '',
                                  '2026-13-45T99:99:99Z', '&ZeVnLIqe-', '../x'])
def test_wrong_when(node, when):
    with login(node) as m:
        for command in (f'SELECT "#at/{when}/INBOX"', f'EXAMINE "#at/{when}/INBOX"', f'STATUS "#at/{when}/INBOX" (MESSAGES)', f'SELECT "#at/{when}"'):
            a = m.ask(command)
            assert a.status == 'NO', a
        assert m.ask(f'LIST "" "#at/{when}/INBOX"').status in ('NO', 'OK')
        m.ok('NOOP')
    with login(node) as m:
        for name in ('#at', '#at/', '#AT/2h/INBOX', '#other/x'):
            assert m.ask(f'SELECT "{name}"').status == 'NO'


def test_by_age_and_by_change(node):
    with folder(node) as (m, name):
        m.append(name, mail())
        time.sleep(2.1)
        second = time.monotonic()
        m.append(name, mail())
        age = math.ceil(time.monotonic() - second) + 1  # what it is now: a busy server may have taken its time, and may again
        assert m.ok(f'SELECT "#at/{age}s/{name}"').numbers('EXISTS') == [1]
