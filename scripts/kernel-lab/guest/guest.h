/* Shared by the parts of the guest's init: see init.c. */
#ifndef GUEST_H
#define GUEST_H

#include <stddef.h>

/* reply.c: one JSON object a command, built up field by field. */
void reply(const char *format, ...) __attribute__((format(printf, 1, 2)));
void reply_text(const char *text, size_t length);
void reply_errno(void);
void reply_end(void);
void open_line_to_host(void);
int read_line(char *line, size_t capacity);

/* files.c */
#define FILE_LIMIT (2 << 20)
long read_file(const char *path, char **text);
void write_file(const char *path, const char *text);
void cmd_cat(char *arguments);
void cmd_write(char *arguments);
void cmd_ksym(char *arguments);
void cmd_bpfsyms(char *arguments);
void cmd_tmpfile(char *arguments);
void cmd_rm(char *arguments);

/* programs.c: BPF programs, each under a number that the host gives it. */
void describe_program(int fd);
void describe_newest_program(void);
void cmd_load(char *arguments);
void cmd_unload(char *arguments);
void cmd_unloadall(char *arguments);
void cmd_sync(char *arguments);
void cmd_progs(char *arguments);

/* memory.c: other users of memory, each in a numbered slot. */
void cmd_anon(char *arguments);
void cmd_punch(char *arguments);
void cmd_ptes(char *arguments);
void cmd_ptepunch(char *arguments);
void cmd_free(char *arguments);

/* modules.c */
void cmd_insmod(char *arguments);
void cmd_rmmod(char *arguments);

/* tools.c: real programs that use BPF. */
void cmd_spawn(char *arguments);
void cmd_stop(char *arguments);
void cmd_tspawn(char *arguments);

#endif
