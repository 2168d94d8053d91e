#!/bin/bash
# SPDX-License-Identifier: MIT
# Whose TIME_WAITs are they? Three programs make them at the server's side: nginx and a Python
# program under the shim, and one that is linked statically. The daemon has exactly the capabilities
# of the shipped unit; beside it runs one that has none, and knows what is its own user's.
# ATTRIBUTION_N: so many TIME_WAITs in all (100,000 are the figure that README.md has).
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

all=${ATTRIBUTION_N:-6000}
# A process has at most so many open at once here.
most=$(($(ulimit -Hn) - 200)) && [ $most -le 15000 ] || most=15000
each=$((all / 3)) parts=$(((all / 3 + most - 1) / most)) short=$((all / 30)) low=$((all / 10))
crowd=$top_builddir/tests/wire/crowd

wire_init
[ -z "$wire_plain" ] || skip_all "nothing to say without closeside"
for tool in nginx setpriv gcc; do
	have $tool || skip_all "$tool is not installed"
done
for ns in a b; do
	in_ns $ns sysctl -qw net.ipv4.ip_local_port_range="1024 65535" net.core.somaxconn=4096 \
		net.ipv4.tcp_max_tw_buckets=1000000
done
mkdir -m 755 "$dir/pub" "$dir/low"
chown nobody "$dir/low"
gcc -O2 -static -D_GNU_SOURCE -o "$dir/pub/static" "$top_srcdir/tests/wire/crowd.c" || exit
cp "$dir/pub/static" "$dir/pub/lowstatic"
if [ -e "$top_builddir/tests/wire/.libs/crowd" ]; then crowd=$top_builddir/tests/wire/.libs/crowd; fi
cp "$crowd" "$dir/pub/lowshim"
cp "$shim" "$dir/pub/"
chmod 755 "$dir/pub"/*
is "" "$(ldd "$dir/pub/static" 2>/dev/null | grep '=>')" "one of them is linked statically"

# --- two daemons ---
# shellcheck disable=SC2016 # sed's
unit=$(sed -n 's/^CapabilityBoundingSet=//p' "$top_srcdir/conf/closeside.service.in" |
	tr ' ' '\n' | sed 's/^CAP_//' | tr '[:upper:]' '[:lower:]')
read -ra unit <<<"$(echo "$unit" | sed 's/^/+/' | tr '\n' ' ')"
caps=$(IFS=,; echo "-all,${unit[*]}")
nobody=(setpriv --reuid=nobody --clear-groups --bounding-set=-all --inh-caps=-all)
cat >"$dir/a.conf" <<<'limits { namespaces = 1 }
policy none { program = nobody-has-this }'
start a closesided-a setpriv --bounding-set="$caps" --inh-caps="$caps" "$closesided" -c "$dir/a.conf" -s "$dir/a.socket" -f
start a closesided-low "${nobody[@]}" "$closesided" -c "$dir/a.conf" -s "$dir/low/low.socket" -f
check "both serve" wait_for 10 eval 'daemon_answers a && daemon_answers low/low'
pid=$(ctl a status pid)
has=$(sed -n 's/^CapEff:\t//p' "/proc/$pid/status")
is "[]" "$(ctl a status missing | jq -c 'map(select(contains("CAP_SYS_ADMIN") | not))')" \
	"the capabilities of the shipped unit are enough ($has)"
is 0000000000000000 "$(sed -n 's/^CapEff:\t//p' "/proc/$(ctl low/low status pid)/status")" "the other has none"

# --- the programs ---
steer a
mkdir "$dir/nginx"
cat >"$dir/nginx/conf" <<-END
	daemon off;
	pid $dir/nginx/pid;
	worker_processes 1;
	worker_rlimit_nofile 65536;
	error_log $dir/nginx/error.log;
	events { worker_connections 4096; }
	http {
		access_log off;
		keepalive_timeout 0;
		client_body_temp_path $dir/nginx/1; proxy_temp_path $dir/nginx/2;
		fastcgi_temp_path $dir/nginx/3; uwsgi_temp_path $dir/nginx/4;
		scgi_temp_path $dir/nginx/5;
		server { listen 8001 backlog=4096; location / { return 200 "hello"; } }
	}
END
cat >"$dir/serve.py" <<-'END'
	"""Closes each connection once something has come over it."""
	import selectors, socket, sys
	listener = socket.create_server(("", int(sys.argv[1])), backlog=4096)
	listener.setblocking(False)
	events = selectors.DefaultSelector()
	events.register(listener, selectors.EVENT_READ)
	while True:
	    for key, _ in events.select():
	        if key.fileobj is listener:
	            try:
	                while True:
	                    events.register(listener.accept()[0], selectors.EVENT_READ)
	            except BlockingIOError:
	                pass
	        else:
	            key.fileobj.recv(4096)
	            events.unregister(key.fileobj)
	            key.fileobj.close()
END
start_listening a nginx 8001 "${STEER[@]}" nginx -e "$dir/nginx/error.log" -c "$dir/nginx/conf"
start_listening a python 8002 "${STEER[@]}" "$python" "$dir/serve.py" 8002
plain
for ((i = 0; i < parts; i++)); do
	start_listening a "static$i" $((8010 + i)) "$dir/pub/static" serve $((8010 + i)) $((8004 + 1000 * i))
done
shim=$dir/pub/libcloseside.so
steer low/low
start_listening a lowshim 8005 "${nobody[@]}" "${STEER[@]}" "$dir/pub/lowshim" serve 8005
plain
start_listening a lowstatic 8006 "${nobody[@]}" "$dir/pub/lowstatic" serve 8006

# --- their TIME_WAITs; nobody asks meanwhile ---
crowd=$top_builddir/tests/wire/crowd
request=$'GET / HTTP/1.0\r\n\r\n'
for ((i = 0; i < parts; i++)); do
	start b "held$i" "$crowd" connect "$A4" $((8010 + i)) $((each / parts)) -p 1024 -h 10
done
start b lowheld "$crowd" connect "$A4" 8006 "$low" -p 1024 -h 10
is_held() {
	[ "$(grep -l '^held' "$dir"/held*.log "$dir/lowheld.log" | wc -l)" = $((parts + 1)) ]
}
check "those of the static program are there" wait_for 60 is_held
in_ns b "$crowd" connect "$A4" 8001 "$each" -p 1024 -t "$request" >"$dir/1.out"
in_ns b "$crowd" connect "$A4" 8002 "$each" -p 1024 >"$dir/2.out"
in_ns b "$crowd" connect "$A4" 8005 "$low" -p 1024 >"$dir/5.out"
in_ns b "$crowd" connect "$A4" 8004 "$short" -p 1024 >"$dir/4.out"
all_closed() {
	local i
	for ((i = 0; i < parts; i++)); do
		pid_gone "${pid_of[held$i]}" || return 1
	done
	pid_gone "${pid_of[lowheld]}"
}
check "and are closed after ten seconds" wait_for 60 all_closed
note "$(cat "$dir"/[1245].out "$dir"/held*.log "$dir/lowheld.log" | tr '\n' ';')"
note "costs: $(ctl a status costs | jq -c "[.surveys, .survey_us, .loop_us]") and $(ctl low/low status costs | jq -c "[.surveys, .survey_us, .loop_us]")"
note "load $(cut -d' ' -f1-3 /proc/loadavg)"

# --- what the daemons say ---
# time_waits FILE: by ss, a line for each port; then all
time_waits() {
	in_ns a ss -Htan state time-wait | awk '{ sub(/.*:/, "", $3); all++
			n[$3 >= 8010 && $3 < 8100 ? "held" : $3]++ }
		END { for (port in n) print port, n[port]; print "all", all }' >"$1"
}
# Nothing ends while both are asked: the first are 60 s away.
time_waits "$dir/before"
ctl a ps >"$dir/a.ps"
ctl low/low ps >"$dir/low.ps"
time_waits "$dir/after"
by_ss() {
	awk -v port="$1" '$1 == port { print $2 }' "$dir/before"
}
# within 1 % PS PORT-OR-all WHAT: the daemon's between the kernel's before and after, and 1 %
within() {
	local got=$1 port=$2 least most
	least=$(awk -v p="$port" '$1 == p { print int($2 * 0.99) }' "$dir/after")
	most=$(awk -v p="$port" '$1 == p { print int($2 * 1.01) + 1 }' "$dir/before")
	if [ "$got" -ge "${least:-0}" ] && [ "$got" -le "${most:-0}" ]; then
		ok "$3: $got"
	else
		not_ok "$3" "ps: $got, ss: $(by_ss "$port") before, least $least, most $most"
	fi
}
# of FILE PROGRAM: its TIME_WAITs
of() {
	jq -r --arg p "$2" 'select(.type == "process" and (.program // "?" | startswith($p))) | .time_wait' \
		"$dir/$1.ps" | awk '{ n += $1 } END { print n + 0 }'
}
nobodys() {
	jq 'select(.type == "process" and .pid == null) | .time_wait' "$dir/$1.ps"
}
total() {
	jq 'select(.type == "total") | .states.TIME_WAIT' "$dir/$1.ps"
}
share() {
	echo $(($1 * 99 / 100))
}
at_least $((each * 95 / 100)) "$(by_ss 8001)" "nginx left its TIME_WAITs"
at_least $((each * 95 / 100)) "$(by_ss held)" "and so did the static program"
within "$(total a)" all "in all as many as ss counts, within 1 %"
within "$(of a nginx)" 8001 "nginx': within 1 %, so at least 99 % are attributed"
within "$(of a python)" 8002 "Python's"
held=$(by_ss held) shorts=$(by_ss 8004) static=$(of a static)
at_least "$(share "$held")" "$static" "the static program's that lived ten seconds: at least 99 % of $held"
at_most $((held + shorts)) "$static" "and no more than it made"
strangers=$(($(by_ss 8005) + $(by_ss 8006)))
at_least $((shorts + $(by_ss 8005) + held - static - all / 100)) "$(nobodys a)" \
	"its $shorts that were short are nobody's, as are short ones that another daemon's shim speaks of"
note "nobody's: $(nobodys a); of the other daemon's programs $strangers"
is 0 "$(ctl a status lost)" "no record was lost"
at_least "$each" "$(ctl a status records.close)" "the shim was active"

within "$(total low)" all "no capabilities: in all as many as ss counts, within 1 %"
within "$(of low lowshim)" 8005 "no capabilities: what is under the shim, within 1 %"
at_least "$(share "$(by_ss 8006)")" "$(of low lowstatic)" "no capabilities: at least 99 % of what lived ten seconds"
is 0 "$(of low nginx)" "no capabilities: nothing of other users' is guessed"
note "no capabilities: the multicast of ended sockets is to be had: $(ctl low/low status costs.multicast)"
finish
