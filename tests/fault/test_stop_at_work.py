"""A stop does not wait for the long work of the command: it is broken off, says so, and the next run does it whole."""
import signal
import subprocess
import time

import pytest
from imap_client import mail
from node import PERDURA, PopulatedNode
from scene import login

MAILS = 12_000


@pytest.fixture(scope='module')
def node(tmp_path_factory):
    folder = tmp_path_factory.mktemp('node')
    mbox = folder / 'mbox'
    mbox.write_text(''.join('From a@example.org Mon Jan  1 00:00:00 2024\n' + mail(f's{i}', f'{i} ' * 40 + '\r\n').replace('\r\n', '\n') + '\n'
                            for i in range(MAILS)))
    with PopulatedNode(folder, purge_grace='0') as n:
        n.perdura('import', n.user, mbox, timeout=120)
        with login(n) as m:
            for first in range(1, MAILS + 1, 3000):
                m.ok(f'COPY {first}:{first + 2999} Archive')
            m.ok('STORE 1:* +FLAGS.SILENT (\\Deleted)')
            m.ok('EXPUNGE')
        yield n


@pytest.mark.parametrize('words', [['check'], ['export', 'ada@example.org', 'OUT'], ['history', 'ada@example.org'],
                                   ['restore', 'ada@example.org', '--at', '@2', '--folder', 'INBOX', '--into', 'Back'],
                                   ['purge'], ['undo', 'ada@example.org', '--since', '@2', '--until', '1s', '--yes']],
                         ids=lambda w: w[0])
@pytest.mark.parametrize('after', [0.02, 0.15])
def test_stop(node, tmp_path, words, after):
    node.perdura('set', 'retention.window=' + ('30d' if words[0] != 'purge' else '1s'))
    words = [str(tmp_path / 'out') if w == 'OUT' else w for w in words]
    p = subprocess.Popen([str(PERDURA), '--data', str(node.data), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
    time.sleep(after)
    begun = time.monotonic()
    status = node.stop(signal.SIGTERM)
    took = time.monotonic() - begun
    out, err = p.communicate(timeout=60)
    node.start()
    assert status == 0 and took < 2.5, took
    assert p.returncode in (0, 1, 75) and len(err.splitlines()) <= 2, (p.returncode, out[-300:], err)
    with login(node, select='Archive') as m:
        assert m.search('ALL') == list(range(1, MAILS + 1))
    assert node.run('check', timeout=120).returncode == 0
