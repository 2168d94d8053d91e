#!/bin/bash
# SPDX-License-Identifier: MIT
# Metrics: their syntax by parsers of others, a real Prometheus that scrapes a real daemon and fires an
# alert on a fault, what a reload does to the listener, and clients of it that behave badly.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/doctor-lib.sh
. "$wire_dir/doctor-lib.sh"

wire_init
[ -z "$wire_plain" ] || skip_all "nothing of it can be had without closeside"
for tool in promtool prometheus; do
	have $tool || skip_all "prometheus is not installed"
done

port=16117
# scrape ADDRESS [PATH [ACCEPT]]: the answer's body; the head in $dir/head
scrape() {
	in_ns a "$python" - "$1" "${2:-/metrics}" "${3:-}" "$dir/head" <<-'END'
		import sys, urllib.request
		url, path, accept, head = sys.argv[1:]
		request = urllib.request.Request("http://" + url + path, headers={"Accept": accept} if accept else {})
		with urllib.request.urlopen(request, timeout=10) as answer:
		    open(head, "w").write(answer.headers["Content-Type"] + "\n")
		    sys.stdout.write(answer.read().decode())
	END
}
answers() {
	scrape "$1" >"$dir/scrape" 2>/dev/null
}
# value SERIES: of the last scrape
value() {
	awk -v name="$1" '{ at = length($0) - length($NF); if (substr($0, 1, at - 1) == name) print $NF }' "$dir/scrape"
}
scraper() {
	in_ns a "$python" "$wire_dir/scrapers.py" 127.0.0.1 $port "$@"
}
status_says() {
	[ "$(ctl a status metrics | jq -r ".$1")" = "$2" ]
}

doctor_patience=1000
doctor_start <<-END
	metrics { listen = "127.0.0.1:$port" }
	policy held { local-port = 8001  close-first = peer  grace = 10s  grace-learn = no }
END
check "it listens" wait_for 10 answers 127.0.0.1:$port

# --- numbers ---
steer a
actor_serve web 8001 line text:bye close
actor_connect "$A4" 8001 10 text:hello recv:4 sleep:50 close >/dev/null
ended_ten() {
	answers "127.0.0.1:$port" && [ "$(value 'closeside_custody_ended_total{outcome="peer"}')" = 10 ]
}
check "custody outcomes are counted" wait_for 10 ended_ten
is 10 "$(value closeside_hand_overs_total)" "so are hand-overs: the shim was active"
is 10 "$(value 'closeside_policy_closes_total{side="peer",policy="held"}')" "and the closes of a policy"
is 12 "$(grep -c '^closeside_tcp_connections{' "$dir/scrape")" "every state has its series, zeros too"
sums() {
	awk -F'[{}" ,=]+' '/^closeside_tcp_connections\{/ { all[$3] = $4 } /^closeside_unit_tcp_connections\{/ { sum[$5] += $6 }
		END { for (s in all) if (all[s] != sum[s]) { print s, all[s], sum[s]; exit 1 } }' "$dir/scrape"
}
check "units, none, unknown and other together are all" sums
is "$(in_ns a sysctl -n net.ipv4.tcp_max_tw_buckets)" \
	"$(printf '%.0f' "$(value 'closeside_sysctl{key="net.ipv4.tcp_max_tw_buckets"}')")" "a sysctl"
faults_are_told() {
	answers "127.0.0.1:$port" && grep -q '^closeside_fault_active' "$dir/scrape"
}
check "the doctor's faults are told" wait_for 20 faults_are_told
is "$(sed -nE 's/^\tX\([A-Z_0-9]+, "([a-z0-9-]+)", FAULT,.*/\1/p' "$top_srcdir/daemon/verdict.h" | sort)" \
	"$(sed -nE 's/^closeside_fault_active\{verdict="(.*)"\} 0$/\1/p' "$dir/scrape" | sort)" "all of them, zeros too"
is "" "$(grep -E '[{,](pid|peer|remote|address)=|10\.77\.' "$dir/scrape")" "no label is a process or a peer"

# --- syntax ---
scrape 127.0.0.1:$port /metrics "application/openmetrics-text;version=1.0.0,text/plain;q=0.5" >"$dir/open"
check "OpenMetrics, if it is accepted" grep -q '^application/openmetrics-text; version=1.0.0' "$dir/head"
scrape 127.0.0.1:$port >"$dir/old"
check "the older format else" grep -q '^text/plain; version=0.0.4' "$dir/head"
in_ns a "$closeside" -s "$dir/a.socket" status -f openmetrics >"$dir/cli-open"
in_ns a "$closeside" -s "$dir/a.socket" status -f prometheus >"$dir/cli-old"
for file in open cli-open; do
	if "$python" -c 'import prometheus_client' 2>/dev/null; then
		check "$file: a strict parser of OpenMetrics takes it" "$python" -c '
import sys
from prometheus_client.openmetrics import parser
families = list(parser.text_string_to_metric_families(open(sys.argv[1]).read()))
assert len(families) > 30 and len({f.name for f in families}) == len(families)' "$dir/$file"
	else
		skip "$file: a strict parser" "python3-prometheus-client is not installed"
	fi
done
for file in old cli-old; do
	promtool check metrics <"$dir/$file" >"$dir/promtool" 2>&1
	is "" "$(cat "$dir/promtool")" "$file: promtool check metrics has nothing to say"
done
families() {
	sed -n 's/^# TYPE //p' "$1" | sort
}
is "$(families "$dir/open")" "$(families "$dir/cli-open")" "the command and HTTP tell the same families"
is "$(families "$dir/old")" "$(families "$dir/cli-old")" "in the older format as well"
cp "$top_srcdir/conf/prometheus/closeside.rules.yml" "$wire_dir/rules.test.yml" "$dir"
check "promtool check rules" quietly promtool check rules "$dir/closeside.rules.yml"
check "promtool test rules" quietly promtool test rules "$dir/rules.test.yml"
check "promtool check config: the example" quietly promtool check config --syntax-only \
	"$top_srcdir/conf/prometheus/scrape.yml"

# --- a real Prometheus ---
sed "s/15s/200ms/" "$top_srcdir/conf/prometheus/scrape.yml" >"$dir/prometheus.yml"
printf 'global: { scrape_timeout: 200ms, evaluation_interval: 200ms }\n' >>"$dir/prometheus.yml"
start_listening a prometheus 9090 prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/tsdb" \
	--web.listen-address=127.0.0.1:9090 --log.level=warn
prometheus_says() {
	scrape 127.0.0.1:9090 "$1" 2>/dev/null | jq -e "$2" >/dev/null
}
fired() {
	prometheus_says /api/v1/alerts \
		".data.alerts[] | select(.labels.alertname == \"$1\" and .state == \"firing\" and .labels.verdict == \"$2\")"
}
fires_not() {
	! fired "$@"
}
check "Prometheus: its target is up" wait_for 20 prometheus_says '/api/v1/query?query=up' '.data.result[0].value[1] == "1"'
check "Prometheus: it has read the rules" wait_for 20 prometheus_says /api/v1/rules '.data.groups[0].rules | length >= 10'
check "Prometheus: no fault" fires_not ClosesideFault close-wait-leak
plain
actor_serve leak 8002 line eof hold
actor_connect "$A4" 8002 16 text:hello close >/dev/null
check "Prometheus: a CLOSE_WAIT leak fires" wait_for 40 fired ClosesideFault close-wait-leak
check "Prometheus: its target is up still" prometheus_says '/api/v1/query?query=min_over_time(up[1m])' '.data.result[0].value[1] == "1"'
stop leak
check "Prometheus: and is over when it has ended" wait_for 40 fires_not ClosesideFault close-wait-leak
# A scraper that comes five times a second keeps its connection.
at_most 3 "$(in_ns a ss -Htan "sport = :$port" | grep -c ESTAB)" "Prometheus: one connection for all its scrapes"
stop prometheus

# --- who behaves badly ---
fds() {
	find "/proc/$(ctl a status pid)/fd" -type l | wc -l
}
before=$(fds)
for what in not-http:400 ssh:400 "long-url:closed 400 413 414" "long-header:closed 400 413" \
	"many-headers:closed 400 413" "endless-line:closed 400 413" "huge-body:closed 413" "negative-body:closed 400" \
	"chunks:closed 400 405 413" "http-0.9:closed 200 400" "unknown-method:closed 400 405 501" "nul:closed 400 404 200" \
	half-closed:200 absolute:200 query:200 get:200 keep:10; do
	got=$(scraper "${what%%:*}" 2>&1)
	if [[ " ${what#*:} " == *" $got "* ]]; then ok "${what%%:*}: $got"; else not_ok "${what%%:*}" "got: $got"; fi
done
is 21 "$(scraper pipeline | wc -w)" "pipeline: 21 answers"
start a hangers "$python" "$wire_dir/scrapers.py" 127.0.0.1 $port hang 7
wait_for 20 grep -q hanging "$dir/hangers.log"
is 200 "$(scraper get)" "a hundred hang: a good one is served"
answers 127.0.0.1:$port
at_most 32 "$(value closeside_scrapers)" "a hundred hang: so many connections are kept"
at_least 60 "$(value closeside_scrapers_ended_total)" "a hundred hang: others were ended"
steer a
actor_connect "$A4" 8001 5 text:hello recv:4 sleep:50 close >/dev/null
ended_five_more() {
	answers "127.0.0.1:$port" && [ "$(value 'closeside_custody_ended_total{outcome="peer"}')" = 15 ]
}
check "a hundred hang: custody goes on" wait_for 10 ended_five_more
hangers_told() {
	[ "$(wc -l <"$dir/hangers.log")" = 2 ]
}
wait_for 60 hangers_told
# Those that asked and did not read have it all in the kernel's buffers: they are idle.
at_least 80 "$(sed -n 2p "$dir/hangers.log")" "a hundred hang: those without a whole request are ended in time"
fds_are_back() {
	[ "$(fds)" -le "$((before + 1))" ]
}
check "no descriptor is left of them" wait_for 20 fds_are_back

# --- reloads ---
reconfigure() {
	sed -i "s/listen = [^ ]*/listen = $1/" "$dir/a.conf"
	ctl a reload
}
reconfigure '"[::1]:16200"'
check "a reload moves it, to IPv6" wait_for 10 answers '[::1]:16200'
check "and it is not where it was" test "$(scraper get 2>&1 | tail -n1 | grep -c refused)" = 1
reconfigure off
check "a reload ends it" test -z "$(in_ns a ss -Htln sport = :16200)"
start_listening a squatter 16201 "$python" -c 'import socket, signal
s = socket.socket(); s.bind(("127.0.0.1", 16201)); s.listen(); signal.pause()'
reconfigure '"127.0.0.1:16201"'
check "a port in use: status says so" status_says error 'Address already in use'
check "a port in use: for people, too" grep -q 'metrics .*16201.*: it does not listen: Address already in use' \
	<(in_ns a "$closeside" -s "$dir/a.socket" status)
actor_connect "$A4" 8001 1 text:hello recv:4 close >"$dir/out"
is 1 "$(lines_count "$dir/out" '.got == 4')" "a port in use: the daemon goes on"
stop squatter
check "a port in use: it is tried again" wait_for 30 answers 127.0.0.1:16201
check "a port in use: status says no more of it" status_says error null
is 1 "$(grep -c 'metrics: 127.0.0.1:16201: Address already in use' "$dir/closesided-a.log")" "a port in use: one line of log"
stop closesided-a
is "" "$(in_ns a ss -Htln sport = :16201)" "SIGTERM: nobody listens"
finish
