# shellcheck shell=bash disable=SC2034,SC2154 # dir, top_builddir, STEER are lib.sh's; the rest is for pairs.sh
# SPDX-License-Identifier: MIT
# The servers of pairs.sh: nginx by itself and HAProxy before an nginx, without keepalive, each under
# the shim, "${STEER[@]}", or not; in the namespace $place, and reached by the client at $address.

# pairs_room: after wire_init: ports for the clients, and room for all their TIME_WAITs
pairs_room() {
	local ns
	for ns in a b c; do
		in_ns $ns sysctl -qw net.ipv4.ip_local_port_range="1024 65535" net.core.somaxconn=4096
		in_ns $ns sysctl -qw net.ipv4.tcp_max_tw_buckets=1000000 2>/dev/null
	done
}

# listens FORMAT PORT COUNT: a line for each port from PORT on
listens() {
	local port
	for ((port = $2; port < $2 + $3; port++)); do
		# shellcheck disable=SC2059 # it is a format
		printf "$1\n" "$port"
	done
}

# pairs_nginx NAME PORT COUNT [DIRECTIVE...]: answers on COUNT ports from PORT on
pairs_nginx() {
	local name=$1 port=$2 count=$3 here=$dir/$1
	shift 3
	mkdir -p "$here"
	cat >"$here/nginx.conf" <<-END
		daemon off;
		pid $here/pid;
		worker_processes 1;
		error_log $here/error.log;
		events { worker_connections 4096; }
		http {
			access_log off;
			keepalive_timeout 0;
			client_body_temp_path $here/1; proxy_temp_path $here/2;
			fastcgi_temp_path $here/3; uwsgi_temp_path $here/4; scgi_temp_path $here/5;
			server {
				$(listens 'listen %s backlog=4096;' "$port" "$count")
				$(printf '%s\n' "$@")
				location / { return 200 "hello\n"; }
			}
		}
	END
	start_listening "$place" "$name" "$port" "${STEER[@]}" nginx -e "$here/error.log" -c "$here/nginx.conf"
}

# pairs_haproxy NAME PORT COUNT BACKEND-PORT [DIRECTIVE...]: passes on to the nginx at that port, with a
# connection for each request on both sides
pairs_haproxy() {
	local name=$1 port=$2 count=$3 behind=$4 here=$dir/$1
	shift 4
	mkdir -p "$here"
	cat >"$here/haproxy.conf" <<-END
		global
			maxconn 4000
			nbthread 1
		defaults
			mode http
			timeout connect 10s
			timeout client 10s
			timeout server 10s
			option httpclose
			$(printf '%s\n' "$@")
		frontend in
			$(listens 'bind :%s backlog 4096' "$port" "$count")
			default_backend out
		backend out
			server nginx $address:$behind
	END
	start_listening "$place" "$name" "$port" "${STEER[@]}" haproxy -db -f "$here/haproxy.conf"
}

# ns_of PID...: nanoseconds on a processor, with all threads and children
ns_of() {
	local pid all=()
	for pid; do
		mapfile -t -O ${#all[@]} all < <(echo "$pid"; pgrep -P "$pid")
	done
	for pid in "${all[@]}"; do
		cat "/proc/$pid/task/"*/schedstat 2>/dev/null
	done | awk '{ ns += $1 } END { printf "%.0f\n", ns }'
}

# --- tools: answered, failed, and the rate or latency, in $got ---

# by_ab PORT COUNT CLIENTS
by_ab() {
	in_ns b ab -q -n "$2" -c "$3" "http://$address:$1/" >"$dir/ab" 2>&1
	got=$(awk '
		/^Complete requests:/ { answered = $3 }
		/^Failed requests:/ { failed = $3 }
		/^Requests per second:/ { rate = $4 }
		END { printf "{\"value\":%s,\"answered\":%d,\"failed\":%d}", rate ? rate : 0, answered, failed }' \
		"$dir/ab")
}

# by_wrk PORT SECONDS CLIENTS
by_wrk() {
	in_ns b wrk -t 1 -c "$3" -d "${2}s" -H 'Connection: close' "http://$address:$1/" >"$dir/wrk" 2>&1
	got=$(awk '
		/requests in/ { answered = $1 }
		/Socket errors:/ { gsub(",", ""); failed = $4 + $6 + $8 + $10 }
		/Non-2xx/ { failed += $NF }
		/^Requests\/sec:/ { rate = $2 }
		END { printf "{\"value\":%s,\"answered\":%d,\"failed\":%d}", rate ? rate : 0, answered, failed }' \
		"$dir/wrk")
}

# by_churn PORT RATE SECONDS LENGTH: the 99th percentile from when a request was due to the end of its
# answer of LENGTH bytes, in us
by_churn() {
	in_ns b "$churn" -c "$address:$1" -r "$2" -d "$3" -t 1 --http --answer "$4" >"$dir/churn.out" 2>&1
	got=$(jq -c 'select(.summary) | {value: .answer_us.p99, answered, failed}' "$dir/churn.out")
}

# length_of PORT: of the whole answer to the request that churn makes
length_of() {
	printf 'GET / HTTP/1.0\r\nHost: bench\r\n\r\n' | in_ns b nc -N "$address" "$1" | wc -c
}
