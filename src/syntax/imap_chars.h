/* Character classes of RFC 3501, section 9. */
#ifndef IMAP_CHARS_H
#define IMAP_CHARS_H

#include <stdbool.h>
#include <string.h>

static inline bool imap_is_atom_char(char c)
{
	return c > ' ' && c < 0x7f && !strchr("(){%*\"\\]", c);
}

/* Bytes over 0x7f are tolerated: curl and scripts send such passwords unquoted. */
static inline bool imap_is_astring_char(char c)
{
	return imap_is_atom_char(c) || c == ']' || (unsigned char)c >= 0x80;
}

static inline bool imap_is_list_char(char c)
{
	return imap_is_astring_char(c) || c == '%' || c == '*';
}

static inline bool imap_is_tag_char(char c)
{
	return (imap_is_atom_char(c) || c == ']') && c != '+';
}

static inline bool imap_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

#endif
