"""LIST-EXTENDED, LIST-STATUS and special uses (RFC 5258, 5819, 6154), by the examples of the first."""
import itertools
import re

import pytest
from imap_client import login, mail, parse

NAMES = (f'lister{i}@example.org' for i in itertools.count())


@pytest.fixture
def m(node):
    """An account of its own with the folders of RFC 5258, section 5."""
    user = next(NAMES)
    node.add(user)
    with login(node, user) as m:
        for name in ('Drafts', 'Sent', 'Junk', 'Trash', 'Archive'):
            m.ok(f'DELETE {name}')
            m.ok(f'UNSUBSCRIBE {name}')
        m.ok('UNSUBSCRIBE INBOX')
        for name in ('Fruit', 'Fruit/Apple', 'Fruit/Banana', 'Tofu', 'Vegetable', 'Vegetable/Broccoli', 'Vegetable/Corn'):
            m.ok(f'CREATE {name}')
        yield m


def listed(answer):
    """{name: (attributes, extended items)}, every name once."""
    out = {}
    for line in answer.lines('LIST'):
        attributes, separator, name, *extended = parse(line)
        assert separator == b'/' and name.decode() not in out
        out[name.decode()] = ({a.decode() for a in attributes}, extended)
    return out


def names(m, command):
    return set(listed(m.ok(command)))


def subscribe(m, *which):
    for name in which:
        m.ok(f'SUBSCRIBE {name}')


def test_subscribed(m):
    subscribe(m, 'INBOX', 'Fruit/Banana', 'Fruit/Peach', 'Vegetable', 'Vegetable/Broccoli')
    got = listed(m.ok('LIST (SUBSCRIBED) "" "*"'))
    assert set(got) == {'INBOX', 'Fruit/Banana', 'Fruit/Peach', 'Vegetable', 'Vegetable/Broccoli'}
    assert all('\\Subscribed' in a for a, _ in got.values())
    assert {n for n, (a, _) in got.items() if '\\NonExistent' in a} == {'Fruit/Peach'}
    assert '\\HasChildren' in got['Vegetable'][0]
    everything = listed(m.ok('LIST "" "*" RETURN (SUBSCRIBED)'))
    assert len(everything) == 8 and 'Fruit/Peach' not in everything
    assert {n for n, (a, _) in everything.items() if '\\Subscribed' in a} == {'INBOX', 'Fruit/Banana', 'Vegetable', 'Vegetable/Broccoli'}
    assert not any('\\Subscribed' in a for a, _ in listed(m.ok('LIST "" "*"')).values())


def test_children(m):
    got = listed(m.ok('LIST () "" "%" RETURN (CHILDREN)'))
    assert set(got) == {'INBOX', 'Fruit', 'Tofu', 'Vegetable'}
    assert '\\HasChildren' in got['Fruit'][0] and '\\HasNoChildren' in got['Tofu'][0]


def test_remote_changes_nothing(m):
    assert names(m, 'LIST (REMOTE) "" "%" RETURN (CHILDREN)') == {'INBOX', 'Fruit', 'Tofu', 'Vegetable'}


def test_several_patterns(m):
    assert names(m, 'LIST "" ("INBOX" "Tofu" "Fruit/%" Fruit/A*)') == {'INBOX', 'Tofu', 'Fruit/Apple', 'Fruit/Banana'}
    assert names(m, 'LIST "Fruit/" (% "")') == {'Fruit/Apple', 'Fruit/Banana'}
    assert names(m, 'LIST () "" ""') == names(m, 'LIST "" ("")') == set()  # extended: no question for the separator
    assert m.ok('LIST "" ""').lines('LIST') == [b'(\\Noselect) "/" ""']


def test_recursive_match(m):
    subscribe(m, 'Fruit/Banana')
    assert names(m, 'LIST (SUBSCRIBED) "" "%"') == set()
    got = listed(m.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"'))
    assert set(got) == {'Fruit'} and got['Fruit'][1] == [[b'CHILDINFO', [b'SUBSCRIBED']]] and '\\Subscribed' not in got['Fruit'][0]
    assert listed(m.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "*"'))['Fruit/Banana'][1] == []
    assert names(m, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" "*"') == {'Fruit/Banana'}  # it is listed itself
    subscribe(m, 'Fruit')
    got = listed(m.ok('LIST (RECURSIVEMATCH SUBSCRIBED) "" "%"'))
    assert '\\Subscribed' in got['Fruit'][0] and got['Fruit'][1] == [[b'CHILDINFO', [b'SUBSCRIBED']]]
    subscribe(m, 'Gone/below/deep', 'Gone/below/other')
    got = listed(m.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" ("%" "%/%")'))
    assert '\\NonExistent' in got['Gone'][0] and '\\NonExistent' in got['Gone/below'][0] and len(got['Gone'][1]) == 1


def test_example_9(m):
    for name in ('foo2/bar1', 'foo2/bar2', 'baz2/bar2', 'baz2/bar22', 'baz2/bar222', 'eps2/mamba'):
        m.ok(f'CREATE {name}')
        m.ok(f'SUBSCRIBE {name}')
    subscribe(m, 'eps2', 'qux2/bar2')
    got = listed(m.ok('LIST (RECURSIVEMATCH SUBSCRIBED) "" "*2"'))
    assert set(got) == {'foo2', 'foo2/bar2', 'baz2/bar2', 'baz2/bar22', 'baz2/bar222', 'eps2', 'qux2/bar2'}
    assert {n for n, (_, e) in got.items() if e} == {'foo2', 'eps2'}


def test_special_use(m):
    m.ok('CREATE Fruit/Old (USE (\\Archive \\Trash))')
    got = listed(m.ok('LIST (SPECIAL-USE) "" "*"'))
    assert set(got) == {'Fruit/Old'} and {'\\Archive', '\\Trash'} <= got['Fruit/Old'][0]
    assert '\\Trash' in listed(m.ok('LIST "" "*" RETURN (SPECIAL-USE)'))['Fruit/Old'][0]
    assert listed(m.ok('LIST (SPECIAL-USE RECURSIVEMATCH) "" "%"'))['Fruit'][1] == [[b'CHILDINFO', [b'SPECIAL-USE']]]
    assert names(m, 'LIST (SPECIAL-USE SUBSCRIBED) "" "*"') == set()
    subscribe(m, 'Fruit/Old')
    assert names(m, 'LIST (SPECIAL-USE SUBSCRIBED) "" "*"') == {'Fruit/Old'}
    assert '\\Archive' not in str(m.ok('LIST "" "#at/0s/*"'))
    m.ok('RENAME Fruit/Old Fruit/Older')
    assert names(m, 'LIST (SPECIAL-USE) "" "*"') == {'Fruit/Older'}


def test_status(m):
    m.append('Tofu', mail())
    m.ok('DELETE Fruit')  # a name alone now
    a = m.ok('LIST "" "%" RETURN (STATUS (MESSAGES UIDNEXT SIZE MAILBOXID HIGHESTMODSEQ))')
    lines = [u.decode() for u in a.untagged if not u.startswith(b'OK')]
    assert len([x for x in lines if x.startswith('LIST')]) == 4 and len([x for x in lines if x.startswith('STATUS')]) == 3
    for i, line in enumerate(lines):  # each behind its LIST
        if line.startswith('STATUS'):
            assert lines[i - 1].split('"/" ')[1] == re.match(r'STATUS ("[^"]*")', line)[1]
    tofu = next(x for x in lines if x.startswith('STATUS "Tofu"'))
    assert f'MESSAGES 1 UIDNEXT 2 HIGHESTMODSEQ ' in tofu and f'SIZE {len(mail())} MAILBOXID (m' in tofu
    assert not any('STATUS "Fruit"' in x for x in lines)
    subscribe(m, 'Vegetable/Corn')
    a = m.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (STATUS (MESSAGES))')
    assert len(a.lines('LIST')) == 1 and a.lines('STATUS') == []  # the parent itself does not meet the selection
    assert m.ok('LIST "" Tofu RETURN (STATUS (RECENT DELETED UNSEEN))').lines('STATUS') == [b'"Tofu" (RECENT 1 UNSEEN 1 DELETED 0)']


def test_the_past(m):
    m.append('Tofu', mail())
    subscribe(m, '"#at/0s/Tofu"', '"#at/0s/Nope"', '"#at/nosuch/Tofu"')
    got = listed(m.ok('LIST (SUBSCRIBED) "" "*"'))
    assert {n: '\\NonExistent' in a for n, (a, _) in got.items()} == {'#at/0s/Tofu': False, '#at/0s/Nope': True, '#at/nosuch/Tofu': True}
    a = m.ok('LIST "" ("#at/0s/T*" "#at/1s/*") RETURN (STATUS (MESSAGES HIGHESTMODSEQ) SUBSCRIBED)')
    assert set(listed(a)) == {'#at/0s/Tofu'} and '\\Subscribed' in listed(a)['#at/0s/Tofu'][0]
    assert a.lines('STATUS') == [b'"#at/0s/Tofu" (MESSAGES 1 HIGHESTMODSEQ 0)']
    assert names(m, 'LIST "" (Tofu "#at")') == {'Tofu', '#at'}


@pytest.mark.parametrize('wrong', [
    '(FOO) "" *', '(RECURSIVEMATCH) "" *', '(RECURSIVEMATCH REMOTE) "" *', '(SUBSCRIBED "" *', '(SUBSCRIBED)"" *', '"" ()', '"" (a', '"" (a b) RETURN',
    '"" * RETURN ()x', '"" * RETURN (FOO)', '"" * RETURN (STATUS)', '"" * RETURN (STATUS ())', '"" * RETURN (STATUS (FOO))', '"" * RETURN (STATUS (MESSAGES)',
    '"" * RETURN CHILDREN', '"" * CHILDREN', '"" * (CHILDREN)', '(SUBSCRIBED) ""', '() "" * RETURN (SUBSCRIBED) x', '"" (' + ' '.join('abc') * 60 + ')',
    '(SUBSCR\0IBED) "" *'])
def test_wrong(node, wrong):
    with login(node) as m:
        m.bad('LIST ' + wrong)
        m.ok('NOOP')


def test_many_folders(node):
    """STATUS of a thousand, in slices."""
    user = next(NAMES)
    node.add(user)
    with login(node, user) as m:
        for start in range(0, 1000, 100):
            tags = [m.start(f'CREATE many/{i:04}') for i in range(start, start + 100)]
            for tag in tags:
                assert m.wait(tag).status == 'OK'
        a = m.ok('LIST (SUBSCRIBED) "" many/* RETURN (STATUS (MESSAGES))')
        assert a.untagged == []
        a = m.ok('LIST "" many/* RETURN (STATUS (MESSAGES UNSEEN RECENT HIGHESTMODSEQ) SUBSCRIBED)')
        assert len(a.lines('LIST')) == len(a.lines('STATUS')) == 1000
