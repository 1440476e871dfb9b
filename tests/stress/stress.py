"""A run: sessions that do what they like, quiet points between, and a node that is killed if that is wanted."""
import asyncio
import random
import re
import shutil
import tempfile
import time

from acts import Acts
from judge import Judge
from mails import mail
from node import PASSWORD, Node
from session import Session
from wire import PATIENCE, Contradiction, Lost, require
from world import World

FOLDERS = ['INBOX', 'Left', 'Right']
COUNTERS = 3
FIRST = 40  # messages at the beginning


class Server:
    """Where the sessions go to. falling: it may refuse, and end connections, at any moment."""
    lmtp = None
    wrong = ()       # FETCH items that are not asked for, as it tells them wrong
    status_is_fresh = False  # also that of the mailbox that is selected, which may be as old as the session's view (RFC 3501, 6.3.10)
    in_turn = False  # commands that are sent at once are answered one after the other

    def __init__(self, address, user, password):
        self.address, self.user, self.password = address, user, password
        self.falling = False
        self.capabilities = set()

    def can(self, capability):
        return capability in self.capabilities

    @property
    def modes(self):
        return ['plain', 'condstore', 'qresync'] if self.can('QRESYNC') else ['plain', 'condstore']

    def items(self, items):
        """Those that the server can tell."""
        lacking = {'EMAILID': 'OBJECTID', 'BINARY.PEEK': 'BINARY', 'BINARY.SIZE': 'BINARY'}
        return ' '.join(i for i in items.split() if i.split('[')[0] not in self.wrong and self.can(lacking.get(i.split('[')[0], 'IMAP4rev1')))

    def close(self):
        pass


class OwnServer(Server):
    """A node that is ours to kill."""
    in_turn = status_is_fresh = True

    def __init__(self, folder=None):
        self.given = folder
        self.node = Node(folder or tempfile.mkdtemp(prefix='perdura-stress.')).start()
        self.node.add('stress@example.org')
        super().__init__(self.node.tcp('listen.imap'), 'stress@example.org', PASSWORD)
        self.lmtp = self.node.lmtp

    def die(self):
        self.node.kill()

    def rise(self):
        self.node.start()
        self.address, self.lmtp = self.node.tcp('listen.imap'), self.node.lmtp

    def close(self):
        """It must be whole, and end by itself."""
        try:
            checked = self.node.run('check', timeout=600)
            require(checked.returncode == 0, 'perdura check:', checked.stdout, checked.stderr)
            status = self.node.stop()
            require(status == 0, f'the node ended with {status}:', self.node.log_text()[-2000:])
            if not self.given:
                shutil.rmtree(self.node.dir)
        finally:
            self.node.kill()


class Deliverer:
    """LMTP beside the sessions."""

    def __init__(self, server, world):
        self.server, self.world = server, world
        self.made = self.done = 0

    async def step(self):
        self.made += 1
        name = self.world.new_name(f'post-{self.made}')
        reader, writer = await asyncio.open_connection(*self.server.lmtp)
        try:
            body = re.sub(rb'(\A|\r\n)\.', rb'\1..', mail(name).bytes)
            for line, n in ((b'', 1), (b'LHLO here\r\n', 1), (b'MAIL FROM:<a@example.net>\r\nRCPT TO:<%s>\r\nDATA\r\n' % self.server.user.encode(), 3),
                            (body + b'.\r\n', 1)):
                reply = b''
                writer.write(line)
                for _ in range(n):
                    while (reply := await reader.readline())[3:4] == b'-':
                        pass
            require(self.server.falling or reply.startswith(b'250'), f'LMTP: {reply!r}')
            if reply.startswith(b'250'):
                self.world.names[name].acknowledged = True
                self.done += 1
        finally:
            writer.transport.abort()


class Stress:
    def __init__(self, server, seed, sessions, say=lambda text: None):
        self.server, self.seed, self.say = server, seed, say
        self.random = random.Random(f'{seed}')
        self.world = World()
        self.sessions = [Session(f's{i}', server, self.world, seed) for i in range(sessions)]
        self.judge = Judge(server, self.world, seed)
        self.deliverer = Deliverer(server, self.world) if server.lmtp else None
        self.running = asyncio.Event()
        self.parked = {}  # of each task that works: an event
        self.kills = 0

    async def prepare(self):
        """The folders and what is in them, by one session."""
        s = self.sessions[0]
        await s.connect()
        answer = await s.say('CAPABILITY')
        self.server.capabilities = set(answer.of('CAPABILITY')[0].decode().split())
        self.acts = [Acts(x, FOLDERS) for x in self.sessions]
        for folder in FOLDERS[1:]:
            await s.say(f'CREATE {folder}')
        for i in range(FIRST):
            await s.ask(self.acts[0].an_append(self.world.new_name(f'first-{i}'), FOLDERS[i % len(FOLDERS)]))
        for i in range(COUNTERS):
            answer = (await s.ask(self.acts[0].an_append(self.world.new_name(f'counter-{i}'), 'Left')))[0]
            validity, uid = map(int, answer.codes()['APPENDUID'].split())
            self.world.mailboxes[validity].reserved[uid] = 0, 0
        s.wire.close()

    # -- tasks

    async def work(self, what, step, lost):
        """Steps until it is told to stop; between them it can be parked."""
        parked = self.parked[what]
        while True:
            if not self.running.is_set():
                parked.set()
                await self.running.wait()
                parked.clear()
            try:
                await step()
            except (Lost, OSError) as e:
                lost(e)
                await asyncio.sleep(0.02)

    async def session_step(self, s, acts):
        if not s.wire.writer:
            await s.reconnect()
        await acts.choose()()

    def deliverer_lost(self, why):
        require(self.server.falling, f'LMTP ended: {why}')

    def tasks(self):
        steps = [(s, lambda s=s, a=a: self.session_step(s, a), s.lost) for s, a in zip(self.sessions, self.acts)]
        if self.deliverer:
            steps.append((self.deliverer, self.deliverer.step, self.deliverer_lost))
        self.parked = {what: asyncio.Event() for what, _, _ in steps}
        return [asyncio.create_task(self.named(what, self.work(what, step, lost))) for what, step, lost in steps]

    @staticmethod
    async def named(what, work):
        """A failure knows whose it is."""
        try:
            await work
        except Exception as e:
            e.session = what
            raise

    # -- the run

    async def run(self, seconds, kill_at=None):
        await self.prepare()
        tasks = self.tasks()
        try:
            main = asyncio.create_task(self.rounds(seconds, kill_at))
            done, _ = await asyncio.wait([main, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for t in done:
                t.result()
        finally:
            for t in (main, *tasks):
                t.cancel()
            await asyncio.gather(main, *tasks, return_exceptions=True)
            for s in self.sessions:
                s.wire.close()

    async def rounds(self, seconds, kill_at):
        end = time.monotonic() + seconds
        kills = sorted(time.monotonic() + at for at in kill_at or ())
        while time.monotonic() < end:
            self.running.set()
            wait = self.random.uniform(1, 3)
            if kills and kills[0] < time.monotonic() + wait:
                kills.pop(0)
                await self.kill(wait)
            else:
                await asyncio.sleep(wait)
            await self.settle()
            self.say(f'{self.done()} commands, {self.judge.points} quiet points, {self.kills} kills')

    def done(self):
        return sum(s.done for s in self.sessions) + (self.deliverer.done if self.deliverer else 0)

    async def park(self):
        self.running.clear()
        for what, event in self.parked.items():
            try:
                async with asyncio.timeout(PATIENCE):
                    await event.wait()
            except asyncio.TimeoutError:
                failure = Contradiction(f'it is busy for {PATIENCE} seconds')
                failure.session = what
                raise failure from None

    async def settle(self):
        """All stand still, and agree."""
        await self.park()
        await self.judge.look([s for s in self.sessions if s.wire.writer])

    async def kill(self, wait):
        await asyncio.sleep(wait)
        self.server.falling = True
        self.server.die()
        await self.park()
        self.server.rise()
        self.kills += 1
        self.server.falling = False
        for s in self.sessions:
            s.drop()
            await s.reconnect()

    def explain(self, failure):
        """The last lines of who failed."""
        session = getattr(failure, 'session', None)
        who = [s for s in (session, self.judge.fresh) if isinstance(s, Session)][:1]
        if named := re.match(r'(s\d+) in ', str(failure)):
            who += [s for s in self.sessions if s.name == named[1]]
        lines = [f'FAILED: {failure}' if isinstance(failure, Contradiction) else f'FAILED: {failure!r}']
        for s in who:
            lines += [f'-- {s.name} ({s.mode}), its last lines:', *s.wire.shown]
        return '\n'.join(lines + [f'seed {self.seed}'])
