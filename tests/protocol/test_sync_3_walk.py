"""A random walk: clients with caches that go offline and come back at random, while others change the mailbox in every way
there is. In the end, and on the way, each cache is what a client without one would fetch."""
import os
import random

import pytest
from imap_client import login, mail
from sync_client import Cache

STEPS = int(os.environ.get('WALK_STEPS', '150'))


class Others:
    """Everybody else: an ordinary session, the command, and a session that asks for nothing and silently changes flags."""

    def __init__(self, node, user, name, rng):
        self.node, self.user, self.name, self.rng = node, user, name, rng
        self.m = login(node, user)
        self.m.ok(f'CREATE {name}.aside')
        self.select()
        self.recent = [self.modseq]  # after each of the last steps
        self.marks = []              # change numbers to go back to

    def select(self):
        a = self.m.ok(f'SELECT {self.name}')
        self.uids = self.m.search('ALL', uid=True)
        self.modseq = int(str(a).split('HIGHESTMODSEQ ')[1].split(']')[0])

    def some(self, most=4):
        return ','.join(map(str, self.rng.sample(self.uids, min(len(self.uids), self.rng.randint(1, most))))) or '1'

    def append(self):
        for _ in range(self.rng.randint(1, 4)):
            self.m.append(self.name, mail(f's{self.rng.random()}'))

    def store(self):
        op, flag = self.rng.choice(['+', '-', '']), self.rng.choice(['\\Seen', '\\Flagged', '\\Answered', 'k1', 'k2'])
        self.m.ok(f'UID STORE {self.some()} {op}FLAGS.SILENT ({flag})')

    def expunge(self):
        self.m.ok(f'UID STORE {self.some()} +FLAGS (\\Deleted)')
        self.m.ok('EXPUNGE')

    def move(self):
        self.m.ok(f'UID MOVE {self.some()} {self.name}.aside')

    def copy_back(self):
        self.m.ok(f'UID COPY {self.some()} {self.name}')

    def move_back(self):
        with login(self.node, self.user, select=f'{self.name}.aside') as m:
            m.ok(f'MOVE 1:* {self.name}') if m.search('ALL') else None

    def read(self):
        self.m.ok(f'UID FETCH {self.some()} (BODY[TEXT])')

    def mark(self):
        self.marks.append(self.modseq)

    def restore(self):
        if self.marks:
            self.node.perdura('restore', self.user, '--folder', self.name, '--at', f'@{self.rng.choice(self.marks)}')

    def undo(self):
        self.node.run('undo', self.user, '--since', f'@{self.recent[0] + 1}', '--until', f'@{self.modseq}', '--yes')

    def delete_and_restore(self):
        self.m.ok('UNSELECT')
        self.m.ok(f'DELETE {self.name}')
        self.node.perdura('restore', self.user, '--folder', self.name, '--at', f'@{self.modseq}')

    def step(self):
        what = self.rng.choices([self.append, self.store, self.expunge, self.move, self.copy_back, self.move_back, self.read, self.mark,
                                 self.restore, self.undo, self.delete_and_restore], [12, 12, 6, 4, 4, 3, 3, 3, 2, 2, 1])[0]
        if not self.uids and what in (self.store, self.expunge, self.move, self.copy_back, self.read):
            what = self.append
        what()
        self.select()
        self.recent = [*self.recent[-3:], self.modseq]
        return what.__name__


def client_step(c, others, rng, match):
    """One thing that a client does: online, offline, or a change of its own."""
    if c.m is None:
        c.connect(match)
    elif rng.random() < 0.35:
        c.disconnect()
    elif rng.random() < 0.5 or not c.flags:
        c.ask('NOOP')
        c.fetch_new()
    else:
        uid = rng.choice(sorted(c.flags))
        c.ask(rng.choice([f'UID STORE {uid} +FLAGS (mine)', f'UID STORE {uid} -FLAGS (mine)', f'UID STORE {uid} (UNCHANGEDSINCE {c.modseq}) FLAGS (mine \\Seen)',
                          f'UID FETCH {uid} (FLAGS)', 'FETCH 1 (FLAGS UID)' if c.numbers else 'NOOP', 'UID SEARCH FLAGGED', 'SEARCH FLAGGED', f'UID MOVE {uid} {c.name}.aside',
                          f'UID FETCH 1:* (FLAGS) (CHANGEDSINCE {c.modseq} VANISHED)']))


def settle(c, match):
    """Offline and back: then all is known."""
    if c.m is not None:
        c.disconnect()
    c.m = None
    c.connect(match)
    truth = c.truth()
    assert c.flags == truth, (sorted(set(c.flags) ^ set(truth)), {u: (c.flags[u], truth[u]) for u in set(c.flags) & set(truth) if c.flags[u] != truth[u]})
    c.disconnect()


@pytest.mark.parametrize('seed', [1, 2, 3])
def test_walk(node, seed):
    rng = random.Random(seed)
    name = f'walk{seed}'
    with login(node) as m:
        m.ok(f'CREATE {name}')
    others = Others(node, node.user, name, rng)
    others.append()
    others.select()
    clients = [(Cache(node, node.user, name), match) for match in (0, 2, 0)]
    log = []
    for i in range(STEPS):
        log.append(others.step())
        if log[-1] in ('delete_and_restore', 'undo'):  # open sessions of a deleted mailbox end
            for c, _ in clients:
                c.m = None
        c, match = rng.choice(clients)
        client_step(c, others, rng, match)
        if i % 25 == 24:
            for c, match in clients:
                settle(c, match)
    assert 'expunge' in log and 'restore' in log
