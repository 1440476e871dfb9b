"""What changes messages: APPEND, STORE, COPY, MOVE, EXPUNGE, CLOSE; limits of literals."""
import re
import uuid

import pytest
from imap_client import folder, login, mail


def flags(m, n=1):
    return {f.decode() for f in m.fetch(f'{n} FLAGS')[0][1]['FLAGS']} - {'\\Recent'}


def copyuid(text):
    """[COPYUID v 1:3,5 7:10] as (v, {1: 7, ...})."""
    m = re.search(r'\[COPYUID (\d+) (\S+) (\S+)\]', text)
    sets = [[n for r in s.split(',') for n in range(int(r.split(':')[0]), int(r.split(':')[-1]) + 1)] for s in m.groups()[1:]]
    return int(m[1]), dict(zip(*sets))


@pytest.mark.parametrize('given,kept', [
    ('', set()), ('\\Seen', {'\\Seen'}), ('\\seen \\FLAGGED \\Draft \\Answered \\Deleted', {'\\Seen', '\\Flagged', '\\Draft', '\\Answered', '\\Deleted'}),
    ('$Forwarded mine Mine', {'$Forwarded', 'mine'}), ('\\Recent', set()),
])
def test_append_flags(node, given, kept):
    with folder(node) as (m, name):
        m.append(name, mail(), flags=given)
        assert flags(m) == kept


@pytest.mark.parametrize('message', [b'\r\n', b'no header', b'X: y\r\n\r\n', b'a\nb\rc\r\n\n\r\r\n', bytes(range(1, 256)) * 10, b'x' * 300000, b'\r\n' * 50000])
def test_append_any_bytes(node, message):
    with folder(node) as (m, name):
        assert m.append(name, message) == 1
        a = m.fetch('1 (RFC822.SIZE BODY.PEEK[] ENVELOPE BODYSTRUCTURE)')[0][1]
        assert a['BODY[]'] == message and int(a['RFC822.SIZE']) == len(message)


def test_append_with_a_synchronizing_literal(node):
    with folder(node) as (m, name):
        tag = m.start(f'APPEND {name} (\\Seen) " 1-Feb-2020 10:00:00 +0100" {{5}}')
        assert m.response().startswith(b'+')
        m.send('hello\r\n')
        a = m.wait(tag)
        assert a.status == 'OK' and a.numbers('EXISTS') == [1]
        assert m.fetch('1 INTERNALDATE')[0][1]['INTERNALDATE'] == b'01-Feb-2020 09:00:00 +0000'


def test_append_nowhere(node):
    with login(node) as m:
        m.no('APPEND nowhere {5}', 'TRYCREATE')
        m.ok('NOOP')
        m.no('APPEND nowhere {5+}\r\nhello', 'TRYCREATE')
        m.ok('NOOP')


def test_append_with_nul(node):
    with folder(node) as (m, name):
        m.no(f'APPEND {name} {{5+}}\r\nhe\0lo', 'CANNOT')
        m.no(f'APPEND {name} ~{{5+}}\r\nhe\0lo', 'UNKNOWN-CTE')
        assert m.search('ALL') == []


def test_append_too_big(node):
    with folder(node) as (m, name):
        m.no(f'APPEND {name} {{4000000000}}', 'TOOBIG')
        m.ok('NOOP')
        m.start(f'APPEND {name} {{4000000000+}}')
        assert m.ends().startswith(b'* BYE')
    with folder(node) as (m, name):
        low, high = 0, 1 << 32  # what the node takes, found by asking
        while high - low > 1:
            middle = (low + high) // 2
            tag = m.start(f'APPEND {name} {{{middle}}}')
            answer = m.response()
            if answer.startswith(b'+'):
                m.close()
                m = login(node)
                low = middle
            else:
                assert answer.startswith(tag.encode() + b' NO [TOOBIG]')
                high = middle
        piece = b'x' * 65536
        m.send(b'big APPEND %s {%d+}\r\n' % (name.encode(), high))
        for _ in range(high // len(piece)):
            m.send(piece)
        m.send(piece[:high % len(piece)] + b'\r\n')
        assert m.wait('big').code() == 'TOOBIG'
        m.ok('NOOP')
        m.close()


def test_append_is_broken_off(node):
    with folder(node) as (m, name):
        with login(node) as other:
            other.send(f'x APPEND {name} {{1000+}}\r\nonly a part')
        with login(node) as other:
            other.send(f'x APPEND {name} {{4+}}\r\nbody')  # and no line end
        assert m.ok('NOOP').numbers('EXISTS') == []


@pytest.mark.parametrize('command,result', [
    ('FLAGS (\\Flagged)', {'\\Flagged'}), ('+FLAGS (\\Flagged)', {'\\Seen', 'a', '\\Flagged'}), ('-FLAGS (\\Seen)', {'a'}), ('FLAGS ()', set()),
    ('+FLAGS \\Draft b', {'\\Seen', 'a', 'b', '\\Draft'}), ('-FLAGS (A)', {'\\Seen'}), ('+FLAGS (A)', {'\\Seen', 'a'}),
    ('FLAGS ($Junk c b)', {'$Junk', 'b', 'c'}), ('-FLAGS (zzz)', {'\\Seen', 'a'}), ('+FLAGS ()', {'\\Seen', 'a'}),
])
def test_store(node, command, result):
    with folder(node) as (m, name), login(node, select=name) as other:
        m.append(name, mail(), flags='\\Seen a')
        m.append(name, mail(), flags='\\Seen a')
        other.ok('NOOP')
        a = m.ok(f'STORE 1 {command}').fetches()
        assert len(a) == 1 and {f.decode() for f in a[0][1]['FLAGS']} - {'\\Recent'} == result
        assert m.ok('NOOP').fetches() == []
        silent = command.replace('FLAGS', 'FLAGS.SILENT')
        a = m.ok(f'UID STORE 2 {silent}')
        assert a.fetches() == []
        assert m.ok('NOOP').fetches() == []
        assert flags(m, 1) == flags(m, 2) == result
        told = dict(other.ok('NOOP').fetches())
        if result != {'\\Seen', 'a'}:
            assert set(told) == {1, 2}
        assert flags(other, 1) == flags(other, 2) == result


@pytest.mark.parametrize('command', ['FLAGS', 'FOO (x)', '+FLAGS (\\Foo)', 'FLAGS (a', 'FLAGS a)', '+FLAGS.LOUD (a)', 'FLAGS (\\Seen) x', '-FLAGS ("a")',
                                     'FLAGS (' + 'k' * 100 + ')', '(UNCHANGEDSINCE) FLAGS (a)', '() FLAGS (a)', '(UNCHANGEDSINCE -1) FLAGS (a)',
                                     '(UNCHANGEDSINCE 9223372036854775808) FLAGS (a)', '(UNCHANGEDSINCE 1 UNCHANGEDSINCE 2) FLAGS (a)',
                                     '(UNCHANGEDSINCE 1', '(FOO 1) FLAGS (a)'])
def test_bad_store(node, command):
    with folder(node) as (m, name):
        m.append(name, mail())
        m.bad('STORE 1 ' + command)
        assert flags(m) == set()


def test_too_many_keywords(node):
    with folder(node) as (m, name):
        m.append(name, mail())
        m.ok('STORE 1 FLAGS (' + ' '.join(f'k{i}' for i in range(50)) + ')')
        assert m.ask('STORE 1 +FLAGS (one more)').status == 'NO'
        assert m.ask('STORE 1 FLAGS (' + ' '.join(f'k{i}' for i in range(51)) + ')').status in ('NO', 'BAD')
        assert len(flags(m)) == 50


def test_silent_store_still_tells_what_others_did(node):
    with folder(node) as (m, name), login(node, select=name) as other:
        for _ in range(3):
            m.append(name, mail())
        other.ok('NOOP')
        other.ok('STORE 1,2 +FLAGS (theirs)')
        a = m.ok('STORE 2,3 +FLAGS.SILENT (mine)')
        told = {n: {f.decode() for f in i['FLAGS']} - {'\\Recent'} for n, i in a.fetches()}
        assert told.get(1) == {'theirs'} and 'theirs' in told[2] and 3 not in told
        assert flags(m, 2) == {'theirs', 'mine'}


def test_store_read_only(node):
    with folder(node) as (m, name):
        m.append(name, mail())
        m.ok(f'EXAMINE {name}')
        m.no('STORE 1 +FLAGS (\\Deleted)', 'CANNOT')
        m.no('EXPUNGE', 'CANNOT')
        m.no('MOVE 1 Trash', 'CANNOT')
        m.ok('COPY 1 Trash')
        m.ok('CLOSE')


def test_large_store(node):
    with folder(node) as (m, name):
        for _ in range(1200):
            m.send(b'x APPEND %s {3+}\r\nabc\r\n' % name.encode())
        for _ in range(1200):
            assert m.wait('x').status == 'OK'
        assert len(m.ok('STORE 1:* +FLAGS (\\Seen)').fetches()) == 1200
        assert m.ok('STORE 1:* +FLAGS.SILENT (\\Flagged)').fetches() == []
        assert len(m.search('FLAGGED SEEN')) == 1200
        other = 'L' + uuid.uuid4().hex[:10]
        m.ok(f'CREATE {other}')
        _, pairs = copyuid(m.ok(f'COPY 1:* {other}').text)
        assert pairs == {i: i for i in range(1, 1201)}
        a = m.ok(f'MOVE 11:1200 {other}')
        assert len(a.numbers('EXPUNGE')) == 1190 and m.search('ALL') == list(range(1, 11))
        m.ok('STORE 1:* +FLAGS.SILENT (\\Deleted)')
        assert len(m.ok('EXPUNGE').numbers('EXPUNGE')) == 10


def test_copy(node):
    with folder(node) as (m, name), folder(node) as (_, target):
        for i in range(4):
            m.append(name, mail(f's{i}'), flags=f'\\Seen k{i}', date='17-Jul-1996 02:44:25 -0700')
        validity, pairs = copyuid(m.ok(f'COPY 2:3 {target}').text)
        assert pairs == {2: 1, 3: 2}
        validity2, pairs = copyuid(m.ok(f'UID COPY 4,1 {target}').text)
        assert validity2 == validity and pairs in ({1: 3, 4: 4}, {4: 3, 1: 4})
        assert m.ok(f'UID COPY 100:200 {target}').code() == ''
        m.ok(f'COPY 1 {name}')
        m.no('COPY 1 nowhere', 'TRYCREATE')
        m.no('UID COPY 100 nowhere', 'TRYCREATE')
        assert len(m.search('ALL')) == 5
        a = m.ok(f'SELECT {target}')
        assert f'[UIDVALIDITY {validity}]'.encode() in b' '.join(a.untagged)
        assert [f['BODY[]'] for _, f in m.fetch('1:2 BODY.PEEK[]')] == [mail('s1').encode(), mail('s2').encode()]
        assert flags(m, 1) == {'\\Seen', 'k1'}
        assert m.fetch('1 INTERNALDATE')[0][1]['INTERNALDATE'] == b'17-Jul-1996 09:44:25 +0000'


def test_move(node):
    with folder(node) as (m, name), folder(node) as (_, target):
        for i in range(5):
            m.append(name, mail(f's{i}'), flags='\\Deleted' if i == 1 else '')
        a = m.ok(f'MOVE 2:3 {target}')
        _, pairs = copyuid(' '.join(u.decode() for u in a.untagged))
        assert pairs == {2: 1, 3: 2} and a.numbers('EXPUNGE') == [2, 2]
        assert next(i for i, u in enumerate(a.untagged) if b'COPYUID' in u) < next(i for i, u in enumerate(a.untagged) if b'EXPUNGE' in u)
        m.no('MOVE 1 nowhere', 'TRYCREATE')
        a = m.ok(f'UID MOVE 5,99 {target}')
        assert a.numbers('EXPUNGE') == [3]
        assert [int(f['UID']) for _, f in m.fetch('1:* UID')] == [1, 4]
        m.ok(f'SELECT {target}')
        assert '\\Deleted' in flags(m, 1) and [int(f['UID']) for _, f in m.fetch('1:* UID')] == [1, 2, 3]


def test_expunge(node):
    with folder(node) as (m, name):
        for i in range(6):
            m.append(name, mail(f's{i}'))
        m.ok('STORE 2,4,6 +FLAGS.SILENT (\\Deleted)')
        assert m.ok('UID EXPUNGE 3:5').numbers('EXPUNGE') == [4]
        assert m.ok('EXPUNGE').numbers('EXPUNGE') == [2, 4]
        assert [int(f['UID']) for _, f in m.fetch('1:* UID')] == [1, 3, 5]
        assert m.ok('EXPUNGE').numbers('EXPUNGE') == []
        assert m.append(name, mail()) == 7


def test_close_and_unselect(node):
    with folder(node) as (m, name):
        for i in range(2):
            m.append(name, mail(f's{i}'))
        m.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
        m.ok('UNSELECT')
        m.ok(f'EXAMINE {name}')
        m.ok('CLOSE')
        assert m.ok(f'SELECT {name}').numbers('EXISTS') == [2]
        assert m.ok('CLOSE').numbers('EXPUNGE') == []
        m.bad('CHECK')
        assert m.ok(f'SELECT {name}').numbers('EXISTS') == [1]
