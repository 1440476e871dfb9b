"""Servers that the runner starts by itself; each gives every script a user of its own."""
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / 'protocol'))
from certificates import Authority  # noqa: E402
from node import PASSWORD, PATIENCE, Node, wait_until  # noqa: E402


def certificate(folder):
    return Authority(folder).make('mail', 'localhost')


class Perdura:
    name = 'perdura'

    def __enter__(self):
        self.node = Node()
        cert, key = certificate(self.node.dir / 'ca')
        self.node.settings.update({'tls.cert': str(cert), 'tls.key': str(key)})
        self.node.start()
        self.address = self.node.tcp('listen.imap')
        return self

    def __exit__(self, *_):
        self.node.drop()
        shutil.rmtree(self.node.dir)

    def user(self, name):
        user = f'{name}@example.org'
        self.node.add(user)
        return user, PASSWORD


DOVECOT = '''
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{cert}
ssl_key = <{key}
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
mail_uid = mail
mail_gid = mail
first_valid_uid = 1
first_valid_gid = 1
mail_home = {dir}/mail/%u
mail_location = sdbox:~/sdbox
mailbox_list_index = yes
mail_max_userip_connections = 0
mail_plugins = quota acl
mail_attribute_dict = file:%h/attributes
plugin {{
  acl = vfile
  acl_anyone = allow
  quota = count:User
  quota_rule = *:storage=1G
  quota_vsizes = yes
}}
protocol imap {{
  mail_plugins = quota acl imap_quota imap_acl imap_zlib
  imap_metadata = yes
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=mail gid=mail
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
'''


class Dovecot:
    """Version 2.3, as the distribution has it; it wants to be started by root."""
    name = 'dovecot'
    program = shutil.which('dovecot') or shutil.which('dovecot', path='/usr/sbin')

    def __enter__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='dovecot-test.'))
        self.dir.chmod(0o755)
        for name in ('run', 'state', 'mail'):
            (self.dir / name).mkdir()
        shutil.chown(self.dir / 'mail', 'mail', 'mail')
        with socket.create_server(('127.0.0.1', 0)) as s:
            self.address = s.getsockname()
        cert, key = certificate(self.dir / 'ca')
        (self.dir / 'conf').write_text(DOVECOT.format(dir=self.dir, cert=cert, key=key, port=self.address[1],
                                                      password=PASSWORD.replace(' ', '-')))
        with open(self.dir / 'out', 'wb') as out:
            self.process = subprocess.Popen([self.program, '-F', '-c', str(self.dir / 'conf')], stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=out)
        wait_until(self.serves, told=lambda: (self.dir / 'out').read_text())
        return self

    def serves(self):
        assert self.process.poll() is None, (self.dir / 'out').read_text()
        try:
            socket.create_connection(self.address, 1).close()
            return True
        except OSError:
            return False

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(PATIENCE)
        shutil.rmtree(self.dir)

    def user(self, name):
        return name, PASSWORD.replace(' ', '-')


SERVERS = {s.name: s for s in (Perdura, Dovecot)}


def missing(name):
    """Why the server cannot be started here, or None."""
    if name == 'dovecot' and not Dovecot.program:
        return 'dovecot is not installed'
    if name == 'dovecot' and subprocess.run(['id', '-u'], capture_output=True, text=True).stdout.strip() != '0':
        return 'dovecot wants to be started by root'
    return None
