"""IMAP as a conversation: greeting, login, limits, what is no command. Mailboxes are the matter of the next files."""
import base64
import time

import pytest
from imap_client import Closed, connect, folder, login, mail
from node import PASSWORD, quickest


def b64(text):
    return base64.b64encode(text.encode()).decode()


def test_greeting_capability_logout(node):
    with connect(node) as m:
        assert m.greeting.startswith(b'* OK [CAPABILITY IMAP4rev1 ')
        words = m.ok('CAPABILITY').lines('CAPABILITY')[0].split()
        assert {b'IMAP4rev1', b'IMAP4rev2', b'LITERAL+', b'SASL-IR', b'ID', b'ENABLE', b'AUTH=SCRAM-SHA-256', b'AUTH=SCRAM-SHA-1', b'AUTH=PLAIN', b'AUTH=LOGIN'} == set(words)
        assert m.ok('LOGOUT').lines('BYE')
        assert m.ends() == b''


def test_login(node):
    with connect(node) as m:
        a = m.ok(f'LOGIN {node.user} "{PASSWORD}"')
        words = set(a.code().split()[1:])
        assert {'IMAP4rev1', 'LITERAL+', 'SASL-IR', 'ID', 'ENABLE', 'NAMESPACE', 'UNSELECT', 'IDLE', 'UIDPLUS', 'MOVE',
                'SPECIAL-USE', 'CREATE-SPECIAL-USE', 'CHILDREN', 'CONDSTORE', 'QRESYNC', 'ESEARCH', 'LIST-EXTENDED', 'LIST-STATUS', 'OBJECTID',
                'STATUS=SIZE', 'QUOTA', 'QUOTA=RES-STORAGE', f'APPENDLIMIT={50 << 20}'} <= words
        assert set(m.ok('capability').lines('CAPABILITY')[0].decode().split()) == words
        m.bad(f'LOGIN {node.user} "{PASSWORD}"')


@pytest.mark.parametrize('arguments', [
    '"{u}" "{p}"', '{{{un}}}\r\n{u} {{{pn}}}\r\n{p}', '{{{un}+}}\r\n{u} {{{pn}+}}\r\n{p}', '"{u}" {{{pn}+}}\r\n{p}',
])
def test_login_strings(node, arguments):
    text = arguments.format(u=node.user, p=PASSWORD, un=len(node.user), pn=len(PASSWORD))
    with connect(node) as m:
        a = m.ok('LOGIN ' + text)
        assert len([u for u in a.untagged if u.startswith(b'+')]) == text.count('}') - text.count('+}')


def test_wrong_password_waits(node):
    with connect(node) as m, connect(node) as other:
        began = time.time()
        tag = m.start(f'LOGIN {node.user} wrong')
        assert quickest(lambda: other.ok('NOOP')) < 1
        assert m.wait(tag).code() == 'AUTHENTICATIONFAILED'
        assert time.time() - began >= 1.5
        m.no(f'LOGIN nobody@example.org "{PASSWORD}"', 'AUTHENTICATIONFAILED')
        m.ok(f'LOGIN {node.user} "{PASSWORD}"')


def test_many_wrong_passwords_end_it(node):
    with connect(node) as m:
        for _ in range(4):
            m.no(f'LOGIN {node.user} wrong', 'AUTHENTICATIONFAILED')
        m.start(f'LOGIN {node.user} wrong')
        assert m.ends().startswith(b'* BYE')


def test_authenticate_plain(node):
    secret = b64(f'\0{node.user}\0{PASSWORD}')
    with connect(node) as m:
        m.ok(f'AUTHENTICATE PLAIN {secret}')
    with connect(node) as m:
        tag = m.start('authenticate plain')
        assert m.response() == b'+ '
        m.send(secret + '\r\n')
        assert m.wait(tag).status == 'OK'
    with connect(node) as m:
        m.no('AUTHENTICATE PLAIN ' + b64(f'\0{node.user}\0wrong'), 'AUTHENTICATIONFAILED')
        m.no('AUTHENTICATE PLAIN ' + b64(f'other@example.org\0{node.user}\0{PASSWORD}'), 'AUTHENTICATIONFAILED')


def test_authenticate_login(node):
    with connect(node) as m:
        tag = m.start('AUTHENTICATE LOGIN')
        for answer in (node.user, PASSWORD):
            assert m.response().startswith(b'+ ')
            m.send(b64(answer) + '\r\n')
        assert m.wait(tag).status == 'OK'


@pytest.mark.parametrize('answer', ['*', '!!!!', 'AAA', '=', '', 'A' * 2000])
def test_authenticate_nonsense(node, answer):
    with connect(node) as m:
        tag = m.start('AUTHENTICATE PLAIN')
        m.response()
        m.send(answer + '\r\n')
        assert m.wait(tag).status in ('BAD', 'NO')
        m.ok('NOOP')


def test_authenticate_others(node):
    with connect(node) as m:
        m.no('AUTHENTICATE GSSAPI')
        m.bad('AUTHENTICATE')
        tag = m.start('AUTHENTICATE PLAIN')
        m.response()
        m.send('x' * 10000)
        assert m.ends().startswith(b'* BYE')


@pytest.mark.parametrize('command', [
    'SELECT INBOX', 'LIST "" *', 'FETCH 1 FLAGS', 'IDLE', 'NAMESPACE', 'ENABLE X', 'APPEND INBOX {3+}\r\nabc', 'STATUS INBOX (MESSAGES)',
])
def test_wants_login(node, command):
    with connect(node) as m:
        m.bad(command)
        m.ok('NOOP')


@pytest.mark.parametrize('command', ['FETCH 1 FLAGS', 'UID FETCH 1 FLAGS', 'STORE 1 FLAGS ()', 'EXPUNGE', 'CHECK', 'CLOSE',
                                     'UNSELECT', 'SEARCH ALL', 'COPY 1 x', 'MOVE 1 x'])
def test_wants_mailbox(node, command):
    with login(node) as m:
        m.bad(command)


@pytest.mark.parametrize('command', [
    '', 'FROB', 'NOOP x', 'UID', 'UID NOOP', 'UID UID FETCH 1 FLAGS', 'SELECT', 'SELECT a b', 'SELECT (', 'SELECT "a', 'LIST', 'LIST ""', 'LIST "" "*" x',
    'LIST (FOO) "" *', 'STATUS INBOX', 'STATUS INBOX ()', 'STATUS INBOX ()x', 'STATUS INBOX (FOO)', 'CREATE', 'RENAME a', 'LOGOUT now', 'ID', 'ID (a)',
    'ID ("a")', 'ENABLE', 'APPEND', 'APPEND INBOX', 'APPEND INBOX (\\Seen {3+}\r\nabc', 'APPEND INBOX (\\Foo) {3+}\r\nabc',
    'APPEND INBOX "1-Foo-2020 00:00:00 +0000" {3+}\r\nabc', 'SUBSCRIBE', 'CAPABILITY IMAP4', 'NAMESPACE 1', 'IDLE 1', 'NO\0OP',
    'SELECT IN\0BOX', '\xff\xfe', 'NOOP\tx',
])
def test_nonsense(node, command):
    with login(node) as m:
        m.bad(command)
        m.ok('NOOP')


@pytest.mark.parametrize('line', [b'\r\n', b' \r\n', b'*\r\n', b'+ x\r\n', b'"a" NOOP\r\n', b'{3}\r\nabc NOOP\r\n', b'\0\0\r\n', b'(\r\n'])
def test_no_tag(node, line):
    with login(node) as m:
        m.send(line)
        assert m.line().split()[1] == b'BAD' or line.startswith(b'{')
        m.ok('NOOP') if not line.startswith(b'{') else None


@pytest.mark.parametrize('set_', ['0', '1:', ':1', '1,,2', '1:2:3', '-1', '4294967296', 'a', '*x', '1:*:2', ',1', ''])
def test_bad_sets(node, set_):
    with folder(node) as (m, _):
        for command in ('FETCH {} FLAGS', 'UID FETCH {} FLAGS', 'STORE {} FLAGS ()', 'COPY {} INBOX', 'UID EXPUNGE {}'):
            m.bad(command.format(set_))


@pytest.mark.parametrize('items', ['', '(', '()x', 'FOO', '(FLAGS', 'FLAGS)', '(FLAGS) x', 'BODY[', 'BODY[0]', 'BODY[1.]', 'BODY[HEADER.FIELDS]',
                                   'BODY[HEADER.FIELDS ()]', 'BODY[]<0>', 'BODY[]<0.0>', 'BODY[]<-1.5>', 'BODY[MIME]', 'BODY[1.2.3.4.5',
                                   'BODY[' + '1.' * 60 + '1]', 'BODY[1]<1.9999999999999999999>', 'MODSEQ[]', 'FLAGS (CHANGEDSINCE)'])
def test_bad_fetches(node, items):
    with folder(node) as (m, name):
        m.append(name, mail())
        m.ok('NOOP')
        m.bad('FETCH 1 ' + items)
        m.ok('NOOP')


@pytest.mark.parametrize('key', ['', 'FOO', '(', 'NOT', 'OR SEEN', 'BEFORE x', 'BEFORE 31-Feb-2020', 'LARGER -1', 'SUBJECT', 'HEADER x',
                                 'KEYWORD (a)', 'UID x', 'CHARSET UTF-8', '(' * 100 + 'ALL' + ')' * 100, 'ALL ' * 2000])
def test_bad_searches(node, key):
    with folder(node) as (m, _):
        m.bad('SEARCH ' + key)
        m.ok('NOOP')


def test_id_enable_namespace(node):
    with login(node) as m:
        assert m.ok('ID ("name" "Thunderbird" "version" "128\\"x" "os" NIL)').lines('ID')[0].startswith(b'("name" "Perdura"')
        m.ok('ID NIL')
        m.ok('ID ()')
        m.bad('ID (' + ' '.join('"k" "v"' for _ in range(40)) + ')')
        m.ok('ID ("name" "' + 'x' * 2000 + '")')
        assert m.ok('ENABLE X-FOO').lines('ENABLED') == [b'']
        assert m.ok('NAMESPACE').lines('NAMESPACE') == [b'(("" "/")) (("Other Users/" "/")) NIL']


def test_many_mistakes_end_it(node):
    with login(node) as m:
        for _ in range(200):
            m.send('x FROB\r\n')
        assert m.ends().startswith(b'* BYE Too many')


def test_line_too_long(node):
    with login(node) as m:
        m.send(b'a NOOP ' + b'x' * 70000)
        assert m.ends().startswith(b'* BYE')


def test_literals_that_are_too_big(node):
    with login(node) as m:
        m.no('SELECT {100000}', 'LIMIT')
        m.ok('NOOP')
        m.no('SELECT {100000+}\r\n' + 'x' * 100000 + ' FOO', 'LIMIT')
        m.ok('NOOP')
        m.no('SELECT {99999999999999999999}', 'LIMIT')
        m.ok('NOOP')
        m.start('SELECT {99999999999999999999+}')
        assert m.ends().startswith(b'* BYE')


def test_literals_in_a_row(node):
    with login(node) as m:
        a = m.ok('LIST {0}\r\n {1}\r\n%')
        assert len(a.lines('LIST')) >= 6
        a = m.ask('LIST {3+}\r\nab\n {2+}\r\n\r\n')
        assert a.status in ('OK', 'NO')
        m.ok('NOOP')


def test_pipeline(node):
    with folder(node) as (m, name):
        message = mail().encode()
        m.send(b'p1 NOOP\r\np2 APPEND %s {%d+}\r\n%s\r\np3 NOOP\r\np4 FETCH 1 (UID)\r\np5 STATUS %s (MESSAGES)\r\np6 SEARCH ALL\r\n'
               % (name.encode(), len(message), message, name.encode()))
        answers = [m.wait(f'p{i}') for i in range(1, 7)]
        assert [a.status for a in answers] == ['OK'] * 6
        assert answers[1].numbers('EXISTS') == [1]
        assert answers[3].fetches() == [(1, {'UID': b'1'})]


def test_byte_by_byte(node):
    message = mail().encode()
    script = (b'b1 LOGIN {%d+}\r\n%s "%s"\r\nb2 SELECT INBOX\r\nb3 APPEND Drafts (\\Seen) {%d+}\r\n%s\r\nb4 SEARCH SUBJECT {3+}\r\nabc NOT (SEEN)\r\n'
              b'b5 IDLE\r\nDONE\r\nb6 LOGOUT\r\n' % (len(node.user), node.user.encode(), PASSWORD.encode(), len(message), message))
    with connect(node) as m:
        for b in script:
            m.send(bytes([b]))
        for i in range(1, 6):
            assert m.wait(f'b{i}').status == 'OK', i
        assert b'b6 OK' in m.ends()


def test_many_connections(node):
    sessions = [login(node) for _ in range(100)]
    for m in sessions:
        m.ok('SELECT INBOX')
    for m in sessions:
        assert m.ok('LOGOUT')
        m.close()


def test_server_survives_reset(node):
    for _ in range(20):
        m = login(node, select='INBOX')
        m.send('x FETCH 1:* BODY.PEEK[]\r\ny IDLE\r\n')
        m.sock.setsockopt(1, 13, b'\1\0\0\0\0\0\0\0')  # SO_LINGER 0: reset
        m.close()
    with login(node) as m:
        m.ok('NOOP')


def test_closed_is_noticed(node):
    with connect(node) as m:
        m.ok('LOGOUT')
        with pytest.raises(Closed):
            m.line()
