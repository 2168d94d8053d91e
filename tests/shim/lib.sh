# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Cases: small programs, one for each way in which interposers are known to fail, run without the
# shim and with it. Their output and exit status must be the same, and the daemon's counters must
# show that the shim was at work.
#
#   cases_init                      a namespace and a daemon; calls wire_init
#   same NAME AT-LEAST COMMAND...   runs it plain and in each mode: `watch` (no policy), `peer`
#                                   (close-first = peer, half-close = defer), `none` (time-wait =
#                                   none). AT-LEAST is what the counters must show in `peer`: a
#                                   number of hand-overs (deferred shutdowns and at-exit copies
#                                   count); 0 for active, but exactly none handed over; `inert` if
#                                   the shim cannot work in it, must see nothing and must not be in
#                                   the way.
#   case_modes="watch peer"         leaves some out
#   case_opens=N                    that many connections must be seen, not just one
#   case_env=(A=B...)               more environment
#
# What a program prints to stderr counts as output too, so that no shim or loader speaks up.
# shellcheck source=tests/wire/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../wire/lib.sh"

# shellcheck disable=SC2034 # for the tests
cases=$top_builddir/tests/shim
case_modes="watch peer none"
case_opens=1
case_env=()
declare -A case_options=(
	[watch]=""
	[peer]='local-port=8000-8999,close-first=peer,half-close=defer,grace=2s,grace-learn=no'
	[none]='local-port=8000-8999,time-wait=none'
)

cases_init() {
	wire_init
	daemon_start a cases <<<'policy nothing { local-port = {1} }'
}

# case_run OUT COMMAND...
case_run() {
	local out=$1
	shift
	in_ns a timeout -k 5 60 "${STEER[@]}" "$@" </dev/null >"$out" 2>&1
	echo "exit status $?" >>"$out"
}

case_counts() {
	"$closeside" status -f jsonl -s "$dir/cases.socket" | jq -r 'select(.type == "status") | [.sessions_total, .records.open, .sessions,
		(.records["hand-over"] + .records.defer + .records["at-exit"])] | @tsv'
}

# case_active SESSIONS OPENS NOW HAND-OVERS, as before the run: do the counters show what they should,
# with all sessions ended?
case_active() {
	local sessions opens now hands
	read -r sessions opens now hands < <(case_counts)
	sessions=$((sessions - $1)) opens=$((opens - $2)) hands=$((hands - $4))
	case_seen="$sessions sessions, $opens opens, $hands handed over"
	[ "$now" = 0 ] || return 1
	case $case_want in
	inert) [ "$opens" = 0 ] && [ "$hands" = 0 ] ;;
	0) [ "$opens" -ge "$case_opens" ] && [ "$hands" = 0 ] ;;
	*) [ "$opens" -ge "$case_opens" ] && [ "$hands" -ge "$case_want" ] ;;
	esac
}

# case_mode NAME MODE COMMAND...: one mode of same(). A daemon that is late on a busy machine gets no
# hand-overs: then it is run again, and the output must be the same each time.
case_mode() {
	local name=$1 mode=$2 try before
	shift 2
	steer cases "${case_options[$mode]}"
	STEER+=("${case_env[@]}")
	for try in 1 2 3; do
		[ -n "$wire_plain" ] || read -ra before < <(case_counts)
		case_run "$dir/$mode.out" "$@"
		if ! cmp -s "$dir/plain.out" "$dir/$mode.out"; then
			not_ok "$name, $mode: the same output" \
				"$(diff "$dir/plain.out" "$dir/$mode.out" | head -n 20)"
			return
		fi
		if wait_for 10 case_active "${before[@]}"; then
			ok "$name, $mode: the same output; $case_seen"
			return
		fi
		[ "$try" = 3 ] || note "$name, $mode: $case_seen, wanted $case_want; once more"
	done
	not_ok "$name, $mode: and the shim was at work" "$case_seen, wanted $case_want"
}

same() {
	local name=$1 want=$2 mode
	shift 2
	STEER=(env "${case_env[@]}")
	case_run "$dir/plain.out" "$@"
	if ! grep -q . <(sed '$d' "$dir/plain.out") || grep -q '^exit status 12[4-7]$' "$dir/plain.out"; then
		not_ok "$name: it prints what it saw" "$(cat "$dir/plain.out")"
		return
	fi
	for mode in $case_modes; do
		case_want=$want
		[ "$mode" = peer ] || [ "$want" = inert ] || case_want=0
		case_mode "$name" "$mode" "$@"
	done
}
