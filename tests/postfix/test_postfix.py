"""The real Postfix with the snippets of deploy/postfix: mail arrives, waits, is refused and copied as it should."""
import pathlib
import shutil
import smtplib
import ssl
import tempfile
import time

import pytest
from node import PASSWORD, PATIENCE, PopulatedNode, wait_until
from postfix import Postfix, free_port, why_not
from proxy import Proxy

if why_not():
    pytest.skip(why_not(), allow_module_level=True)


class LossyProxy(Proxy):
    """Between Postfix and a node's LMTP port; on demand it loses the answer to a message: it cuts the connection when the
    answer has come from the node."""

    def __init__(self, to):
        super().__init__(*to)
        self.lose, self.address = 0, f'inet:127.0.0.1:{self.port}'

    def passes(self, data, from_server):
        lost = from_server and self.lose and b' Saved (' in data
        self.lose -= bool(lost)
        return not lost


@pytest.fixture(scope='module')
def home():
    """Postfix's folder, which its own user can reach, with one for the node's sockets in its queue folder."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix='perdura-postfix.'))
    folder.chmod(0o755)
    (folder / 'spool/perdura').mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope='module')
def node(home, tmp_path_factory):
    both = lambda name: f'127.0.0.1:{free_port()},unix:{home}/spool/perdura/{name}?mode=0666'
    # ports that nobody else is given while the node is down
    with PopulatedNode(tmp_path_factory.mktemp('node'), listen_lmtp=both('lmtp'), listen_socketmap=both('maps'),
                       listen_auth=f'127.0.0.1:{free_port()}') as n:
        n.add('archive@example.org', 'jürgen@bücher.test', 'bob@second.test')
        n.perdura('alias', 'add', 'team@example.org', n.user, 'bob@second.test')
        n.perdura('alias', 'add', 'away@example.org', 'someone@elsewhere.test', n.user)
        n.perdura('alias', 'add', '@catch.test', 'bob@second.test')
        yield n


@pytest.fixture(scope='module')
def proxy(node):
    p = LossyProxy(node.lmtp)
    yield p
    p.close()


@pytest.fixture(scope='module')
def postfix(node, proxy, home):
    inet = lambda option: 'inet:%s:%d' % node.tcp(option)
    with Postfix(home, proxy.address, 'socketmap:' + inet('listen.socketmap'), inet('listen.auth')) as p:
        yield p


def arrives(node, postfix, user, send, more=1):
    """send() makes `more` messages arrive, and no other."""
    before = node.count(user)
    send()
    try:
        wait_until(lambda: node.count(user) >= before + more)
        postfix.wait_empty()
    except AssertionError:
        raise AssertionError(postfix.log()[-4000:])
    assert node.count(user) == before + more


def refused(postfix, to, sender='someone@outside.test'):
    with postfix.smtp() as s:
        s.ehlo()
        s.mail(sender)
        return s.rcpt(to)[0]


def test_delivery(node, postfix):
    arrives(node, postfix, node.user, lambda: postfix.send('someone@outside.test', node.user))
    assert b'Subject: test' in node.newest(node.user)


def test_unix_sockets(node, postfix, proxy):
    tcp = postfix.run('postconf', '-h', 'perdura_maps').stdout.strip()
    postfix.set('perdura_lmtp=unix:perdura/lmtp', 'perdura_maps=socketmap:unix:perdura/maps')
    try:
        assert refused(postfix, 'nobody@example.org') == 550
        arrives(node, postfix, node.user, lambda: postfix.send('someone@outside.test', node.user, subject='unix'))
    finally:
        postfix.set('perdura_lmtp=' + proxy.address, 'perdura_maps=' + tcp)


def test_detail_is_a_folder(node, postfix):
    node.create(node.user, 'Lists')
    postfix.send('someone@outside.test', 'ada+Lists@example.org')
    wait_until(lambda: node.count(node.user, 'Lists') == 1)


def test_unknown_recipients_are_refused(node, postfix):
    assert refused(postfix, 'nobody@example.org') == 550
    assert refused(postfix, 'x@sub.example.org') == 554  # not a domain of ours: no relay
    assert [refused(postfix, to) for to in (node.user, 'team@example.org', 'any@catch.test', 'ADA+x@Example.org', 'postmaster@second.test')] == [250] * 5


def test_new_accounts_and_domains_count_at_once(node, postfix):
    assert refused(postfix, 'other@third.test') == 554
    node.add('new@third.test')
    assert refused(postfix, 'new@third.test') == 250
    arrives(node, postfix, 'new@third.test', lambda: postfix.send('someone@outside.test', 'new@third.test'))


def test_aliases(node, postfix):
    before = node.count('bob@second.test')
    arrives(node, postfix, node.user, lambda: postfix.send('someone@outside.test', 'team@example.org', 'ada@example.org', subject='team'))
    assert node.count('bob@second.test') == before + 1
    arrives(node, postfix, 'bob@second.test', lambda: postfix.send('someone@outside.test', 'whoever@catch.test', subject='catch'))


def test_aliases_elsewhere_are_followed(node, postfix):
    """The part that is not ours goes the way of all mail to the outside: here, to an error that says so."""
    arrives(node, postfix, node.user, lambda: postfix.send('', 'away@example.org', subject='away'))
    wait_until(lambda: 'to=<someone@elsewhere.test>, orig_to=<away@example.org>' in postfix.log())


def test_no_expansion_without_the_map(node, postfix):
    """Without virtual_alias_maps an alias of ours is delivered; one that leads elsewhere too waits, whole."""
    postfix.set('virtual_alias_maps=')
    try:
        arrives(node, postfix, 'bob@second.test', lambda: postfix.send('someone@outside.test', 'team@example.org', subject='by lmtp'))
        postfix.send('someone@outside.test', 'away@example.org', subject='waits')
        wait_until(lambda: 'virtual_alias_maps must follow it' in postfix.log())
    finally:
        postfix.set('virtual_alias_maps=$perdura_maps:aliases')
        postfix.run('postsuper', '-d', 'ALL')


def test_reject_unverified_recipient(node, postfix):
    """For a Postfix that has no map of recipients: it tries them on the LMTP server."""
    postfix.set('virtual_mailbox_maps=static:ok', 'smtpd_recipient_restrictions=reject_unverified_recipient',
                'unverified_recipient_reject_code=550', 'address_verify_map=', 'address_verify_poll_count=10', 'address_verify_poll_delay=1s', 'virtual_alias_maps=')
    try:
        before = node.count(node.user)
        assert refused(postfix, node.user) == 250
        assert refused(postfix, 'nobody2@example.org') == 550
        assert node.count(node.user) == before  # a probe is no mail
    finally:
        postfix.set('virtual_mailbox_maps=$perdura_maps:mailboxes', 'smtpd_recipient_restrictions=', 'virtual_alias_maps=$perdura_maps:aliases')


def test_bcc_maps(node, postfix):
    """Copies into the same mailbox are the same delivery; into others they are mail of their own."""
    postfix.map('sender_bcc', f'{node.user} {node.user}\n{node.other} archive@example.org\n')
    postfix.map('recipient_bcc', 'bob@second.test archive+Bob@example.org\nada@example.org ada@example.org\n')
    node.create('archive@example.org', 'Bob')
    try:
        arrives(node, postfix, node.user, lambda: postfix.send(node.user, node.user, subject='to myself'))
        arrives(node, postfix, node.user, lambda: postfix.send(node.user, 'grace@example.org', subject='copy for the sender'))
        arrives(node, postfix, 'archive@example.org', lambda: postfix.send(node.other, node.user, subject='for the archive'))
        postfix.send('someone@outside.test', 'bob@second.test', subject='for the archive too')
        wait_until(lambda: node.count('archive@example.org', 'Bob') == 1)
        # the same person again, on purpose: Received differs, so it is another delivery
        arrives(node, postfix, node.user, lambda: postfix.send(node.user, node.user, subject='to myself'))
    finally:
        postfix.map('sender_bcc', '')
        postfix.map('recipient_bcc', '')


def test_a_lost_answer(node, postfix, proxy):
    """Postfix sends it again; it is there once."""
    repeated = node.json('status')['deliveries_repeated']
    proxy.lose = 1
    arrives(node, postfix, node.user, lambda: postfix.send('someone@outside.test', node.user, subject='lost answer'))
    assert proxy.lose == 0 and node.json('status')['deliveries_repeated'] == repeated + 1
    assert 'message may be sent more than once' in postfix.log()


def leave_waiting(node, postfix):
    """A message for node.user in the queue, the node down, a delivery tried in vain."""
    postfix.set('defer_transports=lmtp')
    postfix.send('someone@outside.test', node.user, subject='patience')
    wait_until(lambda: any(m['queue_name'] == 'deferred' for m in postfix.queue()))
    node.kill()
    tried = postfix.log().count(' status=deferred (')
    postfix.set('defer_transports=')
    postfix.flush()
    wait_until(lambda: postfix.log().count(' status=deferred (') > tried)
    wait_until(lambda: all(m['queue_name'] == 'deferred' for m in postfix.queue()), told=postfix.told)


def how_soon(node, postfix, at_once):
    """Seconds from the node's return to the delivery of what waited."""
    try:
        leave_waiting(node, postfix)
        assert len(postfix.queue()) == 1
        # The maps are down too: a recipient is "try again later", never "unknown".
        assert {refused(postfix, to) for to in ('nobody@example.org', node.user)} <= {450, 451}
    finally:
        node.start()
    before, began = node.count(node.user), time.monotonic()
    if at_once:
        postfix.flush()
    wait_until(lambda: node.count(node.user) == before + 1, 2 * PATIENCE)
    return time.monotonic() - began


def test_mail_waits_while_the_node_is_down(node, postfix):
    """Postfix remembers for 30 s that it could not tell the domain."""
    seconds = how_soon(node, postfix, False)
    print(f'delivered {seconds:.1f} s after the node was back, with a back-off of 2 s')
    assert seconds < 60
    wait_until(lambda: refused(postfix, node.user) == 250)
    wait_until(lambda: refused(postfix, 'nobody@example.org') == 550)  # another process of Postfix remembers, too


def test_prompt_delivery(node, postfix):
    """With the domains in a file and "postqueue -f", also with the back-off of main.cf."""
    postfix.map('domains', 'example.org yes\n')
    postfix.set(f'virtual_mailbox_domains=texthash:{postfix.dir}/etc/domains', 'queue_run_delay=60s', 'minimal_backoff_time=60s',
                'maximal_backoff_time=15m')
    try:
        seconds = how_soon(node, postfix, True)
        print(f'delivered {seconds:.1f} s after the node was back, by postqueue -f')
        assert seconds < 50  # without the flush after a minute
    finally:
        postfix.set('queue_run_delay=2s', 'minimal_backoff_time=2s', 'maximal_backoff_time=4s',
                    'virtual_mailbox_domains=$perdura_maps:domains')


def test_quota_bounces(node, postfix):
    node.perdura('account', 'set', node.other, 'quota=1')
    try:
        postfix.send('', node.other, subject='full')
        wait_until(lambda: '552 5.2.2 The mailbox is full' in postfix.log())
        postfix.wait_empty()
    finally:
        node.perdura('account', 'set', node.other, 'quota=')


def test_smtputf8(node, postfix):
    def send():
        with postfix.smtp() as s:
            s.ehlo()
            assert s.has_extn('smtputf8')
            s.command_encoding = 'utf-8'
            assert s.mail('jürgen@bücher.test', ['SMTPUTF8', 'BODY=8BITMIME'])[0] == 250
            assert s.rcpt('jürgen+Grüße@bücher.test')[0] == 250
            assert s.data('From: Jürgen <jürgen@bücher.test>\r\nSubject: Grüße\r\n\r\nß\r\n'.encode())[0] == 250
    user = 'jürgen@bücher.test'
    counted = lambda: node.json('account', 'show', user)['messages']
    before = counted()
    send()
    try:
        wait_until(lambda: counted() == before + 1)
    except AssertionError:
        raise AssertionError(postfix.log()[-3000:])


def test_large_messages(node, postfix):
    """Up to the bound it arrives; over the node's it bounces."""
    arrives(node, postfix, node.user, lambda: postfix.send('someone@outside.test', node.user, text='x' * 70 + '\n' * 5 + ('y' * 70 + '\n') * 30000))
    node.perdura('set', 'message.max=1M')
    try:
        postfix.send('', node.user, text=('y' * 70 + '\n') * 30000, subject='too large')
        wait_until(lambda: 'size limit' in postfix.log() or '5.3.4' in postfix.log())
        postfix.wait_empty()
    finally:
        node.perdura('set', 'message.max=')


def submit(postfix, user, password, sender, to):
    """The code of the reply that settled it."""
    with postfix.smtp(postfix.submission) as s:
        s.starttls(context=ssl._create_unverified_context())
        try:
            s.login(user, password)
        except smtplib.SMTPAuthenticationError as e:
            return e.smtp_code
        s.mail(sender)
        code = s.rcpt(to)[0]
        return code if code != 250 else s.data(f'From: {sender}\r\nSubject: submitted\r\n\r\nx\r\n'.encode())[0]


def test_submission(node, postfix):
    """Users send with their address and password, over TLS, and only as themselves."""
    with postfix.smtp(postfix.submission) as s:
        s.ehlo()
        assert not s.has_extn('auth') and s.mail(node.user)[0] == 530
    before = node.count(node.other)
    assert submit(postfix, node.user, PASSWORD, node.user, node.other) == 250
    wait_until(lambda: node.count(node.other) == before + 1)
    assert submit(postfix, 'ada', PASSWORD, 'team@example.org', node.other) == 250  # an alias that leads to her
    assert submit(postfix, node.user, 'wrong', node.user, node.other) == 535
    assert submit(postfix, 'nobody@example.org', PASSWORD, node.user, node.other) == 535
    assert submit(postfix, node.user, PASSWORD, node.other, node.other) == 553
    assert submit(postfix, node.user, PASSWORD, node.user, 'nobody@example.org') == 550
    wait_until(lambda: node.count(node.other) == before + 2)
    postfix.wait_empty()
