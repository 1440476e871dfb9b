"""Searches that take long hold up nobody else, though they outnumber the workers."""
import re
import statistics
import time

import pytest
from imap_client import login, mail
from node import PopulatedNode

WORKERS = 4


@pytest.fixture(scope='module')
def node(tmp_path_factory):
    with PopulatedNode(tmp_path_factory.mktemp('node'), workers_max=str(WORKERS)) as n:
        with login(n) as m:
            m.append('INBOX', mail('large', body='All work and no play makes Jack a dull boy.\r\n' * 100000))
        with login(n, n.other) as m:
            m.append('INBOX', mail('small'))
        yield n


def keys(n, last=''):
    return 'SEARCH ' + ' '.join(f'NOT TEXT x{i}x' for i in range(n)) + ' ' + last


def test_many_keys_on_a_large_message(node):
    searches = [login(node, select='INBOX') for _ in range(3 * WORKERS)]
    with login(node, node.other, select='INBOX') as m:
        for s in searches:
            s.start(keys(400))
        times = []
        for _ in range(30):
            begun = time.monotonic()
            m.ok('FETCH 1 BODY.PEEK[]')
            times.append(time.monotonic() - begun)
            time.sleep(0.05)
        assert statistics.median(times) < 1, times  # a search takes many seconds
    for s in searches:
        s.close()


def test_answers_of_searches_that_pause(node):
    with login(node, select='INBOX') as m:
        assert m.search(keys(30, 'TEXT "dull boy"')[7:]) == [1]
        assert m.search(keys(30, 'NOT BODY "dull boy"')[7:]) == []
        assert m.search(keys(30, 'OR TEXT nowhere OR BODY nowhere BODY "JACK A"')[7:]) == [1]
        assert m.search(keys(30, 'SUBJECT large HEADER X-None ""')[7:]) == []
        assert m.search(keys(30, 'NOT (TEXT dull NOT HEADER X-None "")')[7:]) == []


def test_a_long_search_says_how_far_it_is(node):
    """INPROGRESS (RFC 9585), every ten seconds."""
    with login(node, select='INBOX') as m:
        m.ok('CREATE several')
        for _ in range(3):
            m.ok('COPY 1 several')
        m.ok('SELECT several')
        begun = time.monotonic()
        tag = m.start(keys(490))
        told = m.wait(tag).lines('OK [INPROGRESS')
        took = time.monotonic() - begun
        assert len(told) >= int(took / 12), (took, told)
        assert all(re.match(rb'\("%s" [1-3] 3\)\] ' % tag.encode(), t) for t in told), told
