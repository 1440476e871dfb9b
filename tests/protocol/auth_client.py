"""A plain client of the auth socket: it says exactly what it is told to, right or wrong."""
import base64
import itertools

from connection import Connection


def plain(user, password, act_as=''):
    return base64.b64encode(f'{act_as}\0{user}\0{password}'.encode()).decode()


class Auth(Connection):
    def __init__(self, address, greet=True):
        super().__init__(address)
        self.ids = itertools.count(1)
        self.greeting = []
        while not self.greeting or self.greeting[-1] != ['DONE']:
            self.greeting.append(self.reply())
        if greet:
            self.send('VERSION\t1\t2\nCPID\t77\n')

    def reply(self):
        """The fields of the next line; [] when the connection ended."""
        line = self.file.readline().decode()
        assert line == '' or line.endswith('\n')
        return line[:-1].split('\t') if line else []

    def start(self, mechanism, *parameters):
        n = next(self.ids)
        self.send('\t'.join(['AUTH', str(n), mechanism, 'service=smtp', *parameters]) + '\n')
        return str(n)

    def login(self, user, password, *parameters):
        n = self.start('PLAIN', *parameters, 'resp=' + plain(user, password))
        reply = self.reply()
        assert reply[1] == n, reply
        return reply
