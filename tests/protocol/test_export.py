"""perdura export: what comes out is what went in, byte for byte, and goes back in."""
import contextlib
import mailbox
import os
import re
import signal
import subprocess
import threading
import time

import pytest
from imap_client import login, mail
from node import PERDURA, imap_name

ODD = [
    'Subject: plain\r\n\r\nA line.\r\n',
    'Subject: from\r\n\r\nFrom here\r\n>From there\r\n>>From\r\nFrom\r\nFro',
    'From the first line\r\n\r\nbody',
    'Subject: no end of line',
    'Subject: blank lines at the end\r\n\r\nx\r\n\r\n\r\n\r\n',
    'Subject: bare LF\n\nFrom an LF\n\n>From x\rlone CR\r\r\n',
    'Subject: From_ after a blank line\r\n\r\n\r\nFrom ada@example.org Fri Mar  1 09:30:00 2024\r\nnot the next\r\n',
    'Subject: only a header\r\n\r\n',
    '\r\n\r\n',
    '>From\n',
    'Status: RO\r\nX-Status: AF\r\nSubject: its own\r\n\r\nkept\r\n',
]
FLAGS = ['', '\\Seen', '\\Seen \\Answered', '\\Flagged $Forwarded', '\\Draft todo', '\\Deleted', 'todo $Junk Work', '\\Seen a*b'.replace('*', '+')]
FOLDERS = ['INBOX', 'Lists', 'Lists/dev', 'a.b', 'a/b', 'back\\slash', 'R&AOQ-t', 'INBOX/below', 'cur', 'spaces in it', 'perdura']
DATES = ['01-Jan-1970 00:00:01 +0000', '17-Jul-1996 02:44:25 -0700', '29-Feb-2024 23:59:59 +0100', '01-Nov-2026 12:00:00 +0000']


def fill(node, user, folders=FOLDERS):
    with login(node, user) as m:
        n = 0
        for f in folders:
            if f != 'INBOX':
                m.ok(f'CREATE {imap_name(f)}')
            for text in ODD:
                m.append(f, text, FLAGS[n % len(FLAGS)], DATES[n % len(DATES)])
                n += 1
        m.ok('CREATE "empty/below"')
    return n


def state(node, user, at='', dates=True):
    """{folder: sorted [(bytes, flags, date)]} of all folders."""
    out = {}
    with login(node, user) as m:
        for line in m.ok(f'LIST "" "{at}*"').lines('LIST'):
            name = re.match(rb'\([^)]*\) "/" (.*)', line)[1].strip(b'"').decode().replace('\\\\', '\\')
            m.ok(f'EXAMINE {imap_name(name)}')
            got = m.fetch('1:* (FLAGS INTERNALDATE BODY.PEEK[])') if m.ok('SEARCH ALL').lines('SEARCH') != [b''] else []
            out[name.removeprefix(at)] = sorted(
                (i['BODY[]'], sorted(f.lower() for f in i['FLAGS'] if f != b'\\Recent'), i['INTERNALDATE'] if dates else None) for _, i in got)
    return out


def account(node, name):
    address = f'{name}@example.org'
    node.add(address)
    return address


def back(node, name, path):
    """A new account with what was imported from path."""
    user = account(node, name)
    node.perdura('import', user, path)
    return state(node, user)


@pytest.fixture(scope='module')
def odd(node):
    user = account(node, 'odd')
    fill(node, user)
    return user


def test_maildir_round_trip(node, odd, tmp_path):
    said = node.json('export', odd, tmp_path / 'out')
    assert said['messages'] == len(ODD) * len(FOLDERS) and said['there'] == 0
    assert back(node, 'maildir', tmp_path / 'out') == state(node, odd)
    # once more: nothing is written twice
    before = sorted((p, p.stat().st_mtime_ns) for p in (tmp_path / 'out').rglob('*:2,*'))
    said = node.json('export', odd, tmp_path / 'out')
    assert (said['messages'], said['there']) == (0, len(before))
    assert before == sorted((p, p.stat().st_mtime_ns) for p in (tmp_path / 'out').rglob('*:2,*'))


def test_mbox_round_trip(node, odd, tmp_path):
    node.perdura('export', odd, tmp_path / 'out.mbox')
    expected = state(node, odd)
    found = back(node, 'mbox', tmp_path / 'out.mbox')
    assert found == {k: v for k, v in expected.items() if v or k in found} and found['INBOX'] == expected['INBOX']
    # what any other program finds in it, but for the quotes, are the messages too
    sizes = sorted(len(text) for text in ODD * len(FOLDERS))
    box = mailbox.mbox(tmp_path / 'out.mbox')
    assert len(box) == len(sizes)
    before = (tmp_path / 'out.mbox').read_bytes()
    assert node.json('export', odd, tmp_path / 'out.mbox')['messages'] == 0
    assert (tmp_path / 'out.mbox').read_bytes() == before


def test_files_are_the_users(node, odd, tmp_path):
    node.perdura('export', odd, tmp_path / 'out', '--folder', 'a.b')
    files = list((tmp_path / 'out').rglob('*:2,*'))
    assert len(files) == len(ODD) and {f.parent.parent.name for f in files} == {'.a\\2eb'}
    assert sorted(f.read_bytes() for f in files) == sorted(t.encode() for t in ODD)
    assert all(f.stat().st_mode & 0o777 == 0o600 for f in files)
    assert {int(f.stat().st_mtime) for f in files} == {1, 837596665, 1709247599, 1793534400}
    words = dict(line.split() for line in (tmp_path / 'out/.a\\2eb/dovecot-keywords').read_text().splitlines())
    assert 'todo' in words.values()


def test_names_no_file_system_takes(node, tmp_path):
    user = account(node, 'names')
    long = '/'.join(['x' * 100] * 5)
    names = ['..x', '...', 'a' * 250, 'b' * 250, 'a' * 249 + 'c', long, long + 'y', '~', '-rf', 'tmp']
    with login(node, user) as m:
        for n in names:
            m.ok(f'CREATE {imap_name(n)}')
            m.append(n, mail(n))
    node.perdura('export', user, tmp_path / 'out')
    assert back(node, 'names2', tmp_path / 'out') == state(node, user)
    assert all(p.parent == tmp_path / 'out' for p in (tmp_path / 'out').iterdir())


def test_the_past(node, tmp_path):
    user = account(node, 'past')
    with login(node, user) as m:
        m.ok('CREATE Old')
        for i in range(30):
            m.append('Old', mail(f'm{i}'), 'then')
        then = state(node, user)
        node.perdura('snapshot', 'create', 'export-past')
        m.ok('SELECT Old')
        m.ok('STORE 1:20 +FLAGS (\\Deleted now)')
        m.ok('EXPUNGE')
        m.ok('CLOSE')
        m.ok('DELETE Old')
        m.append('INBOX', mail('later'))
    node.perdura('export', user, tmp_path / 'then', '--at', 'export-past')
    node.perdura('export', user, tmp_path / 'then.mbox', '--at', 'export-past')
    assert back(node, 'past1', tmp_path / 'then') == then
    assert back(node, 'past2', tmp_path / 'then.mbox')['Old'] == then['Old']


def test_one_change_while_mail_arrives(node, tmp_path):
    """Messages that are moved about while the export runs are in it once, where they were."""
    user = account(node, 'busy')
    with login(node, user) as m:
        m.ok('CREATE A')
        m.ok('CREATE B')
        for i in range(300):
            m.append('A', mail(f'm{i}'))
    stop = threading.Event()

    def move():
        with login(node, user) as m:
            while not stop.is_set():
                for a, b in (('A', 'B'), ('B', 'A')):
                    m.ok(f'SELECT {a}')
                    m.ok(f'MOVE 1:* {b}')
                    m.append(a, mail('new'))
    t = threading.Thread(target=move)
    t.start()
    try:
        for i in range(4):
            said = node.json('export', user, tmp_path / f'out{i}')
            found = back(node, f'busy{i}', tmp_path / f'out{i}')
            with login(node, user) as m:
                then = state(node, user, at=f'#at/@{said["change"]}/')
            assert {k: found[k] for k in ('A', 'B')} == {k: then[k] for k in ('A', 'B')}
            subjects = [re.search(rb'Subject: (m\d+)\r', x[0])[1] for k in ('A', 'B') for x in found[k] if b'Subject: m' in x[0]]
            assert sorted(subjects) == sorted(b'm%d' % i for i in range(300))
    finally:
        stop.set()
        t.join()


@pytest.mark.parametrize('name', ['cut', 'cut.mbox'])
def test_goes_on_where_it_stopped(node, tmp_path, name):
    user = account(node, 'stop' + name[3:].replace('.', '-'))
    path = tmp_path / name
    with login(node, user) as m:
        for i in range(40):
            m.append('INBOX', mail(f'm{i}', 'From line\r\n' * 150000))
    then = state(node, user)
    signals, runs = [signal.SIGINT, signal.SIGKILL], 0
    while True:
        cut = runs < 8
        # on a busy machine it goes slower than who watches it, or it would be done before it is seen; SIGINT is ignored by
        # what a shell started in the background
        p = subprocess.Popen(['env', '--default-signal=INT', 'nice', '-n', '19' if cut else '0', PERDURA, '--data', node.data, 'export', user, path], stdout=subprocess.DEVNULL)
        if cut:
            size = written(path)
            while p.poll() is None and written(path) < size + 300000:
                time.sleep(0.001)
            with contextlib.suppress(ProcessLookupError):
                p.send_signal(signals[runs % 2])
        runs += 1
        if p.wait(60) == 0:
            break
        if runs == 1:  # what comes now is not in it, for it goes on at the same change
            with login(node, user) as m:
                m.append('INBOX', mail('too late'))
    assert runs > 2
    assert back(node, 'stopped' + name[3:].replace('.', '-'), path)['INBOX'] == then['INBOX']
    # finished: the next one brings what is new
    assert node.json('export', user, path)['messages'] == 1
    assert len(back(node, 'stopped2' + name[3:].replace('.', '-'), path)['INBOX']) == 41


def written(path):
    if path.suffix == '.mbox':
        return path.stat().st_size if path.exists() else 0
    return sum(e.stat().st_size for part in ('cur', 'tmp') if (path / part).exists() for e in os.scandir(path / part) if e.is_file())


def test_a_torn_file_is_written_again(node, tmp_path):
    """As after a power cut: files shorter than they should be, an mbox with a torn end."""
    user = account(node, 'torn')
    with login(node, user) as m:
        for i in range(5):
            m.append('INBOX', mail(f'm{i}', 'x\r\n' * 1000))
    for path in (tmp_path / 'out', tmp_path / 'out.mbox'):
        node.perdura('export', user, path)
    os.truncate(next((tmp_path / 'out/cur').iterdir()), 100)
    whole = (tmp_path / 'out.mbox').read_bytes()
    assert node.json('export', user, tmp_path / 'out')['messages'] == 1
    for cut in (1, 2, 100, len(whole) // 5 + 1):
        os.truncate(tmp_path / 'out.mbox', len(whole) - cut)
        node.perdura('export', user, tmp_path / 'out.mbox')
        assert (tmp_path / 'out.mbox').read_bytes() == whole
    assert back(node, 'torn2', tmp_path / 'out') == state(node, user)


def test_imported_folders_are_subscribed(node, odd, tmp_path):
    """Those it makes; of others the user has decided."""
    node.perdura('export', odd, tmp_path / 'out')
    user = account(node, 'subscribed')
    with login(node, user) as m:
        m.ok('CREATE Archive/2025')
        before = set(m.ok('LSUB "" "*"').lines('LSUB'))
        node.perdura('import', user, tmp_path / 'out')
        made = {l.partition(b') ')[2] for l in m.ok('LIST "" "*"').lines('LIST')} - {b'"/" "Archive/2025"'}
        after = {l.partition(b') ')[2] for l in m.ok('LSUB "" "*"').lines('LSUB')}
        assert after == made and len(after) > len(before)
        mbox = tmp_path / 'one.mbox'
        mbox.write_text('From a@example.org Fri Nov 20 10:00:00 2026\nSubject: x\n\ny\n')
        node.perdura('import', user, mbox, '--folder', 'From/an/mbox')
        assert b'"/" "From/an/mbox"' in {l.partition(b') ')[2] for l in m.ok('LSUB "" "*"').lines('LSUB')}


def test_refusals(node, odd, tmp_path):
    def refused(*words, status=1):
        r = node.run('export', *words)
        assert r.returncode == status and r.stderr.count('\n') >= 1, (words, r)
        return r.stderr
    (tmp_path / 'there').mkdir()
    (tmp_path / 'there/file').write_text('x')
    (tmp_path / 'there.mbox').write_text('From x Fri Mar  1 09:30:00 2024\n\nx\n')
    assert 'something else' in refused(odd, tmp_path / 'there')
    assert 'no export made' in refused(odd, tmp_path / 'there.mbox')
    assert (tmp_path / 'there.mbox').read_text().startswith('From x')
    refused('nobody@example.org', tmp_path / 'a')
    refused(odd, tmp_path / 'b', '--folder', 'not there')
    refused(odd, tmp_path / 'c', '--at', '100000d')
    refused(odd, tmp_path / 'd', '--format', 'pst')
    refused(odd, '/proc/x/y')
    refused(odd, status=2)
    node.perdura('export', odd, tmp_path / 'mine', '--folder', 'Lists')
    assert 'holds mail of odd@example.org' in refused(node.user, tmp_path / 'mine')
    assert 'more than 26 keywords' in many_keywords(node, tmp_path, refused)


def many_keywords(node, tmp_path, refused):
    user = account(node, 'keywords')
    with login(node, user) as m:
        for i in range(30):
            m.append('INBOX', mail(f'm{i}'), f'word{i}')
    said = refused(user, tmp_path / 'many')
    node.perdura('export', user, tmp_path / 'many.mbox')
    assert back(node, 'keywords2', tmp_path / 'many.mbox') == state(node, user)
    return said


def test_a_disk_without_room(node, odd, tmp_path):
    if os.geteuid():
        pytest.skip('needs root to mount')
    (tmp_path / 'small').mkdir()
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=200k', 'none', tmp_path / 'small'], check=True)
    try:
        for name in ('out', 'out.mbox'):
            r = node.run('export', odd, tmp_path / 'small' / name)
            assert r.returncode in (1, 75) and 'No space' in r.stderr
    finally:
        subprocess.run(['umount', tmp_path / 'small'], check=True)
