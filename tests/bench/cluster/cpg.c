/* The same over Corosync's closed process groups: every message goes to all members of the group, in one order for all.
 * usage: cpg echo | cpg ping BYTES ROUNDS AT-ONCE | cpg flood BYTES MESSAGES
 * ping: a message to the group, and back from the other member. flood: messages as fast as they are taken, till the last
 * one was delivered here. Prints: bytes, rounds or messages, lost (none), median ns, all ns. */
#include <corosync/corotypes.h>
#include <corosync/cpg.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 1000000
#define BYTES_MAX (64 * 1024)
#define WAITING_MAX 4096

struct head {
	unsigned long number, kind;
	int pid;
};
enum { PING, PONG, FLOOD };

static char buffer[BYTES_MAX];
static unsigned long long began[ROUNDS_MAX], took[ROUNDS_MAX];
static unsigned long came, members, echoes, first_waiting, last_waiting;
static struct {
	struct head head;
	size_t bytes;
} waiting[WAITING_MAX];
static struct cpg_name group = { .length = 4, .value = "evms" };

static unsigned long long now(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000ull + at.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	unsigned long long x = *(const unsigned long long *)a, y = *(const unsigned long long *)b;
	return x < y ? -1 : x > y;
}

/* Was it taken? Else later. */
static int say(cpg_handle_t cpg, struct head head, size_t bytes)
{
	memcpy(buffer, &head, sizeof head);
	struct iovec part = { buffer, bytes };
	cs_error_t error = cpg_mcast_joined(cpg, CPG_TYPE_AGREED, &part, 1);
	if (error != CS_OK && error != CS_ERR_TRY_AGAIN) {
		fprintf(stderr, "cpg_mcast_joined: %d\n", error);
		exit(1);
	}
	return error == CS_OK;
}

static void deliver(cpg_handle_t cpg, const struct cpg_name *name, uint32_t node, uint32_t pid, void *message, size_t bytes)
{
	(void)cpg, (void)name, (void)node, (void)pid;
	struct head head;
	memcpy(&head, message, sizeof head);
	if (echoes && head.kind == PING) {
		head.kind = PONG;
		waiting[last_waiting % WAITING_MAX].head = head;
		waiting[last_waiting++ % WAITING_MAX].bytes = bytes;
	} else if (!echoes && head.kind != PING && head.pid == getpid()) {
		took[came++] = now() - began[head.number];
	}
}

static void configuration(cpg_handle_t cpg, const struct cpg_name *name, const struct cpg_address *all, size_t count,
			  const struct cpg_address *left, size_t lefts, const struct cpg_address *joined, size_t joins)
{
	(void)cpg, (void)name, (void)all, (void)left, (void)lefts, (void)joined, (void)joins;
	members = count;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	cpg_callbacks_t callbacks = { .cpg_deliver_fn = deliver, .cpg_confchg_fn = configuration };
	cpg_handle_t cpg;
	int fd;
	cs_error_t error = cpg_initialize(&cpg, &callbacks);
	if (error == CS_OK)
		error = cpg_join(cpg, &group);
	if (error != CS_OK) {
		fprintf(stderr, "cpg: %d\n", error);
		return 1;
	}
	cpg_fd_get(cpg, &fd);
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	echoes = !strcmp(argv[1], "echo");
	int flood = !strcmp(argv[1], "flood");
	size_t bytes = argc > 2 ? atol(argv[2]) : 0;
	unsigned long rounds = argc > 3 ? atol(argv[3]) : 0, at_once = argc > 4 ? atol(argv[4]) : ROUNDS_MAX, sent = 0;
	if (rounds > ROUNDS_MAX || bytes > BYTES_MAX)
		return 2;
	while (!echoes && members < 2) {
		poll(&readable, 1, 100);
		cpg_dispatch(cpg, CS_DISPATCH_ALL);
	}
	unsigned long long begin = now();
	while (echoes || came < rounds) {
		int full = 0;
		while (first_waiting < last_waiting && !full) {
			full = !say(cpg, waiting[first_waiting % WAITING_MAX].head, waiting[first_waiting % WAITING_MAX].bytes);
			first_waiting += !full;
		}
		while (!echoes && sent < rounds && sent - came < at_once && !full) {
			struct head head = { sent, flood ? FLOOD : PING, getpid() };
			began[sent] = now();
			full = !say(cpg, head, bytes);
			sent += !full;
		}
		/* When nothing is taken there is no bell for when it is again: look soon. */
		poll(&readable, 1, full ? 0 : -1);
		error = cpg_dispatch(cpg, CS_DISPATCH_ALL);
		if (error != CS_OK && error != CS_ERR_TRY_AGAIN)
			return 1;
	}
	unsigned long long all = now() - begin;
	qsort(took, came, sizeof took[0], compare);
	printf("%zu %lu 0 %llu %llu\n", bytes, came, came ? took[came / 2] : 0, all);
	return 0;
}
