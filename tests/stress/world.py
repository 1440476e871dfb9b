"""What is certain, whoever asks: the facts of each message that never change, what was acknowledged, and what was asked for.

Sessions race, so most of what a server may answer is open. But every session enters what it is about to ask for before it asks
and what it was told when it was told, and so some things are certain: a message that nobody asked to remove is there; one that any
session was told is gone does not come back to who asks later; one UID is one message; one mod-sequence of a message is one set
of flags; numbers that only grow do. `now` counts what happened, so that "later" has a meaning."""
import dataclasses
import datetime
import re

from wire import require


def uid_list(text):
    """'1:3,7' as a list, in that order."""
    out = []
    for part in (text.decode() if isinstance(text, bytes) else text).split(','):
        a, _, b = part.partition(':')
        a, b = int(a), int(b or a)
        out += range(min(a, b), max(a, b) + 1)
    return out


def uid_set(uids):
    """[1, 2, 3, 7] as '1:3,7'."""
    out = []
    for u in sorted(uids):
        if out and out[-1][1] == u - 1:
            out[-1][1] = u
        else:
            out.append([u, u])
    return ','.join(str(a) if a == b else f'{a}:{b}' for a, b in out)


def instant(text):
    """Of an INTERNALDATE."""
    return datetime.datetime.strptime(text.decode().strip(), '%d-%b-%Y %H:%M:%S %z').timestamp()


@dataclasses.dataclass
class Name:
    """Of a message (mails.mail); its copies share it."""
    acknowledged: bool = False  # the server said that it has it
    doomed: bool = False        # some session asked for something that may remove all copies


@dataclasses.dataclass(eq=False)
class Message:
    """One UID of one mailbox."""
    uid: int
    name: str = None
    date: float = None
    email: bytes = None
    certain: bool = False    # known to be there without \\Deleted, once
    removable: bool = False  # some session asked for something that may remove it
    doomed: bool = False     # ... other than MOVE
    gone: int = 0            # when a session was told so
    owned: dict = dataclasses.field(default_factory=dict)     # keyword: is it set? Only its owner sets it; no bool: not known
    versions: dict = dataclasses.field(default_factory=dict)  # mod-sequence: flags


class Mailbox:
    def __init__(self, world, validity, volatile):
        self.world, self.validity, self.volatile = world, validity, volatile
        self.messages = {}
        self.uidnext, self.highest = 1, 0  # at least
        self.reserved = {}  # UID of a counter: how often it was counted up, and how often that was not answered

    def message(self, uid):
        if uid not in self.messages:
            self.messages[uid] = Message(uid, removable=self.volatile, doomed=self.volatile)
            self.uidnext = max(self.uidnext, uid + 1)
        return self.messages[uid]

    def told_name(self, m, name):
        require(name in self.world.names, f'UID {m.uid} is {name!r}, which nobody sent')
        require(m.name in (None, name), f'UID {m.uid} was {m.name}, is {name}')
        m.name = name
        if m.doomed and not self.volatile:
            self.world.names[name].doomed = True

    def told_fact(self, m, field, value):
        require(getattr(m, field) in (None, value), f'{field} of UID {m.uid} ({m.name}) was {getattr(m, field)}, is {value}')
        setattr(m, field, value)

    def told_flags(self, m, flags, modseq):
        if '\\Deleted' in flags:
            self.dooms(m)
        else:
            m.certain = True
        if modseq:
            was = m.versions.setdefault(modseq, flags)
            require(was == flags, f'UID {m.uid} at mod-sequence {modseq} had {sorted(was)}, has {sorted(flags)}')

    def told_modseq(self, modseq):
        self.highest = max(self.highest, modseq)

    def told_gone(self, m):
        require(m.removable or not m.certain, f'UID {m.uid} ({m.name}) is gone, and nobody removed it')
        m.gone = m.gone or self.world.tick()
        m.versions.clear()

    def told_there(self, m, asked):
        """asked: when the server was asked for what shows that it is there."""
        require(not m.gone or m.gone > asked, f'UID {m.uid} ({m.name}) was gone and is back')

    def dooms(self, m):
        m.removable = m.doomed = True
        if m.name and not self.volatile:
            self.world.names[m.name].doomed = True


class World:
    """One account."""

    def __init__(self):
        self.now = 0
        self.names = {}      # of all messages ever sent: Name
        self.mailboxes = {}  # by UIDVALIDITY
        self.folders = {}    # name of a volatile folder: its owner knows that it is there (True), is not (False), or does not know

    def tick(self):
        self.now += 1
        return self.now

    def mailbox(self, validity, folder):
        if validity not in self.mailboxes:
            self.mailboxes[validity] = Mailbox(self, validity, folder in self.folders)
        return self.mailboxes[validity]

    def new_name(self, name):
        self.names[name] = Name()
        return name

    def known(self):
        """What no later answer may go behind: {validity: (UIDNEXT, HIGHESTMODSEQ)}."""
        return {v: (m.uidnext, m.highest) for v, m in self.mailboxes.items()}

    def told_counts(self, mailbox, uidnext, highest, known):
        """known: as it was when the server was asked."""
        least = known.get(mailbox.validity, (1, 0))
        if uidnext is not None:
            require(uidnext >= least[0], f'UIDNEXT is {uidnext}, was at least {least[0]}')
            mailbox.uidnext = max(mailbox.uidnext, uidnext)
        if highest is not None:
            require(highest >= least[1], f'HIGHESTMODSEQ is {highest}, was at least {least[1]}')
            mailbox.told_modseq(highest)

    def told_new(self, validity, folder, uid, known):
        """A message that was made by a command, at its UID."""
        mailbox = self.mailbox(validity, folder)
        require(uid >= known.get(validity, (1, 0))[0], f'the new message has UID {uid}, UIDNEXT was {known.get(validity)}')
        return mailbox, mailbox.message(uid)


def codes(text):
    """The response codes in texts, {word: rest}."""
    return {m[1].upper(): m[2] for m in re.finditer(r'\[([\w-]+) ?([^\]]*)\]', text)}
