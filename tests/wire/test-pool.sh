#!/bin/bash
# SPDX-License-Identifier: MIT
# Clients that pool connections, against a server that times idle ones out, reloads and restarts at
# random: with close-first = peer no more requests fail than without. Both servers at the same time,
# with the same clients, pauses, reloads and restarts.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

seconds=${WIRE_SECONDS:-15}
threads=8
declare -A port=([plain]=8001 [steered]=8002) proxy=([plain]=9001 [steered]=9002)

have nginx || skip_all "nginx is not installed"
have haproxy || skip_all "haproxy is not installed"

# nginx_start plain|steered
nginx_start() {
	mkdir -p "$dir/$1"
	cat >"$dir/$1/nginx.conf" <<-END
		daemon off;
		pid $dir/$1/pid;
		error_log $dir/$1/error.log;
		worker_processes 2;
		events { worker_connections 256; }
		http {
			access_log off;
			keepalive_timeout 400ms;
			client_body_temp_path $dir/$1; proxy_temp_path $dir/$1; fastcgi_temp_path $dir/$1;
			uwsgi_temp_path $dir/$1; scgi_temp_path $dir/$1;
			server { listen ${port[$1]}; location / { return 200 "hello\n"; } }
		}
	END
	if [ "$1" = steered ]; then steer a; else plain; fi
	start_listening a "$1" "${port[$1]}" "${STEER[@]}" nginx -c "$dir/$1/nginx.conf" -p "$dir/$1"
}

proxy_start() {
	cat >"$dir/haproxy.conf" <<-END
		global
			maxconn 500
		defaults
			mode http
			timeout client 10s
			timeout server 10s
			timeout connect 5s
			retries 0
			http-reuse always
		listen plain
			bind 127.0.0.1:${proxy[plain]}
			server a $A4:${port[plain]}
		listen steered
			bind 127.0.0.1:${proxy[steered]}
			server a $A4:${port[steered]}
	END
	plain
	start_listening b haproxy "${proxy[plain]}" haproxy -db -f "$dir/haproxy.conf"
}

# clients plain|steered: each kind, its counts in $dir/KIND.WHICH
clients() {
	local kind host=$A4 at=${port[$1]}
	for kind in naive careful fresh; do
		[ "$kind" != fresh ] || { host=127.0.0.1 at=${proxy[$1]}; }
		in_ns b "$python" "$wire_dir/pool.py" "$host" "$at" "$seconds" 7 "$threads" "$kind" \
			>"$dir/$kind.$1" 2>"$dir/$kind.$1.errors" &
	done
}

# Reloads often, restarts now and then, both servers at once.
disturb() {
	local end=$(($(now_ms) + seconds * 1000 - 1500)) n=0
	RANDOM=7
	while [ "$(now_ms)" -lt "$end" ]; do
		sleep "0.$((RANDOM % 9 + 1))"
		n=$((n + 1))
		if [ $((n % 8)) = 0 ]; then
			local order='plain steered'
			[ $((restarts % 2)) = 0 ] || order='steered plain'
			for which in $order; do
				stop "$which" QUIT
				nginx_start "$which"
			done
			restarts=$((restarts + 1))
		else
			signal plain HUP
			signal steered HUP
			reloads=$((reloads + 1))
		fi
	done
}

wire_init
daemon_start a <<-END
	policy web { role = server  local-port = ${port[steered]}  close-first = peer }
END
nginx_start plain
nginx_start steered
proxy_start
reloads=0 restarts=0
clients plain
clients steered
disturb
wait_for $((seconds + 15)) test -s "$dir/naive.plain" -a -s "$dir/careful.plain" \
	-a -s "$dir/fresh.plain" -a -s "$dir/naive.steered" -a -s "$dir/careful.steered" \
	-a -s "$dir/fresh.steered"
note "$reloads reloads, $restarts restarts in $seconds s"

# Two counts of the same rare thing differ by chance: three standard deviations of their difference are
# allowed.
allowed() {
	awk -v plain="$1" 'BEGIN { printf "%d\n", plain + 3 * sqrt(2 * (plain + 1)) }'
}

for kind in naive careful fresh; do
	read -r answered failed absent <"$dir/$kind.plain"
	note "$kind, plain: answered $answered, failed $failed, no server there $absent"
	limit=$(allowed "${failed:-0}")
	read -r answered failed absent <"$dir/$kind.steered"
	note "$kind, steered: answered $answered, failed $failed, no server there $absent"
	at_least 100 "${answered:-0}" "$kind: requests are answered"
	at_most "$limit" "${failed:-999}" "$kind: no more fail than without"
done
note "$(ctl a policies)"
at_least 1 "$(ctl a status records.close)" "the server's closes are seen"
finish
