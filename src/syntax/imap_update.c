#include "imap_update.h"

void imap_update_add(struct imap_update_writer *w, uint32_t position, uint32_t number)
{
	if (!w->some || position != w->next) {
		imap_set_finish(&w->set);
		buffer_puts(w->set.b, w->some ? " " : "");
		buffer_put_u64(w->set.b, position);
		buffer_putc(w->set.b, ' ');
		w->set.some = false;
		w->some = true;
	}
	imap_set_add(&w->set, number);
	w->next = w->removes || position == 0 ? position : position + 1;
}

void imap_update_finish(struct imap_update_writer *w)
{
	imap_set_finish(&w->set);
}
