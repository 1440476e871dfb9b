"""What the sessions of all clients share: an account with mail, and a look at it through a connection of its own."""
import imaplib
import re
import shutil
import subprocess
from collections import Counter

import pytest
from node import PASSWORD, wait_until

LARGE = 10000  # messages in the folder to lose

imaplib._MAXLINE = 10_000_000


def need(*programs):
    """Skips aloud what cannot run here."""
    missing = [p for p in programs if not shutil.which(p)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {' '.join(missing)}")


def message(name, number):
    return (f"From: Anna Example <anna{number % 7}@example.org>\nTo: <someone@example.org>\n"
            f"Subject: Letter {number} of {name}\nDate: Fri, 20 Nov 2026 10:{number // 60 % 60:02}:{number % 60:02} +0000\n"
            f"Message-ID: <{name}.{number}@example.org>\n\nLetter {number}.\n\nFrom here on, nothing more.\n")


def write_mbox(path, name, n):
    with open(path, "w") as f:
        for i in range(n):
            f.write(f"From anna@example.org Fri Nov 20 10:{i // 60 % 60:02}:{i % 60:02} 2026\n"
                    + message(name, i).replace("\nFrom ", "\n>From ") + "\n")


class Person:
    """An account with 20 messages in INBOX and a folder Old of many."""

    def __init__(self, node, name, scratch, large=LARGE):
        self.node, self.name, self.password = node, name, PASSWORD
        self.address = f"{name}@example.org"
        self.server = node.tcp("listen.imap")
        node.add(self.address)
        self.fill("INBOX", 20, scratch)
        self.fill("Old", large, scratch)

    def fill(self, folder, n, scratch):
        write_mbox(scratch / "mbox", f"{self.name}.{folder.lower()}", n)
        self.node.perdura("import", self.address, scratch / "mbox", "--folder", folder)

    def look(self):
        return Look(self.server, self.address, self.password)

    def changes(self):
        """The number of the account's last change."""
        return self.node.json("account", "show", self.address)["change"]

    def snapshot(self, name):
        self.node.perdura("snapshot", "create", name)
        return name

    def restore(self, at, folder):
        return self.node.perdura("restore", self.address, "--at", at, "--folder", folder)


class Look(imaplib.IMAP4):
    """A second opinion: the server's state, read on a connection that no client under test shares."""

    def __init__(self, address, user, password):
        super().__init__(*address, timeout=60)
        self.login(user, password)

    def do(self, reply):
        status, data = reply
        assert status == "OK", (status, data)
        return data

    def put(self, folder, name, number):
        self.do(self.append(folder, None, None, message(name, number).replace("\n", "\r\n").encode()))

    def folders(self):
        names = [re.search(rb'"/" (.*)$', line).group(1).strip(b'"').decode() for line in self.do(self.list())]
        return set(names)

    def identity(self, folder):
        """(UIDVALIDITY, all UIDs): what a client's cache rests upon."""
        self.do(self.select(f'"{folder}"', readonly=True))
        validity = int(self.response("UIDVALIDITY")[1][0])
        return validity, self.do(self.uid("SEARCH", "ALL"))[0].split()

    def contents(self, folder):
        """How often each (Message-ID, flags) is there."""
        if int(self.do(self.select(f'"{folder}"', readonly=True))[0]) == 0:
            return Counter()
        found = Counter()
        for part in self.do(self.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")):
            if isinstance(part, tuple):
                flags = frozenset(f.decode() for f in imaplib.ParseFlags(part[0]) if f != rb"\Recent")
                found[part[1].split(b":", 1)[1].strip().decode(), flags] += 1
        return found

    def count(self, folder):
        return sum(self.contents(folder).values())

    def ids(self, folder):
        return Counter(id for id, _ in self.contents(folder).elements())

    def copy_out(self, at, folder):
        """Brings a folder back as a client does it: out of the past, into a folder of the same name."""
        self.do(self.create(folder))
        self.do(self.select(f'"#at/{at}/{folder}"', readonly=True))
        self.do(self.copy("1:*", folder))
        self.do(self.unselect())


def run(*args, ok=True, **more):
    r = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=600, **more)
    assert not ok or r.returncode == 0, (args, r.returncode, r.stdout[-2000:], r.stderr[-2000:])
    return r


def kill_in_the_middle(person, command):
    """The client runs, has done a little, and the node dies under it and comes back."""
    before = person.changes()
    client = subprocess.Popen([str(a) for a in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: person.changes() >= before + 20)
    person.node.kill()
    client.kill()  # some try again for ever
    client.wait()
    person.node.start()
    person.server = person.node.tcp("listen.imap")
