"""One IMAP session: it asks, reads what comes into its view, and goes on after its connection ended."""
import itertools
import random
import re

from view import Untagged, View
from wire import Lost, Wire, require
from world import codes, uid_list


class Answer:
    def __init__(self):
        self.lines, self.fetched = [], {}  # (word, rest); {uid: {item: value}}, what was told last of each
        self.status = self.text = None

    def of(self, word):
        return [rest for w, rest in self.lines if w == word]

    def codes(self):
        texts = [rest.decode('latin-1') for w, rest in self.lines if w in ('OK', 'NO')] + [self.text]
        return codes(' '.join(texts))

    def found(self):
        """The numbers of SEARCH, SORT or ESEARCH (ALL), in order."""
        if extended := self.of('ESEARCH'):
            m = re.search(rb' ALL ([\d:,]+)', extended[0])
            return uid_list(m[1]) if m else []
        return [int(n) for word in ('SEARCH', 'SORT') for rest in self.of(word) for n in rest.partition(b'(')[0].split()]


class Command:
    """text: without the tag. may_fail: asked after NO whether that may be. check: called with the answer after OK."""

    def __init__(self, text, check=None, may_fail=lambda: False):
        self.text = text if isinstance(text, bytes) else text.encode()
        words = self.text.split(maxsplit=2)
        self.word = b' '.join(words[:2 if words[0].upper() == b'UID' else 1]).upper().decode()
        self.check, self.may_fail = check, may_fail


class Session:
    """server: .address, .user, .password, .capabilities. mode: 'plain', 'condstore' or 'qresync'."""

    def __init__(self, name, server, world, seed):
        self.name, self.server, self.world = name, server, world
        self.random = random.Random(f'{seed}/{name}')
        self.wire = Wire(name)
        self.untagged = Untagged(self)
        self.tags = (f'{name}{i}' for i in itertools.count(1))
        self.mode = 'plain'
        self.rev2 = False   # ENABLE IMAP4rev2 was said
        self.view, self.old = None, None  # old: the view of a connection that ended, to be resumed
        self.folder, self.writable = None, False
        self.shaky = False  # the mailbox may be deleted under it
        self.done = 0

    # -- asking

    async def ask(self, *commands):
        """Sends all at once; the answers in order. Each is looked at when it comes."""
        if len(commands) > 1 and not self.server.in_turn:
            return [(await self.ask(c))[0] for c in commands]
        tags = [next(self.tags) for _ in commands]
        self.mark()
        await self.wire.send(b''.join(t.encode() + b' ' + c.text + b'\r\n' for t, c in zip(tags, commands)))
        return [await self.answer(t, c) for t, c in zip(tags, commands)]

    def mark(self):
        """What is new from here on was there after now."""
        if self.view and None not in self.view.numbers:
            self.view.asked = self.world.tick()

    async def start_idle(self):
        """(tag, command) to wait for, after DONE."""
        tag, command = next(self.tags), Command('IDLE')
        await self.wire.send(f'{tag} IDLE\r\n'.encode())
        while not (line := await self.wire.response()).startswith(b'+'):
            require(line.startswith(b'* '), f'{line[:80]!r} before IDLE was taken')
            self.take(line[2:], 'IDLE', Answer())
        return tag, command

    async def say(self, text, **more):
        return (await self.ask(Command(text, **more)))[0]

    async def answer(self, tag, command):
        answer = Answer()
        while True:
            line = await self.wire.response()
            if line.startswith(b'* '):
                self.take(line[2:], command.word, answer)
            else:
                got, _, text = line.decode('latin-1').partition(' ')
                require(got == tag, f'{line[:80]!r} where the reply to {tag} was expected')
                break
        answer.status, _, answer.text = text.partition(' ')
        self.judge(command, answer)
        return answer

    def take(self, line, word, answer):
        if line.upper().startswith(b'BYE'):
            self.bye(line)
        if word in ('SELECT', 'EXAMINE'):
            answer.lines.append(line)  # the view comes after it
        else:
            self.untagged.take(line, word, answer)

    def bye(self, line):
        """The server may end a session whose mailbox is no more, or when it goes down."""
        require(self.server.falling or self.shaky, f'BYE: {line[:80]!r}')
        raise Lost('BYE')

    def judge(self, command, answer):
        self.done += 1
        require(answer.status in ('OK', 'NO'), f'{command.word}: {answer.status} {answer.text}')
        if answer.status == 'NO':
            require(self.server.falling or self.shaky or command.may_fail(), f'{command.word}: NO {answer.text}')
        elif command.word not in ('SELECT', 'EXAMINE'):
            self.follow_highest(answer)
            if command.check:
                command.check(answer)

    def follow_highest(self, answer):
        """Where the client knows all up to, after a command (RFC 7162, 3.2.5)."""
        if not self.view:
            return
        told = answer.codes().get('HIGHESTMODSEQ')
        modseqs = [int(i['MODSEQ'][0]) for i in answer.fetched.values() if 'MODSEQ' in i]
        if told:
            self.view.highest = int(told)
            self.view.mailbox.told_modseq(int(told))
        elif modseqs:
            self.view.highest = max(self.view.highest, *modseqs)

    # -- connections

    async def connect(self):
        self.view, self.folder, self.shaky = None, None, False
        await self.wire.open(self.server.address)
        await self.wire.response()
        await self.say(f'LOGIN {self.server.user} "{self.server.password}"')
        if self.server.can('COMPRESS=DEFLATE') and self.random.random() < 0.25:
            await self.say('COMPRESS DEFLATE')
            self.wire.compress()
        self.rev2 = self.server.can('IMAP4rev2') and self.random.random() < 0.3
        words = [w for w, wanted in (('IMAP4rev2', self.rev2), ('QRESYNC', self.mode == 'qresync'),
                                     ('UTF8=ACCEPT', self.server.can('UTF8=ACCEPT') and self.random.random() < 0.2)) if wanted]
        if words:
            told = (await self.say(f'ENABLE {" ".join(words)}')).of('ENABLED')
            require(told and set(words) <= set(told[0].decode().split()), f'ENABLED {told}, asked for {words}')

    def lost(self, why):
        require(self.server.falling or self.shaky, f'the connection ended: {why}')
        self.drop()

    def drop(self):
        """The connection is no more; what was learned over it may be of use to the next."""
        if self.view and self.view.qresync:
            self.old = (self.folder, self.view)
        self.wire.close()
        self.view = None

    async def reconnect(self):
        """Resumes the mailbox it had, where it can."""
        self.drop()
        old, self.old = self.old, None
        if not old:
            self.mode = self.random.choice(self.server.modes)
        await self.connect()
        if old:
            await self.select(*old)
            return self.view
        return None

    # -- mailboxes

    async def select(self, folder, old=None, examine=False):
        """Selects it, and learns what UIDs it has. Leaves nothing selected if it is not there. old: the view to resume."""
        known, asked = self.world.known(), self.world.tick()
        parameter = {'plain': '', 'condstore': ' (CONDSTORE)', 'qresync': ''}[self.mode]
        if old:
            parameter = f' (QRESYNC ({old.mailbox.validity} {old.highest}{self.match(old)}))'
        self.view, self.shaky = None, self.shaky or folder in self.world.folders
        answer = await self.say(f'{"EXAMINE" if examine else "SELECT"} {folder}{parameter}', may_fail=lambda: folder in self.world.folders)
        self.shaky = answer.status == 'OK' and folder in self.world.folders
        if answer.status == 'NO':
            return None
        lines = answer.lines
        closed = [i for i, l in enumerate(lines) if l.startswith(b'OK [CLOSED]')]
        lines = lines[closed[0] + 1:] if closed else lines
        told = codes(' '.join(l.decode('latin-1') for l in lines if l.startswith(b'OK')))
        mailbox = self.world.mailbox(int(told['UIDVALIDITY']), folder)
        self.world.told_counts(mailbox, int(told['UIDNEXT']), int(told['HIGHESTMODSEQ']) if 'HIGHESTMODSEQ' in told else None, known)
        self.view = View(mailbox, asked, self.mode != 'plain', self.mode == 'qresync')
        self.folder, self.writable = folder, not examine
        if old and old.mailbox is mailbox:
            self.view.resume(old)
        answer.lines = []
        for line in lines:
            self.untagged.take(line, 'SELECT', answer)
        self.view.highest = int(told.get('HIGHESTMODSEQ', 0))
        await self.learn()
        if old and old.mailbox is mailbox:
            lost = self.view.flags.keys() - self.view.there
            require(not lost, f'{len(lost)} messages are gone, and resynchronisation did not tell: {sorted(lost)[:10]}')
        return answer

    def match(self, old):
        """The UIDs that the client knows, and some of them with their numbers, if it wants to help the server."""
        known = sorted(old.flags)
        way = self.random.randrange(3) if known else 0
        if way == 0:
            return ''
        numbers = [i for i in range(0, len(known), max(1, len(known) // 5))] if way == 2 else []
        pairs = ' (%s %s)' % (','.join(str(i + 1) for i in numbers), ','.join(str(known[i]) for i in numbers)) if numbers else ''
        return f' 1:{known[-1]}{pairs}'

    async def learn(self):
        """The UIDs of messages that have none yet, and the flags and names of those whose flags are not known."""
        view = self.view
        if None in view.numbers:
            if self.random.random() < 0.5 or any(view.numbers[view.numbers.index(None):]):
                first, last = 1, '*'
            else:
                first, last = view.numbers.index(None) + 1, len(view.numbers)
            await self.say(f'FETCH {first}:{last} UID')
            require(None not in view.numbers[:first], 'FETCH UID left messages out')
        new = [u for u in view.known() if u not in view.flags or not view.message(u).name]
        if new:
            items = self.server.items(f'FLAGS ENVELOPE INTERNALDATE RFC822.SIZE EMAILID{" MODSEQ" if view.condstore else ""}')
            await self.say(f'UID FETCH {",".join(map(str, new))} ({items})', may_fail=lambda: self.fragile(new))

    def fragile(self, uids):
        """May others have removed some of these?"""
        return self.view.mailbox.volatile or any(self.view.message(u).removable for u in uids)

    async def quiet(self):
        """Nothing goes on anywhere: after this, the view is what the mailbox is."""
        if self.view:
            try:
                await self.say('NOOP')
                await self.learn()
            except Lost as e:
                self.lost(e)

