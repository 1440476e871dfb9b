"""TLS: imaps, STARTTLS, certificates by name and their exchange while the node serves."""
import contextlib
import imaplib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import warnings

import pytest
from certificates import names, openssl
from imap_client import Closed, Imap
from lmtp_client import Lmtp
from node import PASSWORD, PATIENCE, STOP_TIMEOUT, Node, PopulatedNode, wait_until


@pytest.fixture(scope='module')
def pairs(ca):
    return [ca.make('mail', 'mail.example.org', 'localhost'), ca.make('wild', '*.example.net'),
            ca.make('exact', 'imap.example.net', kind=('rsa:2048',))]


def settings(pairs, **more):
    return {'tls_cert': ', '.join(str(c) for c, _ in pairs), 'tls_key': ', '.join(str(k) for _, k in pairs),
            'listen_imaps': '127.0.0.1:0', 'login_plaintext': 'never', **more}


@pytest.fixture(scope='module')
def node(tmp_path_factory, pairs):
    with PopulatedNode(tmp_path_factory.mktemp('node'), **settings(pairs)) as n:
        yield n


class TlsImap(Imap):
    """imaps; session: one to resume."""

    def __init__(self, node, context, host='localhost', session=None):
        self.context, self.host, self.session = context, host, session
        super().__init__(node.tcp('listen.imaps'))

    def response(self):
        if not isinstance(self.sock, ssl.SSLSocket):
            start_tls(self, self.context, self.host, self.session)
        return super().response()


def start_tls(m, context, host='localhost', session=None):
    m.sock = context.wrap_socket(m.sock, server_hostname=host, session=session)
    m.file = m.sock.makefile('rb')


def plain(node):
    return Imap(node.tcp('listen.imap'))


def words(m):
    return m.ok('CAPABILITY').lines('CAPABILITY')[0].decode().split()


def test_imaps(node, ca):
    with TlsImap(node, ca.client()) as m:
        assert b'AUTH=PLAIN' in m.greeting and b'STARTTLS' not in m.greeting and b'LOGINDISABLED' not in m.greeting
        assert m.sock.version() == 'TLSv1.3'
        m.ok(f'LOGIN {node.user} "{PASSWORD}"')
        m.ok('SELECT INBOX')
        m.bad('STARTTLS')


def test_starttls(node, ca):
    with plain(node) as m:
        assert {'STARTTLS', 'LOGINDISABLED'} <= set(words(m)) and 'AUTH=PLAIN' not in words(m)
        m.no(f'LOGIN {node.user} "{PASSWORD}"', 'PRIVACYREQUIRED')
        m.no('AUTHENTICATE PLAIN', 'PRIVACYREQUIRED')
        m.bad('STARTTLS now')
        m.ok('STARTTLS')
        start_tls(m, ca.client())
        assert not {'STARTTLS', 'LOGINDISABLED'} & set(words(m)) and 'AUTH=PLAIN' in words(m)
        m.bad('STARTTLS')
        m.ok(f'LOGIN {node.user} "{PASSWORD}"')
        assert 'STARTTLS' not in words(m)


@pytest.mark.parametrize('ahead', [b'b NOOP\r\n', b'b LOGIN "', b'b ID ("name" "Evil")\r\nc NOOP\r\n'])
def test_nothing_sent_ahead_is_taken(node, ca, ahead):
    """Commands that somebody puts behind STARTTLS in the clear are not run within TLS (CVE-2011-0411)."""
    with plain(node) as m:
        m.send(b'a STARTTLS\r\n' + ahead)
        assert m.response().startswith(b'a OK')
        start_tls(m, ca.client())
        m.send(b'x NOOP\r\n')
        assert m.response().startswith(b'x OK')


def test_what_was_said_before_is_forgotten(node, ca):
    with plain(node) as m:
        m.ok('ID ("name" "Mallory")')
        m.ok('STARTTLS')
        start_tls(m, ca.client())
        m.ok(f'LOGIN {node.user} "{PASSWORD}"')
        sessions = [json.loads(line) for line in node.perdura('--json', 'who').splitlines()]
        me = [s for s in sessions if s['address'].endswith(':%d' % m.sock.getsockname()[1])]
        assert me[0]['client'] == '' and me[0]['tls'] == 'TLSv1.3'


def test_names(node, ca):
    context = ca.client()
    for host, want in (('mail.example.org', 'mail.example.org'), ('imap.example.net', 'imap.example.net'),
                       ('IMAP.example.net', 'imap.example.net'), ('pop.example.net', '*.example.net')):
        with TlsImap(node, context, host) as m:
            assert want in names(m.sock), host
    context.check_hostname = False
    for host in (None, 'a.b.example.net', 'example.net', 'other.example', '*.example.net', 'x' * 60 + '.example'):
        with TlsImap(node, context, host) as m:
            assert 'mail.example.org' in names(m.sock) or host == '*.example.net'


def test_versions_and_ciphers(node, ca):
    with TlsImap(node, ca.client(maximum_version=ssl.TLSVersion.TLSv1_2)) as m:
        assert m.sock.version() == 'TLSv1.2' and 'ECDHE' in m.sock.cipher()[0]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        old = ca.client(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)
    old.set_ciphers('ALL:@SECLEVEL=0')
    weak = ca.client(maximum_version=ssl.TLSVersion.TLSv1_2)
    weak.set_ciphers('AES128-SHA:AES256-GCM-SHA384:ECDHE+AES+SHA1')
    for context in (old, weak):
        with pytest.raises((ssl.SSLError, ConnectionError, Closed)):
            TlsImap(node, context)
    assert 'tls-failed' in node.log_text()


def test_protocol_names(node, ca):
    context = ca.client()
    context.set_alpn_protocols(['h2', 'imap'])
    with TlsImap(node, context) as m:
        assert m.sock.selected_alpn_protocol() == 'imap'
    context.set_alpn_protocols(['http/1.1'])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        TlsImap(node, context)


@pytest.mark.parametrize('version', [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_resumption(node, ca, version):
    context = ca.client(minimum_version=version, maximum_version=version)
    with TlsImap(node, context) as m:
        m.ok('NOOP')
        session = m.sock.session
        assert not m.sock.session_reused
    with TlsImap(node, context, session=session) as m:
        m.ok('NOOP')
        assert m.sock.session_reused


def test_much_at_once(node, ca):
    """Records larger than a turn's input, pipelined commands, and literals, both ways."""
    text = b'From: a@example.org\r\n\r\n' + b'x' * 998 * 1500 + b'\r\n'
    with TlsImap(node, ca.client()) as m:
        m.ok(f'LOGIN {node.user} "{PASSWORD}"')
        m.ok('CREATE Much')
        m.ok('SELECT Much')
        m.append('Much', text)
        m.send(b''.join(b'n%d NOOP\r\n' % i for i in range(6000)))
        seen = 0
        while seen < 6000:
            seen += m.response().startswith(b'n')
        got = m.fetch('1 BODY[]')[0][1]['BODY[]']
        assert got == text


def test_end(node, ca):
    """LOGOUT ends with close_notify: a cut connection would look otherwise."""
    with TlsImap(node, ca.client()) as m:
        m.sock.suppress_ragged_eofs = False
        m.ok('LOGOUT')
        assert m.sock.recv(10) == b''


def test_hostile_handshakes(node, ca):
    """Garbage, silence and half a handshake neither hold a worker nor others up."""
    idle = [socket.create_connection(node.tcp('listen.imaps')) for _ in range(100)]
    for i, s in enumerate(idle):
        if i % 4 == 1:
            s.sendall(b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + b'r' * 40)
        elif i % 4 == 2:
            s.sendall(b'a LOGIN x y\r\n' * 100)
        elif i % 4 == 3:
            with contextlib.suppress(OSError):
                s.sendall(os.urandom(70000))
    with TlsImap(node, ca.client()) as m:
        m.ok('NOOP')
    for s in idle:
        s.close()


def test_slow_sender(node, ca):
    """A handshake and a command that arrive byte by byte."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ca.client().wrap_bio(incoming, outgoing, server_hostname='localhost')
    with socket.create_connection(node.tcp('listen.imaps'), timeout=PATIENCE) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def run(step):
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    for i, byte in enumerate(data := outgoing.read()):
                        s.send(bytes([byte]))
                    if not data or outgoing.pending == 0:
                        incoming.write(s.recv(65536))
        run(tls.do_handshake)
        assert b'ready' in run(lambda: tls.read(1000))
        tls.write(b'a NOOP\r\n')
        for byte in outgoing.read():
            s.send(bytes([byte]))
        assert b'a OK' in run(lambda: tls.read(1000))


def test_openssl_and_curl(node, ca):
    host, port = node.tcp('listen.imap')
    out = subprocess.run(['openssl', 's_client', '-connect', f'{host}:{port}', '-starttls', 'imap', '-CAfile', str(ca.cert),
                          '-verify_return_error', '-verify_hostname', 'mail.example.org', '-servername', 'mail.example.org',
                          '-crlf', '-ign_eof'], input=b'a LOGOUT\n', capture_output=True, timeout=PATIENCE)
    assert b'Verify return code: 0 (ok)' in out.stdout and b'a OK LOGOUT' in out.stdout
    if shutil.which('curl'):
        port = node.tcp('listen.imaps')[1]
        out = subprocess.run(['curl', '-sS', '--cacert', str(ca.cert), '--user', f'{node.user}:{PASSWORD}',
                              f'imaps://localhost:{port}/'], capture_output=True, timeout=PATIENCE)
        assert out.returncode == 0 and b'INBOX' in out.stdout, out
    with imaplib.IMAP4_SSL('localhost', node.tcp('listen.imaps')[1], ssl_context=ca.client(), timeout=PATIENCE) as m:
        assert m.login(node.user, PASSWORD)[0] == 'OK'


def test_lmtp(node, ca):
    with Lmtp(node.lmtp) as m:
        m.send('LHLO me\r\n')
        assert any('STARTTLS' in line for line in m.lines())
        m.send('STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n')
        assert m.reply().startswith('220 ')
        m.sock = ca.client().wrap_socket(m.sock, server_hostname='localhost')
        m.file = m.sock.makefile('rb')
        assert m.ask('MAIL FROM:<a@example.org>').startswith('503 ')
        m.send('LHLO me\r\n')
        assert not any('STARTTLS' in line for line in m.lines())
        assert m.ask('STARTTLS').startswith('503 ')
        assert m.deliver(b'Subject: x\r\n\r\nBody\r\n', node.user)[0].startswith('250 ')


# -- without certificates, and with wrong ones

def test_without_certificates(fresh):
    with fresh:
        with plain(fresh) as m:
            assert 'STARTTLS' not in words(m)
            m.bad('STARTTLS')
        with Lmtp(fresh.lmtp) as m:
            assert m.ask('STARTTLS').startswith('502 ')


def refused(folder, **more):
    n = Node(folder, **more)
    out = subprocess.run(n.arguments(), capture_output=True, text=True, timeout=PATIENCE)
    assert out.returncode == 1 and out.stderr.strip().splitlines()[-1].startswith('perdurad: '), out
    return out.stderr.strip().splitlines()[-1]


def test_refused_at_start(tmp_path, ca, pairs):
    (cert, key), (_, other) = pairs[:2]
    locked = ca.make('locked', 'locked.example.org', passphrase='hidden')
    (tmp_path / 'garbage.pem').write_bytes(b'\x00garbage\n' * 10)
    for certs, keys, what in (
            ('', '', 'listen.imaps wants a certificate'), (cert, other, 'does not belong to'),
            ('/nowhere.pem', key, '/nowhere.pem: no certificate can be read: No such file'),
            (cert, '/nowhere.key', '/nowhere.key: no private key can be read'),
            (tmp_path / 'garbage.pem', key, 'none in PEM form'), (cert, tmp_path / 'garbage.pem', 'no private key'),
            (f'{cert},{cert}', key, '2 certificates in tls.cert, but 1 keys in tls.key'), (cert, '', 'no private key'),
            (locked[0], locked[1], 'no private key')):
        line = refused(tmp_path, listen_imaps='127.0.0.1:0', tls_cert=certs, tls_key=keys)
        assert what in line, (line, what)


def test_one_file_and_expired(tmp_path, ca):
    cert, key = ca.make('old', 'localhost', days=-3)
    both = tmp_path / 'both.pem'
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    with Node(tmp_path, tls_cert=both, listen_imaps='127.0.0.1:0') as n:
        assert 'tls-certificate' in n.log_text() and ' expired' in n.log_text()
        with pytest.raises(ssl.SSLCertVerificationError):
            TlsImap(n, ca.client())


# -- reload

def test_reload(tmp_path, ca):
    """Old connections go on, new ones get the new certificate; a wrong one changes nothing."""
    cert, key = ca.make('now', 'localhost', 'one.example.org')
    new_cert, new_key = ca.make('new', 'localhost', 'two.example.org')
    live, live_key = tmp_path / 'live.pem', tmp_path / 'live.key'
    shutil.copy(cert, live)
    shutil.copy(key, live_key)
    (tmp_path / 'perdura.conf').write_text(f'tls.cert = {live}\ntls.key = {live_key}\n')
    n = PopulatedNode(tmp_path, listen_imaps='127.0.0.1:0')
    plain_arguments = n.arguments
    n.arguments = lambda: plain_arguments() + ['--config', str(tmp_path / 'perdura.conf')]
    with n, TlsImap(n, ca.client()) as old:
        assert 'one.example.org' in names(old.sock)
        shutil.copy(new_cert, live)
        out = n.run('reload')
        assert out.returncode == 1 and 'does not belong to' in out.stderr, out
        with TlsImap(n, ca.client()) as m:
            assert 'one.example.org' in names(m.sock)
        shutil.copy(new_key, live_key)
        n.perdura('reload')
        with TlsImap(n, ca.client()) as m:
            assert 'two.example.org' in names(m.sock)
        old.ok(f'LOGIN {n.user} "{PASSWORD}"')
        live.write_text('nonsense')
        n.process.send_signal(signal.SIGHUP)
        wait_until(lambda: 'none in PEM form' in n.log_text())
        lines = [line for line in n.log_text().splitlines() if 'none in PEM form' in line]
        assert len(lines) == 1 and ' reload result=refused ' in lines[0]
        with TlsImap(n, ca.client()) as m:
            assert 'two.example.org' in names(m.sock)
        (tmp_path / 'perdura.conf').write_text('tls.cert =\n')
        assert 'listen.imaps wants a certificate' in n.run('reload').stderr


def test_reload_under_load(tmp_path, ca, pairs):
    with PopulatedNode(tmp_path, **settings(pairs)) as n:
        for i in range(30):
            with TlsImap(n, ca.client()) as m:
                n.process.send_signal(signal.SIGHUP)
                m.ok(f'LOGIN {n.user} "{PASSWORD}"')


def test_reload_settings(tmp_path, ca, pairs):
    conf = tmp_path / 'perdura.conf'
    conf.write_text('login.plaintext = always\n')
    n = PopulatedNode(tmp_path)
    plain_arguments = n.arguments
    n.arguments = lambda: plain_arguments() + ['--config', str(conf)]
    with n, plain(n) as m:
        for nonsense in ('login.plaintext = perhaps\n', 'no.such = 1\n', 'workers.max = 3\n', 'what?\n', 'listen.imap = x\n',
                         'log.file = /nowhere/log\nstop.timeout = 1s\n'):
            conf.write_text('login.plaintext = never\n' + nonsense)
            out = n.run('reload')
            assert out.returncode in (1, 75) and len(out.stderr.splitlines()) == 1, (nonsense, out)
            assert 'AUTH=PLAIN' in words(m)
        conf.write_text(f'login.plaintext = never\nlmtp.recipients.max = 100\nworkers.max = 9\ntls.cert = {pairs[0][0]}\n'
                        f'tls.key = {pairs[0][1]}\nimap.connections = 1\n')
        assert n.perdura('reload') == 'from the next start on: workers.max\n'
        assert {'LOGINDISABLED', 'STARTTLS'} <= set(words(m))
        with Lmtp(n.lmtp) as out:
            out.envelope(*[n.user] * 100)
            assert out.ask(f'RCPT TO:<{n.user}>').startswith('452 ')
        with plain(n) as more:
            assert more.greeting.startswith(b'* BYE Too many')
        now = n.json('config', 'lmtp.recipients.max')
        assert now[0]['value'] == '100' and now[0]['reload'] is True


def test_stop_is_quick(tmp_path, ca, pairs):
    """Clients that keep their side open do not delay the stop, and all hear why."""
    with PopulatedNode(tmp_path, **settings(pairs, login_plaintext='always')) as n:
        idle = [TlsImap(n, ca.client()) for _ in range(10)] + [plain(n) for _ in range(10)]
        quiet = socket.create_connection(n.tcp('listen.imaps'))
        begun = time.monotonic()
        assert n.stop() == 0
        took = time.monotonic() - begun
        for m in idle:
            assert m.response().startswith(b'* BYE The server is going down')
            m.close()
        quiet.close()
        assert took < STOP_TIMEOUT / 2, took
