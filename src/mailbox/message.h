/* Message bytes, in and out. */
#ifndef MESSAGE_H
#define MESSAGE_H

#include "service.h"

/* A message on its way in: bytes are hashed, scanned and streamed to the store as they come, never held whole. */
struct incoming;
int incoming_new(struct service *s, struct incoming **out);
/* After a failure further bytes are ignored and incoming_finish gives the failure again. */
int incoming_write(struct incoming *in, struct span bytes);
/* All bytes are there. */
int incoming_finish(struct incoming *in);
uint64_t incoming_size(const struct incoming *in);
/* Leaves nothing behind when it was not delivered or appended. Takes the pointer's address, sets it NULL. */
void incoming_free(struct incoming **in);

/* Delivery of one message to several accounts. Each recipient has its own outcome; those that are OK are durable when
   deliver returns. The same bytes from the same sender for the same folder of the same account are stored once, whatever
   address they came by: the repeat is OK and duplicate (until lmtp.duplicate.window is over). Over the account's quota:
   ERR_QUOTA; over its largest message: ERR_LIMIT. */
struct recipient {
	int64_t account;
	struct span address; /* as given, with detail; for history */
	struct span folder;  /* path; INBOX when empty or not there */
	int result;          /* out */
	bool duplicate;      /* out */
	uint32_t uid;        /* out */
};
int deliver(struct service *s, struct incoming *in, struct span sender, struct recipient *r, size_t n,
            const struct actor *a);

enum { APPEND_MAX = 64 /* messages of one append */ };
struct append_message {
	struct incoming *in;
	uint64_t flags;
	struct span keywords; /* canonical text */
	int64_t date;         /* us; 0 for now */
};
struct append_result {
	int64_t uidvalidity;
	uint32_t uid; /* of the first; the others' follow it without a gap */
	int64_t change;
};
/* All of them or none, in one change. ERR_NOT_FOUND: no such folder (TRYCREATE); ERR_QUOTA; ERR_LIMIT: over the account's
   largest message. */
int append(struct service *s, int64_t account, struct span path, const struct append_message *m, size_t n,
           const struct actor *a, struct append_result *out);
/* The same for one message that takes the place of a message of the view, whose entry ends in the same change; what that
   one held counts as free. ERR_CANNOT in a read-only view; ERR_CONFLICT: that message is not there any more. */
struct view;
int replace(struct view *v, uint32_t uid, struct span path, const struct append_message *m, const struct actor *a,
            struct append_result *out);

/* Reading a message by its EMAILID. ERR_UNAVAILABLE when the store is down, ERR_CORRUPT when its bytes are wrong:
   a reply never holds less than was promised. */
struct message;
struct entry;
int message_open(struct service *s, int64_t email, struct message **out);
/* Of an entry, which may know where its bytes lie, or have them at hand (ahead.h). */
int message_open_entry(struct service *s, const struct entry *e, struct message **out);
uint64_t message_size(const struct message *m);
/* The bytes from offset on, as many as are at hand; empty at the end. Valid until the next call. */
int message_at(struct message *m, uint64_t offset, struct span *out);
void message_close(struct message **m);

/* Where the bytes of an email lie: read together with many others, and perhaps a while ago. */
struct message_place {
	int64_t email_size, pack, pack_at, stored, size, body, domain; /* body 0: it has none */
	unsigned char sha256[32]; /* zeros when the row has none */
};

#endif
