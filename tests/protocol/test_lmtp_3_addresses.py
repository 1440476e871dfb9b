"""Aliases, catch-alls, quotas, SMTPUTF8, BDAT, and addresses that are hard to read."""
import threading

import pytest
from lmtp_client import Lmtp, message
from node import PopulatedNode


@pytest.fixture(scope='module')
def node(tmp_path_factory):
    with PopulatedNode(tmp_path_factory.mktemp('addresses')) as n:
        n.add('jürgen@bücher.test', 'lone@two.test')
        n.perdura('alias', 'add', 'info@example.org', n.user, n.other)
        n.perdura('alias', 'add', 'all@example.org', 'info@example.org', n.user)
        n.perdura('alias', 'add', '@two.test', 'lone@two.test')
        n.perdura('alias', 'add', '@old.test', '@example.org')
        n.perdura('alias', 'add', '@xn--bcher-kva.test', '@bücher.test')
        yield n


def counts(node, *users):
    return [node.count(u) for u in users]


def rcpt(node, *to, mail='MAIL FROM:<s@example.org>'):
    with Lmtp(node.lmtp) as c:
        assert c.ask(mail).startswith('250')
        replies = []
        for t in to:
            c.send(f'RCPT TO:<{t}>\r\n'.encode())
            replies.append(c.code())
        return replies


def test_an_alias_reaches_each_account_once(node):
    before = counts(node, node.user, node.other)
    with Lmtp(node.lmtp) as c:
        replies = c.deliver(message('all'), 'all@example.org', node.user, 'Info@example.org', 'all@old.test')
        assert [r[:9] for r in replies] == ['250 2.0.0'] * 4
        assert [r[:9] for r in c.deliver(message('all'), 'info@example.org')] == ['250 2.0.0']  # the same again
    assert counts(node, node.user, node.other) == [n + 1 for n in before]


def test_detail_goes_along(node):
    node.create(node.other, 'Work')
    with Lmtp(node.lmtp) as c:
        assert c.deliver(message('detail'), 'info+Work@old.test')[0].startswith('250')
    assert node.count(node.other, 'Work') == 1


def test_catch_all(node):
    before = counts(node, 'lone@two.test')
    with Lmtp(node.lmtp) as c:
        for i, to in enumerate(['any@two.test', '"with blanks, and \\"quotes\\""@two.test', 'x' * 64 + '@two.test', 'x' * 200 + '@two.test']):
            assert c.deliver(message(f'catch-{i}'), to)[0].startswith('250')
    assert counts(node, 'lone@two.test') == [before[0] + 4]
    assert rcpt(node, 'nobody@old.test', 'nobody@sub.two.test') == ['550 5.1.1'] * 2


@pytest.mark.parametrize('address,reply', [
    ('x' * 290 + '@two.test', '250 2.1.5'), ('x' * 300 + '@example.org', '550 5.1.1'), ('x' * 320 + '@two.test', '501 5.1.3'),
    ('ada@' + 'x' * 300, '550 5.1.1'), ('"ada"@example.org', '250 2.1.5'), ('"a\\da"@example.org', '250 2.1.5'),
    ('"ada+x y"@example.org', '250 2.1.5'), ('"ada\\"@example.org', '501 5.1.3'), ('ada"@example.org', '501 5.1.3'),
    ('jürgen@bücher.test', '553 5.6.7')])
def test_hard_addresses(node, address, reply):
    assert rcpt(node, address) == [reply]


def test_circles_and_elsewhere(node):
    node.perdura('alias', 'add', 'away@example.org', 'someone@else.test', node.user)
    r = node.run('alias', 'add', 'info@example.org', 'all@example.org')
    assert r.returncode == 1 and 'leads back to info@example.org' in r.stderr
    assert rcpt(node, 'away@example.org') == ['451 4.3.5']
    for words in (['info@example.org', 'info@example.org'], ['info@example.org', 'nobody@example.org'], ['x@example.org', '@two.test'],
                  [node.user, node.other], ['a b@example.org', node.user], ['@', node.user]):
        assert node.run('alias', 'add', *words).returncode == 1
    r = node.run('account', 'add', 'info@example.org', stdin='secret\n')
    assert r.returncode == 1 and 'there is an alias' in r.stderr
    assert 'info@example.org ada@example.org grace@example.org\n' in node.perdura('alias', 'list')
    node.perdura('alias', 'remove', 'away@example.org', 'someone@else.test')
    assert rcpt(node, 'away@example.org') == ['250 2.1.5']
    node.perdura('alias', 'remove', 'away@example.org')
    assert rcpt(node, 'away@example.org') == ['550 5.1.1']


def test_smtputf8(node):
    text = 'From: Jürgen <jürgen@bücher.test>\r\nTo: x\r\nSubject: Grüße\r\n\r\nß\r\n'.encode()
    with Lmtp(node.lmtp) as c:
        assert any('SMTPUTF8' in l for l in (c.send('LHLO x\r\n'), c.lines())[1])
        c.send('MAIL FROM:<jürgen@bücher.test> SMTPUTF8 BODY=8BITMIME\r\nRCPT TO:<jürgen+Päckchen@bücher.test>\r\n'
               'RCPT TO:<jürgen@xn--bcher-kva.test>\r\nDATA\r\n'.encode())
        assert c.codes(3) == ['250 2.1.0', '250 2.1.5', '250 2.1.5']
        assert c.reply().startswith('354')
        c.send(text + b'.\r\n')
        assert c.codes(2) == ['250 2.0.0'] * 2
        c.send(b'MAIL FROM:<\xc3@x> SMTPUTF8\r\n')
        assert c.code() == '501 5.1.7'
    with node.imap('lone@two.test') as m:
        assert m.noop()[0] == 'OK'
    assert 'jürgen@bücher.test' in node.perdura('account', 'list')


def test_bdat(node):
    msg = message('bdat', b'.\r\n..\r\nbare\nlf\r\n.\r\n')
    with Lmtp(node.lmtp) as c:
        c.send(f'MAIL FROM:<s@x>\r\nRCPT TO:<{node.user}>\r\nRCPT TO:<{node.other}>\r\nBDAT 10\r\n'.encode() + msg[:10]
               + f'BDAT {len(msg) - 10} LAST\r\n'.encode() + msg[10:] + b'NOOP\r\n')
        assert c.codes(7) == ['250 2.1.0', '250 2.1.5', '250 2.1.5', '250 2.0.0', '250 2.0.0', '250 2.0.0', '250 2.0.0']
        c.send('BDAT x\r\n')
        assert c.code() == '501 5.5.4' and c.reply() == ''
    assert node.newest(node.user) == msg and node.newest(node.other) == msg


def test_bdat_over_the_limit(node):
    node.perdura('set', 'message.max=2K')
    with Lmtp(node.lmtp) as c:
        c.send(f'MAIL FROM:<s@x>\r\nRCPT TO:<{node.user}>\r\nBDAT 3000\r\n'.encode() + b'x' * 3000 + b'BDAT 1 LAST\r\nxNOOP\r\n')
        assert c.codes(5) == ['250 2.1.0', '250 2.1.5', '552 5.3.4', '503 5.5.1', '250 2.0.0']
    node.perdura('set', 'message.max=')


def test_largest_message_of_an_account(node):
    node.perdura('account', 'set', node.other, 'message.max=1K')
    with Lmtp(node.lmtp) as c:
        replies = c.deliver(message('large', b'x' * 2000 + b'\r\n'), node.user, node.other)
        assert [r[:9] for r in replies] == ['250 2.0.0', '552 5.3.4']
    assert rcpt(node, node.user, node.other, mail='MAIL FROM:<s@x> SIZE=1500') == ['250 2.1.5', '552 5.3.4']
    node.perdura('account', 'set', node.other, 'message.max=')


def test_quota(node):
    node.add('small@example.org')
    node.perdura('account', 'set', 'small@example.org', 'quota=20K')
    results = []

    def send(i):
        with Lmtp(node.lmtp) as c:
            results.append([r[:9] for r in c.deliver(message(f'quota-{i}', b'x' * 3000 + b'\r\n'), 'small@example.org', node.user)])
    threads = [threading.Thread(target=send, args=(i,)) for i in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    full = [r for r in results if r == ['552 5.2.2', '250 2.0.0']]
    assert len(full) == 10 and len(results) == 16 and all(r == ['250 2.0.0'] * 2 for r in results if r not in full)
    assert node.count('small@example.org') == 6
    shown = node.json('account', 'show', 'small@example.org')
    assert 18000 < shown['bytes'] <= shown['quota'] == 20480
    assert ' of 20K (9' in node.perdura('account', 'show', 'small@example.org')
    with node.imap('small@example.org') as m:
        kind, text = m.append('INBOX', None, None, b'x' * 5000)
        assert kind == 'NO' and b'[OVERQUOTA]' in text[0]
        m.select('INBOX')
        kind, text = m.copy('1', 'Archive')
        assert kind == 'NO' and b'[OVERQUOTA]' in text[0]
        then = node.json('account', 'show', 'small@example.org')['change']
        m.store('1:*', '+FLAGS', '\\Deleted')
        m.expunge()
    node.perdura('account', 'set', 'small@example.org', 'quota=1K')
    node.perdura('restore', 'small@example.org', '--at', f'@{then}', '--yes')  # never refused
    assert node.count('small@example.org') == 6
    with node.imap('small@example.org') as m:
        m.select('INBOX')
        assert m.uid('MOVE', '1:*', 'Archive')[0] == 'OK'  # needs no room
