/* The settings of a node: defaults, then DIR/perdura.conf, then --set. A file has "name = value"
   lines; # starts a line of comment. */
#ifndef CONFIG_H
#define CONFIG_H

#include "buffer.h"

typedef char *config_text;
typedef char *config_listen;
typedef int64_t config_number, config_size, config_duration, config_choice;

struct config {
#define OPTION(type, name, field, ...) config_##type field;
#define LIVE OPTION
#include "options.def"
#undef LIVE
#undef OPTION
};

/* Defaults, then the file (NULL: DIR/perdura.conf, if it is there), then n settings "name=value". ERR_INVALID with a
   detail of one line that says what is wrong, and where. config_free() gives back what it holds. */
int config_load(const char *dir, const char *file, const char *const *settings, size_t n, struct config *out);
void config_free(struct config *c);
/* Takes the options that a running node can change (LIVE) from fresh; rest gets the names of the others that differ. */
void config_reload(struct config *c, const struct config *fresh, struct buffer *rest);

/* Calls line() for each option whose name is in names (all, when n is 0) with its value, default, bounds and help; as one
   JSON array if json. ERR_NOT_FOUND for an unknown name. */
int config_list(const struct config *c, const char *const *names, size_t n, bool json,
                void (*line)(void *ctx, struct span line), void *ctx);

#endif
