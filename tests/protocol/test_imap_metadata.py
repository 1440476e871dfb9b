"""METADATA (RFC 5464): annotations in the log, others' mailboxes, and the limits. What one user sees is in tests/scripts."""
import pytest
from imap_client import login


@pytest.fixture
def two(node, request):
    """An owner and somebody else, with sessions."""
    name = request.node.name.replace('_', '-').lower()
    ann, bob = node.add(f'ann.{name}@example.org', f'bob.{name}@example.org')
    with login(node, ann) as a, login(node, bob) as b:
        a.name, b.name = ann, bob
        a.ok('CREATE Team')
        b.team = f'"Other Users/{ann}/Team"'
        yield a, b


def get(m, mailbox, *entries, options=''):
    """The values, in the order in which they are told."""
    lines = m.ok(f'GETMETADATA {options}{mailbox} ({" ".join(entries)})').lines('METADATA')
    return [x.decode().split(' (', 1)[1][:-1] for x in lines]


def large(entry, size):
    return f'SETMETADATA Team ({entry} {{{size}+}}\r\n{"x" * size})'.encode()


def test_shared_and_private_of_others(two):
    a, b = two
    b.no(f'GETMETADATA {b.team} /shared/comment', 'NONEXISTENT')
    a.ok('SETMETADATA Team (/shared/comment "ours" /private/comment "mine")')
    a.ok(f'SETACL Team {b.name} l')
    b.no(f'GETMETADATA {b.team} /shared/comment', 'NOPERM')
    b.no(f'SETMETADATA {b.team} (/private/comment "x")', 'NOPERM')
    a.ok(f'SETACL Team {b.name} lr')
    assert get(b, b.team, '/shared/comment', '/private/comment') == ['/shared/comment "ours" /private/comment NIL']
    b.no(f'SETMETADATA {b.team} (/private/comment "his" /shared/comment "x")', 'NOPERM')
    b.no(f'SETMETADATA {b.team} (/private/specialuse "\\\\Sent")', 'USEATTR')
    b.ok(f'SETMETADATA {b.team} (/private/comment "his")')
    assert get(b, b.team, '/shared/comment', '/private/comment') == ['/shared/comment "ours" /private/comment "his"']
    assert get(a, 'Team', '/private/comment') == ['/private/comment "mine"']
    a.ok(f'SETACL Team {b.name} +w')
    b.ok(f'SETMETADATA {b.team} (/shared/comment "all of us" /private/comment "his own")')
    assert get(a, 'Team', '/shared', options='(DEPTH infinity) ') == ['/shared/comment "all of us"']
    assert get(b, b.team, '/private/comment') == ['/private/comment "his own"']
    # what somebody may not see is not listed; what he may is
    listed = [x.decode() for x in b.ok('LIST "" "*" RETURN (METADATA (/shared/comment))').lines('METADATA')]
    assert f'{b.team} (/shared/comment "all of us")' in listed and not [x for x in listed if a.name in x and 'Team' not in x]
    a.ok(f'DELETEACL Team {b.name}')
    b.no(f'GETMETADATA {b.team} /private/comment', 'NONEXISTENT')


def test_limits(two):
    a, b = two
    a.ok(large('/private/comment', 16384))
    a.no(large('/private/comment', 16385), 'METADATA MAXSIZE 16384')
    a.no(large('/private/comment', 40000), 'METADATA MAXSIZE 16384')
    for i in range(3):
        a.ok(large(f'/private/vendor/x/{i}', 16384))
    a.no('SETMETADATA Team (/private/vendor/x/4 "x")', 'METADATA TOOMANY')
    a.ok('SETMETADATA Team (/private/vendor/x/1 NIL /private/vendor/x/4 "x")')
    many = ' '.join(f'/shared/vendor/y/{i} "x"' for i in range(100))
    a.ok(f'SETMETADATA Team ({many})')
    a.no('SETMETADATA Team (/shared/comment "x")', 'METADATA TOOMANY')
    a.ok('SETMETADATA Team (/shared/vendor/y/7 "y")')
    a.ok('SETMETADATA Team (/shared/vendor/y/7 NIL /shared/comment "x")')
    assert '16384' in str(a.ok('GETMETADATA (MAXSIZE 10 DEPTH infinity) Team (/private)'))


def test_rename_of_inbox_copies(two):
    a, b = two
    a.ok('SETMETADATA INBOX (/shared/comment "s" /private/comment "p")')
    a.ok('RENAME INBOX old')
    for mailbox in 'INBOX', 'old':
        assert get(a, mailbox, '/shared/comment', '/private/comment') == ['/shared/comment "s" /private/comment "p"']
    a.ok('SETMETADATA INBOX (/shared/comment NIL)')
    assert get(a, 'old', '/shared/comment') == ['/shared/comment "s"']


def test_history_and_undo(two, node):
    a, b = two
    a.ok('SETMETADATA Team (/shared/comment "one")')
    a.ok('SETMETADATA Team (/shared/comment "two" /private/comment "new")')
    history = node.perdura('history', a.name)
    assert 'annotated Team: /shared/comment' in history and 'created metadata' not in history
    last = [x for x in history.splitlines() if 'annotated' in x][-1].split()[0].lstrip('@')
    node.perdura('undo', a.name, '--since', f'@{last}', '--until', f'@{last}', '--yes')
    assert get(a, 'Team', '/shared/comment', '/private/comment') == ['/shared/comment "one" /private/comment NIL']
    assert 'subscribed' not in [x for x in node.perdura('history', a.name).splitlines() if 'annotated' in x][-1]


def test_deleted_folder_comes_back_with_its_annotations(two, node):
    a, b = two
    a.ok('SETMETADATA Team (/shared/comment "ours")')
    instant = a.name.partition('@')[0]
    node.perdura('snapshot', 'create', instant)
    a.ok('DELETE Team')
    a.no('GETMETADATA Team /shared/comment', 'NONEXISTENT')
    node.perdura('restore', a.name, '--at', instant, '--folder', 'Team')
    assert get(a, 'Team', '/shared/comment') == ['/shared/comment "ours"']


def test_past_has_none(two):
    a, b = two
    a.no('GETMETADATA "#at/1h/INBOX" /shared/comment', 'CANNOT')
    a.no('SETMETADATA "#at/1h/INBOX" (/shared/comment "x")', 'CANNOT')


def test_admin_is_the_postmaster(two, node):
    a, b = two
    node.perdura('set', f'account.postmaster={b.name}')
    assert get(a, '""', '/shared/admin', '/shared/comment') == [f'/shared/admin "mailto:{b.name}" /shared/comment NIL']
    node.perdura('set', 'account.postmaster=')
    assert get(a, '""', '/shared/admin') == ['/shared/admin NIL']
    node.perdura('set', f'account.postmaster={node.postmaster}')
    a.no('SETMETADATA "" (/shared/admin "mailto:x@example.org")', 'NOPERM')


def test_check_knows_them(two, node):
    a, b = two
    a.ok(f'SETACL Team {b.name} lrw')
    a.ok('SETMETADATA Team (/shared/comment "ours")')
    b.ok(f'SETMETADATA {b.team} (/private/comment "his" /shared/comment NIL)')
    b.ok('SETMETADATA "" (/private/vendor/x/y "z")')
    node.perdura('check')


def test_all_or_nothing_in_two_accounts(two):
    a, b = two
    a.ok(f'SETACL Team {b.name} lrw')
    many = ' '.join(f'/shared/vendor/y/{i} "x"' for i in range(99))
    a.ok(f'SETMETADATA Team ({many})')
    b.no(f'SETMETADATA {b.team} (/private/comment "p" /shared/comment "s" /shared/vendor/y/99 "x")', 'METADATA TOOMANY')
    assert get(b, b.team, '/private/comment', '/shared/comment') == ['/private/comment NIL /shared/comment NIL']
    for i in range(100):
        b.ok(f'SETMETADATA {b.team} (/private/vendor/y/{i} "x")')
    b.no(f'SETMETADATA {b.team} (/private/comment "p" /shared/comment "s")', 'METADATA TOOMANY')
    assert get(a, 'Team', '/shared/comment') == ['/shared/comment NIL']
