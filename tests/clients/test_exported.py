"""Other programs read what `perdura export` writes: mbsync takes the Maildir over, mutt opens it, and the mbox."""

import pytest
from mail import LARGE, need, run
from test_mbsync import Mbsync
from test_mutt import Mutt


@pytest.fixture
def exported(person, node, tmp_path):
    look = person.look()
    look.do(look.select("INBOX"))
    look.do(look.store("1:3", "+FLAGS", r"(\Flagged \Seen)"))
    look.do(look.unselect())
    node.perdura("export", person.address, tmp_path / "out")
    return look, tmp_path / "out"


MBSYNC = """
FSync no

MaildirStore far
Inbox {out}
SubFolders Maildir++

MaildirStore near
SubFolders Verbatim
Path {near}/
Inbox {near}/INBOX

Channel all
Far :far:
Near :near:
Patterns *
Create Near
SyncState {state}/
"""


@need("mbsync")
def test_mbsync_takes_it_over(exported, tmp_path):
    look, out = exported
    near, state = tmp_path / "near", tmp_path / "state"
    near.mkdir()
    state.mkdir()
    (tmp_path / "rc").write_text(MBSYNC.format(out=out, near=near, state=state))
    run("mbsync", "-c", tmp_path / "rc", "all")
    reader = Mbsync.__new__(Mbsync)
    reader.path = near
    assert reader.folders() == look.folders()
    for folder in look.folders():
        assert reader.state(folder) == look.contents(folder), folder


@need("mutt", "tmux")
def test_mutt_reads_it(exported, person, node, tmp_path):
    look, out = exported
    node.perdura("export", person.address, tmp_path / "out.mbox", "--folder", "Old")
    with Mutt(person, tmp_path) as mutt:
        mutt.shows(r"INBOX\] total=20\b")
        mutt.ask("c", "Open mailbox", str(out))
        mutt.shows(r"out\] total=20 flagged=3\b")
        mutt.ask("c", "Open mailbox", f"{out}/.Old")
        mutt.shows(rf"Old\] total={LARGE}\b")
        mutt.ask("c", "Open mailbox", f"{out}.mbox")
        mutt.shows(rf"out\.mbox\] total={LARGE}\b")
        mutt.keys("q")
