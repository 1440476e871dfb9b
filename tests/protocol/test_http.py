"""Metrics and health over HTTP: what is told, and what bad requests get."""
import os
import re
import shutil
import socket
import subprocess
import time

import pytest
from lmtp_client import Lmtp
from node import PopulatedNode
from stores import BLOB, META


@pytest.fixture(scope='module')
def node(tmp_path_factory):
    with PopulatedNode(tmp_path_factory.mktemp('node'), listen_http='127.0.0.1:0,unix:run/http') as n:
        yield n


def talk(node, data, wait=True):
    """All that comes back until the node closes, or until one reply is whole."""
    with socket.create_connection(node.tcp('listen.http'), timeout=30) as s:
        s.sendall(data)
        if wait:
            s.shutdown(socket.SHUT_WR)
        got = b''
        while piece := s.recv(65536):
            got += piece
        return got


def get(node, path):
    got = talk(node, f'GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'.encode())
    head, body = got.split(b'\r\n\r\n', 1)
    return int(head.split()[1]), head.decode(), body.decode()


def numbers(text):
    return {m[1]: float(m[2]) for m in re.finditer(r'^([a-z_]+(?:\{[^}]*\})?) (\S+)$', text, re.M)}


def metrics(node):
    status, _, text = get(node, '/metrics')
    assert status == 200
    return numbers(text)


def test_health(node):
    status, head, body = get(node, '/health')
    assert (status, body) == (200, 'ok\n')
    assert re.search(r'^Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r$', head, re.M), head
    assert 'Content-Length: 3\r\n' in head


def test_metrics_move(node):
    before = metrics(node)
    Lmtp(node.lmtp).deliver(b'Subject: x\r\n\r\nhello\r\n', node.user)
    with node.imap(node.user) as m:
        m.select()
        m.fetch('1', '(FLAGS)')
    with pytest.raises(Exception):
        node.imap(node.user, 'wrong')
    after = metrics(node)

    def moved(name):
        return after[name] - before[name]
    assert moved('perdura_deliveries_total{result="ok"}') == 1
    assert moved('perdura_delivery_seconds_count') == 1
    assert moved('perdura_imap_command_seconds_count{command="FETCH"}') == 1
    assert moved('perdura_lmtp_command_seconds_count{command="RCPT"}') == 1
    assert moved('perdura_logins_total{result="ok"}') == 1
    assert moved('perdura_logins_total{result="denied"}') == 1
    assert moved('perdura_commits_total') >= 1
    if not META:  # a server groups commits by itself
        assert moved('perdura_commit_group_size_sum') >= moved('perdura_commit_group_size_count') >= 1
    if not (BLOB or '').startswith('s3:'):  # a small body is a row there
        assert moved('perdura_blob_sync_seconds_count') >= 1
    assert moved('perdura_imap_replies_total{result="ok"}') >= 3
    assert after['perdura_healthy'] == 1 and after['perdura_meta_bytes'] > 0
    assert after['process_resident_memory_bytes'] > 1e6 and after['process_open_fds'] > 5
    assert abs(after['process_start_time_seconds'] - time.time()) < 600


def test_the_command_tells_the_same(node):
    told = numbers(node.perdura('metrics'))
    assert told.keys() == metrics(node).keys()


def test_histograms_add_up(node):
    text = get(node, '/metrics')[2]
    last = None
    for line in text.splitlines():
        m = re.match(r'(\w+)_bucket\{(.*)le="([^"]+)"\} (\d+)$', line)
        if not m:
            continue
        key, n = (m[1], m[2]), int(m[4])
        assert not last or last[0] != key or last[1] <= n, line
        last = (key, n)
        if m[3] == '+Inf':
            labels = '{' + m[2].rstrip(',') + '}' if m[2] else ''
            assert f'{m[1]}_count{labels} {n}\n' in text


def test_promtool_likes_it(node):
    if not shutil.which('promtool'):
        pytest.skip('promtool is not installed')
    r = subprocess.run(['promtool', 'check', 'metrics'], input=get(node, '/metrics')[2], text=True, capture_output=True)
    assert r.returncode == 0 and not r.stderr, r.stderr


@pytest.mark.parametrize('request_bytes, status', [
    (b'GET / HTTP/1.1\r\nHost: x\r\n\r\n', 404),
    (b'GET /metrics/ HTTP/1.1\r\nHost: x\r\n\r\n', 404),
    (b'get /health HTTP/1.1\r\nHost: x\r\n\r\n', 501),
    (b'POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc', 405),
    (b'GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc', 400),
    (b'GET /health HTTP/1.1\r\n\r\n', 400),
    (b'GET /health HTTP/2.0\r\nHost: x\r\n\r\n', 505),
    (b'GET /health HTTP/1.1\nHost: x\n\n', 400),
    (b'GET /health\r\n\r\n', 400),
    (b'GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n', 400),
    (b'GET /' + b'a' * 9000, 431),
    (b'GET / HTTP/1.1\r\nHost: x\r\n' + b'A: b\r\n' * 70 + b'\r\n', 431),
    (b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', 400),
    (b'GET http://x/health HTTP/1.1\r\nHost: x\r\n\r\n', 200),
    (b'GET /health?a=b HTTP/1.0\r\n\r\n', 200),
    (b'\r\n\r\nHEAD /health HTTP/1.1\r\nHost: x\r\n\r\n', 200),
])
def test_requests(node, request_bytes, status):
    got = talk(node, request_bytes)
    assert got.startswith(f'HTTP/1.1 {status} '.encode()), got
    assert got.count(b'HTTP/1.1') == 1
    if request_bytes.endswith(b'HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n'):
        assert got.endswith(b'\r\n\r\n')


def test_many_on_one_connection(node):
    """Pipelined, more than a client takes at once."""
    n = 300
    got = talk(node, b'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n' * n)
    assert got.count(b'HTTP/1.1 200 OK\r\n') == n


def test_unix_socket(node):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(node.data / 'run/http'))
        s.sendall(b'GET /health HTTP/1.0\r\n\r\n')
        assert s.recv(15) == b'HTTP/1.1 200 OK'


def test_off_by_default(fresh):
    fresh.start()
    assert 'listen.http' not in fresh.ports


class Manager:
    """The service manager's end of NOTIFY_SOCKET."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name)
        self.socket.settimeout(30)

    def hear(self):
        return self.socket.recv(4096).decode()


@pytest.mark.parametrize('kind', ['path', 'abstract'])
def test_service_manager(fresh, monkeypatch, kind):
    path = f'{fresh.dir}/notify' if kind == 'path' else f'\0perdura-test-{os.getpid()}'
    manager = Manager(path)
    monkeypatch.setenv('NOTIFY_SOCKET', path.replace('\0', '@'))
    monkeypatch.setenv('WATCHDOG_USEC', '300000')
    fresh.start()
    assert manager.hear() == 'READY=1'
    assert manager.hear() == 'WATCHDOG=1'
    fresh.process.send_signal(1)
    while (said := manager.hear()) == 'WATCHDOG=1':
        pass
    assert re.fullmatch(r'RELOADING=1\nMONOTONIC_USEC=\d+', said)
    while (said := manager.hear()) == 'WATCHDOG=1':
        pass
    assert said == 'READY=1'
    fresh.process.terminate()
    while (said := manager.hear()) == 'WATCHDOG=1':
        pass
    assert said == 'STOPPING=1'
    assert fresh.process.wait(30) == 0
