"""A connection to an IMAP server: bytes out, whole responses in, and the last lines of both for who has to explain a failure."""
import asyncio
import collections
import re
import time
import zlib

PATIENCE = 60  # seconds for an answer: sanitizers and busy machines are slow, a server that hangs is slower
LITERAL = re.compile(rb'\{(\d+)\}\r\n$')
SHOWN = 50      # lines
WIDTH = 240


class Contradiction(Exception):
    """The server said what it must not say, or cannot have meant."""


class Lost(Exception):
    """The connection ended."""


def require(true, *what):
    if not true:
        raise Contradiction(' '.join(map(str, what)))


class Wire:
    def __init__(self, name):
        self.name, self.shown, self.began = name, collections.deque(maxlen=SHOWN), time.monotonic()
        self.reader = self.writer = None
        self.buffer = bytearray()
        self.deflate = self.inflate = None

    async def open(self, address):
        self.buffer.clear()
        self.deflate = self.inflate = None
        try:
            self.reader, self.writer = await asyncio.open_connection(*address)
        except OSError as e:
            raise Lost(str(e)) from e
        self.show('--', b'connected')

    def compress(self):
        """From here on, both ways (RFC 4978)."""
        self.deflate, self.inflate = zlib.compressobj(wbits=-15), zlib.decompressobj(wbits=-15)

    def close(self):
        if self.writer:
            self.show('--', b'closed')
            self.writer.transport.abort()
            self.writer = None

    def show(self, way, data):
        line = data if len(data) <= WIDTH else b'%s ... (%d bytes)' % (data[:WIDTH], len(data))
        self.shown.append(f'{time.monotonic() - self.began:9.3f} {way} {line.decode("latin-1").rstrip()!r}')

    async def send(self, data):
        for line in data.split(b'\r\n', 40)[:40]:
            if line:
                self.show('C:', line)
        try:
            self.writer.write(self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH) if self.deflate else data)
            await self.writer.drain()
        except (OSError, AttributeError) as e:
            raise Lost(str(e)) from e

    async def fill(self):
        try:
            async with asyncio.timeout(PATIENCE):  # wait_for() may overlook that it is cancelled
                data = await self.reader.read(1 << 16)
        except asyncio.TimeoutError:
            raise Contradiction(f'no answer for {PATIENCE} seconds') from None
        except OSError as e:
            raise Lost(str(e)) from e
        if not data:
            raise Lost('the server closed the connection')
        self.buffer += self.inflate.decompress(data) if self.inflate else data

    async def line(self, start):
        """Where the line ends that begins at start."""
        while (end := self.buffer.find(b'\n', start)) < 0:
            start = len(self.buffer)
            await self.fill()
        return end + 1

    async def response(self):
        """One response with its literals, without the last line end."""
        end = await self.line(0)
        while m := LITERAL.search(self.buffer, max(0, end - 16), end):
            body = end + int(m[1])
            while len(self.buffer) < body:
                await self.fill()
            end = await self.line(body)
        out = bytes(self.buffer[:end])
        del self.buffer[:end]
        require(out.endswith(b'\r\n'), 'a line that does not end in CRLF:', out[-80:])
        self.show('S:', out[:-2])
        return out[:-2]
