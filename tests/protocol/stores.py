"""Which pair of stores the nodes of tests stand on: SQLite and a folder, or what the environment says (scripts/check-stores):

PERDURA_TEST_META  mariadb://USER:PASSWORD@HOST:PORT,.../PREFIX  each node gets a database PREFIX_... of its own
PERDURA_TEST_BLOB  s3://BUCKET/PREFIX?endpoint=...               each node gets a prefix below it; others are taken as they are
"""
import os
import re
import secrets
import sqlite3
import subprocess

import pytest

META = os.environ.get('PERDURA_TEST_META')
BLOB = os.environ.get('PERDURA_TEST_BLOB')

looks_into_sqlite = pytest.mark.skipif(bool(META), reason='looks into the SQLite file')
looks_into_packs = pytest.mark.skipif(bool(BLOB), reason='looks into pack files')

with_database = []  # it may still be there


class Stores:
    """The pair of the node that stands in a folder: the same for the same folder."""

    def __init__(self, folder, data):
        self.data = data
        self.made = folder / 'database'
        name = folder / 'stores'
        folder.mkdir(parents=True, exist_ok=True)
        if not name.exists():
            name.write_text(secrets.token_hex(8))
        self.name = name.read_text()

    def settings(self):
        told = {}
        if META:
            told['meta.url'] = f'{META}_{self.name}'
        if BLOB:
            path, _, query = BLOB.partition('?')
            told['blob.url'] = f'{path}/{self.name}?{query}' if BLOB.startswith('s3:') else BLOB
        return told

    def create(self, perdura, url):
        """The database and its tables, where a node does not make them."""
        if not META or self.made.exists() or url != self.settings()['meta.url']:
            return
        self._client(f'CREATE DATABASE `{self._url()[-1]}`', database='')
        r = subprocess.run([str(perdura), 'upgrade', '--init', '--set', f'meta.url={url}'], text=True, capture_output=True)
        assert r.returncode == 0, r.stderr
        self.made.touch()
        with_database.append(self)

    def _url(self):
        """User, password, host, port, database."""
        return re.match(r'mariadb://([^:]*):([^@]*)@([^:,]*):(\d+)[^/]*/([^?]*)', f'{META}_{self.name}').groups()

    def _client(self, sql, database=None):
        user, password, host, port, ours = self._url()
        r = subprocess.run(['mariadb', '--no-defaults', '-NBr', f'-h{host}', f'-P{port}', f'-u{user}', database if database is not None else ours],
                           input=sql, text=True, capture_output=True, env={'MYSQL_PWD': password, 'PATH': os.environ['PATH']})
        assert r.returncode == 0, (sql, r.stderr)
        return [tuple(line.split('\t')) for line in r.stdout.splitlines()]

    def sql(self, statement):
        """Runs it in the database, beside the node; rows of texts."""
        if META:
            return self._client(statement)
        db = sqlite3.connect(self.data / 'meta.db', timeout=30)
        try:
            rows = db.execute(statement).fetchall()
            db.commit()
            return [tuple(str(v) for v in row) for row in rows]
        finally:
            db.close()

    def drop(self):
        if META and self.made.exists():
            self._client(f'DROP DATABASE `{self._url()[-1]}`', database='')
            self.made.unlink()


def drop_all():
    """The databases of nodes that have ended."""
    while with_database:
        with_database.pop().drop()
