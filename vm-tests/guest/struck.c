/* Runs a command and kills it, with all that it started, at its Nth call to a daemon: that is, when it enters connect().
 * usage: struck N COMMAND [WORD]...
 * ends with 9 when it was killed, else as the command did */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define TASKS_MAX 256
#define STRUCK 9

/* Tasks that are inside a system call. */
static pid_t inside[TASKS_MAX];

static int enters(pid_t task)
{
	pid_t *free = NULL;
	for (int i = 0; i < TASKS_MAX; i++) {
		if (inside[i] == task) {
			inside[i] = 0;
			return 0;
		}
		if (!inside[i])
			free = &inside[i];
	}
	if (free)
		*free = task;
	return 1;
}

static void forget(pid_t task)
{
	for (int i = 0; i < TASKS_MAX; i++)
		if (inside[i] == task)
			inside[i] = 0;
}

int main(int count, char **words)
{
	if (count < 3)
		return 2;
	long left = atol(words[1]);
	pid_t first = fork();
	if (first == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execvp(words[2], words + 2);
		perror(words[2]);
		_exit(2);
	}
	int status;
	if (first < 0 || waitpid(first, &status, 0) < 0)
		return 2;
	/* When this ends, so does all of it. */
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL;
	ptrace(PTRACE_SETOPTIONS, first, 0, options);
	ptrace(PTRACE_SYSCALL, first, 0, 0);
	for (;;) {
		pid_t task = waitpid(-1, &status, __WALL);
		if (task < 0)
			return errno == ECHILD ? 0 : 2;
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			forget(task);
			if (task == first)
				return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
			continue;
		}
		int sig = WSTOPSIG(status);
		if (sig == (SIGTRAP | 0x80)) {
			struct user_regs_struct regs;
			sig = 0;
			if (enters(task) && !ptrace(PTRACE_GETREGS, task, 0, &regs) && regs.orig_rax == SYS_connect && --left <= 0)
				return STRUCK;
		} else if (sig == SIGTRAP || sig == SIGSTOP) {
			sig = 0;
		}
		ptrace(PTRACE_SYSCALL, task, 0, (long)sig);
	}
}
