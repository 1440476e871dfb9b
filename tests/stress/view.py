"""A session's picture of its mailbox, made of untagged responses alone, and what the protocol forbids those to say."""
import bisect
import re

from imap_client import parse
from mails import mail
from wire import Contradiction, require
from world import instant, uid_list

# During these no message may lose its number (RFC 3501, 7.4.1; RFC 7162, 3.2.10).
KEEPS_NUMBERS = ('FETCH', 'STORE', 'SEARCH', 'SORT', 'THREAD', None)


class View:
    def __init__(self, mailbox, asked, condstore=False, qresync=False):
        self.mailbox, self.asked, self.condstore, self.qresync = mailbox, asked, condstore, qresync
        self.numbers = []   # the UIDs by number; None: not told yet
        self.there = set()  # the UIDs of numbers
        self.flags, self.modseqs = {}, {}
        self.highest = 0    # up to here the client knows all (RFC 7162, 3.2.5)

    def resume(self, old):
        """Goes on with what another connection learned."""
        self.flags, self.modseqs, self.highest = old.flags, old.modseqs, old.highest

    def known(self):
        return [u for u in self.numbers if u]

    def message(self, uid):
        return self.mailbox.message(uid)

    # -- numbers

    def exists(self, n):
        require(n >= len(self.numbers), f'{n} EXISTS, but there were {len(self.numbers)}')
        self.numbers += [None] * (n - len(self.numbers))

    def number(self, n):
        require(1 <= n <= len(self.numbers), f'message number {n} of {len(self.numbers)}')
        return self.numbers[n - 1]

    def name(self, n, uid):
        """The message of this number has this UID."""
        was = self.number(n)
        require(was in (None, uid), f'number {n} is UID {uid}, was {was}')
        if was is None:
            before = next((u for u in reversed(self.numbers[:n - 1]) if u), 0)
            after = next((u for u in self.numbers[n:] if u), 1 << 32)
            require(before < uid < after, f'number {n} is UID {uid}, between {before} and {after}')
            self.mailbox.told_there(self.message(uid), self.asked)
            self.numbers[n - 1] = uid
            self.there.add(uid)

    def forget(self, uid):
        self.there.discard(uid)
        self.flags.pop(uid, None)
        self.modseqs.pop(uid, None)
        self.mailbox.told_gone(self.message(uid))

    def may_remove(self, command):
        require(command not in KEEPS_NUMBERS, f'a message lost its number during {command}')

    def expunged(self, n, command):
        self.may_remove(command)
        require(not self.qresync, 'EXPUNGE where VANISHED was asked for')
        uid = self.number(n)
        del self.numbers[n - 1]
        if uid:
            self.forget(uid)

    def vanished(self, uids, command):
        self.may_remove(command)
        require(self.qresync, 'VANISHED, but nobody enabled it')
        for uid in uids:
            if uid in self.there:
                self.numbers.remove(uid)
            else:
                self.numbers.pop(self.nameless(uid))
            self.forget(uid)

    def nameless(self, uid):
        """The place of a message that may be this one, of those whose UIDs were not told."""
        known = [(u, i) for i, u in enumerate(self.numbers) if u]
        at = bisect.bisect(known, (uid, 0))
        low = known[at - 1][1] + 1 if at else 0
        high = known[at][1] if at < len(known) else len(self.numbers)
        require(low < high, f'UID {uid} vanished, which was never announced')
        return low

    def vanished_earlier(self, uids):
        for uid in uids:
            require(uid not in self.there, f'UID {uid} vanished earlier, and is there')
            if uid in self.flags:
                self.forget(uid)

    # -- messages

    def fetched(self, n, items):
        """Of a FETCH response; the UID, if it is known."""
        if 'UID' in items:
            self.name(n, int(items['UID']))
        uid = self.number(n)
        require(uid or not self.qresync, 'FETCH without UID after ENABLE QRESYNC')
        if not uid:
            return None
        m = self.message(uid)
        if 'ENVELOPE' in items:
            self.mailbox.told_name(m, items['ENVELOPE'][1].decode())
        if 'INTERNALDATE' in items:
            self.mailbox.told_fact(m, 'date', instant(items['INTERNALDATE']))
        if 'EMAILID' in items:
            self.mailbox.told_fact(m, 'email', items['EMAILID'][0])
        modseq = self.told_modseq(uid, items)
        if 'FLAGS' in items:
            self.flags[uid] = frozenset(f.decode() for f in items['FLAGS']) - {'\\Recent'}
            self.mailbox.told_flags(m, self.flags[uid], modseq)
        if m.name:
            for item, value in items.items():
                check_content(m, item, value)
        return uid

    def told_modseq(self, uid, items):
        if 'MODSEQ' not in items:
            return None
        modseq = int(items['MODSEQ'][0])
        require(modseq > 0, f'UID {uid} has mod-sequence 0')
        require(modseq >= self.modseqs.get(uid, 0), f'UID {uid}: mod-sequence {modseq}, was {self.modseqs.get(uid)}')
        self.modseqs[uid] = modseq
        self.mailbox.told_modseq(modseq)
        return modseq


def check_content(m, item, value):
    """Of a message whose bytes are known."""
    expected = expected_content(mail(m.name), item)
    if expected is not None and value != expected and (value is not None or not m.removable):  # NIL may be: it is gone
        raise Contradiction(f'{item} of UID {m.uid} ({m.name}): {repr(value)[:120]}..., not {expected[:120]!r}...')


def expected_content(mail, item):
    """What FETCH must tell; None: not looked at."""
    if item == 'RFC822.SIZE':
        return b'%d' % mail.size
    m = re.fullmatch(r'(BODY|BINARY|BINARY\.SIZE)\[(.*?)\](?:<(\d+)>)?', item)
    if not m:
        return None
    if m[1] != 'BODY' and m[2]:
        part = int(m[2]) - 1
        data = mail.parts[part] if part < len(mail.parts) else None
        return data if data is None or m[1] == 'BINARY' else b'%d' % len(data)
    data = {'': mail.bytes, 'HEADER': mail.header, 'TEXT': mail.body}.get(m[2])
    return data if data is None or not m[3] else data[int(m[3]):int(m[3]) + 100]


class Untagged:
    """Reads untagged responses into a session's view and the answer of the command that goes on."""

    def __init__(self, session):
        self.session = session

    def take(self, line, command, answer):
        m = re.match(rb'(\d+) (\w+) ?', line)
        if m:
            return self.numbered(int(m[1]), m[2].upper(), line[m.end():], command, answer)
        word, _, rest = line.partition(b' ')
        word = word.upper().decode()
        answer.lines.append((word, rest))
        require(word in ('FLAGS', 'OK', 'NO', 'BYE', 'VANISHED', 'SEARCH', 'ESEARCH', 'SORT', 'THREAD', 'STATUS', 'LIST', 'CAPABILITY',
                         'ENABLED'), f'what is this: {line[:80]!r}')
        if word == 'VANISHED':
            self.vanished(rest.decode(), command)

    def numbered(self, n, word, rest, command, answer):
        view = self.session.view
        require(word in (b'EXISTS', b'RECENT', b'EXPUNGE', b'FETCH'), f'what is this: {n} {word}')
        require(word != b'RECENT' or not self.session.rev2, 'RECENT after ENABLE IMAP4rev2')
        require(view, f'{n} {word.decode()} with no mailbox selected')
        if word == b'EXISTS':
            view.exists(n)
        elif word == b'EXPUNGE':
            view.expunged(n, command)
        elif word == b'FETCH':
            items = parse(rest)[0]
            items = dict(zip([i.decode() for i in items[::2]], items[1::2]))
            require(not view.condstore or 'FLAGS' not in items or 'MODSEQ' in items or command in ('FETCH', 'UID FETCH'),
                    'FETCH without MODSEQ after CONDSTORE was enabled')
            uid = view.fetched(n, items)
            answer.fetched.setdefault(uid, {}).update(items)

    def vanished(self, rest, command):
        view = self.session.view
        require(view, 'VANISHED with no mailbox selected')
        m = re.fullmatch(r'(\(EARLIER\) )?([\d:,]+)', rest)
        require(m, f'VANISHED {rest[:80]}')
        if m[1]:
            require(command in ('SELECT', 'EXAMINE', 'UID FETCH'), f'VANISHED (EARLIER) during {command}')
            view.vanished_earlier(uid_list(m[2]))
        else:
            view.vanished(uid_list(m[2]), command)
