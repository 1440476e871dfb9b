"""mutt in a terminal of its own (tmux): keys go in, and the screen is read."""
import re
import subprocess
import time

from mail import LARGE, need
from node import wait_until

pytestmark = need("mutt", "tmux")

CONFIG = """
set folder="imap://{host}:{port}/" spoolfile=+INBOX imap_user="{user}" imap_pass="{password}"
set ssl_force_tls=no ssl_starttls=no header_cache="{cache}" message_cachedir="{cache}"
set imap_check_subscribed=no mail_check=1 timeout=1 sleep_time=0 wait_key=no beep=no mark_old=no confirmappend=no
set imap_condstore=yes imap_qresync=yes
set move=no delete=yes quit=yes sort=mailbox-order sort_browser=alpha menu_scroll=yes record="" postponed="" signature=""
set status_format="[%f] total=%m flagged=%F deleted=%d tagged=%t"
set folder_format="%f" auto_tag=yes
bind index,pager S sync-mailbox
"""


class Mutt:
    def __init__(self, person, scratch):
        host, port = person.server
        cache = scratch / "cache"
        cache.mkdir()
        (scratch / "muttrc").write_text(
            CONFIG.format(host=host, port=port, user=person.address, password=person.password, cache=cache))
        self.tmux = ["tmux", "-L", f"perdura-{scratch.name}"]
        self.command = f"cd {scratch} && HOME={scratch} LC_ALL=C.UTF-8 TERM=screen mutt -F {scratch}/muttrc"

    def __enter__(self):
        subprocess.run([*self.tmux, "-f", "/dev/null", "new-session", "-d", "-x", "150", "-y", "40", self.command], check=True)
        return self

    def __exit__(self, *_):
        subprocess.run([*self.tmux, "kill-server"], capture_output=True)

    def screen(self):
        return subprocess.run([*self.tmux, "capture-pane", "-p"], capture_output=True, text=True).stdout

    def keys(self, *keys):
        """Words are typed, names as Enter or C-u are pressed."""
        for k in keys:
            special = k in ("Enter", "Escape") or re.fullmatch(r"C-.", k)
            subprocess.run([*self.tmux, "send-keys", *([] if special else ["-l"]), k], check=True)
            time.sleep(0.05)

    def shows(self, pattern, seconds=60):
        wait_until(lambda: re.search(pattern, self.screen()), seconds, lambda: f"mutt never showed {pattern}:\n{self.screen()}", 0.1)

    def ask(self, key, prompt, answer):
        """A key that makes mutt ask, and the answer in place of what it suggests."""
        self.keys(key)
        self.shows(prompt)
        self.keys("C-a", "C-k", answer, "Enter")

    def open(self, folder, total):
        self.ask("c", "Open mailbox", f"={folder}")
        self.shows(rf"\[.*{re.escape(folder)}\] total={total}\b")


def test_mutt(person, tmp_path):
    look = person.look()
    with Mutt(person, tmp_path) as mutt:
        # Logged in; listed; opened, twice, the second time out of its cache.
        mutt.shows(r"INBOX\] total=20\b")
        mutt.keys("c", "?")
        for folder in sorted(look.folders()):
            mutt.shows(rf"{folder}\b")
        mutt.keys("q")
        for _ in range(2):
            mutt.open("Old", LARGE)
            mutt.open("INBOX", 20)

        # A flag and a move.
        mutt.keys("1", "Enter", "F", "S")
        wait_until(lambda: sum(r"\Flagged" in flags for _, flags in look.contents("INBOX")) == 1)
        mutt.keys("2", "Enter")
        mutt.ask("s", "Save to mailbox", "=Archive")
        mutt.keys("S")
        wait_until(lambda: (look.count("INBOX"), look.count("Archive")) == (19, 1))

        # All messages of the folder are deleted, and brought back by the command while mutt looks on.
        before = look.contents("Old")
        at = person.snapshot("mutt")
        mutt.open("Old", LARGE)
        mutt.ask("D", "Delete messages matching", "~A")
        mutt.shows(rf"deleted={LARGE}\b")
        mutt.keys("S")
        mutt.shows(r"Old\] total=0\b|Old\]\s+total=0")
        assert look.count("Old") == 0
        person.restore(at, "Old")
        mutt.shows(rf"Old\] total={LARGE}\b")
        assert look.contents("Old") == before

        # The folder itself is deleted; mutt copies all of it out of the past into a folder it makes.
        mutt.open("INBOX", 19)
        look.do(look.unselect())
        look.do(look.delete("Old"))
        mutt.open(f"#at/{at}/Old", LARGE)
        mutt.ask("T", "Tag messages matching", "~A")
        mutt.shows(rf"tagged={LARGE}\b")
        mutt.ask("C", "Copy tagged to mailbox", "=Old")
        mutt.shows(r"Create .*Old")
        mutt.keys("y")
        wait_until(lambda: "Old" in look.folders() and look.count("Old") == LARGE, 120)
        assert look.ids("Old") == ids(before)
        mutt.open("Old", LARGE)
        mutt.open("INBOX", 19)
        mutt.keys("q")


def ids(state):
    return type(state)(id for id, _ in state.elements())
