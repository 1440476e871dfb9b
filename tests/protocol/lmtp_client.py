"""A plain LMTP client on a raw socket: it says exactly what it is told to, right or wrong."""
import re

from connection import Connection


class Lmtp(Connection):
    def __init__(self, address, greet=True):
        super().__init__(address)
        if greet:
            assert self.reply().startswith('220 ')
            assert self.ask('LHLO client.example').startswith('250')

    def lines(self):
        """One reply: all its lines, or [] when the connection ended."""
        out = []
        while True:
            line = self.file.readline().decode('latin-1')
            if not line:
                return out
            assert line.endswith('\r\n') and re.match(r'[2-5]\d\d[ -]', line), line
            out.append(line[:-2])
            if line[3] == ' ':
                return out

    def reply(self):
        """The last line of the next reply; '' when the connection ended."""
        return ([''] + self.lines())[-1]

    def code(self):
        """'250 2.1.5' of the next reply."""
        return ' '.join(self.reply().split(' ')[:2])

    def codes(self, n):
        return [self.code() for _ in range(n)]

    def ask(self, line):
        self.send(line + '\r\n')
        return self.reply()

    def envelope(self, *to, sender='sender@example.org'):
        """MAIL and RCPT in one write; they must all be taken."""
        self.send(f'MAIL FROM:<{sender}>\r\n' + ''.join(f'RCPT TO:<{t}>\r\n' for t in to))
        assert self.code() == '250 2.1.0'
        for t in to:
            assert self.code() == '250 2.1.5', t

    def data(self):
        assert self.ask('DATA').startswith('354 ')

    def deliver(self, message, *to, sender='sender@example.org'):
        """The replies, one for each recipient; one for all when DATA is refused. The message is dot-stuffed here and ends
        in CRLF."""
        self.envelope(*to, sender=sender)
        go_on = self.ask('DATA')
        if not go_on.startswith('354 '):
            return [go_on]
        self.send(stuff(message) + b'.\r\n')
        return [self.reply() for _ in to]


def stuff(message):
    """A dot that begins a line (only CRLF ends one) is doubled."""
    return re.sub(rb'(\A|\r\n)\.', rb'\1..', message)


def message(subject, body=b'Hello.\r\n'):
    return (f'From: Sender <sender@example.org>\r\nTo: user\r\nSubject: {subject}\r\n'
            f'Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{subject}@example.org>\r\n\r\n').encode() + body
