"""Writes the tables of text_fold.c out of the Unicode Character Database that comes with Python: for each character that
i;unicode-casemap (RFC 5051) changes, its titlecase, decomposed as far as it goes, in UTF-8.

    casemap_block[c >> 7]  which block of 128 a character is in; 0 is one in which nothing changes
    casemap_at[block][c & 127]  where it stands in casemap_text, plus 1; 0: it stays
    casemap_text  a length and so many bytes"""
import sys
import unicodedata

BLOCK = 128


def decomposed(c):
    parts = [p for p in unicodedata.decomposition(c).split() if not p.startswith('<')]
    return ''.join(decomposed(chr(int(p, 16))) for p in parts) if parts else c


def mapped(c):
    title = c.title()
    return decomposed(title if len(title) == 1 else c)


def tables():
    text, places, blocks, block_of = bytearray(), {}, [(0,) * BLOCK], []
    for first in range(0, 0x110000, BLOCK):
        block = []
        for c in range(first, first + BLOCK):
            to = '' if 0xd800 <= c < 0xe000 else mapped(chr(c))
            if to in ('', chr(c)):
                block.append(0)
                continue
            if to not in places:
                places[to] = len(text) + 1
                text += bytes([len(to.encode())]) + to.encode()
            block.append(places[to])
        if tuple(block) not in blocks:
            blocks.append(tuple(block))
        block_of.append(blocks.index(tuple(block)))
    while block_of[-1] == 0:
        block_of.pop()
    assert len(blocks) < 1 << 8 and len(text) < 1 << 16
    return block_of, blocks, text


def numbers(values):
    return ','.join(map(str, values))


def main():
    block_of, blocks, text = tables()
    with open(sys.argv[1], 'w', encoding='ascii') as out:
        out.write(f'static const unsigned char casemap_block[] = {{{numbers(block_of)}}};\n')
        out.write(f'static const unsigned short casemap_at[][{BLOCK}] = {{\n')
        out.write(''.join(f'{{{numbers(b)}}},\n' for b in blocks))
        out.write(f'}};\nstatic const unsigned char casemap_text[] = {{{numbers(text)}}};\n')


main()
