"""The Debian package in a clean root: installed, a node run as its own user, mail delivered and read, upgraded, removed,
purged. Wants root, debootstrap, a mirror, and the package (make deb); says so and skips otherwise."""
import imaplib
import os
import pathlib
import re
import shutil
import smtplib
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASE = ROOT / 'build-roots'
RELEASE = os.environ.get('PERDURA_RELEASE', 'bookworm')
PACKAGES = sorted((ROOT / 'build-deb').glob('perdura_*.deb'))
PASSWORD = 'correct horse'
USER = 'ada@example.org'


def quiet(*words, **more):
    return subprocess.run([str(w) for w in words], stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)


def mirror():
    """The first source of Debian itself that apt has here."""
    for f in [pathlib.Path('/etc/apt/sources.list'), *pathlib.Path('/etc/apt/sources.list.d').glob('*')]:
        if f.is_file() and (m := re.search(r'^(?:URIs:|deb(?: \[.*\])?) (http\S+/debian/?)(?: |$)', f.read_text(), re.M)):
            return m[1]
    return 'http://deb.debian.org/debian'


def base_root():
    """A bare root of the release, kept for the next time."""
    tar = BASE / f'{RELEASE}.tar'
    if not tar.exists():
        folder = BASE / RELEASE
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        r = quiet('debootstrap', '--variant=minbase', RELEASE, folder, mirror())
        if r.returncode:
            pytest.skip(f'no root of {RELEASE} can be made here: {(r.stdout + r.stderr)[-200:]}')
        for f in pathlib.Path('/etc/apt/apt.conf.d').glob('*proxy*'):
            shutil.copy(f, folder / 'etc/apt/apt.conf.d')
        (folder / 'usr/sbin/policy-rc.d').write_text('#!/bin/sh\nexit 101\n')
        (folder / 'usr/sbin/policy-rc.d').chmod(0o755)
        subprocess.run(['tar', '-C', folder, '-cf', tar, '.'], check=True)
        shutil.rmtree(folder)
    return tar


class Root:
    def __init__(self, path):
        self.path = path
        subprocess.run(['tar', '-C', path, '-xf', base_root()], check=True)
        shutil.copy('/etc/resolv.conf', path / 'etc/resolv.conf')
        self.node = None

    def run(self, *words, **more):
        environment = dict(os.environ, DEBIAN_FRONTEND='noninteractive', PATH='/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL='C')
        return subprocess.run(['chroot', self.path, *words], text=True, capture_output=True, env=environment, **more)

    def do(self, *words, **more):
        r = self.run(*words, **more)
        assert r.returncode == 0, (words, r.stdout[-3000:], r.stderr[-3000:])
        return r.stdout

    def install(self):
        shutil.copy(PACKAGES[-1], self.path / 'tmp/perdura.deb')
        return self.do('apt-get', 'install', '-y', '-q', '--no-install-recommends', '--reinstall', '/tmp/perdura.deb')

    def start(self):
        """As the unit does, on other ports: those of the machine may be in use."""
        unit = next(p for p in (self.path / d / 'systemd/system/perdura.service' for d in ('lib', 'usr/lib')) if p.exists())
        command = re.search(r'^ExecStart=(.*)$', unit.read_text(), re.M)[1].split()
        for option in ('imap', 'lmtp', 'http'):
            command += ['--set', f'listen.{option}=127.0.0.1:0']
        user = [int(x) for x in self.do('getent', 'passwd', 'perdura').split(':')[2:4]]

        def become():
            os.chroot(self.path)
            os.chdir('/')
            os.setgroups([])
            os.setgid(user[1])
            os.setuid(user[0])
        self.log = open(self.path / 'tmp/log', 'ab')
        self.node = subprocess.Popen(command, preexec_fn=become, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                     env={'PATH': '/usr/bin:/bin'})
        ports = self.path / 'var/lib/perdura/run/ports'
        end = time.monotonic() + 60
        while not ports.exists():
            assert self.node.poll() is None and time.monotonic() < end, (self.path / 'tmp/log').read_text()
            time.sleep(0.05)
        self.ports = {k: int(v.rsplit(':', 1)[1]) for k, v in (l.split('=', 1) for l in ports.read_text().splitlines())}

    def stop(self):
        if self.node:
            self.node.terminate()
            assert self.node.wait(60) == 0
            self.node = None

    def subjects(self):
        m = imaplib.IMAP4('127.0.0.1', self.ports['listen.imap'], timeout=60)
        m.login(USER, PASSWORD)
        m.select(readonly=True)
        got = [x[1].decode().strip() for x in m.fetch('1:*', '(BODY.PEEK[HEADER.FIELDS (SUBJECT)])')[1] if len(x) == 2]
        m.logout()
        return got

    def deliver(self, subject):
        with smtplib.LMTP('127.0.0.1', self.ports['listen.lmtp']) as c:
            assert c.sendmail('sender@example.org', [USER], f'Subject: {subject}\r\n\r\nHello\r\n') == {}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    if os.geteuid():
        pytest.skip('wants root, for a root of its own')
    if not shutil.which('debootstrap'):
        pytest.skip('debootstrap is not installed')
    if not PACKAGES:
        pytest.skip('no package is built: make deb')
    path = tmp_path_factory.mktemp('root')
    path.chmod(0o755)
    r = Root(path)
    yield r
    if r.node:
        r.node.kill()
        r.node.wait()
    shutil.rmtree(path)


def test_1_install(root):
    root.install()
    home = root.path / 'var/lib/perdura'
    user = int(root.do('id', '-u', 'perdura'))
    assert home.stat().st_uid == user and home.stat().st_mode & 0o777 == 0o700
    assert root.do('perdurad', '--version').startswith('perdurad ')
    assert (root.path / 'etc/perdura/perdura.conf').exists()
    for page in ('man8/perdurad.8', 'man1/perdura.1', 'man5/perdura.conf.5'):
        # bare roots may be told to leave documentation out
        assert f'/usr/share/man/{page}.gz' in root.do('dpkg', '-L', 'perdura').split()


def test_2_deliver_and_read(root):
    root.start()
    root.do('perdura', 'account', 'add', USER, input=PASSWORD + '\n')
    root.deliver('first')
    assert root.subjects() == ['Subject: first']
    assert subprocess.check_output(['curl', '-sf', f'http://127.0.0.1:{root.ports["listen.http"]}/health']) == b'ok\n'
    assert 'troubles      0' in root.do('perdura', 'check')
    r = root.run('setpriv', '--reuid=nobody', '--clear-groups', 'perdura', 'status')
    assert r.returncode != 0
    root.stop()


def test_3_upgrade_keeps_mail_and_settings(root):
    conf = root.path / 'etc/perdura/perdura.conf'
    assert [l for l in conf.read_text().splitlines() if not l.startswith('#')] == [], 'what changes would be asked about'
    assert 'listen' not in conf.read_text()
    conf.write_text(conf.read_text() + 'node.name = n7\n')
    root.install()
    assert conf.read_text().endswith('node.name = n7\n')
    root.start()
    assert root.subjects() == ['Subject: first']
    assert 'node.name = n7' in root.do('perdura', 'config', 'node.name')
    root.stop()


def test_4_remove_keeps_mail(root):
    root.do('apt-get', 'remove', '-y', '-q', 'perdura')
    assert not (root.path / 'usr/sbin/perdurad').exists()
    assert (root.path / 'var/lib/perdura/meta.db').exists() and (root.path / 'etc/perdura/perdura.conf').exists()
    root.install()
    root.start()
    root.deliver('second')
    assert root.subjects() == ['Subject: first', 'Subject: second']
    root.stop()


def test_5_purge_takes_all(root):
    root.do('apt-get', 'purge', '-y', '-q', 'perdura')
    for gone in ('var/lib/perdura', 'var/log/perdura', 'etc/perdura', 'etc/logrotate.d/perdura', 'usr/lib/sysusers.d/perdura.conf'):
        assert not (root.path / gone).exists(), gone
