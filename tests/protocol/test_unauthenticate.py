"""UNAUTHENTICATE: the same connection for one user after the other, and nothing of the first is left to the second."""
from imap_client import folder, login, mail
from node import PASSWORD, PopulatedNode


def test_one_user_after_the_other(node):
    with folder(node) as (m, name), login(node, select=name) as s:
        s.ok('NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange)) (PERSONAL (MessageNew MessageExpunge MailboxName))')
        for user in (node.other, node.user) * 3:
            s.ok('UNAUTHENTICATE')
            m.append(name, mail())
            assert s.ok('NOOP').untagged == []
            s.ok(f'LOGIN {user} "{PASSWORD}"')
            assert s.ok('NOOP').untagged == []
            found = s.ask(f'STATUS {name} (MESSAGES)')
            assert (found.status == 'OK') == (user == node.user)


def test_the_client_is_forgotten(node):
    """What the first user's client said it is does not stand in the second one's history."""
    with login(node) as s:
        s.ok('ID ("name" "first-client")')
        assert 'first-client' in node.perdura('who')
        s.ok('UNAUTHENTICATE')
        s.ok(f'LOGIN {node.other} "{PASSWORD}"')
        assert 'first-client' not in node.perdura('who')


def test_switched_off(tmp_path):
    with PopulatedNode(tmp_path, imap_unauthenticate='off') as n:
        with login(n) as m:
            assert 'UNAUTHENTICATE' not in str(m.ok('CAPABILITY').untagged)
            m.bad('UNAUTHENTICATE')
            m.ok('NOOP')
