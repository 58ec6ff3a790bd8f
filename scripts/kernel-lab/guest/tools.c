/* Real programs that use BPF: started and stopped, or traced and held at every load and close of a program. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define LOG "/tmp/spawn.log"
#define MAX_ARGUMENTS 63
/* File descriptors of the tool that are watched. */
#define MAX_FDS 4096
/* Time for the free of a program after its close, in microseconds. */
#define AFTER_CLOSE 60000
/* A stop at a system call, as PTRACE_O_TRACESYSGOOD marks it. */
#define SYSCALL_STOP (SIGTRAP | 0x80)

static pid_t child;

/* What a tool is about to load. */
struct request {
	unsigned type, instructions;
	char name[BPF_OBJ_NAME_LEN + 1];
};

/* The state of a traced tool. */
struct trace {
	struct request request;
	char is_program[MAX_FDS];
	int inside_call, events, interrupted;
	long idle_limit, last_event;
};

static void split_words(char *words, char **list)
{
	int count = 0;

	for (char *word = strtok(words, " "); word && count < MAX_ARGUMENTS; word = strtok(NULL, " "))
		list[count++] = word;
	list[count] = NULL;
}

static void run_tool(char **words)
{
	int log = open(LOG, O_CREAT | O_WRONLY | O_APPEND, 0644);

	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	setenv("PATH", "/usr/sbin:/usr/bin:/bin", 1);
	execv(words[0], words);
	perror(words[0]);
	_exit(127);
}

/* spawn PROGRAM ARGUMENTS...: its output goes to /tmp/spawn.log. */
void cmd_spawn(char *arguments)
{
	char *words[MAX_ARGUMENTS + 1];

	split_words(arguments, words);
	child = fork();
	if (!child)
		run_tool(words);
	reply(",\"pid\":%d", child);
}

/* stop [SIGNAL]: SIGINT unless told otherwise. */
void cmd_stop(char *arguments)
{
	int signal = atoi(arguments), status = 0;

	kill(child, signal ? signal : SIGINT);
	waitpid(child, &status, 0);
	reply(",\"status\":%d", status);
}

static long milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000L + now.tv_nsec / 1000000;
}

/* Ends a reply and holds the tool until the host answers. */
static void hold(struct trace *trace)
{
	char line[64];

	reply_end();
	read_line(line, sizeof line);
	trace->last_event = milliseconds();
}

/* Before BPF_PROG_LOAD: type, length and name out of the tool's `union bpf_attr`. */
static void note_request(struct trace *trace, const struct user_regs_struct *registers)
{
	long words[3];
	struct request *request = &trace->request;
	size_t name = offsetof(union bpf_attr, prog_name);

	words[0] = ptrace(PTRACE_PEEKDATA, child, registers->rsi, 0);
	words[1] = ptrace(PTRACE_PEEKDATA, child, registers->rsi + name, 0);
	words[2] = ptrace(PTRACE_PEEKDATA, child, registers->rsi + name + 8, 0);
	request->type = words[0];
	request->instructions = (unsigned long)words[0] >> 32;
	memset(request->name, 0, sizeof request->name);
	if (registers->rdx >= name + BPF_OBJ_NAME_LEN)
		memcpy(request->name, &words[1], BPF_OBJ_NAME_LEN);
}

/* After BPF_PROG_LOAD. */
static void tell_load(struct trace *trace, long long result)
{
	const struct request *request = &trace->request;

	reply("{\"op\":\"tload\",\"seq\":%d,\"ret\":%lld", ++trace->events, result);
	reply(",\"ninsn\":%u,\"req_type\":%u,\"req_name\":\"%s\"", request->instructions, request->type, request->name);
	if (result >= 0) {
		if (result < MAX_FDS)
			trace->is_program[result] = 1;
		describe_newest_program();
	}
	hold(trace);
}

/* After close() of a program. */
static void tell_close(struct trace *trace, long long fd)
{
	trace->is_program[fd] = 0;
	usleep(AFTER_CLOSE);
	reply("{\"op\":\"tclose\",\"seq\":%d,\"fd\":%lld", ++trace->events, fd);
	hold(trace);
}

static void at_system_call(struct trace *trace)
{
	struct user_regs_struct registers;

	ptrace(PTRACE_GETREGS, child, 0, &registers);
	trace->inside_call = !trace->inside_call;
	int loads = registers.orig_rax == __NR_bpf && registers.rdi == BPF_PROG_LOAD;

	if (loads && trace->inside_call)
		note_request(trace, &registers);
	else if (loads)
		tell_load(trace, registers.rax);
	else if (!trace->inside_call && registers.orig_rax == __NR_close && registers.rdi < MAX_FDS &&
		 trace->is_program[registers.rdi])
		tell_close(trace, registers.rdi);
	if (!trace->interrupted && milliseconds() - trace->last_event > trace->idle_limit) {
		kill(child, SIGINT);
		trace->interrupted = 1;
	}
}

/*
 * tspawn IDLE PROGRAM ARGUMENTS...: runs a tool and holds it after every load and every close of a program; each time a
 * line goes to the host, and one must come back. IDLE milliseconds after the last such event the tool is interrupted.
 */
void cmd_tspawn(char *arguments)
{
	static struct trace trace;
	char *words[MAX_ARGUMENTS + 1];
	int status = 0;

	memset(&trace, 0, sizeof trace);
	split_words(arguments, words);
	trace.idle_limit = atol(words[0]);
	child = fork();
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		run_tool(words + 1);
	}
	waitpid(child, &status, 0);
	ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD);
	trace.last_event = milliseconds();
	ptrace(PTRACE_SYSCALL, child, 0, 0);
	while (waitpid(child, &status, 0) == child && !WIFEXITED(status) && !WIFSIGNALED(status)) {
		long signal = 0;

		if (WSTOPSIG(status) == SYSCALL_STOP)
			at_system_call(&trace);
		else if (WSTOPSIG(status) != SIGTRAP)
			signal = WSTOPSIG(status);
		ptrace(PTRACE_SYSCALL, child, 0, signal);
	}
	usleep(300000);
	reply("{\"op\":\"tspawn\",\"events\":%d,\"status\":%d", trace.events, status);
}
