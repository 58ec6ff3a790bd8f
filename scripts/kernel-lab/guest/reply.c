/* The line to the host: commands come in, one a line; each is answered with one line of JSON. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "guest.h"

#define CAPACITY (4 << 20)
/* Room that is always left for the end of a reply. */
#define RESERVE 8192

static int line_fd = -1;
static char buffer[CAPACITY];
static size_t used;

/* The second serial port, as a line that carries bytes and nothing else. */
void open_line_to_host(void)
{
	struct termios settings;

	line_fd = open("/dev/ttyS1", O_RDWR | O_NOCTTY);
	tcgetattr(line_fd, &settings);
	cfmakeraw(&settings);
	cfsetspeed(&settings, B115200);
	settings.c_cflag |= CLOCAL;
	tcsetattr(line_fd, TCSANOW, &settings);
}

void reply(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	used += vsnprintf(buffer + used, CAPACITY - used, format, arguments);
	va_end(arguments);
	if (used > CAPACITY - RESERVE / 2)
		used = CAPACITY - RESERVE / 2;
}

/* A JSON string; what is no printable ASCII is left out. */
void reply_text(const char *text, size_t length)
{
	reply("\"");
	for (size_t i = 0; i < length && used < CAPACITY - RESERVE; i++) {
		unsigned char c = text[i];

		if (c == '\n')
			reply("\\n");
		else if (c == '\t')
			reply("\\t");
		else if (c == '"' || c == '\\')
			reply("\\%c", c);
		else if (c >= ' ' && c < 127)
			reply("%c", c);
	}
	reply("\"");
}

void reply_errno(void)
{
	reply(",\"errno\":%d", errno);
}

/* The number behind `name:` or `name ` at the start of a line, if there is such a line. */
static void reply_counter(const char *text, const char *name)
{
	size_t length = strlen(name);

	while (text && *text) {
		if (!strncmp(text, name, length) && (text[length] == ':' || text[length] == ' ')) {
			reply(",\"%s\":%llu", name, strtoull(text + length + 1, NULL, 10));
			return;
		}
		text = strchr(text, '\n');
		if (text)
			text++;
	}
}

/* Every reply ends with the kernel's counters. */
static void reply_counters(void)
{
	static const char *const meminfo[] = {"DirectMap4k", "DirectMap2M", "DirectMap1G", "MemFree"};
	static const char *const vmstat[] = {"direct_map_level2_splits", "direct_map_level3_splits",
					     "direct_map_level2_collapses", "direct_map_level3_collapses"};
	char *text;

	if (read_file("/proc/meminfo", &text) > 0)
		for (size_t i = 0; i < 4; i++)
			reply_counter(text, meminfo[i]);
	if (read_file("/proc/vmstat", &text) > 0)
		for (size_t i = 0; i < 4; i++)
			reply_counter(text, vmstat[i]);
}

void reply_end(void)
{
	size_t sent = 0;

	reply_counters();
	reply("}\n");
	while (sent < used) {
		ssize_t written = write(line_fd, buffer + sent, used - sent);

		if (written > 0)
			sent += written;
		else if (errno != EINTR)
			break;
	}
	used = 0;
}

/* The next command without its newline; 0 when the host is gone. */
int read_line(char *line, size_t capacity)
{
	static char pending[4096];
	static size_t have;

	for (;;) {
		char *end = memchr(pending, '\n', have);

		if (end) {
			size_t length = end - pending;
			size_t kept = length < capacity - 1 ? length : capacity - 1;

			memcpy(line, pending, kept);
			line[kept] = 0;
			have -= length + 1;
			memmove(pending, end + 1, have);
			return 1;
		}
		ssize_t got = read(line_fd, pending + have, sizeof pending - have);

		if (got > 0)
			have += got;
		else if (errno != EINTR)
			return 0;
	}
}
