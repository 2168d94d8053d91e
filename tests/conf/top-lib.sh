# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# For tests of `closeside top`: a terminal that tmux plays, top in it, and a daemon that says what a
# test wants (fake-lib.sh).
. "${top_srcdir:?}/tests/conf/fake-lib.sh"
command -v tmux >/dev/null || {
	echo "1..0 # SKIP tmux is not installed"
	exit 0
}
export LC_ALL=C.UTF-8 TMUX_TMPDIR=$work
unset TMUX
tmux=(tmux -u -L cs -f /dev/null)

cleanup()
{
	"${tmux[@]}" kill-server 2>/dev/null
}

# --- the terminal ---

screen()
{
	"${tmux[@]}" capture-pane -p
}

line() # NUMBER, from 1
{
	screen | sed -n "$1p"
}

keys() # KEY...: as tmux names them
{
	"${tmux[@]}" send-keys "$@"
}

literally()
{
	"${tmux[@]}" send-keys -l -- "$1"
}

shows() # PATTERN: an ERE, on some line
{
	screen | grep -qE -- "$1"
}

hides()
{
	! shows "$1"
}

line_is() # NUMBER PATTERN
{
	line "$1" | grep -qE -- "$2"
}

rows_begin() # PROGRAM...: the first rows of the table, in this order
{
	[ "$(screen | tail -n +6 | awk '{ print $2 }' | head -n $# | xargs)" = "$*" ]
}

inverse() # what the screen has in reverse video, a line each
{
	"${tmux[@]}" capture-pane -pe | grep -oP '\e\[([0-9;]*;)?7m(\e\[[34]9m)*\K[^\e]*' | sed 's/ *$//'
}

is_inverse()
{
	inverse | grep -qxE -- "$1"
}

terminal() # FORMAT: of tmux
{
	"${tmux[@]}" display-message -p "$1"
}

# eventually WHAT COMMAND...
eventually()
{
	local what=$1

	shift
	if wait_for "$@"; then ok "$what"; else not_ok "$what" < <(echo "not: $*" && screen && inverse); fi
}

resize() # WIDTH HEIGHT
{
	"${tmux[@]}" resize-window -x "$1" -y "$2"
}

# command TEXT: types it into the shell, whose answer comes when it has ended
command_line()
{
	literally "$1"
	keys Enter
}

# --- top in it ---

top_pid()
{
	pgrep -P "$(terminal '#{pane_pid}')" closeside
}

top_gone()
{
	! top_pid
}

# modes FILE: the command for those of the terminal, but for its size
modes()
{
	echo "stty -a | sed 's/rows.*columns [0-9]*;//' >$1"
}

# top_start [ARGUMENT...]
top_start()
{
	command_line "clear; echo before; $(modes "$work/before"); ${environment-} $closeside -s $socket top $*"
	wait_for shows 'by [A-Z]|too small' || note_screen
	# shellcheck disable=SC2034 # for the tests
	pid=$(top_pid)
}

note_screen()
{
	screen | sed 's/^/# /'
}

# Where there is no second screen, nothing of top's is left on the first.
former_screen()
{
	if infocmp -1 "${1:-screen}" 2>/dev/null | grep -q smcup=; then
		shows '^before$'
	else
		hides 'closeside on|haproxy'
	fi
}

# top_ended WHAT [STATUS [TERM]]: and the terminal is as it was
top_ended()
{
	local what=$1 problem=''

	wait_for top_gone || problem="has not ended"
	# a line of its own: bash drops the rest of one whose command SIGINT has ended
	command_line "echo \"exit=\$?\"; $(modes "$work/after"); echo done"
	wait_for shows '^done$' || problem+=" the shell does not answer"
	[ -z "${2-}" ] || shows "^exit=$2\$" || problem+=" exit status is not $2"
	cmp -s "$work/before" "$work/after" || problem+=" stty: $(diff "$work/before" "$work/after")"
	former_screen "${3-}" || problem+=" what was there before is not"
	[ "$(terminal '#{alternate_on} #{cursor_flag} #{keypad_cursor_flag} #{keypad_flag}')" = "0 1 0 0" ] ||
		problem+=" alternate screen, cursor, keypad: $(terminal '#{alternate_on} #{cursor_flag} #{keypad_cursor_flag} #{keypad_flag}')"
	rm -f "$work/after"
	if [ -z "$problem" ]; then ok "$what"; else not_ok "$what" < <(echo "$problem" && screen); fi
}

# --- what the daemon says ---

# say [PYTHON]: some processes, changed by this
# shellcheck disable=SC2120 # the tests pass some
say()
{
	/usr/bin/python3 - "${1-}" <<-'END' | answers
		import json, sys
		def process(pid, program, **more):
		    row = dict(type="process", pid=pid, start=1, program=program, unit=None, uid=0, shim=True,
		               states={}, conns=0, opens_s=0, closes_s=0, peer_share=None, alive=True)
		    row.update(more)
		    row["conns"] = row["conns"] or sum(row["states"].values())
		    return row
		def conn(pid, n, state, ms, **more):
		    row = dict(type="conn", cookie="%x" % n, pid=pid, local="10.0.0.1:80",
		               remote="10.0.0.9:%d" % (40000 + n), state=state, state_ms=ms, age_ms=ms + 5,
		               role="server", policy="web", side="us", custody=None, unread=0, unacked=0,
		               retrans=0, rtt_us=250)
		    row.update(more)
		    return row
		ps = [process(101, "nginx", unit="nginx.service", states={"ESTABLISHED": 30, "TIME_WAIT": 5}),
		      process(102, "haproxy", states={"ESTABLISHED": 20, "CLOSE_WAIT": 50}, opens_s=7.5),
		      process(103, "redis", uid=65534, shim=False, states={"ESTABLISHED": 2, "LISTEN": 2}),
		      process(None, None, states={"TIME_WAIT": 8})]
		ps += [process(1000 + i, "worker%02d" % i, states={"LISTEN": 1}) for i in range(60)]
		conns = [conn(101, i, "ESTABLISHED", 1000 * i) for i in range(30)] + \
		        [conn(101, 50 + i, "TIME_WAIT", 9000) for i in range(5)]
		total = dict(type="total", states={"ESTABLISHED": 52, "TIME_WAIT": 13, "CLOSE_WAIT": 50, "LISTEN": 62},
		             conns=177, attributed=169, attributed_share=169 / 177, as_of_ms=100, opens_s=7.5,
		             closes_s=3, lost=0, missing=[])
		status = dict(type="status", on=True, uptime_ms=150000)
		exec(sys.argv[1])
		print(json.dumps({"status": [status], "ps": ps + [total], "conns": conns}))
	END
}

asked()
{
	wc -l <"$work/answers/requests"
}

was_asked() # TIMES
{
	[ "$(asked)" = "$1" ]
}

asks_no_more()
{
	local before

	before=$(asked)
	sleep 1
	[ "$(asked)" = "$before" ]
}

# --- begin ---

# A shell in it, of 80 by 24, and a daemon.
terminal_start()
{
	say
	fake_start
	"${tmux[@]}" new-session -d -x 80 -y 24 'exec env -u LINES -u COLUMNS bash --norc --noprofile -i'
	command_line "PS1='\$ '; ulimit -c 0; set +m; set -m; clear; echo ready"
	wait_for shows '^ready$' || note_screen
}
