"""SEARCH: every key, alone and combined, compared with what Python finds among the same messages."""
import base64
import random

import pytest
from imap_client import folder, login, mail

TEXTS = ['alpha beta', 'Gamma DELTA', 'straße und Äpfel', 'Привет мир', 'plain', 'beta gamma']


def encoded(text, how):
    """A text part that holds the text, in one of many ways."""
    if how == 'base64':
        return f'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{base64.b64encode(text.encode()).decode()}\r\n'.encode()
    if how == 'qp':
        qp = ''.join(f'={b:02X}' if b > 126 or b == 61 else chr(b) for b in text.encode())
        return f'Content-Type: text/html; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{qp[:9]}=\r\n{qp[9:]}\r\n'.encode() \
            if '=' not in qp[7:11] else f'Content-Type: text/html; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{qp}\r\n'.encode()
    if how == 'charset':
        charset = 'koi8-r' if 'П' in text else 'iso-8859-1'
        return f'Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n'.encode() + text.encode(charset) + b'\r\n'
    if how == 'attached':
        return f'Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n{base64.b64encode(text.encode()).decode()}\r\n'.encode()
    return f'Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n'.encode()


def multipart(text, how):
    return (b'From: Multi <multi@example.org>\r\nSubject: several\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n'
            b'Content-Type: text/plain\r\n\r\nnothing\r\n--b\r\n' + encoded(text, how) + b'--b--\r\n')


@pytest.fixture(scope='module')
def texts(node):
    with folder(node) as (m, name):
        cases = []
        for text in TEXTS:
            for how in ('plain', 'base64', 'qp', 'charset', 'attached'):
                m.append(name, multipart(text, how))
                cases.append((text, how))
        yield m, cases


@pytest.mark.parametrize('needle', ['beta', 'GAMMA', 'delta', 'STRASSE', 'straße', 'äpfel', 'ÄPFEL', 'привет', 'МИР', 'a b', 'nowhere', 'nothing'])
def test_text(texts, needle):
    m, cases = texts
    raw = needle.encode()
    found = m.search(f'CHARSET UTF-8 BODY {{{len(raw)}+}}\r\n{raw.decode("latin-1")}')
    expected = [n for n, (text, how) in enumerate(cases, 1) if needle == 'nothing' or (how != 'attached' and needle.lower() in text.lower())]
    assert found == expected
    assert m.search(f'CHARSET UTF-8 TEXT {{{len(raw)}+}}\r\n{raw.decode("latin-1")}') == expected
    assert m.search(f'CHARSET UTF-8 NOT BODY {{{len(raw)}+}}\r\n{raw.decode("latin-1")}') == [n for n in range(1, len(cases) + 1) if n not in expected]


def test_text_finds_headers(texts):
    m, cases = texts
    everything = list(range(1, len(cases) + 1))
    assert m.search('TEXT multi@example') == everything and m.search('BODY multi@example') == []
    assert m.search('TEXT "subject: several"') == everything
    assert m.search('TEXT ""') == everything


@pytest.fixture(scope='module')
def heads(node):
    with folder(node) as (m, name):
        messages = [
            mail('Hello World', To='one@example.com', X_Odd='some Thing'),
            mail('=?utf-8?q?Gr=C3=BC=C3=9Fe?= again', To='two@example.com', Cc='"Ann Other" <ann@other.example>'),
            mail('folded\r\n subject line', To='one@example.com, three@example.com', Bcc='secret@example.com'),
            'Subject: no date\r\n\r\n',
            mail('zone', Date='Tue, 3 Nov 2026 23:30:00 -0500'),
        ]
        dates = ['1-Feb-2020 00:00:00 +0000', '1-Feb-2020 23:59:59 +0000', '2-Feb-2020 00:00:00 +0000', '3-Mar-2021 12:00:00 +0000', '4-Apr-2022 12:00:00 +0000']
        flags = ['', '\\Seen', '\\Seen \\Flagged k1', '\\Answered \\Draft', '\\Deleted $Forwarded k1']
        for message, date, f in zip(messages, dates, flags):
            m.append(name, message, date=date, flags=f)
        yield m


@pytest.mark.parametrize('key,found', [
    ('ALL', [1, 2, 3, 4, 5]), ('1:3', [1, 2, 3]), ('5,1:2', [1, 2, 5]), ('*', [5]), ('UID 2:4', [2, 3, 4]), ('UID 4:100', [4, 5]), ('99', []), ('4:*', [4, 5]),
    ('SEEN', [2, 3]), ('UNSEEN', [1, 4, 5]), ('FLAGGED', [3]), ('UNFLAGGED', [1, 2, 4, 5]), ('ANSWERED', [4]), ('UNANSWERED', [1, 2, 3, 5]),
    ('DRAFT', [4]), ('UNDRAFT', [1, 2, 3, 5]), ('DELETED', [5]), ('UNDELETED', [1, 2, 3, 4]), ('KEYWORD k1', [3, 5]), ('UNKEYWORD K1', [1, 2, 4]),
    ('KEYWORD $forwarded', [5]), ('KEYWORD never', []),
    ('SUBJECT hello', [1]), ('SUBJECT "lo wor"', [1]), ('SUBJECT "folded subject"', [3]), ('FROM ann', [1, 2, 3, 5]), ('TO three', [3]), ('TO one@', [1, 3]), ('CC other', [2]),
    ('BCC secret', [3]), ('HEADER X-Odd thing', [1]), ('HEADER x-odd ""', [1]), ('HEADER X-Nope ""', []), ('HEADER Subject ""', [1, 2, 3, 4, 5]), ('HEADER Date ""', [1, 2, 3, 5]),
    ('CHARSET UTF-8 SUBJECT {7+}\r\nGr\xc3\xbc\xc3\x9fe', [2]), ('CHARSET UTF-8 SUBJECT {7+}\r\nGR\xc3\x9c\xc3\x9fE', [2]),
    ('ON 1-Feb-2020', [1, 2]), ('BEFORE 2-Feb-2020', [1, 2]), ('SINCE 2-Feb-2020', [3, 4, 5]), ('SINCE "3-Mar-2021" BEFORE 4-Apr-2022', [4]), ('NOT ON 1-Feb-2020', [3, 4, 5]),
    ('SENTON 2-Nov-2026', [1, 2, 3]), ('SENTON 3-Nov-2026', [5]), ('SENTSINCE 3-Nov-2026', [5]), ('SENTBEFORE 1-Jan-2000', []), ('SENTBEFORE 3-Nov-2026', [1, 2, 3]),
    ('LARGER 100', [1, 2, 3, 5]), ('SMALLER 100', [4]), ('LARGER 1000000', []),
    ('NOT SEEN', [1, 4, 5]), ('OR SEEN DRAFT', [2, 3, 4]), ('OR (SEEN FLAGGED) (NOT (OR DRAFT UNDELETED))', [3, 5]), ('NOT (SEEN FLAGGED)', [1, 2, 4, 5]),
    ('SEEN SUBJECT folded', [3]), ('SUBJECT folded SEEN 1:2', []), ('NOT NOT SEEN', [2, 3]), ('OR SUBJECT hello OR TO three DRAFT', [1, 3, 4]), ('((((SEEN))))', [2, 3]),
    ('NEW', [1, 4, 5]), ('RECENT', [1, 2, 3, 4, 5]), ('OLD', []),
    ('YOUNGER 60', []), ('OLDER 60', [1, 2, 3, 4, 5]),
])
def test_key(heads, key, found):
    if key in ('NEW', 'RECENT', 'OLD'):
        found = [] if key != 'OLD' else [1, 2, 3, 4, 5]
        heads.ok('NOOP')
        recent = heads.search('RECENT')
        assert heads.search(key) == {'RECENT': recent, 'OLD': [n for n in range(1, 6) if n not in recent],
                                     'NEW': [n for n in (1, 4, 5) if n in recent]}[key]
        return
    assert heads.search(key) == found
    assert heads.search(key, uid=True) == found


def test_charsets(heads):
    heads.no('SEARCH CHARSET KLINGON SUBJECT x', 'BADCHARSET')
    assert heads.search('CHARSET us-ascii SUBJECT hello') == [1]


def test_random_trees(heads):
    """Combinations decide as their parts do."""
    rng = random.Random(7)
    leaves = ['SEEN', 'DRAFT', 'SUBJECT hello', 'TO one@', 'ON 1-Feb-2020', 'HEADER X-Odd thing', 'BODY line', 'LARGER 100', '2:4', 'UID 1,5', 'KEYWORD k1', 'SENTON 3-Nov-2026']
    truth = {key: set(heads.search(key)) for key in leaves}
    everything = {1, 2, 3, 4, 5}

    def tree(depth):
        kind = rng.choice(['leaf', 'not', 'or', 'and']) if depth else 'leaf'
        if kind == 'leaf':
            key = rng.choice(leaves)
            return key, truth[key]
        a, found_a = tree(depth - 1)
        if kind == 'not':
            return f'NOT ({a})', everything - found_a
        b, found_b = tree(depth - 1)
        return (f'OR ({a}) ({b})', found_a | found_b) if kind == 'or' else (f'({a} {b})', found_a & found_b)

    for _ in range(300):
        key, found = tree(4)
        assert heads.search(key) == sorted(found), key


def test_long_search_holds_nobody_up(node):
    body = ('some words that are long\r\n' * 4000)
    with folder(node) as (m, name), login(node) as other:
        for i in range(60):
            m.append(name, mail(f's{i}', body=body))
        tag = m.start('SEARCH BODY "not to be found"')
        for _ in range(20):
            other.ok('NOOP')
        assert m.wait(tag).lines('SEARCH') == [b'']


def test_sort_by_arrival_goes_by_seconds(node):
    """As clients are told it: of messages of the same second the one with the lower number is first."""
    with folder(node) as (m, name):
        for i in range(8):
            m.append(name, mail(str(i)))
        for i in range(8, 0, -1):
            m.ok(f'COPY {i} {name}')
        dates = {n: items['INTERNALDATE'] for n, items in m.fetch('1:* INTERNALDATE')}
        found = [int(n) for n in m.ok('SORT (ARRIVAL) UTF-8 9:16').lines('SORT')[0].split()]
        assert found == sorted(range(9, 17), key=lambda n: (dates[n], n))
