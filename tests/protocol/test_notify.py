"""NOTIFY: what comes without a command is right and bounded, however much happens and however slowly it is read."""
import contextlib
import pathlib
import re
import socket
import time

import pytest
from imap_client import Closed, folder, login, mail
from node import PASSWORD, PopulatedNode, wait_until

ALL = 'MessageNew MessageExpunge FlagChange'


def until(session, pattern):
    """Lines that come by themselves, up to the one that matches."""
    came = []
    while not came or not re.fullmatch(pattern, came[-1]):
        came.append(session.response())
    return came


def quiet(session):
    """Nothing is there that was not asked for."""
    assert session.ok('NOOP').untagged == []


def test_many_changes_are_few_lines(node):
    with folder(node) as (m, name), login(node) as other:
        other.ok(f'NOTIFY SET (MAILBOXES {name} ({ALL}))')
        for i in range(300):
            m.append(name, mail(f's{i}'))
        came = until(other, rb'\* STATUS .* \(MESSAGES 300 .*')
        assert len(came) < 150 and all(line.startswith(b'* STATUS ') for line in came)
        counts = [int(re.search(rb'MESSAGES (\d+)', line)[1]) for line in came]
        assert counts == sorted(counts)
        quiet(other)


def test_new_messages_are_fetched_once(node):
    with folder(node) as (m, name), login(node, select=name) as other:
        other.ok(f'NOTIFY SET (SELECTED (MessageNew (UID ENVELOPE) {ALL[11:]}))')
        own, seen = [], []
        for i in range(40):
            m.append(name, mail(f's{i}'))
            if i % 10 == 5:
                message = mail('own').encode()
                a = other.ask(f'APPEND {name} {{{len(message)}+}}\r\n'.encode() + message)
                own.append(int(a.code().split()[2]))
                seen += [int(f['UID']) for _, f in a.fetches()]
        while len(seen) < 40:
            found = re.fullmatch(rb'\* \d+ FETCH \(UID (\d+) ENVELOPE .*', other.response(), re.S)
            seen += [int(found[1])] if found else []
        assert seen == sorted(set(seen)) and not set(own) & set(seen)
        assert other.ok('UID SEARCH ALL').lines('SEARCH')[0].split() == [b'%d' % u for u in sorted(seen + own)]


def test_numbers_stay_within_a_command(node):
    """SELECTED tells expunges at any time, but not within a command that goes by numbers."""
    with folder(node) as (m, name), login(node, select=name) as other:
        for i in range(20):
            m.append(name, mail(f's{i}', body='x' * 200000))
        other.ok('NOOP')
        other.ok(f'NOTIFY SET (SELECTED ({ALL}))')
        tag = other.start('FETCH 1:* (UID BODY.PEEK[])')
        m.ok('STORE 1:10 +FLAGS.SILENT (\\Deleted)')
        m.ok('EXPUNGE')
        got = other.wait(tag)
        assert [(n, int(f['UID'])) for n, f in got.fetches() if 'BODY[]' in f] == [(i, i) for i in range(1, 21)]
        assert got.numbers('EXPUNGE') == []
        came = [line for line in until(other, rb'\* 1 EXPUNGE') if line.endswith(b'EXPUNGE')]
        came += [other.response() for _ in range(9)]
        assert came == [b'* 1 EXPUNGE'] * 10
        assert [int(f['UID']) for _, f in other.fetch('1:* UID')] == list(range(11, 21))


def test_modseq_of_what_comes_by_itself(node):
    """Whoever was told a mod-sequence, but not of an expunge before it, is told how far it knows everything."""
    with folder(node) as (m, name), login(node) as other:
        for i in range(3):
            m.append(name, mail(f's{i}'))
        m.ok('NOOP')
        m.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
        other.ok('ENABLE QRESYNC')
        known = other.ok(f'SELECT {name}').lines('OK [HIGHESTMODSEQ')[0].split(b']')[0]
        other.ok('NOTIFY SET (SELECTED-DELAYED (MessageNew (UID MODSEQ) MessageExpunge))')
        m.ok('EXPUNGE')
        m.append(name, mail('new'))
        assert re.fullmatch(rb'\* 4 FETCH \(UID 4 MODSEQ \(\d+\)\)', until(other, rb'.* FETCH .*')[-1])
        assert other.response().startswith(b'* OK [HIGHESTMODSEQ %s] ' % known)
        assert other.ok('NOOP').lines('VANISHED') == [b'1']


def test_modseq_without_news(node):
    """The same, of what it fetches itself and else hears nothing."""
    with folder(node) as (m, name), login(node) as other:
        for i in range(3):
            m.append(name, mail(f's{i}'))
        m.ok('NOOP')
        m.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
        other.ok('ENABLE QRESYNC')
        known = other.ok(f'SELECT {name}').lines('OK [HIGHESTMODSEQ')[0].split(b']')[0]
        other.ok('NOTIFY NONE')
        m.ok('EXPUNGE')
        m.ok('STORE 2 +FLAGS.SILENT (\\Flagged)')
        a = other.ok('UID FETCH 1:* (MODSEQ)')
        assert [n for n, _ in a.fetches()] == [1, 2, 3]
        assert a.lines('OK [HIGHESTMODSEQ')[0].split(b']')[0] == known


def test_another_mailbox_is_selected(node):
    with folder(node) as (m, one), folder(node) as (_, two), login(node, select=one) as other:
        other.ok(f'NOTIFY SET (SELECTED (MessageNew (UID) MessageExpunge)) (MAILBOXES ({one} {two}) (MessageNew MessageExpunge))')
        m.append(one, mail())
        assert until(other, rb'\* 1 FETCH \(UID 1\)')[0] == b'* 1 EXISTS'
        m.append(two, mail())
        assert re.match(rb'\* STATUS "?%s"? \(MESSAGES 1 ' % two.encode(), other.response())
        other.ok(f'SELECT {two}')
        m.append(two, mail())
        assert until(other, rb'\* 2 FETCH \(UID 2\)')[0] == b'* 2 EXISTS'
        m.append(one, mail())
        assert re.match(rb'\* STATUS "?%s"? \(MESSAGES 2 ' % one.encode(), other.response())
        other.ok('UNSELECT')
        m.append(two, mail())
        assert re.match(rb'\* STATUS "?%s"? \(MESSAGES 3 ' % two.encode(), other.response())
        quiet(other)


def test_names_below_a_renamed_folder(node):
    with folder(node) as (m, name), login(node) as other:
        m.ok(f'CREATE {name}/a/b')
        other.ok('NOTIFY SET (PERSONAL (MailboxName))')
        m.ok(f'RENAME {name}/a {name}/c')
        lines = [other.response().decode().replace('"', '') for _ in range(2)]
        assert sorted(lines) == [rf'* LIST (\HasChildren) / {name}/c (OLDNAME ({name}/a))',
                                 rf'* LIST (\HasNoChildren) / {name}/c/b (OLDNAME ({name}/a/b))']
        m.ok(f'DELETE {name}/c')
        assert rf'* LIST (\Noselect \HasChildren) / {name}/c' in [other.response().decode().replace('"', '') for _ in range(2)]
        m.ok(f'CREATE {name}/c')
        assert other.response().decode().replace('"', '') == rf'* LIST (\HasChildren) / {name}/c'
        quiet(other)


def test_names_that_change_again_and_again(node):
    """What is too much to be told takes no memory in proportion to all that happened."""
    with folder(node) as (m, name):
        m.ok(f'CREATE {name}/a')
        m.append(name, mail('large', body='z' * 8000000))
        m.send(''.join(f't{i} CREATE {name}/a/{"n" * 60}{i}\r\n' for i in range(2000)) + 'last NOOP\r\n')
        while not m.response().startswith(b'last OK'):
            pass
        with login(node, select=name) as other:
            other.ok('NOTIFY SET (PERSONAL (MailboxName))')
            tag = other.start('FETCH 1 BODY.PEEK[]')
            for _ in range(100):
                m.ok(f'RENAME {name}/a {name}/b')
                m.ok(f'RENAME {name}/b {name}/a')
            pathlib.Path(f'/proc/{node.process.pid}/clear_refs').write_text('5')
            before = node.memory()
            other.wait(tag)
            assert other.response().startswith(b'* OK [NOTIFICATIONOVERFLOW]')
            assert node.memory('VmHWM') - before < 12


def test_many_sessions_and_many_folders(node):
    """Looking costs more the more there is; so they look more rarely, and deliveries are not held up."""
    with folder(node) as (m, name), contextlib.ExitStack() as all:
        m.send(''.join(f't{i} CREATE {name}/{i}\r\n' for i in range(3000)) + 'last NOOP\r\n')
        while not m.response().startswith(b'last OK'):
            pass
        sessions = [all.enter_context(login(node)) for _ in range(80)]
        for s in sessions:
            s.ok(f'NOTIFY SET (PERSONAL ({ALL}))')
        before = node.processor()
        for i in range(100):
            m.append(name, mail(f's{i}'))
        assert node.processor() - before < 2.5
        for s in sessions:
            until(s, rb'\* STATUS .* \(MESSAGES 100 .*')


def test_subscribed_is_looked_up_anew(node):
    with folder(node) as (m, name), login(node) as other:
        other.ok(f'NOTIFY SET (SUBSCRIBED ({ALL}))')
        m.append(name, mail())
        time.sleep(0.3)
        quiet(other)
        m.ok(f'SUBSCRIBE {name}')
        m.append(name, mail())
        assert b'MESSAGES 2 ' in other.response()
        m.ok(f'UNSUBSCRIBE {name}')


def test_selected_mailbox_is_deleted(node):
    with folder(node) as (m, name), login(node, select=name) as other:
        other.ok(f'NOTIFY SET (SELECTED ({ALL}))')
        m.ok('UNSELECT')
        m.ok(f'DELETE {name}')
        assert other.response().startswith(b'* BYE ')
        with pytest.raises(Closed):
            other.response()
        m.ok(f'CREATE {name}')


def test_bounds(node):
    with login(node) as m:
        m.no(f'NOTIFY SET (MAILBOXES ({" ".join(f"m{i}" for i in range(201))}) ({ALL}))', 'NOTIFICATIONOVERFLOW')
        m.no(f'NOTIFY SET {" ".join(["(PERSONAL (MailboxName))"] * 51)}', 'NOTIFICATIONOVERFLOW')
        m.ok(f'NOTIFY SET (MAILBOXES ({" ".join(f"m{i}" for i in range(200))}) ({ALL}))')
        m.no('NOTIFY SET (MAILBOXES "&AAA" (MailboxName))')
        a = m.no('NOTIFY SET (PERSONAL (MessageNew MessageExpunge AnnotationChange))', 'BADEVENT')
        assert a.code() == ('BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange '
                            'ServerMetadataChange)')


def test_a_reader_that_stops(node):
    """It holds no worker, and when it reads again it is told what became of all that happened meanwhile."""
    with folder(node) as (m, name):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(60)
        s.connect(node.tcp('listen.imap'))
        with s, s.makefile('rb') as f:
            s.sendall(f'a LOGIN {node.user} "{PASSWORD}"\r\nb SELECT {name}\r\n'
                      f'c NOTIFY SET (SELECTED (MessageNew (UID BODY.PEEK[]) {ALL[11:]}))\r\n'.encode())
            while not f.readline().startswith(b'c OK '):
                pass
            for i in range(30):
                m.append(name, mail(f's{i}', body='y' * 500000))
            m.ok('STORE 1:20 +FLAGS.SILENT (\\Deleted)')
            m.ok('EXPUNGE')
            there = []
            while 30 not in there:
                line = f.readline()
                if fetched := re.match(rb'\* (\d+) FETCH \(UID (\d+) BODY\[\] \{(\d+)\}\r\n$', line):
                    there += [None] * (int(fetched[1]) - len(there))
                    there[int(fetched[1]) - 1] = int(fetched[2])
                    assert len(f.read(int(fetched[3]))) == int(fetched[3])
                elif expunged := re.match(rb'\* (\d+) EXPUNGE', line):
                    del there[int(expunged[1]) - 1]
            assert there == list(range(21, 31))


def test_far_behind(node):
    """Whoever lags behind by more changes than are told is told that, once, and nothing more."""
    with folder(node) as (m, name):
        m.append(name, mail('large', body='z' * 8000000))
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(60)
        s.connect(node.tcp('listen.imap'))
        with s, s.makefile('rb') as f:
            s.sendall(f'a LOGIN {node.user} "{PASSWORD}"\r\nb SELECT {name}\r\nc NOTIFY SET (PERSONAL (MailboxName))\r\n'
                      'd FETCH 1 BODY.PEEK[]\r\n'.encode())
            while b'BODY[]' not in f.readline():
                pass
            flag = ''.join(f't{i} STORE 1 {"+-"[i % 2]}FLAGS.SILENT (\\Flagged)\r\n' for i in range(10001))
            m.send(flag + 'last NOOP\r\n')
            while not m.response().startswith(b'last OK'):
                pass
            while not (line := f.readline()).startswith(b'* OK [NOTIFICATIONOVERFLOW]'):
                assert line
            m.ok(f'CREATE {name}/x')
            s.sendall(b'e NOOP\r\n')
            assert f.readline().startswith(b'e OK')
            s.sendall(b'f NOTIFY SET (PERSONAL (MailboxName))\r\n')
            assert f.readline().startswith(b'f OK')
            m.ok(f'DELETE {name}/x')
            assert f.readline().startswith(b'* LIST (\\NonExistent ')


def test_sessions_that_go(node):
    """A connection that ends while it is woken."""
    with folder(node) as (m, name):
        for i in range(50):
            other = login(node, select=name)
            other.send(f'x NOTIFY SET (SELECTED (MessageNew (BODY.PEEK[]) {ALL[11:]})) (PERSONAL ({ALL} MailboxName))\r\n')
            m.append(name, mail(f's{i}'))
            other.sock.close() if hasattr(other, 'sock') else other.close()
        with login(node, select=name) as other:
            other.ok(f'NOTIFY SET (SELECTED ({ALL}))')
            m.append(name, mail())
            assert wait_until(other.response) == b'* 51 EXISTS'


def test_a_mailbox_of_somebody_else(node):
    """It is heard of while it is selected, beside the session's own."""
    with folder(node) as (m, name), folder(node, node.other) as (o, mine), login(node, node.other) as other:
        m.ok(f'SETACL {name} {node.other} lrswite')
        theirs = f'"Other Users/{node.user}/{name}"'
        other.ok(f'SELECT {theirs}')
        other.ok('NOTIFY SET (SELECTED (MessageNew (UID) MessageExpunge FlagChange)) (PERSONAL (MessageNew MessageExpunge))')
        m.append(name, mail())
        assert until(other, rb'\* 1 FETCH \(UID 1\)')[0] == b'* 1 EXISTS'
        o.append(mine, mail())
        assert re.match(rb'\* STATUS "?%s"? \(MESSAGES 1 ' % mine.encode(), other.response())
        message = mail('own').encode()
        a = other.ask(f'APPEND {theirs} {{{len(message)}+}}\r\n'.encode() + message)
        assert a.status == 'OK' and a.numbers('EXISTS') == [2] and a.fetches() == []
        m.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
        assert re.match(rb'\* 1 FETCH \(UID 1 FLAGS \(.*\\Deleted', other.response())
        m.ok('EXPUNGE')
        assert other.response() == b'* 1 EXPUNGE'
        quiet(other)


def test_the_account_is_purged(tmp_path):
    """Nobody is left to be told anything."""
    with PopulatedNode(tmp_path, purge_grace='0', purge_every='1d') as n, login(n) as other:
        other.ok(f'NOTIFY SET (PERSONAL ({ALL}))')
        n.perdura('account', 'remove', n.user)
        n.perdura('set', 'retention.window=1s')
        time.sleep(1.2)
        assert 'removed account' in n.perdura('purge')
        other.send('x IDLE\r\n')
        assert until(other, rb'\* BYE .*')[-1] == b'* BYE This account was removed'


def test_first_rights_and_annotations_are_no_mailboxes(node):
    with folder(node) as (m, name), login(node) as other:
        other.ok('NOTIFY SET (PERSONAL (MailboxName SubscriptionChange))')
        m.ok(f'SETACL {name} {PopulatedNode.other} lr')
        m.ok(f'SETMETADATA {name} (/private/comment "x")')
        time.sleep(0.5)
        quiet(other)
