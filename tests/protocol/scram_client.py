"""The client's side of SCRAM (RFC 5802, RFC 7677), with tls-server-end-point (RFC 5929)."""
import base64
import hashlib
import hmac
import secrets


def b64(raw):
    return base64.b64encode(raw).decode()


class Scram:
    """binding: the server's certificate as DER, for -PLUS."""

    def __init__(self, user, password, mechanism='SCRAM-SHA-256', binding=None, flag=None, act_as=''):
        self.hash = 'sha1' if 'SHA-1' in mechanism else 'sha256'
        self.password = password.encode()
        self.nonce = secrets.token_hex(12)
        flag = flag or ('p=tls-server-end-point' if binding else 'n')
        name = user.replace('=', '=3D').replace(',', '=2C')
        self.header = f'{flag},{"a=" + act_as if act_as else ""},'
        self.bare = f'n={name},r={self.nonce}'
        self.channel = hashlib.sha256(binding).digest() if binding else b''

    def first(self):
        return b64((self.header + self.bare).encode())

    def mac(self, key, text):
        return hmac.new(key, text, self.hash).digest()

    def final(self, challenge):
        said = base64.b64decode(challenge).decode()
        fields = dict(f.split('=', 1) for f in said.split(','))
        assert fields['r'].startswith(self.nonce) and len(fields['r']) > len(self.nonce)
        salted = hashlib.pbkdf2_hmac(self.hash, self.password, base64.b64decode(fields['s']), int(fields['i']))
        without = f'c={b64(self.header.encode() + self.channel)},r={fields["r"]}'
        auth = f'{self.bare},{said},{without}'.encode()
        key = self.mac(salted, b'Client Key')
        signature = self.mac(hashlib.new(self.hash, key).digest(), auth)
        self.expected = b64(b'v=' + b64(self.mac(self.mac(salted, b'Server Key'), auth)).encode())
        return b64(f'{without},p={b64(bytes(a ^ b for a, b in zip(key, signature)))}'.encode())
