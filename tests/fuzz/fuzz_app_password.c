/* Application passwords: what users type, what is kept, lists of protocols, names. */
#include "app_password.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span in = span_from(data, n);
	unsigned char hash[APP_HASH];
	struct app_password a;
	struct buffer b = { 0 };
	unsigned bits;
	char key[APP_KEY_MAX];
	app_password_hash(in, hash);
	login_protocols_read(in, &bits);
	if (app_password_get(in, &a)) {
		app_password_put(&a, &b);
		if (!app_password_get(buffer_span(&b), &a))
			__builtin_trap();
	}
	if (app_name_check(in) == 0 && !span_eq(app_key_name(app_key(INT64_MAX, in, key)), in))
		__builtin_trap();
	buffer_free(&b);
	return 0;
}
