#!/bin/bash
# SPDX-License-Identifier: MIT
# A load that rises and falls, in mode apply: a setting is changed once within a cooldown at most, or, as
# long as things are dropped, within three seconds; what may only rise never falls; each change has its
# line in the log. With LONG=1 for ten minutes, with the cooldown that is the default.
#
# The settings are read four times a second, or nearly, so what happens to them is known from the kernel itself.
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/tune-lib.sh
. "$wire_dir/tune-lib.sh"

wire_init
seconds=$(by_length 30 600)
cooldown=$(by_length 5 60)
period=$(by_length 6 40)

in_ns a sysctl -qw net.ipv4.tcp_max_tw_buckets=300 net.core.somaxconn=34
tune_start a <<<"tune {
	mode = apply
	cooldown = ${cooldown}s
}"
churn_serve maker 8001 --close us
churn_serve slow 8002 --backlog 32 --accept-every 100 --close us

# Lines of: ms tw-buckets somaxconn backlog TCPTimeWaitOverflow ListenOverflows
cat >"$dir/sample.sh" <<'END'
while sleep 0.25; do
	t=${EPOCHREALTIME/./}
	echo $((t / 1000)) "$(cat /proc/sys/net/ipv4/tcp_max_tw_buckets)" "$(cat /proc/sys/net/core/somaxconn)" \
		"$(ss -Htln 'sport = :8002' | awk '{ print $3 }')" \
		"$(nstat -asz TcpExtTCPTimeWaitOverflow TcpExtListenOverflows |
			awk '/TimeWait/ { t = $2 } /Listen/ { l = $2 } END { print t, l }')"
done
END
start a sample bash "$dir/sample.sh"
churn_load saw 8001 "1-25/$period" "$seconds" --close peer
churn_load bursts 8002 "0-480/$period" "$seconds" --burst 48 --close peer --timeout 60
churn_done saw $((seconds + 60))
churn_done bursts 120
stop sample

# changes COLUMN DROPS-COLUMN: how often it changed, and how often sooner than is allowed, and how often
# downwards. Drops count for as long as the tuner looks back.
changes() {
	awk -v column="$1" -v drops="$2" -v cooldown="$((cooldown * 1000))" '
		{ if (NR > 1 && $drops != dropped) dropped_at = $1
			dropped = $drops }
		NR > 1 && $column != value {
			least = dropped_at && $1 - dropped_at < 11000 ? 3000 : cooldown
			if (last && $1 - last < least - 300) soon++
			if ($column < value) down++
			changed++
			last = $1 }
		{ value = $column }
		END { print changed + 0, soon + 0, down + 0 }' "$dir/sample.log"
}
# judge NAME COLUMN DROPS-COLUMN
judge() {
	local changed soon down
	read -r changed soon down < <(changes "$2" "$3")
	note "$1: changed $changed times, $down of them down; $(awk -v c="$2" '{ print $c }' "$dir/sample.log" |
		uniq | xargs)"
	at_least 1 "$changed" "$1: it was changed"
	is 0 "$soon" "$1: never twice within a cooldown"
	# a quarter at a time, to whatever it came to
	changed_down=$down
}
judge tcp_max_tw_buckets 2 5
is 0 "$changed_down" "tcp_max_tw_buckets: never down"
lines=$(grep -c tcp_max_tw_buckets "$dir/closesided-a.log")
read -r changed _ < <(changes 2 5)
# Of two changes within a sample of ours one is not seen.
at_least "$changed" "$lines" "tcp_max_tw_buckets: a line in the log for each change"
at_most $((changed + 2)) "$lines" "... and no more"
judge somaxconn 3 6
judge backlog 4 6
at_least $((seconds * 2)) "$(wc -l <"$dir/sample.log")" "it was looked at so often"
note "$(grep -vE 'listening|ready' "$dir/closesided-a.log" | tail -n 40)"
is 0 "$(churn_of saw .failed)" "no connection of the load failed"
finish
