#!/bin/bash
# SPDX-License-Identifier: MIT
# Big servers with real work, plainly and steered: what their clients get is the same, and nine tenths
# of what they close first is handed over.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/shim/lib.sh
. "$(dirname "$0")/lib.sh"

count=60

# served NAME AT-LEAST START WORK STOP: three functions; WORK prints what clients saw
served() {
	local name=$1 want=$2 mode before
	shift 2
	for mode in plain watch peer none; do
		plain
		if [ "$mode" != plain ]; then
			steer cases "${case_options[$mode]}"
			read -ra before < <(case_counts)
		fi
		case_want=$want
		[ "$mode" = peer ] || case_want=0
		if ! "$1"; then
			not_ok "$name, $mode: it starts"
		else
			"$2" >"$dir/$mode.out" 2>&1
		fi
		"$3"
		[ "$mode" != plain ] || continue
		if ! cmp -s "$dir/plain.out" "$dir/$mode.out"; then
			not_ok "$name, $mode: the same for its clients" \
				"$(diff "$dir/plain.out" "$dir/$mode.out" | head -n 20)"
		elif ! wait_for 20 case_active "${before[@]}"; then
			not_ok "$name, $mode: and the shim was at work" "$case_seen, wanted $case_want"
		else
			ok "$name, $mode: the same for its clients; $case_seen"
		fi
	done
	note "$name, plain: $(sort "$dir/plain.out" | uniq -c | head -n 4 | tr '\n' ';')"
}

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
			'cat | wc -c; echo $LOGNAME; exit '$i < <(head -c $((i * 100000)) /dev/zero)
		echo "exit status $?"
	done
	grep -ciE 'killed|fatal|violation' "$dir/sshd.log"
}

ssh_stop() {
	stop sshd
}

# --- PostgreSQL: a process for each connection ---

pg_bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)

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
		-f <(echo 'select count(*) from t;') 2>&1 | grep 'actually processed\|failed'
	in_ns a "${psql[@]}" -c 'select count(*) from t'
}

pg_stop() {
	stop postgres INT
}

# --- PHP-FPM, which closes first, behind nginx ---

php_fpm=$(command -v /usr/sbin/php-fpm* | tail -n 1)

php_prepare() {
	mkdir -p "$dir/php"
	# shellcheck disable=SC2016 # PHP's
	echo '<?php echo str_repeat(md5($_GET["n"]), $_GET["n"] * 10), getenv("REQUEST_METHOD") ?>' >"$dir/php/page.php"
	cat >"$dir/php/fpm.conf" <<-END
		[global]
		error_log = $dir/php/log
		[www]
		user = www-data
		group = www-data
		listen = 127.0.0.1:8041
		pm = static
		pm.max_children = 3
		pm.max_requests = 10
	END
	cat >"$dir/php/nginx.conf" <<-END
		daemon off;
		pid $dir/php/pid;
		error_log $dir/php/nginx.log;
		events { }
		http {
			access_log off;
			client_body_temp_path $dir/php/body;
			proxy_temp_path $dir/php/proxy;
			fastcgi_temp_path $dir/php/fastcgi;
			uwsgi_temp_path $dir/php/uwsgi;
			scgi_temp_path $dir/php/scgi;
			server {
				listen 127.0.0.1:8040;
				location / {
					include /etc/nginx/fastcgi_params;
					fastcgi_param SCRIPT_FILENAME $dir/php/page.php;
					fastcgi_pass 127.0.0.1:8041;
				}
			}
		}
	END
}

php_start() {
	start_listening a fpm 8041 "${STEER[@]}" "$php_fpm" -F -y "$dir/php/fpm.conf" &&
		start_listening a nginx 8040 nginx -e "$dir/php/nginx.log" -c "$dir/php/nginx.conf"
}

php_work() {
	for ((i = 1; i <= count; i++)); do
		in_ns a curl -s -m 20 "http://127.0.0.1:8040/?n=$i" | cksum
	done
}

php_stop() {
	stop nginx
	stop fpm
}

# --- nginx: a reload and a new binary between requests; it keeps of its environment what it is told ---

nginx_prepare() {
	mkdir -p "$dir/nginx"
	cat >"$dir/nginx/conf" <<-END
		daemon off;
		pid $dir/nginx/pid;
		error_log $dir/nginx/log;
		env LD_PRELOAD;
		env CLOSESIDE_SOCKET;
		worker_processes 2;
		events { }
		http {
			access_log off;
			keepalive_timeout 0;
			client_body_temp_path $dir/nginx/body;
			proxy_temp_path $dir/nginx/proxy;
			fastcgi_temp_path $dir/nginx/fastcgi;
			uwsgi_temp_path $dir/nginx/uwsgi;
			scgi_temp_path $dir/nginx/scgi;
			server {
				listen 127.0.0.1:8050;
				location / { return 200 "\$request_uri\n"; }
			}
		}
	END
}

nginx_start() {
	start_listening a nginx 8050 "${STEER[@]}" "$(command -v nginx)" -e "$dir/nginx/log" -c "$dir/nginx/conf"
}

curls() {
	for ((i = 1; i <= count / 3; i++)); do
		in_ns a curl -s -m 20 "http://127.0.0.1:$1/$i"
		echo " status $?"
	done
}

nginx_new_pid() {
	[ -s "$dir/nginx/pid.oldbin" ] && [ -s "$dir/nginx/pid" ] && [ "$(cat "$dir/nginx/pid")" != "${pid_of[nginx]}" ]
}

nginx_work() {
	curls 8050
	signal nginx HUP
	curls 8050
	signal nginx USR2
	wait_for 20 nginx_new_pid && echo "a new binary"
	signal nginx QUIT
	wait_for 20 pid_gone "${pid_of[nginx]}" && echo "the old one is gone"
	curls 8050
}

nginx_stop() {
	kill "$(cat "$dir/nginx/pid")" 2>/dev/null
	wait_for 10 pid_gone "$(cat "$dir/nginx/pid" 2>/dev/null)"
	stop nginx
}

# --- Apache's other ways of working, with a graceful restart ---

apache_prepare() {
	mkdir -p "$dir/apache/www"
	for i in $(seq "$count"); do echo "/$i" >"$dir/apache/www/$i"; done
}

apache_start() {
	local modules=/usr/lib/apache2/modules
	cat >"$dir/apache/conf" <<-END
		ServerRoot $dir/apache
		ServerName localhost
		PidFile $dir/apache/pid
		ErrorLog $dir/apache/log
		DefaultRuntimeDir $dir/apache
		LoadModule mpm_${mpm}_module $modules/mod_mpm_$mpm.so
		LoadModule authz_core_module $modules/mod_authz_core.so
		User www-data
		Group www-data
		Listen 127.0.0.1:8060
		KeepAlive Off
		StartServers 2
		DocumentRoot $dir/apache/www
		<Directory />
			Require all granted
		</Directory>
	END
	rm -f "$dir/apache/pid"
	start_listening a apache 8060 "${STEER[@]}" apache2 -D FOREGROUND -f "$dir/apache/conf"
}

apache_work() {
	curls 8060
	signal apache USR1
	curls 8060
}

apache_stop() {
	stop apache
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
php_prepare
# nginx waits for its EOF.
long=${case_options[peer]}
case_options[peer]=${long/grace=2s/grace=50ms}
served PHP-FPM $((count * 9 / 10)) php_start php_work php_stop
case_options[peer]=$long
nginx_prepare
served "nginx, reloaded and upgraded" $((count * 9 / 10)) nginx_start nginx_work nginx_stop
apache_prepare
for mpm in prefork worker event; do
	served "Apache's $mpm" $((count * 6 / 10)) apache_start apache_work apache_stop
done
inetd_prepare
served inetd 0 inetd_start inetd_work inetd_stop
served "a listener from elsewhere" $((count * 3 / 10)) activated_start activated_work activated_stop
served memcached $((count * 9 / 10)) memcached_start memcached_work memcached_stop
finish
