"""A script (README.md has the language): read from its file, and played against a server."""
import base64
import operator
import pathlib
import re
import socket
import ssl
import time
import zlib

import pattern

HERE = pathlib.Path(__file__).resolve().parent
PATIENCE = 20  # seconds that a server may take for one line
HEADERS = ('needs', 'state', 'mail', 'rfc', 'differs')
STATES = ('greeted', 'user', 'selected')
# What a server may say at any time without being asked, and nobody has to expect.
UNASKED = re.compile(r'OK\b|\d+ RECENT$|FLAGS |CAPABILITY ', re.I)


class Wrong(Exception):
    """The script itself makes no sense."""


class Failed(Exception):
    """The server does not do what the script says."""


class Silent(Failed):
    """It does not say anything more: nothing that follows can be waited for."""


class Skipped(Exception):
    """The server does not have what the script is about."""


def mail(name):
    """The text of mail/NAME.eml, with the line ends of mail."""
    return (HERE / 'mail' / f'{name}.eml').read_bytes().decode('latin-1').replace('\r\n', '\n').replace('\n', '\r\n')


# ---- the connection

class Wire:
    """Bytes are texts of the characters 0 to 255 here."""

    def __init__(self, address):
        self.sock = socket.create_connection(address, PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.got = b''
        self.inflate = self.deflate = None

    def compress(self):
        self.inflate = zlib.decompressobj(-15)
        self.deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        rest, self.got = self.got, b''
        self.got = self.inflate.decompress(rest)

    def encrypt(self):
        """Whoever the server may be: its certificate is not what scripts are about."""
        if self.got:
            raise Failed(f'said in the clear behind its answer to STARTTLS: {self.got!r}')
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            self.sock = context.wrap_socket(self.sock)
        except OSError as e:
            raise Silent(f'no TLS: {e}') from None

    def send(self, text):
        data = text.encode('latin-1')
        if self.deflate:
            data = self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        try:
            self.sock.sendall(data)
        except ConnectionError:
            pass  # what it said before it hung up is what the script asks about

    def more(self):
        try:
            data = self.sock.recv(65536)
        except socket.timeout:
            raise Silent(f'the server says nothing for {PATIENCE} s' + (f', after {self.got!r}' if self.got else '')) from None
        except ConnectionError:
            data = b''
        if not data:
            raise EOFError
        self.got += self.inflate.decompress(data) if self.inflate else data

    def take(self, n):
        text, self.got = self.got[:n], self.got[n:]
        return text.decode('latin-1')

    def line(self):
        while b'\n' not in self.got:
            self.more()
        line = self.take(self.got.index(b'\n') + 1)
        if not line.endswith('\r\n') or re.search(r'[\r\0]', line[:-2]):
            raise Failed(f'no line of IMAP: {line!r}')
        return line

    def response(self):
        """One response with its literals, without the last line end."""
        out = self.line()
        while m := re.search(r'\{(\d+)\}\r\n$', out):
            while len(self.got) < int(m[1]):
                self.more()
            out += self.take(int(m[1])) + self.line()
        return out[:-2]

    def close(self):
        self.sock.close()


class Session:
    """A connection, the tags it waits for, and what was said and not judged yet."""

    def __init__(self, address, name):
        self.wire, self.name, self.count = Wire(address), name, 0
        self.waiting, self.unjudged, self.refused = [], [], None
        self.said = []

    def send(self, text):
        self.said.append('C' + self.name + '> ' + text.rstrip('\r\n'))
        self.wire.send(text)

    def receive(self):
        if self.refused is not None:
            text, self.refused = self.refused, None
            return text
        text = self.wire.response()
        self.said.append('S' + self.name + '> ' + text)
        return text

    def command(self, pieces):
        """pieces: texts, and before each but the first a literal has to be asked for, where it is a tuple."""
        self.count += 1
        tag = f'{"abcdefghi"[int(self.name or 1) - 1]}{self.count}'
        self.waiting.append((tag, pieces[0][0].upper() if isinstance(pieces[0], tuple) else pieces[0].upper()))
        self.send(f'{tag} {pieces[0]}')
        for piece in pieces[1:]:
            while not (answer := self.receive()).startswith('+'):
                if not answer.startswith('* '):
                    self.refused = answer  # the literal is not wanted
                    return
                self.unjudged.append(answer)
            self.send(piece)

    def answered(self, tag, values):
        word = self.waiting.pop(0)[1]
        if not pattern.is_word(values[0], 'OK'):
            return
        if word.startswith('COMPRESS'):
            self.wire.compress()
        if word.startswith('STARTTLS'):
            self.wire.encrypt()


# ---- the steps of a script

def literals(text, known):
    """The pieces a command is sent in: it is cut where the server has to ask for a literal."""
    pieces, at = [''], 0
    for m in re.finditer(r'\{(\+?)(?:"((?:[^"\\]|\\.)*)"|<([\w-]+))\}', text):
        body = mail(m[3]) if m[3] else pattern.unescape(pattern.filled(m[2], known))
        pieces[-1] += pattern.filled(text[at:m.start()], known) + f'{{{len(body)}{m[1]}}}\r\n'
        if m[1]:
            pieces[-1] += body
        else:
            pieces.append(body)
        at = m.end()
    pieces[-1] += pattern.filled(text[at:], known) + '\r\n'
    return pieces


class Send:
    def __init__(self, session, how, text):
        self.session, self.how, self.text = session, how, text

    def play(self, stage):
        session = stage.session(self.session)
        if self.how == ':':
            session.command(literals(self.text, stage.known))
        elif self.how == '>':
            session.send(pattern.filled(self.text, stage.known) + '\r\n')
        else:
            session.send(pattern.unescape(self.text[1:-1]))


class Line:
    """One line that is expected. kind: `*`, `+`, tag, closed. often: it may come, and more than once. later: not before
    the line above."""

    def __init__(self, text, often, later):
        self.text, self.often, self.later = text, often, later
        first = re.split(r'[ |]', text, maxsplit=1)[0].upper()
        self.kind = {'*': '*', '+': '+', 'CLOSED': 'closed'}.get(first, 'tag')
        if self.kind == 'tag' and first not in pattern.STATUS:
            raise Wrong(f'no answer of a server: {text}')
        self.values = None
        if self.kind in ('*', 'tag'):
            self.values = pattern.read(text[2:] if self.kind == '*' else text, mail)

    def match(self, values, known):
        if pattern.is_word(self.values[0], *pattern.STATUS) or '|' in self.values[0].text:
            if len(values) < len(self.values):
                return None
            values = values[:len(self.values)]  # the rest is for people
        return pattern.match_list(self.values, values, known)


class Expect:
    """What a session is told, up to a tagged reply, a continuation or the end: untagged lines before it in any order."""

    def __init__(self, session):
        self.session, self.lines, self.loose, self.differs = session, [], False, {}

    def ended(self):
        return bool(self.lines) and self.lines[-1].kind != '*'

    def play(self, stage):
        session = stage.session(self.session)
        if self.ended():
            got = self.collect(session, stage)
            known = self.fits(got, stage.known, True)
            if known is None:
                raise Failed(self.why(got))
            stage.known = known
        else:
            self.wait(session, stage)

    def collect(self, session, stage):
        """The untagged lines before the last one, which is checked."""
        got, session.unjudged = session.unjudged, []
        last = self.lines[-1]
        try:
            while (text := session.receive()).startswith('* '):
                got.append(text[2:] if text.startswith('* ') else text)
        except EOFError:
            if last.kind != 'closed':
                raise Silent('the server closed the connection, ' + self.why(got)) from None
            return [g.removeprefix('* ') for g in got]
        got = [g.removeprefix('* ') for g in got]
        if text.startswith('+'):
            if last.kind != '+':
                session.refused = None
                raise Silent(f'it asks for more: {text}')
            return got
        self.tagged(session, stage, text, last)
        return got

    def tagged(self, session, stage, text, last):
        tag, _, rest = text.partition(' ')
        if not session.waiting or tag != session.waiting[0][0]:
            raise Failed(f'that answers nothing: {text}')
        values = pattern.read(rest)
        session.answered(tag, values)
        stage.known['tag'] = tag
        known = last.match(values, stage.known) if last.kind == 'tag' else None
        if known is None:
            raise Failed(f'expected {last.text}, got {rest}')
        stage.known = known

    def wait(self, session, stage):
        while (known := self.fits([u.removeprefix('* ') for u in session.unjudged], stage.known, False)) is None:
            try:
                text = session.receive()
            except EOFError:
                raise Silent('the server closed the connection') from None
            except Silent as e:
                raise Silent(f'{self.why(session.unjudged)}; {e}') from None
            if not text.startswith('* '):
                session.refused = text
                raise Failed(f'too early: {text}')
            session.unjudged.append(text)
        stage.known, session.unjudged = known, []

    def fits(self, got, known, whole):
        """What is known after each expected line found one of those that came; None if not. whole: nothing else may have come."""
        lines = [l for l in self.lines if l.kind == '*']
        if self.loose:
            return known
        rest = [(g, pattern.read(g)) for g in got]

        def place(i, known, free, last):
            if i == len(lines):
                return known if all(allowed(j) for j in free) else None
            if lines[i].often:
                return place(i + 1, known, free, last)
            for j in sorted(free):
                if lines[i].later and j <= last:
                    continue
                now = lines[i].match(rest[j][1], known)
                if now is not None and (now := place(i + 1, now, free - {j}, j)) is not None:
                    return now
            return None

        def allowed(j):
            return UNASKED.match(rest[j][0]) or any(l.often and l.match(rest[j][1], known) is not None for l in lines)

        return place(0, known, frozenset(range(len(rest))), -1)

    def why(self, got):
        want = [l.text for l in self.lines if l.kind == '*'] or ['nothing']
        return 'expected ' + '; '.join(want) + ', got ' + ('; '.join('* ' + g.removeprefix('* ') for g in got) or 'nothing')


class Check:
    compare = {'<': operator.lt, '<=': operator.le, '=': operator.eq, '!=': operator.ne, '>': operator.gt, '>=': operator.ge}

    def __init__(self, text):
        self.text = text
        m = re.fullmatch(r'(\S+) (<|<=|=|!=|>|>=) (\S+)', text)
        if not m:
            raise Wrong(f'check: A < B it is: {text}')
        self.left, self.how, self.right = m.groups()

    def play(self, stage):
        a, b = (pattern.filled(x, stage.known) for x in (self.left, self.right))
        if a.isdigit() and b.isdigit():
            a, b = int(a), int(b)
        if not self.compare[self.how](a, b):
            raise Failed(f'{self.text}: {a} and {b}')


class Wait:
    def __init__(self, text):
        self.seconds = float(text)

    def play(self, _):
        time.sleep(self.seconds)


# ---- the script

class Script:
    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.name = self.path.stem
        self.needs, self.mail, self.rfc, self.state, self.differs = [], [], [], 'user', {}
        self.steps = []  # (number of the line, step)
        for number, line in enumerate(self.path.read_text(encoding='utf-8').splitlines(), 1):
            try:
                self.read(number, line.encode('utf-8').decode('latin-1'))
            except (Wrong, pattern.Malformed, ValueError) as e:
                raise Wrong(f'{self.path}:{number}: {e}') from None

    def read(self, number, line):
        if not line.strip() or line.startswith('#'):
            return
        if m := re.fullmatch(r'C(\d?)([:>=]) ?(.*)', line):
            self.steps.append((number, Send(m[1], m[2], m[3])))
        elif m := re.fullmatch(r'S(\d?)([:?+]) (.*)', line):
            self.expect(number, m[1]).lines.append(Line(m[3], m[2] == '?', m[2] == '+'))
        elif m := re.fullmatch(r'((?:OK|NO|BAD)(?:\|(?:OK|NO|BAD))*)(\d?): (.*)', line):
            self.short(number, *m.groups())
        elif m := re.fullmatch(r'([a-z]+): *(.*)', line):
            self.key(number, *m.groups())
        else:
            raise Wrong(f'what is this: {line}')

    def expect(self, number, session):
        last = self.steps[-1][1] if self.steps else None
        if not isinstance(last, Expect) or last.session != session or last.ended():
            self.steps.append((number, Expect(session)))
        return self.steps[-1][1]

    def short(self, number, status, session, command):
        """OK: COMMAND, whatever else is said."""
        self.steps.append((number, Send(session, ':', command)))
        expect = Expect(session)
        expect.lines, expect.loose = [Line(status, False, False)], True
        self.steps.append((number, expect))

    def key(self, number, key, text):
        if key == 'check':
            self.steps.append((number, Check(text)))
        elif key == 'wait':
            self.steps.append((number, Wait(text)))
        elif key == 'differs' and self.steps:
            if not isinstance(self.steps[-1][1], Expect):
                raise Wrong('differs: what stands above it expects nothing')
            self.steps[-1][1].differs.update([reason(text)])
        elif key in HEADERS and not self.steps:
            self.header(key, text)
        else:
            raise Wrong(f'no such key here: {key}')

    def header(self, key, text):
        if key == 'differs':
            self.differs.update([reason(text)])
        elif key == 'state':
            if text not in STATES:
                raise Wrong('state: ' + ', '.join(STATES))
            self.state = text
        else:
            {'needs': self.needs, 'mail': self.mail, 'rfc': self.rfc}[key].extend(text.split())


def reason(text):
    server, _, why = text.partition(': ')
    if not why:
        raise Wrong('differs: SERVER: REASON')
    return server, why


class Stage:
    """A server, a user, the sessions and the variables of one play."""

    def __init__(self, script, address, user, password):
        self.script, self.address, self.sessions, self.said = script, address, {}, []
        code = lambda text: base64.b64encode(text.encode()).decode()
        self.known = {'user': user, 'password': password, 'plain': code(f'\0{user}\0{password}'), 'user64': code(user),
                      'password64': code(password)}

    def open(self, name, state):
        session = Session(self.address, name)
        session.said = self.said
        if state != 'greeted':
            session.receive()
            ask(session, 'LOGIN "$user" "$password"', self.known)
        if state == 'selected':
            ask(session, 'SELECT INBOX', self.known)
        return session

    def session(self, name):
        if name not in self.sessions:
            self.sessions[name] = self.open(name, self.script.state)
        return self.sessions[name]

    def close(self):
        for session in self.sessions.values():
            session.wire.close()
        self.sessions = {}


def ask(session, command, known):
    """A command of the runner's own, which must succeed: its untagged lines, read."""
    session.command(literals(command, known))
    got = []
    while (text := session.receive()).startswith('* '):
        got.append(pattern.read(text[2:]))
    tag, _, rest = text.partition(' ')
    session.waiting.clear()
    if not rest.upper().startswith('OK'):
        raise Failed(f'{command}: {text}')
    return got


def capabilities(session):
    found = next(v for v in ask(session, 'CAPABILITY', {}) if pattern.is_word(v[0], 'CAPABILITY'))
    return [w.text.upper() for w in found[1].values]


def has(capability, words):
    return any(w == capability.upper() or w.startswith(capability.upper() + '=') for w in words)


def empty(session):
    """The user has no folders but INBOX, nothing in it, and no subscriptions."""
    for command in ('LIST', 'LSUB'):
        names = [pattern.plain(v[3]) for v in ask(session, f'{command} "" *', {}) if pattern.is_word(v[0], command)]
        for name in sorted(names, key=len, reverse=True):
            quoted = '"' + name.replace('\\', '\\\\').replace('"', '\\"') + '"'
            if command == 'LSUB':
                ask(session, f'UNSUBSCRIBE {quoted}', {})
            elif name.upper() != 'INBOX':
                ask(session, f'DELETE {quoted}', {})
    ask(session, 'SELECT INBOX', {})
    if any(len(v) == 2 and pattern.is_word(v[1], 'EXISTS') and v[0].text != '0' for v in ask(session, 'EXAMINE INBOX', {})):
        ask(session, 'SELECT INBOX', {})
        ask(session, 'STORE 1:* +FLAGS.SILENT (\\Deleted)', {})
        ask(session, 'EXPUNGE', {})


def prepare(script, stage):
    """Skips what the server lacks; leaves the mail there that the script begins with."""
    session = stage.open('9', 'greeted')
    try:
        session.receive()
        before = capabilities(session)
        ask(session, 'LOGIN "$user" "$password"', stage.known)
        there = before + capabilities(session)
        missing = [n for n in script.needs if not has(n, there)]
        if missing:
            raise Skipped('the server has no ' + ' '.join(missing))
        empty(session)
        for name in script.mail:
            ask(session, f'APPEND INBOX {{<{name}}}', {})
        ask(session, 'LOGOUT', {})
    finally:
        session.wire.close()
        stage.said.clear()


def play_steps(stage, server):
    """All of them, also after one that failed, to say all that is wrong at once; what is said after the first may follow from it."""
    wrong = []
    for number, step in stage.script.steps:
        try:
            play_step(number, step, stage, server)
        except Failed as e:
            wrong.append(str(e))
            if isinstance(e, Silent):
                break
    if wrong:
        raise Failed('\n        '.join(wrong))


def play_step(number, step, stage, server):
    """A difference that is noted must be one."""
    expected = getattr(step, 'differs', {}).get(server)
    try:
        step.play(stage)
    except (Failed, pattern.Malformed, EOFError) as e:
        if not expected:
            kind = Silent if isinstance(e, (Silent, EOFError)) else Failed
            raise kind(f'{stage.script.path}:{number}: {str(e) or "the connection ended"}') from None
        return
    if expected:
        raise Failed(f'{stage.script.path}:{number}: {server} does as expected, the script says it differs: {expected}')


def play(script, address, user, password, server):
    """server: the name that differences are noted under. Raises Failed or Skipped; what was said is the exception's `said`."""
    stage = Stage(script, address, user, password)
    failed = None
    try:
        prepare(script, stage)
        play_steps(stage, server)
    except Failed as e:
        failed = e
    finally:
        stage.close()
    if failed and server not in script.differs:
        failed.said = stage.said
        raise failed
    if not failed and server in script.differs:
        raise Failed(f'{script.path}: {server} does as expected, the script says it differs: {script.differs[server]}')
