#!/usr/bin/env python3
"""Rounds of kill -9 at random moments, under deliveries, flags, copies, moves, expunges, folders, snapshots and restores.

    rounds.py --rounds 200 [--seed S] [--powercut] [--dir DIR] [--check 10]

Each round starts the node, compares all it shows with what was acknowledged before it died, lets clients work for a short
time, and kills it. With --powercut both stores keep unsynced writes in memory (some get through at random), so that the kill
is a power cut. The same --dir goes on where an earlier run ended (^C ends after the round). Exit status 1: a rule was broken;
each is one line, and DIR is kept."""
import argparse
import json
import pathlib
import pickle
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / 'protocol')]
from clients import Deliverer, Filer, Gardener, Hauler, Restorer, Sorter, read_folder  # noqa: E402
from imap_client import Imap, quote  # noqa: E402
from ledger import Arrival, Ledger, Repeat, RestoreFolder, RestoreMessages, compare, content  # noqa: E402
from node import PASSWORD, Node  # noqa: E402

ADA, BOB, CAROL, DORA = ACCOUNTS = tuple(f'{n}@example.org' for n in ('ada', 'bob', 'carol', 'dora'))
FOLDERS = {ADA: ['Left', 'Right'], BOB: ['Work', 'Done', 'Keep', 'Filed'], CAROL: ['Tree', 'Filed'], DORA: ['Much', 'More']}
RESTART_MAX = 2.0  # seconds
SNAPSHOTS_KEPT = 20


class Rounds:
    def __init__(self, folder, seed, powercut=False, check_every=10, shortest=0.1, longest=1.2):
        self.dir, self.seed, self.powercut, self.check_every = pathlib.Path(folder), seed, powercut, check_every
        self.shortest, self.longest = shortest, longest
        self.node = Node(self.dir)
        self.violations, self.restarts = [], []
        self.pending = []
        self.random = random.Random(seed)
        self.stopping = False
        self.ledger = self.load() or self.begin()

    def say(self, text):
        text = f'round {self.ledger.round}: {text}'
        self.violations.append(text)
        print('VIOLATION', text, file=sys.stderr, flush=True)

    # -- the ledger on disk

    def load(self):
        try:
            state = pickle.loads((self.dir / 'ledger').read_bytes())
        except FileNotFoundError:
            return None
        ledger, self.pending = state
        return ledger

    def save(self):
        """Only between rounds: a run that ended within one cannot be judged."""
        new = self.dir / 'ledger.new'
        new.write_bytes(pickle.dumps((self.ledger, self.pending)))
        new.rename(self.dir / 'ledger')

    def begin(self):
        ledger = Ledger(ACCOUNTS)
        self.node.start()
        self.node.add(*ACCOUNTS)
        for a in ACCOUNTS:
            with Imap(self.node.tcp('listen.imap'), a, PASSWORD) as m:
                for f in FOLDERS[a]:
                    m.ok(f'CREATE {f}')
                for f in self.list(m):
                    ledger.accounts[a][f] = read_folder(m, f)
        self.node.stop()
        return ledger

    # -- what the node shows

    @staticmethod
    def list(imap):
        return [re.match(rb'\([^)]*\) "/" "?(.*?)"?$', u)[1].decode() for u in imap.ok('LIST "" "*"').lines('LIST')]

    def show(self, address):
        with Imap(self.node.tcp('listen.imap'), address, PASSWORD) as m:
            return {f: read_folder(m, f) for f in self.list(m)}

    def settled(self, address):
        """The same twice: a restore, or a change of many messages, that a crash broke off is made good after the start."""
        now = self.show(address)
        while any(o.address == address and (address == DORA or isinstance(o, (RestoreFolder, RestoreMessages))) for o in self.pending):
            time.sleep(0.3)
            before, now = now, self.show(address)
            if before == now:
                break
        return now

    # -- is all there?

    def verify(self, thorough):
        node = {a: self.settled(a) for a in ACCOUNTS}
        for op in self.pending:
            self.settle(op, node)
        self.pending = []
        for a in ACCOUNTS:
            self.verify_account(a, node[a], thorough)
        self.verify_snapshots()

    def settle(self, op, node):
        """What was not answered happened or not; a delivery is sent again either way."""
        happened, again = op.happened(node, self.ledger), op
        self.ledger.count(f'unanswered {type(op).__name__}, {"happened" if happened else "did not happen"}')
        if happened:
            op.apply(self.ledger)
            if isinstance(op, Arrival):
                again = Repeat(op.address, op.ident, op.sender)
        if isinstance(again, (Arrival, Repeat)) and again.sender:
            if op in self.ledger.unanswered:
                self.ledger.unanswered.remove(op)
            self.ledger.unanswered.append(again)

    def verify_account(self, address, node, thorough):
        mine = self.ledger.accounts[address]
        for f in sorted(mine.keys() - node.keys()):
            self.say(f'{address}: folder {f} is lost')
        for f in sorted(node.keys() - mine.keys()):
            self.say(f'{address}: folder {f} came from nowhere')
        with Imap(self.node.tcp('listen.imap'), address, PASSWORD) as m:
            for f in sorted(mine.keys() & node.keys()):
                fresh = not mine[f].uidvalidity
                new = compare(f'{address} {f}', mine[f], node[f], self.say)
                if fresh and node[f].uidvalidity in self.ledger.uidvalidities[address]:
                    self.say(f'{address} {f}: UIDVALIDITY {node[f].uidvalidity} was used before')
                self.verify_content(m, f'{address} {f}', f, node[f], set(node[f].messages) if thorough else new)
        self.ledger.accounts[address] = {f: mine.get(f, node[f]) for f in node}
        seen = [f.uidvalidity for f in node.values()]
        if len(set(seen)) < len(seen):
            self.say(f'{address}: two folders share a UIDVALIDITY')
        self.ledger.uidvalidities[address].update(seen)
        self.verify_changes(address, thorough)

    def verify_content(self, imap, where, name, folder, uids):
        uids = sorted(uids)
        if uids:
            imap.ok(f'EXAMINE {quote(name)}')
        for i in range(0, len(uids), 50):
            part = ','.join(map(str, uids[i:i + 50]))
            got = {int(x['UID']): x['BODY[]'] for _, x in imap.ok(f'UID FETCH {part} (UID BODY.PEEK[])').fetches()}
            for u in uids[i:i + 50]:
                if got.get(u) != content(folder.messages[u][0]):
                    self.say(f'{where}: UID {u} ({folder.messages[u][0]}) has other bytes than were sent')

    def verify_changes(self, address, thorough):
        change = self.node.json('account', 'show', address)['change']
        if change < self.ledger.changes[address]:
            self.say(f'{address}: change number was {self.ledger.changes[address]}, is {change}')
        self.ledger.changes[address] = change
        if not thorough:
            return
        events = [json.loads(l) for l in self.node.perdura('--json', 'history', address).splitlines()]
        events = {e['first']: e['at'] for e in events}
        for first, at in self.ledger.history[address].items():
            if events.get(first) != at:
                self.say(f'{address}: history had change {first} at {at}, has it at {events.get(first)}')
        self.ledger.history[address] = events

    def verify_snapshots(self):
        names = list(self.ledger.snapshots)
        for name in self.random.sample(names, min(3, len(names))):
            address, path, then = self.ledger.snapshots[name]
            with Imap(self.node.tcp('listen.imap'), address, PASSWORD) as m:
                now = read_folder(m, f'#at/{name}/{path}')
            if now.messages != then.messages:
                self.say(f'{address}: the past {name} of {path} has changed: {set(then.messages.items()) ^ set(now.messages.items())}')
        for name in names[:-SNAPSHOTS_KEPT]:
            self.node.perdura('snapshot', 'remove', name)
            del self.ledger.snapshots[name]

    def check(self):
        r = self.node.run('check', timeout=300)
        if 'no such command' in r.stderr:
            print('perdura has no check here: skipped', file=sys.stderr)
            return
        if r.returncode:
            self.say(f'check: {r.returncode} {r.stdout}{r.stderr}')
        self.ledger.count('checks')

    # -- a round

    def start(self):
        if self.powercut:
            seed = self.random.choice((0, self.random.randrange(1, 1 << 32)))  # 0: nothing unsynced ever gets through
            self.node.settings['meta.url'] = f'sqlite:meta.db?powercut=1&seed={seed}'
            self.node.settings['blob.url'] = f'file:blobs?powercut=1&seed={seed}'
        if self.random.random() < 0.15:  # dies while it starts
            p = subprocess.Popen(self.node.arguments(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(self.random.uniform(0, 0.06))
            p.kill()
            p.wait()
            self.ledger.count('kills while starting')
        begun = time.monotonic()
        self.node.start()
        Imap(self.node.tcp('listen.imap')).close()
        took = time.monotonic() - begun
        self.restarts.append(took)
        if took > RESTART_MAX:
            self.say(f'the start took {took:.2f} s')

    def clients(self):
        common = self.node, self.ledger, self.seed, self.say
        return [
            Deliverer('post', *common, accounts=(ADA, BOB, CAROL)),
            Deliverer('mail', *common, accounts=(ADA, BOB)),
            Sorter('left', *common, address=ADA, half=0, halves=2, to='Left'),
            Sorter('right', *common, address=ADA, half=1, halves=2, to='Right'),
            Sorter('bobs', *common, address=BOB, half=0, halves=1, to='Filed'),
            Sorter('carols', *common, address=CAROL, half=0, halves=1, to='Filed'),
            Filer('filer', *common, address=BOB, folders=('Work', 'Done')),
            Hauler('hauler', *common, address=DORA, folders=('Much', 'More'), dir=self.dir),
            Gardener('gardener', *common, address=CAROL),
            Restorer('restorer', *common, address=BOB),
        ]

    def kill(self, clients, signum=signal.SIGKILL):
        if self.node.process.poll() is not None:
            self.say(f'the node ended by itself with {self.node.process.returncode}: {self.node.log_text()[-2000:]}')
        for c in clients:
            c.dying.set()
        if self.node.stop(signum) not in (0, -signal.SIGKILL):
            self.say('the node did not stop cleanly')
        for c in clients:
            c.join(60)
            if c.is_alive():
                self.say(f'{c.name} hangs')
            self.pending += c.pending

    def round(self):
        self.ledger.round += 1
        self.start()
        thorough = self.ledger.round % self.check_every == 0
        self.verify(thorough)
        if thorough:
            self.check()
        clients = self.clients()
        for c in clients:
            c.start()
        time.sleep(self.random.uniform(self.shortest, self.longest))
        self.kill(clients)
        self.save()

    def finish(self):
        """The last look, with everything read."""
        self.ledger.round += 1
        self.start()
        self.verify(True)
        self.check()
        if self.node.stop():
            self.say('the node did not stop cleanly')
        self.save()

    def run(self, rounds):
        first = self.ledger.round
        try:
            while self.ledger.round < first + rounds and not self.stopping:
                self.random = random.Random(f'{self.seed}/{self.ledger.round}')
                self.round()
                show_progress(self, first, rounds)
            self.finish()
        finally:
            self.node.kill()
        return not self.violations


def show_progress(r, first, rounds):
    if sys.stderr.isatty():
        print(f'\r{r.ledger.round - first} of {rounds} rounds, {r.ledger.totals.get("acknowledged", 0)} acknowledged, '
              f'{len(r.violations)} violations ', end='', file=sys.stderr, flush=True)


def report(r):
    print(f'rounds: {r.ledger.round}, power cuts: {"yes" if r.powercut else "no"}, seed: {r.seed}')
    for k, v in sorted(r.ledger.totals.items()):
        print(f'{k}: {v}')
    print(f'time to serve: median {statistics.median(r.restarts):.3f} s, longest {max(r.restarts):.3f} s, of {len(r.restarts)} starts')
    print(f'violations: {len(r.violations)}')


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--rounds', type=int, default=200)
    p.add_argument('--seed', default='1')
    p.add_argument('--powercut', action='store_true')
    p.add_argument('--dir', help='made if absent; removed at the end only if it was not given')
    p.add_argument('--check', type=int, default=10, help='every so many rounds everything is read and checked')
    p.add_argument('--longest', type=float, default=1.2, help='of a round, in seconds')
    a = p.parse_args()
    folder = pathlib.Path(a.dir or tempfile.mkdtemp(prefix='perdura-rounds.'))
    folder.mkdir(parents=True, exist_ok=True)
    r = Rounds(folder, a.seed, a.powercut, a.check, longest=a.longest)
    for s in (signal.SIGINT, signal.SIGTERM):
        signal.signal(s, lambda *_: setattr(r, 'stopping', True))
    fine = r.run(a.rounds)
    report(r)
    if fine and not a.dir:
        shutil.rmtree(folder)
    else:
        print(f'kept: {folder}')
    return 0 if fine else 1


if __name__ == '__main__':
    sys.exit(main())
