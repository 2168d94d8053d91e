#!/bin/bash
# SPDX-License-Identifier: MIT
# close-first = self: the daemon takes a duplicate of the other end to shut it down, and the program
# may close that end at that very moment. Then the duplicate keeps the file alive, and it must not
# go on firing in the program's epoll set. A thief of our own holds its duplicate for longer.
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

wire_init
daemon_start a <<-END
	policy self { role = server  local-port = {8001, 8002}  close-first = self }
END

# steal.py PORT: a server that closes with an edge or level event pending, while another process has
# a duplicate of the connection; prints how many events come afterwards
cat >"$dir/steal.py" <<-'END'
	import ctypes, os, select, socket, sys
	SYS_pidfd_getfd = 438
	order, taken = os.pipe(), os.pipe()
	if os.fork() == 0:
	    libc = ctypes.CDLL(None, use_errno=True)
	    parent = os.pidfd_open(os.getppid())
	    while (text := os.read(order[0], 16)) and text != b"end":
	        fd = libc.syscall(SYS_pidfd_getfd, parent, int(text), 0)
	        os.write(taken[1], b"1" if fd >= 0 else b"0")
	    os._exit(0)
	listener = socket.socket()
	listener.bind(("127.0.0.1", int(sys.argv[1])))
	listener.listen()
	stolen = events = 0
	ready = select.epoll()
	for mode in (0, select.EPOLLET) * 5:
	    client = socket.create_connection(listener.getsockname())
	    conn, _ = listener.accept()
	    ready.register(conn, select.EPOLLIN | select.EPOLLOUT | mode)
	    os.write(order[1], b"%d" % conn.fileno())
	    stolen += os.read(taken[0], 1) == b"1"
	    conn.close()
	    client.sendall(b"an event")
	    events += len(ready.poll(0.05))
	    client.close()
	os.write(order[1], b"end")
	os.wait()
	print(stolen, events)
END

steer a
is "10 0" "$(in_ns a timeout 60 "${STEER[@]}" "$python" "$dir/steal.py" 8001)" \
	"no event of what was closed while the daemon had a duplicate"
at_least 10 "$(ctl a status records.close)" "the daemon heard of these closes"
plain
stolen=$(in_ns a timeout 60 "$python" "$dir/steal.py" 8002)
is 10 "${stolen% *}" "without the library: the duplicates are there"
at_least 1 "${stolen#* }" "without the library: and events come"
finish
