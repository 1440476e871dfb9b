"""A node that stops while it works says what it did not do."""
import signal
import subprocess
import time

import pytest
from imap_client import mail
from node import PERDURA, PopulatedNode


@pytest.mark.parametrize('after', [0.1, 0.3])
def test_import_broken_off(tmp_path, after):
    """Never "done" when some of it was not: run again, it takes the rest."""
    with PopulatedNode(tmp_path) as node:
        mbox = tmp_path / 'mbox'
        mbox.write_text(''.join('From a@example.org Mon Jan  1 00:00:00 2024\n' + mail(f's{i}').replace('\r\n', '\n') + '\n'
                                for i in range(8000)))
        p = subprocess.Popen([str(PERDURA), '--data', str(node.data), 'import', node.user, str(mbox)],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(after)
        node.stop(signal.SIGTERM)
        out, err = p.communicate(timeout=60)
        assert p.returncode in (1, 75) or out.startswith('8000 imported'), (p.returncode, out, err)
        node.start()
        node.perdura('import', node.user, mbox, timeout=120)
        assert node.count(node.user) == 8000
