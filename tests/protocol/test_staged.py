"""Small bodies on a store to which nothing can be appended: they wait in the database, are gathered, and read the same all along."""
import random

import pytest
import stores
from node import Node, imap_name, wait_until

USER = 'ada@example.org'
SIZES = [10, 500, 3000, 20000, 100000, 250000, 400000]


def mail(i):
    """Does not shrink, so that the larger ones are objects of their own."""
    body = random.Random(i).randbytes(SIZES[i % len(SIZES)] // 2).hex()
    return (f'From: a@example.org\r\nSubject: number {i}\r\n\r\n' + '\r\n'.join(body[at:at + 900] for at in range(0, len(body), 900))
            + '\r\n').encode()


@pytest.fixture
def node(tmp_path):
    url = {} if stores.BLOB else {'blob_url': 'file:blobs?whole=1'}
    with Node(tmp_path, blob_pack_age='1s', **url) as n:
        n.add(USER)
        yield n


def put(node, first, n):
    with node.imap(USER) as m:
        for i in range(first, first + n):
            assert m.append('INBOX', None, None, mail(i))[0] == 'OK'


def assert_all_there(node, n):
    with node.imap(USER) as m:
        m.select('INBOX', readonly=True)
        for i in range(n):
            assert m.fetch(str(i + 1), '(BODY.PEEK[])')[1][0][1] == mail(i), i


def staged(node):
    return node.json('status')['staged_bodies']


def test_they_are_gathered(node):
    put(node, 0, 21)
    assert_all_there(node, 21)
    wait_until(lambda: staged(node) == 0, told=node.log_text, every=0.1)
    assert_all_there(node, 21)
    told = node.json('check')
    assert (told['troubles'], told['staged'], told['unreferenced'], told['orphans']) == (0, 0, 0, 0)
    status = node.json('status')
    assert status['packs_gathered'] >= 1 and status['packer_failed'] == 0
    assert 'packer packs=' in node.log_text()
    assert 'perdura_staged_bodies 0' in node.perdura('metrics')


def test_killed_beside_it(node):
    chance = random.Random(7)
    for n in range(0, 30, 5):
        put(node, n, 5)
        wait_until(lambda: chance.random() < 0.2, every=0.1)  # anywhere between two looks of the packer
        node.kill()
        node.start()
        assert_all_there(node, n + 5)
    wait_until(lambda: staged(node) == 0, told=node.log_text, every=0.1)
    assert_all_there(node, 30)
    assert node.json('check')['troubles'] == 0


def test_a_damaged_row_is_told_and_the_rest_goes_on(node):
    if stores.META:
        pytest.skip('looks into the SQLite file')
    node.stop()
    node.settings['blob.pack.age'] = '1d'
    node.start()
    put(node, 0, 4)
    node.sql("UPDATE staged SET record = zeroblob(stored) WHERE body = (SELECT MIN(body) FROM staged)")
    with node.imap(USER) as m:
        m.select(imap_name('INBOX'), readonly=True)
        assert m.fetch('1', '(BODY.PEEK[])')[0] == 'NO'
        assert m.fetch('2', '(BODY.PEEK[])')[1][0][1] == mail(1)
    told = node.run('check')
    assert told.returncode == 1 and 'staged body' in told.stdout + told.stderr
