/* The least that brings linear volumes up: create, load, resume, one mknod each. What evms is measured beside.
 * usage: bare COUNT SECTORS MAJOR:MINOR...   volume i lies on device i % n, one behind the other from sector 8192 */
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static char buffer[4096];
static int control;

static struct dm_ioctl *ask(unsigned long command, const char *name, unsigned flags)
{
	struct dm_ioctl *dm = (void *)buffer;
	dm->version[0] = 4;
	dm->data_size = sizeof buffer;
	dm->data_start = sizeof *dm;
	dm->flags = flags;
	strcpy(dm->name, name);
	if (ioctl(control, command, dm)) {
		perror(name);
		exit(1);
	}
	return dm;
}

int main(int argc, char **argv)
{
	long count = atol(argv[1]), sectors = atol(argv[2]), devices = argc - 3;
	control = open("/dev/mapper/control", O_RDWR);
	mkdir("/dev/bare", 0755);
	for (long i = 0; i < count; i++) {
		char name[64], path[64];
		struct dm_target_spec *spec = (void *)(buffer + sizeof(struct dm_ioctl));
		snprintf(name, sizeof name, "bare-%ld", i);
		snprintf(path, sizeof path, "/dev/bare/%ld", i);
		memset(buffer, 0, 512);
		dev_t device = ask(DM_DEV_CREATE, name, 0)->dev;
		memset(buffer, 0, 512);
		((struct dm_ioctl *)buffer)->target_count = 1;
		spec->length = sectors;
		spec->next = 128;
		strcpy(spec->target_type, "linear");
		sprintf((char *)(spec + 1), "%s %ld", argv[3 + i % devices], 8192 + i / devices * sectors);
		ask(DM_TABLE_LOAD, name, 0);
		memset(buffer, 0, 512);
		ask(DM_DEV_SUSPEND, name, 0);
		mknod(path, S_IFBLK | 0600, device);
	}
	return 0;
}
