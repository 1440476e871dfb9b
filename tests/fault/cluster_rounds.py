"""Rounds of faults below and among several nodes, under deliveries and changes at all of them (see run)."""
import pathlib
import random
import re
import secrets
import signal
import subprocess
import time
import urllib.request

from clients import read_folder
from enduring import EnduringFiler, EnduringSorter, Gleaner, Post, Purger
from imap_client import Closed, Imap
from ledger import Ledger, compare
from lmtp_client import Lmtp, message
from node import PASSWORD, PERDURA, Node
from proxy import Proxy
from rounds import Rounds
from servers import GALERA_NODES

ADA, BOB, CAROL, DORA = ACCOUNTS = tuple(f'{n}@example.org' for n in ('ada', 'bob', 'carol', 'dora'))
PROBE = 'probe@example.org'  # to see whether a node serves
FILED = [f'F{i}' for i in range(8)]
FOLDERS = {ADA: ['Left', 'Right', *FILED], BOB: FILED, CAROL: FILED, DORA: ['Kept']}
HEALED = 120  # seconds, at most, until all serve again after a fault


class Cluster:
    """Two nodes, each with ways of its own to the servers."""

    def __init__(self, folder, servers):
        self.servers, self.names = servers, ('n1', 'n2')
        self.database = f'faults{secrets.token_hex(4)}'  # and the prefix of its bodies
        self.ways = {n: [Proxy(*to) for to in servers.database] for n in self.names}
        self.s3_ways = {n: Proxy(*servers.gateway) for n in self.names}
        self.nodes = {n: Node(folder / n, node_name=n, meta_url=self.meta(n), blob_url=self.blob(n, self.database), listen_link='127.0.0.1:0',
                              listen_http='127.0.0.1:0', log_audit='on', purge_grace='60s',
                              blob_pack_bytes='256K', blob_pack_age='2s') for n in self.names}

    def meta(self, name):
        ways = [w.port for w in self.ways[name]]
        first = self.names.index(name) % len(ways)
        hosts = ','.join(f'127.0.0.1:{p}' for p in ways[first:] + ways[:first])
        return f'mariadb://{self.servers.user}:{self.servers.password}@{hosts}/{self.database}'

    def blob(self, name, prefix):
        return f's3://{self.servers.bucket}/{prefix}?endpoint=http://127.0.0.1:{self.s3_ways[name].port}&region={self.servers.region}'

    def create(self):
        self.servers.sql(f'CREATE DATABASE {self.database}')
        subprocess.run([str(PERDURA), 'upgrade', '--init', '--set', f'meta.url={self.meta("n1")}'], check=True, capture_output=True)

    def start(self):
        for n in self.nodes.values():
            if n.process is None:
                n.start()

    def heal(self, late):
        for w in [*sum(self.ways.values(), []), *self.s3_ways.values()]:
            w.heal(late)
        for d in self.servers.disks.values():
            d.free()
        for n in range(1, GALERA_NODES + 1):
            self.servers.signal_database(n, signal.SIGCONT)
        self.servers.revive_database()
        self.servers.revive_s3()
        self.start()

    def close(self):
        for n in self.nodes.values():
            n.kill()
        for w in [*sum(self.ways.values(), []), *self.s3_ways.values()]:
            w.close()

    # -- the faults

    def faults(self):
        """{what: function that makes it so}."""
        s, all_nodes = self.servers, range(1, GALERA_NODES + 1)
        out = {f'database node {i} is killed': lambda i=i: s.kill_database(i) for i in all_nodes}
        out['all database nodes are killed'] = lambda: s.kill_database(*all_nodes)
        out['a database node answers nothing'] = lambda: s.signal_database(2, signal.SIGSTOP)
        out['the S3 server is killed'] = s.kill_s3
        for n in self.names:
            out[f'{n} is killed'] = self.nodes[n].kill
            out[f'{n} is cut off from the database'] = lambda n=n: [w.cut() for w in self.ways[n]]
            out[f'{n} is cut off from one database node'] = lambda n=n: self.ways[n][self.names.index(n)].cut()
        out['the database answers n2 nothing'] = lambda: [w.hold() for w in self.ways['n2']]
        out['one database node answers n1 nothing'] = self.ways['n1'][0].hold
        out['S3 answers n1 nothing'] = self.s3_ways['n1'].hold
        if s.disks:
            out['the disk below a database node is full'] = s.disks['galera'].fill
            out['the disk below S3 is full'] = s.disks['s3'].fill
        out['nothing, but both nodes purge'] = lambda: None
        return out


class ClusterRounds(Rounds):
    def __init__(self, folder, seed, servers, check_every=1):
        self.dir, self.seed, self.check_every = pathlib.Path(folder), seed, check_every
        self.cluster = Cluster(self.dir, servers)
        self.node = self.cluster.nodes['n1']
        self.violations, self.pending, self.stopping = [], [], False
        self.told = []  # a line a round
        self.ledger = Ledger(ACCOUNTS)

    def begin(self):
        self.cluster.create()
        self.cluster.start()
        self.node.add(*ACCOUNTS, PROBE)
        self.node.perdura('account', 'set', DORA, 'retention.window=5s')
        for a in ACCOUNTS:
            with Imap(self.node.tcp('listen.imap'), a, PASSWORD) as m:
                for f in FOLDERS[a]:
                    m.ok(f'CREATE {f}')
                for f in self.list(m):
                    self.ledger.accounts[a][f] = read_folder(m, f)

    def fault(self, number):
        """The one of this round; in as many rounds as there are faults each comes once."""
        faults = self.cluster.faults()
        cycle, place = divmod(number, len(faults))
        names = sorted(faults)
        random.Random(f'{self.seed}/faults/{cycle}').shuffle(names)
        return names[place], faults[names[place]]

    def clients(self):
        n1, n2 = self.cluster.nodes.values()
        common = self.ledger, self.seed, self.say
        clients = [Post('post', [n1, n2], *common, accounts=(ADA, BOB, CAROL)), Post('mail', [n2, n1], *common, accounts=(ADA, BOB)),
                   EnduringSorter('left', [n1, n2], *common, address=ADA, half=0, halves=2, to='Left'),
                   EnduringSorter('right', [n2, n1], *common, address=ADA, half=1, halves=2, to='Right')]
        for name, nodes, address in (('ada', [n2, n1], ADA), ('bob', [n1, n2], BOB), ('carol', [n2, n1], CAROL)):
            clients.append(EnduringFiler(name, nodes, *common, address=address, folders=FILED))
        clients.append(Gleaner('gleaner', [n1, n2], *common, address=DORA, path='Kept'))
        return clients + [Purger(f'purge at {n.settings["node.name"]}', [n], *common) for n in (n1, n2)]

    def say(self, text):
        super().say(text if len(text) < 1000 else f'{text[:500]} ... {text[-500:]}')

    # -- a round

    def serves(self, node):
        try:
            with Imap(node.tcp('listen.imap'), PROBE, PASSWORD, 'INBOX') as m, Lmtp(node.lmtp) as c:
                m.append('INBOX', b'Subject: probe\r\n\r\n' + b'x' * 200_000)
                ok = c.deliver(message('probe'), PROBE)[0].startswith('250')
                m.ok('STORE 1:* +FLAGS (\\Deleted)')
                m.ok('EXPUNGE')
            return ok and node.run('status').returncode == 0
        except (Closed, OSError, AssertionError):
            return False

    def healed(self):
        begun = time.monotonic()
        for name, node in self.cluster.nodes.items():
            while not self.serves(node):
                if node.process.poll() is not None:
                    self.say(f'{name} ended by itself with {node.process.returncode}: {node.log_text()[-1000:]}')
                    node.process = None
                    node.start()
                if time.monotonic() - begun > HEALED:
                    self.say(f'{name} does not serve {HEALED} s after all is well again: {node.log_text()[-2000:]}')
                    break
                time.sleep(0.2)
        return time.monotonic() - begun

    def round(self, number):
        what, breaks = self.fault(number)
        print(f'round {number}: {what}', flush=True)
        clients = self.clients()
        for c in clients:
            c.start()
        time.sleep(self.random.uniform(0.5, 2))
        begun, acknowledged = time.monotonic(), self.ledger.totals.get('acknowledged', 0)
        breaks()
        time.sleep(self.random.uniform(1, self.random.choice((4, 9, 20))))
        during = self.ledger.totals.get('acknowledged', 0) - acknowledged
        self.cluster.heal(self.random.random() < 0.5)
        took = self.healed()
        time.sleep(self.random.uniform(0.5, 2))
        for c in clients:
            c.dying.set()
        for c in clients:
            c.join(90)
            if c.is_alive():
                self.say(f'{c.name} hangs')
        self.settle_all(clients)
        self.verify(True)
        self.agree()
        self.check()
        self.look_for_misses()
        gap = max(c.gap for c in clients if isinstance(c, Post))
        self.told.append(f'round {number}: {during} answered until all was mended {time.monotonic() - begun:.0f} s later, served '
                         f'{took:.1f} s after that; longest wait of a delivery {gap:.1f} s; '
                         f'{sum(len(c.left_over) for c in clients if hasattr(c, "left_over"))} without an answer')
        print(self.told[-1], flush=True)

    def settle_all(self, clients):
        for c in clients:
            if isinstance(c, Post):
                c.again += [[o] for o in c.pending]
                c.send_rest(self.node, time.monotonic() + 60)
            else:
                self.pending += c.left_over + c.pending
        self.node.settled()

    def settled(self, address):
        return self.show(address)

    def verify(self, thorough):
        node = {a: self.settled(a) for a in ACCOUNTS}
        for op in self.pending:
            self.settle(op, node)
        self.pending = []
        for a in ACCOUNTS:
            self.verify_account(a, node[a], thorough)

    def verify_changes(self, address, thorough):
        super().verify_changes(address, thorough and address != DORA)  # whose history is purged

    def agree(self):
        """Every node shows the same."""
        for a in ACCOUNTS:
            mine = self.ledger.accounts[a]
            for name, node in self.cluster.nodes.items():
                with Imap(node.tcp('listen.imap'), a, PASSWORD) as m:
                    for f in self.list(m):
                        compare(f'{a} {f} at {name}', mine[f].copy(), read_folder(m, f), self.say)

    def look_for_misses(self):
        """Changes that a follower found when it had closed their time."""
        for name, node in self.cluster.nodes.items():
            with urllib.request.urlopen(f'http://127.0.0.1:{node.tcp("listen.http")[1]}/metrics', timeout=60) as answer:
                missed = re.findall(r'^perdura_follower_missed_total\S* (\d+)', answer.read().decode(), re.M)
            if any(map(int, missed)) or not missed:
                self.say(f'{name}: a follower missed changes: {missed}')

    def run(self, first, rounds):
        try:
            self.begin()
            for number in range(first, first + rounds):
                if self.stopping:
                    break
                self.random = random.Random(f'{self.seed}/{number}')
                self.ledger.round = number
                self.round(number)
        finally:
            self.cluster.close()
        return not self.violations
