/* Kernel modules. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

/* Time for what a module frees in the background after it was loaded or unloaded, in microseconds. */
#define AFTER_LOAD 60000
#define AFTER_UNLOAD 200000

/* insmod PATH */
void cmd_insmod(char *arguments)
{
	int fd = open(arguments, O_RDONLY);
	long failed = syscall(__NR_finit_module, fd, "", 0);

	reply(",\"path\":\"%s\"", arguments);
	if (failed)
		reply_errno();
	close(fd);
	usleep(AFTER_LOAD);
}

/* rmmod NAME */
void cmd_rmmod(char *arguments)
{
	long failed = syscall(__NR_delete_module, arguments, O_NONBLOCK);

	reply(",\"name\":\"%s\"", arguments);
	if (failed)
		reply_errno();
	usleep(AFTER_UNLOAD);
}
