"""Python's imaplib, as scripts use it, with a cache of its own that it brings up to date by UID."""
from mail import LARGE


class Cache:
    """What a client keeps of a folder: UIDVALIDITY and the flags of each UID."""

    def __init__(self, imap):
        self.imap, self.folders = imap, {}

    def sync(self, folder):
        """Returns how many messages had to be fetched, were changed, went."""
        validity, uids = self.imap.identity(folder)
        old_validity, old = self.folders.get(folder, (None, {}))
        if validity != old_validity:
            old = {}
        now = {}
        for line in self.imap.do(self.imap.uid("FETCH", "1:*", "(FLAGS)")) if uids else []:
            uid = int(line.split(b"UID ")[1].split()[0].rstrip(b")"))
            now[uid] = frozenset(line.split(b"FLAGS (")[1].split(b")")[0].split()) - {rb"\Recent"}
        assert sorted(now) == sorted(map(int, uids))
        self.folders[folder] = validity, now
        return (len(now.keys() - old.keys()), sum(now[u] != old[u] for u in now.keys() & old.keys()), len(old.keys() - now.keys()))


def test_imaplib(person):
    c, other = person.look(), person.look()
    cache = Cache(other)

    assert c.folders() == {"INBOX", "Old", "Drafts", "Sent", "Junk", "Trash", "Archive"}
    assert cache.sync("INBOX") == (20, 0, 0) and cache.sync("Old") == (LARGE, 0, 0)
    assert cache.sync("INBOX") == (0, 0, 0) and cache.sync("Old") == (0, 0, 0)

    c.do(c.select("INBOX"))
    c.do(c.store("1:3", "+FLAGS", r"(\Flagged $Work)"))
    assert cache.sync("INBOX") == (0, 3, 0)
    c.do(c._simple_command("MOVE", "1:5", "Archive"))
    assert cache.sync("INBOX") == (0, 0, 5) and cache.sync("Archive") == (5, 0, 0)
    assert sum(r"\Flagged" in flags and "$Work" in flags for _, flags in c.contents("Archive")) == 3

    # The whole folder goes, and comes back as itself: the cache holds.
    before, identity = c.contents("Old"), c.identity("Old")
    at = person.snapshot("imaplib-1")
    c.do(c.unselect())
    c.do(c.delete("Old"))
    assert "Old" not in c.folders()
    person.restore(at, "Old")
    assert c.identity("Old") == identity and c.contents("Old") == before
    assert cache.sync("Old") == (0, 0, 0)

    # Its messages are expunged, and come back with new UIDs.
    c.do(c.select("Old"))
    c.do(c.store("1:*", "+FLAGS.SILENT", r"(\Deleted)"))
    c.do(c.expunge())
    assert cache.sync("Old") == (0, 0, LARGE)
    person.restore(at, "Old")
    assert c.contents("Old") == before
    assert cache.sync("Old") == (LARGE, 0, 0)
    assert min(cache.folders["Old"][1]) > int(identity[1][-1])

    # The same by hand, out of the past.
    c.do(c.unselect())
    c.do(c.delete("Old"))
    c.copy_out(at, "Old")
    assert c.contents("Old") == before
    assert cache.sync("Old") == (LARGE, 0, 0)
    assert cache.folders["Old"][0] != identity[0]


def test_imaplib_told_at_once(person):
    """A session that has the folder open sees its messages come back."""
    c, watcher = person.look(), person.look()
    at = person.snapshot("imaplib-2")
    c.do(c.select("INBOX"))
    c.do(c.store("1:*", "+FLAGS.SILENT", r"(\Deleted)"))
    c.do(c.expunge())
    watcher.do(watcher.select("INBOX"))
    person.restore(at, "INBOX")
    watcher.do(watcher.noop())
    assert watcher.response("EXISTS")[1][-1] == b"20"
