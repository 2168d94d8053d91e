# shellcheck shell=bash disable=SC2154 # dir, top_builddir, STEER are lib.sh's
# SPDX-License-Identifier: MIT
# What the benches share: the client, room for its connections, and nginx without keepalive.

client=$top_builddir/tests/bench/short_conns

# bench_init: after wire_init
bench_init() {
	local ns
	have nginx || skip_all "nginx is not installed"
	[ -x "$client" ] || skip_all "$client is not built"
	# The client's TIME_WAITs need ports, and each run a port of the server's.
	in_ns b sysctl -qw net.ipv4.ip_local_port_range="1024 65535"
	for ns in a b; do
		in_ns $ns sysctl -qw net.ipv4.tcp_max_tw_buckets=1000000 2>/dev/null
	done
}

# bench_nginx NAME WORKERS PORT COUNT: listens on COUNT ports from PORT on, under "${STEER[@]}"
bench_nginx() {
	local name=$1 workers=$2 first=$3 count=$4 port
	mkdir -p "$dir/$name"
	cat >"$dir/$name/nginx.conf" <<-END
		daemon off;
		pid $dir/$name/pid;
		worker_processes $workers;
		error_log $dir/$name/error.log;
		events { worker_connections 4096; }
		http {
			access_log off;
			keepalive_timeout 0;
			client_body_temp_path $dir/$name/1; proxy_temp_path $dir/$name/2;
			fastcgi_temp_path $dir/$name/3; uwsgi_temp_path $dir/$name/4;
			scgi_temp_path $dir/$name/5;
			server {
				$(for ((port = first; port < first + count; port++)); do echo "listen $port backlog=4096;"; done)
				location / { return 200 "hello\n"; }
			}
		}
	END
	start_listening a "$name" "$first" "${STEER[@]}" \
		nginx -e "$dir/$name/error.log" -c "$dir/$name/nginx.conf"
}
