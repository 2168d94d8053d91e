/* SPDX-License-Identifier: MIT */
/* closes N tcp|no: closes N descriptors that are not TCP, having used TCP before or not; its
 * instructions are counted by test-close-cost.sh. */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	long n = argc > 1 ? atol(argv[1]) : 0;
	int fd = -1;

	if (argc > 2 && strcmp(argv[2], "tcp") == 0) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) != 0 ||
		    listen(fd, 1) != 0)
			return 1;
	}
	while (n-- > 0)
		close(open("/dev/null", O_RDONLY));
	return 0;
}
