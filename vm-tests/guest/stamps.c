/* Blocks that say who wrote them, past the page cache, and whose sectors stand on a device. Every sector of a block has the
 * same line: "NODE EPOCH COUNTER MICROSECONDS", the last one when the write began, by CLOCK_BOOTTIME.
 * usage: stamps write NODE EPOCH DEVICE BLOCKS LOG [FIRST [PAUSE]]   one block behind the other, round and round, always one
 *                                        under way; when one fails: "write COUNTER failed: WHY; the last one ended at
 *                                        MICROSECONDS", and 1. The newest COUNTER that came back stands in LOG. Ends well when
 *                                        LOG.enough is there. COUNTER stands in the block COUNTER % BLOCKS, counted from the
 *                                        block FIRST of the device; PAUSE microseconds are between two
 *        stamps fill NODE EPOCH DEVICE BLOCKS [FIRST]   each of them once
 *        stamps logs LOG...              "LOG COUNTER" for each of them that has one
 *        stamps read DEVICE BLOCKS       for each writer "NODE EPOCH SECTORS COUNTER COUNTER MICROSECONDS MICROSECONDS": the
 *                                        lowest and the highest that is there
 *        stamps runs DEVICE BLOCKS [FIRST]   "BLOCK COUNT NODE EPOCH COUNTER MICROSECONDS MICROSECONDS" for each run of blocks of
 *                                        one writer whose counters rise by one; "BLOCK mixed NODE EPOCH COUNTER MICROSECONDS"
 *                                        for each write of which a part stands in one block */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096
#define SECTOR 512
#define WRITERS_MAX 16

static char *block;

static long long now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static void stamp(const char *node, const char *epoch, long long counter)
{
	long long us = now_us();
	memset(block, 0, BLOCK);
	for (int at = 0; at < BLOCK; at += SECTOR)
		snprintf(block + at, SECTOR, "%s %s %lld %lld\n", node, epoch, counter, us);
}

static int write_all(char **words, long blocks, const char *log, long long from, long pause_us)
{
	int device = open(words[2], O_WRONLY | O_DIRECT);
	char enough[256];
	long long last_us = 0, *newest = NULL;
	if (device < 0)
		return perror(words[2]), 2;
	if (log) {
		int file = open(log, O_RDWR | O_CREAT | O_TRUNC, 0600);
		if (file < 0 || ftruncate(file, sizeof *newest))
			return perror(log), 2;
		newest = mmap(NULL, sizeof *newest, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
		snprintf(enough, sizeof enough, "%s.enough", log);
	}
	for (long long counter = 1; log ? access(enough, F_OK) : counter <= blocks; counter++) {
		stamp(words[0], words[1], counter);
		ssize_t done = pwrite(device, block, BLOCK, (from + counter % blocks) * BLOCK);
		if (done != BLOCK) {
			printf("write %lld failed: %s; the last one ended at %lld\n", counter,
			       done < 0 ? strerror(errno) : "not all of it", last_us);
			return 1;
		}
		last_us = now_us();
		if (newest)
			*newest = counter;
		if (pause_us)
			usleep(pause_us);
	}
	return 0;
}

static int read_logs(char **logs)
{
	for (; *logs; logs++) {
		long long newest;
		int file = open(*logs, O_RDONLY);
		if (file >= 0 && read(file, &newest, sizeof newest) == sizeof newest)
			printf("%s %lld\n", *logs, newest);
		if (file >= 0)
			close(file);
	}
	return 0;
}

static struct writer {
	char node[32], epoch[32];
	long sectors;
	long long low, high, first_us, last_us;
} writers[WRITERS_MAX];

static int note(const char *text)
{
	char node[32], epoch[32];
	long long counter, us;
	struct writer *found = writers;
	if (sscanf(text, "%31s %31s %lld %lld", node, epoch, &counter, &us) != 4) {
		strcpy(node, "nobody");
		strcpy(epoch, "0");
		counter = us = 0;
	}
	while (found < writers + WRITERS_MAX && found->sectors && (strcmp(found->node, node) || strcmp(found->epoch, epoch)))
		found++;
	if (found == writers + WRITERS_MAX)
		return 1;
	if (!found->sectors++) {
		strcpy(found->node, node);
		strcpy(found->epoch, epoch);
		found->low = found->high = counter;
		found->first_us = found->last_us = us;
	}
	if (counter < found->low)
		found->low = counter;
	if (counter > found->high)
		found->high = counter;
	if (us < found->first_us)
		found->first_us = us;
	if (us > found->last_us)
		found->last_us = us;
	return 0;
}

static int read_all(const char *path, long blocks)
{
	int device = open(path, O_RDONLY | O_DIRECT);
	if (device < 0)
		return perror(path), 2;
	for (long i = 0; i < blocks; i++) {
		if (pread(device, block, BLOCK, i * BLOCK) != BLOCK)
			return perror(path), 2;
		for (int at = 0; at < BLOCK; at += SECTOR) {
			block[at + SECTOR - 1] = 0;
			if (note(block + at))
				return fprintf(stderr, "more writers than %d\n", WRITERS_MAX), 2;
		}
	}
	for (struct writer *one = writers; one < writers + WRITERS_MAX && one->sectors; one++)
		printf("%s %s %ld %lld %lld %lld %lld\n", one->node, one->epoch, one->sectors, one->low, one->high,
		       one->first_us, one->last_us);
	return 0;
}

struct mark {
	char node[32], epoch[32];
	long long counter, us;
};

static struct mark mark_of(const char *text)
{
	struct mark mark = { "nobody", "0", 0, 0 }, read;
	return sscanf(text, "%31s %31s %lld %lld", read.node, read.epoch, &read.counter, &read.us) == 4 ? read : mark;
}

static int is_of(const struct mark *one, const struct mark *other)
{
	return !strcmp(one->node, other->node) && !strcmp(one->epoch, other->epoch);
}

/* The marks of a block, each once; how many there are. */
static int marks_of_block(struct mark *marks)
{
	int count = 0;
	for (int at = 0; at < BLOCK; at += SECTOR) {
		int i = 0;
		block[at + SECTOR - 1] = 0;
		struct mark mark = mark_of(block + at);
		while (i < count && !(is_of(&marks[i], &mark) && marks[i].counter == mark.counter))
			i++;
		if (i == count)
			marks[count++] = mark;
	}
	return count;
}

static void print_run(long at, long long count, const struct mark *first, const struct mark *last)
{
	if (count)
		printf("%ld %lld %s %s %lld %lld %lld\n", at, count, first->node, first->epoch, first->counter, first->us, last->us);
}

static int read_runs(const char *path, long blocks, long long from)
{
	int device = open(path, O_RDONLY | O_DIRECT);
	struct mark first = { 0 }, last = { 0 }, marks[BLOCK / SECTOR];
	long at = 0, count = 0;
	if (device < 0)
		return perror(path), 2;
	for (long i = 0; i < blocks; i++) {
		if (pread(device, block, BLOCK, (from + i) * BLOCK) != BLOCK)
			return perror(path), 2;
		int parts = marks_of_block(marks);
		if (parts == 1 && count && is_of(&last, marks) && marks->counter == last.counter + (last.counter > 0)) {
			count++;
			last = *marks;
			continue;
		}
		print_run(at, count, &first, &last);
		count = parts == 1;
		at = i;
		first = last = *marks;
		for (int part = 0; parts > 1 && part < parts; part++)
			printf("%ld mixed %s %s %lld %lld\n", i, marks[part].node, marks[part].epoch, marks[part].counter,
			       marks[part].us);
	}
	print_run(at, count, &first, &last);
	return 0;
}

static long long number_or(int argc, char **argv, int at, long long other)
{
	return at < argc ? atoll(argv[at]) : other;
}

int main(int argc, char **argv)
{
	block = aligned_alloc(BLOCK, BLOCK);
	if (argc >= 7 && argc <= 9 && !strcmp(argv[1], "write") && atol(argv[5]) > 0)
		return write_all(argv + 2, atol(argv[5]), argv[6], number_or(argc, argv, 7, 0), number_or(argc, argv, 8, 0));
	if (argc >= 6 && argc <= 7 && !strcmp(argv[1], "fill") && atol(argv[5]) > 0)
		return write_all(argv + 2, atol(argv[5]), NULL, number_or(argc, argv, 6, 0), 0);
	if (argc >= 3 && !strcmp(argv[1], "logs"))
		return read_logs(argv + 2);
	if (argc == 4 && !strcmp(argv[1], "read"))
		return read_all(argv[2], atol(argv[3]));
	if (argc >= 4 && argc <= 5 && !strcmp(argv[1], "runs"))
		return read_runs(argv[2], atol(argv[3]), number_or(argc, argv, 4, 0));
	fprintf(stderr, "usage: stamps write|fill|logs|read|runs ...\n");
	return 2;
}
