"""Clients that change mail until the node dies under them. Each has its own folders or its own messages, does one thing at a
time, and enters it into the ledger when the node said that it is done; what was not answered stays in `pending`."""
import contextlib
import random
import re
import shutil
import threading
import time

from imap_client import Closed, Imap, quote
from ledger import (FLAGS, Arrival, Copy, Create, Delete, Expunge, Folder, Import, Rename, Repeat, RestoreFolder, RestoreMessages, Store,
                    compare, content)
from lmtp_client import Lmtp
from node import PASSWORD

READ = 'FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (X-Id)])'


class Refused(Exception):
    """An answer that no client should have got."""


def path(name):
    return quote(name)


def numbers(text):
    """'3:5,9' as a list."""
    out = []
    for part in text.split(','):
        first, _, last = part.partition(':')
        out += range(int(first), int(last or first) + 1)
    return out


def uid_set(uids):
    return ','.join(map(str, sorted(uids)))


def read_messages(fetches):
    """{uid: (name, flags)} of the answers to READ."""
    out = {}
    for _, item in fetches:
        head = next(v for k, v in item.items() if k.startswith('BODY['))
        flags = frozenset(f.decode() for f in item['FLAGS']) - {'\\Recent'}
        out[int(item['UID'])] = (head.decode().partition(':')[2].strip(), flags)
    return out


def read_folder(imap, name, command='EXAMINE'):
    a = imap.ok(f'{command} {path(name)}')
    state = ' '.join(u.decode('latin-1') for u in a.untagged)
    folder = Folder(*(int(re.search(rf'\[{word} (\d+)\]', state)[1]) for word in ('UIDVALIDITY', 'UIDNEXT')))
    if a.numbers('EXISTS') != [0]:
        folder.messages = read_messages(imap.ok('UID ' + READ).fetches())
    return folder


class Client(threading.Thread):
    def __init__(self, name, node, ledger, seed, say):
        super().__init__(name=name, daemon=True)
        self.node, self.ledger, self.say = node, ledger, say
        self.random = random.Random(f'{seed}/{ledger.round}/{name}')
        self.dying = threading.Event()
        self.pending = []
        self.made = 0

    def run(self):
        try:
            while not self.dying.is_set():
                self.work()
        except (Closed, OSError, EOFError) as e:
            if not self.dying.wait(1):
                self.say(f'{self.name}: the connection ended: {e!r}')
        except Refused as e:
            if not self.dying.is_set():  # a node that goes down may say so
                self.say(f'{self.name}: refused: {e}')
        except Exception as e:  # also what the client modules assert
            if not self.dying.wait(1):
                self.say(f'{self.name}: {e!r}')

    def new_name(self):
        self.made += 1
        return f'{self.name}-{self.ledger.round}-{self.made}'

    @contextlib.contextmanager
    def attempt(self, *operations):
        """Pending until the block ends without an exception."""
        self.pending = list(operations)
        yield
        self.pending = []

    def done(self, operation, *what):
        with self.ledger.lock:
            operation.apply(self.ledger, *what)
            self.ledger.count('acknowledged')
            self.ledger.count('acknowledged ' + type(operation).__name__)
        if operation in self.pending:
            self.pending.remove(operation)


class Deliverer(Client):
    """LMTP: new messages for one or several accounts, some delivered again."""

    def __init__(self, *args, accounts):
        super().__init__(*args)
        self.accounts = accounts
        self.lmtp = None
        self.old = []
        self.retries = [o for o in self.ledger.unanswered if o.sender == self.sender]

    @property
    def sender(self):
        return f'{self.name}@example.net'

    def send(self, ident, operations):
        with self.attempt(*operations):
            replies = self.lmtp.deliver(content(ident), *(o.address for o in operations), sender=self.sender)
            for o, r in zip(operations, replies):
                if not r:
                    raise Closed()
                if not r.startswith('250 2.0.0'):
                    raise Refused(f'{ident} to {o.address}: {r}')
                yield o

    def work(self):
        if not self.lmtp:
            self.lmtp = Lmtp(self.node.lmtp)
        if self.retries:  # as Postfix does: stored already or not, it is there once in the end
            again = self.retries.pop()
            for o in self.send(again.ident, [again]):
                self.done(o)
                self.ledger.unanswered.remove(again)
        elif self.old and self.random.random() < 0.1:
            ident, to = self.random.choice(self.old)
            for o in self.send(ident, [Repeat(a, ident) for a in to]):
                self.done(o)
        else:
            self.deliver_new()

    def deliver_new(self):
        ident = self.new_name()
        to = self.random.sample(self.accounts, self.random.choice((1, 1, len(self.accounts))))
        for o in self.send(ident, [Arrival(a, 'INBOX', ident, sender=self.sender) for a in to]):
            self.done(o)
        self.old.append((ident, to))


class ImapClient(Client):
    def __init__(self, *args, address):
        super().__init__(*args)
        self.address = address
        self.imap = None
        self.selected = None

    def connect(self):
        if not self.imap:
            self.imap = Imap(self.node.tcp('listen.imap'), self.address, PASSWORD)

    def folder(self, name):
        return self.ledger.folder(self.address, name)

    def command(self, text):
        a = self.imap.ask(text)
        if a.status != 'OK':
            raise Refused(f'{text}: {a.status} {a.text}')
        return a

    def select(self, name):
        if self.selected != name:
            self.command(f'SELECT {path(name)}')
            self.selected = name

    def copyuid(self, answer):
        text = answer.text + ' '.join(u.decode('latin-1') for u in answer.untagged)
        m = re.search(r'\[COPYUID \d+ (\S+) (\S+)\]', text)
        return dict(zip(numbers(m[1]), numbers(m[2])))

    # -- one change each

    def append(self, name):
        ident, flags = self.new_name(), frozenset(self.random.sample(FLAGS, self.random.randrange(3)))
        op = Arrival(self.address, name, ident, flags)
        message = content(ident)
        with self.attempt(op):
            a = self.imap.ask(f'APPEND {path(name)} ({" ".join(flags)}) {{{len(message)}+}}\r\n'.encode() + message)
            m = re.match(r'\[APPENDUID \d+ (\d+)\]', a.text)
            if a.status != 'OK' or not m:
                raise Refused(f'APPEND {ident}: {a.status} {a.text}')
            self.done(op, int(m[1]))

    def store(self, name, uids, mode=None, flags=None):
        mode = self.random.choice(('', '+', '+', '-')) if mode is None else mode
        flags = flags or frozenset(self.random.sample(FLAGS, self.random.randrange(1, 4)))
        op = Store(self.address, name, uids, mode, flags)
        self.select(name)
        with self.attempt(op):
            self.command(f'UID STORE {uid_set(uids)} {mode}FLAGS{self.random.choice(("", ".SILENT"))} ({" ".join(flags)})')
            self.done(op)

    def copy(self, name, uids, to, move):
        op = Copy(self.address, name, sorted(uids), to, move)
        self.select(name)
        with self.attempt(op):
            a = self.command(f'UID {"MOVE" if move else "COPY"} {uid_set(uids)} {path(to)}')
            self.done(op, self.copyuid(a))

    def expunge(self, name, uids):
        self.store(name, uids, '+', frozenset({'\\Deleted'}))
        op = Expunge(self.address, name, uids)
        with self.attempt(op):
            self.command(f'UID EXPUNGE {uid_set(uids)}')
            self.done(op)

    # -- the command line

    def perdura(self, *words):
        r = self.node.run(*words)
        if r.returncode:
            if not self.dying.wait(0.5):
                raise Refused(f'perdura {" ".join(words)}: {r.returncode} {r.stdout} {r.stderr}')
            raise Closed()
        return r.stdout

    def change(self):
        """The account's change number, which must never be less again."""
        text = self.perdura('account', 'show', self.address)
        n = int(re.search(r'change @(\d+)', text)[1])
        with self.ledger.lock:
            if n < self.ledger.changes[self.address]:
                self.say(f'{self.address}: change number was {self.ledger.changes[self.address]}, is {n}')
            self.ledger.changes[self.address] = n
        return n

    def look_again(self, name):
        """What the ledger has, against what the living node shows."""
        self.selected = None
        now = read_folder(self.imap, name, 'SELECT')
        self.selected = name
        with self.ledger.lock:
            compare(f'{self.address} {name}, alive', self.folder(name), now, self.say)


class Sorter(ImapClient):
    """Flags, expunges and files away its own half of a shared INBOX: the UIDs known when the round began."""

    def __init__(self, *args, address, half, halves, to):
        super().__init__(*args, address=address)
        self.to = to
        self.mine = [u for u in self.folder('INBOX').messages if u % halves == half]

    def work(self):
        self.connect()
        if not self.mine:
            self.store_or_rest()
            return
        some = self.random.sample(self.mine, min(len(self.mine), self.random.randrange(1, 9)))
        dice = self.random.random()
        if dice < 0.75:
            self.store('INBOX', some)
        elif dice < 0.85:
            self.copy('INBOX', some, self.to, False)
        elif dice < 0.95 or len(self.mine) < 30:
            self.copy('INBOX', some, self.to, True)
            self.mine = [u for u in self.mine if u not in some]
        else:
            self.expunge('INBOX', some)
            self.mine = [u for u in self.mine if u not in some]
        self.keep_small(self.to)

    def store_or_rest(self):
        there = list(self.folder(self.to).messages)
        if there:
            self.store(self.to, self.random.sample(there, 1))
        else:
            time.sleep(0.01)

    def keep_small(self, name, most=80):
        there = sorted(self.folder(name).messages)
        if len(there) > most:
            self.expunge(name, there[:most // 2])


class Filer(ImapClient):
    """Appends, copies and moves between two folders of its own."""

    def __init__(self, *args, address, folders):
        super().__init__(*args, address=address)
        self.folders = folders

    def work(self):
        self.connect()
        here, there = self.random.sample(self.folders, 2)
        uids = list(self.folder(here).messages)
        dice = self.random.random()
        if len(uids) < 5 or dice < 0.35:
            self.append(here)
            return
        some = self.random.sample(uids, min(len(uids), self.random.randrange(1, 12)))
        if dice < 0.6:
            self.store(here, some)
        elif dice < 0.75:
            self.copy(here, some, there, False)
        elif dice < 0.9:
            self.copy(here, some, there, True)
        else:
            self.expunge(here, some)
        if len(uids) > 100:
            self.expunge(here, [u for u in uids if u in self.folder(here).messages][:50])


class Hauler(ImapClient):
    """Imports hundreds of messages, and changes hundreds at once: more than one transaction takes."""

    def __init__(self, *args, address, folders, dir):
        super().__init__(*args, address=address)
        self.folders, self.dir = folders, dir

    def work(self):
        self.connect()
        here, there = sorted(self.folders, key=lambda f: -len(self.folder(f).messages))
        uids, dice = list(self.folder(here).messages), self.random.random()
        if self.ledger.importing or len(uids) < 300:
            self.bring(*self.folders)
        elif dice < 0.4:
            self.store(here, uids)
        elif dice < 0.65:
            self.copy(here, uids, there, True)
        elif dice < 0.8 and len(uids) < 1500:
            self.copy(here, uids, there, False)
        elif dice < 0.9 or len(uids) >= 1500:
            self.expunge(here, uids)
        else:
            self.lose_and_restore(here, uids)

    def bring(self, to, _):
        if not self.ledger.importing:
            name = self.new_name()
            mails = self.dir / f'import-{name}'
            mails.mkdir()
            idents = [f'bulk-{name}-{i}' for i in range(700)]
            for i in idents:
                (mails / f'{i}.eml').write_bytes(content(i))
            self.ledger.importing = mails, to, idents
        mails, to, idents = self.ledger.importing
        there = {ident for ident, _ in self.folder(to).messages.values()}
        op = Import(self.address, to, [i for i in idents if i not in there])
        with self.attempt(op):
            self.perdura('import', self.address, str(mails), '--folder', to)
            self.done(op)
        self.ledger.importing = None
        shutil.rmtree(mails)
        self.look_again(to)

    def lose_and_restore(self, name, uids):
        then, at = self.folder(name).copy(), self.change()
        self.expunge(name, uids)
        op = RestoreMessages(self.address, name, then)
        with self.attempt(op):
            self.perdura('restore', self.address, '--at', f'@{at}', '--folder', name)
            self.done(op)
        self.look_again(name)


class Gardener(ImapClient):
    """Makes, renames, deletes folders below Tree, and brings deleted ones back."""

    def names(self):
        return [p for p in self.ledger.accounts[self.address] if p.startswith('Tree/')]

    def free(self):
        names = self.names()
        inside = [n for n in names if n.count('/') == 1]
        places = [f'Tree/{c}' for c in 'abcdef'] + [f'{n}/{c}' for n in inside for c in 'xy']
        return self.random.choice([p for p in places if p not in names])

    def childless(self, names):
        return [n for n in names if not any(o.startswith(n + '/') for o in names)]

    def work(self):
        self.connect()
        names = self.names()
        dice = self.random.random()
        if len(names) < 3 or (dice < 0.15 and len(names) < 12):
            self.make()
        elif dice < 0.45:
            self.append(self.random.choice(names))
        elif dice < 0.6:
            name = self.random.choice(names)
            uids = list(self.folder(name).messages)
            if uids:
                self.store(name, uids)
        elif dice < 0.8:
            self.rename(self.random.choice(names))
        elif dice < 0.9:
            self.delete(self.random.choice(self.childless(names)))
        else:
            self.delete_and_restore(self.random.choice(self.childless(names)))

    def make(self):
        op = Create(self.address, self.free())
        with self.attempt(op):
            self.command(f'CREATE {path(op.path)}')
            self.done(op)

    def rename(self, name):
        to = self.free()
        if to.startswith(name + '/') or (to.count('/') == 2 and any(n.startswith(name + '/') for n in self.names())):
            return
        self.leave()
        op = Rename(self.address, name, to)
        with self.attempt(op):
            self.command(f'RENAME {path(name)} {path(to)}')
            self.done(op)

    def leave(self):
        if self.selected:
            self.command('UNSELECT')
            self.selected = None

    def delete(self, name):
        self.leave()
        op = Delete(self.address, name)
        with self.attempt(op):
            self.command(f'DELETE {path(name)}')
            self.done(op)

    def delete_and_restore(self, name):
        then, at = self.folder(name).copy(), self.change()
        self.delete(name)
        op = RestoreFolder(self.address, name, then)
        with self.attempt(op):
            self.perdura('restore', self.address, '--at', f'@{at}', '--folder', name)
            self.done(op)
        self.look_again(name)


class Restorer(ImapClient):
    """Snapshots of a folder, losses, and restores."""
    path = 'Keep'

    def work(self):
        self.connect()
        while len(self.folder(self.path).messages) < 8:
            self.append(self.path)
        at = self.snapshot() if self.random.random() < 0.7 else f'@{self.change()}'
        then = self.folder(self.path).copy()
        if not at.startswith('@'):
            with self.ledger.lock:
                self.ledger.snapshots[at] = (self.address, self.path, then)
        self.lose()
        op = RestoreMessages(self.address, self.path, then)
        with self.attempt(op):
            self.perdura('restore', self.address, '--at', at, '--folder', self.path)
            self.done(op)
        self.look_again(self.path)
        if len(self.folder(self.path).messages) > 60:
            self.expunge(self.path, sorted(self.folder(self.path).messages)[:40])

    def snapshot(self):
        name = f's{self.ledger.round}-{self.made}-{self.random.randrange(10**6)}'
        self.perdura('snapshot', 'create', name)
        self.ledger.count('acknowledged')
        self.ledger.count('acknowledged snapshot')
        return name

    def lose(self):
        for _ in range(self.random.randrange(1, 4)):
            uids = list(self.folder(self.path).messages)
            some = self.random.sample(uids, self.random.randrange(1, 1 + len(uids) // 2))
            if self.random.random() < 0.5:
                self.expunge(self.path, some)
            else:
                self.store(self.path, some)
            self.append(self.path)
