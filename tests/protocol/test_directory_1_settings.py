"""Settings of the cluster, a domain and an account; domains."""
import pytest


@pytest.fixture(autouse=True)
def as_before(node):
    yield
    node.perdura('set', 'quota.default=', 'message.max=', 'retention.window=')


def value(node, *words):
    *owner, name = words
    return next(o for o in lines(node, *owner) if o['name'] == name)


def lines(node, *words):
    import json
    return [json.loads(l) for l in node.perdura('--json', *words).splitlines()]


def test_set_and_take_back(node):
    assert value(node, 'set', 'retention.window')['value'] == '30d'
    node.perdura('set', 'retention.window=12h', 'quota.default=1G')
    assert (value(node, 'set', 'retention.window')['value'], value(node, 'set', 'retention.window')['from']) == ('12h', 'cluster')
    assert value(node, 'account', 'set', node.user, 'quota')['value'] == '1G'
    node.perdura('account', 'set', node.user, 'quota=2G')
    assert value(node, 'account', 'set', node.user, 'quota') | {'help': ''} == {
        'name': 'quota', 'type': 'size', 'value': '2G', 'from': 'account', 'default': '0', 'bounds': '0 to 1048576T', 'help': ''}
    node.perdura('account', 'set', node.user, 'quota=')
    assert value(node, 'account', 'set', node.user, 'quota')['from'] == 'cluster'
    assert 'retention.window = 12h\n' in node.perdura('set')


@pytest.mark.parametrize('words,status,says', [
    (['set', 'no.such=1'], 1, '"no.such"'), (['set', 'quota.default'], 2, 'NAME=VALUE'), (['set', 'message.max=2G'], 1, '1K to 1G'),
    (['set', 'retention.window=1d', 'message.max=x'], 1, '1K to 1G'), (['set', 'quota=1G'], 1, 'no setting of the cluster'),
    (['account', 'set', 'nobody', 'quota=1'], 1, 'no such account'), (['domain', 'set', 'none.test', 'quota.default=1'], 1, 'domain add'),
    (['domain', 'add', 'a b'], 1, 'no domain'), (['domain', 'add', ''], 1, 'no domain'), (['domain', 'add', '.a'], 1, 'no domain'),
    (['domain', 'remove', 'none.test'], 1, 'no such domain'), (['domain', 'remove', 'example.org'], 1, 'remove it first'),
    (['domain', 'add', 'fresh.test', 'example.org'], 1, 'there already')])
def test_refused(node, words, status, says):
    r = node.run(*words)
    assert r.returncode == status and says in r.stderr and r.stderr.count('\n') == 1
    assert value(node, 'set', 'retention.window')['value'] == '30d'  # all or nothing


def test_domains(node):
    node.perdura('domain', 'add', 'Second.Example')
    assert 'second.example' in node.perdura('domain', 'list').split()
    node.perdura('domain', 'set', 'second.example', 'quota.default=5M')
    node.add('hal@second.example')
    assert value(node, 'account', 'set', 'hal@second.example', 'quota') == value(node, 'domain', 'set', 'second.example', 'quota.default') | {
        'name': 'quota', 'help': value(node, 'account', 'set', node.user, 'quota')['help']}
    node.perdura('account', 'remove', 'hal@second.example')
    node.perdura('domain', 'remove', 'second.example')
    assert 'second.example' not in node.perdura('domain', 'list').split()
    node.perdura('restore', 'hal@second.example', '--at', '@1', '--yes')
    assert 'second.example' in node.perdura('domain', 'list').split()  # it came back with its account


def test_message_max(node):
    node.perdura('set', 'message.max=2K')
    with node.imap(node.user) as m:
        assert m.append('INBOX', None, None, b'Subject: x\r\n\r\n' + b'x' * 3000)[0] == 'NO'
    node.perdura('account', 'set', node.other, 'message.max=1K')
    with node.imap(node.other) as m:
        assert m.append('INBOX', None, None, b'Subject: x\r\n\r\n' + b'x' * 1500)[0] == 'NO'
        assert m.append('INBOX', None, None, b'Subject: x\r\n\r\n' + b'x' * 500)[0] == 'OK'
    node.perdura('account', 'set', node.other, 'message.max=')


def test_they_survive(node):
    node.perdura('set', 'retention.window=3d')
    node.kill()
    node.start()
    assert value(node, 'set', 'retention.window')['value'] == '3d'


def test_history_of_settings(node):
    node.perdura('set', 'retention.window=5d')
    node.perdura('account', 'set', node.user, 'quota=3G')
    node.perdura('alias', 'add', 'listed@example.org', node.user)
    node.perdura('alias', 'remove', 'listed@example.org')
    node.perdura('account', 'set', node.user, 'quota=')
    told = [(h['actor'], h['text']) for h in lines(node, 'history')][-5:]
    assert told == [('admin', t) for t in (
        'changed settings: added retention.window', f'changed settings: changed {node.user}', 'changed aliases: added listed@example.org',
        'changed aliases: ended listed@example.org', f'changed settings: changed {node.user}')]
    assert any(h['text'].startswith(f'made the account: added {node.user}') for h in lines(node, 'history'))
    assert 'perdura undo' not in node.perdura('history')


def test_they_come_back(node):
    """restore --all: what was there then and is not there now, as it was then; what was changed since stays."""
    node.perdura('domain', 'add', 'lost.test')
    node.perdura('domain', 'set', 'lost.test', 'quota.default=7M')
    node.perdura('alias', 'add', 'lost@lost.test', node.user)
    node.perdura('alias', 'add', 'kept@example.org', node.user)
    node.perdura('set', 'retention.window=9d', 'quota.default=9G')
    node.perdura('snapshot', 'create', 'before')
    node.perdura('alias', 'add', 'lost@lost.test', node.other)
    node.perdura('alias', 'add', 'kept@example.org', node.other)
    node.perdura('alias', 'remove', 'lost@lost.test')
    node.perdura('domain', 'remove', 'lost.test')
    node.perdura('set', 'retention.window=', 'quota.default=8G')
    dry = lines(node, 'restore', '--all', '--at', 'before', '--dry-run')[-1]
    done = lines(node, 'restore', '--all', '--at', 'before', '--yes')[-1]
    assert dry['entries_back'] == done['entries_back'] == 3
    assert value(node, 'domain', 'set', 'lost.test', 'quota.default')['value'] == '7M'
    aliases = node.perdura('alias', 'list').splitlines()
    assert f'lost@lost.test {node.user}' in aliases and f'kept@example.org {node.user} {node.other}' in aliases
    assert value(node, 'set', 'retention.window')['value'] == '9d' and value(node, 'set', 'quota.default')['value'] == '8G'
    assert lines(node, 'restore', '--all', '--at', 'before', '--yes')[-1]['entries_back'] == 0
    node.perdura('snapshot', 'remove', 'before')
    assert node.run('check').returncode == 0
