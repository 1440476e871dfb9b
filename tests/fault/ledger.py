"""What a node answered for: folders with their messages and flags, as clients saw them acknowledged.

A Folder knows its messages by UID. What arrived without telling its UID (a delivery, a restored message) waits in `arrived`
until the folder is read again. Each operation stands for one change that is all or nothing: happened() looks for any trace of
it in what a node shows after a crash, apply() writes it into the ledger. What an operation left half done so differs from
the ledger, and compare() says it."""
import dataclasses
import hashlib
import random
import threading

FLAGS = ('\\Seen', '\\Answered', '\\Flagged', '\\Draft', '$Forwarded', 'later', 'work')


def content(ident):
    """The message of this name, always the same: mostly small, now and then more than a pack takes."""
    rng = random.Random(ident)
    size = rng.choice((50, 300, 2000, 8000, 8000, 30000)) if rng.random() < 0.97 else rng.randrange(100_000, 600_000)
    if ident.startswith('bulk'):
        size = 50
    head = f'From: <a@example.org>\r\nTo: <b@example.org>\r\nX-Id: {ident}\r\nSubject: {ident}\r\nMessage-ID: <{ident}@example.org>\r\n\r\n'
    body = rng.randbytes(size // 4).hex() + 'the same old words ' * (size // 40)
    return (head + '\r\n'.join(body[i:i + 76] for i in range(0, len(body), 76)) + '\r\n').encode()


def digest(message):
    return hashlib.sha256(message).hexdigest()


@dataclasses.dataclass
class Folder:
    uidvalidity: int = 0  # 0: not told yet
    uidnext: int = 1      # at least
    messages: dict = dataclasses.field(default_factory=dict)  # uid: (name, frozenset of flags)
    arrived: list = dataclasses.field(default_factory=list)   # (name, frozenset of flags)

    def add(self, ident, flags, uid=None):
        if uid is None:
            self.arrived.append((ident, flags))
        else:
            self.messages[uid] = (ident, flags)
            self.uidnext = max(self.uidnext, uid + 1)

    def copy(self):
        return Folder(self.uidvalidity, self.uidnext, dict(self.messages), list(self.arrived))


class Ledger:
    def __init__(self, accounts):
        self.lock = threading.RLock()
        self.round = 0
        self.accounts = {a: {} for a in accounts}      # address: {path: Folder}
        self.uidvalidities = {a: set() for a in accounts}  # ever seen
        self.changes = {a: 0 for a in accounts}        # the last change number seen
        self.history = {a: {} for a in accounts}       # first change of an event: its instant
        self.snapshots = {}                            # name: (address, path, Folder)
        self.unanswered = []                           # deliveries to be sent again: Arrival, or Repeat of what is there
        self.importing = None                          # a folder of mail that is not known to be imported whole
        self.totals = {}

    def __getstate__(self):
        return {k: v for k, v in self.__dict__.items() if k != 'lock'}

    def __setstate__(self, state):
        self.__dict__.update(state, lock=threading.RLock())

    def folder(self, address, path):
        return self.accounts[address][path]

    def count(self, what, n=1):
        with self.lock:
            self.totals[what] = self.totals.get(what, 0) + n


@dataclasses.dataclass
class Arrival:
    """APPEND, or a delivery to one recipient."""
    address: str
    path: str
    ident: str
    flags: frozenset = frozenset()
    sender: str = ''  # of a delivery

    def happened(self, node, ledger):
        return any(ident == self.ident for ident, _ in node[self.address][self.path].messages.values())

    def apply(self, ledger, uid=None):
        ledger.folder(self.address, self.path).add(self.ident, self.flags, uid)


@dataclasses.dataclass
class Repeat:
    """A delivery that was stored before: nothing changes."""
    address: str
    ident: str
    sender: str = ''

    def happened(self, node, ledger):
        return False

    def apply(self, ledger):
        pass


@dataclasses.dataclass
class Import:
    """Many messages, in batches: what a crash breaks off is the beginning of it, and the same import again adds the rest."""
    address: str
    path: str
    idents: list

    def happened(self, node, ledger):
        before = {ident for ident, _ in ledger.folder(self.address, self.path).messages.values()}
        self.idents = [ident for ident, _ in node[self.address][self.path].messages.values() if ident not in before]
        return bool(self.idents)

    def apply(self, ledger):
        for ident in self.idents:
            ledger.folder(self.address, self.path).add(ident, frozenset())


@dataclasses.dataclass
class Store:
    address: str
    path: str
    uids: list
    mode: str  # '', '+' or '-'
    flags: frozenset

    def after(self, flags):
        return flags | self.flags if self.mode == '+' else flags - self.flags if self.mode == '-' else self.flags

    def happened(self, node, ledger):
        now, then = node[self.address][self.path].messages, ledger.folder(self.address, self.path).messages
        return any(u in now and now[u][1] == self.after(then[u][1]) != then[u][1] for u in self.uids)

    def apply(self, ledger):
        messages = ledger.folder(self.address, self.path).messages
        for u in self.uids:
            messages[u] = (messages[u][0], self.after(messages[u][1]))


@dataclasses.dataclass
class Copy:
    """COPY, or MOVE."""
    address: str
    path: str
    uids: list
    to: str
    move: bool

    def happened(self, node, ledger):
        old = ledger.folder(self.address, self.to).messages
        return bool(node[self.address][self.to].messages.keys() - old.keys()) or (
            self.move and not node[self.address][self.path].messages.keys() >= set(self.uids))

    def apply(self, ledger, uids=None):
        here, there = ledger.folder(self.address, self.path), ledger.folder(self.address, self.to)
        for u in self.uids:
            there.add(*here.messages[u], uids and uids[u])
            if self.move:
                del here.messages[u]


@dataclasses.dataclass
class Expunge:
    address: str
    path: str
    uids: list

    def happened(self, node, ledger):
        return not node[self.address][self.path].messages.keys() >= set(self.uids)

    def apply(self, ledger):
        for u in self.uids:
            del ledger.folder(self.address, self.path).messages[u]


@dataclasses.dataclass
class Create:
    address: str
    path: str

    def happened(self, node, ledger):
        return self.path in node[self.address]

    def apply(self, ledger):
        ledger.accounts[self.address][self.path] = Folder()


@dataclasses.dataclass
class Delete:
    address: str
    path: str

    def happened(self, node, ledger):
        return self.path not in node[self.address]

    def apply(self, ledger):
        del ledger.accounts[self.address][self.path]


@dataclasses.dataclass
class Rename:
    """Takes what lies below along."""
    address: str
    path: str
    to: str

    def happened(self, node, ledger):
        return self.to in node[self.address]

    def apply(self, ledger):
        folders = ledger.accounts[self.address]
        for path in [p for p in folders if p == self.path or p.startswith(self.path + '/')]:
            folders[self.to + path[len(self.path):]] = folders.pop(path)


@dataclasses.dataclass
class RestoreFolder:
    """A deleted folder comes back as itself."""
    address: str
    path: str
    then: Folder

    def happened(self, node, ledger):
        return self.path in node[self.address]

    def apply(self, ledger):
        ledger.accounts[self.address][self.path] = self.then.copy()


@dataclasses.dataclass
class RestoreMessages:
    """Expunged messages come back once, with new UIDs; lost flags come back."""
    address: str
    path: str
    then: Folder

    def happened(self, node, ledger):
        now, old = node[self.address][self.path].messages, ledger.folder(self.address, self.path).messages
        return now != old

    def apply(self, ledger):
        folder = ledger.folder(self.address, self.path)
        since = [ident for uid, (ident, _) in folder.messages.items() if uid not in self.then.messages]
        for uid, (ident, flags) in sorted(self.then.messages.items()):
            flags = flags - {'\\Deleted'}
            if uid in folder.messages:
                folder.messages[uid] = (ident, folder.messages[uid][1] | flags)
            elif ident in since:
                since.remove(ident)
            else:
                folder.add(ident, flags)


def compare(where, folder, now, say):
    """What the ledger has of a folder against what a node shows; then the ledger takes over the UIDs it did not know.
    Returns the UIDs that are new."""
    if folder.uidvalidity and now.uidvalidity != folder.uidvalidity:
        say(f'{where}: UIDVALIDITY was {folder.uidvalidity}, is {now.uidvalidity}')
    if now.uidnext < folder.uidnext:
        say(f'{where}: UIDNEXT was {folder.uidnext}, is {now.uidnext}')
    if now.messages and max(now.messages) >= now.uidnext:
        say(f'{where}: UID {max(now.messages)} is there, UIDNEXT is {now.uidnext}')
    for uid, (ident, flags) in folder.messages.items():
        if uid not in now.messages:
            say(f'{where}: {ident} (UID {uid}) is lost')
        elif now.messages[uid][0] != ident:
            say(f'{where}: UID {uid} was {ident}, is {now.messages[uid][0]}')
        elif now.messages[uid][1] != flags:
            say(f'{where}: {ident} (UID {uid}) had {sorted(flags)}, has {sorted(now.messages[uid][1])}')
    new = {u: m for u, m in now.messages.items() if u not in folder.messages}
    rest = list(folder.arrived)
    for uid, m in new.items():
        if uid < folder.uidnext:
            say(f'{where}: {m[0]} has UID {uid}, which was used (UIDNEXT was {folder.uidnext})')
        if m in rest:
            rest.remove(m)
        else:
            say(f'{where}: {m[0]} (UID {uid}, {sorted(m[1])}) came from nowhere or twice')
    for ident, flags in rest:
        say(f'{where}: {ident} {sorted(flags)} is lost')
    folder.uidvalidity, folder.uidnext = now.uidvalidity, now.uidnext
    folder.messages, folder.arrived = dict(now.messages), []
    return set(new)
