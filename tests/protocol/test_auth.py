"""The auth socket: Dovecot's protocol, as Postfix speaks it."""
import base64
import re
import statistics
import threading
import time

import pytest
from auth_client import Auth, plain
from imap_client import connect
from node import PASSWORD, ROOT, STOP_TIMEOUT, PopulatedNode, quickest


@pytest.fixture(scope='module')
def node(tmp_path_factory):
    with PopulatedNode(tmp_path_factory.mktemp('node'), listen_auth='127.0.0.1:0,unix:run/auth?mode=0600') as n:
        n.auth_unix = next(a[5:] for a in n.ports['listen.auth'].split(',') if a.startswith('unix:'))
        yield n


def here(node, **more):
    return Auth(node.tcp('listen.auth'), **more)


def test_greeting(node):
    with here(node) as a, Auth(node.auth_unix) as b:
        for c in (a, b):
            lines = dict((l[0], l[1:]) for l in c.greeting)
            assert c.greeting[0] == ['VERSION', '1', '2'] and c.greeting[-1] == ['DONE']
            assert ['MECH', 'PLAIN', 'plaintext'] in c.greeting and ['MECH', 'LOGIN', 'plaintext'] in c.greeting
            assert re.fullmatch('[0-9a-f]{32}', lines['COOKIE'][0]) and lines['SPID'] == [str(node.process.pid)]
        assert [l for l in a.greeting if l[0] in ('CUID', 'COOKIE')] != [l for l in b.greeting if l[0] in ('CUID', 'COOKIE')]


def test_logins(node):
    with here(node) as a:
        assert a.login(node.user, PASSWORD) == ['OK', '1', f'user={node.user}']
        assert a.login('ADA', PASSWORD)[2] == f'user={node.user}'
        begun = time.monotonic()
        assert a.login(node.user, 'wrong') == ['FAIL', '3', f'user={node.user}']
        assert time.monotonic() - begun > 1.9
        assert a.login('nobody', 'wrong')[0] == 'FAIL'
        assert a.login(node.other, PASSWORD)[0] == 'OK'
    with Auth(node.auth_unix) as a:
        assert a.login(node.user, PASSWORD)[0] == 'OK'
        a.send('AUTH\t9\tPLAIN\tservice=smtp\tresp=' + plain(node.other, PASSWORD, act_as=node.user) + '\n')
        assert a.reply()[:2] == ['FAIL', '9']


def test_exchanges(node):
    with here(node) as a:
        n = a.start('PLAIN', 'secured', 'whatever=1', 'nologin')
        assert a.reply() == ['CONT', n, '']
        a.send(f'CONT\t{n}\t{plain(node.user, PASSWORD)}\n')
        assert a.reply() == ['OK', n, f'user={node.user}']
        n = a.start('login')
        assert a.reply() == ['CONT', n, base64.b64encode(b'Username:').decode()]
        a.send(f'CONT\t{n}\t{base64.b64encode(node.user.encode()).decode()}\n')
        assert a.reply() == ['CONT', n, base64.b64encode(b'Password:').decode()]
        a.send(f'CONT\t{n}\t{base64.b64encode(PASSWORD.encode()).decode()}\n')
        assert a.reply() == ['OK', n, f'user={node.user}']
        n = a.start('DIGEST-MD5')
        assert a.reply()[:2] == ['FAIL', n]
        n = a.start('PLAIN', 'resp=')
        assert a.reply()[:2] == ['FAIL', n]
        n = a.start('PLAIN', 'resp=?')
        assert a.reply()[:2] == ['FAIL', n]
        first, second = a.start('LOGIN'), a.start('PLAIN')
        assert {tuple(a.reply()[:2]), tuple(a.reply()[:2])} == {('CONT', first), ('CONT', second)}
        a.send(f'CANCEL\t{first}\nCONT\t{first}\tx\nCONT\t{second}\t{plain(node.user, PASSWORD)}\n')
        assert a.reply()[:2] == ['OK', second]


def test_protection(node):
    """login.plaintext is about the client of the mail server."""
    with here(node) as a:
        for there, answer in ((['rip=192.0.2.1'], 'FAIL'), (['rip=192.0.2.1', 'secured'], 'OK'), (['rip=127.0.0.1'], 'OK'),
                              (['rip=::1'], 'OK'), (['rip=192.0.2.1', 'secured=tls'], 'OK'), ([], 'OK'),
                              (['rip=192.0.2.1', 'transport=insecure'], 'FAIL'), (['rip=2001:db8::1', 'transport=TLS'], 'OK')):
            reply = a.login(node.user, PASSWORD, *there)
            assert reply[0] == answer, there
            if answer == 'FAIL':
                assert reply[2].startswith('reason=') and 'TLS' in reply[2]


@pytest.mark.parametrize('line', ['AUTH', 'AUTH\t', 'AUTH\tx\tPLAIN', 'AUTH\t4294967296\tPLAIN', 'AUTH\t-1\tPLAIN', 'AUTH\t1',
                                  'AUTH\t1\t', 'CONT', 'CONT\t\tx', 'VERSION\t2\t0', 'VERSION', 'x' * 9000,
                                  'AUTH\t1\tLOGIN\nAUTH\t1\tLOGIN'])
def test_nonsense_ends_it(node, line):
    with here(node) as a:
        a.send(line + '\n')
        last = a.reply()
        while last and last[0] == 'CONT':
            last = a.reply()
        assert last == []


def test_what_is_passed_over(node):
    with here(node) as a:
        a.send('\nNEW\tthing\nCPID\t\nCONT\t99\tabc\nCANCEL\t4\n\x01\x02\t\n')
        assert a.login(node.user, PASSWORD)[0] == 'OK'
    with here(node, greet=False) as a:
        a.send('AUTH\t1\tPLAIN\tresp=x\n')
        assert a.reply() == []


def test_many_at_once(node):
    """Refusals wait, others of the same connection do not; over a bound they are told to come again."""
    with here(node) as a:
        wrong = [a.start('PLAIN', f'rip=198.51.100.{i}', 'secured', 'resp=' + plain(f'user{i}', 'x')) for i in range(3)]
        right = a.start('PLAIN', 'resp=' + plain(node.user, PASSWORD))
        assert a.reply()[:2] == ['OK', right]  # before those, which wait for two seconds
        assert sorted(a.reply()[1] for _ in wrong) == wrong
    with here(node) as a:
        asked = [a.start('LOGIN') for _ in range(80)]
        replies = [a.reply() for _ in asked]
        assert [r[0] for r in replies].count('CONT') == 64
        assert all('temp' in r for r in replies if r[0] == 'FAIL')
        a.send('\n'.join(f'CANCEL\t{n}' for n in asked) + '\n')
        assert a.login(node.user, PASSWORD)[0] == 'OK'


def test_connections_in_parallel(node):
    users = node.many(12)  # each waits for the check of a password, which takes long on a busy machine
    answers = []

    def one(user):
        with here(node) as a:
            for i in range(5):
                answers.append(a.login(user, PASSWORD, 'rip=192.0.2.5', 'secured') == ['OK', str(i + 1), f'user={user}'])
    threads = [threading.Thread(target=one, args=(u,)) for u in users]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(answers) == 60 and all(answers)


def test_guesses_are_slowed(node):
    """A thousand wrong passwords of one address: few are looked at, and neither the user nor others wait for them."""
    with here(node) as a:
        assert a.login(node.postmaster, PASSWORD, 'rip=203.0.113.1', 'secured')[0] == 'OK'
    begun, answers, stop = time.monotonic(), [], threading.Event()

    def guess():
        while not stop.is_set() and len(answers) < 1000:
            with here(node) as a:
                for i in range(50):
                    a.start('PLAIN', 'rip=203.0.113.66', 'secured', 'resp=' + plain(node.postmaster, f'guess{i}'))
                for i in range(50):
                    r = a.reply()
                    answers.append('temp' if not r or 'temp' in r else r[0])
    threads = [threading.Thread(target=guess) for _ in range(4)]
    for t in threads:
        t.start()
    times = []
    with here(node) as a:
        while time.monotonic() - begun < 3 or (answers.count('temp') <= 100 and time.monotonic() - begun < 30):
            at = time.monotonic()
            assert a.login(node.postmaster, PASSWORD, 'rip=203.0.113.1', 'secured')[0] == 'OK'
            assert a.login(node.other, PASSWORD, 'rip=203.0.113.2', 'secured')[0] == 'OK'
            times.append(time.monotonic() - at)
            time.sleep(0.05)
    stop.set()
    for t in threads:
        t.join()
    assert statistics.median(times) < 1, times  # a single one may be long on a busy machine
    assert 'OK' not in answers and answers.count('FAIL') < 60 and answers.count('temp') > 100, answers
    assert re.search(r' login-failed proto=auth .* service="smtp" peer=203\.0\.113\.66 user="postmaster@example.org" '
                     'result=denied', node.log_text())


def test_fail2ban(node):
    """The filter finds who guessed, and nobody else by what a guesser calls himself."""
    text = (ROOT / 'deploy/fail2ban/perdura.conf').read_text()
    pattern = re.search('^failregex = (.*)$', text, re.M)[1]
    pattern = pattern.replace('<HOST>', r'(?P<host>(?:\d{1,3}\.){3}\d{1,3}|[0-9a-f:]*::[0-9a-f]+)')
    with here(node) as a:
        evil = 'x" login-failed proto=imap session=1 account=0 peer=198.51.100.250 user="y" result=denied'
        for rip in ('198.51.100.77', '2001:db8:77::1'):
            assert a.login(evil, 'x', f'rip={rip}', 'secured')[0] == 'FAIL'
    with connect(node) as m:
        m.no('LOGIN "peer=198.51.100.251 result=denied" x')
        port = m.sock.getsockname()[1]
    lines = [line for line in node.log_text().splitlines() if ' login-failed ' in line]
    found = {m['host'] for line in lines if (m := re.search(pattern, line))}
    assert {'198.51.100.77', '2001:db8:77::1', '127.0.0.1'} <= found
    assert not found & {'198.51.100.250', '198.51.100.251', '198.51.100.250 '}
    assert any(f'peer=127.0.0.1:{port} ' in line for line in lines)


def test_the_slowed_address_is_not_the_proxy(node):
    """Guesses through the mail server do not slow the machine it runs on."""
    def log_in():
        with connect(node) as m:
            m.ok(f'LOGIN {node.user} "{PASSWORD}"')
    assert quickest(log_in) < 2


def test_store_is_down(node):
    """Not known is not wrong: the answer is temporary, or none where Postfix would take it for a refusal."""
    with here(node) as a:
        assert a.login(node.user, PASSWORD)[0] == 'OK'
        node.sql('ALTER TABLE names RENAME TO away')
        try:
            asked = a.start('LOGIN')
            assert a.reply()[:2] == ['CONT', asked]
            reply = a.login(node.user, PASSWORD)
            assert reply[0] == 'FAIL' and 'temp' in reply and 'code=temp_fail' in reply, reply
            a.send(f'CANCEL\t{asked}\n')
            a.start('PLAIN', 'resp=' + plain(node.user, PASSWORD))
            assert a.reply() == []
        finally:
            node.sql('ALTER TABLE away RENAME TO names')
    with here(node) as a:
        assert a.login(node.user, PASSWORD)[0] == 'OK'


def test_stop_with_requests_under_way(tmp_path):
    with PopulatedNode(tmp_path, listen_auth='127.0.0.1:0') as n, here(n) as a:
        a.start('LOGIN')
        a.start('PLAIN', 'resp=' + plain('x', 'y'))
        assert a.reply()[0] == 'CONT'
        begun = time.monotonic()
        assert n.stop() == 0 and time.monotonic() - begun < STOP_TIMEOUT / 2
        assert a.reply() == []
