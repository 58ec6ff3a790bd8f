/* Files of /proc and /sys, kernel symbols, and files in memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

/* The text of a file, valid until the next call; a negative length if it cannot be opened. */
long read_file(const char *path, char **text)
{
	static char content[FILE_LIMIT];
	int fd = open(path, O_RDONLY);
	size_t length = 0;
	ssize_t got;

	*text = content;
	if (fd < 0)
		return -1;
	while (length < FILE_LIMIT - 1 && (got = read(fd, content + length, FILE_LIMIT - 1 - length)) > 0)
		length += got;
	close(fd);
	content[length] = 0;
	return length;
}

void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		perror(path);
	close(fd);
}

/* cat PATH */
void cmd_cat(char *arguments)
{
	char *text;
	long length = read_file(arguments, &text);

	reply(",\"path\":\"%s\",\"text\":", arguments);
	reply_text(text, length > 0 ? length : 0);
}

/* write PATH VALUE */
void cmd_write(char *arguments)
{
	char path[256], value[64];

	if (sscanf(arguments, "%255s %63s", path, value) == 2)
		write_file(path, value);
}

/* ksym NAME: the address of a kernel symbol. */
void cmd_ksym(char *arguments)
{
	FILE *symbols = fopen("/proc/kallsyms", "r");
	char line[1024], name[512];
	unsigned long long address;

	reply(",\"name\":\"%s\"", arguments);
	while (symbols && fgets(line, sizeof line, symbols))
		if (sscanf(line, "%llx %*c %511s", &address, name) == 2 && !strcmp(name, arguments)) {
			reply(",\"addr\":\"0x%llx\"", address);
			break;
		}
	if (symbols)
		fclose(symbols);
}

/* bpfsyms: every symbol of a BPF image (bpf_prog_*, bpf_trampoline_*, bpf_dispatcher_*). */
void cmd_bpfsyms(char *arguments)
{
	FILE *symbols = fopen("/proc/kallsyms", "r");
	char line[1024];
	const char *comma = "";

	(void)arguments;
	reply(",\"syms\":[");
	while (symbols && fgets(line, sizeof line, symbols)) {
		if (!strstr(line, "[bpf]"))
			continue;
		reply("%s", comma);
		reply_text(line, strcspn(line, "\n"));
		comma = ",";
	}
	reply("]");
	if (symbols)
		fclose(symbols);
}

/* tmpfile NAME KIB: a file in memory (tmpfs), that is page cache. */
void cmd_tmpfile(char *arguments)
{
	static char block[65536];
	char name[256] = "", path[300];
	long kib = 0;

	sscanf(arguments, "%255s %ld", name, &kib);
	snprintf(path, sizeof path, "/tmp/%s", name);
	memset(block, 7, sizeof block);
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);

	for (long left = kib * 1024; left > 0;) {
		ssize_t written = write(fd, block, left < (long)sizeof block ? left : (long)sizeof block);

		if (written <= 0) {
			reply_errno();
			break;
		}
		left -= written;
	}
	close(fd);
	reply(",\"name\":\"%s\",\"kib\":%ld", name, kib);
}

/* rm NAME: removes such a file. */
void cmd_rm(char *arguments)
{
	char path[300];

	snprintf(path, sizeof path, "/tmp/%.255s", arguments);
	unlink(path);
}
