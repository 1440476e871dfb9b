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


@pytest.fixture
def admins(node):
    """One account sets all quotas, but for one domain; sessions of both, and of a user in each."""
    node.add('user@set.example', 'admin@set.example', 'setuser@example.org', 'setadmin@example.org')
    node.perdura('set', 'quota.admin=setadmin@example.org')
    node.perdura('domain', 'set', 'set.example', 'quota.admin=admin@set.example')
    yield 'setadmin@example.org', 'admin@set.example'
    node.perdura('set', 'quota.admin=')
    node.perdura('account', 'remove', 'user@set.example', 'admin@set.example', 'setuser@example.org', 'setadmin@example.org')


def test_set(node, admins):
    everywhere, there = admins
    with login(node, everywhere) as m, login(node, there) as d, login(node, 'setuser@example.org') as u, login(node, 'user@set.example') as v:
        for session, may in ((m, True), (d, True), (u, False), (v, False)):
            assert (b'QUOTASET' in session.ok('CAPABILITY').lines('CAPABILITY')[0].split()) == may
        u.append('INBOX', mail())
        assert m.ok('SETQUOTA setuser@example.org (STORAGE 10)').lines('QUOTA ') == [b'"setuser@example.org" (STORAGE 1 10)']
        assert used(u) == '"account" (STORAGE 1 10)'
        u.no('APPEND INBOX {10300+}\r\n' + 'Subject: x\r\n\r\n' + 'y' * 10286, 'OVERQUOTA')
        assert 'quota = 10K\n' in node.perdura('account', 'set', 'setuser@example.org')
        assert f'{everywhere} (imap' in node.perdura('history').splitlines()[-1]
        assert m.ok('SETQUOTA setuser@example.org (storage 0)').lines('QUOTA ') == [b'"setuser@example.org" (STORAGE 1 1)']
        u.no('APPEND INBOX {15+}\r\nSubject: x\r\n\r\ny', 'OVERQUOTA')
        assert m.ok('SETQUOTA setuser@example.org ()').lines('QUOTA ') == [b'"setuser@example.org" ()']
        assert m.ok(f'SETQUOTA account (STORAGE {2**63 - 1})').lines('QUOTA ') == [f'"account" (STORAGE 0 {2**50})'.encode()]
        m.ok('SETQUOTA account ()')
        # of a domain with an admin of its own it is he
        assert d.ok('SETQUOTA user@set.example (STORAGE 5)').lines('QUOTA ') == [b'"user@set.example" (STORAGE 0 5)']
        assert d.ok('GETQUOTA user@set.example').lines('QUOTA ') == [b'"user@set.example" (STORAGE 0 5)']
        for session, root in ((m, 'user@set.example'), (d, 'setuser@example.org'), (u, everywhere), (v, there), (m, 'nobody@example.org'),
                              (m, '"no address"'), (m, '""')):
            session.no(f'GETQUOTA {root}', 'NONEXISTENT')
            session.no(f'SETQUOTA {root} (STORAGE 1)', 'NONEXISTENT')
        u.no('SETQUOTA account (STORAGE 1)', 'NOPERM')
        m.no('SETQUOTA setuser@example.org (MESSAGE 1)', 'CANNOT')
        m.no('SETQUOTA setuser@example.org (STORAGE 1 MESSAGE 1)', 'CANNOT')
        assert m.ask('SETQUOTA setuser@example.org (STORAGE 1 STORAGE 2)').status == 'BAD'
        assert used(u) == '"account" ()'
