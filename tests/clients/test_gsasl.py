"""GNU SASL logs in by every mechanism; bound to the TLS session (tls-exporter) where the mechanism says so."""
import subprocess

import pytest
from certificates import Authority
from mail import need
from node import PASSWORD, PopulatedNode

pytestmark = need('gsasl')


@pytest.fixture(scope='module')
def node(tmp_path_factory):
    ca = Authority(tmp_path_factory.mktemp('ca'))
    cert, key = ca.make('mail', 'localhost')
    with PopulatedNode(tmp_path_factory.mktemp('node'), tls_cert=str(cert), tls_key=str(key)) as n:
        n.ca = ca
        yield n


@pytest.mark.parametrize('mechanism, options', [
    ('SCRAM-SHA-256-PLUS', []), ('SCRAM-SHA-1-PLUS', []), ('SCRAM-SHA-256', ['--no-starttls']), ('SCRAM-SHA-1', ['--no-starttls']),
    ('PLAIN', []), ('LOGIN', [])])
@pytest.mark.parametrize('password, fits', [(PASSWORD, True), ('wrong', False)])
def test_login(node, mechanism, options, password, fits):
    port = node.tcp('listen.imap')[1]
    r = subprocess.run(['gsasl', '--imap', '--connect', f'localhost:{port}', '--x509-ca-file', node.ca.cert, '-m', mechanism, '-a', node.user,
                        '-z', node.user, '-p', password, *options], input='x LOGOUT\n', text=True, capture_output=True, timeout=60)
    assert (r.returncode == 0) == fits, (r.stdout, r.stderr)
    assert ('Client authentication finished' in r.stderr) == fits
