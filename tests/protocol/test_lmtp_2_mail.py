"""What LMTP took is what IMAP shows, byte for byte, once, and where it belongs; what it refused is nowhere."""
import os
import pathlib
import re

import pytest
from lmtp_client import Lmtp, message, stuff
from node import PopulatedNode


@pytest.fixture
def own_node(tmp_path):
    with PopulatedNode(tmp_path) as n:
        yield n


def delivered(node, user, msg, **more):
    """Delivers, and returns what the mailbox of the user got by it."""
    before = node.count(user, 'INBOX')
    with Lmtp(node.lmtp) as c:
        assert c.deliver(msg, user, **more)[0].startswith('250 2.0.0')
    assert node.count(user, 'INBOX') == before + 1
    return node.newest(user, 'INBOX')


@pytest.mark.parametrize('name,body', [
    ('empty', b''),
    ('dots', b'.\r\n..\r\n...\r\n.a\r\n a.\r\n\r\n.\r\n'),
    ('bare-lf', b'a\n.\nb\n..\n.\r\nc\n\r\n'),
    ('bare-cr', b'a\r.\rb\r\r\n\r.\r\nc\r\r\r\n'),
    ('lf-dot-crlf', b'x\n.\r\nMAIL FROM:<smuggled@example.org>\r\n'),
    ('crlf-dot-cr-no-lf', b'x\r\n.\ry\r\n'),
    ('8bit', bytes(range(1, 256)) + b'\r\n'),
    ('long-line', b'x' * 300000 + b'\r\n'),
    ('long-header', b'\r\n'),
])
def test_bytes_are_kept(node, name, body):
    msg = message(name, body)
    if name == 'long-header':
        msg = b'X-Long: ' + b'y' * 200000 + b'\r\n' + msg
    assert delivered(node, node.user, msg) == msg


def test_message_of_nothing(node):
    assert delivered(node, node.user, b'') == b''
    assert delivered(node, node.user, b'\r\n') == b'\r\n'


def test_byte_by_byte(node):
    msg = message('slow', b'.dot\r\n\r.\r\nend\n.\r\n')
    before = node.count(node.user, 'INBOX')
    with Lmtp(node.lmtp) as c:
        for b in (f'MAIL FROM:<a@b>\r\nRCPT TO:<{node.user}>\r\nDATA\r\n').encode() + stuff(msg) + b'.\r\nQUIT\r\n':
            c.send(bytes([b]))
        assert c.codes(2) == ['250 2.1.0', '250 2.1.5']
        assert c.reply().startswith('354')
        assert c.codes(2) == ['250 2.0.0', '221 2.0.0']
    assert node.count(node.user, 'INBOX') == before + 1
    assert node.newest(node.user, 'INBOX') == msg


def test_each_recipient_its_own_copy(node):
    msg = message('both')
    before = [node.count(u, 'INBOX') for u in (node.user, node.other)]
    with Lmtp(node.lmtp) as c:
        c.send(f'MAIL FROM:<a@b>\r\nRCPT TO:<{node.user}>\r\nRCPT TO:<nobody@example.org>\r\nRCPT TO:<{node.other}>\r\nDATA\r\n')
        assert c.codes(4) == ['250 2.1.0', '250 2.1.5', '550 5.1.1', '250 2.1.5']
        assert c.reply().startswith('354')
        c.send(msg + b'.\r\n')
        assert c.codes(2) == ['250 2.0.0', '250 2.0.0']
    assert [node.count(u, 'INBOX') for u in (node.user, node.other)] == [n + 1 for n in before]
    assert node.newest(node.other, 'INBOX') == msg


def test_detail_names_a_folder(node):
    local, domain = node.user.split('@')
    node.create(node.user, 'Lists/C Language')
    for i, (rcpt, folder) in enumerate([
            (f'{local}+Junk@{domain}', 'Junk'), (f'"{local}+Lists/C Language"@{domain}', 'Lists/C Language'),
            (f'{local}+NoSuchFolder@{domain}', 'INBOX'), (f'{local}+@{domain}', 'INBOX'), (f'{local}+../x@{domain}', 'INBOX'),
            (f'{local}+#at/1h/INBOX@{domain}', 'INBOX'), (f'{local}+inbox@{domain}', 'INBOX')]):
        before = node.count(node.user, folder)
        msg = message(f'detail-{i}')
        with Lmtp(node.lmtp) as c:
            assert c.deliver(msg, rcpt)[0].startswith('250 2.0.0'), rcpt
        assert node.count(node.user, folder) == before + 1, rcpt
        assert node.newest(node.user, folder) == msg


def test_postmaster(node):
    before = node.count(node.postmaster, 'INBOX')
    with Lmtp(node.lmtp) as c:
        assert c.deliver(message('to-postmaster'), 'postmaster')[0].startswith('250 2.0.0')
    assert node.count(node.postmaster, 'INBOX') == before + 1


def test_repeated_delivery_is_stored_once(node):
    msg = message('repeated')
    local, domain = node.user.split('@')
    before = node.count(node.user, 'INBOX')
    for _ in range(3):
        with Lmtp(node.lmtp) as c:
            assert c.deliver(msg, node.user)[0].startswith('250 2.0.0')
    assert node.count(node.user, 'INBOX') == before + 1
    with Lmtp(node.lmtp) as c:
        assert c.deliver(msg, node.user, sender='someone-else@example.org')[0].startswith('250')
        assert c.deliver(msg, f'{local}+detail@{domain}')[0].startswith('250')
        assert c.deliver(msg + b'more\r\n', node.user)[0].startswith('250')
    assert node.count(node.user, 'INBOX') == before + 4


def test_same_recipient_named_twice(node):
    before = node.count(node.user, 'INBOX')
    with Lmtp(node.lmtp) as c:
        replies = c.deliver(message('twice'), node.user, node.user)
    assert [r[:9] for r in replies] == ['250 2.0.0'] * 2
    assert node.count(node.user, 'INBOX') == before + 1


def test_hundred_recipients(node):
    users = node.many(100)
    with Lmtp(node.lmtp) as c:
        replies = c.deliver(message('to-all'), *users)
    assert len(replies) == 100 and all(r.startswith('250 2.0.0') for r in replies)
    assert all(node.count(u, 'INBOX') >= 1 for u in users[::10])


def refused(node, body, code):
    before = node.count(node.user, 'INBOX')
    with Lmtp(node.lmtp) as c:
        c.envelope(node.user, node.other)
        c.data()
        c.send(body + b'\r\n.\r\n')
        assert c.codes(2) == [code] * 2
        assert c.deliver(message(f'after-{code}-{len(body)}'), node.user)[0].startswith('250 2.0.0')
    assert node.count(node.user, 'INBOX') == before + 1


def test_nul_is_refused(node):
    refused(node, b'Subject: nul\r\n\r\nx\0y', '554 5.6.0')
    refused(node, b'\0', '554 5.6.0')


def test_too_big_is_refused(node):
    with Lmtp(node.lmtp, greet=False) as c:
        c.reply()
        c.send('LHLO x\r\n')
        limit = next(int(l.split(' ')[-1]) for l in c.lines() if 'SIZE' in l)
        assert c.ask(f'MAIL FROM:<a@b> SIZE={limit + 1}').startswith('552 5.3.4')
    refused(node, b'Subject: big\r\n\r\n' + (b'y' * 998 + b'\r\n') * (limit // 1000 + 1), '552 5.3.4')


def test_connection_dropped_in_data_stores_nothing(node):
    before = node.count(node.user, 'INBOX')
    for tail in (b'', b'\r\n', b'\r\n.', b'\r\n.\r', b'\n.\n', b'\r\n.\n'):
        with Lmtp(node.lmtp) as c:
            c.envelope(node.user)
            c.data()
            c.send(message('dropped') + b'half' + tail)
    assert node.serves()
    assert node.count(node.user, 'INBOX') == before


def test_kill_after_250_keeps_it(own_node):
    node = own_node
    for i in range(5):
        before = node.count(node.user, 'INBOX')
        msgs = [message(f'killed-{i}-{k}') for k in range(3)]
        with Lmtp(node.lmtp) as c:
            for m in msgs:
                assert c.deliver(m, node.user)[0].startswith('250 2.0.0')
            node.kill()
        node.start()
        assert node.count(node.user, 'INBOX') == before + 3
        assert node.newest(node.user, 'INBOX') == msgs[-1]


def corpus():
    here = pathlib.Path(__file__).resolve().parents[2]
    for path in (os.environ.get('PERDURA_CORPUS'), here / '../shared/corpus', here / '../../shared/corpus'):
        if path and pathlib.Path(path, 'mime').is_dir():
            return pathlib.Path(path)
    return None


def test_corpus_comes_back_as_sent(own_node):
    node, folder = own_node, corpus()
    if not folder:
        pytest.skip('no corpus: set PERDURA_CORPUS to the folder that holds mime/')
    sent = []
    with Lmtp(node.lmtp) as c:
        for path in sorted(p for p in (folder / 'mime').rglob('*') if p.is_file()):
            msg = re.sub(rb'\r?\n', b'\r\n', path.read_bytes())
            if not msg.endswith(b'\r\n'):
                msg += b'\r\n'
            reply = c.deliver(msg, node.user, sender=f'n{len(sent)}@example.org')[0]
            assert reply.startswith('554 5.6.0' if b'\0' in msg else '250 2.0.0'), (path, reply)
            if b'\0' not in msg:
                sent.append((path, msg))
    with node.imap(node.user) as m:
        m.select('INBOX', readonly=True)
        for i, (path, msg) in enumerate(sent):
            kind, got = m.fetch(str(i + 1), '(BODY.PEEK[])')
            assert kind == 'OK' and got[0][1] == msg, path
        kind, got = m.fetch('1:*', '(ENVELOPE BODYSTRUCTURE RFC822.SIZE)')
        assert kind == 'OK'
