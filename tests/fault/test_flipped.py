"""A bit of the database is not what it was: the start is refused, or what is served is right, or an error; and the node lives."""
import contextlib
import os
import random
import shutil

import pytest
from imap_client import Closed, Imap
from node import PASSWORD, PopulatedNode
from scene import deliver, noise

MAILS = 30


@pytest.fixture(scope='module')
def template(tmp_path_factory):
    """A stopped node of some mail, and what was in it."""
    node = PopulatedNode(tmp_path_factory.mktemp('template'))
    with node:
        for i in range(MAILS):
            assert deliver(node, f'mail-{i}', noise(500)).startswith('250')
        with Imap(node.tcp('listen.imap'), node.user, PASSWORD, 'INBOX') as m:
            m.ok('COPY 1:10 Archive')
            m.ok('STORE 5:9 +FLAGS (\\Deleted)')
            m.ok('EXPUNGE')
            bodies = {f['BODY[]'] for _, f in m.fetch('1:* (BODY.PEEK[])')}
        with Imap(node.tcp('listen.imap'), node.user, PASSWORD, 'Archive') as m:
            bodies |= {f['BODY[]'] for _, f in m.fetch('1:* (BODY.PEEK[])')}
        assert len(bodies) == MAILS
        node.stop()
        yield node.data, bodies


def read(node, bodies):
    """Everything that can be asked; what comes is one of the messages."""
    for folder in 'INBOX', 'Archive':
        try:
            with Imap(node.tcp('listen.imap'), node.user, PASSWORD) as m:
                if m.ask(f'SELECT {folder}').status != 'OK':
                    continue
                for n in range(1, MAILS + 1):
                    r = m.ask(f'FETCH {n} (FLAGS BODY.PEEK[])')
                    for _, got in r.fetches():
                        assert got.get('BODY[]', next(iter(bodies))) in bodies
                m.ask('FETCH 1:* (ENVELOPE BODYSTRUCTURE)')
                m.ask('STORE 1 +FLAGS (\\Flagged)')
                m.ask('SEARCH TEXT x')
        except (Closed, AssertionError) as e:
            if isinstance(e, AssertionError) and 'bodies' in str(e):
                raise


@pytest.mark.parametrize('seed', range(int(os.environ.get('FLIP_SEEDS', '16'))))  # more by hand
def test_flipped_bits(tmp_path, template, seed):
    data, bodies = template
    chosen = random.Random(seed)
    node = PopulatedNode(tmp_path)
    shutil.copytree(data, node.data)
    (node.dir / 'populated').touch()
    database = node.data / 'meta.db'
    whole = bytearray(database.read_bytes())
    spared = 20000 if seed % 5 else 0  # the schema comes first, and starts fail on it
    for _ in range(1 + seed % 4 * 10):
        whole[chosen.randrange(spared, len(whole))] ^= 1 << chosen.randrange(8)
    database.write_bytes(whole)
    node.log = open(node.dir / 'log', 'wb')
    try:
        try:
            node.start()
        except AssertionError:
            assert node.process.wait(10) == 1, node.log_text()
            assert 'perdurad: ' in node.log_text()
            return
        read(node, bodies)
        with contextlib.suppress(AssertionError):  # any refusal will do
            deliver(node, 'new')
        r = node.run('check', timeout=120)
        assert r.returncode in (0, 1, 75), r
        node.run('history', node.user)
        node.run('restore', node.user, '--at', '1s', '--folder', 'INBOX')
        assert node.process.poll() is None, node.log_text()
    finally:
        node.kill()
