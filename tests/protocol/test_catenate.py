"""CATENATE (RFC 4469) where it gets hard: others' folders, the past, large parts, bodies that are not there, limits."""
import pytest
from imap_client import Closed, login, mail
from node import wait_until
from test_imap_acl import two  # noqa: F401 (a fixture)
from test_imap_8_faults import damage, node as own_node, noise  # noqa: F401

from stores import looks_into_packs


def put(name, *parts):
    """The command. A part is a URL as a str, or text as bytes."""
    words = [f'URL "{p}"' if isinstance(p, str) else f'TEXT {{{len(p)}+}}\r\n{p.decode()}' for p in parts]
    return f'APPEND {name} CATENATE ({" ".join(words)})'


def bodies(m, name):
    m.ok(f'EXAMINE {name}')
    return [f['BODY[]'] for _, f in m.fetch('1:* (BODY.PEEK[])')]


def test_others(two):  # noqa: F811
    """What somebody may not read cannot be read this way, and what he may not see is not there."""
    a, b = two
    a.append('Team', mail('one'))
    url = f'/Other%20Users/{a.name}/Team/;UID=1'
    assert 'BADURL' in str(b.no(put('INBOX', url)))
    a.ok(f'SETACL Team {b.name} l')
    assert 'BADURL' in str(b.no(put('INBOX', url)))
    a.ok(f'SETACL Team {b.name} lr')
    b.ok(put('INBOX', url, b'and more\r\n'))
    assert bodies(b, 'INBOX') == [mail('one').encode() + b'and more\r\n']
    b.ok(f'SELECT {b.team}')
    b.ok(put('INBOX', ';UID=1'))
    b.ok('UNSELECT')
    a.ok(f'DELETEACL Team {b.name}')
    b.no(put('INBOX', url))
    assert a.ok('STATUS Team (UNSEEN)').lines('STATUS')[0].endswith(b'(UNSEEN 1)')


def test_right_is_taken_away(node, two):  # noqa: F811
    """While the command comes: what is selected may be read no more than what is named."""
    a, b = two
    a.append('Team', mail('one'))
    for url in (f'/Other%20Users/{a.name}/Team/;UID=1', ';UID=1'):
        a.ok(f'SETACL Team {b.name} lr')
        b.ok(f'SELECT {b.team}' if url[0] == ';' else 'NOOP')
        tag = b.start('APPEND INBOX CATENATE (TEXT {5}')
        assert b.response().startswith(b'+')
        a.ok(f'DELETEACL Team {b.name}')
        b.send(f'hello URL "{url}")\r\n')
        assert b.wait(tag).code().startswith('BADURL')
    with pytest.raises(Closed):
        b.ok('NOOP')
    with login(node, b.name) as m:
        assert m.ok('STATUS INBOX (MESSAGES)').lines('STATUS')[0].endswith(b'(MESSAGES 0)')


def test_header_is_too_long_to_choose_from(node):
    """FETCH shows the beginning of such fields; a message made of that would lack the rest."""
    user, = node.add('catenate-header@example.org')
    field = 'X-Long: ' + 'y' * 900 + '\r\n'
    with login(node, user) as m:
        m.append('INBOX', field * 1400 + mail('behind'))
        m.no(put('INBOX', '/INBOX/;UID=1/;SECTION=HEADER.FIELDS.NOT%20(X-None)', b'body'), 'BADURL')
        m.ok(put('INBOX', '/INBOX/;UID=1/;SECTION=HEADER', b'body'))
        assert bodies(m, 'INBOX')[1] == (field * 1400 + mail('behind')).encode().partition(b'\r\n\r\n')[0] + b'\r\n\r\nbody'


def test_names_that_are_not_normal(node):
    """A mailbox is found by a name whose letters are put together of several, as in commands."""
    user, = node.add('catenate-names@example.org')
    with login(node, user) as m:
        m.ok('ENABLE IMAP4rev2')
        m.ok('CREATE "Ta\u0308g"'.encode())
        m.append('INBOX', mail('one'))
        m.ok('SELECT INBOX')
        m.ok('COPY 1 "Ta\u0308g"'.encode())
        m.ok(put('INBOX', '/Ta%CC%88g/;UID=1'))
        m.ok(put('INBOX', '/T%C3%A4g/;UID=1'))


def test_past(node):
    user, = node.add('catenate-past@example.org')
    with login(node, user) as m:
        m.append('INBOX', mail('gone'))
        at = node.json('account', 'show', user)['change']
        m.ok('SELECT INBOX')
        m.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
        m.ok('EXPUNGE')
        m.no(put('INBOX', '/INBOX/;UID=1'), 'BADURL')
        m.ok(put('INBOX', f'/%23at/@{at}/INBOX/;UID=1'))
        assert bodies(m, 'INBOX') == [mail('gone').encode()]


def test_limits(node):
    user, = node.add('catenate-limits@example.org')
    body = noise(100_000)
    with login(node, user) as m:
        m.append('INBOX', mail('large', body=body))
        size = int(m.ok('STATUS INBOX (SIZE)').lines('STATUS')[0].split()[-1].rstrip(b')'))
        node.perdura('account', 'set', user, f'message.max={2 * size + 10}')
        m.ok(put('INBOX', '/INBOX/;UID=1', '/INBOX/;UID=1', b'0123456789'))
        m.no(put('INBOX', '/INBOX/;UID=1', '/INBOX/;UID=1', b'0123456789a'), 'TOOBIG')
        m.no(put('INBOX', b'0123456789a', '/INBOX/;UID=1', '/INBOX/;UID=1'), 'TOOBIG')
        node.perdura('account', 'set', user, f'message.max=', f'quota={4 * size}')
        m.no(put('INBOX', *['/INBOX/;UID=1'] * 5), 'OVERQUOTA')
        m.no(put('INBOX', '/INBOX/;UID=1', '/INBOX/;UID=1'), 'OVERQUOTA')
        # as many parts as one likes, in bounded memory, each of nothing
        tag = m.start(put('INBOX', *['/INBOX/;UID=1/;PARTIAL=99999999'] * 1500))
        assert m.wait(tag).status == 'NO'
        assert m.ok('STATUS INBOX (MESSAGES)').lines('STATUS')[0].endswith(b'(MESSAGES 2)')


def test_others_are_served(node):
    """While a large copy is made others are answered."""
    user, = node.add('catenate-large@example.org')
    body = noise(8_000_000)
    with login(node, user) as m, login(node, user) as other:
        m.append('INBOX', mail('large', body=body))
        tag = m.start(put('INBOX', *['/INBOX/;UID=1'] * 4))
        for _ in range(50):
            other.ok('NOOP')
        assert m.wait(tag).status == 'OK'
        m.ok('EXAMINE INBOX')
        (_, one), (_, four) = m.fetch('1:2 (BODY.PEEK[])')
        assert four['BODY[]'] == one['BODY[]'] * 4


@looks_into_packs
def test_damaged(own_node):  # noqa: F811
    """Of a body that cannot be read nothing is stored, and the session goes on."""
    with login(own_node) as m:
        m.append('INBOX', mail('damaged', body=noise(30_000)))
        m.ok('SELECT INBOX')
        uid = m.search('ALL', uid=True)[-1]
        damage(own_node, 0)
        before = m.ok('STATUS Sent (MESSAGES)').lines('STATUS')
        m.no(put('Sent', b'Subject: x\r\n\r\n', f'/INBOX/;UID={uid}', b'behind'), 'UNAVAILABLE')
        assert m.ok('STATUS Sent (MESSAGES)').lines('STATUS') == before
        m.ok(put('Sent', b'Subject: x\r\n\r\n'))


@pytest.mark.parametrize('n', [1, 2, 3])
def test_cut(node, n):
    """A client that hangs up between the parts leaves nothing."""
    user, = node.add(f'catenate-cut{n}@example.org')
    with login(node, user) as m:
        m.append('INBOX', mail('one'))
        change = node.json('account', 'show', user)['change']
        m.send(f'x {put("INBOX", *["/INBOX/;UID=1", b"abc"] * n)[:-1]}')
    wait_until(lambda: user not in node.perdura('who'))
    assert node.json('account', 'show', user)['change'] == change
