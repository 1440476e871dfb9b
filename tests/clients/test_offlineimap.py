"""OfflineIMAP keeps a Maildir equal to the mailbox, in both directions, and goes on where a node that was killed left it.

Without COMPRESS: its imaplib2 (3.05) waits for the socket while the rest of an answer lies inflated in its own hands."""
import re
from collections import Counter

from mail import Person, kill_in_the_middle, message, need, run
from node import Node

pytestmark = need("offlineimap")

FOLDERS = 200
FLAG = {"S": r"\Seen", "R": r"\Answered", "F": r"\Flagged", "D": r"\Draft", "T": r"\Deleted"}

CONFIG = """
[general]
accounts = ada
metadata = {scratch}/state
fsync = False

[Account ada]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = {scratch}/maildir
sep = /

[Repository far]
type = IMAP
remotehost = {host}
remoteport = {port}
remoteuser = {user}
remotepass = {password}
ssl = no
starttls = no
usecompression = no
auth_mechanisms = PLAIN
maxconnections = 3
"""


class OfflineImap:
    def __init__(self, person, scratch):
        self.person, self.path, self.scratch = person, scratch / "maildir", scratch

    def command(self):
        config, (host, port) = self.scratch / "offlineimaprc", self.person.server
        config.write_text(CONFIG.format(scratch=self.scratch, host=host, port=port, user=self.person.address,
                                        password=self.person.password))
        return ["offlineimap", "-o", "-u", "quiet", "-c", str(config)]

    def __call__(self):
        run(*self.command())

    def folders(self):
        return {str(p.parent.relative_to(self.path)) for p in self.path.rglob("cur")}

    def files(self, folder):
        return [f for part in ("cur", "new") for f in (self.path / folder / part).iterdir()]

    def contents(self, folder):
        found = Counter()
        for f in self.files(folder):
            id = re.search(rb"^Message-ID: *(\S+)", f.read_bytes(), re.M | re.I).group(1).decode()
            found[id, frozenset(FLAG[c] for c in f.name.partition(":2,")[2])] += 1
        return found


def test_offlineimap(tmp_path):
    with Node(tmp_path / "node") as node:
        person = Person(node, "ada", tmp_path, large=500)
        look = person.look()
        for i in range(FOLDERS):
            look.do(look.create(f"deep/er/{i}"))
            look.put(f"deep/er/{i}", f"f{i}", 1)
        sync = OfflineImap(person, tmp_path)

        def equal():
            assert sync.folders() == look.folders()
            for folder in sync.folders():
                assert sync.contents(folder) == look.contents(folder), folder
            return True

        sync()
        assert equal()

        # Flags, removed and new messages on either side.
        near = sorted(sync.files("INBOX"))
        near[0].rename(near[0].parent.parent / "cur" / (near[0].name.partition(":2,")[0] + ":2,FS"))
        near[1].unlink()
        (sync.path / "deep/er/7/new/1.from-here").write_text(message("here", 1))
        look.do(look.select("INBOX"))
        look.do(look.store("10", "+FLAGS", r"(\Answered \Seen)"))
        look.do(look._simple_command("MOVE", "12", "deep/er/8"))
        look.put("deep/er/9", "there", 1)
        look.do(look.unselect())
        sync()
        assert equal() and look.count("INBOX") == 18 and look.count("deep/er/7") == 2

        # The node dies while it works, more than once, and comes back.
        for i in range(FOLDERS):
            (sync.path / f"deep/er/{i}/new/2.from-here").write_text(message(f"again{i}", 2))
        for _ in range(2):
            kill_in_the_middle(person, sync.command())
        look = person.look()
        sync()
        assert equal() and all(look.count(f"deep/er/{i}") >= 2 for i in range(FOLDERS))
