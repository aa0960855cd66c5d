/*
 * Lets the real ipvsadm(8) run on a machine without IPVS: preloaded, it answers in the kernel's stead.
 *
 * Every changing request is written to $WITNESS_LOG, one line of readable attributes; listings are answered from
 * the binary netlink messages in $WITNESS_TABLE (u32 kind, u32 length, attributes; kinds: 1 info, 2 service,
 * 3 destination of the service before it, 4 configuration). $WITNESS_ERRNO fails every changing request, or as
 * "errno@n" only the n-th (from 0).
 * ipvsadm talks to the kernel through libnl, so only libnl's few calls are replaced; parsing stays libnl's.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct nl_sock;
struct nl_msg;
typedef int (*msg_cb)(struct nl_msg *, void *);
typedef int (*err_cb)(void *, struct nlmsgerr *, void *);

static msg_cb on_message;
static void *on_message_arg;
static err_cb on_error;
static void *on_error_arg;
static struct nlmsghdr *request;
static struct nlmsghdr *reply;

struct nlmsghdr *nlmsg_hdr(struct nl_msg *msg)
{
	static struct nlmsghdr *(*real)(struct nl_msg *);

	if (reply && (void *)msg == (void *)reply)
		return reply;
	if (!real)
		real = (struct nlmsghdr * (*)(struct nl_msg *)) dlsym(RTLD_NEXT, "nlmsg_hdr");
	return real(msg);
}

int genl_connect(struct nl_sock *sk) { (void)sk; return 0; }
int genl_ctrl_resolve(struct nl_sock *sk, const char *name) { (void)sk; (void)name; return 33; }

int nl_socket_modify_cb(struct nl_sock *sk, int type, int kind, msg_cb cb, void *arg)
{
	(void)sk; (void)type; (void)kind;
	on_message = cb;
	on_message_arg = arg;
	return 0;
}

int nl_socket_modify_err_cb(struct nl_sock *sk, int kind, err_cb cb, void *arg)
{
	(void)sk; (void)kind;
	on_error = cb;
	on_error_arg = arg;
	return 0;
}

int nl_send_auto_complete(struct nl_sock *sk, struct nl_msg *msg)
{
	(void)sk;
	request = nlmsg_hdr(msg);
	return request->nlmsg_len;
}

static struct genlmsghdr *genl(void) { return (struct genlmsghdr *)((char *)request + NLMSG_HDRLEN); }

static void print_bytes(FILE *log, const unsigned char *p, int n)
{
	for (int i = 0; i < n; i++)
		fprintf(log, "%02x", p[i]);
}

/* Attributes as "number=hex" or, nested, "number(…)"; nesting is what the flag or the top level says. */
static void print_attrs(FILE *log, const char *p, int len, int depth)
{
	while (len >= (int)sizeof(struct nlattr)) {
		const struct nlattr *a = (const struct nlattr *)p;
		int size = a->nla_len, step = NLA_ALIGN(a->nla_len);

		if (size < NLA_HDRLEN || size > len)
			return;
		fprintf(log, " %d", a->nla_type & NLA_TYPE_MASK);
		if (depth == 0 && (a->nla_type & NLA_TYPE_MASK) <= IPVS_CMD_ATTR_DAEMON) {
			fprintf(log, "(");
			print_attrs(log, p + NLA_HDRLEN, size - NLA_HDRLEN, 1);
			fprintf(log, " )");
		} else {
			fprintf(log, "=");
			print_bytes(log, (const unsigned char *)p + NLA_HDRLEN, size - NLA_HDRLEN);
		}
		p += step;
		len -= step;
	}
}

static void write_log(void)
{
	const char *name = getenv("WITNESS_LOG");
	FILE *log = name ? fopen(name, "a") : NULL;

	if (!log)
		return;
	fprintf(log, "%d", genl()->cmd);
	print_attrs(log, (char *)genl() + GENL_HDRLEN, request->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN, 0);
	fprintf(log, "\n");
	fclose(log);
}

static void answer(int cmd, const char *attrs, uint32_t len)
{
	static union { char bytes[65536]; struct nlmsghdr align; } buffer;
	struct nlmsghdr *h = &buffer.align;
	struct genlmsghdr *g = (struct genlmsghdr *)(buffer.bytes + NLMSG_HDRLEN);

	if (!on_message || len > sizeof(buffer) - 64)
		return;
	memset(buffer.bytes, 0, 64);
	h->nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN + len;
	h->nlmsg_type = 33;
	g->cmd = cmd;
	g->version = 1;
	memcpy(buffer.bytes + NLMSG_HDRLEN + GENL_HDRLEN, attrs, len);
	reply = h;
	on_message((struct nl_msg *)h, on_message_arg);
	reply = NULL;
}

/* The requested service's nested attributes, compared to a record's: protocol, address, port or mark. */
static const struct nlattr *find(const char *p, int len, int type)
{
	while (len >= (int)sizeof(struct nlattr)) {
		const struct nlattr *a = (const struct nlattr *)p;

		if (a->nla_len < NLA_HDRLEN || a->nla_len > len)
			return NULL;
		if ((a->nla_type & NLA_TYPE_MASK) == type)
			return a;
		p += NLA_ALIGN(a->nla_len);
		len -= NLA_ALIGN(a->nla_len);
	}
	return NULL;
}

static int same_service(const char *record, uint32_t len)
{
	static const int keys[] = { IPVS_SVC_ATTR_AF, IPVS_SVC_ATTR_PROTOCOL, IPVS_SVC_ATTR_PORT,
				    IPVS_SVC_ATTR_FWMARK };
	const struct nlattr *want = find((char *)genl() + GENL_HDRLEN,
		request->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN, IPVS_CMD_ATTR_SERVICE);
	const struct nlattr *have = find(record, len, IPVS_CMD_ATTR_SERVICE);
	const struct nlattr *a, *b;

	if (!want || !have)
		return 0;
	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		a = find((char *)want + NLA_HDRLEN, want->nla_len - NLA_HDRLEN, keys[i]);
		b = find((char *)have + NLA_HDRLEN, have->nla_len - NLA_HDRLEN, keys[i]);
		if (a && b && memcmp((char *)a + NLA_HDRLEN, (char *)b + NLA_HDRLEN, a->nla_len - NLA_HDRLEN))
			return 0;
		if (!a != !b)
			return 0;
	}
	a = find((char *)want + NLA_HDRLEN, want->nla_len - NLA_HDRLEN, IPVS_SVC_ATTR_ADDR);
	b = find((char *)have + NLA_HDRLEN, have->nla_len - NLA_HDRLEN, IPVS_SVC_ATTR_ADDR);
	return !a || !b || memcmp((char *)a + NLA_HDRLEN, (char *)b + NLA_HDRLEN, 16) == 0;
}

static int answer_from_table(int cmd)
{
	/* IPVS 1.2.1 with 4096 buckets, host byte order */
	static const char default_info[] = { 8, 0, IPVS_INFO_ATTR_VERSION, 0, 1, 2, 1, 0,
					     8, 0, IPVS_INFO_ATTR_CONN_TAB_SIZE, 0, 0, 16, 0, 0 };
	const char *name = getenv("WITNESS_TABLE");
	FILE *table = name ? fopen(name, "r") : NULL;
	static char record[65536];
	uint32_t head[2];
	int dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP, in_service = 0, found = 0;

	if (!table && cmd == IPVS_CMD_GET_INFO)
		answer(IPVS_CMD_SET_INFO, default_info, sizeof(default_info));
	if (!table)
		return 0;
	while (fread(head, sizeof(head), 1, table) == 1) {
		if (head[1] > sizeof(record) || (head[1] && fread(record, head[1], 1, table) != 1))
			break;
		if (head[0] == 1 && cmd == IPVS_CMD_GET_INFO)
			answer(IPVS_CMD_SET_INFO, record, head[1]);
		if (head[0] == 4 && cmd == IPVS_CMD_GET_CONFIG)
			answer(IPVS_CMD_SET_CONFIG, record, head[1]);
		if (head[0] == 2 && cmd == IPVS_CMD_GET_SERVICE && (dump || same_service(record, head[1]))) {
			answer(IPVS_CMD_NEW_SERVICE, record, head[1]);
			found = 1;
		}
		if (head[0] == 2 && cmd == IPVS_CMD_GET_DEST)
			in_service = same_service(record, head[1]);
		if (head[0] == 3 && cmd == IPVS_CMD_GET_DEST && in_service)
			answer(IPVS_CMD_NEW_DEST, record, head[1]);
	}
	fclose(table);
	return cmd == IPVS_CMD_GET_SERVICE && !dump && !found ? ESRCH : 0;
}

int nl_recvmsgs_default(struct nl_sock *sk)
{
	int cmd = genl()->cmd, error = 0;
	const char *fixed = getenv("WITNESS_ERRNO");
	struct nlmsgerr failure = { 0 };
	const char *at;
	static int changes;

	(void)sk;
	if (cmd == IPVS_CMD_GET_INFO || cmd == IPVS_CMD_GET_SERVICE || cmd == IPVS_CMD_GET_DEST ||
	    cmd == IPVS_CMD_GET_CONFIG || cmd == IPVS_CMD_GET_DAEMON) {
		error = answer_from_table(cmd);
	} else {
		write_log();
		at = fixed ? strchr(fixed, '@') : NULL;
		error = fixed && (!at || atoi(at + 1) == changes) ? atoi(fixed) : 0;
		changes++;
	}
	if (!error)
		return 0;
	failure.error = -error;
	if (on_error)
		on_error(NULL, &failure, on_error_arg);
	return -error;
}

/* The connection table, which ipvsadm reads from /proc, comes from $WITNESS_CONNECTIONS. */
FILE *fopen(const char *path, const char *mode)
{
	static FILE *(*real)(const char *, const char *);

	if (!real)
		real = (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, "fopen");
	if (strcmp(path, "/proc/net/ip_vs_conn") == 0 && getenv("WITNESS_CONNECTIONS"))
		path = getenv("WITNESS_CONNECTIONS");
	return real(path, mode);
}
