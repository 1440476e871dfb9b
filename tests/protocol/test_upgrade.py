"""perdura upgrade, and nodes on a database that is not theirs: each refusal is one line that says what to do."""
import shutil
import subprocess

import pytest
import stores
from node import PERDURA, Node, PopulatedNode

shared = pytest.mark.skipif(not (stores.META or '').startswith('mariadb:'), reason='wants a MariaDB server: PERDURA_TEST_META')
folder = pytest.mark.skipif(bool(stores.BLOB), reason='bodies are not in a folder')


def upgrade(*words, data='/nowhere'):
    r = subprocess.run([str(PERDURA), '--data', str(data), 'upgrade', *map(str, words)], text=True, capture_output=True)
    assert (r.returncode == 0) == (r.stderr == ''), r
    assert r.stderr.count('\n') == (r.returncode != 0), r
    return r.returncode, r.stdout + r.stderr


def refused(node):
    """Its only line, when it does not start."""
    r = subprocess.run(node.arguments(), text=True, capture_output=True, timeout=60)
    assert r.returncode == 1 and r.stderr.count('\n') == 1, r
    return r.stderr


def test_sqlite(tmp_path):
    embedded = ['--set', 'meta.url=sqlite:meta.db']
    status, said = upgrade(*embedded, data=tmp_path)
    assert status == 1 and 'meta.db is not there' in said
    assert upgrade('--init', *embedded, data=tmp_path) == (0, f'{tmp_path}/meta.db: created, schema version 5\n')
    status, said = upgrade('--init', *embedded, data=tmp_path)
    assert status == 1 and 'leave out --init' in said
    assert upgrade(*embedded, data=tmp_path) == (0, f'{tmp_path}/meta.db: schema version 5, nothing to do\n')


@pytest.mark.parametrize('words, status, said', [
    (['--set', 'meta.url=nothing:x'], 1, 'no store is called'),
    (['--set', 'meta.url=mariadb://u@127.0.0.1:1/x'], 75, "Can't connect"),
    (['--set', 'meta.url=mariadb:x'], 1, 'wants mariadb://'),
    (['--set', 'nothing=x'], 1, 'nothing'),
])
def test_what_it_says(words, status, said):
    got, text = upgrade(*words)
    assert got == status and said in text, text


@pytest.fixture
def empty(tmp_path):
    """A node's stores, with an empty database."""
    n = Node(tmp_path)
    n.stores._client(f'CREATE DATABASE `{n.stores._url()[-1]}`', database='')
    n.stores.made.touch()
    n.url = ['--set', 'meta.url=' + n.settings['meta.url']]
    yield n
    n.drop()


@shared
def test_creation(empty):
    status, said = upgrade(*empty.url)
    assert status == 1 and 'is empty: perdura upgrade --init' in said
    assert 'perdura upgrade --init' in refused(empty)
    status, said = upgrade('--init', *empty.url)
    assert status == 0 and 'schema version 5' in said
    status, said = upgrade('--init', *empty.url)
    assert status == 1 and 'leave out --init' in said
    status, said = upgrade(*empty.url)
    assert status == 0 and 'nothing to do' in said
    with empty:
        empty.add('ada@example.org')


@shared
@pytest.mark.parametrize('cut', [
    'DROP TABLE past; DROP TABLE body; UPDATE facts SET value = 0', 'DROP INDEX body_hash ON body; UPDATE facts SET value = 0'])
def test_creation_that_was_cut(empty, cut):
    upgrade('--init', *empty.url)
    empty.sql(cut)
    status, said = upgrade(*empty.url)
    assert status == 1 and 'not created to its end' in said
    assert upgrade('--init', *empty.url)[0] == 0
    with empty:
        assert empty.run('check').returncode == 0


@shared
@pytest.mark.parametrize('change, said', [
    ("UPDATE facts SET value = '99' WHERE name = 'schema'", 'use the release that made it'),
    ("UPDATE facts SET value = '2' WHERE name = 'schema'", 'too old'),
    ('DROP TABLE facts', 'tables of something else'),
])
def test_another_version(empty, change, said):
    upgrade('--init', *empty.url)
    empty.sql(change)
    status, text = upgrade(*empty.url)
    assert status == 1 and said in text
    assert refused(empty)


@shared
def test_rights_of_a_node(empty):
    """It needs no more than to read and write rows."""
    upgrade('--init', *empty.url)
    user, password, host, port, database = empty.stores._url()
    empty.sql(f"CREATE USER {database} IDENTIFIED BY 'x'; GRANT SELECT, INSERT, UPDATE, DELETE ON `{database}`.* TO {database}")
    empty.settings['meta.url'] = f'mariadb://{database}:x@{host}:{port}/{database}'
    try:
        with empty:
            empty.add('ada@example.org')
            assert empty.run('check').returncode == 0
            empty.perdura('purge')
    finally:
        empty.sql(f'DROP USER {database}')


@shared
@folder
def test_folder_of_bodies(tmp_path):
    with PopulatedNode(tmp_path / 'a') as a:
        a.count(a.user)
    mark = (a.data / 'blobs/.store').read_text()
    b = Node(tmp_path / 'b', node_name='n2', meta_url=a.settings['meta.url'])
    assert 'is not where the nodes' in refused(b) and mark.strip() in refused(b)
    b.settings['blob.url'] = f'file:{a.data}/blobs'
    with b:
        assert b.run('status').returncode == 0
    shutil.move(a.data / 'blobs', tmp_path / 'away')  # as if it was not mounted
    assert 'is not where the nodes' in refused(a)
    (a.data / 'blobs/.store').write_text('another\n')
    assert 'another store' in refused(a)
    shutil.rmtree(a.data / 'blobs')
    shutil.move(tmp_path / 'away', a.data / 'blobs')
    with a:
        assert a.run('check').returncode == 0
    a.drop()


@shared
@folder
def test_folder_of_another_cluster(tmp_path):
    with PopulatedNode(tmp_path / 'a') as a:
        a.count(a.user)
    b = Node(tmp_path / 'b', node_name='n2', blob_url=f'file:{a.data}/blobs')
    assert 'another database' in refused(b) or 'holds messages' in refused(b)
    a.drop()
    b.drop()
