"""LMTP as a conversation: greeting, commands, replies, limits. What is stored is the matter of the next files."""

import pytest
from lmtp_client import Lmtp, message, stuff


def test_greeting_and_lhlo(node):
    with Lmtp(node.lmtp, greet=False) as c:
        assert c.reply().startswith('220 ')
        c.send('LHLO client.example\r\n')
        lines = c.lines()
        words = {l[4:].split(' ')[0] for l in lines[1:]}
        assert {'PIPELINING', 'SIZE', '8BITMIME', 'ENHANCEDSTATUSCODES'} <= words
        assert next(int(l[4:].split(' ')[1]) for l in lines if l[4:].startswith('SIZE')) > 1 << 20
        assert c.ask('QUIT').startswith('221 2.0.0')
        assert c.reply() == ''


@pytest.mark.parametrize('line,code', [
    ('HELO x', '500 5.5.1'), ('EHLO x', '500 5.5.1'), ('LHLO', '501 5.5.4'), ('NOOP', '250 2.0.0'),
    ('NOOP with words', '250 2.0.0'), ('VRFY a', '252 2.5.0'), ('HELP', '214 2.0.0'), ('RSET', '250 2.0.0'),
    ('EXPN a', '500 5.5.2'), ('STARTTLS', '502 5.5.1'), ('', '500 5.5.2'), ('\x01\x02', '500 5.5.2'), ('\xff\xfe', '500 5.5.2'),
    ('RCPT TO:<a@example.org>', '503 5.5.1'), ('DATA', '503 5.5.1'), ('MAIL FROM:a@b', '501 5.5.4'), ('MAIL FROM:<a@@b>', '501 5.1.7'),
    ('MAIL FROM:<a@b> FOO=1', '555 5.5.4'), ('MAIL FROM:<a@b> SIZE=99999999999999', '552 5.3.4'), ('MAIL FROM:<a@b> SIZE=-1', '501 5.5.4'),
    ('MAIL FROM:<a@b> BODY=BINARYMIME', '501 5.5.4'), ('MAIL FROM:<>', '250 2.1.0'), ('mail from:<a@b> body=8bitmime size=10', '250 2.1.0'),
    ('NO\0OP', '500 5.5.2'), ('NO\rOP', '500 5.5.2'), ('x' * 5000, '500 5.5.2'),
])
def test_one_command(node, line, code):
    with Lmtp(node.lmtp) as c:
        assert c.ask(line).startswith(code + ' ')
        assert c.ask('NOOP').startswith('250 ')


def test_wants_lhlo(node):
    with Lmtp(node.lmtp, greet=False) as c:
        assert c.reply().startswith('220 ')
        assert c.ask('MAIL FROM:<a@b>').startswith('503 5.5.1')


def test_pipelined_group_is_answered_in_order(node):
    with Lmtp(node.lmtp) as c:
        c.send('RSET\r\nMAIL FROM:<a@b>\r\n' f'RCPT TO:<{node.user}>\r\nRCPT TO:<nobody@example.org>\r\n'
               f'RCPT TO:<{node.other}>\r\nDATA\r\n')
        assert c.codes(5) == ['250 2.0.0', '250 2.1.0', '250 2.1.5', '550 5.1.1', '250 2.1.5']
        assert c.reply().startswith('354 ')
        c.send(message('pipelined') + b'.\r\nMAIL FROM:<a@b>\r\nNOOP\r\nQUIT\r\n')
        assert c.codes(5) == ['250 2.0.0', '250 2.0.0', '250 2.1.0', '250 2.0.0', '221 2.0.0']
        assert c.reply() == ''


def test_recipients(node):
    with Lmtp(node.lmtp) as c:
        c.ask('MAIL FROM:<>')
        local, domain = node.user.split('@')
        for good in (node.user, node.user.upper(), f'"{local}"@{domain}', f'{local}+folder@{domain}', 'postmaster', 'POSTMASTER',
                     f'@relay.example:{node.user}'):
            assert c.ask(f'RCPT TO:<{good}>').startswith('250 2.1.5'), good
        for unknown in ('nobody@example.org', f'{local}@elsewhere.example', f'"{local} x"@{domain}', 'nobody'):
            assert c.ask(f'RCPT TO:<{unknown}>').startswith('550 5.1.1'), unknown
        for bad in ('<>', '<a b@c>', '<a@b', 'a@b', '<@>'):
            assert c.ask(f'RCPT TO:{bad}').startswith('501 '), bad
        assert c.ask(f'RCPT TO:<{node.user}> NOTIFY=NEVER').startswith('555 5.5.4')


def test_data_wants_a_recipient(node):
    with Lmtp(node.lmtp) as c:
        c.send('MAIL FROM:<a@b>\r\nRCPT TO:<nobody@example.org>\r\nDATA\r\n')
        assert c.codes(3) == ['250 2.1.0', '550 5.1.1', '503 5.5.1']


def test_too_many_errors_end_it(node):
    with Lmtp(node.lmtp) as c:
        c.send('BOGUS\r\n' * 100)
        replies = []
        while (r := c.reply()):
            replies.append(r)
        assert replies[-1].startswith('421 4.7.0') and len(replies) < 60
    assert node.serves()


def test_endless_line_ends_it(node):
    with Lmtp(node.lmtp) as c:
        c.send('x' * (2 << 20))
        assert c.code() == '421 4.7.0' and c.reply() == ''
    assert node.serves()


def test_many_recipients_and_one_too_many(node):
    with Lmtp(node.lmtp) as c:
        c.send('MAIL FROM:<a@b>\r\n' + f'RCPT TO:<{node.user}>\r\n' * 1500)
        codes = c.codes(1501)[1:]
        assert codes[:100] == ['250 2.1.5'] * 100
        assert codes[-1] == '452 4.5.3' and set(codes) == {'250 2.1.5', '452 4.5.3'}
        assert c.ask('RSET').startswith('250')


def test_unix_socket(node):
    with Lmtp(node.lmtp_unix) as c:
        assert c.deliver(message('by-unix'), node.user)[0].startswith('250 2.0.0')


def test_slow_clients_hold_nobody(node):
    slow = [Lmtp(node.lmtp) for _ in range(50)]
    for i, c in enumerate(slow):
        c.envelope(node.user)
        c.data()
        c.send(f'Subject: slow {i}\r\n\r\nhalf a li')
    with Lmtp(node.lmtp) as c:
        assert c.deliver(message('quick'), node.user)[0].startswith('250')
    for c in slow:
        c.send('ne\r\n.\r\n')
    for c in slow:
        assert c.reply().startswith('250 2.0.0')
        c.close()


def test_reply_names_the_delivery(node):
    with Lmtp(node.lmtp) as c:
        first, second = (c.deliver(message(f'named-{i}'), node.user)[0] for i in (1, 2))
        assert first.startswith('250 2.0.0') and first != second


def test_stuffing_of_this_client():
    assert stuff(b'.a\r\n..\r\n.\n.\r\n') == b'..a\r\n...\r\n..\n.\r\n'
