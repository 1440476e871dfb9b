/* Time. Stamps are microseconds since 1970-01-01 UTC. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

#define SECOND_US INT64_C(1000000)

int64_t clock_now(void);  /* wall clock, us since 1970 UTC; may jump */
int64_t clock_mono(void); /* us since some start; never runs back */

#endif
