"""The real Postfix asks the auth socket: submission with swaks. Needs root, Postfix and the script that sets one up."""
import os
import pathlib
import shutil
import subprocess
import threading

import pytest
from node import PASSWORD, PATIENCE, ROOT, PopulatedNode

STACK = next((p for d in ROOT.parents if (p := d / 'shared/stack/postfix').exists()), None)
if not STACK or os.geteuid() or not shutil.which('postfix') or not shutil.which('swaks'):
    pytest.skip('wants root, postfix, swaks and ../shared/stack/postfix', allow_module_level=True)


def stack(verb, folder, **more):
    out = subprocess.run([STACK, verb, folder], capture_output=True, text=True, timeout=120, env={**os.environ, **more})
    assert out.returncode == 0, out
    return dict(line.split('=', 1) for line in out.stdout.splitlines() if '=' in line)


@pytest.fixture(scope='module')
def node(tmp_path_factory):
    with PopulatedNode(tmp_path_factory.mktemp('node'), listen_auth='127.0.0.1:0') as n:
        yield n


@pytest.fixture(scope='module')
def submission(node, tmp_path_factory):
    folder = pathlib.Path('/tmp') / ('perdura-postfix.%d' % os.getpid())
    env = stack('start', folder, AUTH='%s:%d' % node.tcp('listen.auth'), LMTP='%s:%d' % node.lmtp, DOMAIN='example.org')
    port = env['SUBMISSION_PORT']
    yield port
    stack('stop', folder)
    shutil.rmtree(folder)


def send(port, user, password, mechanism='PLAIN', timeout=PATIENCE):
    """swaks' exit status and what was said."""
    out = subprocess.run(['swaks', '--server', f'127.0.0.1:{port}', '--auth', mechanism, '--auth-user', user, '--auth-password',
                          password, '--from', 'ada@example.org', '--to', 'grace@example.org', '--timeout', '60',
                          '--header', 'Subject: by submission'], capture_output=True, text=True, timeout=timeout)
    return out.returncode, out.stdout


def test_good_and_bad(node, submission):
    for mechanism in ('PLAIN', 'LOGIN'):
        status, said = send(submission, node.user, PASSWORD, mechanism)
        assert status == 0 and '235 2.7.0' in said, said
    status, said = send(submission, node.user, 'wrong')
    assert status == 28 and '535 5.7.8' in said, said
    assert 'login-failed proto=auth ' in node.log_text() and 'service="smtp" peer=127.0.0.1' in node.log_text()


def test_many_at_once(node, submission):
    results = []
    threads = [threading.Thread(target=lambda: results.append(send(submission, node.user, PASSWORD)[0])) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == [0] * 20


def test_store_is_down(node, submission):
    node.sql('ALTER TABLE names RENAME TO away')
    try:
        status, said = send(submission, node.user, PASSWORD)
        assert status == 28 and ' 454 4.7.0' in said, said
    finally:
        node.sql('ALTER TABLE away RENAME TO names')
    assert send(submission, node.user, PASSWORD)[0] == 0


def test_node_restarts(node, submission):
    """Each process of Postfix finds once that its connection to the node is gone, says so with 454, and makes a new one."""
    address = node.tcp('listen.auth')
    node.stop()
    status, said = send(submission, node.user, PASSWORD)
    assert status != 0 and '535 ' not in said, said
    node.settings['listen.auth'] = '%s:%d' % address
    node.start()
    for _ in range(40):
        status, said = send(submission, node.user, PASSWORD)
        if status == 0:
            break
        assert ' 454 4.7.0' in said, said
    assert status == 0
