"""Certificates for tests, made with the openssl command: an authority, and leaves signed by it."""
import datetime
import pathlib
import ssl
import subprocess


def openssl(*words, **more):
    return subprocess.run(['openssl', *map(str, words)], check=True, capture_output=True, timeout=60, **more).stdout


class Authority:
    def __init__(self, folder):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir(exist_ok=True)
        self.cert, self.key = self.dir / 'ca.pem', self.dir / 'ca.key'
        self.serial = 1
        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', self.key, '-out',
                self.cert, '-days', 3, '-subj', '/CN=Test Authority')

    def make(self, name, *hosts, days=2, kind=('ec', '-pkeyopt', 'ec_paramgen_curve:P-256'), passphrase=None, cn=None, alt='DNS',
             usage='serverAuth,clientAuth'):
        """(certificate, key) files for these names, good for so many days from now (or until so many days ago). alt: of what kind
        they are in subjectAltName, None: only the common name is there."""
        cert, key, request, extensions = (self.dir / f'{name}.{x}' for x in ('pem', 'key', 'csr', 'ext'))
        openssl('req', '-newkey', *kind, *(['-passout', f'pass:{passphrase}'] if passphrase else ['-nodes']), '-keyout', key,
                '-out', request, '-subj', f'/CN={cn or hosts[0]}')
        extensions.write_text((f'subjectAltName={",".join(f"{alt}:{h}" for h in hosts)}\n' if alt else '') + f'extendedKeyUsage={usage}\n')
        now = datetime.datetime.now(datetime.timezone.utc)
        begin, end = sorted((now - datetime.timedelta(hours=1), now + datetime.timedelta(days=days)))
        if days < 0:
            begin -= datetime.timedelta(days=9)
        database = self.dir / 'index.txt'
        database.touch()
        (self.dir / 'ca.cnf').write_text(
            f'[ca]\ndefault_ca=a\n[a]\nnew_certs_dir={self.dir}\ndatabase={database}\nrand_serial=yes\npolicy=p\n'
            'default_md=sha256\nunique_subject=no\n[p]\ncommonName=supplied\n')
        stamp = '%y%m%d%H%M%SZ'
        openssl('ca', '-batch', '-notext', '-config', self.dir / 'ca.cnf', '-cert', self.cert, '-keyfile', self.key, '-in',
                request, '-out', cert, '-extfile', extensions, '-startdate', begin.strftime(stamp), '-enddate',
                end.strftime(stamp))
        return cert, key

    def revoke(self, *certs):
        """A file with the authority and its list of those that it has revoked."""
        both, config = self.dir / 'ca-crl.pem', ['-config', self.dir / 'ca.cnf', '-cert', self.cert, '-keyfile', self.key]
        for cert in certs:
            openssl('ca', *config, '-revoke', cert)
        openssl('ca', *config, '-gencrl', '-crldays', 2, '-out', self.dir / 'crl.pem')
        both.write_text(self.cert.read_text() + (self.dir / 'crl.pem').read_text())
        return both

    def client(self, **more):
        """A context that trusts only this authority."""
        context = ssl.create_default_context(cafile=self.cert)
        for k, v in more.items():
            setattr(context, k, v)
        return context


def names(sock):
    """Of the certificate that the peer of a verified TLS socket showed."""
    return [v for k, v in sock.getpeercert()['subjectAltName'] if k == 'DNS']
