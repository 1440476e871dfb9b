"""mbsync keeps a Maildir equal to the mailbox; after every turn the two are compared, message by message, flag by flag."""
import re
from collections import Counter
from pathlib import Path

from mail import LARGE, Person, kill_in_the_middle, message, need, run
from node import Node

pytestmark = need("mbsync")

FOLDERS = 200
FLAG = {"S": r"\Seen", "R": r"\Answered", "F": r"\Flagged", "D": r"\Draft", "T": r"\Deleted"}

CONFIG = """
FSync no

IMAPStore far
Host {host}
Port {port}
User {user}
Pass "{password}"
SSLType None
AuthMechs LOGIN
PipelineDepth 50

MaildirStore near
SubFolders Verbatim
Path {path}/
Inbox {path}/INBOX

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Near
Expunge Both
SyncState *
"""


class Mbsync:
    def __init__(self, person, scratch):
        self.person, self.path, self.config = person, scratch / "maildir", scratch / "mbsyncrc"
        self.path.mkdir()

    def command(self):
        person, (host, port) = self.person, self.person.server
        self.config.write_text(CONFIG.format(host=host, port=port, user=person.address, password=person.password, path=self.path))
        return ["mbsync", "-c", self.config, "all"]

    def __call__(self, ok=True):
        return run(*self.command(), ok=ok)

    def idles(self):
        """A turn that finds nothing to do: no file is made, renamed or removed, and the account's log does not grow."""
        before = self.person.changes(), sorted(self.path.rglob("*:2,*"))
        self()
        return before == (self.person.changes(), sorted(self.path.rglob("*:2,*")))

    def folders(self):
        return {p.name for p in self.path.iterdir() if (p / "cur").is_dir()}

    def files(self, folder):
        return [f for part in ("cur", "new") for f in (self.path / folder / part).iterdir()]

    def state(self, folder):
        found = Counter()
        for f in self.files(folder):
            letters = f.name.partition(":2,")[2]
            id = re.search(rb"^Message-ID: *(\S+)", f.read_bytes(), re.M | re.I).group(1).decode()
            found[id, frozenset(FLAG[c] for c in letters)] += 1
        return found


def test_mbsync(person, tmp_path):
    mbsync, look = Mbsync(person, tmp_path), person.look()

    def equal():
        assert mbsync.folders() == look.folders()
        for folder in look.folders():
            assert mbsync.state(folder) == look.contents(folder), folder
        return True

    # Synced twice: the second turn has nothing to do.
    assert not mbsync.idles()
    assert equal() and len(mbsync.files("Old")) == LARGE
    assert mbsync.idles() and equal()

    # Flags set on either side, and a message moved on either side.
    near = sorted(mbsync.files("INBOX"))
    rename(near[0], near[0].parent.parent / "cur", "FS")
    rename(near[1], mbsync.path / "Archive" / "cur", "S", keep_uid=False)
    look.do(look.select("INBOX"))
    look.do(look.store("19", "+FLAGS", r"(\Answered)"))
    look.do(look._simple_command("MOVE", "20", "Archive"))
    look.do(look.unselect())
    mbsync()
    mbsync()
    assert equal() and look.count("INBOX") == 18 and look.count("Archive") == 2

    # Somebody deletes the folder. It comes back as itself, and mbsync has nothing to fetch.
    before, identity = look.contents("Old"), look.identity("Old")
    at = person.snapshot("mbsync")
    look.do(look.unselect())
    look.do(look.delete("Old"))
    person.restore(at, "Old")
    assert look.identity("Old") == identity
    assert mbsync.idles() and equal()

    # The user deletes all of it on this side; mbsync carries that out; the command brings all of it back, to both sides.
    for f in mbsync.files("Old"):
        f.unlink()
    mbsync()
    assert equal() and look.count("Old") == 0
    person.restore(at, "Old")
    mbsync()
    assert equal() and look.contents("Old") == before

    # By hand: copied out of the past into the emptied folder.
    for f in mbsync.files("Old"):
        f.unlink()
    mbsync()
    look.do(look.select(f'"#at/{at}/Old"', readonly=True))
    look.do(look.copy("1:*", "Old"))
    look.do(look.unselect())
    mbsync()
    assert equal() and look.contents("Old") == before


def test_many_folders_and_a_node_that_dies(tmp_path):
    """What is sent again after the node came back is there once."""
    with Node(tmp_path / "node") as node:
        person = Person(node, "ada", tmp_path, large=500)
        mbsync, look = Mbsync(person, tmp_path), person.look()
        for i in range(FOLDERS):
            look.do(look.create(f"f{i}"))
            look.put(f"f{i}", "far", i)
        mbsync()
        for turn in range(2):
            for i in range(FOLDERS):
                (mbsync.path / f"f{i}" / "new" / f"{turn}.here").write_text(message(f"near{turn}", i))
            kill_in_the_middle(person, mbsync.command())
            look = person.look()
            look.put(f"f{FOLDERS - 1}", f"meanwhile{turn}", 1)
        mbsync()
        assert mbsync.idles()
        assert mbsync.folders() == look.folders()
        for folder in look.folders():
            assert mbsync.state(folder) == look.contents(folder), folder
        last = FOLDERS - 1
        for i in range(FOLDERS):
            names = ["far", "near0", "near1"]
            assert look.ids(f"f{i}") == Counter([f"<{n}.{i}@example.org>" for n in names] +
                                                [f"<meanwhile{turn}.1@example.org>" for turn in range(2) if i == last])


def rename(file, folder, letters, keep_uid=True):
    """As a mail program does it on a Maildir; in another folder the message gets a new name (mbsync keeps the UID in it)."""
    base = file.name.partition(":2,")[0]
    if not keep_uid:
        base = base.partition(",U=")[0] + ".moved"
    Path(file).rename(folder / f"{base}:2,{letters}")
