/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the runner (tools/run) and the guest's init (tools/init) say to each other.
 *
 * Three ways: the job disk (ubda) carries the job at boot and then, as a ring, the bytes of
 * CMD's standard input; the line ttyS0 carries frames in both directions, among them the
 * bytes of standard
 * output and error. Input does not go through the line because UML reads a line byte by byte
 * (3 MB/s); a read of the disk with O_DIRECT is 600 times faster.
 *
 * Nothing is sent without room for it: each stream has a window (JOIN_*_WINDOW), the
 * receiver gives credit
 * back. So one stream that nobody reads stops neither the other nor the verdict.
 */
#ifndef UML_JOIN_H
#define UML_JOIN_H

#include <stdint.h>

#define JOIN_MAGIC	0x27e0ebc1u
#define JOIN_VERSION	3
#define JOIN_NONCE	16
#define JOIN_BLOCK	4096u
/* Bytes of stdin that may be on the disk and not yet taken by CMD. */
#define JOIN_RING	(512u * 1024)
/* Bytes of stdout, or of stderr, that may be underway. */
#define JOIN_OUT_WINDOW	(192u * 1024)
/* Longest payload of one frame. */
#define JOIN_MAX	(64u * 1024)

enum join_stream { JOIN_STDIN, JOIN_STDOUT, JOIN_STDERR, JOIN_STREAMS };

enum join_type {
	JOIN_HELLO = 1,	/* guest: nonce; init runs and has read the job */
	JOIN_STARTED,	/* guest: CMD was executed */
	JOIN_DATA,	/* guest: bytes; host: struct join_ring, bytes on the disk */
	JOIN_EOF,	/* both: no more DATA on this stream */
	JOIN_CREDIT,	/* both: uint32_t, bytes of this stream that were taken */
	JOIN_CLOSED,	/* both: nobody reads this stream any more */
	JOIN_WINCH,	/* host: struct join_winch */
	JOIN_NOTE,	/* guest: text for the user */
	JOIN_FAIL,	/* guest: struct join_status, then text: CMD cannot be started */
	JOIN_STATUS,	/* guest: struct join_status; the last frame of a good run */
};

struct join_frame {
	uint32_t magic;
	uint8_t type;
	uint8_t stream;
	uint16_t zero;
	uint32_t len;
};

/* Where the next bytes of stdin lie, relative to the ring; they do not wrap. */
struct join_ring {
	uint32_t offset;
	uint32_t len;
};

struct join_winch {
	uint16_t rows;
	uint16_t cols;
};

struct join_status {
	uint8_t nonce[JOIN_NONCE];
	int32_t code;		/* as a shell has it: 0-255, 128+N for signal N; 125-127 in FAIL */
	int32_t signal;		/* 0, or what killed CMD */
};

enum join_flag {
	JOIN_TTY	= 1 << 0,	/* CMD gets a terminal of the guest */
	JOIN_NO_STDIN	= 1 << 1,	/* the caller has closed that descriptor */
	JOIN_NO_STDOUT	= 1 << 2,
	JOIN_NO_STDERR	= 1 << 3,
	JOIN_IMAGE	= 1 << 4,	/* the root is a disk, not a directory of the host */
	JOIN_SWAP	= 1 << 5,
	JOIN_CONTAINER	= 1 << 6,	/* put CMD into a container */
	JOIN_LEAKS	= 1 << 7,	/* let kmemleak scan before the end */
	JOIN_OTHER_ROOT	= 1 << 8,	/* the directory may be missing: then / */
};

/*
 * The first block of the job disk. After it the strings, each with its NUL: container,
 * page_limit, cpuset, memset, files, tasks, cwd, root,
 * then argc arguments and envc variables. The ring begins at ring_offset.
 */
struct join_job {
	uint32_t magic;
	uint32_t version;
	uint8_t nonce[JOIN_NONCE];
	uint32_t flags;
	uint32_t umask;
	uint32_t argc;
	uint32_t envc;
	uint32_t text_len;
	uint32_t ring_offset;
	struct join_winch winch;
};

/* Disks of the guest, in the order of the ubd numbers. */
#define JOIN_DEV_JOB	"ubda"
#define JOIN_DEV_SWAP	"ubdb"
#define JOIN_DEV_ROOT	"ubdc"
#define JOIN_DEV_LINE	"ttyS0"

#endif
