"""CONDSTORE (RFC 7162, 3.1): mod-sequences told, asked for, searched and made a condition."""
import re

import pytest
from imap_client import folder, login, mail

MAX = (1 << 63) - 1


def highest(answer):
    """HIGHESTMODSEQ out of untagged or tagged response codes."""
    lines = [u.decode('latin-1') for u in answer.untagged] + [answer.text]
    found = [int(m[1]) for line in lines if (m := re.search(r'\[HIGHESTMODSEQ (\d+)\]', line))]
    return found[-1] if found else None


def modseq(answer, n=1):
    return int(dict(answer.fetches())[n]['MODSEQ'][0])


@pytest.fixture
def box(node):
    """A session and another one, both in a folder with three messages; the first knows of mod-sequences."""
    with folder(node) as (m, name), login(node) as other:
        for i in range(3):
            m.append(name, mail(f'm{i}'))
        m.ok('NOOP')
        m.ok('ENABLE CONDSTORE')
        other.ok(f'SELECT {name}')
        yield m, other, name


def test_select_and_status(node):
    with folder(node) as (m, name):
        first = highest(m.ok(f'SELECT {name}'))
        m.append(name, mail())
        second = int(re.search(rb'HIGHESTMODSEQ (\d+)', m.ok(f'STATUS {name} (HIGHESTMODSEQ)').lines('STATUS')[0])[1])
        assert second > first
        assert highest(m.ok(f'SELECT {name} (CONDSTORE)')) == second
        assert highest(m.ok(f'EXAMINE {name}')) == second
        assert modseq(m.ok('FETCH 1 (MODSEQ)')) == second


@pytest.mark.parametrize('command', ['ENABLE CONDSTORE', 'ENABLE QRESYNC', 'ENABLE QRESYNC CONDSTORE', 'STATUS INBOX (HIGHESTMODSEQ)', 'FETCH 1 (MODSEQ)',
                                     'FETCH 1 FLAGS (CHANGEDSINCE 1)', 'SEARCH MODSEQ 1', 'STORE 1 (UNCHANGEDSINCE 1) FLAGS (a)',
                                     'LIST "" INBOX RETURN (STATUS (HIGHESTMODSEQ))', 'SELECT {} (CONDSTORE)', 'SEARCH NOT MODSEQ 0'])
def test_implicit_enabling(node, command):
    with folder(node) as (m, name), login(node, select=name) as other:
        other.append(name, mail())
        assert highest(m.ok('NOOP')) is None
        first = m.ok(command.format(name))
        assert highest(first) is not None
        assert highest(m.ok('NOOP')) is None
        other.ok('STORE 1 +FLAGS (x)')
        (n, items), = m.ok('NOOP').fetches()
        assert n == 1 and set(items) == {'UID', 'MODSEQ', 'FLAGS'} and int(items['MODSEQ'][0]) > highest(first)
        other.ok('NOOP')
        other.ok('STORE 1 -FLAGS (x)')
        assert set(m.ok('FETCH 1 (FLAGS)').fetches()[0][1]) == {'FLAGS'}  # what was asked for, no more


def test_without_enabling(node):
    with folder(node) as (m, name), login(node, select=name) as other:
        other.append(name, mail())
        m.ok('NOOP')
        other.ok('STORE 1 +FLAGS (x)')
        assert set(m.ok('NOOP').fetches()[0][1]) == {'FLAGS'}
        a = m.ok('STORE 1 +FLAGS.SILENT (y)')
        assert a.fetches() == [] and highest(a) is None


def test_changedsince(box):
    m, other, name = box
    start = highest(m.ok(f'SELECT {name}'))
    assert m.ok(f'FETCH 1:* (FLAGS) (CHANGEDSINCE {start})').fetches() == []
    m.ok('STORE 2 +FLAGS (\\Flagged)')
    a = m.ok(f'FETCH 1:* (FLAGS) (CHANGEDSINCE {start})')
    assert [n for n, _ in a.fetches()] == [2] and set(a.fetches()[0][1]) == {'FLAGS', 'MODSEQ'}
    changed = modseq(a, 2)
    assert m.ok(f'UID FETCH 1:* (UID) (CHANGEDSINCE {changed})').fetches() == []
    assert [n for n, _ in m.ok(f'UID FETCH 1:* (UID) (CHANGEDSINCE {changed - 1})').fetches()] == [2]
    assert [n for n, _ in m.ok(f'UID FETCH 1 (UID) (CHANGEDSINCE {changed - 1})').fetches()] == []
    for everything in (0, 1):
        assert len(m.ok(f'FETCH 1:* ALL (CHANGEDSINCE {everything})').fetches()) == 3
    assert m.ok(f'FETCH 1:* ALL (CHANGEDSINCE {MAX})').fetches() == []
    other.append(name, mail())
    assert [n for n, _ in m.ok(f'FETCH 1:* (UID) (CHANGEDSINCE {changed})').fetches()] == []  # not told of yet
    assert [n for n, _ in m.ok(f'FETCH 1:* (UID) (CHANGEDSINCE {changed})').fetches()] == [4]


def test_changedsince_marks_only_what_it_shows(box):
    m, other, name = box
    start = highest(m.ok(f'SELECT {name}'))
    m.ok('STORE 3 +FLAGS (a)')
    (n, items), = m.ok(f'FETCH 1:* (BODY[]) (CHANGEDSINCE {start})').fetches()
    assert n == 3 and b'\\Seen' in items['FLAGS'] and set(items) == {'BODY[]', 'MODSEQ', 'FLAGS', 'UID'}
    assert m.search('SEEN') == [3]


def test_store_tells_modseq(box):
    m, other, name = box
    before = highest(m.ok(f'SELECT {name}'))
    a = m.ok('STORE 1 +FLAGS (a)')
    assert set(a.fetches()[0][1]) == {'UID', 'MODSEQ', 'FLAGS'} and modseq(a) > before
    silent = m.ok('STORE 1,2 +FLAGS.SILENT (b)')
    assert [set(items) for _, items in silent.fetches()] == [{'UID', 'MODSEQ'}] * 2
    assert modseq(silent) > modseq(a) and modseq(m.ok('FETCH 1 MODSEQ')) == modseq(silent)
    again = m.ok('STORE 1,2 +FLAGS.SILENT (b)')  # nothing to do: no new mod-sequence
    assert again.fetches() == [] and modseq(m.ok('FETCH 1 MODSEQ')) == modseq(silent)
    m.ok('NOOP')
    told = dict(other.ok('NOOP').fetches())
    assert set(told) == {1, 2} and set(told[1]) == {'FLAGS'}


def test_silent_store_beside_another(box):
    """Who knows nothing of the other's change is told flags, not a mod-sequence alone."""
    m, other, name = box
    m.ok('NOOP')
    other.ok('STORE 2 +FLAGS (theirs)')
    a = dict(m.ok('STORE 1:3 +FLAGS.SILENT (mine)').fetches())
    assert set(a[1]) == {'UID', 'MODSEQ'}
    assert set(a[2]['FLAGS']) >= {b'theirs', b'mine'}


def test_unchangedsince(box):
    m, other, name = box
    now = highest(m.ok(f'SELECT {name}'))
    other.ok('STORE 2 +FLAGS (theirs)')
    a = m.ok(f'STORE 1:3 (UNCHANGEDSINCE {now}) FLAGS (mine)')
    assert a.code() == 'MODIFIED 2'
    f = dict(a.fetches())
    assert set(f) == {1, 2, 3} and b'mine' in f[1]['FLAGS'] and b'theirs' in f[2]['FLAGS'] and b'mine' not in f[2]['FLAGS']
    assert all('MODSEQ' in items for items in f.values())
    uid = m.ok(f'UID STORE 1:3 (UNCHANGEDSINCE {now}) FLAGS (mine2)')
    assert uid.code() == 'MODIFIED 1:3'
    latest = max(int(i['MODSEQ'][0]) for i in dict(uid.fetches()).values())
    ok = m.ok(f'UID STORE 1:3 (UNCHANGEDSINCE {latest}) +FLAGS.SILENT (mine2)')
    assert ok.code() == '' and [set(i) for _, i in ok.fetches()] == [{'UID', 'MODSEQ'}] * 3
    assert m.search('KEYWORD mine2') == [1, 2, 3]
    assert m.ok('STORE 1 (UNCHANGEDSINCE 0) +FLAGS ($MDNSent)').code() == 'MODIFIED 1'
    assert m.ok(f'STORE 2,2,1:3 (UNCHANGEDSINCE {MAX}) +FLAGS (z)').code() == ''


def test_unchangedsince_beside_other_flags(box):
    """RFC 7162, 3.1.12: a change that touched other flags is no reason to refuse."""
    m, other, name = box
    now = highest(m.ok(f'SELECT {name}'))
    other.ok('STORE 2 +FLAGS (\\Deleted theirs)')
    a = m.ok(f'STORE 1:3 (UNCHANGEDSINCE {now}) +FLAGS.SILENT ($Processed)')
    assert a.code() == ''
    f = dict(a.fetches())
    assert set(f) == {1, 2, 3} and set(f[2]['FLAGS']) >= {b'theirs', b'$Processed', b'\\Deleted'}
    now = highest(m.ok(f'SELECT {name}'))
    other.ok('STORE 2 -FLAGS ($Processed)')
    other.ok('STORE 1 -FLAGS ($Processed)')
    other.ok('STORE 1 +FLAGS ($Processed)')  # as it was: nothing that the condition is about is different
    assert m.ok(f'STORE 1:3 (UNCHANGEDSINCE {now}) +FLAGS ($Processed)').code() == 'MODIFIED 2'
    other.ok('STORE 3 +FLAGS (\\Seen)')
    assert m.ok(f'STORE 3 (UNCHANGEDSINCE {now}) -FLAGS (\\Seen x)').code() == 'MODIFIED 3'


def test_search(box):
    m, other, name = box
    start = highest(m.ok(f'SELECT {name}'))
    m.ok('STORE 2 +FLAGS (a)')
    a = m.ok(f'SEARCH MODSEQ {start + 1}').lines('SEARCH')
    now = modseq(m.ok('FETCH 2 MODSEQ'), 2)
    assert a == [b'2 (MODSEQ %d)' % now]
    assert m.ok('SEARCH MODSEQ "/flags/\\\\draft" all 0').lines('SEARCH') == [b'1 2 3 (MODSEQ %d)' % now]
    assert m.ok(f'SEARCH MODSEQ {now + 1}').lines('SEARCH') == [b'']
    assert m.ok(f'SEARCH OR NOT MODSEQ {now} KEYWORD x').lines('SEARCH')[0].startswith(b'1 3 (MODSEQ ')
    assert m.ok(f'UID SEARCH MODSEQ {now} KEYWORD a').lines('SEARCH') == [b'2 (MODSEQ %d)' % now]
    assert m.ok(f'SEARCH MODSEQ {MAX}').lines('SEARCH') == [b'']


def test_esearch(box):
    m, other, name = box
    m.ok(f'SELECT {name}')
    m.ok('STORE 2 +FLAGS (a)')
    m.ok('STORE 1 +FLAGS (b)')
    seq = {n: int(i['MODSEQ'][0]) for n, i in m.fetch('1:* MODSEQ')}

    def ask(command):
        tag = m.start(command)
        a = m.wait(tag)
        line, = a.lines('ESEARCH')
        assert a.status == 'OK' and line.startswith(b'(TAG "%s")' % tag.encode()), a
        return line.partition(b')')[2].strip().decode()

    assert ask('SEARCH RETURN () ALL') == 'ALL 1:3'
    assert ask('SEARCH RETURN (ALL) 1,3') == 'ALL 1,3'
    assert ask('SEARCH RETURN (MIN MAX COUNT ALL) NOT 2') == 'MIN 1 MAX 3 ALL 1,3 COUNT 2'
    assert ask('UID SEARCH RETURN (MIN) CHARSET UTF-8 KEYWORD a') == 'UID MIN 2'
    assert ask('SEARCH RETURN (COUNT MIN MAX ALL) KEYWORD nope') == 'COUNT 0'
    assert ask('SEARCH RETURN (MIN) KEYWORD nope') == ''
    assert ask('SEARCH RETURN (MIN) MODSEQ 1') == f'MIN 1 MODSEQ {seq[1]}'
    assert ask('SEARCH RETURN (MAX) MODSEQ 1') == f'MAX 3 MODSEQ {seq[3]}'
    assert ask('SEARCH RETURN (MIN MAX) MODSEQ 1 NOT 1') == f'MIN 2 MAX 3 MODSEQ {max(seq[2], seq[3])}'
    assert ask('SEARCH RETURN (COUNT MIN) MODSEQ 1') == f'MIN 1 COUNT 3 MODSEQ {max(seq.values())}'
    assert ask(f'SEARCH RETURN (ALL) MODSEQ {MAX}') == ''
    for wrong in ('RETURN', 'RETURN ALL', 'RETURN (FOO) ALL', 'RETURN (ALL', 'RETURN (ALL)', 'RETURN (ALL)ALL',
                  'CHARSET UTF-8 RETURN (ALL) ALL', 'MODSEQ -1', f'MODSEQ {MAX + 1}', 'MODSEQ 99999999999999999999', 'MODSEQ "x" 5', 'MODSEQ'):
        m.bad('SEARCH ' + wrong)


def test_object_ids(node):
    with folder(node) as (m, name):
        m.append(name, mail('one'))
        m.append(name, mail('two'))
        m.ok('NOOP')
        f = dict(m.fetch('1:2 (EMAILID THREADID)'))
        ids = [f[n]['EMAILID'][0].decode() for n in (1, 2)]
        assert len(set(ids)) == 2 and all(re.fullmatch(r'e[0-9a-f]+', i) for i in ids) and f[1]['THREADID'] is None
        assert m.search(f'EMAILID {ids[1]}') == [2]
        assert m.search(f'OR EMAILID {ids[1]} EMAILID {ids[0]}') == [1, 2]
        assert m.search(f'EMAILID {ids[1].upper()}') == m.search('THREADID T1') == m.search('EMAILID "NIL"') == []
        m.ok(f'COPY 1 {name}')
        m.ok('NOOP')
        assert m.fetch('3 EMAILID')[0][1]['EMAILID'] == [ids[0].encode()]
        box = re.search(r'MAILBOXID \((\S+)\)', str(m.ok(f'SELECT {name}')))[1]
        assert f'MAILBOXID ({box})' in str(m.ok(f'STATUS {name} (MAILBOXID)'))
        m.ok(f'RENAME {name} {name}x')
        assert f'MAILBOXID ({box})' in str(m.ok(f'STATUS {name}x (MAILBOXID)'))
        created = m.ok(f'CREATE {name}').code()
        assert created.startswith('MAILBOXID (') and created != f'MAILBOXID ({box})'
        past = str(m.ok(f'EXAMINE "#at/0s/{name}x"'))
        assert 'MAILBOXID (p' in past and f'({box})' not in past
        m.bad('FETCH 1 (EMAILID[])')


def test_the_past_has_none(node):
    with folder(node) as (m, name):
        m.append(name, mail())
        m.ok('ENABLE CONDSTORE QRESYNC')
        a = m.ok(f'EXAMINE "#at/0s/{name}" (QRESYNC (1 1))')
        assert 'NOMODSEQ' in str(a) and highest(a) is None
        for command in ('FETCH 1 MODSEQ', 'FETCH 1 FLAGS (CHANGEDSINCE 1)', 'SEARCH MODSEQ 1', 'SEARCH RETURN (MIN) NOT MODSEQ 1',
                        'STORE 1 (UNCHANGEDSINCE 5) FLAGS (a)', 'UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)'):
            m.bad(command)
        assert set(m.fetch('1 FLAGS')[0][1]) == {'FLAGS'}
        assert b'HIGHESTMODSEQ 0' in m.ok(f'STATUS "#at/0s/{name}" (HIGHESTMODSEQ MESSAGES SIZE)').lines('STATUS')[0]


def test_status_items(node):
    with folder(node) as (m, name):
        sizes = [len(mail('a' * i)) for i in (1, 50, 3)]
        for i in (1, 50, 3):
            m.append(name, mail('a' * i))
        m.ok('NOOP')
        m.ok('STORE 2 +FLAGS (\\Deleted \\Seen)')
        line = m.ok(f'STATUS {name} (SIZE MESSAGES DELETED DELETED-STORAGE UNSEEN RECENT APPENDLIMIT UIDNEXT)').lines('STATUS')[0].decode()
        assert f'SIZE {sum(sizes)}' in line and 'MESSAGES 3' in line and 'DELETED 1 ' in line and f'DELETED-STORAGE {sizes[1]})' in line
        assert 'UNSEEN 2' in line and f'APPENDLIMIT {50 << 20}' in line and 'UIDNEXT 4' in line
        m.ok(f'SELECT {name}')
        m.ok('UNSELECT')
        m.append(name, mail())
        assert 'RECENT 1' in str(m.ok(f'STATUS {name} (RECENT)'))
        for wrong in ('(SIZE', 'SIZE', '(SIZE FOO)', '()', '(DELETED-STORAGES)', '(MAILBOXID) x'):
            m.bad(f'STATUS {name} {wrong}')


@pytest.mark.parametrize('wrong', ['FETCH 1 FLAGS (CHANGEDSINCE -1)', f'FETCH 1 FLAGS (CHANGEDSINCE {MAX + 1})', 'FETCH 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)',
                                   'FETCH 1 FLAGS (CHANGEDSINCE 99999999999999999999999)', 'FETCH 1 FLAGS (FOO 1)', 'FETCH 1 FLAGS ()', 'FETCH 1 FLAGS (CHANGEDSINCE 1',
                                   'FETCH 1 FLAGS (VANISHED)', 'FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)', 'UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)',
                                   'UID FETCH 1 FLAGS (VANISHED)', 'FETCH 1 FLAGS (CHANGEDSINCE \0)', 'FETCH 1 MODSEQ x', 'SELECT INBOX (FOO)', 'SELECT INBOX ()',
                                   'SELECT INBOX (CONDSTORE', 'SELECT INBOX CONDSTORE', 'SELECT INBOX (CONDSTORE) x', 'SELECT INBOX (QRESYNC (1 1))', 'ENABLE',
                                   'ENABLE (CONDSTORE)'])
def test_wrong(box, wrong):
    m, other, name = box
    m.bad(wrong)
    assert len(m.fetch('1:3 FLAGS')) == 3  # still there, and still selected


def test_first_unseen(node, tmp_path):
    """It is looked for from both ends."""
    (tmp_path / 'm.mbox').write_text(''.join(f'From a@b Mon Nov  2 10:00:00 2026\nSubject: {i}\n\nx\n\n' for i in range(1500)))
    node.perdura('import', node.user, tmp_path / 'm.mbox', '--folder', 'unseen')
    with login(node, select='unseen') as m, login(node, select='unseen') as other:
        for unseen in ('1500', '1', '1499', '200:201', '700', '1300', '1301', '1101,1400', '400,1499', '100:900', ''):
            m.ok('STORE 1:* +FLAGS.SILENT (\\Seen)')
            if unseen:
                m.ok(f'STORE {unseen} -FLAGS.SILENT (\\Seen)')
            said = re.search(r'UNSEEN (\d+)', str(other.ok('SELECT unseen')))
            assert int(said[1] if said else 0) == int(re.match(r'\d*', unseen)[0] or 0), unseen
        m.ok('EXPUNGE')
        other.append('unseen', mail())
        assert 'UNSEEN 1501' in str(other.ok('SELECT unseen'))


def test_a_fetch_of_flags_does_not_hide_their_mod_sequence(box):
    """What a FETCH shows without MODSEQ of a change by somebody else is told with it as well."""
    m, other, _ = box
    other.ok('STORE 1 +FLAGS (\\Flagged)')
    now = modseq(other.ok('FETCH 1 (MODSEQ)'))
    assert [int(f['MODSEQ'][0]) for _, f in m.ok('FETCH 1 (FLAGS)').fetches() if 'MODSEQ' in f] == [now]


def test_condition_on_many(node):
    """One that changed since is left alone, all others of the range are not, and the picture of both clients is the same."""
    with folder(node) as (m, name), login(node) as other:
        for _ in range(20):
            m.ok(f'APPEND {name} ' + ' '.join('{%d+}\r\n%s' % (len(mail()), mail()) for _ in range(20)))
        since = highest(m.ok(f'SELECT {name} (CONDSTORE)'))
        other.ok(f'SELECT {name}')
        other.ok('STORE 333 +FLAGS.SILENT (\\Flagged)')
        other.ok('STORE 44 +FLAGS.SILENT (\\Seen)')  # what is not asked for
        assert m.ok(f'STORE 1:* (UNCHANGEDSINCE {since}) +FLAGS.SILENT (\\Flagged \\Draft)').code() == 'MODIFIED 333'
        other.ok('NOOP')
        assert other.search('UNDRAFT') == [333] and other.search('UNFLAGGED') == []
        other.ok('STORE 7 -FLAGS (\\Flagged)')
        m.ok('STORE 1:* +FLAGS.SILENT (\\Flagged \\Draft)')  # which nobody has told of 7 and 333 yet
        assert m.search('UNFLAGGED') == [] and len(m.search('DRAFT')) == 400 and m.search('SEEN') == [44]
        node.perdura('check')
