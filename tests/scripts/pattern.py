"""Lines of a server, read into values, and patterns they are held against.

A value is a Word (an atom), a Text (a quoted string or a literal), a Group of values in brackets, or several of these that touch
(`BODY[TEXT]<0>`): Joined. A pattern is read in the same way and may also have what README.md lists: `#`, `*`, `...`, `$name`,
`/regex/`, `!word`. What the RFCs leave without order (the items of a FETCH, flags, search results) has none here (unordered())."""
import dataclasses
import re

STATUS = ('OK', 'NO', 'BAD', 'BYE', 'PREAUTH')


class Malformed(Exception):
    """No line of IMAP."""


@dataclasses.dataclass
class Word:
    text: str


@dataclasses.dataclass
class Text:
    text: str


@dataclasses.dataclass
class Group:
    kind: str  # ( or [, or one of these without an order of its values: set, pairs
    values: list


@dataclasses.dataclass
class Joined:
    values: list


ESCAPES = {'r': '\r', 'n': '\n', 't': '\t', '0': '\0'}


def unescape(text):
    r"""\r \n \t \0 \xHH \" \\ as in a literal of a script."""
    return re.sub(r'\\(x[0-9a-fA-F]{2}|.)', lambda m: chr(int(m[1][1:], 16)) if len(m[1]) == 3 else ESCAPES.get(m[1], m[1]), text)


# ---- reading

class Reader:
    """Of one line. strict: of a server's, where exactly one space parts two values, and none stands at a bracket."""
    token = re.compile(r'(?P<space> +)|(?P<open>[(\[])|(?P<close>[)\]])|~?\{(?P<size>\d+)\}\r\n|"(?P<quoted>(?:[^"\\]|\\.)*)"'
                       r'|(?P<word>(?:[^ ()\[\]"{~]|~(?!\{))+)', re.S)
    pattern = re.compile(r'(?P<space> +)|(?P<open>[(\[])|(?P<close>[)\]])|~?\{"(?P<literal>(?:[^"\\]|\\.)*)"\}|\{<(?P<mail>[\w-]+)\}'
                         r'|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>/(?:[^/\\]|\\.)+/(?=[ )\]]|$)|(?:[^ ()\[\]"{~])+)', re.S)

    def __init__(self, line, strict, mails=None):
        self.line, self.strict, self.mails, self.pos = line, strict, mails, 0
        self.tokens = self.token if strict else self.pattern

    def refuse(self, why):
        raise Malformed(f'{why} at column {self.pos + 1}: {self.line!r}')

    def next(self):
        m = self.tokens.match(self.line, self.pos)
        if not m:
            self.refuse('what is this')
        self.pos = m.end()
        return m

    def string(self, m):
        if self.strict and m['size'] is not None:
            end = self.pos + int(m['size'])
            text = self.line[self.pos:end]
            self.pos = end
            return Text(text)
        if m['quoted'] is not None:
            if self.strict and not re.fullmatch(r'(?:[^\r\n\0\\]|\\["\\])*', m['quoted']):
                self.refuse('no quoted string')
            return Text(re.sub(r'\\(.)', r'\1', m['quoted']))
        if m['literal'] is not None:
            return Text(unescape(m['literal']))
        return Text(self.mails(m['mail']))

    def values(self, close=None):
        """Up to the bracket that closes them, or the end of the line."""
        found, run, spaced = [], [], True

        def part():
            if run:
                found.append(run[0] if len(run) == 1 else Joined(list(run)))
                run.clear()

        while self.pos < len(self.line):
            m = self.next()
            if m['space']:
                if self.strict and (m['space'] != ' ' or not run):
                    self.refuse('a space too many')
                part()
                spaced = True
                continue
            if m['close']:
                if m['close'] != close:
                    self.refuse('brackets do not match')
                if self.strict and spaced and (found or run):
                    self.refuse('a space too many')
                part()
                return found
            if m['open']:
                run.append(Group(m['open'], self.values({'(': ')', '[': ']'}[m['open']])))
            elif m['word']:
                run.append(Word(m['word']))
            else:
                run.append(self.string(m))
            spaced = False
        if close:
            self.refuse('a bracket is missing')
        if self.strict and spaced:
            self.refuse('a space too many')
        part()
        return found


def is_word(value, *words):
    return isinstance(value, Word) and value.text.upper() in words


def read_code(text, reader):
    """The response code that a status text begins with."""
    m = re.match(r'\[.*?\](?= |$)', text)
    try:
        return reader(m[0]).values() if m else []
    except Malformed:
        return [Group('[', [Word(m[0][1:-1])])]  # a code may hold any text


def read(line, mails=None):
    """The values of a line after its tag or star. mails: it is a pattern, and they give the text of {<name}."""
    reader = lambda text: Reader(text, mails is None, mails)
    first, _, rest = line.partition(' ')
    if all(w in STATUS for w in first.upper().split('|')):
        return [Word(first.upper())] + unordered(read_code(rest, reader))
    return unordered(reader(line).values())


# ---- what has no order

def as_group(kind, value):
    return Group(kind, value.values) if isinstance(value, Group) else value


def after(values, word, kind):
    """The group that follows the word has no order."""
    return [as_group(kind, v) if i and is_word(values[i - 1], word) else v for i, v in enumerate(values)]


def unordered_code(code):
    if code.values and is_word(code.values[0], 'CAPABILITY'):
        return Group('[', [code.values[0], Group('set', code.values[1:])])
    return Group('[', after(code.values, 'PERMANENTFLAGS', 'set'))


def unordered_esearch(values):
    n = 1
    if len(values) > n and isinstance(values[n], Group):
        n += 1
    if len(values) > n and is_word(values[n], 'UID'):
        n += 1
    return values[:n] + [Group('pairs', values[n:])]


def unordered(values):
    """The same with the groups that have no order marked so, and what is a list without brackets made a group."""
    if values and isinstance(values[0], Group) and values[0].kind == '[':
        return [unordered_code(values[0])]
    if len(values) > 2 and is_word(values[1], 'FETCH', 'UIDFETCH') and isinstance(values[2], Group):
        return values[:2] + [Group('pairs', after(values[2].values, 'FLAGS', 'set'))] + values[3:]
    if not values:
        return values
    if is_word(values[0], 'FLAGS', 'LIST', 'LSUB'):
        return values[:1] + [as_group('set', v) for v in values[1:2]] + values[2:4] + [as_group('pairs', v) for v in values[4:]]
    if is_word(values[0], 'METADATA') and not isinstance(values[-1], Group):
        return values[:2] + [Group('set', values[2:])]
    if is_word(values[0], 'STATUS', 'ID', 'METADATA'):
        return values[:-1] + [as_group('pairs', values[-1])]
    if is_word(values[0], 'SEARCH', 'CAPABILITY', 'ENABLED'):
        return values[:1] + [Group('set', values[1:])]
    if is_word(values[0], 'ESEARCH'):
        return unordered_esearch(values)
    return values


# ---- holding a line against a pattern

def plain(value):
    """What a variable keeps."""
    if isinstance(value, (Word, Text)):
        return value.text
    inner = (' ' if isinstance(value, Group) else '').join(map(plain, value.values))
    return {'(': f'({inner})', '[': f'[{inner}]'}.get(getattr(value, 'kind', ''), inner)


def numbers(text):
    """A set of numbers (1:3,7) as a sorted list, or None."""
    if not re.fullmatch(r'\d{1,10}([:,]\d{1,10})*', text) or re.search(r':\d+:', text):
        return None
    found = set()
    for a, _, b in (part.partition(':') for part in text.split(',')):
        low, high = sorted((int(a), int(b or a)))
        if high - low > 100000:
            return None
        found.update(range(low, high + 1))
    return sorted(found)


def same_word(a, b):
    return a.upper() == b.upper() or ((n := numbers(a)) is not None and n == numbers(b))


def filled(text, known):
    """With what the variables hold."""
    return re.sub(r'\$(\w+)', lambda m: known.get(m[1], m[0]), text)


def match_word(p, value, known):
    if p == '*':
        return known
    if p == '#':
        return known if isinstance(value, Word) and value.text.isdigit() else None
    if p[0] == '/' and p[-1] == '/' and len(p) > 2:
        return known if isinstance(value, (Word, Text)) and re.search(p[1:-1], value.text) else None
    if re.fullmatch(r'\$\w+', p) and p[1:] not in known:
        return {**known, p[1:]: plain(value)}
    want = filled(p, known)
    if isinstance(value, Word):
        return known if any(same_word(w, value.text) for w in want.split('|')) else None
    return known if plain(value) == want and not is_word(Word(want), 'NIL') else None


def match(p, value, known):
    """The variables known after the value fits the pattern, or None."""
    if isinstance(p, Word):
        return match_word(p.text, value, known)
    if isinstance(p, Text):
        return known if isinstance(value, Text) and filled(p.text, known) == value.text else None
    if type(p) is not type(value) or getattr(p, 'kind', '') != getattr(value, 'kind', ''):
        return None
    if isinstance(p, Group) and p.kind == 'set':
        return match_set(p.values, value.values, known)
    if isinstance(p, Group) and p.kind == 'pairs':
        return match_pairs(p.values, value.values, known)
    return match_list(p.values, value.values, known)


def match_list(ps, values, known):
    """In order; `...` at the end takes the rest."""
    for i, p in enumerate(ps):
        if is_word(p, '...'):
            return known
        if i == len(values) or (known := match(p, values[i], known)) is None:
            return None
    return known if len(ps) == len(values) else None


def match_any_order(ps, values, known, rest_fits):
    """Each pattern takes one value, in whatever order."""
    if not ps:
        return known if rest_fits(values) else None
    for i, value in enumerate(values):
        if (now := match(ps[0], value, known)) is not None:
            now = match_any_order(ps[1:], values[:i] + values[i + 1:], now, rest_fits)
            if now is not None:
                return now
    return None


def is_recent(value):
    """\\Recent comes and goes as sessions do: only who asks for it is shown it."""
    return is_word(value, '\\RECENT')


def match_set(ps, values, known):
    never = [Word(p.text[1:]) for p in ps if isinstance(p, Word) and p.text[:1] == '!']
    more = any(is_word(p, '...') for p in ps)
    wanted = [p for p in ps if not (isinstance(p, Word) and (p.text[:1] == '!' or p.text == '...'))]
    if any(match(n, v, known) is not None for n in never for v in values):
        return None
    return match_any_order(wanted, values, known, lambda rest: more or all(map(is_recent, rest)))


def match_pairs(ps, values, known):
    more = [p for p in ps if is_word(p, '...')]
    ps = [p for p in ps if not is_word(p, '...')]
    pair = lambda vs: [Group('(', vs[i:i + 2]) for i in range(0, len(vs), 2)]
    return match_any_order(pair(ps), pair(values), known, lambda rest: bool(more) or not rest)
