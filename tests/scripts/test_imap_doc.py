"""docs/imap.md against the node and the scripts: it has a row for each capability there is, and no other."""
import re

from imap_client import Imap
from peers import Perdura
from script import HERE

TABLE = (HERE.parents[1] / 'docs/imap.md').read_text().split('\n## ')[0]
ROWS = [row.split('|')[1:4] for row in TABLE.splitlines() if row.startswith('| `')]


def ticked(text):
    return re.findall(r'`([^`]+)`', text)


def test_capabilities():
    with Perdura() as server, Imap(server.address) as m:
        words = m.ok('CAPABILITY').lines('CAPABILITY')[0].split()
        m.ok('LOGIN "{}" "{}"'.format(*server.user('reader')))
        words += m.ok('CAPABILITY').lines('CAPABILITY')[0].split()
    told = {re.sub('^(APPENDLIMIT)=.*', r'\1', w.decode()) for w in words if not w.startswith(b'AUTH=SCRAM')}
    listed = [c for row in ROWS for c in ticked(row[0])]
    assert sorted(listed) == sorted(told)


def test_scripts_stand():
    for capability, rfc, scripts in ROWS:
        assert re.fullmatch(r' \d{4} ', rfc), capability
        if 'IMAP4rev1' in capability or scripts.startswith(' none: '):
            continue
        assert ticked(scripts), capability
        for name in ticked(scripts):
            assert (HERE / f'{name}.imap').exists(), name


def test_every_extension_script_is_listed():
    """One that needs a capability stands in a row of that capability, or of another."""
    listed = {name for row in ROWS for name in ticked(row[2])}
    needing = {p.stem for p in HERE.glob('*.imap') if re.search('^needs:', p.read_text(), re.M)}
    assert needing - listed <= {'16-append-bad'}
