# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # dir and the like are lib.sh's
#
# What the tests of the tuner share: a resource is driven over its limit for real, the balance sheet
# names it and says what helps; then the tuner, or what it prints, is taken at its word. Each test has
# a short form, with small limits, and with LONG=1 a long one, with those that systems have.
#
#   tune_start a b <<END          a daemon in each, with this config, and the unit's capabilities
#   tune_mode a apply             from now on
#   churn_serve NAME PORT [OPTIONS]   tests/bench/churn in A, under "${STEER[@]}"
#   churn_load NAME PORT RATE SECONDS [OPTIONS]   in B, in the background: $dir/NAME.log
#   churn_done NAME; churn_of NAME JQ   waits for it; of its summary
#   sheet a                       the rows of a fresh sheet, in $dir/sheet.jsonl
#   resource ID JQ, advice ID JQ  of that sheet; '' if it has none
#   wait_for 20 sheet_has a ID JQ-CONDITION   of its resource or advice
#   paste a ID                    runs the lines of that advice, as they are printed
#   counter a NAME                a counter of /proc/net/netstat
#   predicted EXPECTED GOT NAME   a note, and with LONG=1 a test: within 20 %
# shellcheck source=tests/wire/doctor-lib.sh
. "$wire_dir/doctor-lib.sh"

churn=$top_builddir/tests/bench/churn
long=${LONG:-}

# by_length SHORT LONG
by_length() {
	if [ -n "$long" ]; then echo "$2"; else echo "$1"; fi
}

tune_start() {
	local ns config
	as_the_unit
	config=$(cat)
	for ns; do
		daemon_start "$ns" <<<"$config" || return
	done
}

# tune_mode a apply|advise|off: of the daemon as it runs
tune_mode() {
	sed -i "s/mode = [a-z]*/mode = $2/" "$dir/$1.conf"
	ctl "$1" reload >/dev/null
}

# --- the sheet ---

sheet() {
	ctl "$1" tune >"$dir/sheet.jsonl" 2>"$dir/sheet.err"
}

# resource ID JQ
resource() {
	jq -r "select(.type == \"resource\" and .id == \"$1\") | $2" "$dir/sheet.jsonl" | head -n1
}

# told ID: what people read of it
told() {
	jq -r "select(.type == \"resource\" and .id == \"$1\") | .title, (.evidence[] | \"  \" + .)" \
		"$dir/sheet.jsonl"
}

# advice ID JQ
advice() {
	jq -r "select(.type == \"advice\" and .id == \"$1\") | $2" "$dir/sheet.jsonl"
}

# sheet_has a ID JQ-CONDITION
sheet_has() {
	sheet "$1"
	jq -c "select((.type == \"resource\" or .type == \"advice\") and .id == \"$2\" and ($3))" \
		"$dir/sheet.jsonl" | grep -q .
}

sheet_has_not() {
	sheet "$1" && [ -s "$dir/sheet.jsonl" ] && ! jq -c "select(.id == \"$2\" and ($3))" "$dir/sheet.jsonl" |
		grep -q .
}

# The ids of the sheet's resources that are near or over a limit, the worst first.
in_want() {
	jq -r 'select(.type == "resource" and .level != "fine") | .id' "$dir/sheet.jsonl"
}

# named a ID LEVEL: waits until it is, and says that it comes first
named() {
	if ! wait_for 30 sheet_has "$1" "$2" ".level == \"$3\""; then
		not_ok "$2: is $3 its limit" "$(cat "$dir/sheet.jsonl" "$dir/sheet.err")"
		return 1
	fi
	ok "$2: is $3 its limit"
	is "$2" "$(in_want | head -n1)" "$2: comes first"
	note "$(told "$2")"
}

# levers a RESOURCE: those proposed, the gentlest first
levers() {
	jq -r "select(.type == \"advice\" and .resource == \"$1\") | .lever" "$dir/sheet.jsonl" | xargs
}

# paste a ID: what is printed for it, as people do
paste() {
	local id=$2
	advice "$id" '.lines[]' >"$dir/paste"
	note "pasted:" "$(cat "$dir/paste")"
	if [ ! -s "$dir/paste" ] || ! PATH=$(dirname "$closeside"):$PATH in_ns "$1" bash -e "$dir/paste" \
		>"$dir/paste.out" 2>&1; then
		not_ok "$id: can be pasted" "$(cat "$dir/paste.out")"
	fi
}

# apply a [ID]: `closeside tune apply`
apply() {
	in_ns "$1" "$closeside" -s "$dir/$1.socket" tune apply "${@:2}" >"$dir/apply.out" 2>&1
}

revert() {
	in_ns "$1" "$closeside" -s "$dir/$1.socket" tune revert >"$dir/revert.out" 2>&1
}

# settled a COUNTER SECONDS: it does not grow for so long
settled() {
	local was
	was=$(counter "$1" "$2")
	sleep "$3"
	[ "$(counter "$1" "$2")" = "$was" ]
}

setting() {
	in_ns "$1" sysctl -n "$2" | xargs
}

setting_is() {
	[ "$(setting "$1" "$2")" = "$3" ]
}

setting_least() {
	[ "$(setting "$1" "$2")" -ge "$3" ]
}

# --- what really happens ---

counter() {
	in_ns "$1" nstat -asz "TcpExt$2" | awk -v name="TcpExt$2" '$1 == name { print $2 }'
}

counter_least() {
	[ "$(counter "$1" "$2")" -ge "$3" ]
}

# predicted EXPECTED GOT NAME: what was said is within 20 % of what came; on a busy machine and with
# small limits only both numbers are told
predicted() {
	local off=0
	[ "${1:-0}" -le 0 ] || off=$((($2 - $1) * 100 / $1))
	note "$3: predicted $1, was $2: $off %"
	[ -n "$long" ] || return 0
	if [ -n "$1" ] && [ -n "$2" ] && [ "$1" -gt 0 ] && [ ${off#-} -le 20 ]; then
		ok "$3: within 20 %"
	else
		not_ok "$3: within 20 %" "predicted '$1', was '$2'"
	fi
}

# --- loads ---

churn_serve() {
	local name=$1 port=$2
	shift 2
	start_listening a "$name" "$port" prlimit --nofile="$(ulimit -Hn)" "${STEER[@]}" \
		"$churn" -l "$A4:$port" "$@"
}

# churn_load NAME PORT RATE SECONDS [OPTIONS]: under "${CLIENT_STEER[@]}"
churn_load() {
	local name=$1 port=$2 rate=$3 seconds=$4
	shift 4
	start b "$name" "${CLIENT_STEER[@]}" "$churn" -c "$A4:$port" -r "$rate" -d "$seconds" "$@"
}

churn_done() {
	wait_for "${2:-60}" pid_gone "${pid_of[$1]}" || note "$1 goes on: $(tail -n1 "$dir/$1.log")"
	unset "pid_of[$1]"
}

# churn_of NAME JQ: of its summary
churn_of() {
	jq -r "select(.summary) | $2" "$dir/$1.log"
}

# Seconds since it began.
churn_second() {
	grep -c '"second"' "$dir/$1.log"
}

churn_second_least() {
	[ "$(churn_second "$1")" -ge "$2" ]
}
