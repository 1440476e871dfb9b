"""What a session may do next, at random. Each act makes one command, or a few that are sent at once; what is asked for is
entered into the world before, what was answered after."""
import asyncio

from mails import mail
from session import Command
from wire import require
from world import instant, uid_list, uid_set

FLAGS = ('\\Seen', '\\Answered', '\\Flagged', '\\Draft', 'work', 'later')
DIGITS = tuple(f'$b{i}' for i in range(12))  # of a counter, lowest first
FULL = 120                                   # messages of a folder from which on more are removed than added


def after(flags, mode, change):
    return flags | change if mode == '+' else flags - change if mode == '-' else change


def value(flags):
    """Of a counter."""
    return sum(1 << i for i, d in enumerate(DIGITS) if d in flags)


class Acts:
    def __init__(self, session, folders):
        self.s, self.random, self.world = session, session.random, session.world
        self.folders = folders             # that are always there
        self.mine = f'{session.name}.one', f'{session.name}.two'  # that this session makes, renames and deletes
        self.own = f'$own-{session.name}'  # a keyword that nobody else touches
        self.made = 0
        self.world.folders.update({f: False for f in self.mine})

    @property
    def view(self):
        return self.s.view

    def choose(self):
        """An act that can be done now."""
        if not self.view:
            return self.random.choice((self.reselect, self.reselect, self.append, self.status, self.list))
        free = self.free()
        can = self.s.server.can
        acts = [(self.noop, 4), (self.idle, 3), (self.status, 2), (self.reselect, 2), (self.close, 1), (self.reconnect, 1), (self.append, 8),
                (self.garden, 1), (self.list, 1), (self.appends, can('MULTIAPPEND')), (self.cut, 0.5)]
        if free:
            acts += [(self.fetch, 12), (self.search, 6), (self.pipeline, 6), (self.copy, 2), (self.changed, 3), (self.saved, can('SEARCHRES')),
                     (self.page, can('PARTIAL'))]
            if self.s.writable:
                acts += [(self.store, 12), (self.move, 2), (self.count, 6), (self.replace, can('REPLACE'))]
                acts += [(self.delete, 8 if len(self.view.numbers) > FULL else 2), (self.expunge, 4)]
        return self.random.choices([a for a, _ in acts], [n for _, n in acts])[0]

    # -- choosing

    def free(self):
        """The UIDs that may be changed by anybody."""
        return [u for u in self.view.numbers if u and u not in self.view.mailbox.reserved]

    def some(self, most=20):
        """UIDs."""
        free = self.free()
        if self.random.random() < 0.5:  # neighbours
            at = self.random.randrange(len(free))
            return free[at:at + self.random.randint(1, most)]
        return sorted(self.random.sample(free, min(len(free), self.random.randint(1, most))))

    def naming(self, uids, by_uid):
        """('UID ', set) or ('', set)"""
        if by_uid:
            return 'UID ', uid_set(uids)
        places = {u: i + 1 for i, u in enumerate(self.view.numbers)}
        return '', uid_set(places[u] for u in uids)

    def any_folder(self):
        return self.random.choice(self.folders * 4 + list(self.world.folders))

    def may_fail(self, uids):
        return lambda: self.s.fragile(uids)

    # -- messages

    async def fetch(self):
        await self.s.ask(self.a_fetch(self.random.random() < 0.6))

    def a_fetch(self, by_uid):
        uids = self.some()
        items = self.random.choice(('FLAGS', 'FLAGS MODSEQ', 'ENVELOPE BODYSTRUCTURE', 'BODY.PEEK[]', 'BODY.PEEK[HEADER] RFC822.SIZE',
                                    'BODY.PEEK[TEXT]<10.100>', 'BODY[TEXT]', 'BINARY.PEEK[1]', 'BINARY.PEEK[2]', 'BINARY.SIZE[2]',
                                    'INTERNALDATE EMAILID', 'FLAGS RFC822.SIZE ENVELOPE BODY.PEEK[]<0.100>', 'BINARY.PEEK[3]'))
        if 'MODSEQ' in items and not self.view.condstore:
            items = 'FLAGS'
        items = self.server_items(items)
        if 'BODY[TEXT]' in items and not self.s.writable:
            items = 'FLAGS'
        if 'PEEK[]' in items or 'BINARY' in items:
            uids = uids[:6]
        names = [i.replace('.PEEK', '').replace('<10.100>', '<10>').replace('<0.100>', '<0>') for i in items.split()]
        word, which = self.naming(uids, by_uid)

        def check(answer):
            for uid in uids:
                got = answer.fetched.get(uid, {})
                for name in names:
                    require(name in got or uid not in self.view.there or self.s.fragile([uid]), f'FETCH did not tell {name} of UID {uid}')
        return Command(f'{word}FETCH {which} ({items})', check, self.may_fail(uids))

    def server_items(self, items):
        return self.s.server.items(items) or 'FLAGS'

    async def changed(self):
        """What changed since some time ago."""
        if not self.view.condstore or not self.view.modseqs:
            return await self.fetch()
        since = self.random.choice(list(self.view.modseqs.values()))
        vanished = ' VANISHED' if self.view.qresync and self.random.random() < 0.5 else ''
        last = max(self.view.known())

        def check(answer):
            for uid, items in answer.fetched.items():
                require(uid is None or int(items['MODSEQ'][0]) > since, f'UID {uid} did not change since {since}')
            for uid, modseq in self.view.modseqs.items():
                require(modseq <= since or uid > last or uid in answer.fetched or uid not in self.view.there or self.s.fragile([uid]),
                        f'UID {uid} changed at {modseq}, and FETCH CHANGEDSINCE {since} did not tell')
        await self.s.say(f'UID FETCH 1:{last} (FLAGS) (CHANGEDSINCE {since}{vanished})', check=check)

    async def store(self):
        await self.s.ask(self.a_store(self.random.random() < 0.6))

    def a_store(self, by_uid, uids=None, change=None, mode=None):
        """Its own keyword, or flags that are everybody's; those that replace all are only for messages that carry no owned one."""
        view, uids = self.view, uids or self.some()
        mode = mode or self.random.choice('++-')
        change = change or frozenset(self.random.sample(FLAGS, self.random.randint(1, 2)) if self.random.random() < 0.5 else [self.own])
        if self.random.random() < 0.2 and self.own not in change and (plain := [u for u in uids if u % 3 == 0]):
            uids, mode = plain, ''
        elif self.own in change and not (uids := [u for u in uids if u % 3]):
            uids, change = self.some(), frozenset(FLAGS[:1])
        if '\\Deleted' in change and mode != '-':
            for u in uids:
                view.mailbox.dooms(view.message(u))
        token = object()
        if self.own in change:
            for u in uids:
                view.message(u).owned[self.own] = token
        since = max((view.modseqs.get(u, 0) for u in uids), default=0) if view.condstore and self.random.random() < 0.4 else 0
        silent = '.SILENT' if self.random.random() < 0.4 else ''
        word, which = self.naming(uids, by_uid)
        numbers, before = list(view.numbers), dict(view.modseqs)

        def check(answer):
            refused = uid_list(answer.codes().get('MODIFIED', '0'))
            refused = {u if by_uid else numbers[u - 1] for u in refused if u}
            require(refused <= set(uids), f'MODIFIED names {refused}')
            for u in set(uids) - refused:
                if self.own in change and view.message(u).owned[self.own] is token:
                    view.message(u).owned[self.own] = mode == '+'
                if u in view.flags and 'FLAGS' not in answer.fetched.get(u, {}):
                    self.assume(view, u, after(view.flags[u], mode, change), answer.fetched.get(u, {}), before.get(u))
        condition = f' (UNCHANGEDSINCE {since})' if since else ''
        return Command(f'{word}STORE {which}{condition} {mode}FLAGS{silent} ({" ".join(sorted(change))})', check, self.may_fail(uids))

    def assume(self, view, uid, flags, told, before):
        """A STORE that did not tell the flags: they are what the client makes of its own copy, unless the message is gone, which it was
        not told yet: that one stays at the mod-sequence it had before."""
        modseq = int(told['MODSEQ'][0]) if 'MODSEQ' in told else None
        if modseq and modseq == before and flags != view.flags[uid]:
            require(self.s.fragile([uid]), f'STORE left UID {uid} as it was')
            return
        view.flags[uid] = flags
        if modseq:
            view.mailbox.told_flags(view.message(uid), flags, modseq)
        else:
            view.modseqs.pop(uid, None)

    async def delete(self):
        await self.s.ask(self.a_store(True, self.some(40 if len(self.view.numbers) > FULL else 3), frozenset(['\\Deleted']),
                                      self.random.choice('+++-')))

    async def expunge(self):
        """Only what was marked is removed."""
        uids = self.some(60)
        text = self.random.choice(('EXPUNGE', f'UID EXPUNGE {uid_set(uids)}'))
        await self.s.say(text)

    async def count(self):
        """Counts a counter up if nobody else did meanwhile: none of those that were answered may get lost."""
        box = self.view.mailbox
        here = [u for u in box.reserved if self.view.modseqs.get(u)]
        if not self.view.condstore or not here:
            return await self.store()
        uid = self.random.choice(here)
        n = (value(self.view.flags[uid]) + 1) % (1 << len(DIGITS))
        digits = ' '.join(d for i, d in enumerate(DIGITS) if n >> i & 1)
        counted, open_ = box.reserved[uid]
        box.reserved[uid] = counted, open_ + 1

        def check(answer):
            counted, open_ = box.reserved[uid]
            box.reserved[uid] = counted + ('MODIFIED' not in answer.codes()), open_ - 1
        await self.s.say(f'UID STORE {uid} (UNCHANGEDSINCE {self.view.modseqs[uid]}) FLAGS ({digits})', check=check)

    async def search(self):
        await self.s.ask(self.a_search(self.random.random() < 0.6))

    def a_search(self, by_uid):
        view, word = self.view, self.random.choice(('SEARCH', 'SEARCH', 'SORT' if self.s.server.can('SORT') else 'SEARCH'))
        what, is_certain = self.a_criterion()
        order = self.random.choice(('SIZE', 'ARRIVAL', 'REVERSE SIZE')) if word == 'SORT' else ''
        extended = 'RETURN (ALL COUNT MIN MAX) ' if word == 'SEARCH' and self.s.server.can('ESEARCH') and self.random.random() < 0.4 else ''
        there = set(view.there)

        def check(answer):
            numbers = view.numbers
            answered = 'ESEARCH' if extended or (self.s.rev2 and word == 'SEARCH') else word
            require(answer.of(answered), f'{word} was not answered by {answered}')
            found = answer.found()
            if extended:
                check_extended(answer.of('ESEARCH')[0], found)
            if not by_uid:
                require(all(1 <= n <= len(numbers) for n in found), f'numbers of {len(numbers)}: {found}')
                found = [numbers[n - 1] for n in found if numbers[n - 1]]
            require(len(set(found)) == len(found), f'twice: {found}')
            require(None in view.numbers or set(found) <= there | view.there, f'not there: {set(found) - there - view.there}')
            for u in there & view.there:
                certain = is_certain(view.message(u))
                require(certain is None or certain == (u in found) or self.s.fragile([u]),
                        f'{what}: UID {u} ({view.message(u).name}) should {"" if certain else "not "}be found')
            check_order(order, [view.message(u) for u in found if u in view.there])
        sort = f'({order}) UTF-8 ' if order else ''
        return Command(f'{"UID " if by_uid else ""}{word} {extended}{sort}{what}', check)

    async def saved(self):
        """A search whose result the next command takes (RFC 5182)."""
        uids = self.some()

        def check(answer):
            for uid in uids:
                require('FLAGS' in answer.fetched.get(uid, {}) or uid not in self.view.there or self.s.fragile([uid]), f'$ has not UID {uid}')
        await self.s.ask(Command(f'UID SEARCH RETURN (SAVE) UID {uid_set(uids)}'), Command('UID FETCH $ (FLAGS)', check, self.may_fail(uids)))

    async def page(self):
        """Some of the results, from either end (RFC 9394)."""
        first, n, sign = self.random.randint(1, 20), self.random.randint(0, 9), self.random.choice(('', '-'))
        span, there = f'{sign}{first}:{sign}{first + n}', set(self.view.there)

        def check(answer):
            told = answer.of('ESEARCH')[-1].decode().partition('PARTIAL (')[2].rstrip(')').split()
            require(told and told[0] == span, f'asked for PARTIAL {span}, got {told}')
            found = uid_list(told[1]) if told[1] != 'NIL' else []
            require(len(set(found)) == len(found) <= n + 1, f'PARTIAL {span}: {found}')
            require(None in self.view.numbers or set(found) <= there | self.view.there, f'not there: {set(found) - there}')
        await self.s.say(f'UID SEARCH RETURN (PARTIAL {span}) ALL', check=check)

    def a_criterion(self):
        """(text, message: is it certain to be found (True), or not to be (False)?)"""
        uids = self.some()
        size = self.random.choice((300, 3000, 9000))
        name = self.view.message(uids[0]).name
        return self.random.choice((
            ('ALL', lambda m: True),
            (f'KEYWORD {self.own}', self.owned),
            (f'UNKEYWORD {self.own}', lambda m: None if self.owned(m) is None else not self.owned(m)),
            (f'UID {uid_set(uids)}', lambda m: m.uid in uids),
            (f'LARGER {size}', lambda m: mail(m.name).size > size if m.name else None),
            (f'OR SMALLER {size} UID {uid_set(uids)}', lambda m: m.uid in uids or (mail(m.name).size < size if m.name else None)),
            (f'SUBJECT "{name}"', lambda m: name in m.name if m.name else None),
            ('OR UNSEEN FLAGGED', lambda m: None)))

    def owned(self, m):
        known = m.owned.get(self.own)
        return known if isinstance(known, bool) else None

    async def pipeline(self):
        """Several at once. Numbers are meant as they were before, so nothing that may change them goes before (RFC 3501, 5.5)."""
        makers = (self.a_fetch, self.a_search, self.a_store) if self.s.writable else (self.a_fetch, self.a_search)
        by_uid = self.random.random() < 0.5
        commands = [self.random.choice(makers)(by_uid) for _ in range(self.random.randint(2, 5))]
        await self.s.ask(*commands, Command('NOOP'))

    async def copy(self):
        await self.transfer('COPY')

    async def move(self):
        await self.transfer('MOVE')

    async def transfer(self, verb):
        view, uids, to = self.view, self.some(5), self.any_folder()
        if to in self.world.folders:
            if verb == 'MOVE':
                uids = [u for u in uids if view.message(u).doomed]
                if not uids:
                    return
        for u in uids:
            m = view.message(u)
            m.removable = m.removable or verb == 'MOVE'
        word, which = self.naming(uids, self.random.random() < 0.5)
        known = self.world.known()

        def check(answer):
            told = answer.codes().get('COPYUID')
            if told:
                self.transferred(view.mailbox, uids, to, told, known)
            require(told or self.s.fragile(uids), f'{verb} told no COPYUID')
            if verb == 'MOVE' and told:
                left = set(uid_list(told.split()[1])) & view.there
                require(not left or view.mailbox.volatile, f'moved, and still there: {left}')
        await self.s.say(f'{word}{verb} {which} {to}', check=check,
                         may_fail=lambda: to in self.world.folders or self.s.fragile(uids))

    def transferred(self, mailbox, uids, to, told, known):
        validity, old, new = told.split()
        old, new = uid_list(old), uid_list(new)
        require(len(old) == len(new) and set(old) <= set(uids), f'COPYUID {told}, asked for {uids}')
        for u in set(uids) - set(old):
            require(mailbox.message(u).removable, f'UID {u} was left out')
        for u, v in zip(old, new):
            there, m = self.world.told_new(int(validity), to, v, known)
            source = mailbox.message(u)
            if source.name:
                there.told_name(m, source.name)
            for field in ('date', 'email'):
                if getattr(source, field):
                    there.told_fact(m, field, getattr(source, field))
            m.certain = m.certain or not source.doomed

    # -- folders

    async def noop(self):
        await self.s.say(self.random.choice(('NOOP', 'CHECK')))
        await self.s.learn()

    async def idle(self):
        answer = asyncio.ensure_future(self.s.answer(*await self.s.start_idle()))
        try:
            await asyncio.wait([answer], timeout=self.random.choice((0, 0.01, 0.1, 0.5)))
            if not answer.done():
                await self.s.wire.send(b'DONE\r\n')
            await answer
        finally:
            answer.cancel()
        await self.s.learn()

    async def status(self):
        folder, known = self.random.choice(self.folders), self.world.known()
        if folder == self.s.folder and not self.s.server.status_is_fresh:
            return
        items = 'MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ'
        answer = await self.s.say(f'STATUS {folder} ({items})')
        told = status(answer.of('STATUS')[0])
        self.world.told_counts(self.world.mailbox(told['UIDVALIDITY'], folder), told['UIDNEXT'], told['HIGHESTMODSEQ'], known)

    async def list(self):
        answer = await self.s.say('LIST "" *')
        names = {rest.rpartition(b' ')[2].decode().strip('"') for rest in answer.of('LIST')}
        require(set(self.folders) <= names, f'LIST has only {names}')
        for f in self.mine:
            there = self.world.folders[f]
            require(there is None or there == (f in names), f'{f} is {"not " if there else ""}there')

    async def append(self):
        self.made += 1
        name, folder = self.world.new_name(f'{self.s.name}-{self.made}'), self.any_folder()
        if self.view and len(self.view.numbers) > FULL and self.random.random() < 0.7:
            return
        await self.s.ask(self.an_append(name, folder, self.random.choice(('', '\\Seen', self.own))))

    async def appends(self):
        """Several messages by one command: all of them or none (RFC 3502)."""
        folder, known = self.any_folder(), self.world.known()
        names = self.new_names(self.random.randint(2, 4))
        texts, told = zip(*(self.a_message(name, folder, self.random.choice(('', '\\Seen'))) for name in names))

        def check(answer):
            validity, uids = answer.codes()['APPENDUID'].split()
            require(len(uid_list(uids)) == len(names), f'APPENDUID {uids} for {len(names)} messages')
            for uid, tell in zip(uid_list(uids), told):
                tell(int(validity), uid, known)
        await self.s.say(b'APPEND %s ' % folder.encode() + b' '.join(texts), check=check, may_fail=lambda: folder in self.world.folders)

    async def replace(self):
        """Another message in the place of one (RFC 8508)."""
        view, uids, folder = self.view, self.some(1), self.any_folder()
        view.mailbox.dooms(view.message(uids[0]))
        word, which = self.naming(uids, self.random.random() < 0.5)
        text, told = self.a_message(self.new_names(1)[0], folder, '')
        known = self.world.known()

        def check(answer):
            told(*map(int, answer.codes()['APPENDUID'].split()), known)
            require(uids[0] not in view.there or view.mailbox.volatile, f'UID {uids[0]} was replaced, and is still there')
        await self.s.say(f'{word}REPLACE {which} {folder} '.encode() + text, check=check, may_fail=lambda: True)

    async def cut(self):
        """The connection ends in the middle of a command: nothing of it may be done. So it is not entered into the world."""
        name = f'{self.s.name}-cut'
        append = b'APPEND %s {%d+}\r\n' % (self.any_folder().encode(), mail(name).size) + mail(name).bytes
        text = self.random.choice((append, b'UID STORE 1:* -FLAGS.SILENT (%s)' % self.own.encode()))
        await self.s.wire.send(b'cut ' + text[:self.random.randrange(len(text))])
        await asyncio.sleep(self.random.choice((0, 0.01, 0.1)))
        self.s.drop()

    def new_names(self, n):
        self.made += n
        return [self.world.new_name(f'{self.s.name}-{self.made - i}') for i in range(n)]

    def an_append(self, name, folder, flags=''):
        known = self.world.known()
        text, told = self.a_message(name, folder, flags)
        return Command(f'APPEND {folder} '.encode() + text, lambda answer: told(*map(int, answer.codes()['APPENDUID'].split()), known),
                       lambda: folder in self.world.folders)

    def a_message(self, name, folder, flags):
        """(what APPEND says of it, what is called with the UIDVALIDITY and the UID it got, and what was known before)"""
        date = '%2d-Jan-20%02d 10:00:00 +0000' % (self.random.randint(1, 28), self.random.randint(0, 20))
        date = self.random.choice((date, ''))
        self.world.names[name].doomed = folder in self.world.folders

        def told(validity, uid, known):
            mailbox, m = self.world.told_new(validity, folder, uid, known)
            m.certain = self.world.names[name].acknowledged = True
            if flags == self.own and uid % 3:
                m.owned[self.own] = True
            mailbox.told_name(m, name)
            if date:
                mailbox.told_fact(m, 'date', instant(date.encode()))
        return f'({flags}) {quoted(date)}{{{mail(name).size}+}}\r\n'.encode() + mail(name).bytes, told

    async def reselect(self):
        folder = self.any_folder()
        await self.s.select(folder, examine=self.random.random() < 0.15)

    async def close(self):
        """CLOSE removes what is marked, and tells nothing."""
        await self.s.say(self.random.choice(('CLOSE', 'UNSELECT')))
        self.s.view, self.s.shaky = None, False

    async def reconnect(self):
        await self.s.reconnect()

    async def garden(self):
        """Makes, renames or deletes a folder of its own; others may be in it."""
        if self.view and self.s.folder in self.mine:
            await self.close()  # what is deleted is selected no more
        f, g = self.random.sample(self.mine, 2)
        there = self.world.folders
        verb = 'CREATE' if not there[f] else self.random.choice(('DELETE', 'RENAME')) if not there[g] else 'DELETE'
        fine = there[f] is not None and there[g] is not None  # or nobody knows what a death left
        self.world.folders.update({f: None} if verb != 'RENAME' else {f: None, g: None})
        answer = await self.s.say(f'{verb} {f} {g if verb == "RENAME" else ""}'.strip(), may_fail=lambda: not fine)
        if answer.status == 'OK':
            self.world.folders[f] = verb == 'CREATE'
            if verb == 'RENAME':
                self.world.folders[g] = True


def quoted(date):
    return f'"{date}" ' if date else ''


def status(rest):
    """{item: number}"""
    words = rest[rest.rindex(b'(') + 1:-1].decode().split()
    return dict(zip(words[::2], map(int, words[1::2])))


def check_extended(told, found):
    words = told.partition(b') ')[2].decode().split()
    words = words[1:] if words[:1] == ['UID'] else words
    told = dict(zip(words[::2], words[1::2]))
    require(int(told['COUNT']) == len(found), f'COUNT {told["COUNT"]} of {len(found)}')
    if found:
        require(int(told['MIN']) == min(found) and int(told['MAX']) == max(found), f'MIN, MAX: {told}')


def check_order(order, messages):
    if 'SIZE' in order:
        keys = [mail(m.name).size for m in messages if m.name]
        require(keys == sorted(keys, reverse=order.startswith('REVERSE')), f'SORT {order}: {keys}')
    elif order == 'ARRIVAL':
        keys = [(m.date, m.uid) for m in messages if m.date]
        require(keys == sorted(keys), f'SORT ARRIVAL: {keys}')
