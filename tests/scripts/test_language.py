"""The language of the scripts: what a pattern fits, what it does not, and that a play fails when it must."""
import threading
import socket

import pattern
import pytest
import script


def fits(want, line, **known):
    return script.Line('* ' + want, False, False).match(pattern.read(line), known)


@pytest.mark.parametrize('want, line', [
    ('3 EXISTS', '3 exists'), ('# EXISTS', '30 EXISTS'),
    ('1 FETCH (FLAGS (\\Seen \\Deleted) UID 7)', '1 FETCH (UID 7 FLAGS (\\Deleted \\Seen))'),
    ('1 FETCH (FLAGS (\\Seen) ...)', '1 FETCH (UID 7 FLAGS (\\Recent \\Seen))'),
    ('1 FETCH (BODY[TEXT]<0> "ab")', '1 FETCH (BODY[TEXT]<0> {2}\r\nab)'),
    ('1 FETCH (BODY[1] {"a\\r\\n"})', '1 FETCH (BODY[1] {3}\r\na\r\n)'),
    ('1 FETCH (BODY[HEADER.FIELDS (FROM TO)] *)', '1 FETCH (BODY[HEADER.FIELDS (from "TO")] "")'),
    ('LIST (\\HasNoChildren !\\Noselect ...) "/" foo', 'LIST (\\HasNoChildren \\Trash) "/" "foo"'),
    ('LIST () NIL foo (CHILDINFO ("SUBSCRIBED"))', 'LIST () NIL foo (CHILDINFO ("SUBSCRIBED"))'),
    ('STATUS INBOX (MESSAGES 0 UIDNEXT #)', 'STATUS "INBOX" (UIDNEXT 1 MESSAGES 0)'),
    ('SEARCH 1 2 3', 'SEARCH 3 1 2'), ('SEARCH', 'SEARCH'), ('SEARCH 1 (MODSEQ 4)', 'SEARCH 1 (MODSEQ 4)'),
    ('ESEARCH (TAG $tag) UID MIN 1 ALL 1:3', 'ESEARCH (TAG "a1") UID ALL 1,2:3 MIN 1'),
    ('OK [UIDNEXT 1]', 'OK [UIDNEXT 1] people read this ("'), ('OK', 'OK [X ] odd'),
    ('OK [PERMANENTFLAGS (\\* ...)]', 'OK [PERMANENTFLAGS (\\Seen \\*)] x'), ('CAPABILITY IDLE ...', 'CAPABILITY IMAP4rev1 IDLE'),
    ('SORT 3 1', 'SORT 3 1'), ('THREAD (1 2)(3)', 'THREAD (1 2)(3)'), ('X /^ab/', 'X "abc"'), ('X $a $a', 'X 1 1'),
    ('NAMESPACE (("" "/")) NIL NIL', 'NAMESPACE (("" "/")) NIL NIL'), ('X $a,$b', 'X $a,$b'),
])
def test_fits(want, line):
    assert fits(want, line, tag='a1') is not None


@pytest.mark.parametrize('want, line', [
    ('3 EXISTS', '4 EXISTS'), ('# EXISTS', 'x EXISTS'), ('1 FETCH (FLAGS ())', '1 FETCH (FLAGS (\\Seen))'),
    ('1 FETCH (FLAGS (\\Seen))', '1 FETCH (FLAGS ())'), ('1 FETCH (FLAGS ())', '1 FETCH (FLAGS () UID 1)'),
    ('1 FETCH (FLAGS (\\Recent))', '1 FETCH (FLAGS ())'), ('1 FETCH (BODY[TEXT] "ab")', '1 FETCH (BODY [TEXT] "ab")'),
    ('1 FETCH (BODY[TEXT] "ab")', '1 FETCH (BODY[TEXT] "aB")'), ('1 FETCH (BODY[TEXT] "NIL")', '1 FETCH (BODY[TEXT] NIL)'),
    ('1 FETCH (BODY[TEXT] NIL)', '1 FETCH (BODY[TEXT] "NIL")'), ('LIST (!\\Noselect ...) "/" foo', 'LIST (\\Noselect) "/" foo'),
    ('SEARCH 1 2', 'SEARCH 1'), ('SEARCH 1', 'SEARCH 1 2'), ('SORT 1 3', 'SORT 3 1'), ('X $a $a', 'X 1 2'), ('OK [A]', 'OK [B] A'),
    ('OK [A]', 'OK text'), ('OK', 'NO'), ('X /^b/', 'X "abc"'), ('X a ...', 'X b'), ('X 1:3', 'X 1:4'),
])
def test_does_not_fit(want, line):
    assert fits(want, line) is None


@pytest.mark.parametrize('line', ['X (a', 'X a)', 'X  a', 'X (a )', 'X ( a)', 'X a ', 'X "a', 'X [a)', ' X', 'X {3', 'X ( )', 'X "a\\b"'])
def test_no_line_of_imap(line):
    with pytest.raises(pattern.Malformed):
        pattern.read(line)


@pytest.mark.parametrize('text', [
    'C NOOP', 'S: HELLO', 'needs: X\nC: NOOP\nneeds: Y', 'state: drunk', 'differs: dovecot', 'C: NOOP\ndiffers: x: y', 'check: 1', 'wait: x',
    'S: * X (', 'unknown: x',
])
def test_no_script(tmp_path, text):
    path = tmp_path / '1.imap'
    path.write_text(text + '\n')
    with pytest.raises(script.Wrong, match='1.imap:'):
        script.Script(path)


def answer(sock, talk):
    """A server of canned answers: after the greeting one for each line that comes."""
    with sock, sock.accept()[0] as s, s.makefile('rb') as lines:
        s.sendall(b'* OK hello\r\n')
        for told in talk:
            if not lines.readline():
                return
            s.sendall(told.encode())


def talk(tmp_path, text, *told):
    """Plays the script without its preparations."""
    path = tmp_path / '1.imap'
    path.write_text('state: greeted\nS: * OK\n' + text + '\n')
    sock = socket.create_server(('127.0.0.1', 0))
    thread = threading.Thread(target=answer, args=(sock, told))
    thread.start()
    stage = script.Stage(script.Script(path), sock.getsockname(), 'user', 'password')
    try:
        for number, step in stage.script.steps:
            script.play_step(number, step, stage, 'here')
    finally:
        stage.close()
        thread.join()


@pytest.mark.parametrize('text, told', [
    ('C: NOOP\nS: * 1 EXISTS\nS: OK', ['* 2 RECENT\r\n* 1 EXISTS\r\na1 OK x\r\n']),
    ('C: NOOP\nS? * # EXISTS\nS: OK', ['* 1 EXISTS\r\n* 2 EXISTS\r\na1 OK x\r\n']),
    ('C: NOOP\nS: NO|BAD', ['a1 BAD x\r\n']), ('OK: NOOP', ['* 7 EXPUNGE\r\na1 OK x\r\n']),
    ('C: NOOP\nC: NOOP\nS: OK\nS: NO', ['', 'a1 OK x\r\na2 NO x\r\n']),
    ('C: A {"xy"} {+"z"}\nS: OK', ['+ go\r\n', 'a1 OK x\r\n']), ('C: A {"xy"}\nS: NO', ['a1 NO x\r\n']),
    ('C: IDLE\nS: +\nS: * 1 EXISTS\nS: * 2 EXISTS\nC> DONE\nS: OK', ['+ x\r\n* 2 EXISTS\r\n* 1 EXISTS\r\n', 'a1 OK x\r\n']),
    ('C: NOOP\nS: * BYE\nS: closed', ['* BYE x\r\n']), ('C: NOOP\nS: OK\ndiffers: here: why', ['a1 NO x\r\n']),
    ('C: NOOP\nS: * 1 EXISTS\nS+ * 2 EXISTS\nS: OK', ['* 1 EXISTS\r\n* 2 EXISTS\r\na1 OK x\r\n']),
])
def test_plays(tmp_path, text, told):
    talk(tmp_path, text, *told)


@pytest.mark.parametrize('text, told', [
    ('C: NOOP\nS: OK', ['* 1 EXISTS\r\na1 OK x\r\n']), ('C: NOOP\nS: * 1 EXISTS\nS: OK', ['a1 OK x\r\n']),
    ('C: NOOP\nS: OK', ['a1 NO x\r\n']), ('C: NOOP\nS: OK', ['a2 OK x\r\n']), ('C: NOOP\nS: OK', ['a1 OK x\n']),
    ('C: NOOP\nS: * 1 EXISTS\nS+ * 2 EXISTS\nS: OK', ['* 2 EXISTS\r\n* 1 EXISTS\r\na1 OK x\r\n']),
    ('C: NOOP\nS: OK\ndiffers: here: why', ['a1 OK x\r\n']), ('C: NOOP\nS: +', ['a1 OK x\r\n']), ('C: NOOP\nS: OK', ['+ x\r\n']),
    ('C: NOOP\nS: OK', ['* BYE x\r\n']), ('C: NOOP\nS: closed', ['a1 OK x\r\n']), ('check: 10 < 9', []), ('C: NOOP\nS: OK', ['']),
])
def test_fails(tmp_path, text, told):
    with pytest.raises((script.Failed, pattern.Malformed)):
        talk(tmp_path, text, *told)
