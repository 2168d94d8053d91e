#!/bin/bash
# SPDX-License-Identifier: MIT
# The main job before your eyes: ./bootstrap demo. Unmodified nginx and curl, in two network
# namespaces joined by a cable, three times; ss counts what is left, tcpdump who closed first.
set -u
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
build=${1:?usage: demo.sh BUILD-FOLDER}
connections=50
server_address=10.99.0.1
page_size=1000
# Without a network's delay, nginx and curl would race to close at the same microsecond. On one
# CPU, with nginx having it first, they are as far apart as they are in life.
cpu=$(taskset -cp $$ | sed 's/.*[ ,-]//')

# --- a place of our own ----------------------------------------------------------------------

# As root, or as "root" of a user namespace; else in the one network there is, over loopback.
namespaces=yes
if ! unshare --net true 2>/dev/null; then
	if [ -z "${DEMO_INSIDE-}" ] && unshare --user --map-current-user --keep-caps --net true 2>/dev/null; then
		DEMO_INSIDE=yes exec unshare --user --map-current-user --keep-caps bash "$0" "$@"
	fi
	namespaces=
	server_address=127.0.0.1
fi

dir=$(mktemp -d /tmp/closeside-demo.XXXXXX) || exit
pids=() # each keeps a namespace
nginx_pid='' capture_pid='' left=0
port=8000 ports=()

cleanup()
{
	local pid

	trap - EXIT
	stop "$capture_pid"
	stop "$nginx_pid"
	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' HUP INT TERM

die()
{
	echo "demo: $1" >&2
	[ ! -s "${2-}" ] || tail -n 15 "$2" | sed 's/^/  | /' >&2
	exit 1
}

# wait_for SECONDS COMMAND...
wait_for()
{
	local end=$((SECONDS + $1))

	shift
	until "$@" 2>/dev/null; do
		[ $SECONDS -le $end ] || return 1
		sleep 0.02
	done
}

# stop PID
stop()
{
	[ -n "$1" ] || return 0
	kill "$1" 2>/dev/null
	wait "$1" 2>/dev/null
}

# What a command is put behind to run at one end; in the background its pid is the command's.
server=()
client=()

make_namespace() # NAME
{
	local -n prefix=$1

	unshare --net sleep 300 &
	pids+=($!)
	wait_for 5 another_namespace $! || die "no network namespace"
	prefix=(nsenter --preserve-credentials "--net=/proc/$!/ns/net" --)
	"${prefix[@]}" ip link set lo up
}

another_namespace() # PID
{
	[ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

lay_cable()
{
	make_namespace server
	make_namespace client
	"${server[@]}" ip link add eth0 type veth peer name eth0 netns "${pids[1]}" &&
		"${server[@]}" ip address add $server_address/24 dev eth0 &&
		"${server[@]}" ip link set eth0 up &&
		"${client[@]}" ip address add 10.99.0.2/24 dev eth0 &&
		"${client[@]}" ip link set eth0 up || die "could not join two network namespaces"
}

# --- one round -------------------------------------------------------------------------------

nginx_config() # PORT
{
	cat <<-EOF
		daemon off;
		worker_processes 1;
		pid $dir/nginx.pid;
		error_log $dir/nginx.log;
		events { worker_connections 256; }
		http {
			access_log off;
			keepalive_timeout 0;
			client_body_temp_path $dir/t1; proxy_temp_path $dir/t2; fastcgi_temp_path $dir/t3;
			uwsgi_temp_path $dir/t4; scgi_temp_path $dir/t5;
			server {
				listen $server_address:$1;
				location / { alias $dir/page/; }
			}
		}
	EOF
}

# A port that nothing has used lately, above $1.
free_port()
{
	local port=$(($1 + 1))

	while ss -Htan "sport = :$port or dport = :$port" | grep -q .; do
		port=$((port + 1))
	done
	echo $port
}

answers() # PORT
{
	"${server[@]}" ss -Hltn "sport = :$1" | grep -q .
}

# Who sent the first FIN of each connection, from a capture on the server's end.
count_first_fins() # FILE
{
	tcpdump -nn -S -r "$1" 2>/dev/null | awk -v server="$server_address.$2 " '
		/Flags \[[^]]*F/ {
			split($0, part, / > |: /)
			sub(/.* /, "", part[1])
			client = part[1] " " == server ? part[2] : part[1]
			if (!(client in seen)) {
				seen[client] = 1
				first[part[1] " " == server ? "server" : "client"]++
			}
		}
		END { print first["server"] + 0, first["client"] + 0 }'
}

settled() # PORT: nothing but TIME_WAITs left
{
	local query=(ss -Htan state connected exclude time-wait "( sport = :$1 or dport = :$1 )")

	[ -z "$("${server[@]}" "${query[@]}")$("${client[@]}" "${query[@]}")" ]
}

# round TITLE COMMAND-THAT-RUNS-NGINX...
round()
{
	local title=$1 got fins=(- -) at_server at_client

	shift
	port=$(free_port "$port")
	ports+=("$port")
	nginx_config "$port" >"$dir/nginx.conf"
	"${server[@]}" "$@" taskset -c "$cpu" nginx -c "$dir/nginx.conf" -e "$dir/nginx.log" >"$dir/out.log" 2>&1 &
	nginx_pid=$!
	wait_for 10 answers "$port" || die "nginx did not start:" "$dir/out.log"
	if [ -n "$tcpdump" ]; then
		rm -f "$dir/tcpdump.log"
		"${server[@]}" tcpdump -i "$tcpdump" -nn -s 128 -B 4096 --immediate-mode -U -Z "$(id -un)" \
			-w "$dir/cap" "tcp port $port and tcp[tcpflags] & tcp-fin != 0" 2>"$dir/tcpdump.log" &
		capture_pid=$!
		wait_for 5 grep -q 'listening on' "$dir/tcpdump.log" || tcpdump=
	fi

	got=$("${client[@]}" taskset -c "$cpu" chrt --batch 0 curl -s --max-time 20 -o /dev/null -w '%{http_code} %{size_download}\n' \
		"http://$server_address:$port/page?[1-$connections]" | grep -c "^200 $page_size\$")
	[ "$got" -eq "$connections" ] || die "curl got $got of $connections answers" "$dir/nginx.log"
	wait_for 5 settled "$port" || echo "demo: some connections are still closing" >&2
	at_server=$("${server[@]}" ss -Htan state time-wait "sport = :$port" | wc -l)
	at_client=$("${client[@]}" ss -Htan state time-wait "dport = :$port" | wc -l)

	if [ -n "$tcpdump" ]; then
		sleep 0.2 # for the last packets on their way to the file
		stop "$capture_pid"
		read -ra fins < <(count_first_fins "$dir/cap" "$port")
	fi
	capture_pid=''
	stop "$nginx_pid"
	nginx_pid=''
	left=$at_client
	printf '%-38s %8s %8s %10s %8s\n' "$title" "${fins[@]}" "$at_server" "$at_client"
}

# --- the show --------------------------------------------------------------------------------

for program in nginx curl ss nsenter; do
	command -v $program >/dev/null || die "$program is not installed"
done
tcpdump=''
if [ -n "$namespaces" ]; then
	lay_cable
	! command -v tcpdump >/dev/null || tcpdump=eth0
	echo "nginx and curl in two network namespaces, $connections connections each time, keepalive off."
else
	[ "$(id -u)" -ne 0 ] || ! command -v tcpdump >/dev/null || tcpdump=lo
	echo "Network namespaces are not permitted here: nginx and curl over loopback instead."
	echo "$connections connections each time, keepalive off."
fi
cat <<EOF

                                         first to close     TIME_WAIT left at
how nginx was started                    server   client     server   client
--------------------------------------------------------------------------------
EOF
closeside=$build/closeside
mkdir "$dir/page"
head -c $page_size /dev/zero >"$dir/page/page"
chmod -R a+rX "$dir" # nginx's workers are another user
round "nginx"
round "closeside run -o close-first=peer" "$closeside" run -o close-first=peer --
round "closeside run -o time-wait=none" "$closeside" run -o time-wait=none --
cat <<EOF

TIME_WAIT as ss counts it, with ${ports[0]}, ${ports[1]}, ${ports[2]} for PORT:
  at the server   ss -Htan state time-wait 'sport = :PORT' | wc -l
  at the client   ss -Htan state time-wait 'dport = :PORT' | wc -l

The end that closes first keeps each connection in TIME_WAIT for a minute. Here that was nginx;
then, by one word of policy, curl; then nobody. Neither program was changed.
EOF
# time-wait = none is about what nginx closes: where curl was first, curl has it.
[ "$left" -eq 0 ] || echo "(But for $left that curl happened to close first.)"
