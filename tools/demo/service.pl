#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-only
# The tenant that must keep its working set: an index of the machine's header files, word to
# lines, and a look-up of every word, again and again with a short pause.
#
#   service.pl STOP FILES    runs until the file STOP exists; then STOP.times has its times; of so many
#                            header files at most
use strict;
use warnings;
use Time::HiRes qw(time sleep);

my ($stop, $most) = @ARGV;
my %index;
my $words = 0;

for my $file (glob('/usr/include/*.h /usr/include/linux/*.h')) {
	last if $most-- <= 0;
	open my $in, '<', $file or next;
	while (my $line = <$in>) {
		while ($line =~ /(\w{3,})/g) {
			push @{$index{$1}}, $.;
			last if ++$words > 300_000;
		}
	}
}

sub round {
	my ($start, $sum) = (time, 0);
	for my $word (keys %index) {
		$sum += @{$index{$word}};
		$sum += $_ for @{$index{$word}};
	}
	return time - $start;
}

round() for 1 .. 3;
open my $ready, '>', "$stop.ready" or die "service: $stop.ready: $!";
print $ready "ready\n";
close $ready;

my @times;
until (-e $stop) {
	push @times, round();
	sleep 0.5;
}
@times = sort { $a <=> $b } @times;
open my $out, '>', "$stop.times" or die "service: $stop.times: $!";
printf $out "rounds %d\nround_median_ms %.0f\nround_worst_ms %.0f\n",
	scalar @times, 1000 * $times[$#times / 2], 1000 * $times[-1];
close $out;
