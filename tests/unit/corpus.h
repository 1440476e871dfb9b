/* Real and broken mail to test on: the folder named by PERDURA_CORPUS, or ../shared/corpus beside the source tree. */
#ifndef CORPUS_H
#define CORPUS_H

#include "span.h"

/* Calls visit for every message of the corpus' mime/ and mbox/, each as it stands and with its line ends as CRLF; name is
   for reports. False when there is no corpus. */
bool corpus_each(void (*visit)(const char *name, struct span message));

#endif
