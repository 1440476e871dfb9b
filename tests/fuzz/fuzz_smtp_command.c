/* Every line of the input through the command, path and parameter parsers. */
#include <assert.h>
#include <stdlib.h>

#include "smtp_command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span in = span_from(data, n), line;
	for (enum smtp_line_answer answer; (answer = smtp_line_next(&in, &line)) != SMTP_LINE_MORE;) {
		if (answer == SMTP_LINE_BAD)
			continue;
		struct smtp_command command = smtp_command_parse(line);
		struct smtp_path path;
		struct smtp_chunk chunk;
		smtp_chunk_parse(command.args, &chunk);
		if (smtp_path_take(&command.args, command.word.n % 2 ? SPAN("TO") : SPAN("FROM"), &path) != SMTP_OK)
			continue;
		char *local = malloc(path.local.n + 1);
		assert(smtp_local_write(path.local, local) <= path.local.n);
		free(local);
		for (struct smtp_param param; command.args.n && smtp_param_take(&command.args, &param) == SMTP_OK;)
			assert(param.name.n);
	}
	return 0;
}
