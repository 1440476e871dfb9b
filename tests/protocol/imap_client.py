"""A plain IMAP client on a raw socket: it says exactly what it is told to, right or wrong, and understands answers.

Values are None for NIL, int-like text stays bytes, lists for parentheses, bytes for strings and literals."""
import contextlib
import itertools
import re
import uuid

from connection import Connection
from node import PASSWORD


class Closed(Exception):
    """The server ended the connection."""


class Answer:
    def __init__(self, untagged, status, text):
        self.untagged, self.status, self.text = untagged, status, text

    def __repr__(self):
        return f'{self.status} {self.text} {self.untagged}'

    def lines(self, word):
        """Untagged '* WORD ...' lines, without '* WORD '."""
        return [u[len(word):].strip() for u in self.untagged if u.upper().startswith(word.upper().encode())]

    def numbers(self, word):
        """'* N WORD': the numbers, in order."""
        return [int(m[1]) for u in self.untagged if (m := re.match(rb'(\d+) ' + word.encode() + rb'\b', u))]

    def fetches(self):
        """'* N FETCH (...)': a list of (N, {item: value})."""
        out = []
        for u in self.untagged:
            if m := re.match(rb'(\d+) FETCH ', u):
                items = parse(u[m.end():])[0]
                out.append((int(m[1]), dict(zip([i.decode() for i in items[::2]], items[1::2]))))
        return out

    def code(self):
        """What stands in brackets, or ''."""
        m = re.match(r'\[([^\]]*)\]', self.text)
        return m[1] if m else ''


def parse(data):
    """A list of the values in data."""
    pos, stack = 0, [[]]
    token = re.compile(rb'\s*(?:(\()|(\))|"((?:[^"\\]|\\.)*)"|~?\{(\d+)\}\r\n|([^\s()"{\[]*(?:\[[^\]]*\][^\s()]*)?))', re.S)
    while pos < len(data):
        m = token.match(data, pos)
        assert m and m.end() > pos, data[pos:pos + 40]
        pos = m.end()
        if m[1]:
            stack.append([])
        elif m[2]:
            done = stack.pop()
            stack[-1].append(done)
        elif m[3] is not None:
            stack[-1].append(re.sub(rb'\\(.)', rb'\1', m[3]))
        elif m[4] is not None:
            n = int(m[4])
            stack[-1].append(data[pos:pos + n])
            assert len(stack[-1][-1]) == n
            pos += n
        elif m[5]:
            stack[-1].append(None if m[5] == b'NIL' else m[5])
    assert len(stack) == 1, data
    return stack[0]


class Imap(Connection):
    def __init__(self, address, user=None, password=PASSWORD, select=None):
        super().__init__(address)
        self.tags = (f'a{i}' for i in itertools.count(1))
        self.greeting = self.response()
        if user:
            self.ok(f'LOGIN {quote(user)} {quote(password)}')
        if select:
            self.ok(f'SELECT {quote(select)}')

    def line(self):
        line = self.file.readline()
        if not line:
            raise Closed()
        assert line.endswith(b'\r\n'), line
        return line

    def response(self):
        """One response with its literals, without the last line end."""
        out = self.line()
        while m := re.search(rb'\{(\d+)\}\r\n$', out):
            literal = self.file.read(int(m[1]))
            if len(literal) != int(m[1]):
                raise Closed()
            out += literal + self.line()
        return out[:-2]

    def wait(self, tag):
        """Everything up to the tagged reply."""
        untagged = []
        while True:
            r = self.response()
            if r.startswith(b'* '):
                untagged.append(r[2:])
            elif r.startswith(b'+'):
                untagged.append(r)
            else:
                assert r.startswith(tag.encode() + b' '), (tag, r)
                status, _, text = r[len(tag) + 1:].decode('latin-1').partition(' ')
                return Answer(untagged, status, text)

    def start(self, command):
        tag = next(self.tags)
        self.send(tag.encode() + b' ' + (command if isinstance(command, bytes) else command.encode('latin-1')) + b'\r\n')
        return tag

    def ask(self, command):
        return self.wait(self.start(command))

    def ok(self, command):
        a = self.ask(command)
        assert a.status == 'OK', (command, a)
        return a

    def no(self, command, code=None):
        a = self.ask(command)
        assert a.status == 'NO', (command, a)
        assert code is None or a.code().startswith(code), (command, a)
        return a

    def bad(self, command):
        a = self.ask(command)
        assert a.status == 'BAD', (command, a)
        return a

    def append(self, folder, message, flags='', date=''):
        message = message if isinstance(message, bytes) else message.encode()
        head = f'APPEND {quote(folder)}' + (f' ({flags})' if flags else '') + (f' "{date}"' if date else '')
        a = self.ask(head.encode() + b' {%d+}\r\n' % len(message) + message)
        assert a.status == 'OK', a
        return int(re.match(r'\[APPENDUID \d+ (\d+)\]', a.text)[1])

    def fetch(self, what):
        return self.ok(f'FETCH {what}').fetches()

    def search(self, what, uid=False):
        a = self.ok(('UID ' if uid else '') + 'SEARCH ' + what)
        return [int(n) for n in b' '.join(a.lines('SEARCH')).split()]

    def ends(self):
        """The connection is closed by the server, after a BYE."""
        last = b''
        with contextlib.suppress(Closed, ConnectionError):
            while True:
                last = self.response()
        return last


def quote(s):
    return '"' + s.replace('\\', '\\\\').replace('"', '\\"') + '"'


def connect(node, **more):
    """Not logged in."""
    return Imap(node.tcp('listen.imap'), **more)


def login(node, user=None, **more):
    return Imap(node.tcp('listen.imap'), user or node.user, **more)


@contextlib.contextmanager
def folder(node, user=None):
    """A session that has an empty folder of its own selected: (session, name)."""
    name = 'T' + uuid.uuid4().hex[:12]
    with login(node, user) as m:
        m.ok(f'CREATE {name}')
        m.ok(f'SELECT {name}')
        yield m, name


def mail(subject='hello', body='A line.\r\n', **headers):
    head = {'From': 'Ann Author <ann@example.org>', 'To': 'bob@example.net', 'Subject': subject,
            'Date': 'Mon, 2 Nov 2026 10:00:00 +0000', **headers}
    return ''.join(f'{k.replace("_", "-")}: {v}\r\n' for k, v in head.items()) + '\r\n' + body
