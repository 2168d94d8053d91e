#!/bin/bash
# SPDX-License-Identifier: MIT
# completion: what bash and zsh offer, in a real bash and a real zsh.
. "${top_srcdir:?}/tests/cli/lib.sh"

run completion frob
is "a shell that is none: exit status" 2 "$status"
has "says which there are" "completion 'frob': expected bash or zsh" "$work/err"
mkdir "$work/zsh"
"$closeside" completion bash >"$work/script"
"$closeside" completion zsh >"$work/zsh/_closeside"
is "the first line is zsh's" '#compdef closeside' "$(head -n 1 "$work/zsh/_closeside")"
for file in "$work/script:closeside" "$work/zsh/_closeside:_closeside"; do
	if cmp -s "${file%:*}" "$top_builddir/conf/completions/${file#*:}"; then
		ok "what is installed as ${file#*:} is that"
	else
		not_ok "what is installed as ${file#*:} is that" "conf/completions/${file#*:} differs"
	fi
done

# The policies are those of a file here, not of a daemon.
mkdir "$work/bin"
printf 'policy web {\n role = server\n}\npolicy worker-pool {\n role = client\n}\n' >"$work/web.conf"
cat >"$work/sheet" <<'ROWS'
{"type":"tune","schema":1}
{"type":"resource","id":"ports/10.0.0.1-10.0.0.9:80"}
{"type":"advice","id":"ports/10.0.0.1-10.0.0.9:80/tw-reuse","kind":"sysctl","state":"open"}
{"type":"advice","id":"ports/10.0.0.1-10.0.0.9:8080/tw-reuse","kind":"sysctl","state":"ignored"}
{"type":"advice","id":"accept-queue@4026532281/[2001:db8::1]:80/somaxconn","kind":"sysctl","state":"open"}
{"type":"key","key":"net.core.somaxconn","state":"yielded"}
{"type":"key","key":"net.ipv4.tcp_fin_timeout","state":"free"}
{"type":"key","key":"net.ipv4.tcp_tw_reuse","state":"refused"}
ROWS
cat >"$work/bin/closeside" <<STUB
#!/bin/sh
case "\$*" in
"policy list -f jsonl") exec "$closeside" policy list -c "$work/web.conf" -f jsonl ;;
"tune show -f jsonl") cat "$work/sheet"; exit 1 ;;
esac
exit 1
STUB
chmod +x "$work/bin/closeside"
PATH=$work/bin:$PATH

# Each query once: the words for bash, where '=' is one, and the line for zsh.
queries=() expectations=() names=()

# sorted LINES: as one line
sorted()
{
	tr ' ' '\n' | sort | tr '\n' ' ' | sed 's/^ *//; s/ *$//'
}

# offers WHAT EXPECTED WORD...: the candidates, sorted; the last word is being typed
offers()
{
	names+=("$1")
	expectations+=("$(sorted <<<"$2")")
	shift 2
	queries+=("$(printf '%s\x1f' "$@")")
}

listed=$("$closeside" help | sed -nE 's/^  ([a-z]+( [a-z]+)?)  .*/\1/p')
states="established syn-sent syn-recv fin-wait-1 fin-wait-2 time-wait closed close-wait last-ack listening closing new-syn-recv"
groups="all connected synchronized bucket big"
keywords="state exclude sport dport src dst pid program unit policy user netns role age time side shim and or not"

# --- every subcommand, every option, from the program's own help ---

offers "every subcommand" "$(cut -d' ' -f1 <<<"$listed" | sort -u | xargs) help" ''
for family in $(grep ' ' <<<"$listed" | cut -d' ' -f1 | sort -u); do
	offers "every second word of $family" "$(sed -n "s/^$family //p" <<<"$listed" | xargs)" "$family" ''
	offers "help $family" "$(sed -n "s/^$family //p" <<<"$listed" | xargs)" help "$family" ''
done
while read -r command; do
	# shellcheck disable=SC2086 # two words, as in "policy list"
	offers "every option of $command" "$("$closeside" $command --help |
		grep -oE '^ +-[a-zA-Z]([ ,]|$)|^ +(-[a-zA-Z],)? *--[a-z-]+' |
		grep -oE -- '--[a-z-]+|-[a-zA-Z]' | xargs)" $command -
done <<<"$listed"
is "there are subcommands" 1 "$(($(wc -l <<<"$listed") >= 10))"

# --- the rest ---

offers "a subcommand begun" status st
offers "none" "" frob
offers "options before a subcommand" "-h --help -V --version -s --socket -f --format" -
offers "a subcommand after an option with its argument" status -s /tmp st
offers "a long option" --format conns --fo
offers "formats" "plain json jsonl" conns -f ''
offers "a format begun" "json jsonl" conns -f j
offers "only the formats that watch has" "plain jsonl" watch -f ''
offers "after an option, a word of a filter" "state" conns -f json st
offers "the words of a filter" "$keywords" conns ''
offers "states" "$states $groups" conns state ''
offers "states begun" "time-wait" conns exclude ti
offers "after a state the next word" "$keywords" conns state time-wait ''
offers "a port's operators" "= != < > <= >=" conns sport ''
offers "roles" "any server client" conns pid 4 role ''
offers "sides" "unknown us peer both reset" watch side ''
offers "yes and no" "yes no" conns shim ''
offers "no address is guessed" "" conns dst ''
offers "policies in a filter" "web worker-pool" conns policy ''
offers "policies" "web" policy show we
offers "policies of run" "web worker-pool" run -p ''
offers "the key of -o" "close-first=" run -o clo
offers "programs that run" "bash" ps bas
offers "users" "root" policy test --user roo
offers "roles of policy test" "server client" policy test --role ''
offers "files" "$work/web.conf" policy check "$work/we"
offers "files of an option" "$work/web.conf" policy list -c "$work/we"
offers "a word to explain" "ECONNRESET" explain ECONNRES
offers "in any case" "ECONNRESET" explain econnres
offers "with another dash" "SYN_SENT" explain syn-s
offers "a second word to explain" "EPIPE" explain TIME_WAIT EPI
offers "a shell" "bash zsh" completion ''
offers "nothing after what takes nothing" "" status ''
ids="ports/10.0.0.1-10.0.0.9:80/tw-reuse ports/10.0.0.1-10.0.0.9:8080/tw-reuse accept-queue@4026532281/[2001:db8::1]:80/somaxconn"
offers "what may be applied" "$ids" tune apply ''
offers "what may be ignored" "accept-queue@4026532281/[2001:db8::1]:80/somaxconn" tune ignore -f json acc
offers "what is left alone" \
	"net.core.somaxconn net.ipv4.tcp_tw_reuse ports/10.0.0.1-10.0.0.9:8080/tw-reuse" tune resume ''
offers "nothing to revert by name" "" tune revert ''
offers "a command to run" "tr" run -r -- tr

# check SHELL: all that it was asked. Of the commands to run one is enough. zsh keeps what is to be
# added, as '=', and the folder of a file apart.
check()
{
	local shell=$1 i got expected

	for i in "${!queries[@]}"; do
		got=$(sorted <"$work/$shell.$i") expected=${expectations[i]}
		case $shell,${names[i]} in
		*,"a command to run") got=$(tr ' ' '\n' <<<"$got" | grep -x tr | sort -u) ;;
		zsh,"the key of -o") expected=${expected%=} ;;
		zsh,files*) expected=${expected##*/} ;;
		esac
		is "$shell: ${names[i]}" "$expected" "$got"
	done
}

for i in "${!queries[@]}"; do
	IFS=$'\x1f' read -r -d '' -a words <<<"${queries[i]}"
	unset 'words[-1]' # the newline
	bash "$top_srcdir/tests/cli/complete.bash" "$work/script" "${words[@]}" >"$work/bash.$i" 2>>"$work/bash.err"
done
check bash
is_empty "bash: nothing on standard error" "$work/bash.err"

# bash_offers WHAT EXPECTED WORD...: as bash separates them
bash_offers()
{
	local what=$1 expected=$2

	shift 2
	is "bash: $what" "$expected" "$(bash "$top_srcdir/tests/cli/complete.bash" "$work/script" "$@" | xargs)"
}
bash_offers "the values of a key" "app peer self" run -o close-first =
bash_offers "a value begun" "peer" run -o close-first = p
bash_offers "an option's argument behind '='" "json jsonl" conns --format = j
bash_offers "a command after a key and its value" "base64" run -o close-first = peer base6
bash_offers "a policy after an operator" "web worker-pool" conns policy = ''
bash_offers "an id behind ':'" "80/tw-reuse 8080/tw-reuse" tune apply ports/10.0.0.1-10.0.0.9 : 80
bash_offers "all behind ':'" "80/tw-reuse 8080/tw-reuse" tune apply ports/10.0.0.1-10.0.0.9 :
bash_offers "an id behind '@' and ':'" "1]:80/somaxconn" tune apply accept-queue @ '4026532281/[2001' : db8 :: 1
bash_offers "one id is enough" "" tune apply ports/10.0.0.1-10.0.0.9 : 80/tw-reuse ''
if [ -r /usr/share/bash-completion/bash_completion ]; then
	cat /usr/share/bash-completion/bash_completion "$work/script" >"$work/with-bash-completion"
	is "bash: what a command to run has itself" status "$(bash "$top_srcdir/tests/cli/complete.bash" \
		"$work/with-bash-completion" run -r closeside stat 2>/dev/null | xargs)"
else
	tests=$((tests + 1))
	echo "ok $tests - bash: what a command to run has itself # SKIP bash-completion is not installed"
fi

if ! command -v zsh >/dev/null; then
	tests=$((tests + 1))
	echo "ok $tests - zsh # SKIP zsh is not installed"
	finish
fi
queries+=("$(printf 'run\x1f-o\x1fclose-first=\x1f')" "$(printf 'run\x1fcloseside\x1fstat\x1f')"
	"$(printf 'conns\x1f--format\x1fj\x1f')" "$(printf 'tune\x1fapply\x1fports/10.0.0.1-10.0.0.9:80/\x1f')")
names+=("the values of a key" "what a command to run has itself" "an option's argument" "an id begun")
expectations+=("app peer self" "status" "json jsonl" "ports/10.0.0.1-10.0.0.9:80/tw-reuse")
for query in "${queries[@]}"; do
	query=${query//$'\x1f'/ }
	echo "closeside ${query% }"
done >"$work/lines"
timeout 240 zsh -f "$top_srcdir/tests/cli/complete.zsh" "$work/zsh" "$work/candidates" \
	<"$work/lines" >"$work/zsh.all" 2>"$work/zsh.err"
is "zsh: exit status" 0 $?
i=0
: >"$work/zsh.0"
while IFS= read -r line; do
	if [ -z "$line" ]; then
		i=$((i + 1))
		: >"$work/zsh.$i"
	else
		printf '%s\n' "$line" >>"$work/zsh.$i" # it may be -n
	fi
done <"$work/zsh.all"
is "zsh: every query is answered" "${#queries[@]}" "$i"
check zsh
finish
