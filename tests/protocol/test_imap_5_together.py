"""Several sessions of one mailbox: each one's numbers stay right whatever the others do; IDLE; a random walk."""
import random
import re
import threading
import time

import pytest
from imap_client import folder, login, mail


def test_expunge_waits_for_numbers(node):
    with folder(node) as (m, name), login(node, select=name) as other:
        for i in range(5):
            m.append(name, mail(f's{i}', body=f'body {i}\r\n'))
        other.ok('NOOP')
        m.ok('STORE 2,4 +FLAGS.SILENT (\\Deleted)')
        m.ok('EXPUNGE')
        # numbers of the other stay as they were until it may be told
        a = other.ok('FETCH 1:5 (UID BODY.PEEK[TEXT])')
        assert a.numbers('EXPUNGE') == []
        assert [f['BODY[TEXT]'] for _, f in a.fetches() if 'UID' in f] == [f'body {i}\r\n'.encode() for i in range(5)]
        a = other.ok('SEARCH ALL')
        assert a.numbers('EXPUNGE') == [] and a.lines('SEARCH') == [b'1 2 3 4 5']
        a = other.ok('STORE 1:5 +FLAGS (x)')
        assert a.numbers('EXPUNGE') == []
        m.append(name, mail('s5'))
        a = other.ok('FETCH 5 UID')
        assert a.numbers('EXISTS') == [6] and a.fetches()[0] == (5, {'UID': b'5'})
        a = other.ok('UID FETCH 5 UID')
        assert a.numbers('EXPUNGE') == [2, 3]
        assert [int(f['UID']) for _, f in other.fetch('1:* UID')] == [1, 3, 5, 6]


def test_expunged_by_others_can_still_be_copied(node):
    with folder(node) as (m, name), folder(node) as (_, target), login(node, select=name) as other:
        for i in range(3):
            m.append(name, mail(f's{i}'))
        other.ok('NOOP')
        m.ok('STORE 1:3 +FLAGS.SILENT (\\Deleted)')
        m.ok('EXPUNGE')
        other.ok(f'COPY 1:3 {target}')
        assert other.ok(f'SELECT {target}').numbers('EXISTS') == [3]


@pytest.mark.parametrize('what', ['append', 'flags', 'expunge', 'move', 'delete'])
def test_idle(node, what):
    with folder(node) as (m, name), login(node, select=name) as other, folder(node) as (_, target):
        m.append(name, mail())
        m.append(name, mail())
        other.ok('NOOP')
        tag = other.start('IDLE')
        assert other.response().startswith(b'+')
        time.sleep(0.1)
        began = time.time()
        if what == 'append':
            m.append(name, mail())
            assert other.response() == b'* 3 EXISTS'
            assert other.response().endswith(b'RECENT')
        elif what == 'flags':
            m.ok('STORE 2 +FLAGS (\\Flagged)')
            assert re.match(rb'\* 2 FETCH \(FLAGS \(.*\\Flagged.*\)\)', other.response())
        elif what == 'expunge':
            m.ok('STORE 1 +FLAGS (\\Deleted)')
            assert b'FETCH' in other.response()
            m.ok('EXPUNGE')
            assert other.response() == b'* 1 EXPUNGE'
        elif what == 'move':
            m.ok(f'MOVE 1:2 {target}')
            assert [other.response(), other.response()] == [b'* 1 EXPUNGE', b'* 1 EXPUNGE']
        else:
            m.ok(f'DELETE {name}')
            assert other.ends().startswith(b'* BYE')
        assert time.time() - began < 15  # a notice; without one IDLE looks every two minutes
        if what != 'delete':
            other.send('DONE\r\n')
            assert other.wait(tag).status == 'OK'


def test_idle_tells_what_was_missed(node):
    with folder(node) as (m, name), login(node, select=name) as other:
        m.append(name, mail())
        tag = other.start('IDLE')
        assert other.response().startswith(b'+')
        assert other.response() == b'* 1 EXISTS'
        other.send('done\r\n')
        assert other.wait(tag).status == 'OK'


def test_idle_and_nonsense(node):
    with folder(node) as (m, name):
        tag = m.start('IDLE')
        m.response()
        m.send('NOOP\r\n')
        assert m.wait(tag).status == 'BAD'
        m.ok('NOOP')
        tag = m.start('IDLE\r\nDONE')
        assert m.wait(tag).status == 'OK'
        m.start('IDLE')
        m.response()
        m.send('x' * 5000)
        assert m.ends().startswith(b'* BYE')
    with login(node) as m:
        tag = m.start('IDLE')
        m.response()
        m.send('DONE\r\n')
        assert m.wait(tag).status == 'OK'


class Mailbox:
    """What a folder really holds."""

    def __init__(self):
        self.next, self.entries = 1, {}

    def add(self, subject, flags):
        self.entries[self.next] = (subject, frozenset(flags))
        self.next += 1
        return self.next - 1


class Session:
    """A client that believes what it is told, and nothing else."""

    def __init__(self, node, name):
        self.m, self.name = login(node), name
        self.uids, self.flags = [], []
        self.hear(self.m.ok(f'SELECT {name}'))
        self.learn()

    def hear(self, answer):
        """FETCH lines in the order they came among the others."""
        for u in answer.untagged:
            if re.match(rb'\d+ EXPUNGE', u):
                self.forget(int(u.split()[0]))
            elif re.match(rb'\d+ EXISTS', u):
                self.grow(int(u.split()[0]))
            elif re.match(rb'\d+ FETCH', u):
                answer_one = type(answer)([u], 'OK', '')
                (n, items), = answer_one.fetches()
                self.learned(n, items)
        return answer

    def forget(self, n):
        del self.uids[n - 1]
        del self.flags[n - 1]

    def grow(self, n):
        assert n >= len(self.uids)
        self.uids += [None] * (n - len(self.uids))
        self.flags += [None] * (n - len(self.flags))

    def learned(self, n, items):
        if 'UID' in items:
            assert self.uids[n - 1] in (None, int(items['UID']))
            self.uids[n - 1] = int(items['UID'])
        if 'FLAGS' in items:
            self.flags[n - 1] = frozenset(f.decode() for f in items['FLAGS']) - {'\\Recent'}

    def learn(self):
        """Asks about messages it was only told the existence of; the answer may tell of more."""
        while new := [i + 1 for i, u in enumerate(self.uids) if u is None]:
            self.hear(self.m.ok('FETCH ' + ','.join(map(str, new)) + ' (UID FLAGS)'))
            assert None not in [self.uids[n - 1] for n in new]

    def do(self, command):
        a = self.hear(self.m.ok(command))
        self.learn()
        return a


def pick(rng, session):
    n = len(session.uids)
    return sorted(rng.sample(range(1, n + 1), min(n, rng.choice([1, 1, 2, 5]))))


def step(rng, s, boxes, count):
    box, other = boxes[s.name], next(b for b in boxes if b != s.name)
    what = rng.choice(['append', 'append', 'store', 'store', 'store', 'silent', 'expunge', 'uidexpunge', 'copy', 'move', 'read', 'noop', 'search', 'idle'])
    if what == 'append':
        flags = rng.sample(['\\Seen', '\\Flagged', 'k1', 'k2'], rng.randrange(3))
        subject = f'message {count}'
        a = s.m.ask(b'APPEND %s (%s) {%d+}\r\n%s' % (s.name.encode(), ' '.join(flags).encode(), len(mail(subject)), mail(subject).encode()))
        assert a.status == 'OK' and int(re.search(r'APPENDUID \d+ (\d+)', a.text)[1]) == box.add(subject, flags)
        s.hear(a)
        s.learn()
    elif what in ('store', 'silent') and s.uids:
        picked, flags = pick(rng, s), rng.sample(['\\Seen', '\\Deleted', '\\Flagged', 'k1', 'k2', 'k3'], rng.randrange(1, 3))
        op = rng.choice(['', '+', '-'])
        before = [s.flags[n - 1] for n in picked]
        changed = {'': lambda f: frozenset(flags), '+': lambda f: f | set(flags), '-': lambda f: f - set(flags)}[op]
        uid_form = rng.random() < 0.5
        which = ','.join(str(s.uids[n - 1] if uid_form else n) for n in picked)
        uids = [s.uids[n - 1] for n in picked]
        for u in uids:
            if u in box.entries:
                box.entries[u] = (box.entries[u][0], changed(box.entries[u][1]))
        if what == 'silent':  # a client applies its own change first, then listens
            for n, f in zip(picked, before):
                s.flags[n - 1] = changed(f)
        a = s.m.ok(('UID ' if uid_form else '') + f'STORE {which} {op}FLAGS' + ('.SILENT' if what == 'silent' else '') + f' ({" ".join(flags)})')
        assert uid_form or not a.numbers('EXPUNGE')
        s.hear(a)
        s.learn()
    elif what == 'expunge':
        box.entries = {u: e for u, e in box.entries.items() if '\\Deleted' not in e[1]}
        s.do('EXPUNGE')
    elif what == 'uidexpunge' and s.uids:
        uids = {s.uids[n - 1] for n in pick(rng, s)}
        box.entries = {u: e for u, e in box.entries.items() if u not in uids or '\\Deleted' not in e[1]}
        s.do('UID EXPUNGE ' + ','.join(map(str, sorted(uids))))
    elif what in ('copy', 'move') and s.uids:
        uids = [s.uids[n - 1] for n in pick(rng, s)]
        alive = [u for u in uids if u in box.entries]
        command = f'UID {what.upper()} {",".join(map(str, uids))} {other}'
        if what == 'copy' and alive != uids:
            return  # a copy of what is gone: its flags are not in the model
        for u in alive:
            boxes[other].add(*box.entries[u])
        if what == 'move':
            for u in alive:
                del box.entries[u]
        s.do(command)
    elif what == 'read' and s.uids:
        a = s.m.ok('FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (Subject)])')
        assert not a.numbers('EXPUNGE')
        for n, items in a.fetches():
            if 'UID' in items:
                assert s.uids[n - 1] == int(items['UID'])
                subject = items['BODY[HEADER.FIELDS (Subject)]'].decode()[9:-4]
                if s.uids[n - 1] in box.entries:
                    assert box.entries[s.uids[n - 1]][0] == subject
        s.hear(a)
        s.learn()
    elif what == 'search' and s.uids:
        found = s.m.ok('SEARCH KEYWORD k1')
        s.hear(found)
        s.learn()
    elif what == 'idle':
        tag = s.m.start('IDLE')
        s.m.send('DONE\r\n')
        s.hear(s.m.wait(tag))
        s.learn()
    else:
        s.do('NOOP')


def check(s, box):
    s.do('NOOP')
    s.do('NOOP')
    assert s.uids == sorted(box.entries), (s.uids, sorted(box.entries))
    assert s.flags == [box.entries[u][1] for u in s.uids]
    uid = [int(f['UID']) for _, f in s.m.fetch('1:* UID')] if s.uids else []
    assert uid == s.uids


@pytest.mark.parametrize('seed', range(8))
def test_random_walk(node, seed):
    rng = random.Random(seed)
    with folder(node) as (a, one), folder(node) as (b, two):
        boxes = {one: Mailbox(), two: Mailbox()}
        sessions = [Session(node, name) for name in (one, one, two)]
        for count in range(400):
            step(rng, rng.choice(sessions), boxes, count)
            if count % 50 == 49:
                for s in sessions:
                    check(s, boxes[s.name])
        for s in sessions:
            check(s, boxes[s.name])
            s.m.close()


@pytest.mark.parametrize('seed', range(3))
def test_storm(node, seed):
    """Everybody at once, nobody in step: in the end all believe the same."""
    with folder(node) as (a, one), folder(node) as (b, two):
        for i in range(20):
            a.append(one, mail(f's{i}'))
        failures = []

        def client(number):
            rng = random.Random(seed * 100 + number)
            try:
                s = sessions[number]
                for i in range(150):
                    storm(rng, s, two, f'{number}-{i}')
            except Exception as e:  # for the main thread
                failures.append((number, repr(e)))

        sessions = [Session(node, one) for _ in range(4)]
        threads = [threading.Thread(target=client, args=(n,)) for n in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not failures
        for s in sessions:
            s.do('NOOP')
        fresh = Session(node, one)
        for s in sessions:
            assert s.uids == fresh.uids
            assert s.flags == fresh.flags
            s.m.close()
        fresh.m.close()


def storm(rng, s, other, subject):
    what = rng.choice(['append', 'append', 'append', 'store', 'store', 'silent', 'expunge', 'move', 'copy', 'body', 'noop', 'idle'])
    n = rng.randrange(1, len(s.uids) + 1) if s.uids else 0
    flag = rng.choice(['\\Seen', '\\Deleted', 'k1', 'k2'])
    if what == 'append':
        m = mail(subject).encode()
        s.hear(s.m.ok(b'APPEND %s {%d+}\r\n%s' % (s.name.encode(), len(m), m)))
        s.learn()
    elif what == 'silent' and n:
        op = rng.choice('+-')
        tag = s.m.start(f'STORE {n} {op}FLAGS.SILENT ({flag})')
        s.flags[n - 1] = s.flags[n - 1] | {flag} if op == '+' else s.flags[n - 1] - {flag}
        s.hear(s.m.wait(tag))
        s.learn()
    elif what == 'store' and n:
        s.do(f'STORE {n}:{min(n + 3, len(s.uids))} {rng.choice("+-")}FLAGS ({flag})')
    elif what == 'expunge':
        s.do('EXPUNGE')
    elif what == 'move' and n:
        s.do(f'MOVE {n} {other}')
    elif what == 'copy' and n:
        s.do(f'COPY {n} {s.name}')
    elif what == 'body' and n:
        s.do(f'FETCH {n} BODY[TEXT]')
    elif what == 'idle':
        tag = s.m.start('IDLE')
        time.sleep(rng.random() / 50)
        s.m.send('DONE\r\n')
        s.hear(s.m.wait(tag))
        s.learn()
    else:
        s.do('NOOP')
