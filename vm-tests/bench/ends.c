/* The least that looking at disks costs: opens each, asks its size, and reads 8 KiB at both ends, past the page cache.
 * usage: ends DISK... */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BYTES = 8192 };

int main(int argc, char **argv)
{
	unsigned long long size;
	void *buffer;
	if (posix_memalign(&buffer, 4096, BYTES))
		return 1;
	for (int i = 1; i < argc; i++) {
		int disk = open(argv[i], O_RDONLY | O_DIRECT);
		if (disk < 0 || ioctl(disk, BLKGETSIZE64, &size) || pread(disk, buffer, BYTES, 0) != BYTES ||
		    pread(disk, buffer, BYTES, size / 4096 * 4096 - BYTES) != BYTES) {
			perror(argv[i]);
			return 1;
		}
		close(disk);
	}
	return 0;
}
