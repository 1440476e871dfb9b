"""Settings of login, what history keeps of a client, and a flood of nearly right commands: nobody else notices."""
import base64
import contextlib
import random
import socket

import pytest
from imap_client import Closed, Imap, connect, folder, login, mail
from node import PASSWORD, PopulatedNode, quickest, wait_until

MESSAGE = mail().encode()
COMMANDS = [c.encode() if isinstance(c, str) else c for c in (
    'NOOP', 'SELECT INBOX', 'EXAMINE INBOX', 'LIST "" *', 'LSUB "" %', 'STATUS INBOX (MESSAGES RECENT UNSEEN)', 'UID FETCH 1:* BODY[]',
    'FETCH 1:* (UID FLAGS BODY[HEADER.FIELDS (Subject X)]<0.10> ENVELOPE BODYSTRUCTURE)', 'STORE 1:* +FLAGS (\\Seen k)', 'STORE 1 FLAGS.SILENT (x)',
    'SEARCH OR (TEXT x) (NOT SEEN) SENTSINCE 1-Feb-2020', 'UID SEARCH CHARSET UTF-8 BODY {1+}\r\nx', 'COPY 1:3 Sent', 'UID MOVE 1 Trash', 'EXPUNGE',
    'UID EXPUNGE 1:5', 'CREATE a/b', 'DELETE a/b', 'RENAME a c', 'SUBSCRIBE x', 'UNSUBSCRIBE x', 'APPEND INBOX {10}\r\n0123456789', 'IDLE\r\nDONE',
    b'APPEND INBOX (\\Seen) "01-Feb-2020 00:00:00 +0000" {%d+}\r\n%s' % (len(MESSAGE), MESSAGE), 'ID ("name" "x")', 'ENABLE X', 'NAMESPACE', 'CLOSE',
    'UNSELECT', 'CHECK', 'SELECT "#at/1s/INBOX"', 'LIST "" "#at/1s/*"', 'CAPABILITY', 'AUTHENTICATE PLAIN\r\nAAAA', 'LOGIN a b', 'LOGOUT')]


def spoiled(rng, command):
    b = bytearray(command)
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2, 5])):
        at, how = rng.randrange(len(b) + 1), rng.randrange(5)
        if how == 0:
            b[at:at] = bytes([rng.choice(b'(){}"\\*%&[]<>:, \r\n\0\xff+0123')])
        elif how == 1:
            del b[at:at + rng.randrange(1, 5)]
        elif how == 2 and at < len(b):
            b[at] = rng.randrange(256)
        elif how == 3:
            b[at:at] = b[:rng.randrange(len(b) + 1)]
        else:
            b[at:at] = str(rng.choice([0, 1, 2**31, 2**32, 2**63, 2**64, -1])).encode()
    return bytes(b)


@pytest.mark.parametrize('seed', range(40))
def test_garbage(node, seed):
    rng = random.Random(seed)
    data = b''.join(b't%d %s\r\n' % (i, spoiled(rng, rng.choice(COMMANDS))) for i in range(rng.randrange(1, 60)))
    with login(node) as m:
        m.sock.settimeout(0.2)
        try:
            while data:
                n = rng.choice([1, 10, 1000, 100000])
                m.send(data[:n])
                data = data[n:]
            while m.sock.recv(65536):
                pass
        except OSError:
            pass
    with login(node, node.other) as m:
        m.ok('SELECT INBOX')
        m.ok('NOOP')


def test_flood_without_reading(node):
    with folder(node) as (m, name), login(node) as other:
        for i in range(100):
            m.ok(f'CREATE {name}/a-folder-with-a-long-name-{i:090}')
        m.sock.settimeout(1)
        before = resident(node)
        try:
            for _ in range(100):
                m.send(b'x LIST "" *\r\n' * 1000)
        except OSError:
            pass
        assert quickest(lambda: other.ok('NOOP'), 20) < 1
        assert resident(node) - before < 20000


def resident(node):
    with open(f'/proc/{node.process.pid}/status') as f:
        return int(next(line for line in f if line.startswith('VmRSS')).split()[1])


def outer_address():
    """One of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(('192.0.2.1', 9))
        except OSError:
            pytest.skip('this machine has no address beside loopback')
        return s.getsockname()[0]


def test_sessions_of_one_user(tmp_path):
    outer = outer_address()
    with PopulatedNode(tmp_path, login_plaintext='always', listen_imap=f'{outer}:0,127.0.0.1:0', imap_connections_user=3) as n:
        ports = [a.rpartition(':') for a in n.ports['listen.imap'].split(',')]
        far, near = [(host, int(port)) for host, _, port in ports]
        sessions = [Imap(far, n.user) for _ in range(3)]
        with Imap(far) as m:
            def refused():  # no wrong password: it is answered at once, and may be tried again
                m.no(f'LOGIN {n.user} "{PASSWORD}"', 'LIMIT')
                m.no('AUTHENTICATE PLAIN ' + base64.b64encode(f'\0{n.user}\0{PASSWORD}'.encode()).decode(), 'LIMIT')

            assert quickest(refused) < 1.5
            m.bad('SELECT INBOX')
            m.ok(f'LOGIN {n.other} "{PASSWORD}"')
        with Imap(near, n.user), Imap(near, n.user), Imap(near, n.user), Imap(near, n.user):
            pass
        sessions.pop().close()
        sessions.pop().ok('LOGOUT')
        with Imap(far) as m, Imap(far) as other:
            wait_until(lambda: m.ask(f'LOGIN {n.user} "{PASSWORD}"').status == 'OK')
            wait_until(lambda: other.ask(f'LOGIN {n.user} "{PASSWORD}"').status == 'OK')


def test_strangers_of_one_address(tmp_path):
    """They cannot take all places: a tenth, until they log in."""
    outer = outer_address()
    with PopulatedNode(tmp_path, login_plaintext='always', listen_imap=f'{outer}:0,127.0.0.1:0', imap_connections=200) as n:
        far, near = [(a.rpartition(':')[0], int(a.rpartition(':')[2])) for a in n.ports['listen.imap'].split(',')]
        silent = [Imap(far) for _ in range(20)]
        for _ in range(3):
            with Imap(far) as m:
                assert m.greeting == b'* BYE Too many connections, try again later'
        assert f' conns=20 strangers={outer}\n' in n.log_text()
        with contextlib.ExitStack() as stack:
            for _ in range(25):
                stack.enter_context(Imap(near))
        silent[0].ok(f'LOGIN {n.user} "{PASSWORD}"')  # is none any more
        with Imap(far) as m:
            assert m.greeting.startswith(b'* OK')
            with Imap(far) as more:
                assert more.greeting.startswith(b'* BYE')
        silent[1].close()
        wait_until(lambda: Imap(far).greeting.startswith(b'* OK'))
        silent[0].ok('UNAUTHENTICATE')
        silent[0].ok(f'LOGIN {n.user} "{PASSWORD}"')
        for m in silent:
            m.close()
        wait_until(lambda: not n.perdura('who'))
        again = [Imap(far) for _ in range(20)]
        assert all(m.greeting.startswith(b'* OK') for m in again)


def test_plaintext_never(tmp_path):
    with PopulatedNode(tmp_path, login_plaintext='never') as n, connect(n) as m:
        words = m.ok('CAPABILITY').lines('CAPABILITY')[0].split()
        assert b'LOGINDISABLED' in words and [w for w in words if w.startswith(b'AUTH=')] == [b'AUTH=SCRAM-SHA-256', b'AUTH=SCRAM-SHA-1']
        m.no(f'LOGIN {n.user} "{PASSWORD}"', 'PRIVACYREQUIRED')
        m.no('AUTHENTICATE PLAIN', 'PRIVACYREQUIRED')
        m.no('AUTHENTICATE PLAIN AAAA', 'PRIVACYREQUIRED')


def test_history_knows_the_client(node):
    with folder(node) as (m, name), login(node) as other:
        m.ok('ID ("name" "Thunder bird" "version" "128.1" "vendor" "x")')
        m.append(name, mail())
        other.ok('ID ("name" "' + 'n' * 500 + '")')
        other.append(name, mail())
        text = node.perdura('history', node.user)
        assert 'imap Thunder bird 128.1' in text and 'imap ' + 'n' * 50 in text and 'n' * 61 not in text


def test_shutdown_says_bye(tmp_path):
    with PopulatedNode(tmp_path) as n:
        sessions = [connect(n), login(n), login(n, select='INBOX'), login(n, select='INBOX')]
        sessions[3].start('IDLE')
        sessions[3].response()
        assert n.stop() == 0
        for m in sessions:
            assert m.ends().startswith(b'* BYE')
            with pytest.raises((Closed, ConnectionError)):
                m.line()
            m.close()
