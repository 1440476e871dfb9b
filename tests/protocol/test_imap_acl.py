"""ACL (RFC 4314): what an owner lets others do with his folders, and that nothing else shows."""
import re

import pytest
from imap_client import Closed, login, mail

ALL = 'lrswipkxteacd'


@pytest.fixture
def two(node, request):
    """An owner and somebody else, with sessions."""
    name = request.node.name.replace('[', '-').replace(']', '').replace('_', '-').lower()
    ann, bob = node.add(f'ann.{name}@example.org', f'bob.{name}@example.org')
    with login(node, ann) as a, login(node, bob) as b:
        a.name, b.name = ann, bob
        a.ok('CREATE Team')
        b.team = f'"Other Users/{ann}/Team"'
        b.inbox = f'"Other Users/{ann}/INBOX"'
        yield a, b


def line(answer, word):
    text, = answer.lines(word)
    return text.decode()


def names(m, pattern='*', options=''):
    return [x.split(b' "/" ')[1].decode().strip('"') for x in m.ok(f'LIST {options}"" "{pattern}"').lines('LIST')]


def flags(m, what='1'):
    return str(m.ok(f'FETCH {what} (FLAGS)'))


def test_right_to_flags_is_taken_away_while_a_message_comes(two):
    a, b = two
    a.ok(f'SETACL Team {b.name} lriwts')
    for i, head in enumerate(('(\\Flagged \\Deleted \\Seen $k) {5}', '(\\Flagged \\Deleted \\Seen $k) CATENATE (TEXT {5}')):
        a.ok(f'SETACL Team {b.name} lriwts')
        tag = b.start(f'APPEND {b.team} {head}')
        assert b.response().startswith(b'+')
        a.ok(f'SETACL Team {b.name} lri')
        b.send('hello' + ')' * i + '\r\n')
        assert b.wait(tag).status == 'OK'
    for m, name in ((a, 'Team'), (b, b.team)):
        m.ok(f'EXAMINE {name}')
        for i in (1, 2):
            assert not re.search(r'Flagged|Deleted|Seen|\$k', flags(m, i))


def test_own(two):
    a, b = two
    assert line(a.ok('MYRIGHTS INBOX'), 'MYRIGHTS') == f'"INBOX" {ALL}'
    assert line(a.ok('GETACL INBOX'), 'ACL') == f'"INBOX" {a.name} {ALL}'
    a.ok(f'SETACL Team {b.name} lrd')
    a.ok(f'SETACL Team -{b.name} +x')
    a.ok('SETACL Team anyone lc')
    assert line(a.ok('GETACL Team'), 'ACL') == f'"Team" {a.name} {ALL} {b.name} lrxted -{b.name} xd anyone lkc'
    a.ok(f'SETACL Team {b.name} -d')
    a.ok(f'SETACL Team {b.name} +i')
    a.ok('DELETEACL Team anyone')
    a.ok(f'DELETEACL Team -{b.name}')
    assert line(a.ok('GETACL Team'), 'ACL') == f'"Team" {a.name} {ALL} {b.name} lri'
    assert line(a.ok(f'LISTRIGHTS Team {b.name}'), 'LISTRIGHTS') == f'"Team" {b.name} "" l r s w i p k x t e a c d'
    assert line(a.ok(f'LISTRIGHTS Team {a.name}'), 'LISTRIGHTS') == f'"Team" {a.name} {ALL}'
    a.ok('RENAME Team Crew')
    assert line(a.ok('GETACL Crew'), 'ACL').endswith(f'{b.name} lri')
    a.ok('CREATE Crew/sub')
    assert line(a.ok('GETACL Crew/sub'), 'ACL').endswith(f'{b.name} lri')
    a.ok('DELETE Crew/sub')
    a.ok('CREATE Crew/sub2')
    a.ok(f'DELETEACL Crew/sub2 {b.name}')
    assert line(a.ok('GETACL Crew/sub2'), 'ACL') == f'"Crew/sub2" {a.name} {ALL}'


@pytest.mark.parametrize('command,status', [
    ('SETACL', 'BAD'), ('SETACL INBOX', 'BAD'), ('SETACL INBOX anyone', 'BAD'), ('SETACL INBOX anyone l x', 'BAD'), ('SETACL INBOX anyone L', 'BAD'),
    ('SETACL INBOX anyone lz', 'BAD'), ('SETACL INBOX anyone ll', 'BAD'), ('SETACL INBOX anyone +-l', 'BAD'), ('SETACL INBOX nobody.at.all l', 'NO'),
    ('SETACL nowhere anyone l', 'NO'), ('SETACL INBOX "" l', 'NO'), ('SETACL INBOX "-" l', 'NO'), ('SETACL INBOX --anyone l', 'NO'),
    ('SETACL "#at/1s/INBOX" anyone l', 'NO'), ('GETACL', 'BAD'), ('GETACL nowhere', 'NO'), ('GETACL INBOX x', 'BAD'), ('MYRIGHTS', 'BAD'),
    ('MYRIGHTS nowhere', 'NO'), ('LISTRIGHTS INBOX', 'BAD'), ('LISTRIGHTS INBOX nobody.at.all', 'NO'), ('LISTRIGHTS nowhere anyone', 'NO'),
    ('DELETEACL INBOX', 'BAD'), ('DELETEACL INBOX nobody.at.all', 'NO'), ('SETACL INBOX {5000+}\r\n' + 'x' * 5000 + ' l', 'NO'),
    ('SETACL INBOX {4+}\r\n\xff\xfe\xc0\x80 l', 'NO'), ('SETACL "Other Users" anyone l', 'NO'), ('GETACL "Other Users/x/y"', 'NO'),
    ('CREATE "Other Users"', 'NO'), ('CREATE "Other Users/x"', 'NO'), ('SELECT "Other Users"', 'NO'), ('SELECT "Other Users/"', 'NO'), ('SETACL INBOX anyone ""', 'OK')])
def test_refused(node, command, status):
    with login(node) as m:
        assert m.ask(command.encode('latin-1') if isinstance(command, str) and '\xff' in command else command).status == status
        m.ok('NOOP')


def test_nothing_shows(two):
    """To somebody without rights a folder is as one that is not there, to each command."""
    a, b = two
    a.append('Team', mail())
    b.append('INBOX', mail())
    missing = b.team.replace('Team', 'Nothing')
    for command in ('SELECT {}', 'EXAMINE {}', 'STATUS {} (MESSAGES)', 'GETACL {}', 'MYRIGHTS {}', 'SETACL {} anyone l', 'DELETEACL {} anyone',
                    'LISTRIGHTS {} anyone', 'DELETE {}', 'RENAME {} x', 'SUBSCRIBE {}', 'COPY 1 {}', 'MOVE 1 {}', 'APPEND {} {{3+}}\r\nabc', 'CREATE {}'):
        if command.startswith(('COPY', 'MOVE')):
            b.ok('SELECT INBOX')
        there, not_there = b.ask(command.format(b.team)), b.ask(command.format(missing))
        assert (there.status, there.text) == (not_there.status, not_there.text) == ('NO', there.text), command
        assert 'NONEXISTENT' in there.text, command
    assert not [x for x in names(b) if 'Other' in x]
    assert not names(b, f'Other Users/{a.name}/%')


def test_list(two):
    a, b = two
    a.ok('CREATE Team/deep/deeper')
    a.ok(f'SETACL Team/deep/deeper {b.name} l')
    root = f'Other Users/{a.name}'
    assert sorted(x for x in names(b) if 'Other' in x) == ['Other Users', root, f'{root}/Team', f'{root}/Team/deep', f'{root}/Team/deep/deeper']
    listed = {x.split(b' "/" ')[1]: x for x in b.ok(f'LIST "" "{root}/*"').lines('LIST')}
    assert b'\\NonExistent' in listed[f'"{root}/Team"'.encode()] and b'\\NonExistent' not in listed[f'"{root}/Team/deep/deeper"'.encode()]
    assert names(b, '%')[-1] == 'Other Users' and names(b, f'{root}/%') == [f'{root}/Team']
    b.ok(f'SUBSCRIBE "{root}/Team/deep/deeper"')
    assert f'{root}/Team/deep/deeper' in names(b, '*', '(SUBSCRIBED) ')
    b.no(f'SELECT "{root}/Team/deep/deeper"', 'NOPERM')
    a.ok(f'SETACL Team/deep/deeper -anyone l')
    assert not [x for x in names(b) if 'Other' in x]


def test_read_only(two):
    a, b = two
    a.append('Team', mail('first'))
    a.ok(f'SETACL Team {b.name} lr')
    s = b.ok(f'SELECT {b.team}')
    assert 'READ-ONLY' in s.text and 'PERMANENTFLAGS ()' in str(s)
    b.no('STORE 1 +FLAGS (\\Seen)')
    b.no('EXPUNGE')
    b.no('MOVE 1 INBOX')
    b.ok('COPY 1 INBOX')
    b.no(f'APPEND {b.team} {{3+}}\r\nabc', 'NOPERM')
    b.no(f'CREATE {b.team[:-1]}/x"', 'NOPERM')
    b.no(f'DELETE {b.team}', 'NOPERM')
    b.no(f'RENAME {b.team} "Other Users/{a.name}/Crew"', 'NOPERM')
    b.no(f'SETACL {b.team} anyone l', 'NOPERM')
    b.no(f'GETACL {b.team}', 'NOPERM')
    assert line(b.ok(f'MYRIGHTS {b.team}'), 'MYRIGHTS') == f'{b.team} lr'
    b.ok('CLOSE')
    assert b.ok('SELECT INBOX') and 'first' in str(b.ok('FETCH 1 BODY.PEEK[HEADER]'))
    a.ok('SELECT Team')
    a.ok('STORE 1 +FLAGS (\\Deleted)')
    b.ok(f'SELECT {b.team}')
    b.ok('CLOSE')
    assert '1 EXISTS' in str(a.ok('SELECT Team'))


def test_rights_one_by_one(two):
    a, b = two
    a.append('Team', mail('first'))
    a.ok(f'SETACL Team {b.name} lrs')
    assert 'READ-WRITE' in b.ok(f'SELECT {b.team}').text
    b.no('STORE 1 +FLAGS (\\Flagged)', 'NOPERM')
    b.no('STORE 1 +FLAGS (\\Deleted)', 'NOPERM')
    b.ok('STORE 1 +FLAGS (\\Seen \\Flagged $x)')
    assert '\\Seen' in flags(b) and '\\Flagged' not in flags(b) and '$x' not in flags(b)
    a.ok(f'SETACL Team {b.name} +w')
    b.ok('STORE 1 FLAGS (\\Flagged \\Deleted $x)')
    assert '\\Flagged' in flags(b) and '$x' in flags(b) and '\\Deleted' not in flags(b) and '\\Seen' not in flags(b)
    a.ok(f'SETACL Team {b.name} +t')
    b.ok('STORE 1 +FLAGS (\\Deleted)')
    b.no('EXPUNGE', 'NOPERM')
    a.ok(f'SETACL Team {b.name} +e')
    assert '1 EXPUNGE' in str(b.ok('EXPUNGE'))
    b.no(f'APPEND {b.team} {{3+}}\r\nabc', 'NOPERM')
    a.ok(f'SETACL Team {b.name} +i')
    b.append(b.team.strip('"'), mail('second'), flags='\\Seen \\Answered')
    assert '\\Seen' in flags(b) and '\\Answered' in flags(b)
    a.ok('SELECT Team')
    assert '\\Seen' not in flags(a) and '\\Answered' in flags(a)
    a.ok(f'SETACL Team {b.name} +k')
    b.ok(f'CREATE {b.team[:-1]}/sub"')
    assert 'Team/sub' in names(a)
    assert line(b.ok(f'MYRIGHTS {b.team[:-1]}/sub"'), 'MYRIGHTS').endswith('lrswiktecd')
    b.no(f'DELETE {b.team[:-1]}/sub"', 'NOPERM')
    a.ok(f'SETACL Team/sub {b.name} +x')
    b.no(f'RENAME {b.team[:-1]}/sub" mine', 'CANNOT')
    b.ok(f'RENAME {b.team[:-1]}/sub" {b.team[:-1]}/bus"')
    b.ok(f'DELETE {b.team[:-1]}/bus"')
    assert 'Team/bus' not in names(a)
    a.ok(f'SETACL INBOX {b.name} lx')
    b.no(f'RENAME {b.inbox} {b.team[:-1]}/all"', 'NOPERM')
    a.ok(f'SETACL Team {b.name} +a')
    b.ok(f'SETACL {b.team} anyone l')
    assert 'anyone l' in line(a.ok('GETACL Team'), 'ACL')


def test_seen_is_ones_own(two, node):
    a, b = two
    for n in range(3):
        a.append('Team', mail(str(n)))
    a.ok(f'SETACL Team {b.name} lrswite')
    a.ok('SELECT Team')
    a.ok('STORE 1:2 +FLAGS (\\Seen)')
    s = b.ok(f'SELECT {b.team}')
    assert 'UNSEEN 1' in str(s) and b.search('UNSEEN') == [1, 2, 3]
    b.ok('STORE 3 +FLAGS (\\Seen)')
    assert b.search('UNSEEN') == [1, 2] and b.search('SEEN') == [3] and a.search('SEEN') == [1, 2]
    b.ok('FETCH 1 BODY[]')
    assert b.search('UNSEEN') == [2] and 'UNSEEN 2' in str(b.ok(f'SELECT {b.team}'))
    assert 'UNSEEN 1' in str(b.ok(f'STATUS {b.team} (UNSEEN)')) and 'UNSEEN 1' in str(a.ok('STATUS Team (UNSEEN)'))
    assert f'UNSEEN 1' in str(b.ok(f'LIST "" {b.team} RETURN (STATUS (UNSEEN))'))
    b.ok('STORE 1:3 FLAGS (\\Flagged)')
    assert b.search('SEEN') == [] and a.search('SEEN') == [1, 2] and a.search('FLAGGED') == [1, 2, 3]
    with login(node, b.name) as other:
        other.ok(f'SELECT {b.team}')
        b.ok('STORE 2 +FLAGS.SILENT (\\Seen)')
        news = str(other.ok('NOOP'))
        assert '2 FETCH' in news and '\\Seen' in news
        assert other.search('SEEN') == [2]
        b.ok('STORE 2 -FLAGS (\\Seen)')
        assert '2 FETCH' in str(other.ok('NOOP')) and other.search('SEEN') == []
    a.ok('STORE 3 +FLAGS (\\Seen)')
    assert b.search('SEEN') == []


def test_modseq(two):
    a, b = two
    a.append('Team', mail())
    a.append('Team', mail())
    a.ok(f'SETACL Team {b.name} lrs')
    s = str(b.ok(f'SELECT {b.team} (CONDSTORE)'))
    start = int(s.split('HIGHESTMODSEQ ')[1].split(']')[0])
    b.ok(f'STORE 1 (UNCHANGEDSINCE {start}) +FLAGS (\\Seen)')
    assert 'MODIFIED 1' in b.ok(f'STORE 1 (UNCHANGEDSINCE {start}) -FLAGS (\\Seen)').text
    assert '1 FETCH' in str(b.ok(f'FETCH 1:* (FLAGS) (CHANGEDSINCE {start})'))
    assert b.ok(f'SEARCH MODSEQ {start + 1}').lines('SEARCH')[0].startswith(b'1 (MODSEQ')
    a.ok('SELECT Team')
    assert not a.ok(f'FETCH 1:* (FLAGS) (CHANGEDSINCE {start})').fetches()


def test_copy_and_move(two):
    a, b = two
    for n in range(3):
        a.append('Team', mail(f'no {n}'), flags='\\Answered')
    a.ok(f'SETACL Team {b.name} lrswite')
    a.ok(f'SETACL INBOX {b.name} li')
    b.ok(f'SELECT {b.team}')
    b.ok('STORE 1 +FLAGS (\\Seen)')
    assert 'COPYUID' in b.ok('COPY 1:2 INBOX').text
    b.ok(f'COPY 1 {b.team}')
    b.ok(f'COPY 3 {b.inbox}')
    moved = b.ok('MOVE 3 INBOX')
    assert 'COPYUID' in str(moved) and '3 EXPUNGE' in str(moved)
    b.no('COPY 1 nowhere', 'TRYCREATE')
    assert 'TRYCREATE' not in b.no(f'COPY 1 "Other Users/{a.name}/nowhere"').text
    assert '3 EXISTS' in str(b.ok('SELECT INBOX')) and b.search('SEEN') == [1] and b.search('ANSWERED') == [1, 2, 3]
    assert 'no 2' in str(b.ok('FETCH 3 BODY.PEEK[]'))
    b.ok(f'COPY 1 {b.team}')
    assert '4 EXISTS' in str(a.ok('SELECT Team')) and a.search('UNSEEN') == [1, 2, 3, 4]
    assert '1 EXISTS' in str(a.ok('SELECT INBOX')) and 'no 2' in str(a.ok('FETCH 1 BODY.PEEK[]'))
    assert str(a.ok('FETCH 1 (FLAGS)')).count('Answered') == 0  # without w


def test_quota_is_the_owners(two, node):
    a, b = two
    a.ok(f'SETACL Team {b.name} lri')
    node.perdura('account', 'set', a.name, 'quota=2K')
    assert b.ok(f'GETQUOTAROOT {b.team}').lines('QUOTAROOT') == [b.team.encode()]
    b.append(b.team.strip('"'), b'Subject: x\r\n\r\n' + b'y' * 1000)
    b.append('INBOX', b'Subject: x\r\n\r\n' + b'y' * 3000)
    b.no(f'APPEND {b.team} {{3000+}}\r\n' + 'Subject: x\r\n\r\n' + 'y' * 2986, 'OVERQUOTA')
    b.ok('SELECT INBOX')
    b.no(f'COPY 1 {b.team}', 'OVERQUOTA')


def test_lost_while_selected(two, node):
    """The next command after the right to read was taken ends the session, IDLE at once; others keep it."""
    a, b = two
    a.append('Team', mail())
    a.ok(f'SETACL Team {b.name} lrs')
    b.ok(f'SELECT {b.team}')
    with login(node, b.name) as idle:
        idle.ok(f'SELECT {b.team}')
        idle.start('IDLE')
        assert idle.line().startswith(b'+')
        a.ok(f'SETACL Team {b.name} -s')
        b.no('STORE 1 +FLAGS (\\Seen)')
        a.ok(f'DELETEACL Team {b.name}')
        lines = []
        with pytest.raises(Closed):
            while True:
                lines.append(idle.line())
        assert any(x.startswith(b'* BYE') for x in lines)
    with pytest.raises(Closed):
        b.ok('FETCH 1 BODY[]')


def test_deleted_while_selected(two):
    a, b = two
    a.ok(f'SETACL Team {b.name} lrsx')
    b.ok(f'SELECT {b.team}')
    a.ok('RENAME Team Crew')
    b.ok('NOOP')
    a.ok('DELETE Crew')
    with pytest.raises(Closed):
        b.ok('NOOP')
        b.ok('NOOP')


def test_account_that_is_new_has_nothing(two, node):
    """Rights are an account's, not an address's."""
    a, b = two
    a.ok(f'SETACL Team {b.name} lr')
    node.perdura('account', 'remove', b.name)
    node.add(b.name)
    with login(node, b.name) as again:
        again.no(f'SELECT {b.team}', 'NONEXISTENT')
    assert line(a.ok('GETACL Team'), 'ACL') == f'"Team" {a.name} {ALL}'


def test_thousands_of_entries(two, node):
    a, b = two
    users = [f'u{n}.{a.name}' for n in range(1001)]
    node.add(*users)
    for u in users[:1000]:
        a.ok(f'SETACL Team {u} lr')
    a.no(f'SETACL Team {users[1000]} lr', 'LIMIT')
    assert len(line(a.ok('GETACL Team'), 'ACL').split()) == 2 * 1000 + 3
    a.ok(f'DELETEACL Team {users[500]}')
    a.ok(f'SETACL Team {users[1000]} lr')


def test_list_myrights(two):
    a, b = two
    a.ok(f'SETACL Team {b.name} lr')
    a.ok(f'SETACL INBOX {b.name} r')
    answer = b.ok(f'LIST "" "*" RETURN (MYRIGHTS)')
    mine = [x.decode() for x in answer.lines('MYRIGHTS')]
    assert f'{b.team} lr' in mine and f'"INBOX" {ALL}' in mine and not [x for x in mine if a.name in x and 'Team' not in x]
    assert f'{b.inbox} r' not in mine  # without l it does not show
    b.ok(f'SELECT {b.inbox}')


def test_history_and_undo(two, node):
    a, b = two
    a.ok(f'SETACL Team {b.name} lr')
    b.ok(f'SELECT {b.team}')
    b.ok('UNSELECT')
    assert 'changed the rights to Team' in node.perdura('history', a.name)
    node.perdura('undo', a.name, '--since', '@3', '--until', '@3', '--yes')
    b.no(f'SELECT {b.team}', 'NONEXISTENT')
    assert line(a.ok('GETACL Team'), 'ACL') == f'"Team" {a.name} {ALL}'


def test_deleted_folder_comes_back_with_its_rights(two, node):
    a, b = two
    a.append('Team', mail())
    a.ok(f'SETACL Team {b.name} lr')
    instant = a.name.partition('@')[0]
    node.perdura('snapshot', 'create', instant)
    a.ok('DELETE Team')
    b.no(f'SELECT {b.team}', 'NONEXISTENT')
    node.perdura('restore', a.name, '--at', instant, '--folder', 'Team')
    assert '1 EXISTS' in str(b.ok(f'SELECT {b.team}'))


def test_second_folder_of_the_name_is_private(two):
    a, b = two
    a.ok(f'SETACL Team {b.name} lr')
    a.ok('DELETE Team')
    a.ok('CREATE Team')
    b.no(f'SELECT {b.team}', 'NONEXISTENT')


def test_check(node):
    node.perdura('check')


def test_names_in_utf8(two):
    """To IMAP4rev2 somebody else's folder is one too, in whatever form its name comes; one that is not in NFC keeps its own."""
    a, b = two
    others = f'Other Users/{a.name}'
    for name in ('&APw-', 'a&Awg-'):
        a.ok(f'CREATE "{name}"')
        a.ok(f'SETACL "{name}" {b.name} lr')
    b.ok('ENABLE IMAP4rev2')
    assert line(b.ok(f'SELECT "{others}/u\u0308"'.encode()), 'LIST').endswith(f'"{others}/ü" ("OLDNAME" ("{others}/u\u0308"))')
    assert line(b.ok(f'SELECT "{others}/a\u0308"'.encode()), 'LIST').endswith(f'"{others}/a\u0308"')
    b.no(f'SELECT "{others}/ä"'.encode(), 'NONEXISTENT')
    b.no('SELECT "Other Users/nobody@example.org/u\u0308"'.encode(), 'NONEXISTENT')
    assert f'{others}/a\u0308' in names(b)
    assert line(b.ok(f'MYRIGHTS "{others}/u\u0308"'.encode()), 'MYRIGHTS') == f'"{others}/ü" lr'


@pytest.mark.parametrize('rights,ok', [('lrite', True), ('lrit', False), ('lrie', False), ('lrte', False)])
def test_replace(two, rights, ok):
    """It needs what APPEND needs there, and what takes the other message away here."""
    a, b = two
    a.append('Team', mail('one'))
    a.ok(f'SETACL Team {b.name} {rights}')
    b.ok(f'SELECT {b.team}')
    text = mail('two')
    command = f'UID REPLACE 1 {b.team} (\\Flagged) {{{len(text)}+}}\r\n{text}'
    b.ok(command) if ok else b.no(command)
    assert b.search('SUBJECT two') == ([1] if ok else []) and len(b.search('ALL')) == 1
    if ok:  # not into a mailbox of another owner, and nothing is lost by the attempt
        b.no(f'REPLACE 1 INBOX {{{len(text)}+}}\r\n{text}', 'CANNOT')
        assert b.search('SUBJECT two') == [1] and b'FLAGGED' not in flags(b).upper().encode()


@pytest.mark.parametrize('changes', [['SETACL Team {} -i'], ['DELETEACL Team {}'], ['RENAME Team Crew', 'CREATE Team']])
def test_append_that_comes_slowly(two, changes):
    """The right may be gone when the message is there, or the name be another mailbox's."""
    a, b = two
    a.ok(f'SETACL Team {b.name} lri')
    tag = b.start(f'APPEND {b.team} {{5}}')
    assert b.line().startswith(b'+')
    for change in changes:
        a.ok(change.format(b.name))
    b.send(b'a: b\n\r\n')
    assert b.wait(tag).status == 'NO'
    assert b'MESSAGES 0' in a.ok('STATUS Team (MESSAGES)').untagged[0]
    b.ok('NOOP')


def test_replace_that_comes_slowly(two):
    a, b = two
    a.append('Team', mail('one'))
    a.ok(f'SETACL Team {b.name} lrite')
    b.ok(f'SELECT {b.team}')
    tag = b.start(f'UID REPLACE 1 {b.team} {{5}}')
    assert b.line().startswith(b'+')
    a.ok(f'SETACL Team {b.name} -e')
    b.send(b'a: b\n\r\n')
    assert b.wait(tag).status == 'NO'
    assert b.search('SUBJECT one') == [1] and len(b.search('ALL')) == 1
