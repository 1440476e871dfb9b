"""A Postfix of its own for tests: configuration, queue and logs in a temporary folder, loopback ports, the snippets of
deploy/postfix as they stand. Needs root (master(8) does) and an installed Postfix, which is neither started nor changed."""
import contextlib
import email.message
import json
import pathlib
import random
import re
import shutil
import smtplib
import socket
import subprocess

from node import PATIENCE, wait_until

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / 'deploy/postfix'

# Everything in one folder, quick to try again, also where a process ended amid a reload (60 s otherwise, in which the mail
# looks as if it were being delivered); the rest is deploy/postfix/main.cf.
MAIN = '''compatibility_level = 3.6
config_directory = {dir}/etc
queue_directory = {dir}/spool
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
shlib_directory = {shlib}
meta_directory = /etc/postfix
mail_owner = postfix
setgid_group = postdrop
maillog_file = {dir}/log/maillog
maillog_file_prefixes = {dir}
myhostname = mx.test
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 192.0.2.1/32
default_transport = error:no outside world
disable_dns_lookups = yes
smtp_host_lookup = native
smtpd_relay_restrictions = reject_unauth_destination
sender_bcc_maps = texthash:{dir}/etc/sender_bcc
recipient_bcc_maps = texthash:{dir}/etc/recipient_bcc
transport_maps = texthash:{dir}/etc/transport
transport_retry_time = 1s
service_throttle_time = 1s
'''
MASTER = '''127.0.0.1:{port} inet n - n - - smtpd
postlog   unix-dgram n - n - 1 postlogd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
showq     unix n - n - - showq
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
lmtp      unix - - n - - lmtp
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
'''


def why_not():
    """Why these tests cannot run here, or None."""
    import os
    if os.geteuid() != 0:
        return 'Postfix needs root'
    if not shutil.which('postfix') or not shutil.which('postconf'):
        return 'Postfix is not installed'
    return None


def free_port():
    """Below those that the system gives out, so that nobody has taken it by the time Postfix does."""
    while True:
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(('127.0.0.1', random.randrange(20000, 32000)))
            return s.getsockname()[1]


class Postfix:
    def __init__(self, folder, lmtp, maps, auth=None):
        """folder: its own, which Postfix's user can reach. lmtp: 'inet:127.0.0.1:1124' or 'unix:/path'; maps: 'socketmap:inet:...' without the map's name; auth: 'inet:...'."""
        self.dir = pathlib.Path(folder)
        self.port, self.submission = free_port(), free_port()
        for name in ('etc', 'spool', 'data', 'log'):
            (self.dir / name).mkdir(parents=True, exist_ok=True)
        shutil.chown(self.dir / 'data', 'postfix')
        for name in ('sender_bcc', 'recipient_bcc', 'transport'):
            (self.dir / 'etc' / name).touch()
        ask = lambda name: subprocess.check_output(['postconf', '-dh', name], text=True).strip()
        shlib = subprocess.run(['postconf', '-h', 'shlib_directory'], text=True, capture_output=True).stdout.strip() or '/usr/lib/postfix'
        (self.dir / 'etc/main.cf').write_text(
            MAIN.format(dir=self.dir, daemons=ask('daemon_directory'), shlib=shlib) + (DEPLOY / 'main.cf').read_text())
        master = MASTER.format(port=self.port)
        if auth:
            snippet = re.sub(r'(?m)^submission( +inet n +- +)y', rf'127.0.0.1:{self.submission}\1n', (DEPLOY / 'master.cf').read_text())
            assert 'inet:127.0.0.1:1126' in snippet and 'submission inet' not in snippet
            master += snippet.replace('inet:127.0.0.1:1126', auth)
            self.make_certificate()
        (self.dir / 'etc/master.cf').write_text(master)
        self.conf(f'perdura_lmtp={lmtp}', f'perdura_maps={maps}', 'queue_run_delay=2s', 'minimal_backoff_time=2s', 'maximal_backoff_time=4s')

    def make_certificate(self):
        pem = self.dir / 'etc/test.pem'
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=mx.test',
                        '-keyout', pem, '-out', pem.with_suffix('.crt')], check=True, capture_output=True)
        with open(self.dir / 'etc/main.cf', 'a') as f:
            f.write(f'smtpd_tls_cert_file = {pem.with_suffix(".crt")}\nsmtpd_tls_key_file = {pem}\n')

    def run(self, program, *words, check=True):
        return subprocess.run([program, '-c', str(self.dir / 'etc'), *words], check=check, text=True, capture_output=True)

    def conf(self, *settings):
        self.run('postconf', '-e', *settings)

    def set(self, *settings):
        self.conf(*settings)
        self.reload()

    def map(self, name, text):
        (self.dir / 'etc' / name).write_text(text)
        self.reload()

    def reload(self):
        """The processes that know the old settings end; those that start from now on know the new ones."""
        old = self.children()
        self.run('postfix', 'reload')
        wait_until(lambda: not old & self.children(), told=self.log)

    def children(self):
        """The processes of its master, by number."""
        master = (self.dir / 'spool/pid/master.pid').read_text().strip()
        return set(pathlib.Path(f'/proc/{master}/task/{master}/children').read_text().split())

    def start(self):
        self.run('postfix', 'start')

        def answers():
            try:
                return socket.create_connection(('127.0.0.1', self.port), 1).close() is None
            except OSError:
                return False
        wait_until(answers, told=self.log)
        return self

    def stop(self):
        self.run('postfix', 'stop', check=False)

    __enter__ = start

    def __exit__(self, *_):
        self.stop()

    def log(self):
        return (self.dir / 'log/maillog').read_text(errors='replace')

    def told(self):
        """What it has and what it said last."""
        return f'{self.queue()}\n{self.log()[-4000:]}'

    def queue(self):
        return [json.loads(l) for l in self.run('postqueue', '-j').stdout.splitlines()]

    def flush(self):
        self.run('postqueue', '-f')

    def wait_empty(self, seconds=PATIENCE):
        wait_until(lambda: not self.queue(), seconds, self.log, 0.2)

    def smtp(self, port=None):
        return smtplib.SMTP('127.0.0.1', port or self.port, timeout=PATIENCE, local_hostname='client.test')

    def send(self, sender, *to, subject='test', text='Hello.\n'):
        """Hands a message in; returns the recipients that were refused."""
        m = email.message.EmailMessage()
        m['From'], m['To'], m['Subject'] = 'someone@outside.test', 'you@example.org', subject
        m.set_content(text)
        with self.smtp() as s:
            return s.sendmail(sender, list(to), m.as_bytes(policy=m.policy.clone(linesep='\r\n')))
