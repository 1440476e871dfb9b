"""The example of the README, command by command as it stands there, on whatever stores the tests stand."""
import re
import shutil
import subprocess

import pytest
from lmtp_client import Lmtp
from node import PERDURA, ROOT, Node

USER, PASSWORD = 'demo@example.org', 'lighthouse'
MAIL = {'inbox': 'INBOX', 'sent': 'Sent', 'contracts': 'Contracts', 'north-wall': 'Projects/North wall'}

pytestmark = pytest.mark.skipif(not shutil.which('curl'), reason='there is no curl')


def example():
    """[(command, [lines it prints])]"""
    text = (ROOT / 'README.md').read_text().split('\n## An example\n')[1].split('\n## ')[0]
    steps = []
    for line in re.findall(r'^    (.*)$', text, re.M):
        if line.startswith('$ '):
            steps.append((line[2:], []))
        else:
            steps[-1][1].append(line)
    return steps


def pattern(line):
    """What differs from run to run: instants, change numbers, clients."""
    told = re.escape(line)
    told = re.sub(r'\d{4}\\-\d\d\\-\d\dT[\d:]+\\\.\d+Z', r'\\d{4}-\\d\\d-\\d\\dT[\\d:]+\\.\\d+Z', told)
    told = re.sub(r'@\d+', r'@\\d+', told)
    return re.sub(r'(client\\ )\w+', r'\1\\w+', told)


@pytest.fixture
def demo(tmp_path):
    """What demo/run makes."""
    with Node(tmp_path) as n:
        n.perdura('account', 'add', USER, stdin=PASSWORD + '\n')
        for name, folder in MAIL.items():
            n.perdura('import', USER, str(ROOT / f'demo/mail/{name}.mbox'), '--folder', folder)
        yield n
    n.drop()


def shell(node, command):
    """The minute that the example waits for is a snapshot's name here, which WHEN may be just as well."""
    words = f'U=imap://%s:%s; perdura() {{ "{PERDURA}" --data "{node.data}" "$@"; }}; ' % node.tcp('listen.imap')
    command = re.sub(r'(--at |--since |at/)1m\b', r'\1then', command)
    return subprocess.run(['bash', '-c', words + command], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60).stdout.replace('\r', '').splitlines()


def test_the_example(demo):
    steps = example()
    assert len(steps) == 8
    demo.perdura('snapshot', 'create', 'then')
    for command, prints in steps:
        told = shell(demo, command)
        assert re.fullmatch('\n'.join(map(pattern, prints)), '\n'.join(told)), (command, told, prints)
    with Lmtp(demo.lmtp) as c:  # mail goes on arriving
        assert c.ask('MAIL FROM:<a@example.org>').startswith('250') and c.ask(f'RCPT TO:<{USER}>').startswith('250')
        assert c.ask('DATA').startswith('354') and c.ask('Subject: after it\r\n\r\nAll is well.\r\n.').startswith('250')
    with demo.imap(USER, PASSWORD) as m:
        last = m.select('INBOX', readonly=True)[1][0].decode()
        assert m.fetch(last, '(BODY.PEEK[])')[1][0][1].endswith(b'All is well.\r\n')
    assert demo.json('check')['troubles'] == 0
