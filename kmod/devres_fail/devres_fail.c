// SPDX-License-Identifier: GPL-2.0
/*
 * devres_fail: lets the n-th managed acquisition of one probe fail.
 *
 * Almost every devm_*() function first allocates the node that it will add to
 * the device, and returns -ENOMEM if it can't. Here that allocation fails: the
 * function that makes it returns what it returns without memory, and is not
 * run. All that follows is the driver's own error path.
 *
 *	echo N/DEVICE/DRIVER > /sys/module/devres_fail/parameters/arm
 *	echo DEVICE > /sys/bus/BUS/drivers/DRIVER/bind
 *	cat /sys/module/devres_fail/parameters/result
 *
 * This concerns one probe: the next one of that device by that driver, in the
 * process that has written to `arm`. Probes that run inside it, of other
 * devices, are left alone. While nothing is armed the module does nothing. An
 * empty line disarms it. N may be more than the probe acquires: then it is not
 * disturbed, and `result` shows how many acquisitions there were.
 *
 * `result` is "idle", "armed", "running", or what came of the probe:
 *
 *	seen 7
 *	failed devm_kmalloc;devm_kasprintf;lm75_probe [lm75];i2c_device_probe
 *	returned 12
 *
 * The line `failed` is missing if nothing was made to fail; it names the
 * function and its callers. What really_probe() returns for a driver's error
 * is positive from 5.11 on, and nothing on 5.10.
 *
 * Not counted: devm_krealloc(), the markers of groups, and what allocates its
 * node by itself, such as Devres<T> of Rust.
 */
#include <linux/errno.h>
#include <linux/device.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/stacktrace.h>
#include <linux/string.h>

#ifndef CONFIG_X86_64
#error "arguments and return address are only known of x86-64"
#endif

/* How many callers are shown. */
#define CALLERS 8
/* The stack of the probe handler itself lies on top of those. */
#define MOST_FRAMES 48
/* Device and driver, each with its end. */
#define MOST_NAME 128

enum state { IDLE, ARMED, RUNNING, RAN };

/*
 * The probe that is wanted. While it is RUNNING only @task writes here, and
 * until then only who writes to `arm`, which the lock of the parameters
 * serializes.
 */
static struct {
	enum state state;
	pid_t process;
	unsigned int nth;
	char device[MOST_NAME];
	char driver[MOST_NAME];
	struct task_struct *task;
	unsigned int depth;
	unsigned int seen;
	bool failed;
	const char *function;
	unsigned long callers[CALLERS];
	unsigned int caller_count;
	int returned;
} wanted;

/* sysfs has '!' where a name has '/'. */
static bool is_named(const char *name, const char *in_sysfs)
{
	if (!name)
		return false;
	for (; *name && *in_sysfs; name++, in_sysfs++)
		if ((*name == '/' ? '!' : *name) != *in_sysfs)
			return false;
	return !*name && !*in_sysfs;
}

static bool is_wanted(struct device *dev, const struct device_driver *driver)
{
	return smp_load_acquire(&wanted.state) == ARMED &&
	       wanted.process == current->tgid &&
	       is_named(dev_name(dev), wanted.device) &&
	       is_named(driver->name, wanted.driver);
}

static bool is_running(void)
{
	return READ_ONCE(wanted.task) == current;
}

/* really_probe(dev, drv) */
static int probe_begins(struct kretprobe_instance *instance,
			struct pt_regs *regs)
{
	struct device *dev = (struct device *)regs->di;
	const struct device_driver *driver = (void *)regs->si;

	if (is_running()) {
		wanted.depth++;
		return 0;
	}
	/* Its return is of no interest. */
	if (!is_wanted(dev, driver))
		return 1;
	wanted.depth = 1;
	wanted.seen = 0;
	wanted.failed = false;
	wanted.returned = 0;
	smp_store_release(&wanted.state, RUNNING);
	WRITE_ONCE(wanted.task, current);
	return 0;
}

static int probe_ends(struct kretprobe_instance *instance,
		      struct pt_regs *regs)
{
	if (!is_running() || --wanted.depth)
		return 0;
	wanted.returned = regs_return_value(regs);
	WRITE_ONCE(wanted.task, NULL);
	smp_store_release(&wanted.state, RAN);
	return 0;
}

static struct kretprobe really_probe = {
	.kp.symbol_name = "really_probe",
	.entry_handler = probe_begins,
	.handler = probe_ends,
	.maxactive = 64,
};

/* What runs instead of the function that is to fail, for its caller. */
static noinline notrace void *no_memory(void)
{
	return NULL;
}

static noinline notrace int no_memory_error(void)
{
	return -ENOMEM;
}

/* A function that allocates a node, by the names it has had. */
struct acquisition {
	const char *names[3];
	void *instead;
	struct kprobe probe;
};

static struct acquisition acquisitions[] = {
	{ { "devm_kmalloc" }, no_memory },
	{ { "__devres_alloc_node", "devres_alloc_node" }, no_memory },
	{ { "__devm_add_action", "devm_add_action" }, no_memory_error },
	{ { "__devm_alloc_percpu" }, no_memory },
	{ { "devm_get_free_pages" }, no_memory },
};

static bool is_acquisition(unsigned long address)
{
	char name[KSYM_SYMBOL_LEN];
	unsigned int i, k;

	scnprintf(name, sizeof(name), "%ps", (void *)address);
	for (i = 0; i < ARRAY_SIZE(acquisitions); i++)
		for (k = 0; acquisitions[i].names[k]; k++)
			if (!strcmp(name, acquisitions[i].names[k]))
				return true;
	return false;
}

static void note_callers(unsigned long caller)
{
	unsigned long frames[MOST_FRAMES];
	unsigned int count, i;

	count = stack_trace_save(frames, ARRAY_SIZE(frames), 0);
	for (i = 0; i < count && frames[i] != caller; i++)
		;
	wanted.caller_count = 0;
	if (i == count) {
		wanted.callers[wanted.caller_count++] = caller;
		return;
	}
	while (i < count && wanted.caller_count < CALLERS)
		wanted.callers[wanted.caller_count++] = frames[i++];
}

static int acquires(struct kprobe *probe, struct pt_regs *regs)
{
	struct acquisition *acquisition =
		container_of(probe, struct acquisition, probe);
	unsigned long caller;

	if (!is_running() || wanted.depth != 1)
		return 0;
	caller = *(unsigned long *)regs->sp;
	/* What one of them allocates inside another is not a second acquisition. */
	if (is_acquisition(caller) || ++wanted.seen != wanted.nth)
		return 0;
	note_callers(caller);
	wanted.function = probe->symbol_name;
	wanted.failed = true;
	instruction_pointer_set(regs, (unsigned long)acquisition->instead);
	return 1;
}

/* With a handler behind it a probe is never made one that can't change where execution goes on. */
static void acquired(struct kprobe *probe, struct pt_regs *regs,
		     unsigned long flags)
{
}

/* Takes "N/DEVICE/DRIVER", or nothing. */
static int arm_set(const char *text, const struct kernel_param *param)
{
	char buffer[2 * MOST_NAME + 16], *rest, *number, *device;
	unsigned int nth;
	int ret;

	if (smp_load_acquire(&wanted.state) == RUNNING)
		return -EBUSY;
	if (strscpy(buffer, text, sizeof(buffer)) < 0)
		return -EINVAL;
	rest = strim(buffer);
	smp_store_release(&wanted.state, IDLE);
	if (!*rest)
		return 0;
	number = strsep(&rest, "/");
	device = strsep(&rest, "/");
	if (!device || !rest)
		return -EINVAL;
	ret = kstrtouint(number, 10, &nth);
	if (ret || !nth)
		return ret ?: -EINVAL;
	if (strscpy(wanted.device, device, MOST_NAME) < 0 ||
	    strscpy(wanted.driver, rest, MOST_NAME) < 0)
		return -EINVAL;
	wanted.nth = nth;
	wanted.process = current->tgid;
	smp_store_release(&wanted.state, ARMED);
	return 0;
}

static int result_get(char *buffer, const struct kernel_param *param)
{
	unsigned int i;
	int size;

	switch (smp_load_acquire(&wanted.state)) {
	case IDLE:
		return sprintf(buffer, "idle\n");
	case ARMED:
		return sprintf(buffer, "armed\n");
	case RUNNING:
		return sprintf(buffer, "running\n");
	case RAN:
		break;
	}
	size = scnprintf(buffer, PAGE_SIZE, "seen %u\n", wanted.seen);
	if (wanted.failed) {
		size += scnprintf(buffer + size, PAGE_SIZE - size,
				  "failed %s", wanted.function);
		for (i = 0; i < wanted.caller_count; i++)
			size += scnprintf(buffer + size, PAGE_SIZE - size,
					  ";%ps", (void *)wanted.callers[i]);
		size += scnprintf(buffer + size, PAGE_SIZE - size, "\n");
	}
	size += scnprintf(buffer + size, PAGE_SIZE - size, "returned %d\n",
			  wanted.returned);
	return size;
}

static const struct kernel_param_ops arm_ops = { .set = arm_set };
module_param_cb(arm, &arm_ops, NULL, 0200);
MODULE_PARM_DESC(arm, "N/DEVICE/DRIVER: the N-th managed acquisition of its next probe in this process fails");

static const struct kernel_param_ops result_ops = { .get = result_get };
module_param_cb(result, &result_ops, NULL, 0400);
MODULE_PARM_DESC(result, "what came of the probe that was armed last");

/* -ENOENT if this kernel has none of its names. */
static int register_acquisition(struct acquisition *acquisition)
{
	struct kprobe *probe = &acquisition->probe;
	unsigned int i;
	int ret = -ENOENT;

	for (i = 0; ret && acquisition->names[i]; i++) {
		memset(probe, 0, sizeof(*probe));
		probe->symbol_name = acquisition->names[i];
		probe->pre_handler = acquires;
		probe->post_handler = acquired;
		ret = register_kprobe(probe);
	}
	return ret;
}

static void unregister_acquisitions(unsigned int count)
{
	while (count--)
		unregister_kprobe(&acquisitions[count].probe);
}

static int __init devres_fail_init(void)
{
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(acquisitions); i++) {
		ret = register_acquisition(&acquisitions[i]);
		if (ret) {
			pr_err("devres_fail: %s can't be probed: %d\n",
			       acquisitions[i].names[0], ret);
			goto unregister;
		}
	}
	ret = register_kretprobe(&really_probe);
	if (ret) {
		pr_err("devres_fail: really_probe can't be probed: %d\n", ret);
		goto unregister;
	}
	return 0;

unregister:
	unregister_acquisitions(i);
	return ret;
}

static void __exit devres_fail_exit(void)
{
	/* With its returns unobserved, nothing can be left running: a probe that runs is not told to the end. */
	unregister_kretprobe(&really_probe);
	WRITE_ONCE(wanted.task, NULL);
	unregister_acquisitions(ARRAY_SIZE(acquisitions));
}

module_init(devres_fail_init);
module_exit(devres_fail_exit);
MODULE_DESCRIPTION("Lets the n-th managed acquisition of a probe fail");
MODULE_LICENSE("GPL");
