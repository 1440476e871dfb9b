"""The node as a process: start, stop, its folder, its settings, and the command's way to it."""
import json
import os
import resource
import signal
import socket
import stat
import struct
import subprocess
import time

import pytest
from node import PERDURA, PERDURAD, STOP_TIMEOUT, wait_until


def run(*words, **more):
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, **more)


def test_start_and_stop(fresh):
    fresh.start()
    assert stat.S_IMODE(os.stat(fresh.data).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(fresh.data / 'admin.sock').st_mode) == 0o600
    host, port = fresh.tcp('listen.imap')
    with socket.create_connection((host, port)) as s:
        assert s.recv(1000).startswith(b'* OK')
        assert fresh.stop() == 0
        assert s.recv(1000).startswith(b'* BYE')
    assert not (fresh.data / 'run/ports').exists()
    assert not (fresh.data / 'admin.sock').exists()
    assert not (fresh.data / 'run/lmtp').exists()


def test_starts_again_after_kill(fresh):
    fresh.start()
    fresh.kill()
    assert (fresh.data / 'run/ports').exists() and (fresh.data / 'admin.sock').exists()
    fresh.start()
    assert fresh.run('status').returncode == 0
    assert fresh.stop(signal.SIGINT) == 0


def test_second_node_on_one_folder(fresh):
    fresh.start()
    ports = (fresh.data / 'run/ports').read_text()
    r = run(*fresh.arguments())
    assert r.returncode == 1
    assert r.stderr.count('\n') == 1 and f'another node (process {fresh.process.pid})' in r.stderr
    assert (fresh.data / 'run/ports').read_text() == ports
    assert fresh.run('status').returncode == 0


def test_port_is_taken(fresh):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen()
        fresh.settings['listen.imap'] = '127.0.0.1:%d' % s.getsockname()[1]
        r = run(*fresh.arguments())
    assert r.returncode == 1
    assert r.stderr.count('\n') == 1 and 'listen.imap: 127.0.0.1:' in r.stderr


def test_unix_socket_of_an_earlier_life(fresh):
    fresh.start()
    fresh.kill()
    fresh.start()
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(fresh.lmtp_unix)
        assert s.recv(100).startswith(b'220 ')


@pytest.mark.parametrize('words,status,says', [
    (['--nonsense'], 2, '--nonsense'),
    (['--data'], 2, '--data'),
    (['stray'], 2, 'stray'),
    (['--set', 'no.such.option=1'], 1, 'no.such.option'),
    (['--set', 'nothing'], 1, 'name=value'),
    (['--set', 'workers.max=many'], 1, '4 to 4096'),
    (['--set', 'workers.max=99999999999999999999'], 1, '4 to 4096'),
    (['--set', 'workers.max=0'], 1, '4 to 4096'),
    (['--set', 'stop.timeout=-1s'], 1, '0 to 10m'),
    (['--set', 'log.level=loud'], 1, 'error warn info debug'),
    (['--set', 'listen.imap=here'], 1, 'host:port'),
    (['--set', 'listen.lmtp=unix:x?mode=999'], 1, 'octal'),
    (['--set', 'meta.url=nothing:x'], 1, "meta.url: no store is called 'nothing'"),
    (['--config', '/no/such/file'], 1, '/no/such/file'),
    (['--data', '/dev/null/x'], 1, '/dev/null'),
])
def test_wrong_words(tmp_path, words, status, says):
    data = [] if words[0] == '--data' else ['--data', tmp_path / 'data']
    r = run(PERDURAD, *data, *words)
    assert r.returncode == status
    assert r.stderr.count('\n') == 1 and r.stderr.startswith('perdurad: ') and says in r.stderr


def test_help_and_version():
    for program in (PERDURAD, PERDURA):
        r = run(program, '--help')
        assert r.returncode == 0 and r.stdout.startswith('usage: ') and not r.stderr
        r = run(program, '--version')
        assert r.returncode == 0 and r.stdout.split()[0] == program.name


def test_settings_from_the_file(fresh):
    fresh.data.mkdir(mode=0o700)
    (fresh.data / 'perdura.conf').write_text('# a comment\n\n  node.name = mill \nworkers.max=10\r\nlog.level = debug\n')
    fresh.settings['workers.max'] = '20'
    fresh.start()
    values = {o['name']: o['value'] for o in fresh.json('config')}
    assert values['node.name'] == 'mill'
    assert values['workers.max'] == '20'
    assert values['log.level'] == 'debug'
    assert values['stop.timeout'] == '10s'
    assert fresh.json('status')['node'] == 'mill'


@pytest.mark.parametrize('line,says', [
    ('nonsense', 'name=value'), ('lisen.imap = x', '"lisen.imap"'), ('workers.max = x', '4 to 4096'),
    ('listen.imap = ::1:143', 'brackets'), ('node.name =', '1 to 63 bytes'), ('\0', 'name=value')])
def test_wrong_line_in_the_file(tmp_path, line, says):
    data = tmp_path / 'data'
    data.mkdir()
    (data / 'perdura.conf').write_text('node.name = n1\n' + line + '\n')
    for program in ([PERDURAD, '--data', data], [PERDURA, '--data', data, 'config']):
        r = run(*program)
        assert r.returncode == 1
        assert r.stderr.count('\n') == 1 and f'{data}/perdura.conf:2: ' in r.stderr and says in r.stderr


def test_config_without_a_node(tmp_path):
    r = run(PERDURA, '--data', tmp_path, '--set', 'node.name=x', 'config', '--json', 'node.name', 'login.plaintext')
    assert r.returncode == 0
    assert [(o['name'], o['value'], o['default']) for o in json.loads(r.stdout)] == [
        ('node.name', 'x', 'n1'), ('login.plaintext', 'loopback', 'loopback')]
    r = run(PERDURA, '--data', tmp_path, 'config')
    assert r.returncode == 0 and 'workers.max = 64\n' in r.stdout
    assert run(PERDURA, '--data', tmp_path, 'config', 'nope').returncode == 1


def test_no_node(tmp_path):
    r = run(PERDURA, '--data', tmp_path, 'status')
    assert r.returncode == 75
    assert r.stderr == f'perdura: no node runs on {tmp_path}; start one with: perdurad --data {tmp_path}\n'


@pytest.mark.parametrize('words', [
    [], ['nonsense'], ['status', 'more'], ['status', '--nope'], ['status', '--json=1'], ['account'], ['account', 'add'],
    ['--nope', 'status'], ['--data'], ['history', 'a@b', 'c@d'], ['history', 'a@b', '--folder'], ['restore', 'a@b', '--dry-run=1']])
def test_wrong_usage(node, words):
    r = node.run(*words)
    assert r.returncode == 2 and r.stderr.startswith('perdura: ') and not r.stdout


def test_reload_reopens_the_log(fresh):
    fresh.settings['log.file'] = 'node.log'
    fresh.start()
    log = fresh.data / 'node.log'
    wait_until(lambda: ' start ' in log.read_text())
    log.rename(fresh.data / 'node.log.1')
    fresh.perdura('reload')
    assert ' reload ' in log.read_text()
    log.unlink()
    fresh.process.send_signal(signal.SIGHUP)
    wait_until(log.exists)
    (fresh.data / 'perdura.conf').write_text('nonsense\n')
    r = fresh.run('reload')
    assert r.returncode == 1 and 'perdura.conf:1' in r.stderr
    (fresh.data / 'perdura.conf').write_text('workers.max = 5\nlog.level = error\n')
    assert 'workers.max' in fresh.perdura('reload')
    assert fresh.run('status').returncode == 0


def test_few_descriptors(fresh):
    """256 descriptors: those who are too many hear it, and the others are served."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    fresh.settings['imap.connections'] = '1000'
    old = subprocess.Popen
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    subprocess.Popen = lambda *a, **k: old(*a, preexec_fn=limit, **k)
    try:
        fresh.start()
    finally:
        subprocess.Popen = old
    assert hard >= 512, 'the test itself needs descriptors'
    sockets = [socket.create_connection(fresh.tcp('listen.imap')) for _ in range(300)]
    greetings = [s.recv(200) for s in sockets]
    served = [s for s, g in zip(sockets, greetings) if g.startswith(b'* OK')]
    assert 100 <= len(served) < 256
    assert all(g.startswith((b'* OK', b'* BYE')) for g in greetings)
    assert fresh.run('status').returncode == 0
    served[0].sendall(b'a NOOP\r\n')
    assert served[0].recv(100).startswith(b'a OK')
    for s in sockets:
        s.close()
    wait_until(lambda: fresh.json('status')['connections'] == 0)
    with socket.create_connection(fresh.tcp('listen.imap')) as s:
        assert s.recv(100).startswith(b'* OK')


def frame(kind, payload):
    return struct.pack('>IB', len(payload), kind) + payload


def admin(node, data, shut=False):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(node.data / 'admin.sock'))
        s.settimeout(10)
        try:
            s.sendall(data)
            if shut:
                s.shutdown(socket.SHUT_WR)
            out = b''
            while more := s.recv(65536):
                out += more
            return out
        except (BrokenPipeError, ConnectionResetError):
            return b''


def test_hostile_admin_client(node):
    """Wrong frames end that request; the node goes on."""
    request = lambda words: frame(1, json.dumps({'args': words}).encode())
    for data in (b'', b'\0', b'\xff' * 100, frame(99, b''), frame(1, b''), frame(1, b'[]'), frame(1, b'{"args":1}'),
                 frame(1, b'{"args":[1]}'), frame(1, b'{' * 100000), struct.pack('>IB', 1 << 31, 1), frame(1, b'{"args":["status"]'),
                 request(['account', 'add', 'x@example.org']), request(['account', 'add', 'x@example.org']) + frame(2, b'x'),
                 request(['import', node.user, 'x']) + frame(2, b'\xff'), request(['import', node.user, 'x']) + frame(3, b'x'),
                 request(['import', node.user, 'x']) + frame(2, b'\0\0\0\x05') + frame(3, b'123456') + frame(4, b''),
                 request(['import', node.user, 'x']) + frame(2, b'\0\0\0\x05') + frame(3, b'123') + frame(4, b''),
                 request(['x'] * 20000)):
        admin(node, data, shut=True)
    assert node.run('status').returncode == 0
    assert 'x@example.org' not in node.perdura('account', 'list')
    assert node.count(node.user) == 0


def test_many_commands_at_once(node):
    """More than run at a time: the rest is told to come again, and does."""
    stuck = []
    for _ in range(16):
        s = socket.socket(socket.AF_UNIX)
        s.connect(str(node.data / 'admin.sock'))
        stuck.append(s)
    wait_until(lambda: node.run('status').returncode == 75)
    assert 'try again later' in node.run('status').stderr
    for s in stuck:
        s.close()
    wait_until(lambda: node.run('status').returncode == 0)


def test_stop_does_not_wait_for_a_silent_command(fresh):
    fresh.start()
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(fresh.data / 'admin.sock'))
        s.sendall(frame(1, json.dumps({'args': ['import', 'a@example.org', 'x']}).encode()))
        began = time.monotonic()
        assert fresh.stop() == 0
        assert time.monotonic() - began < STOP_TIMEOUT


def test_password_is_asked_on_a_terminal(fresh):
    """Without echo, and from --password-file."""
    import pty
    fresh.start()
    ours, theirs = pty.openpty()
    p = subprocess.Popen([str(PERDURA), '--data', str(fresh.data), 'account', 'add', 'typed@example.org'], stdin=theirs, stdout=theirs,
                         stderr=theirs)
    os.close(theirs)
    seen = b''
    while b'Password: ' not in seen:
        seen += os.read(ours, 1000)
    os.write(ours, b'secret1\n')
    try:
        while more := os.read(ours, 1000):
            seen += more
    except OSError:
        pass
    assert p.wait(30) == 0 and b'secret1' not in seen
    with fresh.imap('typed@example.org', 'secret1'):
        pass
    (fresh.dir / 'password').write_text('secret2\n')
    fresh.perdura('account', 'password', 'typed@example.org', '--password-file', fresh.dir / 'password')
    with fresh.imap('typed@example.org', 'secret2'):
        pass
    assert fresh.run('account', 'add', 'empty@example.org', stdin='').returncode == 1
