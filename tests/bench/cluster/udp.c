/* Datagrams to another program and back, and nothing else: what the network and the kernel cost without us.
 * usage: udp echo ADDRESS | udp ping ADDRESS BYTES ROUNDS AT-ONCE
 * A message is one sendto of one datagram: what is larger than the path is cut by IP, and the loss of a piece loses it all.
 * Prints: bytes, rounds, lost, median ns, all ns. What was sent for a second and did not come back is lost. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#define PORT 7999
#define DATAGRAM_BYTES_MAX 65507
#define ROUNDS_MAX 1000000

static char buffer[65536];
static unsigned long long began[ROUNDS_MAX], took[ROUNDS_MAX];

static unsigned long long now(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000ull + at.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int compare(const void *a, const void *b)
{
	unsigned long long x = *(const unsigned long long *)a, y = *(const unsigned long long *)b;
	return x < y ? -1 : x > y;
}

static void echo(int s)
{
	for (;;) {
		struct sockaddr_in from;
		socklen_t length = sizeof from;
		ssize_t bytes = recvfrom(s, buffer, sizeof buffer, 0, (void *)&from, &length);
		if (bytes >= 0)
			sendto(s, buffer, bytes, 0, (void *)&from, length);
	}
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	int s = socket(AF_INET, SOCK_DGRAM, 0), room = 4 << 20;
	setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
	setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	inet_pton(AF_INET, argv[2], &to.sin_addr);
	if (!strcmp(argv[1], "echo")) {
		if (bind(s, (void *)&to, sizeof to))
			die("bind");
		echo(s);
	}
	if (argc < 6)
		return 2;
	size_t bytes = atol(argv[3]);
	if (bytes > DATAGRAM_BYTES_MAX)
		bytes = DATAGRAM_BYTES_MAX;
	unsigned long rounds = atol(argv[4]), at_once = atol(argv[5]), sent = 0, came = 0, lost = 0, under_way = 0;
	if (rounds > ROUNDS_MAX)
		return 2;
	struct timeval patience = { .tv_sec = 1 };
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	unsigned long long begin = now();
	while (came + lost < rounds) {
		while (under_way < at_once && sent < rounds) {
			memcpy(buffer, &sent, sizeof sent);
			began[sent] = now();
			if (sendto(s, buffer, bytes, 0, (void *)&to, sizeof to) < 0)
				die("sendto");
			sent++, under_way++;
		}
		if (recv(s, buffer, sizeof buffer, 0) < 0) {
			if (errno != EAGAIN)
				die("recv");
			lost += under_way, under_way = 0;
			continue;
		}
		unsigned long number;
		memcpy(&number, buffer, sizeof number);
		if (number < sent && under_way)
			took[came++] = now() - began[number], under_way--;
	}
	unsigned long long all = now() - begin;
	qsort(took, came, sizeof took[0], compare);
	printf("%zu %lu %lu %llu %llu\n", bytes, came, lost, came ? took[came / 2] : 0, all);
	return 0;
}
