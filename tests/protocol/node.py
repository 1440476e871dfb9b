"""A node for tests: started on free ports in a folder of its own, killed, started again; and the command on it.

The programs are those of the build folder in PERDURA_BUILD (build). Everything stands in a temporary folder."""
import imaplib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import stores

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get('PERDURA_BUILD', ROOT / 'build')).resolve()
PERDURAD = BUILD / 'src/server/perdurad'
PERDURA = BUILD / 'src/tools/perdura'
PASSWORD = 'correct horse'
# Slower builds (sanitizers) and busy machines get the time they need; a test that waits so long has failed.
PATIENCE = 60
# A command may have much to do: check reads all that the tests of a file have left.
LONG_PATIENCE = 5 * PATIENCE
# How long a stopping node waits for what does not end by itself (stop.timeout).
STOP_TIMEOUT = 10


def wait_until(what, seconds=PATIENCE, told=lambda: 'waited in vain', every=0.02):
    """Waits until what() is true, and returns it. told(): what to say when it never was."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, told()
        time.sleep(every)
    return found


def quickest(what, tries=5):
    """How long what() takes, in seconds, the shortest of several times: a busy machine makes one of them long, what holds
    it up makes all of them so."""
    took = []
    for _ in range(tries):
        began = time.monotonic()
        what()
        took.append(time.monotonic() - began)
    return min(took)


def imap_name(folder):
    """A folder's name as a quoted IMAP string; ASCII only."""
    return '"' + folder.replace('\\', '\\\\').replace('"', '\\"') + '"'


class Node:
    def __init__(self, folder=None, **settings):
        """settings: listen_imap='127.0.0.1:0' stands for --set listen.imap=127.0.0.1:0."""
        self.dir = pathlib.Path(folder or tempfile.mkdtemp(prefix='perdura-test.'))
        self.data = self.dir / 'data'
        self.stores = stores.Stores(self.dir, self.data)
        self.settings = {'account.domain': 'example.org',
                         'listen.imap': '127.0.0.1:0', 'listen.lmtp': '127.0.0.1:0,unix:run/lmtp?mode=0600',
                         'ballast': '1M',  # many nodes stand on this disk
                         **self.stores.settings()}
        self.settings.update({k.replace('_', '.'): v for k, v in settings.items()})
        self.process = None
        self.ports = {}

    # -- the process

    def arguments(self):
        self.stores.create(PERDURA, self.settings.get('meta.url'))
        return [str(PERDURAD), '--data', str(self.data)] + [x for k, v in self.settings.items() for x in ('--set', f'{k}={v}')]

    def start(self):
        self.log = open(self.dir / 'log', 'ab')
        self.process = subprocess.Popen(self.arguments(), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.log.close()
        ports = self.data / 'run/ports'
        wait_until(lambda: self._serves_as(ports) or self.process.poll() is not None, told=self.log_text)
        assert self.process.poll() is None, 'the node ended: ' + self.log_text()
        self.ports = dict(l.split('=', 1) for l in ports.read_text().splitlines())
        return self

    def _serves_as(self, ports):
        """The ports file is this process's: it removed the old one before it wrote its own, after it took the lock."""
        try:
            return (self.data / 'lock').read_text() == f'{self.process.pid}\n' and ports.exists()
        except OSError:
            return False

    def stop(self, signum=signal.SIGTERM):
        """Ends it; returns its exit status."""
        if self.process:
            self.process.send_signal(signum)
            status = self.process.wait(PATIENCE)
            self.process = None
            return status

    def kill(self):
        return self.stop(signal.SIGKILL)

    def sanitized(self):
        """A build with a sanitizer: slower, and what it has in memory tells nothing, as it keeps what was freed."""
        return self._status('VmSize') > 1 << 30

    def memory(self, which='VmRSS'):
        """MiB; 0 with a sanitizer."""
        return 0 if self.sanitized() else self._status(which) / 1024

    def processor(self):
        """Seconds it worked; 0 with a sanitizer."""
        fields = pathlib.Path(f'/proc/{self.process.pid}/stat').read_text().rsplit(')', 1)[1].split()
        return 0 if self.sanitized() else (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def _status(self, what):
        with open(f'/proc/{self.process.pid}/status') as f:
            return int(next(line for line in f if line.startswith(what)).split()[1])

    def log_text(self):
        return (self.dir / 'log').read_text(errors='replace')

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()

    def drop(self):
        """Ends it; what it kept outside its folder is gone."""
        self.kill()
        self.stores.drop()

    def sql(self, statement):
        """Runs it in the node's database, beside the node; rows of texts."""
        return self.stores.sql(statement)

    # -- where it listens

    def tcp(self, option):
        host, port = next(a for a in self.ports[option].split(',') if not a.startswith('unix:')).rsplit(':', 1)
        return host, int(port)

    @property
    def lmtp(self):
        return self.tcp('listen.lmtp')

    @property
    def lmtp_unix(self):
        return next(a[5:] for a in self.ports['listen.lmtp'].split(',') if a.startswith('unix:'))

    # -- the command

    def run(self, *words, stdin='', timeout=LONG_PATIENCE):
        """perdura --data DIR words...: the finished process, with stdout and stderr as text."""
        return subprocess.run([str(PERDURA), '--data', str(self.data), *map(str, words)], input=stdin, text=True,
                              errors='backslashreplace', capture_output=True, timeout=timeout)

    def perdura(self, *words, **more):
        """The same; it must succeed. Returns standard output."""
        r = self.run(*words, **more)
        assert r.returncode == 0, (words, r.returncode, r.stdout, r.stderr)
        return r.stdout

    def json(self, *words, **more):
        return json.loads(self.perdura('--json', *words, **more))

    def settled(self):
        """Waits until what a kill broke off (a restore, an undo, a large command of a client) is ended."""
        wait_until(lambda: json.loads(self.perdura('--json', 'purge', '--dry-run').splitlines()[-1])['busy'] == 0, every=0.1)

    # -- accounts and mail

    def add(self, *addresses):
        self.perdura('account', 'add', *addresses, stdin=PASSWORD + '\n')
        return addresses

    def imap(self, user, password=PASSWORD):
        """A logged-in imaplib session; use it with `with`."""
        m = imaplib.IMAP4(*self.tcp('listen.imap'), timeout=PATIENCE)
        m.login(user, password)
        return m

    def create(self, user, folder):
        with self.imap(user) as m:
            assert m.create(imap_name(folder))[0] == 'OK'

    def count(self, user, folder='INBOX'):
        with self.imap(user) as m:
            kind, data = m.select(imap_name(folder), readonly=True)
            assert kind == 'OK', data
            return int(data[0])

    def newest(self, user, folder='INBOX'):
        """The bytes of the folder's last message."""
        with self.imap(user) as m:
            kind, data = m.select(imap_name(folder), readonly=True)
            assert kind == 'OK', data
            kind, got = m.fetch(data[0].decode(), '(BODY.PEEK[])')
            assert kind == 'OK'
            return got[0][1]

    def serves(self):
        """Does it answer on all doors?"""
        with self.imap(self.user) as m:
            return m.noop()[0] == 'OK' and self.run('status').returncode == 0


class PopulatedNode(Node):
    """A node with users."""
    user, other, postmaster = 'ada@example.org', 'grace@example.org', 'postmaster@example.org'

    def start(self):
        super().start()
        if not (self.dir / 'populated').exists():
            self.add(self.user, self.other, self.postmaster)
            self.perdura('set', f'account.postmaster={self.postmaster}')
            (self.dir / 'populated').touch()
        return self

    def many(self, n):
        """n further accounts, made once."""
        users = [f'user{i}@example.org' for i in range(n)]
        have = set(self.perdura('account', 'list').split())
        missing = [u for u in users if u not in have]
        if missing:
            self.add(*missing)
        return users
