#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-only
# What the demo runs in the guest for the neighbours: "service" looks at all of its memory and its files from time
# to time; in between "batch" goes through its working set, which is more than there is room for.
#
#   neighbours.pl DIR MB MB MB ROUNDS    DIR: a hierarchy with memory; of service's memory, of its files, of batch
#
# Standard output, a line each:
#   N WHEN NAME NUMBER          WHEN: alone, quarter (batch has a page_limit of a quarter of its working set), none
#   end                         all of it is there
use strict;
use warnings;
use File::Find;
use IO::Handle;
use Time::HiRes qw(sleep time);

my ($dir, $memory_mb, $files_mb, $batch_mb, $rounds) = @ARGV;
my $page = 4096;
STDOUT->autoflush;

sub put {
	my ($file, $text) = @_;
	open my $out, '>', "$dir/$file" or die "neighbours: $dir/$file: $!\n";
	print $out $text;
	close $out or die "neighbours: $dir/$file: $!\n";
}

sub get {
	my ($file, $name) = @_;
	open my $in, '<', "$dir/$file" or die "neighbours: $dir/$file: $!\n";
	my @lines = <$in>;
	return $lines[0] + 0 unless defined $name;
	my ($line) = grep { /^$name / } @lines;
	return (split ' ', $line)[1] + 0;
}

sub pages { return get("$_[0]/memory.anon_pages") + get("$_[0]/memory.file_pages") }

# A process in a container that makes something and then does the same whenever it is told; it says how many
# ms that took.
sub actor {
	my ($name, $make) = @_;
	pipe(my $in, my $told) and pipe(my $said, my $out) or die "neighbours: pipe: $!\n";
	my $pid = fork;
	die "neighbours: fork: $!\n" unless defined $pid;
	if (!$pid) {
		close $told;
		close $said;
		$out->autoflush;
		put("$name/procs", 0);
		my $do = $make->();
		while (<$in>) {
			my $start = time;
			$do->();
			printf $out "%.1f\n", 1000 * (time - $start);
		}
		exit 0;
	}
	close $in;
	close $out;
	$told->autoflush;
	return { pid => $pid, told => $told, said => $said };
}

sub turn_of {
	my $actor = shift;
	print { $actor->{told} } "go\n";
	my $ms = readline $actor->{said};
	die "neighbours: a tenant has died\n" unless defined $ms;
	return $ms + 0;
}

# One buffer, a byte of each page changed.
sub memory {
	my $mb = shift;
	my $memory = '';
	vec($memory, ($mb << 20) - 1, 8) = 1;
	my $length = length $memory;
	return sub {
		for (my $at = 0; $at < $length; $at += $page) {
			substr($memory, $at, 1) = 'y';
		}
	};
}

# Files of this machine, so many MB of them.
sub files {
	my $left = shift() << 20;
	my @files;
	find({ no_chdir => 1, wanted => sub {
		my $size = -f $_ && !-l $_ ? -s _ : 0;
		return if $size < 65536 || $size > $left;
		push @files, $_;
		$left -= $size;
	} }, '/usr/bin', '/usr/lib/gcc');
	return sub {
		for my $file (@files) {
			open my $in, '<:raw', $file or next;
			1 while sysread $in, my $part, 65536;
		}
	};
}

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[$#sorted / 2] }

mkdir "$dir/$_" or die "neighbours: $dir/$_: $!\n" for 'service', 'batch';
my $service = actor('service', sub {
	my ($memory, $files) = (memory($memory_mb), files($files_mb));
	return sub { $memory->(); $files->() };
});
# what is looked at again and again is what Linux keeps
turn_of($service) for 1 .. 3;

# phase WHEN BATCH: what service had before batch had its turn, and after; what it took to look at all then
sub phase {
	my ($when, $batch) = @_;
	my ($had, $lost, $most, @ms) = (0, 0, 0);
	my $before = get('service/memory.stat', 'refaults');
	for (1 .. $rounds) {
		my $pages = pages('service');
		$batch ? turn_of($batch) : sleep 0.5;
		my $gone = $pages - pages('service');
		my $now = pages('batch');
		($had, $lost) = ($pages, $gone) if $gone >= $lost;
		$most = $now if $now > $most;
		push @ms, turn_of($service);
	}
	my $refaults = get('service/memory.stat', 'refaults') - $before;
	my %number = (pages => $had, lost => $lost > 0 ? $lost : 0, refaults => $refaults, batch => $most,
		      median_ms => median(@ms), worst_ms => (sort { $b <=> $a } @ms)[0]);
	print "N $when $_ $number{$_}\n" for sort keys %number;
}

phase('alone');
my $quarter = ($batch_mb << 20) / $page / 4;
put('batch/memory.page_limit', $quarter);
my $batch = actor('batch', sub { return memory($batch_mb) });
turn_of($batch);
phase('quarter', $batch);
print "N quarter page_limit $quarter\n";
put('batch/memory.page_limit', 'max');
turn_of($batch);
# what service lost just now it has again
turn_of($service);
phase('none', $batch);
print "N all set " . ($batch_mb << 20) / $page . "\n";
close $_->{told} for $service, $batch;
waitpid $_->{pid}, 0 for $service, $batch;
print "end\n";
