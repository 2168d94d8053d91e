#!/bin/bash
# SPDX-License-Identifier: MIT
# Servers that are no web servers, with real work, plainly and steered.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/shim/served.sh
. "$(dirname "$0")/served.sh"

# --- sshd: its child is under a filter that kills, before the user is known ---

ssh_prepare() {
	mkdir -p /run/sshd "$dir/ssh"
	ssh-keygen -q -t ed25519 -N '' -f "$dir/ssh/host"
	ssh-keygen -q -t ed25519 -N '' -f "$dir/ssh/key"
	cp "$dir/ssh/key.pub" "$dir/ssh/authorized"
	cat >"$dir/ssh/config" <<-END
		Port 8022
		ListenAddress 127.0.0.1
		HostKey $dir/ssh/host
		AuthorizedKeysFile $dir/ssh/authorized
		StrictModes no
		UsePAM no
		PermitRootLogin prohibit-password
		PidFile none
		MaxStartups 100
	END
}

ssh_start() {
	start_listening a sshd 8022 "${STEER[@]}" /usr/sbin/sshd -D -e -f "$dir/ssh/config"
}

ssh_work() {
	for i in 1 2 3 4 5 6; do
		# shellcheck disable=SC2016 # the other end expands it
		in_ns a timeout 30 ssh -q -F none -i "$dir/ssh/key" -p 8022 -o BatchMode=yes \
			-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@127.0.0.1 \
			'cat | wc -c; echo $LOGNAME; exit '"$i" < <(head -c $((i * 100000)) /dev/zero)
		echo "exit status $?"
	done
	grep -ciE 'killed|fatal|violation' "$dir/sshd.log"
}

ssh_stop() {
	stop sshd
}

# --- PostgreSQL: a process for each connection ---

pg_bins=(/usr/lib/postgresql/*/bin)
pg_bin=${pg_bins[-1]}

pg_prepare() {
	mkdir "$dir/pg" && chown postgres "$dir/pg"
	setpriv --reuid=postgres --regid=postgres --clear-groups \
		"$pg_bin/initdb" -D "$dir/pg/data" -A trust --no-sync -U postgres >"$dir/initdb.log" 2>&1
}

pg_start() {
	start_listening a postgres 8032 "${STEER[@]}" setpriv --reuid=postgres --regid=postgres \
		--clear-groups "$pg_bin/postgres" -D "$dir/pg/data" -p 8032 -h 127.0.0.1 -k "$dir/pg" \
		-c fsync=off -c shared_buffers=16MB && wait_for 20 pg_ready
}

pg_ready() {
	in_ns a "$pg_bin/pg_isready" -h 127.0.0.1 -p 8032
}

pg_work() {
	local psql=("$pg_bin/psql" -X -h 127.0.0.1 -p 8032 -U postgres -At)
	in_ns a "${psql[@]}" -c 'set client_min_messages = warning' \
		-c 'drop table if exists t' -c 'create table t as select generate_series(1, 1000) n'
	for i in 1 2 3 4 5; do
		in_ns a "${psql[@]}" -c "select sum(n) * $i from t" -c 'select pg_terminate_backend(pg_backend_pid())' 2>&1 |
			grep -v 'pid\|PID'
	done
	in_ns a "$pg_bin/pgbench" -n -C -c 4 -t $((count / 4)) -h 127.0.0.1 -p 8032 -U postgres \
		-f <(echo 'select count(*) from t;') postgres 2>&1 | grep 'actually processed\|failed'
	in_ns a "${psql[@]}" -c 'select count(*) from t'
}

pg_stop() {
	stop postgres INT
}

# --- inetd and socket activation: the connection, or the listener, comes from another process ---

inetd_prepare() {
	cat >"$dir/inetd.sh" <<-'END'
		#!/bin/sh
		read -r line
		printf '6\nhello\n'
	END
	chmod 755 "$dir/inetd.sh"
	echo "127.0.0.1:8070 stream tcp nowait.1000 root $dir/inetd.sh inetd.sh" >"$dir/inetd.conf"
}

inetd_start() {
	start_listening a inetd 8070 "${STEER[@]}" /usr/sbin/inetd -i "$dir/inetd.conf"
}

# Ask and read as much as is promised.
ask() {
	in_ns a timeout 20 "$python" - "$1" $((count / 3)) <<-'END'
		import socket, sys, time
		for n in range(int(sys.argv[2])):
		    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20) as sock:
		        sock.sendall(b"%d\n" % n)
		        with sock.makefile("rb") as stream:
		            print(stream.read(int(stream.readline())))
		        time.sleep(0.02)
	END
}

inetd_work() {
	ask 8070
}

inetd_stop() {
	stop inetd
}

activated_start() {
	cat >"$dir/activate.py" <<-'END'
		import os, socket, sys
		listener = socket.create_server(("127.0.0.1", 8080), backlog=50)
		os.dup2(listener.fileno(), 3)
		os.set_inheritable(3, True)
		os.environ["LISTEN_PID"] = str(os.getpid())
		os.environ["LISTEN_FDS"] = "1"
		os.execv(sys.executable, [sys.executable, sys.argv[1]])
	END
	cat >"$dir/activated.py" <<-'END'
		import socket
		listener = socket.socket(fileno=3)
		while True:
		    sock, _ = listener.accept()
		    with sock, sock.makefile("rb") as stream:
		        stream.readline()
		        sock.sendall(b"6\nhello\n")
	END
	start_listening a activated 8080 "${STEER[@]}" "$python" "$dir/activate.py" "$dir/activated.py"
}

activated_work() {
	ask 8080
}

activated_stop() {
	stop activated
}

# --- memcached, redis: their clients close first, except when the server is told to ---

memcached_start() {
	start_listening a memcached 8090 "${STEER[@]}" memcached -u nobody -l 127.0.0.1 -p 8090 -U 0 -t 2 -k
}

memcached_work() {
	in_ns a timeout 30 "$python" - "$count" <<-'END'
		import socket, sys, time
		for n in range(int(sys.argv[1])):
		    with socket.create_connection(("127.0.0.1", 8090), timeout=20) as sock:
		        stream = sock.makefile("rb")
		        sock.sendall(b"set k%d 0 0 3\r\nabc\r\nget k%d\r\n" % (n, n))
		        print([stream.readline() for _ in range(4)])
		        sock.sendall(b"quit\r\n")
		        time.sleep(0.02)
	END
}

memcached_stop() {
	stop memcached
}

cases_init
ssh_prepare
# Its children exec themselves with the connection, which nobody counted: none is handed over.
served sshd 0 ssh_start ssh_work ssh_stop
pg_prepare
served PostgreSQL 4 pg_start pg_work pg_stop
inetd_prepare
served inetd 0 inetd_start inetd_work inetd_stop
served "a listener from elsewhere" $((count * 8 / 10 / 3)) activated_start activated_work activated_stop
served memcached $((count * 9 / 10)) memcached_start memcached_work memcached_stop
finish
