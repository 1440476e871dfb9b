"""Every command, while a store fails once: at its first call, at its second, and so on until the command is done before. What is refused
has not happened, and is refused for that reason; the session goes on, and shows what is there."""
import base64
import pathlib
import re

import pytest
from imap_client import connect, login, mail
from node import PASSWORD, PopulatedNode
from scene import checks, noise
from test_imap_cut import ANYWHERE, SELECTED

MOST = 200  # calls of one command; more are of no use
# What a plan says, and whether what is refused may have happened all the same.
PLANS = [('meta', 'statement={}&mode=unavailable', False), ('meta', 'commit={}&mode=full', False), ('meta', 'commit={}&mode=unknown', True),
         ('meta', 'statement={}&mode=conflict', False), ('blob', 'fail=any&at={}', False)]
GREETED = ['LOGIN {user} "{PASSWORD}"', 'AUTHENTICATE PLAIN {plain}', 'CAPABILITY']
# Ended by a LOGOUT that nothing can fail, or no answer of theirs says what was done.
LEFT_OUT = {'LOGOUT', 'COMPRESS DEFLATE', 'STARTTLS', 'IDLE\r\nDONE'}


class Plans:
    def __init__(self, folder):
        self.file = {kind: folder / f'{kind}.plan' for kind in ('meta', 'blob')}

    def set(self, kind, text):
        new = self.file[kind].with_suffix('.new')
        new.write_text(text)
        new.rename(self.file[kind])

    def taken(self, kind):
        return pathlib.Path(f'{self.file[kind]}.taken')

    def clear(self, kind):
        """True: the failure came."""
        waits = self.file[kind].exists()
        self.file[kind].unlink(missing_ok=True)
        struck = not waits and not self.taken(kind).exists()
        self.set(kind, 'statement=0&mode=unavailable' if kind == 'meta' else 'fail=none')
        return struck


@pytest.fixture(scope='module')
def node(tmp_path_factory):
    folder = tmp_path_factory.mktemp('every')
    plans = Plans(folder)
    settings = {'meta_url': f'failing:sqlite:meta.db?plan={plans.file["meta"]}', 'blob_url': f'failing:file:blobs?plan={plans.file["blob"]}'}
    with PopulatedNode(folder, **settings) as n:
        n.plans = plans
        yield n
        assert n.stop() == 0
        n.start()
        checks(n)


class Account:
    """One of which much could be changed; a new one once something was."""
    made, before = 0, None

    def __init__(self, node):
        self.node = node
        self.renew()

    def renew(self):
        Account.made += 1
        self.user, = self.node.add(f'every{Account.made}@example.org')
        with login(self.node, self.user) as m:
            m.ok('CREATE Old/Deep')
            m.ok('SUBSCRIBE Old')
            m.ok(f'SETACL INBOX {self.node.other} lr')
            m.append('INBOX', mail('large', body=noise(70_000).decode()))
            m.append('INBOX', mail())
            m.append('INBOX', mail())
            m.ok('SELECT INBOX')
            m.ok('STORE 2 +FLAGS (\\Deleted \\Flagged)')
        self.change = self.now()
        Account.before = Account.before or self.picture()

    def now(self):
        return self.node.json('account', 'show', self.user)['change']

    def picture(self):
        """What a user sees."""
        with login(self.node, self.user, select='INBOX') as m:
            told = [m.ok(command).untagged for command in (
                'LIST "" * RETURN (SUBSCRIBED STATUS (MESSAGES UIDNEXT UNSEEN DELETED SIZE))', 'GETACL Old', 'GETACL INBOX', 'GETMETADATA "" /private')]
            return shown(m), str(told).replace(self.user, 'user')

    def is_as_before(self):
        return self.now() == self.change or self.picture() == self.before


def shown(m):
    return [(n, f['UID'], sorted(f['FLAGS'])) for n, f in m.fetch('1:* (UID FLAGS)')]


def session(account, state):
    if state == 'greeted':
        return connect(account.node)
    return login(account.node, account.user, **({'select': 'INBOX'} if state == 'selected' else {}))


def ask(m, account, command):
    if command in GREETED:
        plain = base64.b64encode(f'\0{account.user}\0{PASSWORD}'.encode()).decode()
        command = command.format(user=account.user, PASSWORD=PASSWORD, plain=plain)
    m.send('x ' + re.sub(r'{(\d+)}', r'{\1+}', command) + '\r\n')  # it does not wait to be asked for literals
    return m.wait('x')


def goes_on(m, account, command):
    """It shows what another session does."""
    m.ok('NOOP')
    if command.split()[0] not in ('CLOSE', 'UNSELECT'):
        with login(account.node, account.user, select='INBOX') as other:
            assert shown(m) == shown(other), command


def fails_at(account, state, command, plan, k, otherwise):
    """False: the command had ended before, and answered as it otherwise does."""
    kind, text, happens = plan
    plans = account.node.plans
    with session(account, state) as m:
        plans.set(kind, text.format(k))
        answer = ask(m, account, command)
        struck = plans.clear(kind)
        told = command, text.format(k), answer
        if state == 'selected':
            goes_on(m, account, command)
    if answer.status != 'OK':
        assert answer.status == otherwise or (struck and answer.code() == 'UNAVAILABLE'), told
        assert happens or 'FETCH' in command.split()[:2] or account.is_as_before(), told
    elif not struck:
        assert otherwise == 'OK', told
    if account.now() != account.change:
        account.renew()
    return struck


@pytest.mark.parametrize('plan', PLANS, ids=['statement', 'full', 'unknown', 'conflict', 'body'])
@pytest.mark.parametrize('state', ['greeted', 'user', 'selected'])
def test_a_store_fails_once(node, state, plan):
    account = Account(node)
    for command in {'greeted': GREETED, 'user': ANYWHERE, 'selected': SELECTED}[state]:
        if command in LEFT_OUT:
            continue
        with session(account, state) as m:
            otherwise = ask(m, account, command).status
        if account.now() != account.change:
            account.renew()
        k = 1
        while fails_at(account, state, command, plan, k, otherwise):
            k += 1
            assert k < MOST, command


def test_what_was_not_shown_stays_unread(node):
    """FETCH marks as read in one go; what it then cannot send is unread again."""
    account = Account(node)
    for plan in ('fail=read&at=1', 'fail=read&at=1&times=9&short=1'):
        with session(account, 'selected') as m:
            node.plans.set('blob', plan)
            sent = {n for n, f in m.no('FETCH 1:* (BODY[])').fetches() if 'BODY[]' in f}
            assert node.plans.clear('blob')
            assert len(sent) < 3 and set(m.search('UNSEEN')) == {1, 2, 3} - sent
