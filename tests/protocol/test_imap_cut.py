"""Every command, sent up to each of its bytes by a client that then hangs up: nothing of it is done, and nobody stays behind."""
import socket

import pytest
from imap_client import login, mail
from node import PASSWORD, wait_until

TEXT = 'Subject: cut\r\n\r\nx\r\n'
SELECTED = [
    'CHECK', 'CLOSE', 'UNSELECT', 'EXPUNGE', 'UID EXPUNGE 1:*', 'NOOP', 'IDLE\r\nDONE',
    'FETCH 1:* (UID FLAGS BODY[HEADER.FIELDS (Subject {1+}\r\nX)]<0.10> ENVELOPE BODYSTRUCTURE MODSEQ)', 'FETCH 1 BODY[]',
    'UID FETCH 1:* (FLAGS PREVIEW (LAZY) BINARY.SIZE[1] SAVEDATE) (CHANGEDSINCE 1 PARTIAL 1:2)',
    'STORE 1:* +FLAGS (\\Seen key)', 'UID STORE 1 (UNCHANGEDSINCE 99999) FLAGS.SILENT (\\Deleted)', 'STORE 2 -FLAGS.SILENT \\Flagged',
    'COPY 1:2 "Sent"', 'COPY 1 {4+}\r\nSent', 'UID MOVE 1 Trash', 'MOVE 1:* {5}\r\nTrash',
    'SEARCH CHARSET UTF-8 OR (TEXT {1+}\r\nx) (NOT SEEN) SENTSINCE 1-Feb-2020', 'UID SEARCH RETURN (SAVE MIN PARTIAL 1:5) UNDELETED',
    'SORT (REVERSE DATE SUBJECT) UTF-8 ALL', 'UID SORT RETURN (COUNT) (DISPLAYFROM) UTF-8 SUBJECT "x"', 'THREAD REFERENCES UTF-8 ALL',
    'UID REPLACE 1 INBOX (\\Seen) {%d+}\r\n%s' % (len(TEXT), TEXT), 'REPLACE 2 {5+}\r\nINBOX "01-Feb-2020 00:00:00 +0000" {%d}\r\n%s' % (len(TEXT), TEXT),
]
ANYWHERE = [
    'APPEND INBOX (\\Seen) "01-Feb-2020 00:00:00 +0000" {%d+}\r\n%s' % (len(TEXT), TEXT), 'APPEND {5}\r\nINBOX UTF8 (~{%d+}\r\n%s)' % (len(TEXT), TEXT),
    'APPEND INBOX {%d+}\r\n%s (\\Flagged) ~{%d+}\r\n%s' % (len(TEXT), TEXT, len(TEXT), TEXT),
    'APPEND INBOX CATENATE (URL "/INBOX/;UID=1" TEXT {%d+}\r\n%s URL {5+}\r\n;UID=)' % (len(TEXT), TEXT),
    'ESEARCH IN (subtree-one {3+}\r\nOld mailboxes (INBOX "x")) RETURN (COUNT ALL) OR SUBJECT {1+}\r\nx UID 1:*',
    'CREATE "a/b"', 'CREATE {3+}\r\nnew (USE (\\Important))', 'DELETE Old', 'RENAME Old {4+}\r\nElse', 'RENAME INBOX "Before"',
    'SUBSCRIBE {4}\r\nDeep', 'UNSUBSCRIBE "Old"', 'SELECT INBOX (CONDSTORE)', 'EXAMINE {5+}\r\nINBOX', 'SELECT "#at/1s/INBOX"',
    'LIST (SUBSCRIBED) "" ("*" {1+}\r\n%) RETURN (CHILDREN SPECIAL-USE MYRIGHTS STATUS (MESSAGES SIZE) METADATA (/shared/comment))', 'LSUB "" *',
    'STATUS {5+}\r\nINBOX (MESSAGES UIDNEXT HIGHESTMODSEQ DELETED-STORAGE)', 'NAMESPACE', 'CAPABILITY', 'ID ("name" {1+}\r\nx "version" NIL)',
    'ENABLE QRESYNC IMAP4rev2 UTF8=ACCEPT UIDONLY METADATA', 'GETQUOTA account', 'GETQUOTAROOT INBOX', 'SETQUOTA account (STORAGE 5)',
    'SETACL Old {17+}\r\ngrace@example.org lrs', 'DELETEACL INBOX "grace@example.org"', 'GETACL Old', 'MYRIGHTS Old', 'LISTRIGHTS Old "grace@example.org"',
    'SETMETADATA Old (/private/comment {5+}\r\nhello /shared/comment ~{3+}\r\na\0b)', 'SETMETADATA "" (/private/comment "x")',
    'GETMETADATA (DEPTH infinity MAXSIZE 10) Old ("/private" /shared)',
    'NOTIFY SET STATUS (SELECTED (MessageNew (UID FLAGS) MessageExpunge)) (SUBTREE {3+}\r\nOld (MessageNew MessageExpunge))', 'NOTIFY NONE',
    'COMPRESS DEFLATE', 'UNAUTHENTICATE', 'LOGOUT', 'UID NOOP', 'X',
]
GREETED = ['LOGIN {%d+}\r\n%s "%s"', 'AUTHENTICATE PLAIN\r\nAGFkYQBub25l', 'AUTHENTICATE PLAIN AGFkYQBub25l', 'AUTHENTICATE SCRAM-SHA-256 biwsbj1hLHI9Yg==',
           'AUTHENTICATE LOGIN\r\nYWRh\r\nbm9uZQ==', 'STARTTLS', 'CAPABILITY', 'ID NIL']


@pytest.fixture(scope='module')
def cut(node):
    """An account of which much could be changed."""
    user, = node.add('cut@example.org')
    with login(node, user) as m:
        m.ok('CREATE Old/Deep')
        m.ok(f'SETACL INBOX {node.other} lr')
        for _ in range(3):
            m.append('INBOX', mail())
        m.ok('SELECT INBOX')
        m.ok('STORE 2 +FLAGS (\\Deleted \\Flagged)')
    return user


def change(node, user):
    return node.json('account', 'show', user)['change']


def send_prefixes(node, before, command):
    whole = f'x {command}\r\n'.encode()
    for n in range(len(whole)):
        with socket.create_connection(node.tcp('listen.imap'), 60) as s:
            s.sendall(before + whole[:n])
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass


def sessions(node):
    return [line for line in node.perdura('who').splitlines() if 'cut@example.org' in line]


@pytest.mark.parametrize('state', ['greeted', 'user', 'selected'])
def test_commands_cut_at_every_byte(node, cut, state):
    log_in = f'a LOGIN {cut} "{PASSWORD}"\r\n'.encode()
    before = {'greeted': b'', 'user': log_in, 'selected': log_in + b'b SELECT INBOX\r\n'}[state]
    at = change(node, cut)
    for command in {'greeted': GREETED, 'user': ANYWHERE, 'selected': SELECTED}[state]:
        if '%s' in command and state == 'greeted':
            command %= len(cut), cut, PASSWORD
        send_prefixes(node, before, command)
        assert change(node, cut) == at, command
    wait_until(lambda: not sessions(node))
    node.perdura('check')


@pytest.mark.parametrize('selected', [False, True])
def test_they_are_commands(node, cut, selected):
    """What is cut above would have been understood."""
    user, = node.add(f'whole{int(selected)}@example.org')
    for command in SELECTED if selected else ANYWHERE[:-2]:
        with login(node, user) as m:
            m.ask('CREATE Old/Deep')
            m.append('INBOX', mail())
            m.append('INBOX', mail())
            if selected:
                m.ok('SELECT INBOX')
            m.send(f'x {command}\r\n')
            if command != 'COMPRESS DEFLATE':
                assert m.wait('x').status != 'BAD', command
