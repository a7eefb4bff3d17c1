/* Blocks that say who wrote them, past the page cache, and whose sectors stand on a device. Every sector of a block has the
 * same line: "NODE EPOCH COUNTER MICROSECONDS", the last one when the write began, by CLOCK_BOOTTIME.
 * usage: stamps write NODE EPOCH DEVICE BLOCKS LOG   one block behind the other, round and round, always one under way; when
 *                                        one fails: "write COUNTER failed: WHY; the last one ended at MICROSECONDS", and 1.
 *                                        The newest COUNTER that came back stands in LOG. Ends well when LOG.enough is there
 *        stamps fill NODE EPOCH DEVICE BLOCKS        each of them once
 *        stamps read DEVICE BLOCKS       for each writer "NODE EPOCH SECTORS COUNTER COUNTER MICROSECONDS MICROSECONDS": the
 *                                        lowest and the highest that is there */
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
	memset(block, 0, BLOCK);
	for (int at = 0; at < BLOCK; at += SECTOR)
		snprintf(block + at, SECTOR, "%s %s %lld %lld\n", node, epoch, counter, now_us());
}

static int write_all(char **words, long blocks, const char *log)
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
		ssize_t done = pwrite(device, block, BLOCK, counter % blocks * BLOCK);
		if (done != BLOCK) {
			printf("write %lld failed: %s; the last one ended at %lld\n", counter,
			       done < 0 ? strerror(errno) : "not all of it", last_us);
			return 1;
		}
		last_us = now_us();
		if (newest)
			*newest = counter;
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

int main(int argc, char **argv)
{
	block = aligned_alloc(BLOCK, BLOCK);
	if (argc == 7 && !strcmp(argv[1], "write") && atol(argv[5]) > 0)
		return write_all(argv + 2, atol(argv[5]), argv[6]);
	if (argc == 6 && !strcmp(argv[1], "fill") && atol(argv[5]) > 0)
		return write_all(argv + 2, atol(argv[5]), NULL);
	if (argc == 4 && !strcmp(argv[1], "read"))
		return read_all(argv[2], atol(argv[3]));
	fprintf(stderr, "usage: stamps write|fill|read ...\n");
	return 2;
}
