"""QRESYNC (RFC 7162, 3.2): coming back to a mailbox, VANISHED in place of EXPUNGE, and what may not be asked."""
import contextlib
import re
import time

import pytest
from imap_client import Closed, folder, login, mail
from node import quickest
from sync_client import Cache, uids

MAX = (1 << 63) - 1


def code(answer, name):
    return int(re.search(name + r' (\d+)', ' '.join(map(str, answer.untagged)) + answer.text)[1])


def vanished(answer, earlier):
    head = b'VANISHED (EARLIER) ' if earlier else b'VANISHED '
    return sorted(u for line in answer.untagged if line.startswith(head) and (earlier or b'(' not in line)
                  for u in uids(line[len(head):].decode()))


@pytest.fixture
def box(node):
    """A session with QRESYNC and another one without, both in a folder with ten messages; and what the first knows."""
    with folder(node) as (m, name), login(node) as other:
        for i in range(10):
            m.append(name, mail(f'm{i}'))
        m.ok('ENABLE QRESYNC')
        a = m.ok(f'SELECT {name}')
        other.ok(f'SELECT {name}')
        yield m, other, name, code(a, 'UIDVALIDITY'), code(a, 'HIGHESTMODSEQ')


def expunge(m, which):
    m.ok(f'UID STORE {which} +FLAGS.SILENT (\\Deleted)')
    return m.ok(f'UID EXPUNGE {which}')


def again(node, name, parameters):
    m = login(node)
    m.ok('ENABLE QRESYNC')
    a = m.ok(f'SELECT {name} (QRESYNC ({parameters}))')
    m.close()
    return a


def test_enable(node):
    with login(node) as m:
        assert m.ok('ENABLE QRESYNC').lines('ENABLED') == [b'QRESYNC']
        assert m.ok('ENABLE CONDSTORE QRESYNC X').lines('ENABLED') == [b'CONDSTORE QRESYNC']
        m.bad('ENABLE "QRESYNC"')


def test_vanished_and_not_expunge(box):
    m, other, name, validity, start = box
    a = expunge(m, '2,4:6')
    assert a.numbers('EXPUNGE') == [] and vanished(a, False) == [2, 4, 5, 6]
    assert a.code().startswith('HIGHESTMODSEQ ') and int(a.code().split()[1]) > start
    assert other.ok('NOOP').numbers('EXPUNGE') == [2, 3, 3, 3]
    expunge(other, '10')
    told = m.ok('NOOP')
    assert vanished(told, False) == [10] and told.numbers('EXISTS') == []
    moved = m.ok('UID MOVE 1 INBOX')
    assert vanished(moved, False) == [1] and moved.code().startswith('HIGHESTMODSEQ')
    assert m.ok('EXPUNGE').code().startswith('HIGHESTMODSEQ')  # also with nothing to do
    m.ok('STORE 1 +FLAGS (\\Deleted)')
    assert 'HIGHESTMODSEQ' not in m.ok('CLOSE').text
    assert other.ok('NOOP').numbers('EXPUNGE') == [1, 1]


def test_only_what_was_announced_vanishes(box):
    m, other, name, validity, start = box
    other.append(name, mail())
    other.ok('NOOP')
    expunge(other, '11')
    a = m.ok('NOOP')
    assert vanished(a, False) == [] and a.numbers('EXISTS') == []


def test_expunges_wait(box):
    """A FETCH by numbers tells no VANISHED; the mod-sequences it tells meanwhile are not to be gone by."""
    m, other, name, validity, start = box
    expunge(other, '3')
    other.ok('UID STORE 5 +FLAGS (x)')
    a = m.ok('FETCH 1:4 (FLAGS)')
    assert vanished(a, False) == []
    (n, items), = [f for f in a.fetches() if 'MODSEQ' in f[1]]
    assert n == 5 and code(a, 'HIGHESTMODSEQ') == start < int(items['MODSEQ'][0])
    assert vanished(m.ok('SEARCH 1:3 NOT DELETED'), False) == []
    assert vanished(m.ok('UID SEARCH 1:3 NOT DELETED'), False) == []  # message numbers are among the keys
    assert vanished(m.ok('UID SEARCH UID 1:3 NOT DELETED'), False) == [3]


def test_idle(box):
    m, other, name, validity, start = box
    tag = m.start('IDLE')
    assert m.response().startswith(b'+')
    expunge(other, '3,4')
    line = m.response()
    while not line.startswith(b'* VANISHED'):
        assert b'FETCH' in line and b'MODSEQ' in line and b'UID' in line, line
        line = m.response()
    assert line == b'* VANISHED 3:4'
    m.send('DONE\r\n')
    assert m.wait(tag).status == 'OK'


def test_coming_back(box, node):
    m, other, name, validity, start = box
    expunge(other, '2,4:6,10')
    other.ok('UID STORE 3,9 +FLAGS (x)')
    other.append(name, mail('new'))
    a = again(node, name, f'{validity} {start}')
    assert vanished(a, True) == [2, 4, 5, 6, 10]
    f = {int(i['UID']): (n, i) for n, i in a.fetches()}
    assert set(f) == {3, 9, 11} and f[3][0] == 2 and f[9][0] == 5 and f[11][0] == 6
    assert all(set(i) == {'UID', 'MODSEQ', 'FLAGS'} and int(i['MODSEQ'][0]) > start for _, i in f.values())
    kinds = [u.split()[0 if u.startswith(b'VANISHED') else 1] for u in a.untagged if u.startswith(b'VANISHED') or b' FETCH ' in u]
    assert kinds == [b'VANISHED'] + [b'FETCH'] * 3  # RFC 7162, 3.2.6
    last = code(a, 'HIGHESTMODSEQ')
    quiet = again(node, name, f'{validity} {last}')
    assert vanished(quiet, True) == [] and quiet.fetches() == []


def test_known_uids_and_numbers(box, node):
    m, other, name, validity, start = box
    expunge(other, '2,4:6,10')
    other.ok('UID STORE 3,9 +FLAGS (x)')
    some = again(node, name, f'{validity} {start} 4:5,9,20')
    assert vanished(some, True) == [4, 5] and [int(i['UID']) for _, i in some.fetches()] == [9]
    # 1 is 1 and 2 is 3: whoever knows that knows of everything up to 3
    matched = again(node, name, f'{validity} {start} 1:10 (1:2,5 1,3,5)')
    assert vanished(matched, True) == [4, 5, 6, 10]
    assert vanished(again(node, name, f'{validity} {start} (1:2 1,3)'), True) == [4, 5, 6, 10]
    assert vanished(again(node, name, f'{validity} {start} 1:4 (1:2 1,3)'), True) == [4]
    assert vanished(again(node, name, f'{validity} {start} 1:10 (1:10 1:10)'), True) == [2, 4, 5, 6, 10]


@pytest.mark.parametrize('parameters', ['{other} 1', '{other} 1 1:10 (1 1)'])
def test_another_uidvalidity(box, node, parameters):
    m, other, name, validity, start = box
    expunge(other, '2')
    a = again(node, name, parameters.format(other=validity + 1))
    assert vanished(a, True) == [] and a.fetches() == [] and code(a, 'UIDVALIDITY') == validity


def test_from_the_first_or_from_nowhere(box, node):
    m, other, name, validity, start = box
    expunge(other, '2')
    for modseq in (0, 1, start + 1000000, MAX):  # one that was never given out is no ground to stand on
        a = again(node, name, f'{validity} {modseq}')
        assert vanished(a, True) == [2] and [int(i['UID']) for _, i in a.fetches()] == [1, 3, 4, 5, 6, 7, 8, 9, 10], modseq


def test_fetch_vanished(box):
    m, other, name, validity, start = box
    expunge(other, '2,9:10')
    m.ok('NOOP')
    a = m.ok(f'UID FETCH 1:* (FLAGS) (CHANGEDSINCE {start} VANISHED)')
    assert vanished(a, True) == [2, 9, 10] and vanished(a, False) == []
    assert vanished(m.ok(f'UID FETCH 1:9,500:600 (FLAGS) (VANISHED CHANGEDSINCE {start})'), True) == [2, 9]
    assert vanished(m.ok(f'UID FETCH 500:4294967295 (FLAGS) (VANISHED CHANGEDSINCE {start})'), True) == []
    now = code(m.ok('EXPUNGE'), 'HIGHESTMODSEQ')
    assert vanished(m.ok(f'UID FETCH 1:* (FLAGS) (CHANGEDSINCE {now} VANISHED)'), True) == []
    m.ok(f'SELECT {name}')
    expunge(m, '1:8')
    assert vanished(m.ok(f'UID FETCH 1:* (FLAGS) (CHANGEDSINCE {now} VANISHED)'), True) == [1, 3, 4, 5, 6, 7, 8]


def test_closed(box):
    m, other, name, validity, start = box
    a = m.ok(f'SELECT {name}')
    assert a.untagged[0].startswith(b'OK [CLOSED]')
    assert b'OK [CLOSED]' not in b' '.join(m.ok('UNSELECT').untagged)
    assert b'CLOSED' not in b' '.join(m.ok('SELECT INBOX').untagged)
    assert b'CLOSED' in b' '.join(other.no('SELECT nope').untagged)  # also to who knows of no mod-sequences
    other.bad('FETCH 1 FLAGS')


@pytest.mark.parametrize('wrong', [
    '', '1', '1 ', '0 1', '1 -1', '-1 1', '4294967296 1', f'1 {MAX + 1}', '1 99999999999999999999', '1 1 *', '1 1 1:*', '1 1 0', '1 1 5:1', '1 1 3,2',
    '1 1 1:3,2', '1 1 a', '1 1 1 (', '1 1 1 ()', '1 1 1 (1)', '1 1 1 (1 )', '1 1 1 (1 1', '1 1 1 (1:2 1)', '1 1 1 (1 1:2)', '1 1 1 (* 1)', '1 1 1 (1 *)',
    '1 1 1 (2,1 1,2)', '1 1 1 (1,2 2,1)', '1 1 1 (1 1) x', '1 1 (1 1) (1 1)', '1 1 1 1', 'x 1', '1 x', '1 1 1,,2', '1 1 1 (1:4294967296 1)', '1 1\0'])
def test_wrong_parameters(box, wrong):
    m, other, name, validity, start = box
    m.bad(f'SELECT {name} (QRESYNC ({wrong}))')
    m.bad(f'SELECT {name} (QRESYNC ({wrong})')
    assert len(m.fetch('1:10 FLAGS')) == 10  # the old one is still selected


@pytest.mark.parametrize('wrong', ['(QRESYNC 1 1)', 'QRESYNC (1 1)', '((QRESYNC (1 1)))', '(QRESYNC (1 1) FOO)', '(QRESYNC (1 1) QRESYNC (1 1))', '(QRESYNC (1 1)) x'])
def test_wrong_lists(box, wrong):
    m, other, name, validity, start = box
    m.bad(f'EXAMINE {name} {wrong}')
    m.ok(f'EXAMINE {name} (CONDSTORE QRESYNC ({validity} 1))')
    m.ok(f'EXAMINE {name} (qresync ({validity} 1 1:3 (1 1)) condstore)')


def test_huge_sets(box, node):
    m, other, name, validity, start = box
    expunge(other, '2')
    many = ','.join(str(i * 2 + 1) for i in range(9000))
    m.ok(f'SELECT {name} (QRESYNC ({validity} {start} 1:4294967295))')
    huge = f'{validity} {start} 1:4294967295 (1:4294967294 2:4294967295)'
    assert vanished(again(node, name, huge), True) == []  # 2 is 3 now: who says so knows it
    assert quickest(lambda: again(node, name, huge)) < 2
    a = again(node, name, f'{validity} 1 1:4294967295')
    assert vanished(a, True) == [2]
    assert again(node, name, f'{validity} {start} {many}').status == 'OK'
    too_many = ','.join(str(i * 2 + 1) for i in range(20001))
    with login(node) as n:
        n.ok('ENABLE QRESYNC')
        tag = n.start(f'SELECT {name} (QRESYNC ({validity} {start} {too_many}))')
        with contextlib.suppress(Closed):  # the line itself may be too long
            assert n.wait(tag).status == 'BAD'


def test_deleted_folder_comes_back(box, node):
    """A folder that was deleted and restored whole returns as itself: the cache is still good."""
    m, other, name, validity, start = box
    m.ok('UNSELECT')
    other.ok('UID STORE 3 +FLAGS (x)')
    expunge(other, '4')
    other.ok('UNSELECT')
    m.ok(f'DELETE {name}')
    node.perdura('restore', node.user, '--folder', name, '--at', f'@{start}')
    a = again(node, name, f'{validity} {start}')
    assert code(a, 'UIDVALIDITY') == validity
    assert vanished(a, True) == [4] and [int(i['UID']) for _, i in a.fetches()] == [3, 11]  # 4 is back as 11


def test_cache_client(box, node):
    m, other, name, validity, start = box
    c = Cache(node, node.user, name)
    c.connect()
    assert c.flags == c.truth() and len(c.flags) == 10
    c.disconnect()
    expunge(other, '2,5')
    other.ok('UID STORE 7 +FLAGS (k)')
    other.append(name, mail())
    for match in (0, 3):
        c.connect(match)
        assert c.flags == c.truth()
        c.disconnect()


def test_below_the_purge_floor(node):
    """What was expunged when is forgotten: every UID that is not there is named, among those that were asked about."""
    user, = node.add('forgetful@example.org')
    node.perdura('account', 'set', user, 'retention.window=1s')
    with login(node, user) as m:
        m.ok('CREATE box')
        for i in range(10):
            m.append('box', mail(f'm{i}'))
        m.ok('SELECT box')
        expunge(m, '10')  # the client knew that
        a = m.ok('SELECT box')
        validity, start = code(a, 'UIDVALIDITY'), code(a, 'HIGHESTMODSEQ')
        expunge(m, '2,4:6')
        m.ok('UID STORE 7 +FLAGS (x)')
    time.sleep(1.2)
    node.perdura('purge')
    with login(node, user) as m:
        m.ok('ENABLE QRESYNC')
        m.append('box', mail())
        old = m.ok(f'SELECT box (QRESYNC ({validity} {start}))')
        assert vanished(old, True) == [2, 4, 5, 6, 10] and [int(i['UID']) for _, i in old.fetches()] == [7, 11]
        older = m.ok(f'SELECT box (QRESYNC ({validity} 1 3:5,7))')
        assert vanished(older, True) == [4, 5] and [int(i['UID']) for _, i in older.fetches()] == [3, 7]
        matched = m.ok(f'SELECT box (QRESYNC ({validity} {start} 1:200 (1:2 1,3)))')
        assert vanished(matched, True) == [4, 5, 6, 10]
        now = code(old, 'HIGHESTMODSEQ')
        assert vanished(m.ok(f'SELECT box (QRESYNC ({validity} {now}))'), True) == []
        fetched = m.ok(f'UID FETCH 1:* (FLAGS) (CHANGEDSINCE {start} VANISHED)')
        assert vanished(fetched, True) == [2, 4, 5, 6, 10] and [int(i['UID']) for _, i in fetched.fetches()] == [7, 11]
    cached = Cache(node, user, 'box')
    cached.validity, cached.modseq, cached.flags = validity, start, {u: set() for u in range(1, 10)}
    cached.connect()
    assert cached.flags == cached.truth()
