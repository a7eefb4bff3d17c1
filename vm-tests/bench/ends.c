/* The least that looking at disks costs: finds those of the kernel whose name begins so, opens each, asks its size, and
 * reads 8 KiB at both ends, past the page cache. usage: ends PREFIX */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BYTES = 8192 };

static void *buffer;

static int look(const char *name)
{
	char path[300];
	unsigned long long size;
	snprintf(path, sizeof path, "/dev/%s", name);
	int disk = open(path, O_RDONLY | O_DIRECT);
	if (disk < 0 || ioctl(disk, BLKGETSIZE64, &size) || pread(disk, buffer, BYTES, 0) != BYTES ||
	    pread(disk, buffer, BYTES, size / 4096 * 4096 - BYTES) != BYTES) {
		perror(path);
		return 1;
	}
	return close(disk);
}

int main(int argc, char **argv)
{
	struct dirent *entry;
	DIR *block = opendir("/sys/block");
	if (argc != 2 || !block || posix_memalign(&buffer, 4096, BYTES))
		return 2;
	while ((entry = readdir(block)))
		if (!strncmp(entry->d_name, argv[1], strlen(argv[1])) && look(entry->d_name))
			return 1;
	return 0;
}
