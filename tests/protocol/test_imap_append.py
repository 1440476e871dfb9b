"""APPEND of several messages (RFC 3502) and REPLACE (RFC 8508): cut anywhere, over each limit, beside each other."""
import imaplib
import json
import shlex
import time

import pytest
from imap_client import Closed, folder, login, mail
from node import PASSWORD

MANY = 'APPEND {} {{6+}}\r\nabc\r\n\r (\\Seen) "01-Feb-2020 10:00:00 +0000" {{3+}}\r\ndef {{4+}}\r\n\r\n\r\n'


@pytest.fixture(scope='module')
def user(node):
    """An account of its own."""
    return node.add('append@example.org')[0]


def sizes(m, name):
    a = m.ok(f'STATUS {name} (MESSAGES SIZE)')
    return a.lines('STATUS')[0].split(b'(')[1]


def test_byte_by_byte(node):
    with folder(node) as (m, name):
        for b in f'a {MANY.format(name)}\r\n':
            m.send(b)
            time.sleep(0.001)
        assert m.wait('a').status == 'OK'
        assert [f['RFC822.SIZE'] for _, f in m.fetch('1:3 (RFC822.SIZE FLAGS)')] == [b'6', b'3', b'4']


def test_pipelined_behind(node):
    with folder(node) as (m, name):
        m.send(f'a {MANY.format(name)}\r\nb {MANY.format(name)}\r\nc NOOP\r\n')
        assert [m.wait(t).status for t in 'abc'] == ['OK', 'OK', 'OK']
        assert len(m.search('ALL')) == 6


def test_number(node):
    with folder(node) as (m, name):
        m.ok(f'APPEND {name}' + ' {4+}\r\nabcd' * 64)
        m.no(f'APPEND {name}' + ' {4+}\r\nabcd' * 65, 'LIMIT')
        m.no(f'APPEND {name}' + ' {4+}\r\nabcd' * 2000, 'LIMIT')
        tag = m.start(f'APPEND {name}' + ' {4+}\r\nabcd' * 64 + ' {4}')
        assert m.wait(tag).code() == 'LIMIT'
        m.ok('NOOP')
        assert len(m.search('ALL')) == 64


def test_sizes(node, user):
    node.perdura('account', 'set', user, 'message.max=2000')
    with login(node, user) as m:
        m.no('APPEND INBOX {4+}\r\nabcd {2001+}\r\n' + 'x' * 2001 + ' {4+}\r\nabcd', 'TOOBIG')
        m.ok('APPEND INBOX {1500+}\r\n' + 'x' * 1500 + ' {1500+}\r\n' + 'x' * 1500)
        m.ok('SELECT INBOX')
        m.no('REPLACE 1 INBOX {2001+}\r\n' + 'x' * 2001, 'TOOBIG')
        assert sizes(m, 'INBOX') == b'MESSAGES 2 SIZE 3000)'
    node.perdura('account', 'set', user, 'message.max=')


def test_bytes_together(node):
    """Nothing is kept of what is refused, and a client that goes on sending it is told so."""
    with folder(node) as (m, name):
        many = b'x' * (32 << 20)
        tag = m.start(f'APPEND {name} {{4}}')
        for i in range(8):
            assert m.response().startswith(b'+')
            m.send((many if i else b'abcd') + b' {%d}\r\n' % len(many))
        assert m.wait(tag).code() == 'LIMIT'
        assert m.search('ALL') == []


def test_quota_of_all(node, user):
    """Quota is held against all of them, and REPLACE is charged for what it adds."""
    with login(node, user) as m:
        m.ok('CREATE quota')
        node.perdura('account', 'set', user, 'quota=20K')
        ten = mail(body='y' * 10000)
        m.ok(f'APPEND quota {{{len(ten)}+}}\r\n{ten}')
        before = sizes(m, 'quota')
        m.no('APPEND quota {6000+}\r\n' + 'x' * 6000 + ' {6000+}\r\n' + 'x' * 6000, 'OVERQUOTA')
        m.no('APPEND quota {12000+}\r\n' + 'x' * 12000 + ' {12000+}\r\n' + 'x' * 12000, 'OVERQUOTA')
        assert sizes(m, 'quota') == before
        m.ok('SELECT quota')
        m.no('REPLACE 1 quota {20000+}\r\n' + 'x' * 20000, 'OVERQUOTA')
        assert sizes(m, 'quota') == before
        m.ok('REPLACE 1 quota {14000+}\r\n' + 'x' * 14000)
        assert sizes(m, 'quota') == b'MESSAGES 1 SIZE 14000)'
    node.perdura('account', 'set', user, 'quota=')


def test_refused_for_long(node):
    """What is refused is read away, up to a bound."""
    with folder(node) as (m, name):
        piece = '{1000000+}\r\n' + 'x' * 1000000
        with pytest.raises((Closed, ConnectionError)):
            with login(node) as other:
                other.send('a APPEND INBOX {0+}\r\n')
                for _ in range(100):
                    other.send(' ' + piece)
                other.send('\r\n')
                other.wait('a')
                other.ok('NOOP')
        m.ok('NOOP')


def test_replace_is_one_change(node, user):
    """History tells of it as one thing, and undo brings the one back for the other."""
    with login(node, user) as m:
        m.ok('CREATE drafts')
        m.append('drafts', mail('first'))
    with login(node, user, select='drafts') as m:
        text = mail('second')
        m.ok(f'REPLACE 1 drafts (\\Draft) {{{len(text)}+}}\r\n{text}')
    event = json.loads(node.perdura('history', user, '--json').splitlines()[-1])
    assert event['first'] == event['last'] and 'saved 1 message to drafts' in str(event) and 'deleted 1 message from drafts' in str(event)
    node.perdura(*shlex.split(event['undo'])[1:], '--yes')
    with login(node, user, select='drafts') as m:
        assert [m.search(f'SUBJECT {x}') for x in ('first', 'second')] == [[1], []]


def test_others_are_told(node):
    with folder(node) as (m, name), login(node, select=name) as other:
        m.append(name, mail('one'))
        other.ok('NOOP')
        text = mail('two')
        m.ok('NOOP')
        a = m.ok(f'REPLACE 1 {name} {{{len(text)}+}}\r\n{text}')
        assert a.numbers('EXPUNGE') == [1] and a.numbers('EXISTS') == [1]
        b = other.ok('NOOP')
        assert b.numbers('EXPUNGE') == [1] and b.numbers('EXISTS') == [1]
        assert other.search('SUBJECT two') == [1]


def test_two_replace_the_same(node):
    with folder(node) as (m, name), login(node, select=name) as other:
        m.append(name, mail('one'))
        other.ok('NOOP')
        text = mail('two')
        m.ok(f'UID REPLACE 1 {name} {{{len(text)}+}}\r\n{text}')
        other.no(f'UID REPLACE 1 {name} {{{len(text)}+}}\r\n{text}', 'EXPUNGEISSUED')
        assert len(m.search('ALL')) == 1


def test_utf8_wrapped(node):
    """What Python's imaplib sends, its UTF8 (...) within the literal, in whatever pieces it comes; and nothing else is touched."""
    text = 'Subject: größe (1)\r\n\r\nx)\r\n'.encode()
    cases = [(b'UTF8 (' + text + b')', text), (text, text), (b'UTF8', b'UTF8'), (b'UTF8 x (y)', b'UTF8 x (y)'), (b'UTF8 (', None), (b'UTF8 ()', b''),
             (b'UTF8 (' + text, None), (b'UTF8 (y)\r\n', None), (b' UTF8 (y)', b' UTF8 (y)'), (b'U', b'U'), (b'UTF8 (y))', b'y)')]
    for sent, kept in cases:
        for pieces in (False, True):
            with folder(node) as (m, name):
                m.ok('ENABLE UTF8=ACCEPT')
                m.send(f'a APPEND {name} {{{len(sent)}+}}\r\n')
                for b in ([sent[i:i + 1] for i in range(len(sent))] if pieces else [sent]):
                    m.send(b)
                    time.sleep(0.001 if pieces else 0)
                m.send('\r\n')
                assert m.wait('a').status == ('OK' if kept else 'BAD' if kept is None else 'NO'), sent
                assert [f['BODY[]'] for _, f in m.fetch('1:* BODY.PEEK[]')] == [kept] if kept else not m.search('ALL')
    with folder(node) as (m, name):
        m.append(name, b'UTF8 (as it is)')
        assert m.fetch('1 BODY.PEEK[]')[0][1]['BODY[]'] == b'UTF8 (as it is)'


def test_imaplib(node):
    with folder(node) as (m, name):
        host, port = node.tcp('listen.imap')[:2]
        with imaplib.IMAP4(host, port) as c:
            c.login(node.user, PASSWORD)
            c.enable('UTF8=ACCEPT')
            text = 'Subject: größe\r\n\r\nx\r\n'.encode()
            assert c.append(name, None, None, text)[0] == 'OK'
        m.ok('NOOP')
        assert m.fetch('1 BODY.PEEK[]')[0][1]['BODY[]'] == text
