"""Two nodes on one database: what is done at one is heard of at the other, by a notice at once, by a look within a second when
notices are cut off. Where PERDURA_TEST_META names a MariaDB; each node talks to another database node, if there are several."""
import contextlib
import os
import random
import re
import threading
import time

import pytest
from imap_client import login
from lmtp_client import Lmtp, message
from node import PASSWORD, Node, PopulatedNode, wait_until

META = os.environ.get('PERDURA_TEST_META')
pytestmark = pytest.mark.skipif(not META, reason='PERDURA_TEST_META names no database that nodes could share')
ROUNDS = int(os.environ.get('PERDURA_ROUNDS', '40'))
# A busy machine is no reason to fail; what is measured is printed.
NOTICE, POLL = 15, 15


def turned(url):
    """The same database, beginning with the next of its nodes."""
    head, hosts, tail = re.fullmatch(r'(mariadb://[^@]*@)([^/]*)(/.*)', url).groups()
    first, *rest = hosts.split(',')
    return head + ','.join([*rest, first]) + tail


def neighbour(folder, node, name, **settings):
    """Another node on the first one's stores."""
    return Node(folder, node_name=name, meta_url=turned(node.settings['meta.url']), blob_url=node.settings['blob.url'], **settings)


def status(node):
    return node.json('status')


@contextlib.contextmanager
def two_nodes(folder, **settings):
    more = {} if os.environ.get('PERDURA_TEST_BLOB') else {'blob_url': f'file:{folder}/bodies'}
    with PopulatedNode(folder / 'a', node_name='n1', listen_link='127.0.0.1:0', **settings, **more) as a:
        with neighbour(folder / 'b', a, 'n2', listen_link='127.0.0.1:0', **settings) as b:
            b.user = a.user
            wait_until(lambda: status(a)['link_peers'] == 1 and status(b)['link_peers'] == 1, told=lambda: str((status(a), status(b))))
            yield a, b
    a.drop()


@pytest.fixture(scope='module')
def pair(tmp_path_factory):
    with two_nodes(tmp_path_factory.mktemp('nodes')) as nodes:
        yield nodes


class Listener:
    """A session in IDLE, and when which of its lines came."""

    def __init__(self, node, folder='INBOX'):
        self.session = login(node, node.user, select=folder)
        self.came = []
        self.tag = self.session.start('IDLE')
        assert self.session.response().startswith(b'+')
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        while not (line := self.session.response()).startswith(self.tag.encode()):
            self.came.append((time.monotonic(), line))

    def wait(self, pattern):
        """When the first line came that matches; it and those before it are forgotten."""
        def look():
            return next((i for i, (_, line) in enumerate(self.came) if re.fullmatch(pattern, line)), -1) + 1
        n = wait_until(look, told=lambda: f'{pattern} in {self.came}', every=0.001)
        at = self.came[n - 1][0]
        del self.came[:n]
        return at

    def close(self):
        self.session.send('DONE\r\n')
        self.thread.join(10)
        self.session.close()


def say(capsys, what, times):
    times = sorted(times)
    with capsys.disabled():
        print(f'\n{what}: p50 {times[len(times) // 2] * 1000:.0f} ms, p99 {times[len(times) * 99 // 100] * 1000:.0f} ms, '
              f'most {times[-1] * 1000:.0f} ms ({len(times)} changes)')
    return times[-1]


def changes_heard(here, there, rounds, pause=0):
    """Mail comes in at one node, by LMTP and by APPEND, while a session waits at the other: seconds from the reply to the news."""
    times = []
    listener = Listener(there)
    count = here.count(here.user)
    with login(here, select='INBOX') as m, Lmtp(here.lmtp) as lmtp:
        for i in range(rounds):
            if i % 2:
                m.append('INBOX', message(f'append {here.data} {time.time_ns()}'))
            else:
                assert lmtp.deliver(message(f'mail {here.data} {time.time_ns()}'), here.user)[0].startswith('250')
            count += 1
            at = time.monotonic()
            times.append(max(0, listener.wait(rb'\* %d EXISTS' % count) - at))
            time.sleep(random.uniform(0, pause))
    listener.close()
    return times


def test_a_notice_wakes_who_idles_elsewhere(tmp_path, capsys):
    with two_nodes(tmp_path, poll_every='30s') as pair:
        before = [status(n) for n in pair]
        assert say(capsys, 'notice, first to second node', changes_heard(*pair, ROUNDS)) < NOTICE
        assert say(capsys, 'notice, second to first node', changes_heard(*reversed(pair), ROUNDS)) < NOTICE
        after = [status(n) for n in pair]
        for i in (0, 1):
            assert after[i]['notices_sent'] - before[i]['notices_sent'] >= ROUNDS
            assert after[i]['notices_received'] - before[i]['notices_received'] >= ROUNDS
            assert after[i]['datagrams_refused'] == after[i]['notices_dropped'] == 0


def test_flags_and_expunges_are_told_too(pair):
    a, b = pair
    with login(a, select='INBOX') as m:
        m.append('INBOX', message('flags'))
        listener = Listener(b)
        m.ok('NOOP')
        m.ok(r'STORE * +FLAGS (\Flagged \Deleted)')
        listener.wait(rb'\* \d+ FETCH .*\\Flagged.*')
        m.ok('EXPUNGE')
        listener.wait(rb'\* \d+ EXPUNGE')
        listener.close()


def test_notify_hears_of_the_other_node(pair):
    """What was asked for by NOTIFY, of the selected mailbox and of others; and not what the session did itself."""
    a, b = pair
    with login(a, select='INBOX') as m, login(b, select='INBOX') as other:
        other.ok('NOTIFY SET (SELECTED (MessageNew (UID) MessageExpunge)) (PERSONAL (MessageNew MessageExpunge MailboxName))')
        m.ok('CREATE notified')
        assert re.match(rb'\* LIST .* "?notified"?$', other.response())
        m.append('notified', message('elsewhere'))
        assert re.match(rb'\* STATUS "?notified"? \(MESSAGES 1 ', other.response())
        uid = m.append('INBOX', message('here'))
        while not re.fullmatch(rb'\* \d+ FETCH \(UID %d\)' % uid, other.response()):
            pass
        other.ok('DELETE notified')
        assert other.ok('NOOP').untagged == []


def test_a_flood_of_changes_is_told_to_its_end(pair):
    """From both nodes at once, and to sessions on both; what a notice did not carry the poll does."""
    nodes = [*pair, *pair]
    count, each = pair[0].count(pair[0].user), 60
    listeners = [Listener(n) for n in pair]

    def flood(node, n):
        with Lmtp(node.lmtp) as lmtp:
            for i in range(each):
                assert lmtp.deliver(message(f'flood {n} {i}'), node.user)[0].startswith('250')

    threads = [threading.Thread(target=flood, args=(node, n)) for n, node in enumerate(nodes)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    end = time.monotonic()
    for listener in listeners:
        assert listener.wait(rb'\* %d EXISTS' % (count + each * len(nodes))) < end + POLL
        listener.close()


def test_settings_count_everywhere_soon(pair):
    a, b = pair

    def size(node):
        with Lmtp(node.lmtp) as l:
            return next(int(line.split()[-1]) for line in l.ask('LHLO test').splitlines() if 'SIZE' in line)

    size(b)
    for limit in (7, 9):
        start = time.monotonic()
        a.perdura('set', f'message.max={limit}M')
        wait_until(lambda: size(b) == limit << 20, told=lambda: f'{size(b)}')
        assert time.monotonic() - start < POLL


def test_a_changed_password_counts_everywhere_at_once(pair):
    a, b = pair
    assert b.imap(a.other).noop()[0] == 'OK'
    a.perdura('account', 'password', a.other, stdin='another horse\n')
    with pytest.raises(Exception, match='AUTHENTICATIONFAILED'):
        b.imap(a.other)
    assert b.imap(a.other, 'another horse').noop()[0] == 'OK'
    b.perdura('account', 'password', a.other, stdin=PASSWORD + '\n')
    assert a.imap(a.other).noop()[0] == 'OK'


def test_an_account_is_there_and_gone_everywhere(pair):
    a, b = pair
    user = 'new@example.org'
    a.add(user)
    assert b.imap(user).noop()[0] == 'OK'
    with Lmtp(b.lmtp) as l:
        assert l.deliver(message('welcome'), user)[0].startswith('250')
    a.perdura('account', 'remove', user)
    with pytest.raises(Exception, match='AUTHENTICATIONFAILED'):
        b.imap(user)

    def refused():
        with Lmtp(b.lmtp) as l:
            l.ask('LHLO test')
            l.ask('MAIL FROM:<>')
            return l.ask(f'RCPT TO:<{user}>').startswith('550')

    wait_until(refused)


def sessions_end(here, there, limit):
    """Those of a revoked application password and of a removed account, at the other node."""
    user = f'ends{random.getrandbits(40)}@example.org'
    here.add(user)
    phone = here.perdura('account', 'app', 'add', user, 'phone').strip()
    with login(there, user, password=phone) as app, login(there, user) as own:
        app.ok('SELECT INBOX')
        begun = time.monotonic()
        here.perdura('account', 'app', 'remove', user, 'phone')
        with pytest.raises(Exception, match='AUTHENTICATIONFAILED'):
            there.imap(user, phone)
        assert app.response() == b'* BYE This application password was revoked'
        assert time.monotonic() - begun < limit
        own.ok('NOOP')
        begun = time.monotonic()
        here.perdura('account', 'remove', user)
        assert own.response() == b'* BYE This account was removed'
        assert time.monotonic() - begun < limit


def test_sessions_end_everywhere_with_what_they_logged_in_by(pair):
    sessions_end(*pair, NOTICE)


def test_without_notices_the_poll_finds_it(pair, tmp_path, capsys):
    """The third node has no link; the fourth believes in another key, as if every datagram were forged on its way."""
    a, _ = pair
    with neighbour(tmp_path / 'c', a, 'n3') as c:
        c.user = a.user
        assert say(capsys, 'poll, without a link', changes_heard(a, c, ROUNDS // 2, 1)) < POLL
        assert wait_until(lambda: status(c)['polled_changes']) > 0
        sessions_end(a, c, POLL)
        assert status(c)['link_peers'] == status(c)['notices_received'] == 0


def test_forged_notices_are_refused_and_polled(pair, tmp_path, capsys):
    a, _ = pair
    key = a.sql("SELECT value FROM facts WHERE name = 'link.key'")[0][0]
    a.sql(f"UPDATE facts SET value = '{key[::-1]}' WHERE name = 'link.key'")
    try:
        with neighbour(tmp_path / 'd', a, 'n4', listen_link='127.0.0.1:0') as d:
            d.user = a.user
            wait_until(lambda: status(a)['link_peers'] == 2)
            assert say(capsys, 'poll, notices refused', changes_heard(a, d, ROUNDS // 4, 1)) < POLL
            assert status(d)['datagrams_refused'] >= ROUNDS // 4
            assert status(d)['notices_received'] == 0
    finally:
        a.sql(f"UPDATE facts SET value = '{key}' WHERE name = 'link.key'")


def test_a_wrong_link_is_said(pair, tmp_path):
    a, _ = pair
    for value, why in (('*:0', 'one address'), ('0.0.0.0:0', 'cannot send there'), ('127.0.0.1:0,127.0.0.1:0', 'one address'),
                       ('unix:x', 'one address')):
        n = neighbour(tmp_path / 'w', a, 'n5', listen_link=value)
        with pytest.raises(AssertionError, match=f'listen.link.*{why}'):
            n.start()


def lines_of(nodes):
    return [line for n in nodes for line in n.log_text().splitlines() if ' audit ' in line]


def test_one_node_writes_the_audit_log(pair, tmp_path):
    """And when it dies another goes on."""
    a, _ = pair
    with neighbour(tmp_path / 'e', a, 'n6', log_audit='on') as e, neighbour(tmp_path / 'f', a, 'n7', log_audit='on') as f:
        def told(what):
            return wait_until(lambda: [line for line in lines_of((e, f)) if what in line], told=lambda: str(lines_of((e, f))[-3:]))

        a.perdura('alias', 'add', 'first@example.org', a.user)
        assert len(told('first@example.org')) == 1
        here = [n for n in (e, f) if status(n)['audit_here']]
        assert len(here) == 1
        assert status(here[0])['audit_lag_ms'] < 10000
        here[0].kill()
        f.perdura('alias', 'add', 'second@example.org', a.user) if here[0] is e else e.perdura('alias', 'add', 'second@example.org', a.user)
        told('second@example.org')
        left = f if here[0] is e else e
        assert status(left)['audit_missed'] == 0
