// SPDX-License-Identifier: MIT
/* Waits for a virtual machine that begins. */
#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kvm_await.h"
#include "tracer/probe.h"

#define LOOK_MS 250
#define KERNEL_GROUP 1 /* the kernel's own words, not those of udev */

void kvm_await_open(struct kvm_await *w)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};

	w->made = 0;
	w->uevents = socket(
		AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	if (w->uevents < 0)
		return;
	if (bind(w->uevents, (struct sockaddr *)&address, sizeof(address))) {
		close(w->uevents);
		w->uevents = -1;
	}
}

void kvm_await_close(struct kvm_await *w)
{
	if (w->uevents >= 0)
		close(w->uevents);
	w->uevents = -1;
}

/* The next process that KVM says made a VM (kvm_uevent_notify_change()); 0: none, for now. */
static pid_t next_maker(const struct kvm_await *w)
{
	char text[4096];
	ssize_t n;

	while ((n = recv(w->uevents, text, sizeof(text) - 1, 0)) > 0) {
		bool create = false;
		pid_t pid = 0;

		text[n] = '\0';
		if (!strstr(text, "/misc/kvm")) /* the first word: change@DEVPATH */
			continue;
		for (const char *word = text; word < text + n; word += strlen(word) + 1) {
			create |= !strcmp(word, "EVENT=create");
			if (!strncmp(word, "PID=", 4))
				pid = atoi(word + 4);
		}
		if (create && pid > 0)
			return pid;
	}
	return 0;
}

/* The maker may be a thread. */
static pid_t process_of(pid_t thread)
{
	char path[40], line[64];
	pid_t pid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", thread);
	f = fopen(path, "re");
	while (f && !pid && fgets(line, sizeof(line), f))
		if (!strncmp(line, "Tgid:", 5))
			pid = atoi(line + 5);
	if (f)
		fclose(f);
	return pid;
}

/* Its file of the VM may not be there yet: KVM says it first. */
static bool is_it(struct kvm_process *p, pid_t thread, const char *name)
{
	int rc = kvm_process_of(p, process_of(thread), NULL);

	return (rc == 0 || rc == -ENODEV) && kvm_process_is_named(p, name);
}

int kvm_await(
	struct kvm_await *w, struct kvm_process *p, const char *name, int signals, struct err *e)
{
	struct pollfd fds[] = {{signals, POLLIN, 0}, {w->uevents, POLLIN, 0}};

	w->since = 0;
	for (;;) {
		uint64_t look = probe_now();
		int rc = kvm_process_named(p, name, NULL);
		pid_t maker;

		if (rc != -ESRCH)
			return rc ? kvm_process_named(p, name, e) : 0;
		w->since = look;
		do {
			if (poll(fds, 2, LOOK_MS) < 0 && errno != EINTR)
				return err_set(e, -errno, "%s", strerror(errno));
			if (fds[0].revents)
				return err_set(e, -EINTR,
					"no virtual machine called %s began; nothing is recorded",
					name);
			while (w->uevents >= 0 && (maker = next_maker(w)))
				if (is_it(p, maker, name)) {
					w->made = 1;
					return 0;
				}
		} while (fds[1].revents); /* somebody else's */
	}
}

void kvm_await_count(struct kvm_await *w, pid_t pid)
{
	pid_t maker;

	while (w->uevents >= 0 && (maker = next_maker(w)))
		w->made += process_of(maker) == pid;
}
