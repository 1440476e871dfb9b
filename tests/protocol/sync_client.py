"""A disconnected client with a cache, as RFC 7162 wants it: UIDs with their flags and mod-sequences, and the highest
mod-sequence up to where all is known. It goes by what the server says and by nothing else."""
import re

from imap_client import login, parse, quote


def uids(text):
    """'1:3,7' as a list."""
    out = []
    for part in text.split(','):
        a, _, b = part.partition(':')
        out += range(int(a), int(b or a) + 1)
    return out


class Cache:
    def __init__(self, node, user, name):
        self.node, self.user, self.name = node, user, name
        self.validity, self.modseq = None, 0
        self.flags = {}   # by UID
        self.numbers = [] # while connected: the UIDs by number, None where not known yet
        self.m = None

    # -- what the server says

    def take(self, answer):
        """Everything untagged, in order."""
        told = []
        for u in answer.untagged:
            if m := re.match(rb'VANISHED (\(EARLIER\) )?([\d:,]+)$', u):
                self.vanish(uids(m[2].decode()), bool(m[1]))
            elif m := re.match(rb'(\d+) FETCH ', u):
                self.fetched(int(m[1]), parse(u[m.end():])[0], told)
            elif m := re.match(rb'(\d+) EXISTS', u):
                self.numbers += [None] * (int(m[1]) - len(self.numbers))
                assert len(self.numbers) == int(m[1]), (u, self.numbers)
            assert not re.match(rb'\d+ EXPUNGE', u), u
        codes = ' '.join([u.decode('latin-1') for u in answer.untagged if u.startswith(b'OK [')] + [answer.text])
        if found := re.findall(r'\[HIGHESTMODSEQ (\d+)\]', codes):
            self.modseq = int(found[-1])
        elif told:
            self.modseq = max(self.modseq, *told)
        return answer

    def vanish(self, gone, earlier):
        for uid in gone:
            self.flags.pop(uid, None)
            if earlier:
                assert uid not in self.numbers, ('it is there', uid)
            else:  # only what was announced may vanish; of the newest the UID may not be known yet
                self.numbers.remove(uid if uid in self.numbers else None)

    def fetched(self, number, items, told):
        items = dict(zip([i.decode() for i in items[::2]], items[1::2]))
        if 'MODSEQ' in items:
            told.append(int(items['MODSEQ'][0]))
        uid = int(items['UID'])
        assert self.numbers[number - 1] in (None, uid), (number, uid, self.numbers)
        self.numbers[number - 1] = uid
        if 'FLAGS' in items:
            self.flags[uid] = {f.decode() for f in items['FLAGS']} - {'\\Recent'}

    # -- connections

    def connect(self, match=0):
        """Back online: what is new since. match: message numbers to name along with their UIDs."""
        self.m = login(self.node, self.user)
        self.m.ok('ENABLE QRESYNC')
        self.numbers = []
        known = sorted(self.flags)
        if self.validity is None:
            a = self.m.ok(f'SELECT {quote(self.name)}')
        else:
            extra = ''
            if match and known:
                step = max(1, len(known) // match)
                extra = ' (%s %s)' % (','.join(str(i + 1) for i in range(0, len(known), step)), ','.join(str(known[i]) for i in range(0, len(known), step)))
            a = self.m.ok(f'SELECT {quote(self.name)} (QRESYNC ({self.validity} {self.modseq}{" 1:%d" % known[-1] if match and known else ""}{extra}))')
        validity = int(re.search(r'UIDVALIDITY (\d+)', str(a))[1])
        if validity != self.validity:
            self.flags, self.validity = {}, validity
        self.take(a)
        self.fetch_new()
        return a

    def fetch_new(self):
        """Flags of messages that are not in the cache, and the numbers of all."""
        a = self.m.ok('UID SEARCH RETURN (ALL) ALL')
        line = a.lines('ESEARCH')[0].decode()
        there = uids(line.split('ALL ')[1]) if 'ALL ' in line else []
        self.take(a)
        assert len(there) == len(self.numbers), (there, self.numbers)
        for i, uid in enumerate(there):
            assert self.numbers[i] in (None, uid)
            self.numbers[i] = uid
        missing = [u for u in there if u not in self.flags]
        if missing:
            self.take(self.m.ok('UID FETCH %s (FLAGS)' % ','.join(map(str, missing))))

    def ask(self, command):
        return self.take(self.m.ok(command))

    def disconnect(self):
        self.m.close()
        self.m = None

    def truth(self):
        """What a client without a cache sees."""
        with login(self.node, self.user) as m:
            m.ok(f'EXAMINE {quote(self.name)}')
            return {int(i['UID']): {f.decode() for f in i['FLAGS']} - {'\\Recent'} for _, i in m.fetch('1:* (UID FLAGS)')} \
                if b'0 EXISTS' not in m.ok(f'EXAMINE {quote(self.name)}').untagged else {}
