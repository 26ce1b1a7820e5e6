#!/usr/bin/perl
# mojo.pl BASE KEY TOPIC: the checks of interop.py with Perl's Mojo::UserAgent. Without compression, which it offers only where
# told to: it then keeps its context from message to message, although the answer says client_no_context_takeover (RFC 7692, 7.1.1.2).
use strict;
use warnings;
use utf8;
use Mojo::IOLoop;
use Mojo::JSON qw(decode_json encode_json);
use Mojo::UserAgent;
use Mojolicious;

my ($base, $key, $topic) = @ARGV;
binmode STDOUT, ':utf8';
$| = 1;
my @sizes = (0, 1, 125, 126, 127, 65535, 65536, 1048576);

sub opened {
    my ($path, @protocols) = @_;
    my $ua = Mojo::UserAgent->new(max_response_size => 0);
    my $self = { ua => $ua, inbox => [], code => undef };
    $ua->ca($ENV{CAFILE}) if $ENV{CAFILE};
    my $failed;
    my $tx = $ua->build_websocket_tx($base . $path => \@protocols);
    $ua->start($tx => sub {
        my ($ua, $tx) = @_;
        $failed = $tx->error ? $tx->error->{message} : 'no upgrade' unless $tx->is_websocket;
        Mojo::IOLoop->stop;
        return if $failed;
        $self->{ws} = $tx->max_websocket_size(1 << 24);
        $tx->on(text   => sub { push @{$self->{inbox}}, [text => $_[1]]; Mojo::IOLoop->stop }); # at once: messages may have come with the handshake
        $tx->on(binary => sub { push @{$self->{inbox}}, [binary => $_[1]]; Mojo::IOLoop->stop });
        $tx->on(finish => sub { $self->{code} = $_[1] // 1006; Mojo::IOLoop->stop });
    });
    my $timer = Mojo::IOLoop->timer(20 => sub { $failed = 'no connection in time'; Mojo::IOLoop->stop });
    Mojo::IOLoop->start;
    Mojo::IOLoop->remove($timer);
    die "$failed\n" if $failed;
    return $self;
}

sub await {
    my ($what, $true) = @_;
    my $late;
    my $timer = Mojo::IOLoop->timer(20 => sub { $late = 1; Mojo::IOLoop->stop });
    Mojo::IOLoop->start until $true->() || $late;
    Mojo::IOLoop->remove($timer);
    die "no $what in time\n" if $late;
}

sub received {
    my ($self, $kind) = @_;
    await(message => sub { @{$self->{inbox}} || defined $self->{code} });
    die "closed with $self->{code}\n" unless @{$self->{inbox}};
    my $message = shift @{$self->{inbox}};
    die "a $message->[0] message\n" if $message->[0] ne $kind;
    return $message->[1];
}

sub closed {
    my ($self, $code) = @_;
    await(close => sub { defined $self->{code} });
    die "code $self->{code} instead of $code\n" if $self->{code} != $code;
}

sub check {
    my ($name, $body) = @_;
    my $fine = eval { $body->(); 1 };
    my $why = $@ =~ s/\s+/ /gr;
    print "$name\t", ($fine ? 'ok' : $why), "\n";
    return $fine;
}

sub same { die "'" . substr($_[0], 0, 40) . "' instead of '" . substr($_[1], 0, 40) . "'\n" if $_[0] ne $_[1] }

my $echo;
check('connect', sub { $echo = opened('/v1/echo') }) or exit;
for my $size (@sizes) {
    my $text = substr('abcdé€😀xyz ' x ($size / 10 + 1), 0, $size);
    check("text $size", sub { $echo->{ws}->send({ text => Mojo::Util::encode('UTF-8', $text) }); same(Mojo::Util::decode('UTF-8', received($echo, 'text')), $text) });
    my $binary = substr(join('', map { chr } 0 .. 250) x ($size / 251 + 1), 0, $size);
    check("binary $size", sub { $echo->{ws}->send({ binary => $binary }); same(received($echo, 'binary'), $binary) });
}
check('many at once', sub {
    $echo->{ws}->send("message $_") for 0 .. 499;
    same(received($echo, 'text'), "message $_") for 0 .. 499;
});
print "compression\tnot offered\n";
print "version\t$Mojolicious::VERSION\n";
for my $code (1000, 3000, 4999) {
    check("close $code", sub { my $one = opened('/v1/echo'); $one->{ws}->finish($code); closed($one, $code) });
}
check('closed 1003', sub { my $one = opened('/v1/ws'); $one->{ws}->send({ binary => "\1\2" }); closed($one, 1003) });
check('closed 4400', sub { closed(opened('/v1/ws?mode=wrong'), 4400) });
check('session', sub {
    my $one = opened("/v1/ws?topics=$topic", 'ringcast.v1', "ringcast.token.$key");
    same($one->{ws}->protocol, 'ringcast.v1');
    same(decode_json(received($one, 'text'))->{op}, $_) for qw(hello subscribed);
    $one->{ws}->send({ text => encode_json({ op => 'publish', id => 1, topic => $topic, data => { p => 1.5, name => 'é€😀' } }) });
    same(decode_json(received($one, 'text'))->{op}, 'published');
    my $update = decode_json(received($one, 'text'));
    $update = decode_json(received($one, 'text')) if ($update->{op} // '') eq 'topic';
    same($update->{data}{name}, 'é€😀');
    $one->{ws}->finish(1000);
    closed($one, 1000);
});
check('goodbye', sub { $echo->{ws}->finish(1000); closed($echo, 1000) });
