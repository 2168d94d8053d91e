# SPDX-License-Identifier: MIT
"""Runs a command on a terminal: terminal.py COLUMNS COMMAND [ARGUMENT...]

Prints what it writes there, with plain newlines; exits as it does."""
import fcntl
import os
import pty
import struct
import sys
import termios


def main():
    columns, *command = sys.argv[1:]
    pid, fd = pty.fork()
    if pid == 0:
        # before the command asks for it
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(columns), 0, 0))
        os.execvp(command[0], command)
    while True:
        try:
            data = os.read(fd, 65536)
        except OSError:  # the other end has been closed
            data = b""
        if not data:
            break
        sys.stdout.buffer.write(data.replace(b"\r\n", b"\n"))
    sys.stdout.flush()
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


main()
