"""ESEARCH in several mailboxes (RFC 7377): others' folders, names in every form, many mailboxes, a session beside."""
import re

from imap_client import login, mail
from node import PopulatedNode
from test_imap_acl import two  # noqa: F401 (a fixture)


def found(m, command):
    """{mailbox: the rest of its line}, in the order told."""
    lines = [x.decode() for x in m.ok(command).lines('ESEARCH')]
    split = [re.fullmatch(r'\(TAG "[^"]+" MAILBOX (".*"|\S+) UIDVALIDITY \d+\) UID (.*)', x) for x in lines]
    return {s[1].strip('"'): s[2] for s in split}


def test_others(two):  # noqa: F811
    a, b = two
    root = f'Other Users/{a.name}'
    for name in ('Team/one', 'Team/two', 'Hidden'):
        a.ok(f'CREATE {name}')
    for name in ('Team', 'Team/one', 'Team/two', 'Hidden'):
        a.append(name, mail(name))
    a.ok(f'SETACL Team {b.name} lr')
    a.ok(f'SETACL Team/one {b.name} lr')
    a.ok(f'SETACL Team/two {b.name} l')
    assert found(b, f'ESEARCH IN (mailboxes "{root}/Team") ALL') == {f'{root}/Team': 'ALL 1'}
    team = {f'{root}/Team': 'COUNT 1', f'{root}/Team/one': 'COUNT 1'}
    assert found(b, f'ESEARCH IN (subtree "{root}/Team") RETURN (COUNT) ALL') == team
    assert found(b, f'ESEARCH IN (subtree "{root}") RETURN (COUNT) ALL') == team
    assert found(b, f'ESEARCH IN (subtree-one "{root}") RETURN (COUNT) ALL') == {f'{root}/Team': 'COUNT 1'}
    assert found(b, f'ESEARCH IN (mailboxes ("{root}/Team/one" "{root}/Team/two" "{root}/Hidden" "{root}/No") subtree "{root}/Team") RETURN (COUNT) ALL') == team
    assert found(b, 'ESEARCH IN (personal subtree "Other Users" mailboxes "Other Users/nobody@example.org/x") ALL') == {}
    a.append('INBOX', mail('in'))
    a.ok(f'SETACL INBOX {b.name} lr')
    assert found(b, f'ESEARCH IN (mailboxes "{root}/inbox") ALL') == {f'{root}/INBOX': 'ALL 1'}
    # what each has seen is his own
    b.ok(f'SELECT {b.team}')
    assert found(b, f'ESEARCH IN (selected subtree "{root}/Team") UNSEEN') == {f'{root}/Team': 'ALL 1', f'{root}/Team/one': 'ALL 1'}
    a.ok('SELECT Team')
    a.ok('STORE 1 +FLAGS (\\Seen)')
    assert f'{root}/Team' in found(b, f'ESEARCH IN (mailboxes "{root}/Team") UNSEEN')
    assert found(a, 'ESEARCH IN (mailboxes Team) UNSEEN') == {}


def test_names(node):
    user, = node.add('multisearch-names@example.org')
    with login(node, user) as m:
        m.ok('CREATE "T&AOQ-g"')
        m.append('T&AOQ-g', mail('x'))
        assert found(m, 'ESEARCH IN (mailboxes "T&AOQ-g") ALL') == {'T&AOQ-g': 'ALL 1'}
        m.ok('ENABLE IMAP4rev2')
        assert found(m, 'ESEARCH IN (personal) ALL') == {'Täg': 'ALL 1'}
        assert found(m, 'ESEARCH IN (mailboxes "Ta\u0308g") ALL'.encode()) == {'Täg': 'ALL 1'}
        m.bad('ESEARCH IN (mailboxes ' + '(' + ' '.join(['x'] * 200) + ')')
        m.no('ESEARCH IN (mailboxes (' + ' '.join(['x'] * 201) + ')) ALL', 'LIMIT')


def test_keys(node):
    """Each kind of key, in each mailbox anew: sets end at that mailbox's last message, texts are found however often."""
    user, = node.add('multisearch-keys@example.org')
    with login(node, user) as m:
        for name, n in (('a', 1), ('b', 3), ('c', 2)):
            m.ok(f'CREATE {name}')
            for i in range(n):
                m.append(name, mail(f'{name}{i}', body=f'word{i}'))
        assert found(m, 'ESEARCH IN (personal) UID *') == {'a': 'ALL 1', 'b': 'ALL 3', 'c': 'ALL 2'}
        assert found(m, 'ESEARCH IN (personal) UID 2:*') == {'a': 'ALL 1', 'b': 'ALL 2:3', 'c': 'ALL 2'}
        assert found(m, 'ESEARCH IN (personal) RETURN (MAX) OR BODY WORD1 SUBJECT a0') == {'a': 'MAX 1', 'b': 'MAX 2', 'c': 'MAX 2'}
        assert found(m, 'ESEARCH IN (personal) RETURN (PARTIAL 1:1 COUNT) ALL')['b'] == 'COUNT 3 PARTIAL (1:1 1)'
        assert all(re.fullmatch(r'ALL \S+ MODSEQ \d+', x) for x in found(m, 'ESEARCH IN (personal) MODSEQ 1').values())
        # the selected one keeps its numbers, and what was told
        m.ok('SELECT b')
        m.ok('SEARCH RETURN (SAVE) 1:2')
        with login(node, user, select='b') as other:
            other.ok('STORE 1 +FLAGS (\\Deleted)')
            other.ok('EXPUNGE')
        assert found(m, 'ESEARCH IN (mailboxes (a b)) ALL') == {'a': 'ALL 1', 'b': 'ALL 2:3'}
        assert [f['UID'] for _, f in m.fetch('1:* (UID)')] == [b'2', b'3']


def test_many(node):
    """A thousand mailboxes are searched while another session is served."""
    user, = node.add('multisearch-many@example.org')
    with login(node, user) as m, login(node, user) as other:
        for i in range(1000):
            m.send(f'x CREATE many/{i}\r\n')
        for i in range(1000):
            m.wait('x')
        m.append('many/7', mail('seven'))
        tag = m.start('ESEARCH IN (subtree many) SUBJECT seven')
        other.ok('NOOP')
        assert len(m.wait(tag).lines('ESEARCH')) == 1


def test_store_is_away(tmp_path):
    """A body that cannot be read now fails the search; the session goes on."""
    n = PopulatedNode(tmp_path)
    n.settings['blob.url'] = 'failing:file:blobs?fail=read&at=1&times=1'
    with n:
        with login(n, n.user) as m:
            m.append('INBOX', mail('one', body='needle ' * 3000))
            m.no('ESEARCH IN (personal) BODY needle', 'UNAVAILABLE')
            assert found(m, 'ESEARCH IN (personal) BODY needle')


def test_nothing_found(node):
    """Of a mailbox where nothing is found nothing is said, whatever was asked for (RFC 7377, 2.1)."""
    user, = node.add('multisearch-nothing@example.org')
    with login(node, user, select='INBOX') as m:
        for command in ('ESEARCH SUBJECT none', 'ESEARCH IN (selected) RETURN (COUNT MIN) SUBJECT none',
                        'ESEARCH IN (selected personal) RETURN (COUNT) SUBJECT none', 'ESEARCH RETURN (SAVE ALL) SUBJECT none'):
            assert found(m, command) == {}, command
        assert len(m.ok('SEARCH RETURN (COUNT) SUBJECT none').lines('ESEARCH')) == 1


def test_selected_is_renamed(node):
    """A line has the name of now, also where another mailbox got the old one."""
    user, = node.add('multisearch-renamed@example.org')
    with login(node, user) as m:
        m.append('INBOX', mail('one'))
        m.ok('CREATE a')
        m.append('a', mail('one'))
        m.ok('SELECT a')
        m.ok('RENAME a b')
        m.ok('CREATE a')
        m.append('a', mail('x'))
        m.append('a', mail('y'))
        assert found(m, 'ESEARCH ALL') == {'b': 'ALL 1'}
        assert found(m, 'ESEARCH IN (selected mailboxes (a b)) ALL') == {'b': 'ALL 1', 'a': 'ALL 1:2'}


def test_names_of_others(two):  # noqa: F811
    """However a name is written, the mailbox is found, once, and told by the name that LIST gives it."""
    a, b = two
    root = f'Other Users/{a.name}'
    a.append('Team', mail('one'))
    a.ok(f'SETACL Team {b.name} lr')
    team = {f'{root}/Team': 'ALL 1'}
    assert found(b, f'ESEARCH IN (subtree ("{root}//" "{root}")) ALL') == team
    b.ok(f'SUBSCRIBE {b.team}')
    assert found(b, 'ESEARCH IN (subscribed) ALL') == team
    a.append('INBOX', mail('in'))
    a.ok(f'SETACL INBOX {b.name} lr')
    b.ok(f'SELECT "{root}/inbox"')
    assert found(b, 'ESEARCH ALL') == {f'{root}/INBOX': 'ALL 1'}
    b.ok('ENABLE IMAP4rev2')
    assert found(b, 'ESEARCH IN (mailboxes "Other Users/nobody@example.org/a\u0308") ALL'.encode()) == {}
