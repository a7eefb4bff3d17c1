/* Reads or writes past the page cache, one request after another: 4 KiB at places that the same seed makes, or 1 MiB one
 * behind the other. usage: io DISK FIRST_BYTE BYTES read|write random|sequential COUNT */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned long long dice = 88172645463325252ull;

static unsigned long long next(void)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return dice;
}

int main(int argc, char **argv)
{
	if (argc != 7)
		return 2;
	unsigned long long first = strtoull(argv[2], 0, 10), bytes = strtoull(argv[3], 0, 10);
	int writes = !strcmp(argv[4], "write"), random = !strcmp(argv[5], "random");
	size_t piece = random ? 4096 : 1 << 20;
	void *buffer;
	int disk = open(argv[1], (writes ? O_WRONLY : O_RDONLY) | O_DIRECT);
	if (disk < 0 || posix_memalign(&buffer, 4096, piece)) {
		perror(argv[1]);
		return 1;
	}
	memset(buffer, 0x5a, piece);
	unsigned long long pieces = bytes / piece;
	for (long i = 0, count = atol(argv[6]); i < count; i++) {
		off_t at = first + (random ? next() % pieces : i % pieces) * piece;
		if ((writes ? pwrite(disk, buffer, piece, at) : pread(disk, buffer, piece, at)) != (ssize_t)piece) {
			perror(argv[1]);
			return 1;
		}
	}
	return 0;
}
