"""Logins that never send the password: SCRAM by IMAP and by the auth socket, with and without a TLS session to bind to."""
import base64
import contextlib
import time

import pytest
from auth_client import Auth
from imap_client import Imap, connect
from node import PASSWORD, PopulatedNode
from scram_client import Scram
from test_tls_1_imap import TlsImap

MECHANISMS = ['SCRAM-SHA-256', 'SCRAM-SHA-1']


@pytest.fixture(scope='module')
def node(tmp_path_factory, ca):
    cert, key = ca.make('mail', 'localhost')
    with PopulatedNode(tmp_path_factory.mktemp('node'), listen_imaps='127.0.0.1:0', listen_auth='127.0.0.1:0', tls_cert=str(cert),
                       tls_key=str(key), login_plaintext='never') as n:
        yield n


@contextlib.contextmanager
def tls(node, ca):
    with TlsImap(node, ca.client()) as m:
        yield m, m.sock.getpeercert(binary_form=True)


def begin(m, mechanism, first, initial=True):
    """Up to the server's challenge."""
    tag = next(m.tags)
    m.send(f'{tag} AUTHENTICATE {mechanism}{" " + first if initial else ""}\r\n'.encode())
    if not initial:
        assert m.line() == b'+ \r\n'
        m.send(first.encode() + b'\r\n')
    return tag, m.line().decode()


def log_in(m, mechanism, client, initial=True):
    tag, line = begin(m, mechanism, client.first(), initial)
    if not line.startswith('+ '):
        return line.split(' ', 1)[1]
    m.send(client.final(line[2:-2]).encode() + b'\r\n')
    line = m.line().decode()
    if line.startswith('+ '):
        assert line[2:-2] == client.expected  # the server knows the password too
        m.send(b'\r\n')
        line = m.line().decode()
    assert line.startswith(tag)
    return line.split(' ', 1)[1]


@pytest.mark.parametrize('mechanism', MECHANISMS)
@pytest.mark.parametrize('initial', [True, False])
def test_login(node, mechanism, initial):
    """Without TLS too, where other passwords are not taken."""
    with connect(node) as m:
        assert log_in(m, mechanism, Scram(node.user, PASSWORD, mechanism), initial).startswith('OK [CAPABILITY')
        m.ok('SELECT INBOX')


def test_names(node):
    with connect(node) as m:
        assert log_in(m, MECHANISMS[0], Scram(node.user.split('@')[0].upper(), PASSWORD)).startswith('OK')
    with connect(node) as m:
        assert log_in(m, MECHANISMS[0], Scram(node.user, PASSWORD, act_as=node.user)).startswith('OK')
    with connect(node) as m:
        assert log_in(m, MECHANISMS[0], Scram(node.user, PASSWORD, act_as=node.other)).startswith('NO [AUTHENTICATIONFAILED]')


@pytest.mark.parametrize('mechanism', MECHANISMS)
def test_bound_to_tls(node, ca, mechanism):
    with tls(node, ca) as (m, cert):
        words = m.ok('CAPABILITY').lines('CAPABILITY')[0].decode().split()
        assert [w for w in words if w.startswith('AUTH=')] == [
            'AUTH=SCRAM-SHA-256-PLUS', 'AUTH=SCRAM-SHA-256', 'AUTH=SCRAM-SHA-1-PLUS', 'AUTH=SCRAM-SHA-1', 'AUTH=PLAIN', 'AUTH=LOGIN']
        assert log_in(m, mechanism + '-PLUS', Scram(node.user, PASSWORD, mechanism, binding=cert)).startswith('OK')


def test_somebody_between(node, ca):
    """The client sees another certificate than ours, or was told that there is nothing to bind to."""
    with tls(node, ca) as (m, cert):
        assert log_in(m, 'SCRAM-SHA-256-PLUS', Scram(node.user, PASSWORD, binding=cert + b'x')).startswith('NO [AUTHENTICATIONFAILED]')
        assert log_in(m, 'SCRAM-SHA-256', Scram(node.user, PASSWORD, flag='y')).startswith('BAD')
        assert log_in(m, 'SCRAM-SHA-256', Scram(node.user, PASSWORD)).startswith('OK')
    with connect(node) as m:
        assert log_in(m, 'SCRAM-SHA-256-PLUS', Scram(node.user, PASSWORD, binding=cert)).startswith('NO [CANNOT]')
        assert log_in(m, 'SCRAM-SHA-256', Scram(node.user, PASSWORD, flag='y')).startswith('OK')


def test_wrong(node):
    with connect(node) as m:
        for user, password in ((node.user, 'wrong'), ('nobody@example.org', PASSWORD)):
            began = time.monotonic()
            assert log_in(m, MECHANISMS[0], Scram(user, password)).startswith('NO [AUTHENTICATIONFAILED]')
            assert time.monotonic() - began > 1.5


def test_unknown_users_look_like_others(node):
    with connect(node) as m:
        said = []
        for user in (node.user, 'nobody@example.org', 'nobody@example.org', 'none@example.org', 'no address at all'):
            tag, line = begin(m, 'SCRAM-SHA-256', Scram(user, 'x').first())
            m.send(b'*\r\n')
            assert m.line().startswith(tag.encode() + b' BAD')
            said.append(dict(f.split('=', 1) for f in base64.b64decode(line[2:]).decode().split(',')))
        assert {(len(s['r']), len(s['s']), s['i']) for s in said} == {(len(said[0]['r']), len(said[0]['s']), '4096')}
        assert said[1]['s'] == said[2]['s'] != said[3]['s']
        assert said[1]['r'] != said[2]['r']


def b64(text):
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize('first', ['n,,n=u', 'n,,', '', 'n,,n=u,r=', 'p=x,,n=u,r=a', 'n,,m=x,n=u,r=a', 'n,,n=a=,r=x', 'n,,n=u,r=' + 'x' * 300])
def test_bad_first_message(node, first):
    with connect(node) as m:
        tag, line = begin(m, MECHANISMS[0], b64(first) or '=')
        assert line.startswith(f'{tag} BAD'), line


@pytest.mark.parametrize('change', [lambda f: '', lambda f: 'c=biws', lambda f: f + ',x=y', lambda f: f.replace('p=', 'q='), lambda f: 'x' + f,
                                    lambda f: f[:-8], lambda f: f.replace('c=biws', 'c=!!')])
def test_bad_last_message(node, change):
    with connect(node) as m:
        client = Scram(node.user, PASSWORD)
        tag, line = begin(m, MECHANISMS[0], client.first())
        m.send(b64(change(base64.b64decode(client.final(line[2:-2])).decode())).encode() + b'\r\n')
        assert m.line().startswith(f'{tag} BAD'.encode())
        m.ok('NOOP')


def test_a_nonce_of_another_login(node):
    with connect(node) as m:
        one, other = Scram(node.user, PASSWORD), Scram(node.user, PASSWORD)
        tag, line = begin(m, MECHANISMS[0], one.first())
        final = one.final(line[2:-2])
        m.send(b'*\r\n')
        assert m.line().startswith(tag.encode() + b' BAD')
        tag, line = begin(m, MECHANISMS[0], other.first())
        m.send(final.encode() + b'\r\n')  # what was heard before is of no use
        assert m.line().startswith(f'{tag} NO [AUTHENTICATIONFAILED]'.encode())


def test_something_after_the_proof(node):
    with connect(node) as m:
        client = Scram(node.user, PASSWORD)
        tag, line = begin(m, MECHANISMS[0], client.first())
        m.send(client.final(line[2:-2]).encode() + b'\r\n')
        assert m.line().decode()[2:-2] == client.expected
        m.send(b'dA==\r\n')
        assert m.line().startswith(f'{tag} BAD'.encode())
        m.bad('SELECT INBOX')  # not logged in


@pytest.mark.parametrize('mechanism', MECHANISMS)
def test_auth_socket(node, mechanism):
    with Auth(node.tcp('listen.auth')) as a:
        assert ['MECH', mechanism, 'mutual-auth'] in a.greeting and not [l for l in a.greeting if l[-1].endswith('-PLUS')]
        for password, end in ((PASSWORD, 'OK'), ('wrong', 'FAIL')):
            client = Scram(node.user, password, mechanism)
            n = a.start(mechanism, 'resp=' + client.first())
            a.send(f'CONT\t{n}\t{client.final(a.reply()[2])}\n')
            reply = a.reply()
            if reply[0] == 'CONT':
                assert reply[2] == client.expected
                a.send(f'CONT\t{n}\t\n')
                reply = a.reply()
            assert reply == [end, n, f'user={node.user}']
        n = a.start(mechanism + '-PLUS')
        assert a.reply()[:2] == ['FAIL', n]


def test_not_offered(tmp_path):
    with PopulatedNode(tmp_path, login_scram='off', listen_auth='127.0.0.1:0') as n, Imap(n.tcp('listen.imap')) as m:
        words = m.ok('CAPABILITY').lines('CAPABILITY')[0].split()
        assert [w for w in words if w.startswith(b'AUTH=')] == [b'AUTH=PLAIN', b'AUTH=LOGIN']
        m.no('AUTHENTICATE SCRAM-SHA-256', 'CANNOT')
        with Auth(n.tcp('listen.auth')) as a:
            assert not [l for l in a.greeting if 'SCRAM' in ''.join(l)]
