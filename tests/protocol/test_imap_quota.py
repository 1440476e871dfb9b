"""QUOTA (RFC 9208) and APPENDLIMIT (RFC 7889): what settings say, as clients see it."""
import pytest
from imap_client import folder, login, mail
from node import PASSWORD


@pytest.fixture(scope='module')
def user(node):
    """An account of its own."""
    return node.add('quota@example.org')[0]


def used(m):
    line, = m.ok('GETQUOTA account').lines('QUOTA ')
    return line.decode()


def test_no_limit(node, user):
    with login(node, user) as m:
        a = m.ok('GETQUOTAROOT INBOX')
        assert a.lines('QUOTAROOT') == [b'"INBOX" "account"'] and a.lines('QUOTA ') == [b'"account" ()']


def test_limit(node, user):
    node.perdura('account', 'set', user, 'quota=10K')
    with login(node, user) as m:
        assert used(m) == '"account" (STORAGE 0 10)'
        m.append('INBOX', b'Subject: x\r\n\r\n' + b'y' * 1011)  # 1025 bytes: two units
        assert used(m) == '"account" (STORAGE 2 10)'
        a = m.ok('GETQUOTAROOT "not/there"')
        assert a.lines('QUOTAROOT') == [b'"not/there" "account"'] and a.lines('QUOTA ') == [b'"account" (STORAGE 2 10)']
        assert m.ok('GETQUOTAROOT "#at/0s/INBOX"').lines('QUOTAROOT') == [b'"#at/0s/INBOX"']
        m.no('APPEND INBOX {9300+}\r\n' + 'Subject: x\r\n\r\n' + 'y' * 9286, 'OVERQUOTA')
        m.ok('SELECT INBOX')
        m.ok('STORE 1 +FLAGS (\\Deleted)')
        assert 'DELETED-STORAGE 1025' in str(m.ok('STATUS INBOX (DELETED-STORAGE)'))
        m.ok('EXPUNGE')
        assert used(m) == '"account" (STORAGE 0 10)'
    node.perdura('account', 'set', user, 'quota=')


def test_append_limit(node, user):
    with login(node, user) as m:
        assert b'APPENDLIMIT=52428800' in m.ok('CAPABILITY').lines('CAPABILITY')[0].split()
        node.perdura('account', 'set', user, 'message.max=2000')
        assert b'APPENDLIMIT=2000' in m.ok('CAPABILITY').lines('CAPABILITY')[0].split()
        assert m.ok('STATUS INBOX (APPENDLIMIT)').lines('STATUS') == [b'"INBOX" (APPENDLIMIT 2000)']
        m.no('APPEND INBOX {2001+}\r\n' + mail(body='x' * 2001)[:2001], 'TOOBIG')
        m.append('INBOX', (mail() + 'x' * 2000)[:2000])
    node.perdura('account', 'set', user, 'message.max=')


@pytest.mark.parametrize('command,status', [
    ('GETQUOTA nope', 'NO'), ('GETQUOTA ""', 'NO'), ('GETQUOTA', 'BAD'), ('GETQUOTA a b', 'BAD'), ('GETQUOTA (', 'BAD'), ('GETQUOTAROOT', 'BAD'),
    ('GETQUOTAROOT INBOX x', 'BAD'), ('GETQUOTA a\0b', 'BAD'), ('SETQUOTA account (STORAGE 5)', 'NO'), ('SETQUOTA "" ()', 'NO'), ('SETQUOTA account', 'BAD'),
    ('SETQUOTA account (STORAGE)', 'BAD'), ('SETQUOTA account (STORAGE -1)', 'BAD'), ('SETQUOTA account (STORAGE 5', 'BAD'),
    ('SETQUOTA account (STORAGE 9223372036854775808)', 'BAD'), ('SETQUOTA account (STORAGE 5) x', 'BAD')])
def test_refused(node, user, command, status):
    with login(node, user) as m:
        assert m.ask(command).status == status
        m.ok('NOOP')


def test_before_login(node):
    from imap_client import connect
    with connect(node) as m:
        for command in ('GETQUOTA account', 'GETQUOTAROOT INBOX', 'SETQUOTA account ()', 'ENABLE QRESYNC', 'LIST (SUBSCRIBED) "" *'):
            m.bad(command)
        words = m.ok('CAPABILITY').lines('CAPABILITY')[0].decode()
        assert 'QUOTA' not in words and 'QRESYNC' not in words
        assert 'QUOTA=RES-STORAGE' in m.ok(f'LOGIN ada@example.org "{PASSWORD}"').text
        with folder(node) as (f, name):
            assert f.ok(f'GETQUOTAROOT {name}').lines('QUOTAROOT') == [f'"{name}" "account"'.encode()]
