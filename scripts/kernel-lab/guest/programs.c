/* BPF programs, each under a number that the host gives it. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

/* Numbers of programs go from 1 to this, exclusive. */
#define MAX_PROGRAMS 70000
/* Functions of a program whose addresses are told. */
#define MAX_FUNCTIONS 8
/* MEMBARRIER_CMD_GLOBAL: returns after a grace period of RCU. */
#define MEMBARRIER_GLOBAL 1

static int program_fds[MAX_PROGRAMS];

static long bpf(int command, union bpf_attr *attributes)
{
	return syscall(__NR_bpf, command, attributes, sizeof *attributes);
}

static struct bpf_insn instruction(int code, int dst, int src, int imm)
{
	struct bpf_insn made = {.code = code, .dst_reg = dst, .src_reg = src, .imm = imm};

	return made;
}

/* A straight line of instructions, about 4.26 bytes of x86 code each: r0 is computed, and returned. */
static struct bpf_insn *straight_line(size_t count)
{
	static struct bpf_insn *program;
	static size_t capacity;

	if (count > capacity) {
		free(program);
		program = malloc(count * sizeof *program);
		capacity = count;
	}
	program[0] = instruction(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0);
	for (size_t i = 1; i + 1 < count; i++)
		switch (i % 4) {
		case 1:
			program[i] = instruction(BPF_ALU64 | BPF_MOV | BPF_X, 2, 0, 0);
			break;
		case 2:
			program[i] = instruction(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0x12345);
			break;
		case 3:
			program[i] = instruction(BPF_ALU64 | BPF_XOR | BPF_X, 0, 2, 0);
			break;
		default:
			program[i] = instruction(BPF_ALU64 | BPF_AND | BPF_K, 0, 0, 0x7f);
		}
	program[count - 1] = instruction(BPF_JMP | BPF_EXIT, 0, 0, 0);
	return program;
}

/* What the kernel says about a program: type, lengths, where its code stands. */
void describe_program(int fd)
{
	struct bpf_prog_info info = {0};
	uint64_t addresses[MAX_FUNCTIONS] = {0};
	uint32_t lengths[MAX_FUNCTIONS] = {0};
	union bpf_attr attributes = {0};

	info.jited_ksyms = (uintptr_t)addresses;
	info.nr_jited_ksyms = MAX_FUNCTIONS;
	info.jited_func_lens = (uintptr_t)lengths;
	info.nr_jited_func_lens = MAX_FUNCTIONS;
	attributes.info.bpf_fd = fd;
	attributes.info.info_len = sizeof info;
	attributes.info.info = (uintptr_t)&info;
	if (bpf(BPF_OBJ_GET_INFO_BY_FD, &attributes)) {
		reply(",\"info_errno\":%d", errno);
		return;
	}
	reply(",\"prog_id\":%u,\"type\":%u,\"name\":\"%s\"", info.id, info.type, info.name);
	reply(",\"jited_len\":%u,\"xlated_len\":%u", info.jited_prog_len, info.xlated_prog_len);
	reply(",\"nfunc\":%u,\"ksym\":\"0x%llx\"", info.nr_jited_ksyms, (unsigned long long)addresses[0]);
	if (info.nr_jited_ksyms > 1) {
		reply(",\"ksyms\":[");
		for (unsigned i = 0; i < info.nr_jited_ksyms && i < MAX_FUNCTIONS; i++)
			reply("%s\"0x%llx\"", i ? "," : "", (unsigned long long)addresses[i]);
		reply("]");
	}
}

/* The next program after this kernel number; 0 if there is none. */
static uint32_t next_program(uint32_t number)
{
	union bpf_attr attributes = {0};

	attributes.start_id = number;
	return bpf(BPF_PROG_GET_NEXT_ID, &attributes) ? 0 : attributes.next_id;
}

static int open_program(uint32_t number)
{
	union bpf_attr attributes = {0};

	attributes.prog_id = number;
	return bpf(BPF_PROG_GET_FD_BY_ID, &attributes);
}

/* Describes the program with the highest kernel number: the one that was loaded last. */
void describe_newest_program(void)
{
	uint32_t newest = 0, next;

	while ((next = next_program(newest)))
		newest = next;
	int fd = open_program(newest);

	if (fd >= 0) {
		describe_program(fd);
		close(fd);
	}
}

/* progs: every program that is loaded. */
void cmd_progs(char *arguments)
{
	const char *comma = "";

	(void)arguments;
	reply(",\"progs\":[");
	for (uint32_t number = next_program(0); number; number = next_program(number)) {
		int fd = open_program(number);

		if (fd < 0)
			continue;
		reply("%s{\"x\":0", comma);
		describe_program(fd);
		reply("}");
		close(fd);
		comma = ",";
	}
	reply("]");
}

static long long microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* load NUMBER INSTRUCTIONS [s|k|c]: a socket filter, kprobe or traffic classifier. */
void cmd_load(char *arguments)
{
	long number = 0, count = 0;
	char kind = 's';

	sscanf(arguments, "%ld %ld %c", &number, &count, &kind);
	reply(",\"id\":%ld,\"ninsn\":%ld,\"kind\":\"%c\"", number, count, kind);
	union bpf_attr attributes = {0};

	attributes.prog_type = kind == 'k'   ? BPF_PROG_TYPE_KPROBE
			       : kind == 'c' ? BPF_PROG_TYPE_SCHED_CLS
					     : BPF_PROG_TYPE_SOCKET_FILTER;
	attributes.insns = (uintptr_t)straight_line(count);
	attributes.insn_cnt = count;
	attributes.license = (uintptr_t) "GPL";
	snprintf(attributes.prog_name, sizeof attributes.prog_name, "p%d", (int)number);
	long long start = microseconds();
	int fd = bpf(BPF_PROG_LOAD, &attributes), error = errno;

	reply(",\"us\":%lld", microseconds() - start);
	if (fd < 0) {
		reply(",\"errno\":%d", error);
		return;
	}
	if (program_fds[number] > 0)
		close(program_fds[number]);
	program_fds[number] = fd;
	describe_program(fd);
}

/* Waits for RCU callbacks, then some time for the work queue behind them. */
static void wait_for_frees(long milliseconds)
{
	syscall(__NR_membarrier, MEMBARRIER_GLOBAL, 0, 0);
	syscall(__NR_membarrier, MEMBARRIER_GLOBAL, 0, 0);
	usleep(milliseconds * 1000);
}

/* sync MILLISECONDS */
void cmd_sync(char *arguments)
{
	wait_for_frees(atol(arguments));
}

/* unload NUMBER [MILLISECONDS]: drops the last reference, and waits for the free if a time is given. */
void cmd_unload(char *arguments)
{
	long number = 0, milliseconds = 0;

	sscanf(arguments, "%ld %ld", &number, &milliseconds);
	reply(",\"id\":%ld", number);
	if (program_fds[number] > 0) {
		close(program_fds[number]);
		program_fds[number] = 0;
	} else {
		reply(",\"errno\":%d", ENOENT);
	}
	if (milliseconds)
		wait_for_frees(milliseconds);
}

/* unloadall [MILLISECONDS] */
void cmd_unloadall(char *arguments)
{
	long milliseconds = atol(arguments);
	int count = 0;

	for (int number = 0; number < MAX_PROGRAMS; number++)
		if (program_fds[number] > 0) {
			close(program_fds[number]);
			program_fds[number] = 0;
			count++;
		}
	reply(",\"n\":%d", count);
	wait_for_frees(milliseconds ? milliseconds : 200);
}
