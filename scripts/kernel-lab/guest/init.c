/*
 * The first process of a guest: executes one command at a time and answers each with one line of JSON that ends with
 * the kernel's counters. Between two commands it is blocked in read(), so the host can look at quiet memory.
 *
 * gcc -O2 -static -o init *.c
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "guest.h"

struct command {
	const char *name;
	void (*run)(char *arguments);
};

/* Reads the counters, as every command does in the end. */
static void cmd_sample(char *arguments)
{
	(void)arguments;
}

/* sleep MILLISECONDS */
static void cmd_sleep(char *arguments)
{
	usleep(atol(arguments) * 1000);
}

static const struct command commands[] = {
	{"anon", cmd_anon},       {"bpfsyms", cmd_bpfsyms}, {"cat", cmd_cat},       {"free", cmd_free},
	{"insmod", cmd_insmod},   {"ksym", cmd_ksym},       {"load", cmd_load},     {"progs", cmd_progs},
	{"ptepunch", cmd_ptepunch}, {"ptes", cmd_ptes},     {"punch", cmd_punch},   {"rm", cmd_rm},
	{"rmmod", cmd_rmmod},     {"sample", cmd_sample},   {"sleep", cmd_sleep},   {"spawn", cmd_spawn},
	{"stop", cmd_stop},       {"sync", cmd_sync},       {"tmpfile", cmd_tmpfile}, {"unload", cmd_unload},
	{"unloadall", cmd_unloadall}, {"write", cmd_write},
};

static void mount_all(void)
{
	static const char *const mounts[][3] = {
		{"proc", "/proc", "proc"},
		{"sys", "/sys", "sysfs"},
		{"dev", "/dev", "devtmpfs"},
		{"debug", "/sys/kernel/debug", "debugfs"},
		{"trace", "/sys/kernel/tracing", "tracefs"},
		{"bpf", "/sys/fs/bpf", "bpf"},
	};
	static const char *const folders[] = {"/proc", "/sys", "/dev", "/tmp", "/run"};

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		mkdir(folders[i], 0755);
	for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++)
		mount(mounts[i][0], mounts[i][1], mounts[i][2], 0, NULL);
	mount("tmp", "/tmp", "tmpfs", 0, "size=100%");
}

/* Lets this process do everything, and BPF behave as on Debian. */
static void prepare(void)
{
	struct rlimit locked = {RLIM_INFINITY, RLIM_INFINITY};
	struct rlimit files = {200000, 200000};

	setrlimit(RLIMIT_MEMLOCK, &locked);
	setrlimit(RLIMIT_NOFILE, &files);
	write_file("/proc/sys/kernel/kptr_restrict", "0");
	write_file("/proc/sys/net/core/bpf_jit_enable", "1");
	write_file("/proc/sys/net/core/bpf_jit_kallsyms", "1");
	write_file("/proc/sys/net/core/bpf_jit_harden", "0");
	write_file("/proc/self/oom_score_adj", "-1000");
}

static void greet(void)
{
	struct utsname name;

	uname(&name);
	reply("{\"op\":\"hello\",\"release\":\"%s\",\"version\":\"%s\"", name.release, name.version);
	reply_end();
}

/* A reset ends the emulator (-no-reboot), also where the kernel cannot switch the power off. */
static void power_off(void)
{
	sync();
	reboot(RB_AUTOBOOT);
}

static void execute(char *line)
{
	char *name = line, *arguments = strchr(line, ' ');

	if (arguments)
		*arguments++ = 0;
	else
		arguments = line + strlen(line);
	if (!strcmp(name, "tspawn")) {
		/* Sends replies of its own before this one. */
		cmd_tspawn(arguments);
		reply_end();
		return;
	}
	reply("{\"op\":\"%s\"", name);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (!strcmp(commands[i].name, name)) {
			commands[i].run(arguments);
			reply_end();
			return;
		}
	if (strcmp(name, "off"))
		reply(",\"unknown\":1");
	reply_end();
	if (!strcmp(name, "off"))
		power_off();
}

int main(void)
{
	char line[4096];

	mount_all();
	prepare();
	open_line_to_host();
	printf("init: ready\n");
	fflush(stdout);
	greet();
	while (read_line(line, sizeof line))
		execute(line);
	power_off();
}
