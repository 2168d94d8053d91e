/* SPDX-License-Identifier: MIT */
/* Facts: RFC 9293, tcp(7), the man pages of the calls, Documentation/networking/ip-sysctl.rst of
 * the kernel, and what was measured. Times are Linux's defaults. */
#include "daemon/explain.h"

#include "common/tcp_state.h"

#include <errno.h>

#define BIT(state) (1u << STATE_##state)
#define STATE(name, bits, summary, what, why, remedy, see)                     \
	{                                                                      \
#name, EXPLAIN_STATE, 0, bits, summary, what, why, remedy, see \
	}
#define ERROR(name, summary, what, why, remedy, see)                           \
	{                                                                      \
#name, EXPLAIN_ERROR, name, 0, summary, what, why, remedy, see \
	}
#define VERDICT(id, bits, summary, what, why, remedy, see)                    \
	{                                                                     \
		id, EXPLAIN_VERDICT, 0, bits, summary, what, why, remedy, see \
	}

const struct explanation explanations[] = {
	/* --- states, in the order in which a connection meets them --- */
	STATE(LISTEN, BIT(LISTEN), "a socket that waits for connections",
	      "A listening socket. It is no connection itself; those that it accepts are sockets "
	      "of their own.",
	      "The program called listen().",
	      "Nothing. If clients wait or fail: `ss -ltn` has the connections that nobody has "
	      "accepted in Recv-Q, and how many may wait in Send-Q.",
	      "ss -ltn"),
	STATE(SYN_SENT, BIT(SYN_SENT), "we asked for a connection, and nobody has answered",
	      "connect() has sent its SYN. It is sent again after 1, 2, 4... seconds, for about "
	      "two minutes (tcp_syn_retries); then connect() fails with ETIMEDOUT.",
	      "Normal for one round trip. Longer: the host is down, or a firewall drops the SYN or "
	      "its answer.",
	      "See which destination they have in common. A firewall that rejects, where one that "
	      "drops is in the way, makes the failure come at once.",
	      "closeside conns state syn-sent"),
	STATE(SYN_RECV, BIT(SYN_RECV) | BIT(NEW_SYN_RECV),
	      "a client asked, we answered, its acknowledgement is missing",
	      "A SYN came and was answered; no program knows of it yet. The kernel keeps it as a "
	      "small request (NEW_SYN_RECV), for about a minute (tcp_synack_retries).",
	      "Normal for one round trip. Many: a flood of SYNs, clients that cannot be reached, "
	      "or a full accept queue, for then the client's acknowledgement is dropped.",
	      "Look at the accept queue first (Recv-Q of `ss -ltn`). Leave tcp_syncookies on; see "
	      "the verdict syn-recv-pile-up.",
	      "closeside conns state syn-recv"),
	STATE(ESTABLISHED, BIT(ESTABLISHED), "open in both directions",
	      "The connection is up. It stays so, also without a packet, until one end closes: TCP "
	      "has no idle timeout of its own.",
	      "Normal.",
	      "Nothing. Old ones without traffic are pools, or peers that have vanished without a "
	      "word: the policy key keepalive finds the latter.",
	      "closeside conns state established age '>' 1h"),
	STATE(FIN_WAIT1, BIT(FIN_WAIT1), "we closed first; our FIN is not acknowledged",
	      "Our end closed first. What was written, and the FIN behind it, is on its way.",
	      "Normal for one round trip. Longer: the peer does not read what comes before the "
	      "FIN, or it has vanished. After close() no process owns it; the kernel gives up "
	      "after some retransmissions (tcp_orphan_retries).",
	      "See whether the peer reads. Many that last are the verdict orphans.",
	      "closeside conns state fin-wait-1 time '>' 5s"),
	STATE(FIN_WAIT2, BIT(FIN_WAIT2), "we closed first; the peer has not closed yet",
	      "The peer has acknowledged our FIN and may still send. At the peer, the connection "
	      "is in CLOSE_WAIT.",
	      "The peer's program has not called close(). If ours only called shutdown() and keeps "
	      "the descriptor, this has no time limit; after close() it ends after "
	      "tcp_fin_timeout, 60 s.",
	      "Mend the peer, whose CLOSE_WAITs these are. A program that shuts down and waits for "
	      "EOF needs a timeout of its own. tcp_fin_timeout acts only on those that no program "
	      "holds.",
	      "closeside conns state fin-wait-2"),
	STATE(CLOSING, BIT(CLOSING), "both closed at the same time; our FIN is not acknowledged",
	      "Both FINs were under way at once: a simultaneous close. Once ours is acknowledged, "
	      "this becomes TIME_WAIT, at both ends.",
	      "Normal, rare, and short.", "Nothing. If they last, the peer has vanished just then.",
	      "closeside conns state closing"),
	STATE(TIME_WAIT, BIT(TIME_WAIT), "we closed first, and all is over",
	      "The end that closes first keeps this for 60 s, which is fixed in Linux, to "
	      "acknowledge the peer's FIN once more if it is sent again, and to keep late segments "
	      "out of the next connection between the same ports. The kernel shows no owner for "
	      "it.",
	      "This end closed first: a server that ends its connections, or a client without a "
	      "pool.",
	      "Mostly nothing: it takes a quarter to half a kilobyte. It matters where a limit is "
	      "near: local ports to one destination (28,232 in 60 s are 470 new connections a "
	      "second), tcp_max_tw_buckets, or connection tracking. Then: connections that live "
	      "longer, `close-first = peer`, or `time-wait = none` in a policy. tcp_fin_timeout "
	      "does nothing here.",
	      "closeside conns state time-wait"),
	STATE(CLOSE_WAIT, BIT(CLOSE_WAIT), "the peer closed; our program has not",
	      "The peer's FIN has come, and has been told to the program as end of file. The "
	      "connection waits for our close().",
	      "Short: the program is busy. Long: it never calls close(): a leaked descriptor, a "
	      "stuck thread, or a connection that was never accepted. The kernel has no time limit "
	      "for it.",
	      "Mend, or restart, the program: no sysctl ends a CLOSE_WAIT, and keepalive does not "
	      "free a leaked descriptor. See the verdict close-wait-leak.",
	      "closeside conns state close-wait time '>' 1m"),
	STATE(LAST_ACK, BIT(LAST_ACK), "the peer closed, then we; our FIN is not acknowledged",
	      "Both have closed, the peer first. Once our FIN is acknowledged, nothing is left "
	      "here; the TIME_WAIT is the peer's.",
	      "Normal for one round trip. Longer: the peer has vanished, or still has to take our "
	      "data. After some retransmissions the kernel gives up (tcp_orphan_retries).",
	      "Nothing. Many that last are the verdict orphans.",
	      "closeside conns state last-ack time '>' 5s"),
	STATE(CLOSE, BIT(CLOSE), "no connection",
	      "A socket that is neither connected nor listening; ss(8) calls it UNCONN.",
	      "It was made and not yet used, its connection was reset, or it is over and the "
	      "program still has the descriptor.",
	      "Nothing, unless a program keeps more and more of them.",
	      "closeside conns state closed"),

	/* --- errors --- */
	ERROR(ECONNRESET, "the peer ended the connection with a reset",
	      "An RST came. What had not been read yet may be lost, and so is what was not yet "
	      "sent.",
	      "The peer closed with data unread, aborted (SO_LINGER with 0), crashed and came "
	      "back, or had closed before and then got our data; or a firewall or balancer on the "
	      "way ended an idle connection.",
	      "A client of a pool: give connections back up sooner than the server or the balancer "
	      "does, and send again what may be sent twice. A server whose clients see it: the "
	      "verdict answer-cut-short.",
	      "closeside conns side reset"),
	ERROR(ECONNREFUSED, "nobody listens there",
	      "connect() was answered with an RST: the host is there, the port is not.",
	      "No program listens on that address and port, or only on 127.0.0.1; or a firewall "
	      "rejects. A full accept queue does not refuse, unless tcp_abort_on_overflow is set.",
	      "On that host: `ss -ltn sport = :PORT`. While a server restarts: try again.",
	      "ss -ltnp"),
	ERROR(ECONNABORTED, "the connection was ended from outside the program",
	      "The connection was aborted on this host.",
	      "Somebody destroyed the socket, as `ss -K` does (SOCK_DESTROY). accept() may also "
	      "say it of a connection that ended before it was accepted.",
	      "An accept loop goes on with the next one.", NULL),
	ERROR(EADDRINUSE, "the address and port are taken",
	      "bind() or listen() found another socket on this address and port; connect() from a "
	      "bound port found the same connection; or bind() to port 0 found no free port at "
	      "all.",
	      "Another listener, or, without SO_REUSEADDR, connections of the last one: its "
	      "TIME_WAITs after a restart. The last listener needs to have had SO_REUSEADDR too.",
	      "See who has it. For restarts: `reuse-address = yes` in a policy. For clients that "
	      "bind their address: `bind-late = yes`.",
	      "ss -atnp sport = :PORT"),
	ERROR(EADDRNOTAVAIL, "no local port, or no such address here",
	      "connect() found no free local port to this destination; or bind() was given an "
	      "address that this host does not have.",
	      "Ports: each new connection from one address to one destination needs another one "
	      "for as long as it lives, and 60 s more if we closed first. 28,232 ports are 470 "
	      "connections a second.",
	      "Connections that live longer come first. Then, in a policy: `time-wait = none`, "
	      "`local-ports`, or `source` with more addresses. See the verdict ports-running-out.",
	      "closeside tune show"),
	ERROR(EPIPE, "we wrote where nothing can be written any more",
	      "The connection was reset before, which an earlier call may have said, or our own "
	      "end is shut down for writing. The program gets SIGPIPE as well, unless it ignores "
	      "that or says MSG_NOSIGNAL.",
	      "The peer had closed: the first write after that succeeds and draws an RST, the next "
	      "one says EPIPE.",
	      "As with ECONNRESET. A program without a handler for SIGPIPE ends here without a "
	      "word.",
	      "closeside conns side reset"),
	ERROR(ETIMEDOUT, "no answer for too long",
	      "connect(): no answer to the SYN, for about two minutes. Later: what was sent was "
	      "not acknowledged, for about fifteen minutes (tcp_retries2) or TCP_USER_TIMEOUT; or "
	      "keepalive probes were not.",
	      "The host or the way to it is down, a firewall drops, or a NAT or firewall has "
	      "forgotten the connection.",
	      "In a policy: `keepalive` shorter than what the firewall forgets after, "
	      "`user-timeout` for a sooner end. See the verdict peer-vanished.",
	      "closeside conns state syn-sent or state established"),
	ERROR(EMFILE, "the process has no descriptor left",
	      "accept(), socket() or open() would need one more than RLIMIT_NOFILE allows. The "
	      "connections that cannot be accepted wait in the queue.",
	      "A limit too low for the load, often 1024; or a leak, of which CLOSE_WAITs are the "
	      "sign.",
	      "Look for a leak first; then LimitNOFILE= in the unit. See the verdict "
	      "descriptors-running-out.",
	      "grep 'open files' /proc/PID/limits; ls /proc/PID/fd | wc -l"),
	ERROR(ENFILE, "the system has no open file left",
	      "The limit of open files of all processes together, fs.file-max, is reached.",
	      "Rare: one program has very many, or the limit was set too low.",
	      "Find who has them; raise fs.file-max.", "cat /proc/sys/fs/file-nr"),
	ERROR(ENOBUFS, "no memory for this in the network stack",
	      "The kernel had no buffer for what the call asked.",
	      "Rare with TCP, which mostly waits or drops instead: memory is short, or what a "
	      "cgroup may have of it is used up.",
	      "Compare `mem` of TCP in /proc/net/sockstat, in pages, with tcp_mem; find who does "
	      "not read.",
	      "cat /proc/net/sockstat /proc/sys/net/ipv4/tcp_mem"),
	ERROR(EHOSTUNREACH, "no way to that host",
	      "The host does not answer in its own network, or a router said by ICMP that it "
	      "cannot be reached.",
	      "The host is down, or a firewall rejects with that ICMP message: some do so by "
	      "default.",
	      "`ip neigh` shows FAILED for a host of one's own network that is down.", "ip neigh"),
	ERROR(ENETUNREACH, "no route there",
	      "This host's routing table has no way to that address, or a router said so by ICMP.",
	      "No default route, an interface that is down, or an IPv6 address where there is no "
	      "IPv6.",
	      "`ip route get ADDRESS` says what the kernel would do.", "ip route get ADDRESS"),
	ERROR(ENOTCONN, "the socket is not connected",
	      "A call that needs a connection found none: send(), shutdown(), getpeername().",
	      "connect() has not succeeded; or the connection was reset a moment ago, and "
	      "getpeername() or shutdown() comes too late.",
	      "After accept() or connect(), take it for a connection that has gone, not for an "
	      "error of the program.",
	      NULL),
	ERROR(EINPROGRESS, "connect() is under way",
	      "A non-blocking connect() has begun. The socket becomes writable when it has "
	      "succeeded or failed; SO_ERROR then says which.",
	      "Normal for a non-blocking socket.", "Nothing.", "closeside conns state syn-sent"),
	ERROR(EAGAIN, "not now",
	      "A non-blocking call would have to wait, or SO_RCVTIMEO or SO_SNDTIMEO is over.",
	      "Normal for a non-blocking socket. With a timeout: the peer is slow or has vanished.",
	      "Nothing, or the timeout's reason.", NULL),
	ERROR(EACCES, "not allowed",
	      "bind() to a port below ip_unprivileged_port_start (1024) without "
	      "CAP_NET_BIND_SERVICE, or a security module forbids the call.",
	      "A server that is not started as root.",
	      "AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit.", NULL),

	/* --- what `doctor` finds --- */
	VERDICT("close-wait-leak", BIT(CLOSE_WAIT),
		"a program does not close what its peers have closed",
		"Connections of one process stay in CLOSE_WAIT. Each keeps a descriptor and its "
		"buffers; the kernel never ends them.",
		"The program forgot the descriptor (an error path, an exception), or the thread "
		"that should close it is stuck.",
		"Mend the program; until then restart it before its descriptors run out. keepalive "
		"does not help: it ends the connection, not the descriptor.",
		"closeside conns state close-wait time '>' 1m"),
	VERDICT("never-accepted", 0, "connections wait in a listener's queue for accept()",
		"The kernel has completed them, the program has not taken them. Clients think they "
		"are connected and wait for an answer.",
		"The program hangs, does not call accept() any more, or has no descriptor left "
		"(EMFILE).",
		"See what the process does (a stack, its descriptors), restart it. A longer queue "
		"only makes more clients wait.",
		"ss -ltn"),
	VERDICT("fin-wait-2-stuck", BIT(FIN_WAIT2), "we closed, the peer does not, and we hold on",
		"Connections of one process stay in FIN_WAIT2: it has shut down its writing half "
		"and keeps the descriptor, and the peer never closes.",
		"The peer leaks (its CLOSE_WAIT), and our program waits for its EOF without a "
		"timeout.",
		"A timeout in the program. tcp_fin_timeout acts only after close().",
		"closeside conns state fin-wait-2 time '>' 1m"),
	VERDICT("time-wait-near-limit", BIT(TIME_WAIT), "TIME_WAITs come near a limit",
		"There are nearly as many as tcp_max_tw_buckets allows. Over it the kernel drops "
		"them at once, and the log says `time wait bucket table overflow`.",
		"One program closes first, often.",
		"For that program a policy with `close-first = peer`, or `time-wait = none`; "
		"raising tcp_max_tw_buckets costs a quarter to half a kilobyte each.",
		"closeside tune show; closeside conns state time-wait"),
	VERDICT("ports-running-out", BIT(TIME_WAIT),
		"the local ports to one destination are nearly all in use",
		"Connections and TIME_WAITs to one address and port use nearly all of "
		"ip_local_port_range. connect() gets slow past half of it, and fails with "
		"EADDRNOTAVAIL at the end.",
		"Many short connections to one destination, closed by us first: each port is taken "
		"for 60 s.",
		"Keep connections alive, or a pool. Then a policy with `role = client` and "
		"`time-wait = none`, a wider `local-ports`, or more `source` addresses.",
		"closeside tune show; closeside conns state time-wait role client"),
	VERDICT("accept-queue-overflow", 0, "a listener's queue was full, and clients were dropped",
		"Connections came faster than the program accepts. When the queue is full, SYNs "
		"and the client's last acknowledgement are dropped: clients wait a second or more, "
		"then try again.",
		"The program is slow or stuck, or its backlog is small; somaxconn caps it.",
		"`backlog` in a policy, and net.core.somaxconn up; if Recv-Q stays at the limit, "
		"the program is too slow and no queue helps.",
		"closeside tune show; nstat -az TcpExtListenOverflows; ss -ltn"),
	VERDICT("syn-recv-pile-up", BIT(SYN_RECV) | BIT(NEW_SYN_RECV), "many half-open connections",
		"Many clients have asked, were answered, and have not acknowledged.",
		"A flood of SYNs from addresses that do not answer, a way back that loses our "
		"answers, or a full accept queue.",
		"Keep tcp_syncookies = 1. If the addresses are many and foreign, it is a flood: "
		"filter it before this host. If the accept queue is full, see "
		"accept-queue-overflow.",
		"closeside tune show; closeside conns state syn-recv"),
	VERDICT("orphans", BIT(FIN_WAIT1) | BIT(CLOSING) | BIT(LAST_ACK),
		"many closed connections that nobody owns any more and that do not end",
		"The program has closed them; the kernel still has data or a FIN that is not "
		"acknowledged. Each may take memory for it. Over tcp_max_orphans they are reset.",
		"Peers that do not read or have vanished.",
		"tcp_orphan_retries down, for a sooner end; tcp_max_orphans up, if memory allows.",
		"closeside tune show; closeside conns state fin-wait-1 state last-ack state "
		"closing time '>' 5s"),
	VERDICT("answer-cut-short", 0, "an answer may have been lost: closed with data unread",
		"A program closed a connection with data in it that it had not read. The kernel "
		"then sends an RST at once, and the peer may lose the answer that was already on "
		"its way.",
		"A server that answers before it has read the request, as with 413, and closes.",
		"Read on before closing (nginx: lingering_close), or a policy with `close-first = "
		"peer`: the daemon then drains what comes.",
		"closeside conns side reset"),
	VERDICT("descriptors-running-out", 0, "a process comes near its limit of open files",
		"At the limit accept() and socket() fail with EMFILE, and clients wait in the "
		"queue.",
		"More connections than the limit was set for, or a leak.",
		"If its CLOSE_WAITs grow, it is a leak: close-wait-leak. Else LimitNOFILE= in its "
		"unit.",
		"closeside tune show; grep 'open files' /proc/PID/limits; ls /proc/PID/fd | wc -l"),
	VERDICT("peer-vanished", 0, "connections whose peer does not answer any more",
		"What was sent is not acknowledged, and is sent again and again. TCP gives up "
		"after about fifteen minutes (tcp_retries2); with nothing to send and no "
		"keepalive, never.",
		"The peer's host crashed, the network is cut, or a NAT or firewall forgot the "
		"connection.",
		"A policy with `keepalive` (60s/10s/5), and `user-timeout` where a sooner end is "
		"worth more than a slow peer's data.",
		"closeside conns state established age '>' 1h"),
	VERDICT("shim-not-loaded", 0, "a unit is enabled, and runs without the shim",
		"`closeside enable` wrote a drop-in for the unit, and the library is not in its "
		"processes: nothing of it is steered.",
		"It has not been restarted since. Or something keeps the library out: the program "
		"became static or got capabilities, a later drop-in sets LD_PRELOAD, a sandbox "
		"hides the library.",
		"Restart the unit when that suits. If it was: `closeside enable UNIT` once more "
		"says what is in the way, as far as it can be told from outside.",
		"closeside status; grep libcloseside /proc/PID/maps"),
	VERDICT("time-wait-harmless", BIT(TIME_WAIT), "many TIME_WAITs, and no limit is near",
		"There are many, and that is all: they take a quarter to half a kilobyte each, and "
		"no limit is near.",
		"A busy program that closes first.", "Nothing.", "closeside conns state time-wait"),
};
const size_t explanation_count = sizeof(explanations) / sizeof(explanations[0]);
