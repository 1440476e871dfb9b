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

    def sync(self, folder):
        """All UIDs, and those with a flag. (FETCH of many messages is not for curl: it takes 300 KB of answer, and counts
        what it reads several times.)"""
        return [self.search(folder, query) for query in ("ALL", "SEEN", "FLAGGED", "DELETED")]

    def bodies(self, folder, uids, target):
        """Messages as files, by one curl on one connection."""
        shutil.rmtree(target, ignore_errors=True)
        self(f"{folder};UID={{{','.join(uids)}}}", "--create-dirs", "-o", f"{target}/#1")
        return [(target / uid).read_bytes() for uid in uids]

    def search(self, folder, query):
        return re.search(r"\* SEARCH([0-9 ]*)", self(folder, "-X", f"UID SEARCH {query}")).group(1).split()


def test_curl(person, tmp_path):
    curl, look = Curl(person), person.look()
    assert curl.folders() == {"INBOX", "Old", "Drafts", "Sent", "Junk", "Trash", "Archive"} == look.folders()

    # Synced twice, and nothing has moved.
    curl("Old", "-X", r"UID STORE 10:20 +FLAGS (\Seen \Flagged)")
    some = curl.search("Old", "ALL")[::100]
    letters = curl.bodies("Old", some, tmp_path / "old")  # which makes them \Seen
    first = curl.sync("Old")
    assert len(first[0]) == LARGE and all(b"\r\n\r\nLetter " in letter for letter in letters)
    assert curl.sync("Old") == first

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
    assert curl.sync(f"%23at/{at}/Old") == first
    assert curl.bodies(f"%23at/{at}/Old", some[:1], tmp_path / "old") == letters[:1]
    person.restore(at, "Old")
    assert curl.sync("Old") == first and curl.bodies("Old", some, tmp_path / "old") == letters

    # And by hand: made again, and copied out of the past.
    curl("", "-X", "DELETE Old")
    curl("", "-X", "CREATE Old")
    curl(f"%23at/{at}/Old", "-X", "UID COPY 1:* Old")
    again = curl.sync("Old")
    assert [len(uids) for uids in again] == [len(uids) for uids in first]
    assert curl.bodies("Old", again[0][::100], tmp_path / "old") == letters


def test_curl_mail_in(person, tmp_path):
    """curl can also put a message into a folder."""
    curl = Curl(person)
    (tmp_path / "letter").write_bytes(b"Subject: by curl\r\n\r\nHere.\r\n")
    curl("Archive", "-T", tmp_path / "letter")
    assert curl("Archive;MAILINDEX=1") == "Subject: by curl\n\nHere.\n"
