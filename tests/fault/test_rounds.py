"""Ten rounds of kill -9 and ten power cuts; rounds.py has more, and says how."""
import random

import pytest
from ledger import Folder, compare
from rounds import Rounds


@pytest.mark.parametrize('powercut', (False, True), ids=('kill', 'powercut'))
def test_rounds(tmp_path, powercut):
    seed = random.SystemRandom().randrange(10**6)
    rounds = Rounds(tmp_path, seed, powercut, check_every=5, longest=0.8)
    assert rounds.run(10), f'seed {seed}: ' + '\n'.join(rounds.violations)
    assert rounds.ledger.totals['acknowledged'] > 100


FOLDER = Folder(7, 4, {1: ('a', frozenset()), 3: ('c', frozenset({'work'}))}, [('d', frozenset())])


@pytest.mark.parametrize('change,said', [
    (lambda f: None, ''),
    (lambda f: f.messages.pop(1), 'is lost'),
    (lambda f: f.messages.pop(4), 'is lost'),
    (lambda f: f.messages.update({5: ('d', frozenset())}), 'twice'),
    (lambda f: f.messages.update({5: ('a', frozenset())}), 'twice'),
    (lambda f: f.messages.update({3: ('c', frozenset())}), 'had'),
    (lambda f: f.messages.update({1: ('z', frozenset())}), 'was a, is z'),
    (lambda f: f.messages.update({2: f.messages.pop(4)}), 'was used'),
    (lambda f: setattr(f, 'uidnext', 3), 'UIDNEXT was 4'),
    (lambda f: setattr(f, 'uidnext', 4), 'UIDNEXT is 4'),
    (lambda f: setattr(f, 'uidvalidity', 8), 'UIDVALIDITY was 7'),
])
def test_the_judge_sees(change, said):
    now = Folder(7, 6, {**FOLDER.messages, 4: FOLDER.arrived[0]})
    change(now)
    lines = []
    compare('box', FOLDER.copy(), now, lines.append)
    assert (any(said in l for l in lines) if said else not lines), lines
