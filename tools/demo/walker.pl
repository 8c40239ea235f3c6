#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-only
# A program that is bound by memory: fills so many megabytes and then changes bytes of it all over.
#
#   walker.pl MB READY    makes the file READY when all of it is there; runs until it is killed
use strict;
use warnings;

my ($mb, $ready) = @ARGV;
my $memory = '';
my $at = 0;

# one buffer; a string made by other means may be there twice
vec($memory, ($mb << 20) - 1, 8) = 1;

open my $out, '>', $ready or die "walker: $ready: $!";
close $out;
for (my $n = 1; ; $n++) {
	$at = ($at + 1_000_003) % length $memory;
	substr($memory, $at, 1) = 'y';
	# the other one, and who looks at both, want the CPU too
	select undef, undef, undef, 0.001 if $n % 4096 == 0;
}
