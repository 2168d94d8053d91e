# SPDX-License-Identifier: MIT
# A rate row, and its series. What churn said ($client, $server), once a second and of all; what was
# sampled meanwhile ($sampled) and while nothing went on ($idle).

# TIME_WAITs on average while it went on; the most there were, also when the last had ended.
def time_waits(side): {
	mean: ([$sampled[1:$seconds + 1][] | .ns[side].time_waits] |
		if length == 0 then null else add / length | round end),
	max: ([$sampled[] | .ns[side].time_waits] | max)};
def rounded: if . == null then null else . * 100 | round / 100 end;

# Microseconds of processor of this group up to sample n.
def cpu(group; n): [$sampled[n:n + 1][], $sampled[-1]][0].of[group].cpu_us as $us |
	if $us == null then null else $us - $sampled[0].of[group].cpu_us end;
def cpu(group): cpu(group; $sampled | length - 1);

def per_connection: if . == null or $total.answered == 0 then null else . / $total.answered | rounded end;

# What a TIME_WAIT takes: at the client also the two bind buckets of its port; those of the server's
# port are the listener's.
def bytes(sample): sample.ns.client.time_waits *
	($slab.tw_sock_TCP + $slab.tcp_bind_bucket + $slab.tcp_bind2_bucket) +
	sample.ns.server.time_waits * $slab.tw_sock_TCP;

def row: ([60, ($seconds / 2 | floor)] | if $seconds >= 120 then .[0] else .[1] end) as $last |
	{bench: "rate", contender: $contender, ours: $ours, first: $first, offered_s: $offered,
	seconds: $seconds, size: $size, settings: $settings, policy: $policy,
	sustained_s: ([$lines[:$seconds][].answered] | add / $seconds | rounded),
	sustained_last_60_s: ([$lines[$seconds - $last:$seconds][].answered] | add / $last | rounded),
	last_s: $last,
	answered: $total.answered, failed: $total.failed, missed: $total.missed, errors: $total.errors,
	resets: $total.reset, slow: $total.slow, slow_calls: $total.slow_calls,
	connect_us: $total.connect_us, call_us: $total.call_us, request_us: $total.answer_us,
	time_waits_client: time_waits("client"), time_waits_server: time_waits("server"),
	time_wait_bytes: ([$sampled[] | bytes(.)] | max), time_wait_bytes_of: $slab,
	bytes_lost: $total.bytes_lost, cut: $total.cut, server_failed: $served.failed,
	cpu_program_us: (cpu("client") + cpu("server") | per_connection),
	cpu_client_us: (cpu("client") | per_connection), cpu_server_us: (cpu("server") | per_connection),
	cpu_daemon_us: (cpu("daemon") | per_connection),
	idle_wakeups_s: (if $ours and ($idle | length) > 1 then ($idle[-1].of.daemon.wakeups -
		$idle[0].of.daemon.wakeups) / ($idle[-1].second - $idle[0].second) | rounded else null end),
	proof: $proof};

def share(group; n): (cpu(group; n + 1) // null) as $now | if $now == null then null
	else ($now - cpu(group; n)) / 1e6 * 1000 | round / 1000 end;

def series: range(0; [$seconds, ($lines | length), ($sampled | length - 1)] | min) | . as $n |
	$lines[$n] as $line | $sampled[$n + 1].ns as $ns |
	{bench: "series", contender: $contender, first: $first, offered_s: $offered, second: $n,
	rate: $line.answered, failed: $line.failed,
	connect_p50_us: (if $line.connected == 0 then null else $line.connect_us.p50 end),
	connect_p99_us: (if $line.connected == 0 then null else $line.connect_us.p99 end),
	call_p50_us: (if $line.begun == 0 then null else $line.call_us.p50 end),
	ports: ($ns.client.in_use + $ns.client.time_waits),
	time_waits_client: $ns.client.time_waits, time_waits_server: $ns.server.time_waits,
	cpu_program: (share("client"; $n) + share("server"; $n) | . * 1000 | round / 1000),
	cpu_daemon: share("daemon"; $n)};

row, series
