/* The corpus as GMime sees it, part by part: types, number of parts, the very bytes of every body, subject and addresses.
   Where the two differ, the table below says why; a difference without a reason fails the test. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include <gmime/gmime.h>

#include "corpus.h"
#include "mime_address.h"
#include "mime_scan.h"
#include "rfc2047.h"

static unsigned messages, compared_parts, explained, unexplained;
static char difference[400];

#define REPEATED "of a field that occurs twice GMime takes the last, we the first"
#define EMPTY_PART "nothing between two boundaries is an empty part here, none for GMime"
#define LAST_LINE_END "GMime leaves the line end before a closing boundary that ends the message without one of its own"
#define NOT_A_HEADER "GMime refuses a message whose first line is no field; here that line is skipped"
#define ENCODED_MESSAGE "an encoded message is a message, with its encoded bytes as text, since IMAP has to show one"
#define TRAILING_BLANKS "blanks at the end of a boundary parameter are dropped here: relays drop those of lines"
#define BARE_TYPE "a type without subtype: text is text/plain here"

/* What the file's name ends in, and why the two differ. */
static const struct { const char *file, *why; } reasons[] = {
	{ "spamassassin/data_spam_015.eml", REPEATED },
	{ "spamassassin/data_spam_badctype1.eml", BARE_TYPE },
	{ "mail-parser/eml_malformed_007.eml", REPEATED },
	{ "mail-parser/eml_malformed_020.eml", REPEATED },
	{ "mail/emails_error_emails_multiple_content_types.eml", REPEATED },
	{ "mail/emails_mime_emails_raw_email_with_multipart_mixed_quoted_boundary.eml", REPEATED },
	{ "mail-parser/eml_malformed_000.eml", EMPTY_PART },
	{ "mail-parser/eml_malformed_014.eml", EMPTY_PART },
	{ "james-mime4j/testmsgs_multipartemptypart.msg.eml", EMPTY_PART },
	{ "james-mime4j/mimetools-testmsgs_2002_06_12_doublebound.msg.eml", EMPTY_PART },
	{ "james-mime4j/mimetools-testmsgs_double-bound.msg.eml", EMPTY_PART },
	{ "james-mime4j/mimetools-testmsgs_multi-digest.msg.eml", BARE_TYPE },
	{ "flanker/messages_apache-message-news-mime.eml", "message/news is no message: IMAP opens message/rfc822 only" },
	{ "james-mime4j/testmsgs_base64encoded-rfc822message.msg.eml", ENCODED_MESSAGE },
	{ "james-mime4j/testmsgs_base64encoded-rfc822message-nested.msg.eml", ENCODED_MESSAGE },
	{ "james-mime4j/mimetools-testmsgs_multi-2gifs-base64.msg.eml", ENCODED_MESSAGE },
	{ "james-mime4j/testmsgs_weird-boundary.msg.eml", TRAILING_BLANKS },
	{ "james-mime4j/testmsgs_very-long-boundary.msg.eml", TRAILING_BLANKS },
	{ "mail-parser/eml_thirdparty_010.eml", LAST_LINE_END },
	{ "mail/emails_attachment_emails_attachment_with_quoted_filename.eml", LAST_LINE_END },
	{ "mail/emails_mime_emails_raw_email_encoded_stack_level_too_deep.eml", LAST_LINE_END },
	{ "rspamd/functional_messages_fname.eml", LAST_LINE_END },
	{ "enmime/parts_extra-base64-character.raw.eml", LAST_LINE_END },
	{ "php-imap/messages_issue-410.eml", LAST_LINE_END },
	{ "php-imap/messages_issue-412.eml", LAST_LINE_END },
	{ "php-imap/messages_multiple_nested_attachments.eml", LAST_LINE_END },
	{ "flanker/messages_enclosed-bad-encoding.eml", NOT_A_HEADER },
	{ "flanker/messages_iphone.eml", NOT_A_HEADER },
	{ "flanker/messages_enclosed.eml", NOT_A_HEADER },
	{ "flanker/messages_enclosed-endless.eml", NOT_A_HEADER },
	{ "flanker/messages_enclosed-broken.eml", NOT_A_HEADER },
	{ "php-mime-mail-parser/mails_m0011.eml", NOT_A_HEADER },
	{ "php-mime-mail-parser/mails_m0012.eml", NOT_A_HEADER },
	{ "enmime/low-quality_bad-header-start.raw.eml", NOT_A_HEADER },
	{ "mailcore2/data_summary_input_5230-thai-chinese.eml", "GMime stops in the second of two adjoining encoded words" },
	{ "spam-1.mbox:146", "what cannot be converted is U+FFFD here, '?' for GMime" },
};

static const char *reason_for(const char *name)
{
	size_t n = strlen(name);
	for (size_t i = 0; i < COUNT(reasons); i++) {
		size_t k = strlen(reasons[i].file);
		if (n >= k && strcmp(name + n - k, reasons[i].file) == 0)
			return reasons[i].why;
	}
	return NULL;
}

#define DIFFERS(...) (snprintf(difference, sizeof difference, __VA_ARGS__), false)

static bool same_type(const struct mime_part *p, GMimeObject *o)
{
	GMimeContentType *type = g_mime_object_get_content_type(o);
	const char *media = g_mime_content_type_get_media_type(type), *sub = g_mime_content_type_get_media_subtype(type);
	if (span_ieq(p->type, span_of(media ? media : "")) && span_ieq(p->subtype, span_of(sub ? sub : "")))
		return true;
	return DIFFERS("type %.*s/%.*s is %s/%s", SPAN_ARG(p->type), SPAN_ARG(p->subtype), media, sub);
}

static bool same_body(const struct mime_part *p, GMimePart *o, struct span message)
{
	GMimeDataWrapper *content = g_mime_part_get_content(o);
	struct span ours = span_sub(message, (size_t)p->body_start, (size_t)(p->body_end - p->body_start));
	if (!content)
		return ours.n == 0 || DIFFERS("body of %zu bytes is absent", ours.n);
	GMimeStream *stream = g_mime_stream_mem_new();
	g_mime_stream_reset(g_mime_data_wrapper_get_stream(content));
	g_mime_stream_write_to_stream(g_mime_data_wrapper_get_stream(content), stream);
	GByteArray *bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream));
	struct span theirs = span_from(bytes->data, bytes->len);
	bool same = span_eq(ours, theirs) || DIFFERS("body of %zu bytes is of %zu", ours.n, theirs.n);
	g_object_unref(stream);
	return same;
}

static bool same_part(const struct mime_tree *tree, int32_t at, GMimeObject *o, struct span message);

static bool same_children(const struct mime_tree *tree, const struct mime_part *p, GMimeMultipart *o, struct span message)
{
	int n = g_mime_multipart_get_count(o), i = 0;
	int32_t at = p->child;
	for (; at >= 0 && i < n; at = tree->parts[at].next)
		if (!same_part(tree, at, g_mime_multipart_get_part(o, i++), message))
			return false;
	if (at < 0 && i == n)
		return true;
	return DIFFERS("a multipart of %d parts", n);
}

static bool same_part(const struct mime_tree *tree, int32_t at, GMimeObject *o, struct span message)
{
	const struct mime_part *p = &tree->parts[at];
	compared_parts++;
	if (!same_type(p, o))
		return false;
	if (GMIME_IS_MULTIPART(o))
		return p->kind == MIME_MULTIPART ? same_children(tree, p, GMIME_MULTIPART(o), message) : DIFFERS("a multipart");
	if (GMIME_IS_MESSAGE_PART(o)) {
		GMimeMessage *inner = g_mime_message_part_get_message(GMIME_MESSAGE_PART(o));
		if (p->kind != MIME_MESSAGE || p->child < 0)
			return DIFFERS("a message");
		if (!inner)
			return DIFFERS("a message without anything in it");
		return same_part(tree, p->child, g_mime_message_get_mime_part(inner), message);
	}
	if (p->kind != MIME_LEAF)
		return DIFFERS("a part that cannot be opened");
	return same_body(p, GMIME_PART(o), message);
}

static bool same_subject(const struct mime_tree *tree, GMimeMessage *m)
{
	struct mime_field f;
	struct buffer ours = { 0 };
	const char *theirs = g_mime_message_get_subject(m);
	struct span header = tree->parts[0].header;
	while (mime_header_next(&header, &f))
		if (mime_field_id(f.name) == FIELD_SUBJECT) {
			rfc2047_decode(f.value, &ours);
			break;
		}
	bool same = span_eq(span_trim(buffer_span(&ours)), span_trim(span_of(theirs ? theirs : ""))) ||
		    DIFFERS("subject \"%.*s\" is \"%s\"", SPAN_ARG(buffer_span(&ours)), theirs);
	buffer_free(&ours);
	return same;
}

/* "a@b c@d" of all addresses, groups opened and quotes dropped; what has no host is left out. */
static void list_theirs(InternetAddressList *list, struct buffer *out)
{
	for (int i = 0; i < internet_address_list_length(list); i++) {
		InternetAddress *a = internet_address_list_get_address(list, i);
		if (INTERNET_ADDRESS_IS_GROUP(a)) {
			list_theirs(internet_address_group_get_members(INTERNET_ADDRESS_GROUP(a)), out);
			continue;
		}
		const char *text = internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(a));
		if (!strchr(text, '@'))
			continue;
		for (; *text; text++)
			if (*text != '"' && *text != '\\')
				buffer_putc(out, *text);
		buffer_putc(out, ' ');
	}
}

static void list_ours(struct span header, enum mime_field_id id, struct buffer *out)
{
	struct mime_address_reader r = { 0 };
	struct mime_address a;
	struct mime_field f;
	while (mime_header_next(&header, &f)) {
		if (mime_field_id(f.name) != id)
			continue;
		mime_address_start(&r, f.value);
		while (mime_address_next(&r, &a))
			if (a.kind == ADDRESS_MAILBOX && a.host.n)
				buffer_printf(out, "%.*s@%.*s ", SPAN_ARG(a.mailbox), SPAN_ARG(a.host));
	}
	mime_address_free(&r);
}

/* GMime drops what is not an address by the book, where we keep the best guess: all it found, in its order, has to be
   among ours, perhaps cut short ("a@b" of "a@b@c"). */
static bool found_among(struct span theirs, struct span ours)
{
	while (theirs.n) {
		size_t n = (size_t)span_find(theirs, ' ');
		const char *at = ours.n ? memmem(ours.p, ours.n, theirs.p, n) : NULL;
		if (!at)
			return false;
		ours = span_sub(ours, (size_t)(at + n - ours.p), SIZE_MAX);
		theirs = span_sub(theirs, n + 1, SIZE_MAX);
	}
	return true;
}

static bool same_addresses(const struct mime_tree *tree, GMimeMessage *m)
{
	static const struct { enum mime_field_id ours; GMimeAddressType theirs; } fields[] = {
		{ FIELD_FROM, GMIME_ADDRESS_TYPE_FROM }, { FIELD_TO, GMIME_ADDRESS_TYPE_TO }, { FIELD_CC, GMIME_ADDRESS_TYPE_CC },
		{ FIELD_REPLY_TO, GMIME_ADDRESS_TYPE_REPLY_TO },
	};
	bool same = true;
	for (size_t i = 0; i < COUNT(fields) && same; i++) {
		struct buffer ours = { 0 }, theirs = { 0 };
		list_ours(tree->parts[0].header, fields[i].ours, &ours);
		list_theirs(g_mime_message_get_addresses(m, fields[i].theirs), &theirs);
		same = found_among(buffer_span(&theirs), buffer_span(&ours)) ||
		       DIFFERS("addresses %.*s are %.*s", SPAN_ARG(buffer_span(&ours)), SPAN_ARG(buffer_span(&theirs)));
		buffer_free(&ours);
		buffer_free(&theirs);
	}
	return same;
}

static bool same_message(const struct mime_tree *tree, GMimeParser *parser, struct span message)
{
	GMimeMessage *theirs = g_mime_parser_construct_message(parser, NULL);
	if (!theirs)
		return DIFFERS("nothing");
	bool same = same_part(tree, 0, g_mime_message_get_mime_part(theirs), message) && same_subject(tree, theirs) &&
		    same_addresses(tree, theirs);
	g_object_unref(theirs);
	return same;
}

static void compare(const char *name, struct span message)
{
	struct mime_tree tree;
	struct mime_scan *s = mime_scan_new(NULL);
	mime_scan_push(s, message);
	mime_scan_end(s, &tree);
	GMimeStream *stream = g_mime_stream_mem_new_with_buffer(message.p, message.n);
	GMimeParser *parser = g_mime_parser_new_with_stream(stream);
	messages++;
	if (!same_message(&tree, parser, message)) {
		bool known = reason_for(name);
		explained += known;
		unexplained += !known;
		if (!known)
			print_error("%s: %s for GMime\n", name, difference);
	}
	g_object_unref(parser);
	g_object_unref(stream);
	mime_scan_free(&s);
}

static void the_same_as_gmime(void **state)
{
	g_mime_init();
	if (!corpus_each(compare)) {
		print_message("skipped: no corpus; set PERDURA_CORPUS to the folder that holds mime/ and mbox/\n");
		skip();
	}
	g_mime_shutdown();
	print_message("%u messages, %u parts compared, %u differ for a known reason\n", messages, compared_parts, explained);
	assert_int_equal(unexplained, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(the_same_as_gmime) };
	int failed = cmocka_run_group_tests_name("mime_gmime", tests, NULL, NULL);
	return failed ? failed : messages ? 0 : 77;
}
