#!/bin/bash
# SPDX-License-Identifier: MIT
# What closeside says to whoever types it, and the exit statuses; `run` and commands that the shim
# cannot enter.
set -u
tests=0 failures=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
closeside=${top_builddir:?}/closeside
closesided=$top_builddir/closesided
good=${top_srcdir:?}/tests/conf/good/every-key.conf
unset CLOSESIDE_SOCKET CLOSESIDED LD_PRELOAD
cd "$work" || exit

# expect WHAT STATUS PATTERN ARGUMENT...: closeside exits so, and says what matches (an ERE)
expect()
{
	local what=$1 status=$2 pattern=$3 got

	shift 3
	"$closeside" "$@" >"$work/out" 2>&1 </dev/null
	got=$?
	tests=$((tests + 1))
	if [ "$got" -eq "$status" ] && { [ -z "$pattern" ] || grep -qE -- "$pattern" "$work/out"; }; then
		echo "ok $tests - $what"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $what"
		echo "# exit status $got, expected $status and: $pattern"
		sed 's/^/# /' "$work/out"
	fi
}

# is_silent WHAT ARGUMENT...: nothing on standard output
is_silent()
{
	local what=$1

	shift
	tests=$((tests + 1))
	"$closeside" "$@" >"$work/out" 2>/dev/null </dev/null
	if [ ! -s "$work/out" ]; then
		echo "ok $tests - $what"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $what"
		sed 's/^/# /' "$work/out"
	fi
}

skip()
{
	tests=$((tests + 1))
	echo "ok $tests - $1 # SKIP $2"
}


nowhere=(-s "$work/nowhere")

expect "no command: usage" 2 '^usage: closeside COMMAND'
expect "--help" 0 '^  policy check ' --help
expect "help" 0 '^  policy check ' help
expect "--version" 0 '^closeside [0-9]' --version
expect "a misspelt command" 2 "did you mean 'status'" statsu
expect "a misspelt second word" 2 "did you mean 'policy check'" policy chek
expect "policy without a second word" 2 '^  policy reload ' policy
expect "help of those with a first word" 0 '^  policy reload ' policy --help
expect "the same by help" 0 '^  policy reload ' help policy
expect "help COMMAND" 0 '--report' help run
expect "help of what is not there" 2 "no command 'frob'" help frob
expect "an option that is not there" 2 'status --frob: there is no such option' status --frob
expect "a misspelt option" 2 'did you mean --format' status --fromat json
expect "an option without its argument" 2 'status -f: expected an argument' status -f
expect "a wrong format" 2 'plain, json, jsonl, prometheus, openmetrics or zabbix' status -f xml
expect "a format of status only" 2 'plain, json or jsonl' ps -f prometheus
expect "an option after an argument" 3 'no daemon' "${nowhere[@]}" policy show web -f json
expect "too many arguments" 2 "^closeside: status: .*'now'" status now
expect "no command to run" 125 '^usage: closeside run' run
expect "a filter with a wrong word" 2 "unknown word 'colour'" conns colour red
expect "a filter with a wrong value" 2 'state' conns state frob
expect "help of a command" 0 '--report' run --help
expect "a path too long for a socket" 2 'longer than' -s "/$(printf '%0200d' 0)" status

expect "no daemon: status" 3 'no daemon answers at .*nowhere' "${nowhere[@]}" status
expect "no daemon: how to start one" 3 'systemctl start closeside`' "${nowhere[@]}" status
expect "no daemon: conns" 3 'no daemon' "${nowhere[@]}" conns
is_silent "no daemon: conns prints no empty table" "${nowhere[@]}" conns
is_silent "no daemon: nor half a JSON document" "${nowhere[@]}" conns -f json
expect "no daemon: off" 3 'no daemon' "${nowhere[@]}" off
expect "no daemon: policy list" 3 'no daemon' "${nowhere[@]}" policy list
expect "no daemon: policy reload" 3 'no daemon' "${nowhere[@]}" policy reload
expect "no daemon: policy test" 3 'no daemon' "${nowhere[@]}" policy test --role server

expect "policy list of a file" 0 '^public-web +role = server' policy list -c "$good"
expect "policy show of a file" 0 '# by default: .*user-timeout = app' policy show -c "$good" public-web
expect "policy show of none" 4 "no policy 'nothing'" policy show -c "$good" nothing
expect "policy list as JSON" 0 '^\{"schema":1,"policies":\[' policy list -c "$good" -f json
expect "policy list as JSON lines" 0 '^\{"type":"policy","name":"public-web"' policy list -c "$good" -f jsonl

printf 'policy web {\n role = server\n program = nginx\n local-port = 80\n close-first = peer\n}\n' >web.conf
test_it=(policy test -c web.conf --local 10.0.0.1:80 --remote 10.0.0.9:41000)
expect "policy test: it matches" 0 '^  web +matches' "${test_it[@]}" --role server --program nginx
expect "policy test: close() is handed over" 0 '^  ESTABLISHED +hand-over +close-first = peer' \
	"${test_it[@]}" --role server --program nginx
expect "policy test: the selector that does not match" 0 '^  web +no: it wants role = server' \
	"${test_it[@]}" --role client --program nginx
expect "policy test: by its path" 0 '^  web +matches' "${test_it[@]}" --role server \
	--program /usr/sbin/nginx
expect "policy test: none matches" 0 'none matches: the connection is only watched' \
	"${test_it[@]}" --role server --program sshd
expect "policy test: as JSON" 0 '"policy":"web"' "${test_it[@]}" --role server --program nginx -f jsonl
expect "policy test: no role" 2 'expected server or client' policy test -c web.conf
expect "policy test: a wrong endpoint" 2 'expected ADDRESS:PORT' policy test -c web.conf --role server \
	--local 10.0.0.1
expect "policy test: no such user" 2 'no such user' policy test -c web.conf --role server \
	--user nobody-of-this-name
expect "policy test: a bad file" 1 'unknown key' policy test --role server \
	-c "$top_srcdir/tests/conf/bad/unknown-key.conf"

expect "run without a command" 125 '^usage: closeside run' run
expect "run with a wrong option" 125 'no such option' run --frob true
expect "run -o: a misspelt key" 125 "no key 'close-frist': did you mean 'close-first'" \
	run -o close-frist=peer true
expect "run -o: a wrong value" 125 "'server' is not a value of it, expected app, peer, self" \
	run -o close-first=server true
expect "run -o: one of a list" 125 "'x' is not a value.*joined by '\+'" run -o local-port=80+x true
expect "run -o: no value" 125 'expected grace=VALUE' run -o grace true
expect "run -o: linger = abort alone" 125 'allow-data-loss = yes' run -o linger=abort true
expect "run -o and -p" 125 'only one of them' run -o grace=1s -p web true
expect "run: too long" 125 'longer than' run -o "program=$(printf 'a%.0s' {1..1200})" true
expect "run: a command that is not there" 127 'nothing-of-this-name: No such file' \
	run nothing-of-this-name
expect "run: a path that is not there" 127 'No such file' run ./nothing
echo 'true' >plain
expect "run: not executable" 126 'plain: not executable' run ./plain
expect "run: a directory" 126 'directory' run /
printf '#!/nothing/here\n' >script && chmod +x script
expect "run: a script without its interpreter" 127 'its interpreter /nothing/here' run ./script

if [ ! -x "$closesided" ] || [ -n "${sanitizers-}" ]; then
	skip "run: with a private daemon" "${sanitizers:+a shim with sanitizers cannot be preloaded}"
	echo "1..$tests"
	[ "$failures" -eq 0 ]
	exit
fi

export CLOSESIDED=$closesided
run=(-s "$work/nowhere" run)
expect "run: in the environment" 0 '^CLOSESIDE_SOCKET=.*/socket\?close-first=peer,user=0$' \
	"${run[@]}" -o close-first=peer -o user=root env
expect "run: the shim is added to LD_PRELOAD" 0 '^LD_PRELOAD=.*libcloseside.so$' "${run[@]}" env
LD_PRELOAD=libc.so.6 expect "run: what LD_PRELOAD held stays" 0 \
	'^LD_PRELOAD=.*libcloseside.so:libc.so.6$' "${run[@]}" env
expect "run: exits as the command does" 7 '' "${run[@]}" sh -c 'exit 7'
expect "run --report: exits as the command does" 7 'closeside: ' "${run[@]}" --report sh -c 'exit 7'
expect "run --report: 128 and the signal" 143 'closeside: ' "${run[@]}" --report sh -c 'kill -TERM $$'
expect "run -p: no such policy" 125 'there is no such policy' "${run[@]}" -c web.conf -p wbe true
expect "run -p: a policy of the private daemon" 0 'policy=web$' "${run[@]}" -c web.conf -p web env
expect "run -c: no config" 125 '/dev/null: is not a file' "${run[@]}" -c /dev/null true
CLOSESIDED=false expect "run: the daemon does not start" 125 'did not start' "${run[@]}" true

# A pipe ends with the command: neither daemon nor keeper holds it.
tests=$((tests + 1))
if timeout 60 sh -c "'$closeside' ${run[*]} sleep 0.01 2>&1 | cat"; then
	echo "ok $tests - run ... | cat ends"
else
	failures=$((failures + 1))
	echo "not ok $tests - run ... | cat ends"
fi

static=$(command -v ldconfig || echo /sbin/ldconfig)
if ! ldd "$static" 2>&1 | grep -qE 'statically linked|not a dynamic'; then
	skip "run: a static program runs, and it is said" "ldconfig is not static here"
else
	expect "run: a static program runs, and it is said" 0 'statically linked: the shim cannot enter it' \
		"${run[@]}" "$static" --version
fi
if [ "$(id -u)" -eq 0 ]; then
	cp /bin/true setuid && chown 65534 setuid && chmod 4755 setuid
	expect "run: a setuid program runs, and it is said" 0 'is setuid: the system lets no library' \
		"${run[@]}" ./setuid
elif [ -u "$(command -v su)" ]; then
	expect "run: a setuid program runs, and it is said" 0 'is setuid: the system lets no library' \
		"${run[@]}" su --version
else
	skip "run: a setuid program runs, and it is said" "there is none"
fi

echo "1..$tests"
[ "$failures" -eq 0 ]
