"""The messages of a run. Each has a name, which is its subject and decides every byte of it."""
import base64
import functools
import quopri
import random

BOUNDARY = '=_part'


class Mail:
    def __init__(self, name):
        rng = random.Random(name)
        size = rng.choice((40, 300, 2000, 8000, 20000)) if rng.random() < 0.98 else rng.randrange(262_144, 500_000)
        self.name = name
        self.parts = []  # decoded, by part number - 1
        head = (f'From: Ann <ann@example.org>\r\nTo: Bob <bob@example.net>\r\nSubject: {name}\r\n'
                f'Message-ID: <{name}@example.org>\r\nDate: Mon, {rng.randrange(1, 28)} Nov 2023 10:{rng.randrange(60):02}:00 +0000\r\n')
        text = self.text(rng, size)
        if rng.random() < 0.5:
            self.parts.append(text)
            self.bytes = head.encode() + b'\r\n' + text
        else:
            self.bytes = head.encode() + self.multipart(text, rng.randbytes(size // 4))
        self.header, _, self.body = self.bytes.partition(b'\r\n\r\n')
        self.header += b'\r\n\r\n'
        self.size = len(self.bytes)

    @staticmethod
    def text(rng, size):
        words = ('lasting', 'harbour', 'lamp', 'gräte', 'stone', 'rope', 'tide')
        line = ' '.join(rng.choice(words[:3] + words[4:]) for _ in range(9))
        return ''.join(f'{i} {line}\r\n' for i in range(size // len(line) + 1)).encode()

    def multipart(self, text, data):
        quoted = 'naïve café = '.encode() + text[:text.index(b'\r')]
        self.parts = [text, data, quoted]
        return ('MIME-Version: 1.0\r\n'
                f'Content-Type: multipart/mixed; boundary="{BOUNDARY}"\r\n\r\n'
                f'--{BOUNDARY}\r\nContent-Type: text/plain\r\n\r\n').encode() + text + (
                f'\r\n--{BOUNDARY}\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n').encode() + (
                base64.encodebytes(data).replace(b'\n', b'\r\n')) + (
                f'\r\n--{BOUNDARY}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'
                ).encode() + quopri.encodestring(quoted.replace(b'\r\n', b'\n')).replace(b'\n', b'\r\n') + f'\r\n--{BOUNDARY}--\r\n'.encode()


@functools.lru_cache(4000)
def mail(name):
    return Mail(name)
