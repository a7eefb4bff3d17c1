/* Preloaded into a daemon: its wall clock is wrong by as many seconds as stand in the file that EVMS_WALL names. All other
 * clocks are the kernel's. A namespace of time has no wall clock of its own, and this machine's belongs to others. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t wrong_by(void)
{
	char text[32] = "";
	const char *path = getenv("EVMS_WALL");
	int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (file < 0)
		return 0;
	if (read(file, text, sizeof text - 1) < 0)
		text[0] = 0;
	close(file);
	return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int failed = syscall(SYS_clock_gettime, clock, now);

	if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI))
		now->tv_sec += wrong_by();
	return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	int failed = syscall(SYS_gettimeofday, now, zone);

	if (!failed)
		now->tv_sec += wrong_by();
	return failed;
}

time_t time(time_t *also)
{
	struct timespec now = { 0 };

	clock_gettime(CLOCK_REALTIME, &now);
	if (also)
		*also = now.tv_sec;
	return now.tv_sec;
}
