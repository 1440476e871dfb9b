"""curl: one command line, one thing done."""
import re
import shutil

from mail import LARGE, need, run

pytestmark = need("curl")


class Curl:
    def __init__(self, person):
        self.url = "imap://{}:{}".format(*person.server)
        self.login = ["-s", "-S", "--fail", "-u", f"{person.address}:{person.password}"]

    def __call__(self, path, *args, **more):
        return run("curl", *self.login, f"{self.url}/{path}", *args, **more).stdout

    def folders(self):
        return {line.split('"/" ')[1].strip().strip('"') for line in self("").splitlines()}

    def sync(self, folder, target, first=1, last=LARGE):
        """Every message as a file of its own, by one curl on one connection."""
        shutil.rmtree(target, ignore_errors=True)
        self(f"{folder};UID=[{first}-{last}]", "--create-dirs", "-o", f"{target}/#1")
        return {f.name: f.read_bytes() for f in target.iterdir()}

    def search(self, folder, query):
        return re.search(r"\* SEARCH([0-9 ]*)", self(folder, "-X", f"UID SEARCH {query}")).group(1).split()


def test_curl(person, tmp_path):
    curl, look = Curl(person), person.look()
    assert curl.folders() == {"INBOX", "Old", "Drafts", "Sent", "Junk", "Trash", "Archive"} == look.folders()

    # Synced twice, and nothing has moved.
    first = curl.sync("Old", tmp_path / "old")
    assert len(first) == LARGE and b"Letter 0." in first["1"] and all(b"\r\n\r\nLetter " in m for m in first.values())
    assert curl.sync("Old", tmp_path / "old") == first

    curl("INBOX", "-X", r"UID STORE 1:3 +FLAGS (\Flagged)")
    assert curl.search("INBOX", "FLAGGED") == ["1", "2", "3"]
    curl("INBOX", "-X", "UID MOVE 1:5 Archive")
    assert curl.search("INBOX", "ALL") == [str(u) for u in range(6, 21)]
    assert curl.search("Archive", "FLAGGED") == ["1", "2", "3"] and look.count("Archive") == 5

    # The folder goes; the past still has it, and the command brings it back as it was.
    at = person.snapshot("curl")
    curl("", "-X", "DELETE Old")
    assert "Old" not in curl.folders()
    assert run("curl", *curl.login, f"{curl.url}/Old;UID=1", ok=False).returncode != 0
    assert curl(f"%23at/{at}/Old;UID=1").encode().replace(b"\n", b"\r\n").count(b"Letter 0.") == 1
    person.restore(at, "Old")
    assert curl.sync("Old", tmp_path / "old") == first

    # And by hand: made again, and copied out of the past.
    curl("", "-X", "DELETE Old")
    curl("", "-X", "CREATE Old")
    curl(f"%23at/{at}/Old", "-X", "UID COPY 1:* Old")
    uids = curl.search("Old", "ALL")
    again = curl.sync("Old", tmp_path / "old", uids[0], uids[-1])
    assert sorted(again.values()) == sorted(first.values())


def test_curl_mail_in(person, tmp_path):
    """curl can also put a message into a folder."""
    curl = Curl(person)
    (tmp_path / "letter").write_bytes(b"Subject: by curl\r\n\r\nHere.\r\n")
    curl("Archive", "-T", tmp_path / "letter")
    assert curl("Archive;MAILINDEX=1") == "Subject: by curl\n\nHere.\n"
