"""The man pages against the tables and the code: whoever adds a verb, an option, a setting or a kind of log line and does
not say so there fails here. And what is made from the tables."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SRC = ROOT / 'src'
BUILD = pathlib.Path(os.environ.get('PERDURA_BUILD', ROOT / 'build')).resolve()


def table(path):
    return json.loads(subprocess.check_output([ROOT / 'scripts/tables', 'json', path]))


OPTIONS = table(SRC / 'server/options.def')
VERBS = table(SRC / 'admin/verbs.def')
SETTINGS = table(next(SRC.rglob('settings.def')))
METRICS = table(SRC / 'base/metrics.def')


def page(name):
    return (ROOT / 'docs/man' / (name + '.scd')).read_text()


def entries(text):
    """Lines that begin an entry (what it says is indented below), as plain text."""
    found = re.findall(r'^(\*[a-z].*)\n\t', text, re.M)
    return [re.sub(r'\\(.)', r'\1', re.sub(r'[*_]', '', l)) for l in found]


def test_the_tables_are_read_whole():
    for path, rows, word in ((SRC / 'server/options.def', OPTIONS, '(OPTION|LIVE)'), (SRC / 'admin/verbs.def', VERBS, 'VERB'),
                             (SRC / 'base/metrics.def', METRICS, 'METRIC'),
                             (next(SRC.rglob('settings.def')), SETTINGS, 'SETTING')):
        assert len(rows) == len(re.findall(rf'^{word}\(', path.read_text(), re.M)), path


@pytest.mark.parametrize('verb', VERBS, ids=lambda v: v['name'])
def test_verbs(verb):
    usage = [verb['name']] + ([verb['arguments']] if verb['arguments'] else [])
    found = [e for e in entries(page('perdura.1')) if re.match(re.escape(verb['name']) + r'( [^a-z]|$)', e)]
    assert len(found) == 1, f'perdura.1 has {len(found)} entries for {verb["name"]}'
    assert found[0].startswith(' '.join(usage)), f'perdura.1: {found[0]}: not as in verbs.def: {usage}'
    for option in verb['options'].split():
        name, _, value = option.partition('=')
        assert f'--{name} {value}'.strip() in found[0], f'perdura.1: {found[0]} lacks --{name}'
    assert found[0].count('--') == len(verb['options'].split()), f'perdura.1: {found[0]} has options that are none'


def test_no_other_verbs():
    part = page('perdura.1').split('# THE NODE')[1].split('# EXIT STATUS')[0]
    words = {' '.join(re.match(r'[a-z -]+', e)[0].split(' --')[0].split()) for e in entries(part)}
    assert words == {v['name'] for v in VERBS}


@pytest.mark.parametrize('rows, heading', [(OPTIONS, '# OPTIONS'), (SETTINGS, '# SETTINGS')], ids=['options', 'settings'])
def test_options(rows, heading):
    part = page('perdura.conf.5').split(heading)[1].split('\n# ')[0]
    want = [f"{o['name']} ({o['default'] or 'empty'})" for o in rows]
    assert sorted(entries(part)) == sorted(want)
    for o in rows:
        for choice in o.get('unit', '').split() if o['type'] == 'choice' else []:
            assert f'*{choice}*' in part, f'{o["name"]}: {choice}'


def test_log_lines():
    """Each event that the code logs, in the page and nowhere else."""
    events = {e for f in SRC.rglob('*.c') if f.name != 'log.c'
              for e in re.findall(r'log_(?:line|login)\([^";{]*"([a-z0-9-]+)"', f.read_text())}
    part = page('perdurad.8').split('# LOG')[1].split('\n# ')[0]
    told = {w for e in entries(part) for w in e.split(', ')}
    assert told == events


@pytest.mark.parametrize('name', ['perdurad.8', 'perdura.1', 'perdura.conf.5'])
def test_pages_can_be_made(name):
    if not shutil.which('scdoc'):
        pytest.skip('scdoc is not installed')
    r = subprocess.run(['scdoc'], input=page(name), text=True, capture_output=True)
    assert r.returncode == 0 and r.stdout.startswith('.\\"'), r.stderr


def test_sample_configuration(tmp_path):
    """It says what the defaults are, and a node takes it also with all of them set."""
    from_table = subprocess.check_output([ROOT / 'scripts/tables', 'conf', SRC / 'server/options.def'], text=True)
    assert [l for l in from_table.splitlines() if l and l[0] != '#'] == []
    lines = [l[1:] for l in from_table.splitlines() if re.match(r'#[a-z.]+ =', l)]
    assert len(lines) == len(OPTIONS)
    perdura = BUILD / 'src/tools/perdura'
    if not perdura.exists():
        pytest.skip('not built')
    def config():
        return json.loads(subprocess.check_output([perdura, '--data', tmp_path, 'config', '--json']))
    before = config()
    (tmp_path / 'perdura.conf').write_text('\n'.join(lines))
    assert config() == before


# -- completion

def completion(shell, tmp_path):
    path = tmp_path / f'completion.{shell}'
    path.write_bytes(subprocess.check_output([ROOT / 'scripts/tables', shell, SRC / 'admin/verbs.def']))
    return path


@pytest.mark.parametrize('words, expected', [
    ('perdura sta', {'status'}),
    ('perdura account ', {v['name'].split()[1] for v in VERBS if v['name'].startswith('account ')}),
    ('perdura --data /tmp account pass', {'password'}),
    ('perdura restore a@b --fo', {'--folder'}),
    ('perdura --he', {'--help'}),
    ('perdura account remove ', {'ada@example.org', 'bob@example.org'}),
    ('perdura history b', {'bob@example.org'}),
])
def test_bash(tmp_path, words, expected):
    script = f'''perdura() {{ echo ada@example.org; echo bob@example.org; }}
        source {completion('bash', tmp_path)}
        COMP_WORDS=({words}{'""' if words.endswith(' ') else ''}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _perdura; printf '%s\\n' "${{COMPREPLY[@]}}"'''
    got = subprocess.check_output(['bash', '-c', script], text=True)
    assert set(got.split()) == expected


def test_zsh(tmp_path):
    if not shutil.which('zsh'):
        pytest.skip('zsh is not installed')
    path = completion('zsh', tmp_path)
    for words, expected in (('perdura sta', 'status'), ('perdura account pass', 'password'),
                            ('perdura restore a@b --fo', '--folder'), ('perdura account remove ', 'ada@example.org')):
        # what the script hands to compadd
        script = f'''perdura() {{ echo ada@example.org; echo bob@example.org }}
            compadd() {{ shift; print -l -- $@ }}; _files() {{ print FILES }}
            words=({words}{'""' if words.endswith(' ') else ''}); CURRENT=$#words
            f() {{ {path.read_text()}
            }}; f'''
        r = subprocess.run(['zsh', '-f', '-c', script], text=True, capture_output=True)
        assert r.returncode == 0 and not r.stderr, r.stderr
        assert expected in r.stdout.split(), (words, r.stdout)
