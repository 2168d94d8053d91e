# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# For the tests of a hostile user: a server under the shim that is another user's and steered, and
# a client that asks it all the while; what is measured of the daemon; and the attack.
#
#   hostile_init CONFIG      namespaces, daemon, server; prints nothing
#   attack NAME UID WHAT [NUMBER...]    runs it for $attack_s seconds, and asserts that the server's
#                            closes went on being handed over, by the same loop; $did is what it said
#   said UID                 how many lines of the log name this user

# shellcheck disable=SC2317,SC2154 # functions that wait_for calls; what lib.sh has
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2034 # for the tests
victim=65532 hostile=65534 hostile2=65533
attack_s=${attack_s:-2}

as_user() {
	local uid=$1
	shift
	setpriv --reuid "$uid" --regid "$uid" --clear-groups -- "$@"
}

# What users run, wherever it was built.
hostile_files() {
	mkdir -m 755 "$dir/pub"
	cp "$wire_dir"/{hostile,attack,actor}.py "$shim" "$dir/pub"
	chmod -R a+rX "$dir/pub"
	shim=$dir/pub/${shim##*/}
	wire_dir=$dir/pub
}

hostile_init() {
	wire_init
	[ -z "$wire_plain" ] || skip_all "nothing to say without closeside"
	have setpriv || skip_all "setpriv is not installed"
	ctl_dir=$wire_dir
	hostile_files
	hostile_daemon <<<"$1"
	loop=$(ctl a status pid)
	steer a
	STEER=(setpriv --reuid "$victim" --regid "$victim" --clear-groups -- "${STEER[@]}")
	actor_serve web 8001 line send:1000 close || not_ok "the server serves"
}

hostile_daemon() {
	daemon_start a
}

# ctl.py stays where it was
ctl() {
	local name=$1
	shift
	"$python" "$ctl_dir/ctl.py" "$dir/$name.socket.control" "$@"
}

said() {
	grep -c "uid $1\b" "$dir/closesided-a.log"
}

# begin NAME NAMESPACE COMMAND...: in the background, until it is told; waits until it is ready
begin() {
	local name=$1 ns=$2
	shift 2
	rm -f "$dir/$name.over"
	OVER=$dir/$name.over start "$ns" "$name" timeout -k 5 200 "$@"
	wait_for "${begin_s:-30}" ready_or_gone "$name"
}

ready_or_gone() {
	grep -q ready "$dir/$1.log" || ! running "$1"
}

# end NAME: $told is what it says in the end
end() {
	: >"$dir/$1.over"
	wait_for 30 pid_gone "${pid_of[$1]}"
	stop "$1" KILL
	told=$(tail -n1 "$dir/$1.log" | grep '^{')
	[ -n "$told" ] || note "$1: $(tail -n3 "$dir/$1.log")"
}

attack_py() {
	echo "$python" "$dir/pub/attack.py"
}

web_counts() {
	ctl a policies | jq -r 'select(.name == "web") | "\(.hand_overs) \(.peer)"'
}

web_peer_least() {
	local counts
	read -ra counts <<<"$(web_counts)"
	[ "${counts[1]}" -ge "$1" ]
}

# What the capture would say, the kernel says as well: who closed first has the TIME_WAIT.
web_time_waits() {
	time_wait a sport = :8001
}

victim_begin() {
	read -ra before <<<"$(web_counts)"
	time_waits=$(web_time_waits)
	# shellcheck disable=SC2046 # words
	begin watch a $(attack_py) "$dir/a.socket.control" watch "$loop"
	# shellcheck disable=SC2046
	begin steady b $(attack_py) "$A4:8001" steady
}

# victim_end NAME: at least 90 % of the closes were handed over and ended by the peer's FIN
victim_end() {
	local answered least watched
	end steady
	steady=$told
	answered=$(jq .answered <<<"$steady")
	least=$((answered * 9 / 10))
	at_least 20 "$answered" "$1: another user's server answers"
	is 0 "$(jq .failed <<<"$steady")" "$1: completely"
	if wait_for 10 web_peer_least $((before[1] + least)); then
		ok "$1: its closes are handed over, its peers close first"
	else
		not_ok "$1: its closes are handed over, its peers close first" \
			"$answered answered; $(web_counts), before ${before[*]}"
	fi
	at_most $((time_waits + answered / 10)) "$(web_time_waits)" "$1: no TIME_WAIT stays with it"
	end watch
	watched=$told
	is "$loop" "$(ctl a status pid)" "$1: the loop is the same"
	note "$1: steered $(web_counts | cut -d' ' -f2) - ${before[1]} of $answered, slowest $(jq .worst_ms <<<"$steady") ms; daemon: $watched"
	# shellcheck disable=SC2034 # for the tests
	rss=$(jq .rss_kb <<<"$watched") files=$(jq .files <<<"$watched")
}

attack() {
	local name=$1 uid=$2
	shift 2
	victim_begin
	# shellcheck disable=SC2046
	begin attack a setpriv --reuid "$uid" --regid "$uid" --clear-groups -- \
		$(attack_py) "${attack_socket:-$dir/a.socket}" "$@"
	sleep "$attack_s" # this long it goes on; nothing hangs on it
	end attack
	did=$told
	victim_end "$name"
	note "$name: $did"
}

fds_of_loop() {
	find "/proc/$loop/fd" -mindepth 1 2>/dev/null | wc -l
}

fds_at_most() {
	[ "$(fds_of_loop)" -le "$1" ]
}
