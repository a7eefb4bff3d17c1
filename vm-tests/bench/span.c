/* Runs a command and says how much processor time it took, how long it took, and how much memory it had at most:
 * "NANOSECONDS NANOSECONDS KIBIBYTES". Processor time is what the kernel charged to the process and all its threads, to
 * the nanosecond: under an emulator that counts instructions it is the count of them, without waits for disks. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long ns(struct timespec time)
{
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int argc, char **argv)
{
	struct timespec begin, end, used = { 0, 0 };
	struct rusage usage;
	siginfo_t info;
	clockid_t clock;
	int status;
	if (argc < 2)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	pid_t child = fork();
	if (child == 0) {
		if (!freopen("/dev/null", "w", stdout))
			_exit(126);
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	/* Its clock can be read until it is collected. */
	waitid(P_PID, child, &info, WEXITED | WNOWAIT);
	clock_gettime(CLOCK_MONOTONIC, &end);
	if (clock_getcpuclockid(child, &clock) || clock_gettime(clock, &used))
		return 126;
	wait4(child, &status, 0, &usage);
	printf("%lld %lld %ld\n", ns(used), ns(end) - ns(begin), usage.ru_maxrss);
	return WEXITSTATUS(status);
}
