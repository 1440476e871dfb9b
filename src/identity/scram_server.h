/* The server's side of one SCRAM conversation (RFC 5802, RFC 7677), with channel binding (tls-exporter of RFC 9266,
 * tls-server-end-point of RFC 5929). No I/O:
 *
 *   scram_first(&s, hash, plus, channel, message)   says whose verifier is wanted: s.user
 *   scram_challenge(&s, verifier, nonce)            s.reply is what the server says
 *   scram_final(&s, message)                        OK: s.reply proves to the client that the server knows the verifier
 *
 * The bytes of the first message must stay until scram_final() has returned. */
#ifndef SCRAM_SERVER_H
#define SCRAM_SERVER_H

#include "address.h"
#include "scram.h"

enum { SCRAM_BINDING_MAX = 64, SCRAM_NONCE_MAX = 256, SCRAM_REPLY_MAX = 1024, SCRAM_KEY_MAX = 32 };

/* What both ends know of the TLS session; n 0: nothing. */
struct scram_channel {
	struct { unsigned char bytes[SCRAM_BINDING_MAX]; size_t n; } exporter, end_point;
};

struct scram {
	enum scram_hash hash;
	struct span header, bare;      /* of the first message */
	struct span binding;           /* into the channel; of the kind the client chose */
	struct span client_nonce;
	char user[ADDRESS_MAX], authorize[ADDRESS_MAX];
	unsigned char stored[SCRAM_KEY_MAX], server[SCRAM_KEY_MAX];
	char first[SCRAM_REPLY_MAX];   /* what the server said first */
	size_t first_n;
	size_t nonce_at, nonce_n;      /* of both, in there */
	char reply[SCRAM_REPLY_MAX];
	size_t reply_n;
};

/* plus: the mechanism's name ends so. channel: not owned, must stay; bytes 0 without TLS. ERR_INVALID: bad syntax, a kind of
   binding that is not to be had, or a client that was told there is none though there is (somebody sits between). */
int scram_first(struct scram *s, enum scram_hash hash, bool plus, const struct scram_channel *channel, struct span message);
/* verifier: as scram_verifier() makes it. nonce: printable, without commas. ERR_CORRUPT: that is no verifier. */
int scram_challenge(struct scram *s, struct span verifier, struct span nonce);
/* ERR_DENIED: the client does not know the password, or speaks over another channel than we do. ERR_INVALID: bad syntax. */
int scram_final(struct scram *s, struct span message);

#endif
