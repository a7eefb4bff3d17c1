/* The least that closes gates: a thread for each, started before the order comes, and one ioctl each from a buffer that is
 * there. What evms is measured beside. Opens them again when all are closed.
 * usage: closing NAME...   prints "NANOSECONDS NANOSECONDS" of CLOCK_BOOTTIME: the order, and the end of the last ioctl */
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#define GATES_MAX 64
#define BUFFER_BYTES 512
/* As the keeper's of evms. */
#define PRIORITY 21

static struct gate {
	_Alignas(8) char buffer[BUFFER_BYTES];
	long long end_ns;
	pthread_t thread;
} gates[GATES_MAX];
static pthread_barrier_t order;
static int control, failed;

static long long now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void fill(struct gate *gate, const char *name, unsigned flags)
{
	struct dm_ioctl *dm = (void *)gate->buffer;
	memset(gate->buffer, 0, sizeof gate->buffer);
	dm->version[0] = 4;
	dm->data_size = sizeof gate->buffer;
	dm->data_start = sizeof *dm;
	dm->flags = flags;
	snprintf(dm->name, sizeof dm->name, "%s", name);
}

static void *stand(void *at)
{
	struct gate *gate = at;
	pthread_barrier_wait(&order);
	if (ioctl(control, DM_DEV_SUSPEND, gate->buffer))
		failed = errno;
	gate->end_ns = now_ns();
	return NULL;
}

int main(int argc, char **argv)
{
	struct sched_param first = { .sched_priority = PRIORITY };
	long long begin_ns, end_ns = 0;
	int count = argc - 1;
	if (count < 1 || count > GATES_MAX)
		return 2;
	control = open("/dev/mapper/control", O_RDWR);
	if (control < 0 || mlockall(MCL_CURRENT | MCL_FUTURE) || sched_setscheduler(0, SCHED_RR, &first))
		return 3;
	pthread_barrier_init(&order, NULL, count + 1);
	for (int i = 0; i < count; i++) {
		fill(&gates[i], argv[i + 1], DM_SUSPEND_FLAG | DM_NOFLUSH_FLAG | DM_SKIP_LOCKFS_FLAG);
		if (pthread_create(&gates[i].thread, NULL, stand, &gates[i]))
			return 3;
	}
	/* All of them stand at the barrier by then. */
	nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	begin_ns = now_ns();
	pthread_barrier_wait(&order);
	for (int i = 0; i < count; i++) {
		pthread_join(gates[i].thread, NULL);
		if (gates[i].end_ns > end_ns)
			end_ns = gates[i].end_ns;
	}
	printf("%lld %lld\n", begin_ns, end_ns);
	for (int i = 0; i < count; i++) {
		fill(&gates[i], argv[i + 1], 0);
		if (ioctl(control, DM_DEV_SUSPEND, gates[i].buffer))
			failed = errno;
	}
	return failed != 0;
}
