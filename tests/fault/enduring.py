"""Clients that go on while what is below the nodes breaks: what was refused for now or lost its answer may have happened or not.
A delivery is sent again, as Postfix does, until it is answered; a change over IMAP is left for the judge (`pending`), and what it
may have touched is left alone from then on. After each stumble the client goes to whichever node takes it."""
import re
import time

from clients import Client, Filer, ImapClient, Refused, Sorter
from imap_client import Closed, Imap
from ledger import Arrival, RestoreMessages, content
from lmtp_client import Lmtp, stuff
from node import PASSWORD

# What a node may say while a store is away. All else is a broken promise.
FOR_NOW = re.compile(r'UNAVAILABLE|BYE|\b4\d\d |try again|going down|Closed|rate.?limit')


class Later(Exception):
    """Not now."""


class Enduring(Client):
    """nodes: the first is where it begins."""

    def __init__(self, name, nodes, *args, **more):
        super().__init__(name, nodes[0], *args, **more)
        self.nodes = nodes
        self.left_over = []  # operations for the judge
        self.spoken = time.monotonic()
        self.gap = 0  # seconds, the longest between two answers

    def run(self):
        while not self.dying.is_set():
            try:
                self.work()
            except (Closed, Later, OSError, EOFError):
                self.stumble()
            except (Refused, AssertionError) as e:
                if not FOR_NOW.search(str(e)):
                    self.say(f'{self.name}: refused: {e}')
                self.stumble()
            except Exception as e:
                self.say(f'{self.name}: {e!r}')
                self.stumble()
        self.disconnect()

    def done(self, operation, *what):
        super().done(operation, *what)
        now = time.monotonic()
        self.gap = max(self.gap, now - self.spoken)
        self.spoken = now

    def stumble(self):
        self.disconnect()
        lost, self.pending = self.pending, []
        self.leave_alone(lost)
        self.node = self.random.choice(self.nodes)
        self.dying.wait(0.2)


class Post(Enduring):
    """LMTP: new messages for some accounts; what was not answered is sent again, each recipient by itself."""

    def __init__(self, *args, accounts):
        super().__init__(*args)
        self.accounts, self.lmtp, self.again = accounts, None, []

    def disconnect(self):
        if self.lmtp:
            self.lmtp.close()
        self.lmtp = None

    def leave_alone(self, lost):
        self.again += [[o] for o in lost]

    def work(self):
        if self.again and self.random.random() < 0.7:
            self.send(self.again.pop(0))
            return
        ident = self.new_name()
        to = self.random.sample(self.accounts, self.random.choice((1, 1, len(self.accounts))))
        self.send([Arrival(a, 'INBOX', ident, sender=f'{self.name}@example.net') for a in to])

    def ask(self, line):
        reply = self.lmtp.ask(line)
        if reply[:1] not in ('2', '3'):
            raise Refused(f'{line}: {reply}') if reply else Closed()

    def send(self, operations):
        self.pending = list(operations)
        if not self.lmtp:
            self.lmtp = Lmtp(self.node.lmtp, greet=False)
            if not self.lmtp.reply().startswith('220 '):
                raise Later()
            self.ask('LHLO client.example')
        self.ask(f'MAIL FROM:<{operations[0].sender}>')
        for o in operations:
            self.ask(f'RCPT TO:<{o.address}>')
        self.ask('DATA')
        self.lmtp.send(stuff(content(operations[0].ident)) + b'.\r\n')
        for o, reply in [(o, self.lmtp.reply()) for o in operations]:
            if reply.startswith('250 2.0.0'):
                self.done(o)
            elif reply and not reply.startswith('4'):
                self.say(f'{self.name}: {o.ident} to {o.address}: {reply}')
        if self.pending:
            raise Later()

    def send_rest(self, node, until):
        """After all is well again. What is left then is lost."""
        self.node = node
        while self.again and time.monotonic() < until:
            try:
                self.send(self.again[0])
                self.again.pop(0)
            except (Closed, Later, OSError, Refused):
                self.disconnect()
                self.pending = []
                time.sleep(0.3)
        self.disconnect()
        for o in [o for operations in self.again for o in operations]:
            self.say(f'{self.name}: {o.ident} is still refused to {o.address}')


class EnduringImap(Enduring):
    """Over IMAP."""

    def connect(self):
        if not self.imap:
            self.imap = Imap(self.node.tcp('listen.imap'), self.address, PASSWORD)
            self.selected = None

    def disconnect(self):
        if self.imap:
            self.imap.close()
        self.imap, self.selected = None, None


class EnduringFiler(EnduringImap, Filer):
    """Appends, stores, copies, moves and expunges between folders of its own, of which it has many."""

    def leave_alone(self, lost):
        self.left_over += lost
        touched = {p for o in lost for p in (o.path, getattr(o, 'to', None))}
        self.folders = [f for f in self.folders if f not in touched]

    def work(self):
        if len(self.folders) < 2:
            self.dying.wait(0.1)
        else:
            super().work()


class EnduringSorter(EnduringImap, Sorter):
    """Flags, copies, moves and expunges its part of an INBOX that others change at another node."""

    def leave_alone(self, lost):
        self.left_over += lost
        touched = {u for o in lost for u in o.uids}
        self.mine = [u for u in self.mine if u not in touched]
        if any(getattr(o, 'to', o.path) == self.to for o in lost):
            self.to = None

    def work(self):
        self.connect()
        some = self.random.sample(self.mine, min(len(self.mine), self.random.randrange(1, 9)))
        if not some:
            self.dying.wait(0.1)
        elif self.to and self.random.random() < 0.25:
            self.copy('INBOX', some, self.to, move := self.random.random() < 0.5)
            self.mine = [u for u in self.mine if not move or u not in some]
            self.keep_small(self.to)
        elif self.random.random() < 0.1:
            self.mine = [u for u in self.mine if u not in some]
            self.expunge('INBOX', some)
        else:
            self.store('INBOX', some)


class Purger(Enduring):
    """perdura purge, again and again."""

    def disconnect(self):
        pass

    def leave_alone(self, lost):
        pass

    def work(self):
        r = self.node.run('purge', timeout=120)
        if r.returncode < 0 or re.search('corrupt|damaged', r.stderr):
            self.say(f'{self.name}: {r.returncode} {r.stdout} {r.stderr}')
        self.ledger.count('purges' if r.returncode == 0 else 'purges put off')
        self.dying.wait(0.5)


class Gleaner(EnduringImap, ImapClient):
    """Loses messages, also more than once, and brings them back out of a past that is nearly purged."""

    def __init__(self, *args, path, **more):
        super().__init__(*args, **more)
        self.path = path

    def leave_alone(self, lost):
        self.left_over += lost
        if lost:
            self.path = None

    def work(self):
        if not self.path:
            self.dying.wait(0.1)
            return
        self.connect()
        if self.folder(self.path).arrived:  # a look was broken off, and the UIDs are not known
            self.look_again(self.path)
        while len(self.folder(self.path).messages) < 12:
            self.append(self.path)
        then, at = self.folder(self.path).copy(), self.change()
        self.expunge(self.path, self.random.sample(sorted(then.messages), 6))
        self.dying.wait(self.random.uniform(0, 2))
        op = RestoreMessages(self.address, self.path, then)
        with self.attempt(op):
            self.restore(op, at)
        self.look_again(self.path)
        if len(self.folder(self.path).messages) > 40:
            self.expunge(self.path, sorted(self.folder(self.path).messages)[:25])

    def change(self):
        try:
            return super().change()
        except Refused as e:
            raise Later() from e

    def restore(self, op, at):
        """In time, or refused because that past is gone; then nothing came back."""
        r = self.node.run('restore', self.address, '--at', f'@{at}', '--folder', self.path, timeout=120)
        if r.returncode == 0:
            self.done(op)
        elif 'purged' in r.stdout + r.stderr:
            self.pending = []
            self.ledger.count('restores too late')
        else:
            raise Later()
