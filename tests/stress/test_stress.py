"""A short run with a kill in the middle, as `run` makes longer ones; and that the checker sees what it is for."""
import os
import pathlib
import random
import subprocess
import sys

import pytest
from session import Answer, Session
from view import View
from wire import Contradiction
from world import World

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = os.environ.get('STRESS_SECONDS', '20')


def test_stress(tmp_path):
    seed = random.SystemRandom().randrange(10**6)
    done = subprocess.run([sys.executable, HERE / 'run', '--seconds', SECONDS, '--kill', '1', '--seed', str(seed), '--dir', tmp_path], text=True,
                          capture_output=True)
    assert done.returncode == 0, done.stdout[-12000:] + done.stderr[-4000:]


class Silent:
    """A server that says only what a test puts into its mouth."""
    falling, in_turn = False, True


@pytest.fixture
def session():
    """With three messages, UIDs 1, 3 and 5, of which the first two have names."""
    world = World()
    world.new_name('one'), world.new_name('two')
    s = Session('s', Silent(), world, 1)
    s.view = View(world.mailbox(7, 'INBOX'), world.tick(), condstore=True)
    hear(s, '3 EXISTS', '1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (4))', '2 FETCH (UID 3 FLAGS () MODSEQ (5))', '3 FETCH (UID 5 FLAGS () MODSEQ (6))')
    return s


def hear(session, *lines, during='NOOP'):
    for line in lines:
        session.take(line.encode(), during, Answer())


@pytest.mark.parametrize('during,line,why', [
    ('NOOP', '2 EXISTS', 'there were 3'),
    ('NOOP', '4 EXPUNGE', 'number 4 of 3'),
    ('NOOP', '2 EXPUNGE', 'nobody removed it'),
    ('FETCH', '2 EXPUNGE', 'lost its number'),
    ('NOOP', 'VANISHED 3', 'nobody enabled'),
    ('NOOP', '0 FETCH (FLAGS () MODSEQ (9))', 'number 0'),
    ('NOOP', '2 FETCH (UID 4 FLAGS () MODSEQ (9))', 'was 3'),
    ('NOOP', '2 FETCH (UID 3 FLAGS (\\Seen) MODSEQ (5))', 'at mod-sequence 5 had'),
    ('NOOP', '2 FETCH (UID 3 FLAGS (\\Seen) MODSEQ (4))', 'was 5'),
    ('NOOP', '2 FETCH (UID 3 FLAGS ())', 'without MODSEQ'),
    ('NOOP', 'HELLO', 'what is this'),
    ('NOOP', 'BYE', 'BYE'),
])
def test_line(session, during, line, why):
    with pytest.raises(Contradiction, match=why):
        hear(session, line, during=during)


def test_uid_again(session):
    """A message that is gone does not come back."""
    session.world.mailboxes[7].dooms(session.view.message(5))
    hear(session, '3 EXPUNGE')
    session.mark()
    with pytest.raises(Contradiction, match='is back'):
        hear(session, '3 EXISTS', '3 FETCH (UID 5 FLAGS () MODSEQ (6))')


def test_vanished(session):
    session.view.qresync = True
    for uid in (3, 5):
        session.world.mailboxes[7].dooms(session.view.message(uid))
    hear(session, 'VANISHED 3,5')
    assert session.view.numbers == [1]
    with pytest.raises(Contradiction, match='never announced'):
        hear(session, 'VANISHED 3')


@pytest.mark.parametrize('item,value,why', [
    ('INTERNALDATE', '"01-Jan-2020 10:00:01 +0000"', 'date of UID 1'),
    ('EMAILID', '(other)', 'email of UID 1'),
    ('RFC822.SIZE', '3', 'RFC822.SIZE of UID 1'),
    ('BODY[]', '"other"', 'UID 1'),
    ('ENVELOPE', '(NIL "two")', 'was one'),
    ('ENVELOPE', '(NIL "three")', 'which nobody sent'),
])
def test_fact(session, item, value, why):
    """What is told of a message never changes."""
    hear(session, '1 FETCH (ENVELOPE (NIL "one") INTERNALDATE "01-Jan-2020 10:00:00 +0000" EMAILID (mail))')
    with pytest.raises(Contradiction, match=why):
        hear(session, f'1 FETCH ({item} {value})')
