"""The quiet point: nobody does anything, and all must agree: each session's view, what STATUS counts, what a new session is
shown, and what was acknowledged."""
import asyncio

from acts import DIGITS, status, value
from mails import mail
from session import Session
from wire import Contradiction, require


class Judge:
    def __init__(self, server, world, seed):
        self.server, self.world, self.seed = server, world, seed
        self.fresh = None
        self.points = 0

    async def look(self, sessions):
        """At a quiet point. Sessions without a connection are passed over."""
        self.points += 1
        await asyncio.gather(*(s.quiet() for s in sessions))
        self.fresh = Session(f'fresh{self.points}.', self.server, self.world, self.seed)
        self.fresh.mode = 'condstore'
        await self.fresh.connect()
        here = set()
        for folder in await self.folders():
            here |= await self.folder(folder, sessions)
        self.fresh.wire.close()
        for name, told in self.world.names.items():
            require(not told.acknowledged or told.doomed or name in here, f'{name} was acknowledged, nobody deleted it, and it is nowhere')

    async def folders(self):
        answer = await self.fresh.say('LIST "" *')
        names = {rest.rpartition(b' ')[2].decode().strip('"') for rest in answer.of('LIST')}
        for f, there in self.world.folders.items():
            require(there is None or there == (f in names), f'{f} is {"not " if there else ""}there')
            self.world.folders[f] = f in names
        return sorted(names)

    async def folder(self, folder, sessions):
        """Returns the names of its messages."""
        fresh = self.fresh
        counts = status((await fresh.say(f'STATUS {folder} (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)')).of('STATUS')[0])
        await fresh.select(folder, examine=True)
        view = fresh.view
        self.counted(folder, view, counts)
        self.ledger(folder, view)
        for s in sessions:
            if s.view and s.view.mailbox is view.mailbox:
                self.agree(s, view)
        await self.bodies(view)
        for m in view.mailbox.messages.values():
            m.versions = {k: v for k, v in m.versions.items() if k == view.modseqs.get(m.uid)}
        return {view.message(u).name for u in view.there}

    @staticmethod
    def counted(folder, view, counts):
        told = {'MESSAGES': len(view.numbers), 'UIDVALIDITY': view.mailbox.validity,
                'UNSEEN': sum('\\Seen' not in f for f in view.flags.values()), 'HIGHESTMODSEQ': view.highest}
        for item, n in told.items():
            require(counts[item] == n, f'{folder}: STATUS has {item} {counts[item]}, a new session {n}')
        require(max(view.modseqs.values(), default=0) <= view.highest, f'{folder}: a mod-sequence above HIGHESTMODSEQ {view.highest}')
        require(max(view.there, default=0) < counts['UIDNEXT'], f'{folder}: a UID above UIDNEXT {counts["UIDNEXT"]}')

    @staticmethod
    def ledger(folder, view):
        for uid, m in view.mailbox.messages.items():
            require(m.removable or not m.certain or uid in view.there, f'{folder}: UID {uid} ({m.name}) is lost')
            require(not m.gone or uid not in view.there, f'{folder}: UID {uid} ({m.name}) was gone and is back')
            for keyword, is_set in m.owned.items():
                require(uid not in view.there or not isinstance(is_set, bool) or is_set == (keyword in view.flags[uid]),
                        f'{folder}: {keyword} of UID {uid} was acknowledged as {"set" if is_set else "removed"}')
        for uid, (counted, open_) in view.mailbox.reserved.items():
            n = (value(view.flags[uid]) - counted) % (1 << len(DIGITS))
            require(n <= open_, f'{folder}: the counter UID {uid} was counted to {counted} (and {open_} unanswered), is {value(view.flags[uid])}')

    @staticmethod
    def agree(s, view):
        try:
            require(s.view.numbers == view.numbers, f'has the UIDs {s.view.numbers}, a new session {view.numbers}')
            for uid, flags in s.view.flags.items():
                require(flags == view.flags[uid], f'UID {uid} has {sorted(flags)}, to a new session {sorted(view.flags[uid])}')
            for uid, modseq in s.view.modseqs.items():
                require(modseq == view.modseqs[uid], f'UID {uid} has mod-sequence {modseq}, to a new session {view.modseqs[uid]}')
        except Contradiction as e:
            raise Contradiction(f'{s.name} in {s.folder}: {e}') from None

    async def bodies(self, view):
        """Some, as they are now."""
        uids = [u for u in self.fresh.random.sample(view.numbers, min(5, len(view.numbers)))]
        if uids:
            answer = await self.fresh.say(f'UID FETCH {",".join(map(str, uids))} (BODY.PEEK[])')
            for u in uids:
                require(answer.fetched[u]['BODY[]'] == mail(view.message(u).name).bytes, f'UID {u} has other bytes')
