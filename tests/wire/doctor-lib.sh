# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # dir and the like are lib.sh's
#
# What the tests of the doctor share: the daemon in A has the capabilities of the shipped unit and no
# more; a fault is provoked, found, and then what the doctor prints against it is pasted.
#
#   doctor_start <<END            the daemon in A, with this config besides a short patience
#   wait_for 20 finds ID          is this verdict among those of a fresh round?
#   verdict_of ID JQ              of the last round
#   judged ID PROGRAM PID LEAST EVIDENCE  all that is to be said of a verdict that was found
#   paste_remedy ID PATTERN...    runs the printed remedy's lines that match, in A
#   cured ID                      the verdict goes away
#   attributed PORT PID N         so many connections of the port are known to be that process'

doctor_patience=${doctor_patience:-1500}

# As the unit has it: "CAP_NET_ADMIN CAP_SYS_PTRACE" is +net_admin,+sys_ptrace of setpriv.
unit_capabilities() {
	sed -n 's/^CapabilityBoundingSet=//p' "$top_srcdir/conf/closeside.service.in" |
		tr 'A-Z ' 'a-z,' | sed 's/cap_/+/g'
}

# From now on daemons have the capabilities of the shipped unit and no more, but for those given as
# -sys_admin,-net_admin.
# shellcheck disable=SC2120 # some tests give it one
as_the_unit() {
	[ -z "$wire_plain" ] || skip_all "nothing of it can be had without closeside"
	have setpriv || skip_all "setpriv is not installed"
	local program=${closesided_itself:=$closesided}
	cat >"$dir/closesided" <<-END
		#!/bin/sh
		exec setpriv --bounding-set=-all,$(unit_capabilities)${1:+,$1} --inh-caps=-all "$program" "\$@"
	END
	chmod 755 "$dir/closesided"
	closesided=$dir/closesided
}

doctor_start() {
	as_the_unit
	daemon_start a < <(echo "doctor { patience = ${doctor_patience}ms }" && cat)
	# as the capabilities are, not as they were meant to be: the guardian's child is the loop
	note "capabilities: $(sed -n 's/^Cap\(Prm\|Eff\|Bnd\):[[:space:]]*/\1 /p' \
		"/proc/$(ctl a status pid)/status" | tr '\n' ' ')"
}

# A round: its rows in $dir/doctor.jsonl, what people see in $dir/doctor.txt, $doctor_status
doctor() {
	in_ns a "$closeside" -s "$dir/a.socket" doctor -f jsonl >"$dir/doctor.jsonl" 2>>"$dir/doctor.err"
	doctor_status=$?
}

# finds ID [LEVEL]
finds() {
	doctor
	jq -c "select(.id == \"$1\" and (\"${2:-}\" == \"\" or .level == \"${2:-}\"))" "$dir/doctor.jsonl" |
		grep -q .
}

finds_not() {
	doctor
	[ $doctor_status -le 1 ] && ! grep -q "\"id\":\"$1\"" "$dir/doctor.jsonl"
}

# no fault at all
finds_nothing() {
	doctor
	[ $doctor_status = 0 ]
}

verdict_of() {
	jq -r "select(.id == \"$1\") | $2" "$dir/doctor.jsonl" | head -n1
}

# judged ID PROGRAM PID LEAST EVIDENCE: waits for it. PID - is any, EVIDENCE a regular expression.
judged() {
	local id=$1 program=$2 pid=$3 least=$4 evidence=$5
	if ! wait_for 30 finds "$id" fault; then
		not_ok "$id: is found" "$(cat "$dir/doctor.jsonl" "$dir/doctor.err")"
		note "$(in_ns a ss -Htan | awk '{ print $1 }' | sort | uniq -c)"
		return
	fi
	ok "$id: is found"
	is 1 "$doctor_status" "$id: the exit status is 1"
	is "$program" "$(verdict_of "$id" .program)" "$id: the program is named"
	[ "$pid" = - ] || is "$pid" "$(verdict_of "$id" .pid)" "$id: so is the process"
	at_least "$least" "$(verdict_of "$id" .count)" "$id: how many"
	check "$id: since when" grep -qE '^[0-9]+$' <(verdict_of "$id" .since_ms)
	jq -r "select(.id == \"$id\") | .title, .evidence[]" "$dir/doctor.jsonl" >"$dir/evidence"
	if grep -qE -- "$evidence" "$dir/evidence"; then
		ok "$id: evidence: $evidence"
	else
		not_ok "$id: evidence: $evidence" "$(cat "$dir/evidence")"
	fi
	note "$(verdict_of "$id" .title)"
}

# remedy ID: its lines, as people see them
remedy() {
	in_ns a "$closeside" -s "$dir/a.socket" doctor 2>&1 | awk -v id="$1:" '
		/^(FAULT|info) / { mine = $2 == id; lines = 0 }
		mine && lines { print substr($0, 5) }
		/^  remedy:$/ { lines = 1 }'
}

# paste_remedy ID PATTERN...: in their order, those lines that match a pattern. Each pattern must match one.
paste_remedy() {
	local id=$1 pattern lines
	shift
	remedy "$id" >"$dir/remedy"
	: >"$dir/paste"
	for pattern in "$@"; do
		lines=$(grep -E -- "$pattern" "$dir/remedy" | grep -v '^#')
		if [ -z "$lines" ]; then
			not_ok "$id: the remedy has $pattern" "$(cat "$dir/remedy")"
			return 1
		fi
		printf '%s\n' "$lines" >>"$dir/paste"
	done
	note "pasted: $(cat "$dir/paste")"
	PATH=$(dirname "$closeside"):$PATH in_ns a bash "$dir/paste" >"$dir/paste.out" 2>&1 ||
		not_ok "$id: the remedy can be pasted" "$(cat "$dir/paste.out")"
}

cured() {
	if wait_for 30 finds_not "$1"; then
		ok "$1: goes away"
	else
		not_ok "$1: goes away" "$(cat "$dir/doctor.jsonl")"
		note "$(in_ns a ss -Htan | awk '{ print $1 }' | sort | uniq -c)"
	fi
}

attributed() {
	[ "$(ctl a conns | jq -c "select(.pid == $2 and (.local | endswith(\":$1\")) and .state != \"LISTEN\")" |
		wc -l)" = "$3" ]
}

# the name of the program that runs Python: what its path is a link to
# shellcheck disable=SC2034 # the tests use it
python_name=$(basename "$(readlink -f "$python")")
