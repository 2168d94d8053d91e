#!/bin/bash
# SPDX-License-Identifier: MIT
# tune: the balance sheet on paper, on terminals and as JSON, and what is said of changes.
. "${top_srcdir:?}/tests/cli/lib.sh"
serve

sheet='{"type":"tune","schema":1,"mode":"advise","as_of_ms":120,"cooldown_ms":60000,"missing":[],"namespaces":1}'
ports='{"type":"resource","id":"ports/10.77.0.2-10.77.0.1:8080","resource":"ports","title":"ports of 10.77.0.2 towards 10.77.0.1:8080","netns":null,"pid":4321,"program":"wrk","unit":null,"capacity":28232,"used":14000,"peak":16000,"need":60000,"target":0.5,"share":0.49,"rate_s":1000.0,"hold_s":60.0,"drops":0,"slow_ms":120,"exhausted_ms":14120,"level":"near","evidence":["1000 connections a second take a port each, for 60 s: 60000 are needed, there are 28232","in 14 s connect() fails with EADDRNOTAVAIL"]}'
queue='{"type":"resource","id":"accept-queue/10.77.0.1:8080","resource":"accept-queue","title":"accept queue at 10.77.0.1:8080","netns":null,"pid":99,"program":"nginx","unit":"nginx.service","capacity":128,"used":129,"peak":129,"need":300,"target":0.7,"share":1.0,"rate_s":100.0,"hold_s":0.35,"drops":41,"slow_ms":null,"exhausted_ms":0,"level":"over","evidence":["41 handshakes were dropped in the last ten seconds"]}'
memory='{"type":"resource","id":"tcp-memory","resource":"tcp-memory","title":"memory of TCP","netns":null,"pid":null,"program":null,"unit":null,"capacity":94000,"used":200,"peak":200,"need":200,"target":0.7,"share":0.0,"rate_s":0,"hold_s":0,"drops":0,"slow_ms":null,"exhausted_ms":null,"level":"fine","evidence":[]}'
buckets='{"type":"resource","id":"time-wait-buckets","resource":"time-wait-buckets","title":"TIME_WAITs","netns":null,"pid":null,"program":null,"unit":null,"capacity":131072,"used":14000,"peak":14000,"need":60000,"target":0.7,"share":0.1,"rate_s":1000,"hold_s":60,"drops":0,"slow_ms":null,"exhausted_ms":null,"level":"fine","evidence":[]}'
advice=$(
	cat <<'ROWS'
{"type":"advice","id":"ports/10.77.0.2-10.77.0.1:8080/close-first","resource":"ports/10.77.0.2-10.77.0.1:8080","lever":"close-first","kind":"policy","title":"let the peer close first","effect":"the port is free at once","cost":"the TIME_WAITs are the peer's","sustains_s":null,"unlimited":true,"enough":true,"with":null,"key":null,"value":null,"state":"open","why_not":null,"lines":["policy wrk {","\tclose-first = peer","}"]}
{"type":"advice","id":"ports/10.77.0.2-10.77.0.1:8080/tw-reuse","resource":"ports/10.77.0.2-10.77.0.1:8080","lever":"tw-reuse","kind":"sysctl","title":"use ports in TIME_WAIT again","effect":"sustains 14116 a second","cost":"","sustains_s":14116.0,"unlimited":false,"enough":true,"with":null,"key":"net.ipv4.tcp_tw_reuse","value":"1","state":"open","why_not":null,"lines":["sysctl -w net.ipv4.tcp_tw_reuse=1"]}
{"type":"advice","id":"ports/10.77.0.2-10.77.0.1:8080/port-range","resource":"ports/10.77.0.2-10.77.0.1:8080","lever":"port-range","kind":"sysctl","title":"more ports","effect":"sustains 1050 a second","cost":"none","sustains_s":1050,"unlimited":false,"enough":false,"with":"ports/10.77.0.2-10.77.0.1:8080/tw-reuse","key":"net.ipv4.ip_local_port_range","value":"1024 65535","state":"ignored","why_not":null,"lines":["sysctl -w net.ipv4.ip_local_port_range='1024 65535'"]}
{"type":"advice","id":"accept-queue/10.77.0.1:8080/somaxconn","resource":"accept-queue/10.77.0.1:8080","lever":"somaxconn","kind":"sysctl","title":"a longer queue","effect":"a queue of up to 512","cost":"0.4 MB","sustains_s":null,"unlimited":false,"enough":false,"with":"accept-queue/10.77.0.1:8080/backlog","key":"net.core.somaxconn","value":"512","state":"open","why_not":"it is named in sysctl.d","lines":["sysctl -w net.core.somaxconn=512"]}
{"type":"advice","id":"accept-queue/10.77.0.1:8080/relisten","resource":"accept-queue/10.77.0.1:8080","lever":"relisten","kind":"relisten","title":"listen again","effect":"a queue of up to 200","cost":"none","sustains_s":null,"unlimited":false,"enough":false,"with":null,"key":null,"value":"200","state":"open","why_not":null,"lines":[]}
ROWS
)
keys=$(
	cat <<'ROWS'
{"type":"key","key":"net.ipv4.tcp_max_tw_buckets","netns":null,"value":"131072","original":"8192","state":"ours","by":null,"min":null,"max":null,"changed_ms":125000}
{"type":"key","key":"net.core.somaxconn","netns":4026532281,"value":"4096","original":null,"state":"named","by":"/etc/sysctl.d/x.conf","min":null,"max":null,"changed_ms":null}
{"type":"key","key":"net.ipv4.tcp_fin_timeout","netns":null,"value":"60","original":null,"state":"yielded","by":null,"min":null,"max":null,"changed_ms":null}
{"type":"key","key":"net.ipv4.tcp_max_syn_backlog","netns":null,"value":"128","original":null,"state":"refused","by":"no permission","min":null,"max":null,"changed_ms":null}
{"type":"key","key":"net.ipv4.tcp_tw_reuse","netns":null,"value":"2","original":null,"state":"free","by":null,"min":null,"max":null,"changed_ms":null}
ROWS
)

# answer COMMAND ROW...
answer()
{
	local command=$1

	shift
	printf '%s\n' "$@" >"$answers/$command.jsonl"
}
refusal='{"type":"end","ok":false,"error":"only root and the daemon'"'"'s own user may change anything"}'

# --- what is not fine ---

answer tune "$sheet" "$queue" "$ports" "$memory" "$buckets" "$advice" "$keys"
run_by_environment tune show
is "a finding: exit status" 1 "$status"
is_empty "a finding: nothing on standard error" "$work/err"
cat >"$work/expected" <<'TEXT'
RESOURCE                                             USED    OF  NEED RATE/s  HOLD SLOW IN FULL IN DROPS PROGRAM
accept-queue/10.77.0.1:8080    [#############|####]   129   128   300    100 350ms       -     now    41 nginx[99]
ports/10.77.0.2-10.77.0.1:8080 [#########|........] 14000 28232 60000   1000   60s   120ms     14s     0 wrk[4321]
# used, - its peak of the last ten seconds, | the target
2 more are fine; nearest: time-wait-buckets, 14000 of 131072 in use, 60000
    needed at this rate

OVER accept-queue/10.77.0.1:8080: accept queue at 10.77.0.1:8080
  41 handshakes were dropped in the last ten seconds
  1 somaxconn: a longer queue
    effect: a queue of up to 512
    cost: 0.4 MB
    only together with accept-queue/10.77.0.1:8080/backlog
    closeside cannot do it itself: it is named in sysctl.d
    paste:
        sysctl -w net.core.somaxconn=512
  2 relisten: listen again
    effect: a queue of up to 200
    cost: none
    this alone does not suffice
    do:
        closeside tune apply accept-queue/10.77.0.1:8080/relisten

near ports/10.77.0.2-10.77.0.1:8080: ports of 10.77.0.2 towards 10.77.0.1:8080
  1000 connections a second take a port each, for 60 s: 60000 are needed, there
  are 28232
  in 14 s connect() fails with EADDRNOTAVAIL
  1 close-first: let the peer close first
    effect: the port is free at once
    cost: the TIME_WAITs are the peer's
    paste:
        policy wrk {
            close-first = peer
        }
  2 tw-reuse: use ports in TIME_WAIT again
    effect: sustains 14116 a second
    paste:
        sysctl -w net.ipv4.tcp_tw_reuse=1
    or:
        closeside tune apply ports/10.77.0.2-10.77.0.1:8080/tw-reuse
  3 port-range (ignored): more ports

net.ipv4.tcp_max_tw_buckets = 131072: set by closeside, 2m ago; it was 8192
net.core.somaxconn = 4096 in network namespace 4026532281: left alone: it is
    named in /etc/sysctl.d/x.conf
net.ipv4.tcp_fin_timeout = 60: left alone: somebody else has changed it;
    `closeside tune resume net.ipv4.tcp_fin_timeout` takes it up again
net.ipv4.tcp_max_syn_backlog = 128: could not be set: no permission
mode advise: nothing is changed but by `closeside tune apply`
TEXT
is "the sheet, for people" "$(<"$work/expected")" "$out"
run tune show
has "the socket is the one that was asked" "^        closeside -s $socket tune apply accept-queue/10.77.0.1:8080/relisten\$" "$work/out"
run tune show -a
has "-a lists what is fine" '^tcp-memory .* 800K +367M +800K ' "$work/out"
is "-a: the worst is the first still" "accept-queue/10.77.0.1:8080" "$(awk 'NR == 2 { print $1 }' <<<"$out")"
is "-a: exit status" 1 "$status"
has "-a says what is fine, too" '^2 are fine; nearest: time-wait-buckets' "$work/out"

# --- what is fine ---

answer tune "$sheet" "$memory" "$buckets"
run tune show
is "all is fine: exit status" 0 "$status"
is "all is fine: one sentence, and how it is set" \
	"nothing that TCP can run out of is near its limit; nearest of 2:
    time-wait-buckets, 14000 of 131072 in use, 60000 needed at this rate

mode advise: nothing is changed but by \`closeside tune apply\`" "$out"
run tune show -a
is "all is fine, -a: exit status" 0 "$status"
is "all is fine, -a: they are listed" 2 "$(grep -cE '^(tcp-memory|time-wait-buckets) ' <<<"$out")"
answer tune "$sheet"
run tune show
is "nothing yet: exit status" 0 "$status"
has "nothing yet is said" 'no balance sheet yet' "$work/out"
answer tune "${sheet/advise/off}"
run tune show
is "off: exit status" 0 "$status"
is "off is said, and how to change it" \
	"the tuner is off: \`tune { mode = advise }\` in closeside.conf would keep the
    balance sheet" "$out"
answer tune "${sheet/advise/apply}" "$memory"
run tune show
has "what mode apply means" '^mode apply: closeside sets sysctls itself, each at most every 60s, and every 3s$' "$work/out"
old=${sheet/\[\]/\[\"CAP_SYS_ADMIN: other namespaces\"\]}
answer tune "${old/120/61000}" "$memory"
run tune show
has "how old the figures are" '^    61s old$' "$work/out"
is "what the daemon lacks is said" "closeside: the daemon lacks CAP_SYS_ADMIN: other namespaces" "$err"

# --- terminals ---

answer tune "$sheet" "$queue" "$ports" "$memory" "$buckets" "$advice" "$keys"
# cells: of the widest line but for what is to be pasted, which is whole
cells()
{
	sed 's/\x1b\[[0-9;]*m//g' "$work/terminal" | grep -v '^        ' | LC_ALL=C.UTF-8 wc -L
}
for locale in C C.UTF-8; do
	for columns in 48 60 80 100 132 200; do
		LC_ALL=$locale on_terminal $columns "$closeside" -s "$socket" tune show -a >"$work/terminal"
		is "$locale, $columns columns: exit status" 1 $?
		is "$locale, $columns columns: no line is longer" 1 $(($(cells) <= columns))
		is "$locale, $columns columns: what is to be pasted is whole" 1 \
			"$(grep -cF " tune apply ports/10.77.0.2-10.77.0.1:8080/tw-reuse" "$work/terminal")"
	done
done
LC_ALL=C on_terminal 100 "$closeside" -s "$socket" tune show >"$work/terminal"
is "bars are ASCII where the locale is" 0 "$(LC_ALL=C grep -c '[^[:print:][:cntrl:]]' "$work/terminal")"
has "ASCII bars" '\[#######\|##\]' "$work/terminal"
LC_ALL=C.UTF-8 on_terminal 100 "$closeside" -s "$socket" tune show >"$work/terminal"
is "and blocks where it is UTF-8" 2 "$(LC_ALL=C.UTF-8 grep -cE '█{6,}(│█{3}|│░{5})' "$work/terminal")"
is "colour on a terminal" 1 "$(($(grep -c $'\033\[1;31m' "$work/terminal") > 0))"
NO_COLOR=1 on_terminal 100 "$closeside" -s "$socket" tune show >"$work/terminal"
is "not with NO_COLOR" 0 "$(grep -c $'\033' "$work/terminal")"
is "nor in a pipe" 0 "$(grep -c $'\033' "$work/out")"

# --- text from elsewhere ---

hostile='\u001b[31m\n\u009b\u0007é'
for word in 'ports of' nginx 'let the' 'policy wrk' '0.4 MB' x.conf 8192 handshakes tw-reuse; do
	sed -i "s|$word|${hostile//\\/\\\\}|g" "$answers/tune.jsonl"
done
for locale in C C.UTF-8; do
	LC_ALL=$locale run tune show -a
	is "hostile text, $locale: exit status" 1 "$status"
	is "hostile text, $locale: nothing that a terminal obeys" 0 \
		"$(LC_ALL=C grep -cP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' "$work/out")"
	has "hostile text, $locale: it shows" '\?\[31m\?\?\?' "$work/out"
done
answer tune "$sheet" "$queue" "$(sed 's/"lines":\[\]/"lines":["closeside -s x tune apply y"]/' <<<"$advice")"
run tune show
is "tune apply is not said twice" 1 "$(grep -c 'tune apply y$\|relisten$' "$work/out")"
place="[2001:db8::1]:'80"
answer tune "$sheet" "${queue//10.77.0.1:8080/$place}" "${advice//10.77.0.1:8080/$place}"
run tune show
is "what is to be pasted is one word for a shell" "accept-queue/[2001:db8::1]:'80/relisten" \
	"$(bash -c "printf %s $(grep -oP '^ +closeside -s .* tune apply \K.accept.*' "$work/out")")"
answer tune "$sheet" '{"type":"resource","level":"over"}' '{"type":"resource","level":7,"capacity":-1,"used":1e300,"rate_s":"x","evidence":{}}' \
	'{"type":"advice"}' '{"type":"key"}' '{"type":"key","state":"ours"}' '{"type":"frob"}'
run tune show -a
is "rows without members: exit status" 1 "$status"

# --- JSON ---

answer tune "$sheet" "$queue" "$advice" "$ports" "$keys"
run tune show -f jsonl
is "-f jsonl: exit status" 1 "$status"
is "-f jsonl is the rows as they are" "$(jq -cS . "$answers/tune.jsonl")" "$(jq -cS . <<<"$out")"
run tune show -f json
is "-f json: exit status" 1 "$status"
is "-f json is one document of five members" "advice keys resources schema tune" "$(jq -r 'keys | join(" ")' <<<"$out")"
is "its schema" 1 "$(jq .schema <<<"$out")"
is "its rows" "2 5 5 advise" "$(jq -r '"\(.resources | length) \(.advice | length) \(.keys | length) \(.tune.mode)"' <<<"$out")"
is "what is a null stays a null" null "$(jq -c '.resources[0].slow_ms' <<<"$out")"

# --- changes ---

last_request()
{
	tail -n 1 "$answers/requests"
}
id=ports/10.77.0.2-10.77.0.1:8080/tw-reuse
changed='{"type":"change","id":"'$id'","key":"net.ipv4.tcp_tw_reuse","netns":null,"from":"2","to":"1","outcome":"done","error":null}'
failed='{"type":"change","id":"x","key":"net.core.somaxconn","netns":4026532281,"from":"128","to":"128","outcome":"named","error":"it is named in sysctl.d"}'

answer tune-apply "$changed"
run tune apply $id
is "apply: exit status" 0 "$status"
is "apply says what has changed" "net.ipv4.tcp_tw_reuse: 2 -> 1" "$out"
is "what the daemon was asked" '{"v":1,"cmd":"tune-apply","id":"'$id'"}' "$(last_request)"
answer tune-apply "$changed" "$failed"
run tune apply
is "apply all, one of them not: exit status" 1 "$status"
is "apply all says what, and why not" "net.ipv4.tcp_tw_reuse: 2 -> 1
not changed: net.core.somaxconn in network namespace 4026532281: it is named in sysctl.d" "$out"
is "without an id none is sent" '{"v":1,"cmd":"tune-apply"}' "$(last_request)"
run tune apply -f jsonl
is "apply -f jsonl: exit status" 1 "$status"
is "apply -f jsonl" "$changed
$failed" "$out"
run tune apply -f json
is "apply -f json" "1 2" "$(jq -r '"\(.schema) \(.changes | length)"' <<<"$out")"
: >"$answers/tune-apply.jsonl"
run tune apply
is "nothing to apply: exit status" 0 "$status"
has "nothing to apply is said" 'nothing to apply' "$work/out"

: >"$answers/requests"
run tune apply ports/10.77.0.2-10.77.0.1:8080/tw-resue
is "an id that is none: exit status" 1 "$status"
is "an id that is none: which was meant" \
	"closeside: tune apply: there is no advice 'ports/10.77.0.2-10.77.0.1:8080/tw-resue': \`closeside tune show\` has the ids
closeside: did you mean '$id'?" "$err"
is "an id that is none: nothing is applied" 0 "$(grep -c tune-apply "$answers/requests")"
run tune ignore accept-queue/10.77.0.1:8080
is "a resource's id: exit status" 1 "$status"
is "a resource's id: what mends it" "closeside: tune ignore: there is no advice 'accept-queue/10.77.0.1:8080': \`closeside tune show\` has the ids
closeside: what mends it is 'accept-queue/10.77.0.1:8080/somaxconn'
closeside: what mends it is 'accept-queue/10.77.0.1:8080/relisten'" "$err"
run tune apply $'\033[31m'
is "hostile words are not sent back to the terminal" 0 "$(grep -c $'\033' "$work/err")"

answer tune-ignore '{"type":"change","id":"'$id'","key":null,"netns":null,"from":null,"to":null,"outcome":"ignored","error":null}'
run tune ignore $id
is "ignore: exit status" 0 "$status"
is "ignore" "$id: ignored" "$out"
is "ignore: what the daemon was asked" '{"v":1,"cmd":"tune-ignore","id":"'$id'"}' "$(last_request)"

answer tune-revert '{"type":"change","id":null,"key":"net.ipv4.tcp_tw_reuse","netns":null,"from":"1","to":"2","outcome":"done","error":null}'
run tune revert
is "revert: exit status" 0 "$status"
is "revert" "net.ipv4.tcp_tw_reuse: 1 -> 2" "$out"
is "revert: what the daemon was asked" '{"v":1,"cmd":"tune-revert"}' "$(last_request)"
: >"$answers/tune-revert.jsonl"
run tune revert
has "nothing to revert is said" "nothing to put back" "$work/out"

: >"$answers/tune-resume.jsonl"
run tune resume net.ipv4.tcp_fin_timeout
is "resume: exit status" 0 "$status"
is "resume: what the daemon was asked" '{"v":1,"cmd":"tune-resume","key":"net.ipv4.tcp_fin_timeout"}' "$(last_request)"

# --- a daemon that refuses, an old one, none ---

for command in apply revert ignore resume; do
	answer tune-$command "$refusal"
	argument=()
	[ $command = revert ] || argument=("$id")
	run tune $command "${argument[@]}"
	is "$command refused: exit status" 4 "$status"
	is "$command refused: why" "closeside: tune-$command: only root and the daemon's own user may change anything" "$err"
	is_empty "$command refused: nothing on standard output" "$work/out"
done
rm "$answers"/tune*.jsonl
run tune show
is "a daemon without a tuner: exit status" 4 "$status"
has "a daemon without a tuner" 'tune: unknown command' "$work/err"
: >"$answers/tune.jsonl"
run tune show
is "one that says nothing: exit status" 4 "$status"
run tune ignore
is "ignore what? exit status" 2 "$status"
run tune show frob
is "too much: exit status" 2 "$status"
run tune
is "tune what? exit status" 2 "$status"
is "tune what? all five are listed" 5 "$(grep -cE '^  tune (show|apply|ignore|resume|revert) ' "$work/err")"
for words in show apply "apply $id" "ignore $id" revert "resume net.core.somaxconn"; do
	# shellcheck disable=SC2086 # words
	status=0 && "$closeside" -s "$work/nobody" tune $words >"$work/out" 2>"$work/err" || status=$?
	is "no daemon, $words: exit status" 3 "$status"
done

# --- output that fails ---

answer tune "$sheet" "$queue" "$ports" "$advice" "$keys"
"$closeside" -s "$socket" tune show -a >/dev/full 2>"$work/err" || status=$?
is "a full disk: exit status" 4 "$status"
"$closeside" -s "$socket" tune show -a 2>"$work/err" | head -n 1 >/dev/null
is_empty "a reader that has gone: nothing is said" "$work/err"
finish
