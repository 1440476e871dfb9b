"""who and kick: which sessions are open, and how an administrator ends them."""
import json
import time

import pytest
from imap_client import Closed, connect, login
from lmtp_client import Lmtp
from node import wait_until


def who(node):
    return {s['session']: s for s in map(json.loads, node.perdura('--json', 'who').splitlines())}


def mine(node, sock):
    host, port = sock.getsockname()
    found = [s for s in who(node).values() if s['address'] == f'{host}:{port}']
    assert len(found) == 1
    return found[0]


def gone(node, session):
    return wait_until(lambda: session not in who(node))


def test_what_is_shown(node):
    with connect(node) as m:
        me = mine(node, m.sock)
        assert (me['account'], me['protocol'], me['tls'], me['folder'], me['client']) == ('', 'imap', '', '', '')
        m.ok('ID ("name" "Some Client" "version" "1.2")')
        m.ok(f'LOGIN {node.user} "correct horse"')
        m.ok('CREATE "Two words"')
        m.ok('SELECT "Two words"')
        me = mine(node, m.sock)
        assert (me['account'], me['folder'], me['client']) == (node.user, 'Two words', 'Some Client 1.2')
        assert me['idle_s'] < 30
        line = [l for l in node.perdura('who').splitlines() if l.startswith(str(me['session']))][0]
        assert node.user in line and line.endswith('Two words  Some Client 1.2')
        m.ok('UNSELECT')
        assert mine(node, m.sock)['folder'] == ''
        m.ok('LOGOUT')
    assert gone(node, me['session'])


def test_idle_time(node):
    with login(node) as m:
        time.sleep(2.1)
        assert 2 <= mine(node, m.sock)['idle_s'] < 60

        def idle():
            m.ok('NOOP')
            return mine(node, m.sock)['idle_s']
        assert min(idle() for _ in range(5)) < 2


def test_kick_session(node):
    with login(node) as one, login(node) as two:
        session = mine(node, one.sock)['session']
        one.start('IDLE')
        assert one.response().startswith(b'+')
        assert node.perdura('kick', session) == f'{session}: 1 session ended\n'
        assert one.response() == b'* BYE Ended by an administrator'
        with pytest.raises(Closed):
            one.response()
        two.ok('NOOP')
        assert gone(node, session)
        assert node.run('kick', session).returncode == 1


def test_kick_account(node):
    with login(node, node.other) as one, login(node, node.other) as two, login(node) as third, connect(node) as stranger:
        assert node.json('kick', node.other.upper()) == {'ended': 2}
        for m in (one, two):
            assert m.response().startswith(b'* BYE')
        third.ok('NOOP')
        stranger.ok('NOOP')


def test_kick_lmtp(node):
    with Lmtp(node.lmtp) as m:
        m.envelope(node.user)
        node.perdura('kick', mine(node, m.sock)['session'])
        assert m.reply() == '421 4.3.2 Ended by an administrator'


def test_kick_nobody(node):
    for word in ('nobody@example.org', '99', '0', 'no address at all'):
        out = node.run('kick', word)
        assert out.returncode == 1 and len(out.stderr.splitlines()) == 1, word
