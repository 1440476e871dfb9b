"""A client loses messages, flags and a folder's name; undo brings them back, and mbsync sees it by itself."""
import shutil

from mail import need
from test_mbsync import Mbsync, rename

pytestmark = need("mbsync")


def undo(person, first, last, *more):
    person.node.perdura("undo", person.address, "--since", f"@{first}", "--until", f"@{last}", "--yes", *more)


def test_undo(person, tmp_path):
    mbsync, look = Mbsync(person, tmp_path), person.look()

    def settled():
        for gone in mbsync.folders() - look.folders():  # mbsync leaves what is not empty to the user
            shutil.rmtree(mbsync.path / gone)
        mbsync()
        mbsync()
        assert mbsync.folders() == look.folders()
        for folder in look.folders():
            assert mbsync.state(folder) == look.contents(folder), folder
        return True

    def contents():
        return {folder: look.contents(folder) for folder in look.folders()}

    assert settled()
    before, start, identity = contents(), person.changes(), look.identity("Old")[0]

    # The client's side: a thousand messages deleted, one flagged, one moved. The server's: Old renamed, a folder deleted.
    for f in mbsync.files("Old")[:1000]:
        f.unlink()
    near = sorted(mbsync.files("INBOX"))
    rename(near[0], near[0].parent.parent / "cur", "FS")
    rename(near[1], mbsync.path / "Archive" / "cur", "S", keep_uid=False)
    assert settled()
    look.do(look.rename("Old", "Older"))
    look.do(look.delete("Drafts"))
    assert settled()
    after, end = contents(), person.changes()
    assert after != before

    undo(person, start + 1, end)
    assert settled() and contents() == before and look.identity("Old")[0] == identity
    assert mbsync.idles()

    undone = person.changes()
    undo(person, end + 1, undone)
    assert settled() and contents() == after

    undo(person, undone + 1, person.changes())
    assert settled() and contents() == before
