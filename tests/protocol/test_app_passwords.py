"""Application passwords: made, listed, limited to a protocol, revoked; and sessions that end with what they logged in by."""
import json
import re
import threading
import time

import pytest
from auth_client import Auth, plain
from imap_client import Closed, connect, login
from node import PASSWORD, PopulatedNode, wait_until
from scram_client import Scram

SOON = 15  # seconds: without word of it a session that says nothing would stay for minutes


@pytest.fixture(scope='module')
def node(tmp_path_factory):
    with PopulatedNode(tmp_path_factory.mktemp('node'), listen_auth='127.0.0.1:0', log_audit='on', imap_unauthenticate='on') as n:
        yield n
    n.drop()


def add(node, name, *more, user=None):
    return node.json('account', 'app', 'add', user or node.user, name, *more)['password']


def listed(node, user=None):
    return [json.loads(l) for l in node.perdura('--json', 'account', 'app', 'list', user or node.user).splitlines()]


def remove(node, *names, user=None):
    node.perdura('account', 'app', 'remove', user or node.user, *names)


def may(node, secret, user=None):
    with connect(node) as m:
        return m.ask(f'LOGIN {user or node.user} "{secret}"').status == 'OK'


def until_bye(m):
    """The goodbye, and how long it took."""
    begun = time.monotonic()
    line = m.response()
    with pytest.raises(Closed):
        m.response()
    return line, time.monotonic() - begun


def test_life(node):
    out = node.perdura('account', 'app', 'add', node.user, "Ada's phone", '--protocol', 'imap')
    assert re.fullmatch(r'([a-z2-7]{4}-){6}[a-z2-7]{4}\n', out)
    phone, laptop = out.strip(), add(node, 'laptop')
    assert phone != laptop
    assert may(node, phone) and may(node, laptop) and may(node, PASSWORD)
    assert may(node, phone.upper().replace('-', ' ')) and may(node, laptop.replace('-', ''))
    assert not may(node, phone, node.other)
    shown = listed(node)
    assert [(a['name'], a['protocols']) for a in shown] == [("Ada's phone", ['imap']), ('laptop', [])]
    assert all(re.match('20..-', a['created']) for a in shown)
    plainly = node.perdura('account', 'app', 'list', node.user).splitlines()
    assert re.fullmatch("Ada's phone  since 20.*Z  imap", plainly[0]) and plainly[1].endswith('  all')
    assert listed(node, node.other) == []
    remove(node, "Ada's phone")
    assert not may(node, phone) and may(node, laptop)
    assert [a['name'] for a in listed(node)] == ['laptop']
    again = add(node, "Ada's phone")
    assert may(node, again) and not may(node, phone)
    remove(node, "Ada's phone", 'laptop')
    assert not may(node, laptop) and may(node, PASSWORD)


def test_protocols(node):
    secrets = {p: add(node, f'for:{p}', *(['--protocol', p] if p else [])) for p in ('imap', 'smtp', 'imap,smtp', '')}
    with Auth(node.tcp('listen.auth')) as a:
        for p, secret in secrets.items():
            assert may(node, secret) == (p != 'smtp'), p
            assert (a.login(node.user, secret)[0] == 'OK') == (p != 'imap'), p
        # a service of another kind
        for n, p in enumerate(secrets, 100):
            a.send(f'AUTH\t{n}\tPLAIN\tservice=sieve\tresp={plain(node.user, secrets[p])}\n')
            assert (a.reply()[0] == 'OK') == (p == ''), p
    remove(node, *[f'for:{p}' for p in secrets])


def test_authenticate(node):
    """Every mechanism that sends the password; SCRAM knows the account's own only."""
    secret = add(node, 'mutt')
    with connect(node) as m:
        m.ok('AUTHENTICATE PLAIN ' + plain(node.user, secret))
        m.ok('SELECT INBOX')
    with Auth(node.tcp('listen.auth')) as a:
        assert a.login(node.user, secret)[0] == 'OK'
    remove(node, 'mutt')


def test_log_says_which(node):
    secret = add(node, 'the "kitchen"', '--protocol', 'smtp')
    assert not may(node, secret)
    with Auth(node.tcp('listen.auth')) as a:
        a.login(node.user, secret)
    name = r'app="the \\x22kitchen\\x22"'
    assert re.search(rf'login-failed proto=imap .* user="{node.user}" {name} result=denied\n', node.log_text())
    assert re.search(rf'login proto=auth .* service="smtp" .* user="{node.user}" {name} result=ok\n', node.log_text())
    assert secret not in node.log_text()
    remove(node, 'the "kitchen"')
    said = node.perdura('history')
    assert re.search(rf'changed application passwords: for {node.user}, added the "kitchen"', said)
    assert re.search(rf'changed application passwords: for {node.user}, ended the "kitchen"', said)
    wait_until(lambda: re.search(rf'audit .*did="changed application passwords: for {node.user}, ended the', node.log_text()))


@pytest.mark.parametrize('words', [
    ('add', 'nobody@example.org', 'x'), ('add', 'USER', ''), ('add', 'USER', ' x'), ('add', 'USER', 'x' * 65), ('add', 'USER', 'a\nb'),
    ('add', 'USER', 'x', '--protocol', 'pop3'), ('add', 'USER', 'x', '--protocol', 'imap,,smtp'), ('remove', 'USER', 'never was'),
    ('remove', 'USER', 'x' * 65), ('remove', 'nobody@example.org', 'x'), ('list', 'nobody@example.org')])
def test_refusals(node, words):
    r = node.run('account', 'app', *[node.user if w == 'USER' else w for w in words])
    assert r.returncode == 1 and r.stdout == '' and len(r.stderr.splitlines()) == 1, r


@pytest.mark.parametrize('words', [('add',), ('add', 'USER'), ('add', 'USER', 'a', 'b'), ('list',), ('remove', 'USER')])
def test_wrong_usage(node, words):
    assert node.run('account', 'app', *words).returncode == 2


def test_names_are_taken_once_and_limited(node):
    user, = node.add('many@example.org')
    for i in range(20):
        add(node, f'p{i}', user=user)
    r = node.run('account', 'app', 'add', user, 'one more')
    assert r.returncode == 1 and '20 application passwords' in r.stderr
    remove(node, 'p7', user=user)
    r = node.run('account', 'app', 'add', user, 'p8')
    assert r.returncode == 1 and 'already' in r.stderr
    assert may(node, add(node, 'one more', user=user), user)
    assert len(listed(node, user)) == 20


def test_revoked_while_in_use(node):
    phone, laptop = add(node, 'phone'), add(node, 'laptop')
    with connect(node) as idle, connect(node) as quiet, connect(node) as other, login(node) as own:
        for m, secret in ((idle, phone), (quiet, phone), (other, laptop)):
            m.ok(f'LOGIN {node.user} {secret}')
            m.ok('SELECT INBOX')
        idle.start('IDLE')
        assert idle.response().startswith(b'+')
        remove(node, 'phone')
        for m in (idle, quiet):
            line, took = until_bye(m)
            assert line == b'* BYE This application password was revoked' and took < SOON
        other.ok('NOOP')
        own.ok('NOOP')
    remove(node, 'laptop')


@pytest.mark.parametrize('what', ['password', 'account'])
def test_no_login_slips_through(node, what):
    """Sessions that begin while their login ends are found, or refused."""
    for i in range(5):
        user, = node.add(f'{what}{i}@example.org')
        secret, sessions, over = add(node, 'phone', user=user), [], threading.Event()

        def log_in():
            while not over.is_set():
                m = connect(node).__enter__()
                sessions.append(m)
                try:
                    if m.ask(f'LOGIN {user} {secret}').status != 'OK':
                        return
                except (Closed, OSError):
                    return

        threads = [threading.Thread(target=log_in) for _ in range(8)]
        for t in threads:
            t.start()
        wait_until(lambda: len(sessions) > 50)
        if what == 'account':
            node.perdura('account', 'remove', user)
        else:
            remove(node, 'phone', user=user)
        for t in threads:
            t.join()
        over.set()
        left = [s for s in map(json.loads, node.perdura('--json', 'who').splitlines()) if s['account'] == user]
        assert left == [] and len(sessions) > 8
        for m in sessions:
            m.close()


def test_account_removed_between_proof_and_login(node):
    """SCRAM waits for the client's last word: what ended meanwhile has ended."""
    user, = node.add('meanwhile@example.org')
    with connect(node) as m:
        scram = Scram(user, PASSWORD)
        tag = m.start(f'AUTHENTICATE SCRAM-SHA-256 {scram.first()}')
        m.send(scram.final(m.response()[2:]).encode() + b'\r\n')
        assert m.response() == b'+ ' + scram.expected.encode()
        node.perdura('account', 'remove', user)
        time.sleep(0.5)
        m.send(b'\r\n')
        answer = m.wait(tag)
        assert answer.status == 'NO' and answer.code() == 'AUTHENTICATIONFAILED', answer
        m.bad('SELECT INBOX')
        m.ok(f'LOGIN {node.user} "{PASSWORD}"')


def test_unauthenticated_sessions_are_nobodys(node):
    """Who has left the account is not ended with it."""
    secret = add(node, 'left')
    with connect(node) as m:
        m.ok(f'LOGIN {node.user} {secret}')
        m.ok('UNAUTHENTICATE')
        m.ok(f'LOGIN {node.user} "{PASSWORD}"')
        remove(node, 'left')
        time.sleep(0.5)
        m.ok('NOOP')


def test_removed_account(node):
    """Its sessions end; when it is restored, its password counts and its application passwords do not."""
    user, = node.add('gone@example.org')
    secret = add(node, 'phone', user=user)
    with connect(node) as own, connect(node) as app, login(node) as other:
        own.ok(f'LOGIN {user} "{PASSWORD}"')
        app.ok(f'LOGIN {user} {secret}')
        own.start('IDLE')
        assert own.response().startswith(b'+')
        node.perdura('snapshot', 'create', 'before-gone')
        node.perdura('account', 'remove', user)
        for m in (own, app):
            line, took = until_bye(m)
            assert line == b'* BYE This account was removed' and took < SOON
        other.ok('NOOP')
    assert not may(node, secret, user)
    node.perdura('restore', user, '--at', 'before-gone', '--yes')
    assert may(node, PASSWORD, user) and not may(node, secret, user)
    assert listed(node, user) == []
    assert may(node, add(node, 'phone', user=user), user)


def test_nothing_revives_a_revoked_one(node):
    user, = node.add('past@example.org')
    secret = add(node, 'phone', user=user)
    node.perdura('snapshot', 'create', 'with-phone')
    remove(node, 'phone', user=user)
    for words in (('restore', user, '--at', 'with-phone'), ('restore', user, '--at', 'with-phone', '--exact'),
                  ('restore', '--all', '--at', 'with-phone'), ('undo', user, '--since', 'with-phone', '--until', '0s')):
        r = node.run(*words, '--yes')
        assert r.returncode == 0 or 'nothing was done' in r.stderr, (words, r)
        assert not may(node, secret, user), words
        assert listed(node, user) == [], words


def test_they_are_there_after_a_crash(node):
    secret = add(node, 'crash')
    node.kill()
    node.start()
    assert may(node, secret)
    remove(node, 'crash')
    node.kill()
    node.start()
    assert not may(node, secret)
    assert node.run('check').returncode == 0


def test_system_log_of_before(node):
    """One that was made before there were application passwords gets their collection at the start."""
    user, = node.add('early@example.org')
    node.stop()
    for table in ('live', 'past', 'names'):
        node.sql(f'DELETE FROM {table} WHERE account = 0 AND collection = 7')
    node.sql('DELETE FROM collection WHERE account = 0 AND id = 7')
    node.sql('UPDATE head SET next_collection = 7 WHERE account = 0')
    node.start()
    assert may(node, add(node, 'phone', user=user), user)
    assert node.run('check').returncode == 0
