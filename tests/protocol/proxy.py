"""A way to a server that can be cut, or hold all that is said."""
import socket
import struct
import threading

CONNECT_TIMEOUT = 10  # seconds


def _shut(s):
    try:
        s.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


class Proxy:
    """cut: connections end, and those that come are ended too (refused: reset). hold: they stand, and nothing comes through."""

    def __init__(self, host, port):
        self.to = host, int(port)
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=200)
        self.port = self.listener.getsockname()[1]
        self.flows, self.is_cut, self.refuses = threading.Event(), False, False
        self.flows.set()
        self.lock, self.sockets = threading.Lock(), set()
        threading.Thread(target=self._accept, daemon=True).start()

    def passes(self, data, from_server):
        """Does this go on? Otherwise the connection ends."""
        return True

    def _accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        self.flows.wait()
        try:
            if self.is_cut:
                raise OSError
            server = socket.create_connection(self.to, CONNECT_TIMEOUT)
        except OSError:
            if self.refuses:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            client.close()
            return
        server.settimeout(None)
        with self.lock:
            self.sockets |= {client, server}
        for s in (client, server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=self._copy, args=(client, server, False), daemon=True).start()
        self._copy(server, client, True)

    def _copy(self, a, b, from_server):
        try:
            while data := a.recv(65536):
                self.flows.wait()
                if self.is_cut or not self.passes(data, from_server):
                    break
                b.sendall(data)
        except OSError:
            pass
        with self.lock:
            self.sockets -= {a, b}
        _shut(a)
        _shut(b)
        a.close()

    def cut(self, refuses=False):
        self.is_cut, self.refuses = True, refuses
        with self.lock:
            for s in self.sockets:
                _shut(s)

    def hold(self):
        self.flows.clear()

    def heal(self, late=False):
        """late: what was held arrives now; else its connections are gone."""
        if not self.flows.is_set() and not late:
            self.cut()
        self.is_cut = self.is_cut and not late
        self.flows.set()
        self.is_cut = False

    def close(self):
        self.cut()
        self.flows.set()
        self.listener.close()
