"""Logins by a client's certificate: AUTHENTICATE EXTERNAL."""
import base64
import re
import ssl
import time

import pytest
from certificates import Authority
from lmtp_client import Lmtp
from node import PASSWORD, PopulatedNode
from test_tls_1_imap import TlsImap, plain, refused, start_tls


@pytest.fixture(scope='module')
def people(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp('people'))


@pytest.fixture(scope='module')
def revoked(people):
    return people.make('revoked', 'ada@example.org', alt='email')


@pytest.fixture(scope='module')
def settings(ca, people, revoked):
    cert, key = ca.make('mail', 'localhost')
    return {'listen_imaps': '127.0.0.1:0', 'tls_cert': cert, 'tls_key': key, 'tls_client_ca': people.revoke(revoked[0]), 'login_plaintext': 'never'}


@pytest.fixture(scope='module')
def node(tmp_path_factory, settings):
    with PopulatedNode(tmp_path_factory.mktemp('node'), **settings) as n:
        yield n


def shows(ca, pair=None, version=None):
    context = ca.client()
    if pair:
        context.load_cert_chain(*pair)
    if version:
        context.maximum_version = version
    return context


def external(m, act_as=''):
    return m.ask(f'AUTHENTICATE EXTERNAL {base64.b64encode(act_as.encode()).decode() or "="}')


def offers(m):
    return 'AUTH=EXTERNAL' in m.ok('CAPABILITY').lines('CAPABILITY')[0].decode().split()


CASES = [
    # names, kind, common name, asks to be, account or None
    (['ada@example.org'], 'email', None, '', 'ada@example.org'),
    (['ada@example.org'], 'email', None, 'ada@example.org', 'ada@example.org'),
    (['ada@example.org'], 'email', None, 'ADA', 'ada@example.org'),
    (['ada@example.org'], 'email', None, 'grace@example.org', None),
    (['ada@example.org', 'grace@example.org'], 'email', None, '', 'ada@example.org'),
    (['ada@example.org', 'grace@example.org'], 'email', None, 'grace@example.org', 'grace@example.org'),
    (['nobody@example.org'], 'email', None, '', None),
    (['ada@example.org'], 'email', 'grace@example.org', 'grace@example.org', None),
    (['grace@example.org'], None, None, '', 'grace@example.org'),
    (['mail.example.org'], 'DNS', 'ada@example.org', '', 'ada@example.org'),
    (['mail.example.org'], 'DNS', None, 'ada@example.org', None),
    (['a' * 1100 + '@example.org'], 'email', 'ada@example.org', '', 'none'),
]


@pytest.mark.parametrize('names, alt, cn, act_as, account', CASES)
def test_names(node, ca, people, names, alt, cn, act_as, account):
    pair = people.make('client', *names, alt=alt, cn=cn)
    with TlsImap(node, shows(ca, pair)) as m:
        assert offers(m) == (account != 'none')
        if account == 'none':
            return
        answer = external(m, act_as)
        if not account:
            assert (answer.status, answer.code()) == ('NO', 'AUTHENTICATIONFAILED')
            return
        assert answer.status == 'OK'
        m.ok('SELECT INBOX')
    assert f'user="{account}" result=ok' in node.log_text()


@pytest.mark.parametrize('version', [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_starttls_and_a_challenge(node, ca, people, version):
    with plain(node) as m:
        assert not offers(m)
        m.ok('STARTTLS')
        start_tls(m, shows(ca, people.make('client', 'ada@example.org', alt='email'), version))
        assert offers(m)
        m.send(b'x AUTHENTICATE EXTERNAL\r\n')
        assert m.line() == b'+ \r\n'
        m.send(b'\r\n')
        assert m.line().startswith(b'x OK ')


def test_resumed_session_brings_the_certificate_back(node, ca, people):
    context = shows(ca, people.make('client', 'ada@example.org', alt='email'))
    with TlsImap(node, context) as m:
        m.ok('NOOP')
        session = m.sock.session
    with TlsImap(node, context, session=session) as m:
        assert m.sock.session_reused
        assert external(m).status == 'OK'


def test_resumed_session_does_not_outlive_the_certificate(node, ca, people):
    context = shows(ca, people.make('brief', 'ada@example.org', alt='email', days=4 / 86400))
    with TlsImap(node, context) as m:
        assert offers(m)
        session = m.sock.session
        time.sleep(5)
    with TlsImap(node, context, session=session) as m:
        assert m.sock.session_reused
        assert not offers(m)
        assert external(m).status == 'NO'


def test_without_a_certificate(node, ca):
    with TlsImap(node, shows(ca)) as m:
        assert not offers(m)
        assert external(m).status == 'NO'
        m.ok(f'LOGIN {node.user} "{PASSWORD}"')


@pytest.mark.parametrize('kind, why', [('unknown', 'unable to get local issuer'), ('expired', 'has expired'), ('revoked', 'revoked'),
                                      ('server only', 'purpose')])
def test_one_that_does_not_hold(node, ca, people, revoked, kind, why, tmp_path):
    pair = {'unknown': lambda: Authority(tmp_path).make('client', 'ada@example.org', alt='email'),
            'expired': lambda: people.make('old', 'ada@example.org', alt='email', days=-1),
            'revoked': lambda: revoked,
            'server only': lambda: people.make('server', 'ada@example.org', alt='email', usage='serverAuth')}[kind]()
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError, EOFError)), TlsImap(node, shows(ca, pair)) as m:
        m.ok('NOOP')
    with TlsImap(node, shows(ca)) as m:
        m.ok('NOOP')
    assert re.search(f'tls-failed .*{why}', node.log_text())


def test_mail_servers_are_not_asked(node, ca, tmp_path):
    """They may have certificates of their own."""
    with Lmtp(node.lmtp) as m:
        m.send('LHLO me\r\n')
        m.lines()
        assert m.ask('STARTTLS').startswith('220 ')
        m.sock = shows(ca, Authority(tmp_path).make('mx', 'mx.example.net')).wrap_socket(m.sock, server_hostname='localhost')
        m.file = m.sock.makefile('rb')
        m.send('LHLO me\r\n')
        m.lines()
        assert m.deliver(b'Subject: x\r\n\r\nBody\r\n', node.user)[0].startswith('250 ')


def test_revoked_while_it_runs(tmp_path, ca, people, settings):
    """reload reads the list again; a ticket from before does not help."""
    mine = tmp_path / 'people.pem'
    mine.write_bytes(settings['tls_client_ca'].read_bytes())
    pair = people.make('later', 'ada@example.org', alt='email')
    context = shows(ca, pair)
    with PopulatedNode(tmp_path / 'node', **{**settings, 'tls_client_ca': mine}) as n:
        with TlsImap(n, context) as m:
            assert external(m).status == 'OK'
            session = m.sock.session
            mine.write_bytes(people.revoke(pair[0]).read_bytes())
            n.perdura('reload')
            m.ok('NOOP')
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError, EOFError)), TlsImap(n, context, session=session) as m:
            m.ok('NOOP')


def test_files_that_are_none(tmp_path, settings):
    (tmp_path / 'no.pem').write_text('nothing')
    for path, what in (('/nowhere.pem', 'No such file'), (tmp_path / 'no.pem', 'no certificate can be read')):
        assert what in refused(tmp_path, **{**settings, 'tls_client_ca': path})
