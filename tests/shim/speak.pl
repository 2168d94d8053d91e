# SPDX-License-Identifier: MIT
# A forking server by IO::Socket that closes first, and one that serves itself.
use strict;
use warnings;
use Digest::MD5 'md5_hex';
use IO::Socket::INET;
use Time::HiRes 'sleep';

my $count = 40;
$| = 1;

sub payload {
    my $n = shift;
    return md5_hex($n) x (1 + $n * 37 % 900);
}

sub answer {
    my $sock = shift;
    my $body = payload(int(<$sock>));
    print $sock length($body), "\n", $body;
    close $sock;
}

sub ask {
    my ($port, $n) = @_;
    my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "connect: $!";
    print $sock "$n\n";
    my $length = <$sock>;
    read $sock, my $body, $length;
    sleep 0.01;
    close $sock;
    return $body eq payload($n);
}

sub listener {
    for my $port (8000 .. 8999) {
        my $sock = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 50,
            ReuseAddr => 1);
        return $sock if $sock;
    }
    die "no port";
}

# serve NAME FORKING
sub serve {
    my ($name, $forking) = @_;
    my $listener = listener();
    my $server = fork // die;
    if (!$server) {
        for (1 .. $count) {
            my $sock = $listener->accept or die "accept: $!";
            my $child = $forking ? fork : undef;
            answer($sock) if !$forking || !$child;
            exit if $forking && !$child;
            close $sock if $forking;
            waitpid $child, 0 if $forking;
        }
        print "date has a line: ", scalar(my @lines = `date`), "\n";
        exit;
    }
    my $good = grep { ask($listener->sockport, $_) } 1 .. $count;
    waitpid $server, 0;
    print "$name: $good, exit status $?\n";
}

serve('itself', 0);
serve('forks', 1);
print 'system: ', system('true'), "\n";
