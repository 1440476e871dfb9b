/* SCRAM verifiers (RFC 5802, RFC 7677): what a server keeps so that it can check a client which never sends its
   password. They can only be made while the password is at hand, so they are made when it is set. */
#ifndef SCRAM_H
#define SCRAM_H

#include "buffer.h"

enum scram_hash { SCRAM_SHA1, SCRAM_SHA256 };

enum { SCRAM_ITERATIONS = 4096, SCRAM_SALT = 16 }; /* of the verifiers that are made here */

/* Appends "iterations$salt$StoredKey$ServerKey", the last three in base64. The password is taken as its bytes stand
   (no SASLprep). ERR_UNAVAILABLE when out of memory. */
int scram_verifier(enum scram_hash hash, struct span password, struct span salt, unsigned iterations, struct buffer *out);

#endif
