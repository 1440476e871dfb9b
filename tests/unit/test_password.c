/* Base64, SCRAM verifiers, password texts, and hashes brought along from elsewhere. */
#include "unit.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "clock.h"
#include "fail.h"
#include "password.h"
#include "scram.h"
#include "strict_base64.h"

static void base64(void **state)
{
	static const struct { const char *text; int rc; const char *raw; } cases[] = {
		{ "", OK, "" }, { "Zg==", OK, "f" }, { "Zm8=", OK, "fo" }, { "Zm9v", OK, "foo" }, { "Zm9vYg==", OK, "foob" },
		{ "Zm9vYmE=", OK, "fooba" }, { "Zm9vYmFy", OK, "foobar" }, { "+/+/", OK, "\xfb\xff\xbf" },
		{ "Zg", ERR_INVALID }, { "Zg=", ERR_INVALID }, { "Z===", ERR_INVALID }, { "====", ERR_INVALID },
		{ "=", ERR_INVALID }, { "Zh==", ERR_INVALID }, { "Zm9=", ERR_INVALID }, { "Zm9v\n", ERR_INVALID },
		{ " Zm9", ERR_INVALID }, { "Zm9-", ERR_INVALID }, { "Zm=v", ERR_INVALID }, { "Zg==Zm9v", ERR_INVALID },
		{ "Zm9vZm9vZm9v", ERR_LIMIT }, { "\xff\xff\xff\xff", ERR_INVALID },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char raw[8];
		size_t n = 99;
		assert_int_equal(base64_strict_get(span_of(cases[i].text), raw, sizeof raw, &n), cases[i].rc);
		if (cases[i].rc)
			continue;
		assert_true(span_eq(span_from(raw, n), span_of(cases[i].raw)));
		struct buffer b = { 0 };
		base64_strict_put(&b, span_from(raw, n));
		assert_true(span_eq(buffer_span(&b), span_of(cases[i].text)));
		buffer_free(&b);
	}
}

/* What the RFCs print of an exchange (RFC 5802, section 5; RFC 7677, section 3), checked against our verifiers. */
struct exchange {
	enum scram_hash hash;
	const char *salt, *auth, *proof, *server_signature;
};

static size_t decode(struct span text, unsigned char *raw)
{
	size_t n;
	assert_int_equal(base64_strict_get(text, (char *)raw, EVP_MAX_MD_SIZE, &n), OK);
	return n;
}

static struct span field(struct span s, int which)
{
	while (which--)
		s = span_sub(s, (size_t)span_find(s, '$') + 1, s.n);
	ssize_t end = span_find(s, '$');
	return end < 0 ? s : span_sub(s, 0, (size_t)end);
}

static void check_exchange(const struct exchange *x)
{
	const EVP_MD *md = x->hash == SCRAM_SHA1 ? EVP_sha1() : EVP_sha256();
	unsigned char salt[64], stored[64], server[64], proof[64], expected[64], made[64], hash[64];
	struct buffer b = { 0 };
	size_t n = decode(span_of(x->salt), salt);
	assert_int_equal(scram_verifier(x->hash, SPAN("pencil"), span_from(salt, n), 4096, &b), OK);
	assert_true(span_eq(field(buffer_span(&b), 0), SPAN("4096")));
	assert_true(span_eq(field(buffer_span(&b), 1), span_of(x->salt)));
	n = decode(field(buffer_span(&b), 2), stored);
	assert_int_equal(decode(field(buffer_span(&b), 3), server), n);
	assert_int_equal(decode(span_of(x->proof), proof), n);
	assert_int_equal(decode(span_of(x->server_signature), expected), n);
	HMAC(md, server, (int)n, (const unsigned char *)x->auth, strlen(x->auth), made, NULL);
	assert_memory_equal(made, expected, n);
	HMAC(md, stored, (int)n, (const unsigned char *)x->auth, strlen(x->auth), made, NULL);
	for (size_t i = 0; i < n; i++)
		made[i] ^= proof[i];
	EVP_Digest(made, n, hash, NULL, md, NULL);
	assert_memory_equal(hash, stored, n);
	buffer_free(&b);
}

static void scram(void **state)
{
	static const struct exchange exchanges[] = {
		{ SCRAM_SHA1, "QSXCR+Q6sek8bf92",
			"n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096,"
			"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
			"v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
		{ SCRAM_SHA256, "W22ZaJ0SNY7soEsUEjb6gQ==",
			"n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
			"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
			"dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
	};
	for (size_t i = 0; i < COUNT(exchanges); i++)
		check_exchange(&exchanges[i]);
}

#define ARGON_VECTOR "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"

static void verify(void **state)
{
	static const struct { const char *text, *password; int rc; } cases[] = {
		/* the vector of the reference implementation */
		{ "argon2id=" ARGON_VECTOR, "password", OK },
		{ "argon2id=" ARGON_VECTOR "\n", "password", OK },
		{ "something-new=1\n\nargon2id=" ARGON_VECTOR "\nscram-sha-1=4096$a$b$c\n", "password", OK },
		{ "argon2id=" ARGON_VECTOR, "Password", ERR_DENIED },
		{ "argon2id=" ARGON_VECTOR, "", ERR_DENIED },
		{ "{argon2id}" ARGON_VECTOR, "password", OK },
		{ "{ARGON2ID}" ARGON_VECTOR " ", "password", ERR_DENIED },
		{ "{PLAIN}secret", "secret", OK },
		{ "{plain}secret", "Secret", ERR_DENIED },
		{ "{PLAIN}", "", ERR_DENIED },
		{ "{PLAIN}secret\n{PLAIN}other", "other", OK },
		{ "{SSHA}dj2lH1ocucmj5OQsjP6mQrVx6FhOYUNs", "secret", OK }, { "{SSHA}dj2lH1ocucmj5OQsjP6mQrVx6FhOYUNs", "secre?", ERR_DENIED },
		{ "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=", "secret", OK }, { "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=", "secre?", ERR_DENIED },
		{ "{SSHA256}MiBKWPJ1JQtCfn9IyOCVrjIVaDjvjq7QEJ2338bLy6lOYUNs", "secret", OK }, { "{SSHA256}MiBKWPJ1JQtCfn9IyOCVrjIVaDjvjq7QEJ2338bLy6lOYUNs", "secre?", ERR_DENIED },
		{ "{ssha512}iRjXxi6rhPYpuxX1j9XfoMia+YOZ6MBLltGn46bREX+b3os6Fh/Dl8WNN5YGrc4n7fSBhWch1IoYiLBEukHNAE5hQ2w=", "secret", OK }, { "{ssha512}iRjXxi6rhPYpuxX1j9XfoMia+YOZ6MBLltGn46bREX+b3os6Fh/Dl8WNN5YGrc4n7fSBhWch1IoYiLBEukHNAE5hQ2w=", "secre?", ERR_DENIED },
		/* salted where it must not be, and the other way round */
		{ "{SSHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=", "secret", ERR_DENIED },
		{ "{SHA256}MiBKWPJ1JQtCfn9IyOCVrjIVaDjvjq7QEJ2338bLy6lOYUNs", "secret", ERR_DENIED },
		{ "{SSHA}dj2l", "secret", ERR_DENIED }, { "{SSHA}", "", ERR_DENIED }, { "{SSHA}dj2lH1ocucmj5OQsjP6mQrVx6FhOYUNs ", "secret", ERR_DENIED },
		/* the vectors of the SHA-crypt specification and of crypt_blowfish */
		{ "{SHA512-CRYPT}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1", "Hello world!", OK }, { "{SHA512-CRYPT}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1", "Hello world?", ERR_DENIED },
		{ "{SHA256-CRYPT}$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA", "Hello world!", OK }, { "{SHA256-CRYPT}$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA", "Hello world?", ERR_DENIED },
		{ "{BLF-CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U", OK }, { "{BLF-CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*?", ERR_DENIED },
		{ "{CRYPT}$2y$05$CCCCCCCCCCCCCCCCCCCCC.pIKrLVkBX9/OvQMSygY1pWEVn72t6na", "secret", OK }, { "{CRYPT}$2y$05$CCCCCCCCCCCCCCCCCCCCC.pIKrLVkBX9/OvQMSygY1pWEVn72t6na", "secre?", ERR_DENIED },
		{ "{CRYPT}$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1", "secret", OK }, { "{CRYPT}$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1", "secre?", ERR_DENIED },
		{ "{CRYPT}$y$j9T$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0", "secret", OK }, { "{CRYPT}$y$j9T$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0", "secre?", ERR_DENIED },
		{ "{CRYPT}abNANd1rDfiNc", "secret", OK }, { "{CRYPT}abNANd1rDfiNc", "secre?", ERR_DENIED },
		{ "{CRYPT}*", "x", ERR_DENIED }, { "{CRYPT}!", "x", ERR_DENIED }, { "{CRYPT}", "", ERR_DENIED },
		{ "{CRYPT}*0", "x", ERR_DENIED }, { "{CRYPT}$9$a$b", "x", ERR_DENIED },
		{ "{NOSUCH}secret", "secret", ERR_DENIED }, { "{PLAIN", "", ERR_DENIED }, { "{}secret", "secret", ERR_DENIED },
		{ "secret", "secret", ERR_DENIED }, { "", "", ERR_DENIED }, { "\n\n\n", "", ERR_DENIED },
		/* the SCRAM lines never check a password that was sent */
		{ "scram-sha-1=4096$QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=$D+CSWLOshSulAsxiupA+qs2/fTE=", "pencil", ERR_DENIED },
		/* malformed */
		{ "argon2id=$argon2id$v=16$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password", ERR_DENIED },
		{ "argon2id=$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password", ERR_DENIED },
		{ "argon2id=$argon2id$v=19$m=65536,t=2,p=0$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password", ERR_DENIED },
		{ "argon2id=$argon2id$v=19$m=65536,t=2$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password", ERR_DENIED },
		{ "argon2id=$argon2id$v=19$m=,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password", ERR_DENIED },
		{ "argon2id=$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ", "password", ERR_DENIED },
		{ "argon2id=$argon2id$v=19$m=65536,t=2,p=1$$CTFh", "password", ERR_DENIED },
		{ "argon2id=$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc=", "password", ERR_DENIED },
		{ "argon2id=$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1", "password", ERR_DENIED },
		{ "argon2id=$argon2id$v=19$m=4,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password", ERR_DENIED },
		{ "argon2id=", "password", ERR_DENIED },
		{ "argon2id=$argon2id$v=19$", "password", ERR_DENIED },
		{ "argon2id=$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "password", ERR_DENIED },
		/* too dear */
		{ "argon2id=$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password", ERR_DENIED },
		{ "argon2id=$argon2id$v=19$m=65536,t=4000000,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password", ERR_DENIED },
		{ "argon2id=$argon2id$v=19$m=65536,t=2,p=99999$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password", ERR_DENIED },
		{ "argon2id=$argon2id$v=19$m=-1,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password", ERR_DENIED },
		{ "{CRYPT}$6$rounds=999999999$saltstring$x", "x", ERR_DENIED },
		{ "{CRYPT}$6$rounds=$saltstring$x", "x", ERR_DENIED },
		{ "{BLF-CRYPT}$2y$31$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234", "x", ERR_DENIED },
	};
	int64_t start = clock_mono();
	for (size_t i = 0; i < COUNT(cases); i++) {
		int rc = password_verify(span_of(cases[i].text), span_of(cases[i].password));
		if (rc != cases[i].rc)
			print_error("case %zu: %s\n", i, cases[i].text);
		assert_int_equal(rc, cases[i].rc);
	}
	assert_in_range(clock_mono() - start, 0, 60 * SECOND_US);
}

static void make(void **state)
{
	static const char *const passwords[] = { "x", "correct horse", "p\xc3\xa4ssw\xc3\xb6rd \xf0\x9f\x94\x91", "a$b=c\nd}", "\xff\xfe" };
	for (size_t i = 0; i < COUNT(passwords); i++) {
		struct buffer b = { 0 }, again = { 0 };
		struct span password = span_of(passwords[i]);
		assert_int_equal(password_make(password, &b), OK);
		assert_int_equal(password_verify(buffer_span(&b), password), OK);
		assert_int_equal(password_verify(buffer_span(&b), span_sub(password, 1, password.n)), ERR_DENIED);
		assert_int_equal(password_make(password, &again), OK);
		assert_false(span_eq(buffer_span(&b), buffer_span(&again)));
		assert_true(span_istarts(buffer_span(&b), SPAN("argon2id=$argon2id$v=19$m=19456,t=2,p=1$")));
		assert_non_null(memmem(b.p, b.n, "\nscram-sha-256=4096$", 20));
		assert_non_null(memmem(b.p, b.n, "\nscram-sha-1=4096$", 18));
		buffer_free(&b);
		buffer_free(&again);
	}
}

static void make_refuses(void **state)
{
	static char longest[PASSWORD_MAX + 1];
	memset(longest, 'x', sizeof longest);
	const struct { struct span password; size_t room; int rc; } cases[] = {
		{ SPAN(""), 0, ERR_INVALID }, { SPAN("a\0b"), 0, ERR_INVALID }, { SPAN("\0"), 0, ERR_INVALID },
		{ span_from(longest, PASSWORD_MAX), 0, OK }, { span_from(longest, PASSWORD_MAX + 1), 0, ERR_LIMIT },
		{ SPAN("x"), 100, ERR_LIMIT },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer b = { .limit = cases[i].room };
		assert_int_equal(password_make(cases[i].password, &b), cases[i].rc);
		assert_int_equal(b.n > 0, cases[i].rc == OK);
		if (cases[i].rc == OK)
			assert_int_equal(password_verify(buffer_span(&b), cases[i].password), OK);
		buffer_free(&b);
	}
	assert_int_equal(password_verify(SPAN("{PLAIN}a"), SPAN("a\0")), ERR_DENIED);
	assert_int_equal(password_verify(SPAN("{PLAIN}a"), span_from(longest, sizeof longest)), ERR_DENIED);
}

/* A text of thousands of lines costs no more than a few hashes. */
static void long_texts(void **state)
{
	struct buffer b = { 0 };
	for (int i = 0; i < 1000; i++)
		buffer_puts(&b, "{CRYPT}$6$rounds=100000$saltstring$wrong\n");
	buffer_puts(&b, "{PLAIN}x");
	assert_int_equal(password_verify(buffer_span(&b), SPAN("x")), ERR_DENIED);
	buffer_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64), cmocka_unit_test(scram), cmocka_unit_test(verify), cmocka_unit_test(make),
		cmocka_unit_test(make_refuses), cmocka_unit_test(long_texts),
	};
	return cmocka_run_group_tests_name("password", tests, NULL, NULL);
}
