"""The log: one line for each event, rotated by SIGHUP, and never a password."""
import base64
import imaplib
import os
import re
import signal

import pytest
from lmtp_client import Lmtp, message
from node import PASSWORD, PATIENCE, wait_until

LINE = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn|info|debug) [a-z-]+( [a-z-]+=("([^"\\]|\\x[0-9a-f]{2})*"|\S*))*')


def try_login(node, how):
    m = imaplib.IMAP4(*node.tcp('listen.imap'), timeout=PATIENCE)
    try:
        how(m)
    except imaplib.IMAP4.error:
        pass
    m.shutdown()


def test_lines(fresh):
    """At the most talkative level, whatever is done with passwords, right, wrong or malformed."""
    fresh.settings['log.level'] = 'debug'
    fresh.start()
    user, wrong, new = 'ada@example.org', 'wrOng-secret', 'nEw secret "quoted"'
    fresh.add(user)
    with fresh.imap(user) as m:
        m.select()
        m.noop()
    quoted = new.replace('"', '\\"')
    plain = base64.b64encode(f'\0{user}\0{wrong}'.encode()).decode()
    try_login(fresh, lambda m: m.login(user, wrong))
    try_login(fresh, lambda m: m.authenticate('PLAIN', lambda _: f'\0{user}\0{PASSWORD}'.encode()))
    try_login(fresh, lambda m: m._simple_command('AUTHENTICATE', 'PLAIN', plain))
    try_login(fresh, lambda m: m._simple_command('LOGIN', user, f'{wrong}', 'too', 'many'))
    try_login(fresh, lambda m: m.send(f'x LOGINN {user} {wrong}\r\n'.encode()))
    assert fresh.run('account', 'password', user, stdin=new + '\n').returncode == 0
    try_login(fresh, lambda m: m._simple_command('LOGIN', user, f'"{quoted}"'))
    assert fresh.run('account', 'password', 'nobody@example.org', stdin=wrong + '\n').returncode == 1
    Lmtp(fresh.lmtp).deliver(message('s3cret-subject', b'sEcret body\r\n'), user)
    fresh.stop()
    text = fresh.log_text()
    for secret in (PASSWORD, wrong, new, plain, 's3cret', 'sEcret'):
        for form in (secret, base64.b64encode(secret.encode()).decode()[:12]):
            assert form.lower() not in text.lower(), form
    for line in text.splitlines():
        assert LINE.fullmatch(line), line
    for event in ('start', 'login', 'login-failed', 'imap-command', 'deliver', 'admin', 'stop'):
        assert f' {event} ' in text


@pytest.mark.parametrize('how', ['signal', 'command'])
def test_rotation(fresh, how):
    fresh.settings['log.file'] = 'perdura.log'
    fresh.start()
    log, old = fresh.data / 'perdura.log', fresh.data / 'perdura.log.1'
    fresh.perdura('account', 'list')
    assert ' admin ' in log.read_text() and log.stat().st_mode & 0o777 == 0o640
    os.rename(log, old)
    fresh.perdura('account', 'list')
    before = old.read_text()
    assert before.count(' admin ') == 2
    if how == 'signal':
        fresh.process.send_signal(signal.SIGHUP)
    else:
        fresh.perdura('reload')
    wait_until(log.exists)
    fresh.perdura('account', 'list')
    assert 'verb="account list"' in log.read_text()
    assert 'verb="account list"' not in old.read_text()[len(before):]
