"""Thunderbird on a screen of its own (Xvfb): it logs in, gets all mail, and what somebody does with mouse and keys is on the server."""
import json
import os
import re
import subprocess
import time

from mail import message, need, run
from node import wait_until

pytestmark = need("thunderbird", "Xvfb", "xdotool", "import")

# What asks or shows something at a first start is off; the rest is an account as its assistant would make it.
PREFS = {
    "mail.accountmanager.accounts": "account1",
    "mail.accountmanager.defaultaccount": "account1",
    "mail.account.account1.server": "server1",
    "mail.account.account1.identities": "id1",
    "mail.identity.id1.useremail": "{user}",
    "mail.identity.id1.valid": True,
    "mail.server.server1.type": "imap",
    "mail.server.server1.hostname": "{host}",
    "mail.server.server1.port": "{port}",
    "mail.server.server1.userName": "{user}",
    "mail.server.server1.name": "{user}",
    "mail.server.server1.socketType": 0,
    "mail.server.server1.authMethod": 3,
    "mail.server.server1.login_at_startup": True,
    "mail.server.server1.offline_download": True,
    "mail.server.server1.autosync_offline_stores": True,
    "mail.provider.suppress_dialog_on_startup": True,
    "mailnews.start_page.enabled": False,
    "mailnews.mark_message_read.auto": True,
    "app.donation.eoy.version.viewed": 999,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "mail.biff.show_alert": False,
    "gfx.webrender.software": True,
}
IN_THE_LIST = 430, 540  # a place on the screen where the message list is


class Screen:
    def __init__(self):
        out, at = os.pipe()
        self.server = subprocess.Popen(["Xvfb", "-displayfd", str(at), "-screen", "0", "1280x900x24"], pass_fds=[at],
                                       stderr=subprocess.DEVNULL)
        os.close(at)
        with os.fdopen(out) as f:
            self.env = dict(os.environ, DISPLAY=":" + f.readline().strip())

    def do(self, *words):
        run("xdotool", *words, env=self.env)

    def shot(self, path):
        run("import", "-window", "root", path, env=self.env)

    def has_window(self, title):
        return run("xdotool", "search", "--name", title, ok=False, env=self.env).stdout

    def windows(self):
        found = run("xdotool", "search", "--name", ".", ok=False, env=self.env).stdout.split()
        return [run("xdotool", "getwindowname", w, ok=False, env=self.env).stdout.strip() for w in found]

    def close(self):
        self.server.terminate()
        self.server.wait(10)


class Thunderbird:
    def __init__(self, person, scratch, screen):
        self.profile, host, port = scratch / "profile", *person.server
        self.profile.mkdir(parents=True)

        def line(name, value):
            value = value.format(user=person.address, host=host, port=port) if isinstance(value, str) else value
            text = str(value).lower() if isinstance(value, bool) or str(value).isdigit() else f'"{value}"'
            return f'user_pref("{name}", {text});\n'

        (self.profile / "user.js").write_text("".join(line(k, v) for k, v in PREFS.items()))
        self.process = subprocess.Popen(["thunderbird", "--no-remote", "--profile", str(self.profile)],
                                        env=dict(screen.env, HOME=str(scratch)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def fetched(self, folder):
        """The Message-IDs of what it has a copy of."""
        files = list(self.profile.glob(f"ImapMail/*/{folder}"))
        return set(re.findall(r"^Message-ID: *(\S+)", files[0].read_text(), re.M)) if files else set()

    def close(self):
        self.process.terminate()
        self.process.wait(60)


def begin(person, scratch, screen):
    """One that asks for the password. Of a program that shows no window at all, another one is started: that is not ours."""
    for attempt in range(3):
        program = Thunderbird(person, scratch / str(attempt), screen)
        try:
            wait_until(lambda: screen.has_window("Password"), 120, every=0.5,
                       told=lambda: f"no question for a password, exit {program.process.poll()}, windows {screen.windows()}")
            return program
        except AssertionError:
            screen.shot(scratch / f"start-{attempt}.png")
            shown = screen.has_window("Thunderbird")
            program.close()
            if shown or attempt == 2:
                raise


def flagged(look, folder, flag):
    return {id for id, flags in look.contents(folder) if flag in flags}


def sessions_rest(node, person):
    """Does the program only wait? Of mail that comes amid its commands it takes no notice until it next checks for mail."""
    sessions = map(json.loads, node.perdura("--json", "who").splitlines())
    return all(s["idle_s"] > 3 for s in sessions if s["account"] == person.address)


def test_thunderbird(node, person, tmp_path):
    look, screen = person.look(), Screen()
    program = None
    try:
        program = begin(person, tmp_path, screen)
        time.sleep(1)
        screen.do("type", "--delay", "30", person.password)
        screen.do("key", "Return")

        # All mail comes, also of the folder that nobody opens: 10,000 messages.
        wait_until(lambda: program.fetched("INBOX") == set(look.ids("INBOX")), 120)
        wait_until(lambda: program.fetched("Old") == set(look.ids("Old")), 300)

        # One is read and gets a star.
        wait_until(lambda: screen.do("mousemove", *map(str, IN_THE_LIST), "click", "1") or flagged(look, "INBOX", r"\Seen"), 120, every=3)
        screen.do("key", "s")
        wait_until(lambda: flagged(look, "INBOX", r"\Flagged"), 120)
        screen.shot(tmp_path / "thunderbird.png")
        one, = flagged(look, "INBOX", r"\Flagged")
        assert flagged(look, "INBOX", r"\Seen") == {one}

        # It is moved to the trash by the key for that.
        screen.do("key", "Delete")
        wait_until(lambda: one in look.ids("Trash"), 120)
        wait_until(lambda: look.count("INBOX") == 19, 120)
        assert one in flagged(look, "Trash", r"\Flagged")

        # New mail comes by itself.
        wait_until(lambda: sessions_rest(node, person), 120)
        look.do(look.append("INBOX", None, None, message("new", 1).replace("\n", "\r\n").encode()))
        wait_until(lambda: "<new.1@example.org>" in program.fetched("INBOX"), 120)
    finally:
        if program:
            program.close()
        screen.close()
