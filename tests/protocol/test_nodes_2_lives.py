"""Nodes on one database: who has a name, who lives, who purges, whose clock is wrong. Where PERDURA_TEST_META names a MariaDB."""
import os
import re
import subprocess

import pytest
from node import Node, PopulatedNode, wait_until

META = os.environ.get('PERDURA_TEST_META')
pytestmark = pytest.mark.skipif(not META, reason='PERDURA_TEST_META names no database that nodes could share')

CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *t)
{
	int (*real)(clockid_t, struct timespec *) = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	int r = real(id, t), s = 0;
	FILE *f = id == CLOCK_REALTIME ? fopen("PLACE", "re") : NULL;
	if (f) {
		if (fscanf(f, "%d", &s) == 1)
			t->tv_sec += s;
		fclose(f);
	}
	return r;
}
"""


def neighbour(folder, node, name, **more):
    return Node(folder, node_name=name, meta_url=node.settings['meta.url'], blob_url=node.settings['blob.url'], **more)


def state(node, name):
    return next((n['state'] for n in node.json('status')['nodes'] if n['name'] == name), None)


@pytest.fixture(scope='module')
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp('lives')
    more = {} if os.environ.get('PERDURA_TEST_BLOB') else {'blob_url': f'file:{folder}/bodies'}
    with PopulatedNode(folder / 'a', node_name='n1', **more) as a:
        yield a
        a.drop()


def test_a_name_that_lives_is_refused(first, tmp_path):
    late = neighbour(tmp_path, first, 'n1')
    late.data.parent.mkdir(parents=True, exist_ok=True)
    r = subprocess.run(late.arguments(), capture_output=True, text=True, timeout=60)
    assert r.returncode == 1
    assert re.fullmatch(r'perdurad: a node called n1 runs already, on another data folder: .*node\.name.*\n', r.stderr), r.stderr
    assert first.serves()


def test_killed_stopped_and_back(first, tmp_path):
    with neighbour(tmp_path, first, 'n2') as other:
        wait_until(lambda: state(first, 'n2') == 'alive')
        other.kill()
        wait_until(lambda: state(first, 'n2') == 'silent')
        other.start() # at once: it is the same folder
        wait_until(lambda: state(first, 'n2') == 'alive')
        assert other.stop() == 0
        wait_until(lambda: state(first, 'n2') == 'stopped')


def test_whose_name_was_taken_ends(first, tmp_path):
    """As it would be after it had hung while another data folder took its name."""
    with neighbour(tmp_path, first, 'n3') as node:
        wait_until(lambda: state(first, 'n3') == 'alive')
        first.sql("UPDATE node SET epoch = epoch + 1 WHERE name = 'n3'")
        assert node.process.wait(60) == 1
        assert 'another start of this node runs' in node.log_text()
        node.process = None


def test_a_wrong_clock_takes_no_changes(first, tmp_path):
    off = tmp_path / 'off'
    source, library = tmp_path / 'clock.c', tmp_path / 'clock.so'
    off.write_text('0')
    source.write_text(CLOCK.replace('PLACE', str(off)))
    subprocess.run(['cc', '-shared', '-fPIC', '-o', library, source, '-ldl'], check=True)
    os.environ['LD_PRELOAD'] = str(library)
    other = neighbour(tmp_path, first, 'n4')
    try:
        other.start()
    finally:
        del os.environ['LD_PRELOAD']
    with_sanitizer = 'ASan runtime does not come first' in other.log_text()
    if with_sanitizer:
        pytest.skip('the sanitizer wants to be the first library')
    try:
        other.perdura('account', 'add', 'right@example.org', stdin='secret secret\n')
        off.write_text('60')
        wait_until(lambda: other.json('status')['clock_off'] == 1)
        r = other.run('account', 'add', 'wrong@example.org', stdin='secret secret\n')
        assert r.returncode == 75 and 'clock is' in r.stderr, r
        assert other.run('purge').returncode == 1
        off.write_text('0')
        wait_until(lambda: other.json('status')['clock_off'] == 0)
        other.perdura('account', 'add', 'wrong@example.org', stdin='secret secret\n')
    finally:
        other.kill()


def test_purge_names_who_does_it(first, tmp_path):
    with neighbour(tmp_path, first, 'n5') as other:
        wait_until(lambda: state(first, 'n5') == 'alive')
        first.perdura('purge')
        first.sql("UPDATE lease SET holder = (SELECT id FROM node WHERE name = 'n5') WHERE name = 'purge'")
        r = first.run('purge')
        assert r.returncode == 75 and 'node n5 does it' in r.stderr, r
        other.perdura('purge') # its own
        first.perdura('purge')
