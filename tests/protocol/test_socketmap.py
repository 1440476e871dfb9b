"""What Postfix is told of domains, mailboxes and aliases; and what is no question."""
import socket

import pytest
from node import PATIENCE, PopulatedNode


class Socketmap:
    def __init__(self, address):
        self.sock = socket.create_connection(address, PATIENCE)
        self.file = self.sock.makefile('rb')

    def send(self, data):
        self.sock.sendall(data)

    def answer(self):
        """The next reply's text; '' at the end of the connection."""
        digits = b''
        while (c := self.file.read(1)) not in (b':', b''):
            digits += c
        if not digits:
            return ''
        text = self.file.read(int(digits))
        assert self.file.read(1) == b','
        return text.decode()

    def ask(self, map, key):
        request = f'{map} {key}'.encode()
        self.send(b'%d:%s,' % (len(request), request))
        return self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.sock.close()


@pytest.fixture(scope='module')
def node(tmp_path_factory):
    with PopulatedNode(tmp_path_factory.mktemp('socketmap'), listen_socketmap='127.0.0.1:0') as n:
        n.add('jürgen@bücher.test')
        n.perdura('domain', 'add', 'empty.test')
        n.perdura('alias', 'add', 'info@example.org', n.user, n.other)
        n.perdura('alias', 'add', 'away@example.org', 'someone@else.test', n.user)
        n.perdura('alias', 'add', 'gone@example.org', 'someone@else.test')
        n.perdura('alias', 'add', '@catch.test', n.user)
        yield n


@pytest.mark.parametrize('map,key,answer', [
    ('domains', 'example.org', 'OK example.org'), ('domains', 'Example.ORG', 'OK example.org'), ('domains', 'empty.test', 'OK empty.test'),
    ('domains', 'bücher.test', 'OK bücher.test'), ('domains', 'else.test', 'NOTFOUND '), ('domains', '', 'NOTFOUND '),
    ('domains', 'x y', 'NOTFOUND '), ('domains', 'sub.example.org', 'NOTFOUND '),
    ('mailboxes', 'ada@example.org', 'OK ada@example.org'), ('mailboxes', 'ADA+x@example.org', 'OK ada@example.org'),
    ('mailboxes', 'nobody@example.org', 'NOTFOUND '), ('mailboxes', 'info@example.org', 'OK ada@example.org,grace@example.org'),
    ('mailboxes', 'away@example.org', 'OK ada@example.org'), ('mailboxes', 'gone@example.org', 'OK gone@example.org'),
    ('mailboxes', 'x' * 60 + '@catch.test', 'OK ada@example.org'), ('mailboxes', 'jürgen@bücher.test', 'OK jürgen@bücher.test'),
    ('mailboxes', 'postmaster@empty.test', 'OK postmaster@example.org'), ('mailboxes', 'x' * 400 + '@catch.test', 'NOTFOUND '),
    ('mailboxes', 'x@else.test', 'NOTFOUND '), ('mailboxes', 'example.org', 'NOTFOUND '), ('mailboxes', '@example.org', 'NOTFOUND '),
    ('aliases', 'ada@example.org', 'NOTFOUND '), ('aliases', 'ada+x@example.org', 'NOTFOUND '),
    ('aliases', 'info+Work@example.org', 'OK ada+Work@example.org,grace+Work@example.org'),
    ('aliases', 'away@example.org', 'OK someone@else.test,ada@example.org'), ('aliases', 'x@catch.test', 'OK ada@example.org'),
    ('aliases', 'someone@else.test', 'NOTFOUND '),
    # a detail cannot smuggle in another address
    ('aliases', '"info+a,evil@else.test"@example.org', 'OK "ada+a,evil@else.test"@example.org,"grace+a,evil@else.test"@example.org'),
    ('aliases', 'info+a,evil@else.test@example.org', 'OK "ada+a,evil@else.test"@example.org,"grace+a,evil@else.test"@example.org'),
    ('aliases', '"info+\\"x y\\\\"@example.org', 'OK "ada+\\"x y\\\\"@example.org,"grace+\\"x y\\\\"@example.org'),
    ('aliases', 'info+a\nb@example.org', 'NOTFOUND '),
    ('nonsense', 'x', 'PERM the maps are: domains, mailboxes, aliases'), ('', '', 'PERM the maps are: domains, mailboxes, aliases'),
])
def test_answers(node, map, key, answer):
    with Socketmap(node.tcp('listen.socketmap')) as s:
        assert s.ask(map, key) == answer


def test_many_questions_at_once(node):
    with Socketmap(node.tcp('listen.socketmap')) as s:
        s.send(b'25:mailboxes ada@example.org,' * 3000)
        assert all(s.answer() == 'OK ada@example.org' for _ in range(3000))
        for c in b'25:mailboxes ada@example.org,':
            s.send(bytes([c]))
        assert s.answer() == 'OK ada@example.org'


@pytest.mark.parametrize('hostile', [b'GET / HTTP/1.0\r\n\r\n', b'5000:', b'99999999999', b'01:x,', b'3:abcd', b'-1:,', b'\0' * 100, b':,'])
def test_no_question(node, hostile):
    with Socketmap(node.tcp('listen.socketmap')) as s:
        s.send(hostile)
        assert s.answer() == 'PERM that is no request' and s.answer() == ''


def test_changes_count_at_once(node):
    with Socketmap(node.tcp('listen.socketmap')) as s:
        assert s.ask('mailboxes', 'new@fresh.test') == 'NOTFOUND '
        node.add('new@fresh.test')
        assert s.ask('mailboxes', 'new@fresh.test') == 'OK new@fresh.test' and s.ask('domains', 'fresh.test') == 'OK fresh.test'
        node.perdura('account', 'remove', 'new@fresh.test')
        assert s.ask('mailboxes', 'new@fresh.test') == 'NOTFOUND '


def test_down_is_not_gone(node):
    """A store that does not answer is no reason to bounce."""
    node.perdura('set', 'retention.window=29d')  # what was remembered is forgotten
    with Socketmap(node.tcp('listen.socketmap')) as s:
        node.sql('ALTER TABLE names RENAME TO away')
        try:
            assert [s.ask(m, k) for m, k in (('domains', 'empty.test'), ('mailboxes', node.user), ('aliases', 'info@example.org'))] == [
                'TEMP not available'] * 3
        finally:
            node.sql('ALTER TABLE away RENAME TO names')
        assert s.ask('mailboxes', node.user) == f'OK {node.user}'
