"""CONTEXT=SEARCH and CONTEXT=SORT: a client that does as it is told has what it would find, however much happens."""
import random
import re
import time

import pytest
from imap_client import folder, login, mail
from node import PopulatedNode
from stores import looks_into_packs
from test_imap_8_faults import damage, noise

FLAGS = ['\\Seen', '\\Flagged', '\\Deleted', 'blue', '\\Answered']
QUERIES = [
    'UNSEEN', 'NOT DELETED', 'OR FLAGGED KEYWORD blue', 'SUBJECT s1', 'ALL', 'BODY needle UNSEEN', 'UID *', 'NOT UID 4:*', 'SMALLER 300 ANSWERED',
    'RECENT', 'OR BODY needle FLAGGED', 'NOT FROM nobody']
ORDERS = ['ARRIVAL', 'REVERSE SUBJECT', 'SUBJECT', 'REVERSE SIZE DATE', 'FROM']


def numbers(text):
    out = []
    for part in text.split(','):
        first, _, last = part.partition(':')
        out += range(int(first), int(last or first) + 1)
    return out


class Result:
    """What a client knows of one: numbers in order."""

    def __init__(self, m, uid, command, criteria):
        self.uid, self.command, self.criteria = 'UID ' if uid else '', command, criteria
        self.tag = m.start(f'{self.uid}{command} RETURN (UPDATE ALL) {criteria}')
        answer = m.wait(self.tag)
        assert answer.status == 'OK', answer
        found = re.search(rb'ALL (\S+)', answer.lines('ESEARCH')[0])
        self.list = numbers(found[1].decode()) if found else []

    def fresh(self, m):
        line, = m.ok(f'{self.uid}{self.command} {self.criteria}').lines(self.command)
        return [int(x) for x in line.split()]

    def expunged(self, number):
        if not self.uid:
            assert number not in self.list, 'REMOVEFROM comes before EXPUNGE'
            self.list = [n - (n > number) for n in self.list]

    def add(self, position, them):
        assert not set(them) & set(self.list)
        assert (position == 0) == (self.command == 'SEARCH')
        if position:
            assert position <= len(self.list) + 1
            self.list[position - 1:position - 1] = them
        else:
            self.list = sorted(self.list + them)

    def remove(self, position, them):
        if position:
            assert self.list[position - 1:position - 1 + len(them)] == them
            del self.list[position - 1:position - 1 + len(them)]
        else:
            assert set(them) <= set(self.list)
            self.list = [n for n in self.list if n not in them]


class Client:
    """Applies what it is told to its results."""

    def __init__(self, m, results):
        self.m, self.results = m, {r.tag: r for r in results}
        self.exists = len(m.ok('UID SEARCH ALL').lines('SEARCH')[0].split())

    def take(self, line):
        line = line.decode('latin-1')
        if m := re.fullmatch(r'(\d+) (EXPUNGE|EXISTS)', line):
            self.exists = int(m[1]) if m[2] == 'EXISTS' else self.exists - 1
            for r in self.results.values() if m[2] == 'EXPUNGE' else ():
                r.expunged(int(m[1]))
        elif m := re.fullmatch(r'ESEARCH \(TAG "([^"]+)"\)( UID)? ((?:REMOVEFROM|ADDTO) .*)', line):
            r = self.results[m[1]]
            assert bool(m[2]) == bool(r.uid)
            for what, pairs in re.findall(r'(REMOVEFROM|ADDTO) \(([^)]*)\)', m[3]):
                words = pairs.split(' ')
                for position, them in zip(words[::2], words[1::2]):
                    them = numbers(them)
                    assert r.uid or max(them) <= self.exists
                    (r.add if what == 'ADDTO' else r.remove)(int(position), them)
        else:
            assert not line.startswith(('ESEARCH', 'NO ')), line

    def ask(self, command):
        answer = self.m.ok(command)
        for line in answer.untagged:
            self.take(line)


def change(m, rng):
    """One thing that somebody does."""
    m.ok('NOOP')
    n = len(m.ok('UID SEARCH ALL').lines('SEARCH')[0].split())
    what = rng.randrange(10)
    if what < 3 or n < 3:
        body = rng.choice(['', 'a needle\r\n', 'x' * rng.randrange(500) + '\r\n'])
        m.append(m.name, mail(f's{rng.randrange(20)}', body=body), flags=rng.choice(['', '\\Seen', 'blue \\Flagged']))
    elif what < 9:
        some = ','.join(str(rng.randrange(1, n + 1)) for _ in range(rng.randrange(1, 5)))
        m.ok(f'STORE {some} {rng.choice("+-")}FLAGS{rng.choice(["", ".SILENT"])} ({rng.choice(FLAGS)})')
    else:
        m.ok('EXPUNGE')


@pytest.mark.parametrize('seed', range(6))
def test_what_is_told_is_what_is_there(node, seed):
    rng = random.Random(seed)
    with folder(node) as (m, name), login(node, select=name) as other:
        m.name = other.name = name
        for i in range(12):
            m.append(name, mail(f's{i}', body='needle\r\n' if i % 3 == 0 else ''))
        m.ok('NOOP'), other.ok('NOOP')
        if seed % 2:
            m.ok('NOTIFY SET (SELECTED-DELAYED (MessageNew MessageExpunge FlagChange))')
        queries = rng.sample(QUERIES, 8)
        results = [Result(m, rng.random() < .5, 'SEARCH', q) if i % 2 else
                   Result(m, rng.random() < .5, 'SORT', f'({rng.choice(ORDERS)}) UTF-8 {q}') for i, q in enumerate(queries)]
        client = Client(m, results)
        for turn in range(120):
            for _ in range(rng.randrange(4)):
                change(other, rng)
            n = client.exists
            own = ['NOOP', 'UID FETCH 1:* (UID)', 'FETCH 1 (UID)' if n else 'NOOP', 'EXPUNGE', f'STORE {rng.randrange(1, n + 1)} +FLAGS.SILENT (\\Deleted)'
                   if n else 'NOOP', f'UID STORE 1:* {rng.choice("+-")}FLAGS (\\Flagged)']
            client.ask(rng.choice(own))
            if turn % 5 == 0:
                client.ask('NOOP')
                for r in results:
                    assert r.list == r.fresh(m), (turn, r.command, r.criteria)


def test_sessions_in_idle(node):
    with folder(node) as (m, name), login(node, select=name) as other:
        r = Result(other, True, 'SORT', '(REVERSE SIZE) UTF-8 UNSEEN')
        client = Client(other, [r])
        other.start('IDLE')
        other.response()
        for i in range(30):
            m.append(name, mail(body='x' * i))
        m.ok('STORE 1:10 +FLAGS.SILENT (\\Seen)')
        while r.list != list(range(30, 10, -1)):
            client.take(other.response()[2:])
        m.ok('STORE 15 +FLAGS.SILENT (\\Deleted)')
        m.ok('EXPUNGE')
        while client.exists != 29:
            client.take(other.response()[2:])
        assert r.list == [u for u in range(30, 10, -1) if u != 15]


def test_bounds(node):
    with folder(node) as (m, name):
        m.append(name, mail())
        tags = [Result(m, True, 'SEARCH', 'SEEN').tag for _ in range(8)]
        answer = m.ok('UID SEARCH RETURN (UPDATE COUNT) SEEN')
        assert answer.untagged[0].startswith(b'NO [NOUPDATE "') and answer.lines('ESEARCH')[0].endswith(b'UID COUNT 0')
        m.ok(f'CANCELUPDATE "{tags[3]}" "{tags[5]}"')
        assert {u.split(b'"')[1].decode() for u in m.ok('STORE 1 +FLAGS (\\Seen)').untagged if b'ADDTO' in u} == {t for t in tags if t not in (tags[3], tags[5])}
        # a tag that a kept one has; and again when that has ended
        for status in ('BAD', 'OK'):
            m.send(f'{tags[0]} SEARCH RETURN (UPDATE) ALL\r\n'.encode())
            assert m.wait(tags[0]).status == status
            m.ok(f'CANCELUPDATE "{tags[0]}"')


def test_memory_is_bounded(node):
    """A result is refused, or given up later, when all together would take too much; the others go on."""
    with folder(node) as (m, name):
        m.append(name, mail())
        while (n := len(m.ok('UID SEARCH ALL').lines('SEARCH')[0].split())) < 40000:
            m.ok(f'UID COPY 1:* {name}')
            m.ok('NOOP')
        answers = [m.ok('UID SORT RETURN (UPDATE COUNT) (ARRIVAL) UTF-8 ALL') for _ in range(8)]
        kept = [not a.untagged[0].startswith(b'NO [NOUPDATE ') for a in answers]
        assert kept == sorted(kept, reverse=True) and 0 < sum(kept) == (1 << 20) // (4 * n + 200)
        m.ok('UID SEARCH RETURN (UPDATE COUNT) SEEN')
        came = m.ok('UID STORE 1,3,5 +FLAGS.SILENT (\\Seen)').lines('ESEARCH')
        assert len(came) == 1 and came[0].endswith(b'ADDTO (0 1,3,5)')
        before = time.monotonic()
        for _ in range(20):
            m.append(name, mail())
        assert len([u for u in m.ok('NOOP').lines('ESEARCH')]) == 0 and time.monotonic() - before < 20


def test_uids_only(node):
    """Numbers are told no more after ENABLE UIDONLY, of a result that was asked for before as well."""
    with folder(node) as (m, name):
        for i in range(3):
            m.append(name, mail(f's{i}'))
        m.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
        m.ok('EXPUNGE')
        tag = m.start('SEARCH RETURN (UPDATE COUNT) UNSEEN')
        m.wait(tag)
        m.ok('ENABLE UIDONLY')
        assert f'ESEARCH (TAG "{tag}") UID REMOVEFROM (0 3)'.encode() in m.ok('UID STORE 3 +FLAGS (\\Seen)').untagged
        m.bad('SEARCH RETURN (UPDATE) ALL')
        m.ok('UID STORE 2 +FLAGS.SILENT (\\Deleted)')
        came = m.ok('UID EXPUNGE 2').untagged
        assert came == [f'ESEARCH (TAG "{tag}") UID REMOVEFROM (0 2)'.encode(), b'VANISHED 2']


def test_silence(node):
    """Where NOTIFY keeps silent a result rests, and loses nothing."""
    with folder(node) as (m, name), login(node, select=name) as other:
        r = Result(m, True, 'SEARCH', 'UNSEEN')
        client = Client(m, [r])
        m.ok('NOTIFY NONE')
        other.append(name, mail())
        client.ask('NOOP')
        assert r.list == []
        m.ok('NOTIFY SET (SELECTED (MessageNew MessageExpunge))')
        client.ask('NOOP')
        other.append(name, mail())
        other.ok('STORE 1 +FLAGS (\\Seen)')
        while r.list != [2]:
            client.take(m.response()[2:])


@looks_into_packs
def test_only_what_changed_is_read(tmp_path):
    """A body that is damaged once the result is kept is not missed until that message changes; then it matches no more."""
    with PopulatedNode(tmp_path) as node, login(node, select='INBOX') as m, login(node, select='INBOX') as other:
        for i in range(5):
            m.append('INBOX', mail(f's{i}', body=noise(3000) + 'needle\r\n'))
        m.ok('NOOP')
        r = Result(m, True, 'SEARCH', 'BODY needle')
        client = Client(m, [r])
        assert r.list == [1, 2, 3, 4, 5]
        damage(node, 0)
        other.append('INBOX', mail('new', body='needle\r\n'))
        client.ask('NOOP')
        assert r.list == [1, 2, 3, 4, 5, 6] and 'imap-search-damaged' not in node.log_text()
        other.ok('STORE 3 +FLAGS (\\Seen)')
        client.ask('NOOP')
        assert r.list == [1, 2, 4, 5, 6] and node.log_text().count('imap-search-damaged') == 1
        other.ok('STORE 4 +FLAGS.SILENT (\\Deleted)')
        other.ok('EXPUNGE')
        client.ask('NOOP')
        assert r.list == [1, 2, 5, 6]
