/* The verbs of the node itself: it brings the handlers along, for they look at what is above this folder. */
#include "verb.h"

int verb_status(struct request *r)
{
	return r->node->status(r);
}

int verb_config(struct request *r)
{
	return r->node->config(r);
}

int verb_reload(struct request *r)
{
	return r->node->reload(r);
}

int verb_metrics(struct request *r)
{
	return r->node->metrics(r);
}

int verb_upgrade(struct request *r)
{
	return request_error(r, EXIT_USAGE, "the command upgrades by itself");
}
