/* Device-mapper by bare ioctls, and by many threads at once: what no tool does. Each prints how long all of it took.
 * usage: gates suspend|remove|create THREADS NAME...   the names are dealt out in turn; create makes error devices
 * prints "NANOSECONDS"; ends with 1 when one of them failed, after all were tried */
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define THREADS_MAX 16
#define BUFFER_BYTES 4096
#define SECTORS 2048

static char **names;
static long names_count, threads_count;
static const char *verb;
static int control, failed;

static void ask(unsigned long command, const char *name, unsigned flags, const char *target)
{
	_Alignas(8) char buffer[BUFFER_BYTES] = { 0 };
	struct dm_ioctl *dm = (void *)buffer;
	struct dm_target_spec *spec = (void *)(dm + 1);
	dm->version[0] = 4;
	dm->data_size = sizeof buffer;
	dm->data_start = sizeof *dm;
	dm->flags = flags;
	snprintf(dm->name, sizeof dm->name, "%s", name);
	if (target) {
		dm->target_count = 1;
		spec->length = SECTORS;
		strcpy(spec->target_type, target);
	}
	if (ioctl(control, command, dm)) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		failed = 1;
	}
}

static void one(const char *name)
{
	if (!strcmp(verb, "suspend")) {
		ask(DM_DEV_SUSPEND, name, DM_SUSPEND_FLAG | DM_NOFLUSH_FLAG | DM_SKIP_LOCKFS_FLAG, NULL);
	} else if (!strcmp(verb, "remove")) {
		ask(DM_DEV_REMOVE, name, 0, NULL);
	} else {
		ask(DM_DEV_CREATE, name, 0, NULL);
		ask(DM_TABLE_LOAD, name, 0, "error");
		ask(DM_DEV_SUSPEND, name, 0, NULL);
	}
}

static void *turn(void *first)
{
	for (long i = (long)first; i < names_count; i += threads_count)
		one(names[i]);
	return NULL;
}

int main(int argc, char **argv)
{
	struct timespec begin, end;
	pthread_t threads[THREADS_MAX];
	if (argc < 4 || (threads_count = atol(argv[2])) < 1 || threads_count > THREADS_MAX) {
		fprintf(stderr, "usage: gates suspend|remove|create THREADS NAME...\n");
		return 2;
	}
	verb = argv[1];
	names = argv + 3;
	names_count = argc - 3;
	control = open("/dev/mapper/control", O_RDWR);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	/* The first turn is this thread's own: one thread means none is started. */
	for (long i = 1; i < threads_count; i++)
		if (pthread_create(&threads[i], NULL, turn, (void *)i))
			return 3;
	turn((void *)0L);
	for (long i = 1; i < threads_count; i++)
		pthread_join(threads[i], NULL);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%lld\n", (end.tv_sec - begin.tv_sec) * 1000000000LL + end.tv_nsec - begin.tv_nsec);
	return failed;
}
