"""Folders: LIST, LSUB, CREATE, DELETE, RENAME, STATUS, SELECT; names of all kinds, hostile ones too."""
import re
import uuid

import pytest
from imap_client import folder, login, mail, parse, quote


def listed(answer, word='LIST'):
    """{name: set of attributes}"""
    out = {}
    for line in answer.lines(word):
        attributes, separator, name = parse(line)
        assert separator == b'/'
        out[name.decode()] = {a.decode() for a in attributes}
    return out


@pytest.fixture
def base(node):
    """A session, and the name of a folder of its own to make folders below."""
    name = 'B' + uuid.uuid4().hex[:12]
    with login(node) as m:
        m.ok(f'CREATE {name}')
        yield m, name


def test_new_account(node):
    with login(node, node.other) as m:
        a = listed(m.ok('LIST "" *'))
        assert {'INBOX', 'Drafts', 'Sent', 'Junk', 'Trash', 'Archive'} <= set(a)
        for use in ('Drafts', 'Sent', 'Junk', 'Trash', 'Archive'):
            assert '\\' + use in a[use] and '\\HasNoChildren' in a[use]
        assert {'INBOX', 'Drafts', 'Sent', 'Junk', 'Trash', 'Archive'} <= set(listed(m.ok('LSUB "" *'), 'LSUB'))
        assert list(listed(m.ok('LIST "" *')))[0] == 'INBOX'


def test_separator(node):
    with login(node) as m:
        assert m.ok('LIST "" ""').lines('LIST') == [b'(\\Noselect) "/" ""']
        assert m.ok('LIST "foo" ""').lines('LIST') == [b'(\\Noselect) "/" ""']


def test_create_list_delete(base):
    m, b = base
    m.ok(f'CREATE {b}/x/y/')
    a = listed(m.ok(f'LIST "" {b}*'))
    assert a == {b: {'\\HasChildren'}, f'{b}/x': {'\\HasChildren'}, f'{b}/x/y': {'\\HasNoChildren'}}
    assert list(listed(m.ok(f'LIST "" {b}/%'))) == [f'{b}/x']
    assert list(listed(m.ok(f'LIST {b}/ %'))) == [f'{b}/x']
    assert list(listed(m.ok(f'LIST {b} /%/%'))) == [f'{b}/x/y']
    m.no(f'CREATE {b}/x', 'ALREADYEXISTS')
    m.ok(f'DELETE {b}/x')  # has children: stays as a name
    assert listed(m.ok(f'LIST "" {b}/x')) == {f'{b}/x': {'\\Noselect', '\\HasChildren'}}
    m.no(f'SELECT {b}/x')
    m.no(f'STATUS {b}/x (MESSAGES)')
    m.ok(f'DELETE {b}/x/y')
    m.no(f'DELETE {b}/x/y', 'NONEXISTENT')
    m.no(f'SELECT {b}/x/y', 'NONEXISTENT')


def test_create_with_special_use(base):
    m, b = base
    m.no(f'CREATE {b}/out (USE (\\Sent))', 'USEATTR')  # the account's Sent is for that
    m.no(f'CREATE {b}/out (USE (\\Foo))', 'USEATTR')
    m.no(f'CREATE {b}/out (USE (\\All \\Sent))', 'USEATTR')
    assert m.ok(f'LIST "" {b}/*').lines('LIST') == []
    m.ok('DELETE Sent')
    assert m.ok(f'CREATE {b}/out (USE (\\Sent))').code().startswith('MAILBOXID (m')
    assert '\\Sent' in listed(m.ok(f'LIST "" {b}/out'))[f'{b}/out']
    m.ok(f'DELETE {b}/out')
    m.ok('CREATE Sent (USE (\\sent))')
    m.ok(f'CREATE {b}/none (USE ())')
    m.bad(f'CREATE {b}/out3 (USE \\Sent)')
    m.bad(f'CREATE {b}/out3 (FOO (\\Sent))')


@pytest.mark.parametrize('name', ['inbox', 'Inbox', 'iNbOx'])
def test_inbox_in_any_case(node, name):
    with login(node) as m:
        m.ok(f'SELECT {name}')
        assert m.ok(f'STATUS {name} (MESSAGES)').lines('STATUS')[0].startswith(b'"INBOX"')
        assert list(listed(m.ok(f'LIST "" {name}'))) == ['INBOX']
        m.no(f'CREATE {name}')
        m.no(f'DELETE {name}')


def test_below_inbox(node):
    with login(node) as m:
        part = uuid.uuid4().hex[:8]
        m.ok(f'CREATE inbox/{part}')
        assert list(listed(m.ok(f'LIST "" "InBox/%"'))).count(f'INBOX/{part}') == 1
        m.ok(f'SELECT iNBOX/{part}')
        m.ok(f'DELETE INBOX/{part}')


@pytest.mark.parametrize('name', [
    '""', '../x', 'a/../b', '.', '..', 'a//b', '/a', '#x', '#at', '#at/2h/x', '"a%b"', '"a*b"', '"a\x01b"', '&', '&AGE-', '&!!-', 'a&b', '&2AA-',
    '"\xff\xfe"', '"a\tb"', 'x' * 10000, '"' + 'x' * 10000 + '"', '{10000+}\r\n' + 'y' * 10000, '/'.join('x' * 60), 'x' * 300, '/',
])
def test_hostile_names(node, name):
    with login(node) as m:
        for command in ('CREATE', 'RENAME Drafts'):
            a = m.ask(f'{command} {name}')
            assert a.status in ('NO', 'BAD'), a
        for command in ('SELECT', 'EXAMINE', 'DELETE'):
            assert m.ask(f'{command} {name}').status in ('NO', 'BAD')
        assert m.ask(f'STATUS {name} (MESSAGES)').status in ('NO', 'BAD')
        assert m.ask(f'APPEND {name} {{3+}}\r\nabc').status in ('NO', 'BAD')
        assert {'INBOX', 'Drafts'} <= set(listed(m.ok('LIST "" *')))


@pytest.mark.parametrize('pattern', ['*' * 10000, '%/' * 3000, '"' + '*a' * 450 + '"', '&', '"\\"\\\\"', '{3+}\r\n*%*'])
def test_hostile_patterns(node, pattern):
    with login(node) as m:
        assert m.ask(f'LIST "" {pattern}').status in ('OK', 'NO')
        assert m.ask(f'LSUB "" {pattern}').status in ('OK', 'NO')


@pytest.mark.parametrize('utf8,utf7', [
    ('Entwürfe', 'Entw&APw-rfe'), ('台北', '&U,BTFw-'), ('a & b', 'a &- b'), ('📧 mail', '&2D3c5w- mail'), ('quote"back\\', 'quote"back\\'),
    ('~peter/mail/台北/日本語', '~peter/mail/&U,BTFw-/&ZeVnLIqe-'), ('x)(y {3}', 'x)(y {3}'),
])
def test_utf7(base, utf8, utf7):
    m, b = base
    m.ok('CREATE ' + quote(f'{b}/{utf7}'))
    assert f'{b}/{utf7}' in listed(m.ok(f'LIST "" {b}/*'))
    assert len(listed(m.ok('LIST "" ' + quote(f'{b}/{utf7}')))) == 1
    m.ok('SUBSCRIBE ' + quote(f'{b}/{utf7}'))
    assert f'{b}/{utf7}' in listed(m.ok(f'LSUB "" {b}/*'), 'LSUB')
    m.ok('SELECT ' + quote(f'{b}/{utf7}'))
    assert m.ok('STATUS ' + quote(f'{b}/{utf7}') + ' (MESSAGES)').lines('STATUS')


def test_subscriptions(base):
    m, b = base
    m.ok(f'SUBSCRIBE {b}/no/such/folder')
    m.ok(f'SUBSCRIBE {b}/other')
    assert set(listed(m.ok(f'LSUB "" {b}*'), 'LSUB')) == {f'{b}/no/such/folder', f'{b}/other'}
    assert listed(m.ok(f'LSUB "" {b}/%'), 'LSUB') == {f'{b}/no': {'\\Noselect'}, f'{b}/other': set()}
    assert listed(m.ok(f'LSUB "" {b}/%/%'), 'LSUB') == {f'{b}/no/such': {'\\Noselect'}}
    assert listed(m.ok(f'LSUB "" {b}%'), 'LSUB') == {b: {'\\Noselect'}}
    m.ok(f'SUBSCRIBE {b}/no')
    assert listed(m.ok(f'LSUB "" {b}/%'), 'LSUB') == {f'{b}/no': set(), f'{b}/other': set()}
    m.ok(f'UNSUBSCRIBE {b}/no')
    m.ok(f'UNSUBSCRIBE {b}/no/such/folder')
    assert set(listed(m.ok(f'LSUB "" {b}*'), 'LSUB')) == {f'{b}/other'}
    m.ask(f'UNSUBSCRIBE {b}/no')


def test_rename(base):
    m, b = base
    m.ok(f'CREATE {b}/a/b')
    m.append(f'{b}/a/b', mail('moves along'))
    m.ok(f'RENAME {b}/a {b}/z/y')
    assert set(listed(m.ok(f'LIST "" {b}/*'))) == {f'{b}/z', f'{b}/z/y', f'{b}/z/y/b'}
    m.ok(f'SELECT {b}/z/y/b')
    assert m.search('SUBJECT moves') == [1]
    m.no(f'RENAME {b}/a {b}/q', 'NONEXISTENT')
    m.no(f'RENAME {b}/z/y/b {b}/z', 'ALREADYEXISTS')
    assert m.ask(f'RENAME {b}/z {b}/z/y/inside').status == 'NO'


def test_rename_inbox(node):
    with login(node) as m:
        name = 'R' + uuid.uuid4().hex[:8]
        m.append('INBOX', mail('was in inbox'))
        m.ok(f'RENAME INBOX {name}')
        m.ok(f'SELECT {name}')
        assert m.search('SUBJECT "was in inbox"')
        assert m.ok('SELECT INBOX').numbers('EXISTS') == [0]


def test_select_answers(node):
    with folder(node) as (m, name):
        for i in range(3):
            m.append(name, mail(), flags='\\Seen' if i == 0 else '')
        a = m.ok(f'EXAMINE {name}')
        assert a.code() == 'READ-ONLY' and a.numbers('EXISTS') == [3]
        codes = dict(re.match(rb'OK \[([A-Z]+) ?([^\]]*)\]', u).groups() for u in a.untagged if u.startswith(b'OK ['))
        assert codes[b'UNSEEN'] == b'2' and codes[b'UIDNEXT'] == b'4' and int(codes[b'UIDVALIDITY']) > 0
        assert codes[b'PERMANENTFLAGS'] == b'()'
        a = m.ok(f'SELECT {name}')
        assert a.code() == 'READ-WRITE'
        flags = a.lines('FLAGS')[0]
        for f in (b'\\Seen', b'\\Answered', b'\\Flagged', b'\\Deleted', b'\\Draft'):
            assert f in flags
        assert any(b'PERMANENTFLAGS (' in u and b'\\*)]' in u for u in a.untagged)
        assert a.numbers('RECENT') == [3] or a.numbers('RECENT') == [0]


def test_recent_is_for_the_first(node):
    with login(node) as m:
        name = 'N' + uuid.uuid4().hex[:8]
        m.ok(f'CREATE {name}')
        m.append(name, mail())
        assert m.ok(f'EXAMINE {name}').numbers('RECENT') == [1]
        assert m.ok(f'EXAMINE {name}').numbers('RECENT') == [1]
        assert b'RECENT 1' in m.ok(f'STATUS {name} (RECENT)').lines('STATUS')[0]
        assert m.ok(f'SELECT {name}').numbers('RECENT') == [1]
        with login(node, select=name) as other:
            assert other.search('RECENT') == []
            assert m.search('RECENT') == [1] and m.search('NEW') == [1] and m.search('OLD') == []
        assert m.ok(f'SELECT {name}').numbers('RECENT') == [0]
        assert b'RECENT 0' in m.ok(f'STATUS {name} (RECENT)').lines('STATUS')[0]


def test_keywords_are_listed(node):
    with folder(node) as (m, name):
        m.append(name, mail(), flags='MyWord $Forwarded')
        flags = m.ok(f'SELECT {name}').lines('FLAGS')[0]
        assert b'MyWord' in flags and b'$Forwarded' in flags


def test_status_of_selected_is_current(node):
    with folder(node) as (m, name), login(node) as other:
        for i in range(3):
            other.append(name, mail(), flags='\\Seen' if i else '')
            line = m.ok(f'STATUS {name} (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)').lines('STATUS')[0]
            assert b'(MESSAGES %d UIDNEXT %d UIDVALIDITY ' % (i + 1, i + 2) in line and b'UNSEEN 1)' in line


def test_failed_select_leaves_nothing_selected(node):
    with folder(node) as (m, name):
        m.no('SELECT nonexistent', 'NONEXISTENT')
        m.bad('FETCH 1 FLAGS')


def test_deleted_while_selected(node):
    with folder(node) as (m, name), login(node) as other:
        other.ok(f'DELETE {name}')
        m.send('x NOOP\r\n')
        assert b'BYE' in m.ends()
    with folder(node) as (m, name):
        m.ok(f'DELETE {name}')
        m.ok('NOOP')
        m.bad('CHECK')


def test_deleted_and_made_again_is_another(node):
    with login(node) as m:
        name = 'V' + uuid.uuid4().hex[:8]
        seen = set()
        for _ in range(3):
            m.ok(f'CREATE {name}')
            a = m.ok(f'SELECT {name}')
            seen.add(next(u for u in a.untagged if b'UIDVALIDITY' in u))
            m.append(name, mail())
            m.ok('UNSELECT')
            m.ok(f'DELETE {name}')
        assert len(seen) == 3
