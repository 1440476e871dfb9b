"""FETCH: every kind of item and section, compared with what Python makes of the message; the corpus, byte for byte."""
import os
import pathlib
import random
import re

import pytest
from imap_client import folder, login, mail

CRLF = b'\r\n'


def lines(*text):
    return '\r\n'.join(text).encode() + CRLF


INNER = lines('From: "Inner, Q." <inner@example.org>', 'Subject: =?utf-8?q?inn=C3=A9r?=', 'Content-Type: multipart/alternative; boundary=in', '',
              '--in', 'Content-Type: text/plain; charset=utf-8', 'X-Part: one', '', 'plain', '--in', 'Content-Type: text/html', '', '<p>html</p>', '--in--')
MIXED = lines('Return-Path: <x@example.org>', 'From: Ann <ann@example.org>', 'To: bob@example.net,', ' "Carol" <carol@example.com>', 'Cc: undisclosed:;',
              'Subject: A =?iso-8859-1?q?m=EFxed?= one', 'Date: Mon, 2 Nov 2026 10:00:00 +0100', 'Message-ID: <m1@example.org>',
              'X-Other: first', 'X-Other: second', '\tfolded', 'MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary="out er"', '', 'preamble', '--out er',
              'Content-Type: text/plain', '', 'text of', 'part one', '', '--out er', 'Content-Type: message/rfc822', 'Content-Description: inside', '') + INNER + lines(
              '', '--out er', 'Content-Type: application/octet-stream; name=a.bin', 'Content-Transfer-Encoding: base64', 'Content-Disposition: attachment; filename=a.bin', '',
              'AAECAwQF', '--out er--', 'epilogue')


@pytest.fixture(scope='module')
def mixed(node):
    with folder(node) as (m, name):
        m.append(name, MIXED, date='17-Jul-1996 02:44:25 -0700')
        m.ok('NOOP')
        yield m


def one(m, item, n=1):
    """The value of one item, asked for without setting \\Seen."""
    a = m.fetch(f'{n} ({item})')
    assert len(a) == 1 and a[0][0] == n
    values = list(a[0][1].values())
    assert len(values) == 1, a
    return values[0]


def header_of(data):
    return data[:data.index(b'\r\n\r\n') + 4]


@pytest.mark.parametrize('section,value', [
    ('', MIXED),
    ('HEADER', header_of(MIXED)),
    ('TEXT', MIXED[len(header_of(MIXED)):]),
    ('1', b'text of\r\npart one\r\n'),
    ('1.MIME', b'Content-Type: text/plain\r\n\r\n'),
    ('2', INNER),
    ('2.MIME', b'Content-Type: message/rfc822\r\nContent-Description: inside\r\n\r\n'),
    ('2.HEADER', header_of(INNER)),
    ('2.TEXT', INNER[len(header_of(INNER)):]),
    ('2.1', b'plain'),
    ('2.1.MIME', b'Content-Type: text/plain; charset=utf-8\r\nX-Part: one\r\n\r\n'),
    ('2.2', b'<p>html</p>'),
    ('3', b'AAECAwQF'),
    ('HEADER.FIELDS (Subject)', b'Subject: A =?iso-8859-1?q?m=EFxed?= one\r\n\r\n'),
    ('HEADER.FIELDS (DATE from)', b'From: Ann <ann@example.org>\r\nDate: Mon, 2 Nov 2026 10:00:00 +0100\r\n\r\n'),
    ('HEADER.FIELDS (x-other)', b'X-Other: first\r\nX-Other: second\r\n\tfolded\r\n\r\n'),
    ('HEADER.FIELDS (X-Other To)', b'To: bob@example.net,\r\n "Carol" <carol@example.com>\r\nX-Other: first\r\nX-Other: second\r\n\tfolded\r\n\r\n'),
    ('HEADER.FIELDS (Nope)', b'\r\n'),
    ('HEADER.FIELDS ("References")', b'\r\n'),
    ('2.HEADER.FIELDS (Subject)', b'Subject: =?utf-8?q?inn=C3=A9r?=\r\n\r\n'),
    ('2.HEADER.FIELDS.NOT (From Content-Type)', b'Subject: =?utf-8?q?inn=C3=A9r?=\r\n\r\n'),
    ('4', None), ('1.1', None), ('1.HEADER', None), ('3.TEXT', None), ('2.3', None), ('2.1.1.1', None), ('99999.MIME', None),
])
def test_section(mixed, section, value):
    assert one(mixed, f'BODY.PEEK[{section}]') == value


def test_fields_not(mixed):
    head = header_of(MIXED)
    expected = re.sub(rb'(?m)^(From|Subject): .*\r\n', b'', head)
    assert one(mixed, 'BODY.PEEK[HEADER.FIELDS.NOT (FROM SUBJECT)]') == expected


@pytest.mark.parametrize('section,whole', [('', MIXED), ('TEXT', MIXED[len(header_of(MIXED)):]), ('1', b'text of\r\npart one\r\n'),
                                           ('HEADER.FIELDS (Subject)', b'Subject: A =?iso-8859-1?q?m=EFxed?= one\r\n\r\n')])
@pytest.mark.parametrize('start,count', [(0, 1), (0, 5), (3, 4), (0, 4294967295), (10, 1000000), (1000000, 10), (17, 1)])
def test_partial(mixed, section, whole, start, count):
    a = mixed.fetch(f'1 BODY.PEEK[{section}]<{start}.{count}>')[0][1]
    (name, value), = a.items()
    assert name.endswith(f']<{start}>') and value == whole[start:start + count]


def test_rfc822_names(mixed):
    assert one(mixed, 'RFC822.HEADER') == header_of(MIXED)
    assert one(mixed, 'RFC822.SIZE') == str(len(MIXED)).encode()
    assert one(mixed, 'INTERNALDATE') == b'17-Jul-1996 09:44:25 +0000'
    assert one(mixed, 'UID') == b'1'


def test_envelope(mixed):
    e = one(mixed, 'ENVELOPE')
    assert e[0] == b'Mon, 2 Nov 2026 10:00:00 +0100' and e[1] == b'A =?iso-8859-1?q?m=EFxed?= one'
    ann = [[b'Ann', None, b'ann', b'example.org']]
    assert e[2] == e[3] == e[4] == ann
    assert e[5] == [[None, None, b'bob', b'example.net'], [b'Carol', None, b'carol', b'example.com']]
    assert e[9] == b'<m1@example.org>' and len(e) == 10


def test_structures(mixed):
    s = one(mixed, 'BODYSTRUCTURE')
    b = one(mixed, 'BODY')
    assert [p[0].lower() for p in s[:3]] == [b'text', b'message', b'application'] and s[3].lower() == b'mixed'
    assert [p[0].lower() for p in b[:3]] == [b'text', b'message', b'application'] and len(b) == 4
    assert int(s[0][6]) == len(b'text of\r\npart one\r\n') and int(s[0][7]) == 2
    inner = s[1]
    assert int(inner[6]) == len(INNER) and inner[7][1] == b'=?utf-8?q?inn=C3=A9r?=' and inner[8][2].lower() == b'alternative'


def test_macros(mixed):
    assert set(mixed.fetch('1 FAST')[0][1]) == {'FLAGS', 'INTERNALDATE', 'RFC822.SIZE'}
    assert set(mixed.fetch('1 ALL')[0][1]) == {'FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE'}
    assert set(mixed.fetch('1 FULL')[0][1]) == {'FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE', 'BODY'}
    assert set(mixed.ok('UID FETCH 1 FLAGS').fetches()[0][1]) == {'FLAGS', 'UID'}


@pytest.mark.parametrize('item,sets', [('BODY[]', True), ('BODY[TEXT]', True), ('RFC822', True), ('RFC822.TEXT', True), ('BODY[1]<0.1>', True),
                                       ('BODY.PEEK[]', False), ('RFC822.HEADER', False), ('BODY', False), ('BODYSTRUCTURE', False), ('ENVELOPE', False)])
def test_seen_is_set(node, item, sets):
    with folder(node) as (m, name):
        m.append(name, mail())
        m.append(name, mail(), flags='\\Seen')
        m.ok('NOOP')
        a = m.fetch(f'1:2 {item}')
        assert len(a) == 2
        assert ('FLAGS' in a[0][1]) == sets and 'FLAGS' not in a[1][1]
        assert b'\\Seen' in a[0][1]['FLAGS'] if sets else True
        assert m.ok('NOOP').fetches() == []
        assert (b'\\Seen' in m.fetch('1 FLAGS')[0][1]['FLAGS']) == sets


def test_seen_is_not_set_in_examine(node):
    with folder(node) as (m, name):
        m.append(name, mail())
        m.ok(f'EXAMINE {name}')
        assert 'FLAGS' not in m.fetch('1 BODY[]')[0][1]
        assert b'\\Seen' not in m.fetch('1 FLAGS')[0][1]['FLAGS']


def test_seen_and_flags_together(node):
    with folder(node) as (m, name), login(node, select=name) as other:
        for _ in range(5):
            m.append(name, mail())
        m.ok('NOOP')
        a = m.ok('FETCH 1:5 (FLAGS BODY[TEXT])')
        assert all(b'\\Seen' in f['FLAGS'] for _, f in a.fetches()) and len(a.fetches()) == 5
        assert [n for n, _ in other.ok('NOOP').fetches()] == []  # new to it, so EXISTS says it all
        other.ok('STORE 1:5 -FLAGS (\\Seen)')
        assert len(m.ok('NOOP').fetches()) == 5


def test_numbers_and_uids(node):
    with folder(node) as (m, name):
        for i in range(10):
            m.append(name, mail(f's{i}'))
        m.ok('NOOP')
        m.ok('STORE 2,5 +FLAGS.SILENT \\Deleted')
        m.ok('EXPUNGE')
        uids = [1, 3, 4, 6, 7, 8, 9, 10]
        assert [int(f['UID']) for _, f in m.fetch('1:* UID')] == uids
        assert [int(f['UID']) for _, f in m.fetch('3:2,* UID')] == [3, 4, 10]
        assert [int(f['UID']) for _, f in m.ok('UID FETCH 2:5,100:200 FLAGS').fetches()] == [3, 4]
        assert [n for n, _ in m.ok('UID FETCH 6:4294967295 UID').fetches()] == [4, 5, 6, 7, 8]
        assert [int(f['UID']) for _, f in m.ok('UID FETCH 50:* UID').fetches()] == [10]
        assert m.ok('UID FETCH 2,5 UID').fetches() == []
        m.bad('FETCH 9 UID')
        m.bad('FETCH 1:9 UID')


def test_empty_mailbox(node):
    with folder(node) as (m, _):
        for command in ('FETCH 1:* FLAGS', 'UID FETCH 1:* FLAGS', 'SEARCH ALL', 'UID SEARCH 1:*', 'STORE 1:* +FLAGS (x)', 'UID STORE 1:* +FLAGS (x)',
                        'COPY 1:* INBOX', 'UID MOVE 1:* INBOX', 'EXPUNGE', 'UID EXPUNGE 1:*'):
            assert m.ok(command).fetches() == []
        m.bad('FETCH 1 FLAGS')
        m.ok('UID FETCH 1 FLAGS')


def test_large_message_and_slow_reader(node):
    random.seed(1)
    body = b''.join(b'%064x\r\n' % random.getrandbits(256) for _ in range(60000))
    message = mail('large').encode() + body
    with folder(node) as (m, name):
        for _ in range(3):
            m.append(name, message)
        m.ok('NOOP')
        tag = m.start('FETCH 1:3 (UID BODY.PEEK[])')
        with login(node) as other:
            for _ in range(20):
                other.ok('NOOP')  # somebody who does not read holds nobody up
        for uid in (1, 2, 3):
            r = m.response()
            assert r.endswith(message + b')') and b'UID %d BODY[] {%d}\r\n' % (uid, len(message)) in r
        assert m.wait(tag).status == 'OK'
        assert one(m, 'BODY.PEEK[]<3000000.70>', 3) == message[3000000:3000070]


def test_reader_that_leaves(node):
    message = mail('large').encode() + b'x' * 70 * 50000
    with folder(node) as (m, name):
        m.append(name, message)
        m.ok('NOOP')
        for _ in range(5):
            with login(node, select=name) as slow:
                slow.start('FETCH 1 BODY.PEEK[]')
                slow.sock.recv(1000)
        assert one(m, 'BODY.PEEK[]') == message


def corpus():
    root = pathlib.Path(os.environ.get('PERDURA_CORPUS') or pathlib.Path(__file__).resolve().parents[3] / 'shared' / 'corpus')
    files = sorted(p for p in (root / 'mime').rglob('*') if p.is_file()) if root.is_dir() else []
    if not files:
        pytest.skip(f'no corpus of mail at {root}: set PERDURA_CORPUS')
    return [re.sub(rb'\r?\n', CRLF, p.read_bytes()) for p in files]


def test_corpus(node):
    """Every message comes back byte for byte, whole and in its parts, and has an ENVELOPE and a BODYSTRUCTURE."""
    messages = [c for c in corpus() if b'\0' not in c]
    with folder(node) as (m, name):
        for message in messages:
            m.append(name, message)
        got = m.fetch('1:* (RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT])')
        assert [n for n, _ in got] == list(range(1, len(messages) + 1))
        for (_, f), message in zip(got, messages):
            assert f['BODY[]'] == message and int(f['RFC822.SIZE']) == len(message)
            assert f['BODY[HEADER]'] + f['BODY[TEXT]'] == message
            assert len(f['ENVELOPE']) == 10
        for n, (_, f) in enumerate(got, 1):
            for path, size in leaves(f['BODYSTRUCTURE'], []):
                part = m.fetch(f'{n} BODY.PEEK[{path}]')[0][1][f'BODY[{path}]']
                assert part is not None and len(part) == size and part in messages[n - 1], (n, path)


def leaves(s, path):
    """(path, size) of the parts that are no multiparts."""
    if isinstance(s[0], list):
        for i, child in enumerate(s):
            if not isinstance(child, list) or not child or not (isinstance(child[0], list) or len(child) >= 7):
                break
            yield from leaves(child, path + [i + 1])
        return
    path = path or [1]
    yield '.'.join(map(str, path)), int(s[6])
    if s[0].lower() == b'message' and s[1].lower() == b'rfc822' and len(s) > 8 and isinstance(s[8], list):
        yield from leaves(s[8], path if isinstance(s[8][0], list) else path + [1])


def test_a_page_of_a_large_mailbox(node):
    """PARTIAL (RFC 9394) counts what is there, from either end, also where numbers and UIDs differ and nothing of them is named."""
    with folder(node) as (m, name):
        m.append(name, mail('one'))
        m.ok('NOOP')
        for _ in range(10):
            m.ok(f'COPY 1:* {name}')
            m.ok('NOOP')
        m.ok('STORE 3:500 +FLAGS.SILENT (\\Deleted)')
        m.ok('EXPUNGE')
        uids = [int(u) for u in m.ok('UID SEARCH ALL').lines('SEARCH')[0].split()]
        for part, want in (('-1:-10', uids[-10:]), ('1:10', uids[:10]), ('500:510', uids[499:510]), ('520:600', uids[519:]), ('9000:9010', [])):
            got = m.ok(f'UID FETCH 1:* (FLAGS) (PARTIAL {part})').fetches()
            assert [int(f['UID']) for _, f in got] == want, part


def test_uids_only(node):
    """No line has a message number, not even one that nobody asked for."""
    with folder(node) as (m, name), login(node) as other:
        for i in range(3):
            m.append(name, mail())
        assert b'[UNSEEN 1]' in b''.join(m.ok(f'SELECT {name}').untagged)
        m.ok('UID STORE 1 +FLAGS.SILENT (\\Deleted)')
        m.ok('EXPUNGE')
        m.ok('ENABLE UIDONLY')
        assert b'UNSEEN' not in b''.join(m.ok(f'SELECT {name}').untagged)
        m.ok('NOTIFY SET (SELECTED (MessageNew (UID FLAGS) MessageExpunge FlagChange))')
        other.ok(f'SELECT {name}')
        other.append(name, mail())
        other.ok('STORE 1 +FLAGS (\\Seen)')
        other.ok('STORE 2 +FLAGS.SILENT (\\Deleted)')
        other.ok('EXPUNGE')
        told = []
        while b'* VANISHED 3' not in told:
            told.append(m.response())
        flags = [re.sub(rb'\\Recent ?', b'', line) for line in told]
        assert b'* 4 UIDFETCH (UID 4 FLAGS ())' in flags and b'* 2 UIDFETCH (FLAGS (\\Seen))' in flags
        assert not [line for line in told if b' FETCH' in line or b'EXPUNGE' in line]
