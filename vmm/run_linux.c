// SPDX-License-Identifier: MIT
/* Reads a Linux guest's files; for --linux lets the scripts of samples/linux make them first. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend.h"
#include "file.h"
#include "guest_abi.h"
#include "linux_boot.h"
#include "run_linux.h"
#include "tracer/symbol_file.h"

/* What mkdisk.sh writes into its partition table as the disk's signature, at byte 440. */
#define DISK_SIGNATURE "EXWL"
#define DISK_SIGNATURE_AT 440

#define DIR_SIZE (PATH_MAX + 64)

extern char **environ;

static bool has_scripts(const char *dir)
{
	char path[DIR_SIZE + 16];

	snprintf(path, sizeof(path), "%s/kernel.sh", dir);
	return access(path, R_OK) == 0;
}

/* In the build folder beside the program, or where `make install` puts it, wherever PREFIX is. */
static int find_scripts(char *dir, size_t size, struct err *e)
{
	static const char *const places[] = {"linux", "../share/exitwalk/linux"};
	const char *given = getenv("EXITWALK_LINUX");
	char exe[PATH_MAX];
	ssize_t n;

	if (given) {
		snprintf(dir, size, "%s", given);
		return has_scripts(dir) ? 0
					: err_set(e, -ENOENT,
						  "EXITWALK_LINUX is %s, which has no kernel.sh: "
						  "let it name samples/linux as built, or unset it",
						  given);
	}
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = '\0';
	*(strrchr(exe, '/') ? strrchr(exe, '/') : exe) = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(dir, size, "%s/%s", exe, places[i]);
		if (has_scripts(dir))
			return 0;
	}
	return err_set(e, -ENOENT,
		"the scripts of --linux are neither in %s/linux nor in %s/../share/exitwalk/linux: run "
		"make, or name their folder by EXITWALK_LINUX",
		exe, exe);
}

/* Starts argv with stdout going to `out`, if that is a descriptor. */
static int start(char *const argv[], int out, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	int rc = posix_spawn_file_actions_init(&actions);

	if (rc)
		return -rc;
	/* What a script says goes to stderr, like all that is not the guest's. */
	rc = posix_spawn_file_actions_adddup2(
		&actions, out >= 0 ? out : STDERR_FILENO, STDOUT_FILENO);
	if (rc == 0)
		rc = posix_spawn(pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -rc;
}

static void collect(int fd, char *text, size_t size)
{
	size_t used = 0;
	ssize_t n;

	while (used + 1 < size &&
		((n = read(fd, text + used, size - 1 - used)) > 0 || (n < 0 && errno == EINTR)))
		used += n > 0 ? (size_t)n : 0;
	text[used] = '\0';
}

/* Runs DIR/NAME WORDS…; its standard output goes into `text` if that is not NULL. */
static int script(const char *dir, const char *name, char *const words[3], char *text, size_t size,
	struct err *e)
{
	char path[DIR_SIZE + 32];
	char *const argv[] = {path, words[0], words[1], words[2], NULL};
	int out[2] = {-1, -1}, status = 0, rc;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (text && pipe2(out, O_CLOEXEC))
		return err_set(e, -errno, "no pipe to %s: %s", path, strerror(errno));
	rc = start(argv, out[1], &pid);
	if (out[1] >= 0)
		close(out[1]);
	if (rc == 0 && text)
		collect(out[0], text, size);
	if (out[0] >= 0)
		close(out[0]);
	if (rc)
		return err_set(e, rc, "%s cannot be run: %s", path, strerror(-rc));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		return err_set(e, -ECHILD,
			"%s failed, and said why above: put that right, or give a "
			"kernel by -k and an initrd by -i",
			path);
	return 0;
}

/* The value of a line "key=value", or NULL; ends the line with a NUL. */
static char *value_of(char *text, const char *key)
{
	size_t len = strlen(key);

	for (char *line = text; line && *line; line = strchr(line, '\n') + 1) {
		char *end = strchr(line, '\n');

		if (!end)
			break;
		if (strncmp(line, key, len) == 0 && line[len] == '=') {
			*end = '\0';
			return line + len + 1;
		}
	}
	return NULL;
}

static bool file_has(const char *path, off_t at, const void *bytes, size_t len)
{
	char found[16] = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool same;

	if (fd < 0)
		return false;
	same = pread(fd, found, len, at) == (ssize_t)len && memcmp(found, bytes, len) == 0;
	close(fd);
	return same;
}

/* A disk named by -d is used as it is. One with the default name is made anew if it is one of ours. */
static int make_disk(const char *dir, const struct run_options *o, struct err *e)
{
	char *disk = o->disk[0].path;
	bool there = access(disk, F_OK) == 0;

	if (there && o->disk_given)
		return 0;
	if (there && !file_has(disk, 0, EW_FS_MAGIC, sizeof(EW_FS_MAGIC) - 1) &&
		!file_has(disk, DISK_SIGNATURE_AT, DISK_SIGNATURE, sizeof(DISK_SIGNATURE) - 1))
		return err_set(e, -EEXIST,
			"%s exists and is not a disk that exitwalk made: name a disk by -d", disk);
	return script(dir, "mkdisk.sh", (char *const[3]){disk}, NULL, 0, e);
}

static int make_initrd(struct run_linux *l, const char *dir, char *modules, struct err *e)
{
	const char *temp = getenv("TMPDIR");
	char writer[DIR_SIZE + 16];
	int fd, rc;

	snprintf(writer, sizeof(writer), "%s/writer", dir);
	if (asprintf(&l->initrd_path, "%s/exitwalk-initramfs.XXXXXX",
		    temp && *temp ? temp : "/tmp") < 0) {
		l->initrd_path = NULL;
		return err_set(e, -ENOMEM, "out of memory: free some");
	}
	fd = mkstemp(l->initrd_path);
	if (fd < 0) {
		rc = err_set(e, -errno, "%s cannot be made: %s", l->initrd_path, strerror(errno));
		free(l->initrd_path);
		l->initrd_path = NULL;
		return rc;
	}
	close(fd);
	return script(dir, "mkinitramfs.sh", (char *const[3]){modules, writer, l->initrd_path},
		NULL, 0, e);
}

static int make_all(struct run_linux *l, const struct run_options *o, struct err *e)
{
	char dir[DIR_SIZE], text[2 * PATH_MAX + 64];
	char *kernel, *modules;
	int rc = backend_check_linux(e); /* before a kernel is downloaded */

	l->made = true;
	if (rc == 0)
		rc = find_scripts(dir, sizeof(dir), e);
	if (rc == 0)
		rc = script(dir, "kernel.sh", (char *const[3]){NULL}, text, sizeof(text), e);
	if (rc)
		return rc;
	modules = value_of(text, "modules");
	kernel = value_of(text, "kernel");
	if (!kernel || !modules)
		return err_set(e, -EINVAL,
			"%s/kernel.sh did not say kernel= and modules=: give a "
			"kernel by -k",
			dir);
	l->kernel_path = strdup(kernel);
	if (!l->kernel_path)
		return err_set(e, -ENOMEM, "out of memory: free some");
	rc = make_initrd(l, dir, modules, e);
	return rc ? rc : make_disk(dir, o, e);
}

static int name_files(struct run_linux *l, const struct run_options *o, struct err *e)
{
	l->kernel_path = strdup(o->kernel);
	l->initrd_path = o->initrd ? strdup(o->initrd) : NULL;
	if (!l->kernel_path || (o->initrd && !l->initrd_path))
		return err_set(e, -ENOMEM, "out of memory: free some");
	return 0;
}

static int read_symbols(struct run_linux *l, const char *path, struct err *e)
{
	void *data = NULL;
	size_t len = 0;
	int rc = file_read(path, "the file of symbols", &data, &len, e);

	if (rc == 0)
		rc = symbol_file_read(&l->symbols, data, len, path, e);
	free(data);
	return rc;
}

int run_linux_prepare(struct run_linux *l, const struct run_options *o, struct err *e)
{
	int rc;

	*l = (struct run_linux){0};
	rc = o->linux_demo ? make_all(l, o, e) : name_files(l, o, e);
	if (rc == 0)
		rc = file_read(l->kernel_path, "the kernel", &l->kernel, &l->kernel_len, e);
	if (rc == 0 && l->initrd_path)
		rc = file_read(l->initrd_path, "the initrd", &l->initrd, &l->initrd_len, e);
	if (l->made && l->initrd_path)
		unlink(l->initrd_path);
	if (rc == 0 && o->symbols)
		rc = read_symbols(l, o->symbols, e);
	if (rc == 0)
		linux_version(l->kernel, l->kernel_len, l->version, sizeof(l->version));
	return rc;
}

void run_linux_free(struct run_linux *l)
{
	free(l->kernel_path);
	free(l->initrd_path);
	free(l->kernel);
	free(l->initrd);
	ksyms_free(&l->symbols);
	*l = (struct run_linux){0};
}

void run_linux_config(const struct run_linux *l, struct machine_config *c)
{
	c->is_linux = true;
	c->kernel = l->kernel;
	c->kernel_len = l->kernel_len;
	c->initrd = l->initrd;
	c->initrd_len = l->initrd_len;
}
