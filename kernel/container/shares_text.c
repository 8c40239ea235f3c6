// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shares: the words of the control file `shares`, read and printed.
 *
 * Locks: none. What is read here is checked and takes effect in shares.c.
 */
#include "shares.h"

#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/seq_file.h>
#include <linux/string.h>

/* "12", decimal, or "-3", and nothing else. */
static int parse_number(const char *text, int *number)
{
	int ret;

	if (!isdigit(text[*text == '-']))
		return -EINVAL;
	ret = kstrtoint(text, 10, number);
	if (!ret && *number < 0 && *number != SHARES_DONT_CARE)
		ret = -EINVAL;
	return ret;
}

static int *find_word(const char *word, struct shares *set, unsigned int *bit)
{
	if (!strcmp(word, "min_shares")) {
		*bit = BIT(0);
		return &set->min;
	}
	if (!strcmp(word, "max_shares")) {
		*bit = BIT(1);
		return &set->max;
	}
	*bit = BIT(2);
	return strcmp(word, "child_shares_divisor") ? NULL : &set->divisor;
}

/**
 * shares_parse - read "min_shares=N,max_shares=N,child_shares_divisor=N", or some of these
 * @buf: text; changed. "res=NAME" may be among the words
 * @resource: the only NAME
 * @set: result; what is not among the words is SHARES_UNCHANGED
 *
 * Return: 0; -EINVAL for an unknown word, one that is there twice, or what is no number; -ERANGE.
 */
int shares_parse(char *buf, const char *resource, struct shares *set)
{
	unsigned int bit, seen = 0;
	char *word, *value;
	int ret, *number;

	*set = (struct shares) { SHARES_UNCHANGED, SHARES_UNCHANGED, SHARES_UNCHANGED };
	while ((word = strsep(&buf, ","))) {
		value = strchr(word, '=');
		if (!value)
			return -EINVAL;
		*value++ = '\0';
		if (!strcmp(word, "res")) {
			bit = BIT(3);
			ret = strcmp(value, resource) ? -EINVAL : 0;
		} else {
			number = find_word(word, set, &bit);
			ret = number ? parse_number(value, number) : -EINVAL;
		}
		if (!ret && seen & bit)
			ret = -EINVAL;
		if (ret)
			return ret;
		seen |= bit;
	}
	return 0;
}

/**
 * shares_show - print what shares_parse() reads
 * @sf: where
 * @resource: its name
 * @set: what was said
 */
void shares_show(struct seq_file *sf, const char *resource, const struct shares *set)
{
	seq_printf(sf, "res=%s,min_shares=%d,max_shares=%d,child_shares_divisor=%d\n", resource,
		   set->min, set->max, set->divisor);
}
