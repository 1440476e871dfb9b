"""What several nodes stand on, started for the fault run and broken by it: three MariaDB nodes with Galera and an S3 gateway, by
the recipes in ../shared/stack (or PERDURA_STACK), and proxies that cut or hold what a node says to them."""
import contextlib
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
STACK = pathlib.Path(os.environ.get('PERDURA_STACK', ROOT.parent / 'shared/stack'))
GALERA_NODES = 3


class Left(Exception):
    """This cannot be had here."""


class Recipe:
    def __init__(self, name, folder, **settings):
        self.path, self.folder, self.settings = STACK / name, folder / name, settings
        if not self.path.exists():
            raise Left(f'{self.path} is not there')

    def run(self, verb, *words, check=True):
        r = subprocess.run([str(self.path), verb, str(self.folder), *map(str, words)], env=dict(os.environ, **self.settings),
                           stdin=subprocess.DEVNULL, text=True, capture_output=True)
        if check and r.returncode:
            raise Left(f'{self.path.name} {verb}: {(r.stderr.strip().splitlines() or ["no word"])[-1]}')
        return r.stdout

    def variables(self):
        return dict(''.join(shlex.split(l)).split('=', 1) for l in self.run('env').splitlines() if re.match(r'\w+=', l))


class Disk:
    """A small disk of its own, in a file, mounted where something keeps its data."""

    def __init__(self, image, at, size):
        self.at = at
        at.mkdir(parents=True, exist_ok=True)
        if os.path.ismount(at):
            return
        with open(image, 'wb') as f:
            f.truncate(size)
        made = subprocess.run(['mkfs.ext4', '-q', '-m', '0', str(image)], capture_output=True).returncode == 0
        if not made or subprocess.run(['mount', '-o', 'loop', str(image), str(at)], capture_output=True).returncode:
            raise Left('a disk in a file wants root, mkfs.ext4 and mount')
        shutil.rmtree(at / 'lost+found')

    def fill(self):
        free = os.statvfs(self.at)
        with contextlib.suppress(OSError), open(self.at / 'filler', 'ab', buffering=0) as f:
            os.posix_fallocate(f.fileno(), 0, max(1, free.f_bavail * free.f_frsize - 65536))
            while True:
                f.write(b'x' * 4096)

    def free(self):
        (self.at / 'filler').unlink(missing_ok=True)

    def unmount(self):
        subprocess.run(['umount', '-l', str(self.at)], capture_output=True)


def _command(pid):
    try:
        return pathlib.Path(f'/proc/{pid}/comm').read_text()
    except OSError:
        return ''


class Servers:
    """Below a folder; stop() is needed also where start() failed."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        self.folder, self.disks = folder, {}
        self.galera = Recipe('galera', folder, GALERA_MEM='128M', FLUSH='1')
        self.s3 = Recipe('ceph', folder, OSD_GB='3')

    def start(self):
        try:
            self.disks = {'galera': Disk(self.folder / 'galera.img', self.galera.folder / 'n3', 3 << 30),
                          's3': Disk(self.folder / 'ceph.img', self.s3.folder, 6 << 30)}
        except Left as why:
            print(f'no full disks: {why}', flush=True)
        for r in (self.galera, self.s3):
            r.run('install')
            r.run('start')
        v, w = self.galera.variables(), self.s3.variables()
        self.database = [tuple(h.split(':')) for h in v['GALERA_HOSTS'].split(',')]
        self.user, self.password = v['GALERA_USER'], v['GALERA_PASSWORD']
        self.gateway = re.fullmatch(r'http://([^:]+):(\d+)', w['S3_ENDPOINT']).groups()
        self.bucket, self.region = w['S3_BUCKET'], w['S3_REGION']
        os.environ.update(AWS_ACCESS_KEY_ID=w['S3_ACCESS_KEY'], AWS_SECRET_ACCESS_KEY=w['S3_SECRET_KEY'])

    def stop(self):
        for r in (self.galera, self.s3):
            r.run('stop', check=False)
        for d in self.disks.values():
            d.unmount()

    def client(self, number, text, **more):
        host, port = self.database[number - 1]
        return subprocess.run(['mariadb', '--no-defaults', '--connect-timeout=5', '-NBr', f'-h{host}', f'-P{port}', f'-u{self.user}'], input=text,
                              text=True, capture_output=True, env={'MYSQL_PWD': self.password, 'PATH': os.environ['PATH']}, **more)

    def sql(self, text):
        r = self.client(1, text)
        assert r.returncode == 0, (text, r.stderr)
        return r.stdout

    # -- what breaks, and comes back

    def database_pids(self):
        """{number: process} of the database nodes that run, also of those that answer nothing."""
        noted = {n: self.galera.folder / f'run/n{n}.pid2' for n in range(1, GALERA_NODES + 1)}
        pids = {n: int(f.read_text().split()[0]) for n, f in noted.items() if f.exists()}
        return {n: pid for n, pid in pids.items() if 'mariadbd' in _command(pid)}

    def kill_database(self, *numbers):
        for pid in [p for n, p in self.database_pids().items() if n in numbers]:
            os.kill(pid, signal.SIGKILL)

    def signal_database(self, number, signum):
        pids = self.database_pids()
        if number in pids:
            os.kill(pids[number], signum)

    def is_member(self, number):
        try:
            return 'Synced' in self.client(number, "SHOW STATUS LIKE 'wsrep_local_state_comment'", timeout=10).stdout
        except subprocess.TimeoutExpired:
            return False

    def revive_database(self):
        """Every node runs and is a member again; also one that hangs since its disk was full."""
        end = time.monotonic() + 30
        while (out := [n for n in self.database_pids() if not self.is_member(n)]) and time.monotonic() < end:
            time.sleep(1)
        self.kill_database(*out)
        time.sleep(0.5)
        running = self.database_pids()
        if not running:
            self.galera.run('recover')
        for n in range(1, GALERA_NODES + 1):
            if running and n not in running:
                self.rejoin_database(n)

    def rejoin_database(self, n):
        """With what it lacks, or on the rare day that does not work, as an admin would: with a full copy."""
        try:
            self.galera.run('rejoin', n)
        except Left:
            self.kill_database(n)
            time.sleep(0.5)
            self.galera.run('rejoin', n, 'sst')

    def kill_s3(self):
        self.s3.run('kill', 'rgw1')

    def revive_s3(self):
        for daemon in ('mon', 'osd0', 'rgw1'):
            self.s3.run('up', daemon, check=False)
