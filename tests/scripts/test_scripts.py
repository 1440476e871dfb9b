"""Every script is a test, on a node of ours and, where it is installed, on Dovecot."""
import pytest
import peers
import script

SCRIPTS = sorted(script.HERE.glob('*.imap'))


@pytest.fixture(scope='module')
def server(request):
    why = peers.missing(request.param)
    if why:
        pytest.skip(why)
    with peers.SERVERS[request.param]() as s:
        yield s


@pytest.mark.parametrize('path', SCRIPTS, ids=lambda p: p.stem)
@pytest.mark.parametrize('server', list(peers.SERVERS), indirect=True)
def test_script(server, path):
    s = script.Script(path)
    try:
        script.play(s, server.address, *server.user(s.name), server.name)
    except script.Skipped as e:
        if server.name == 'perdura':
            raise
        pytest.skip(str(e))
    except script.Failed as e:
        pytest.fail('\n'.join([str(e), *getattr(e, 'said', [])]), pytrace=False)
