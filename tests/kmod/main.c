// SPDX-License-Identifier: GPL-2.0
/* The debugfs interface: run, took, scenarios, stacks. */
#include <linux/debugfs.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "devres_test.h"

static bool platform;
module_param(platform, bool, 0444);
MODULE_PARM_DESC(platform, "register devres-test.0 at load, as the scenario platform-register does");

static const struct dt_scenario *const tables[] = {
	dt_platform_scenarios,
	dt_pm_domain_scenarios,
	dt_pm_bus_scenarios,
#ifdef CONFIG_PM_GENERIC_DOMAINS_OF
	dt_genpd_scenarios,
#endif
	dt_group_scenarios,
	dt_explicit_scenarios,
	dt_component_scenarios,
	dt_lifetime_scenarios,
	dt_late_add_scenarios,
	dt_foreign_scenarios,
	dt_embedded_scenarios,
	dt_irq_scenarios,
	dt_growth_scenarios,
	dt_load_scenarios,
	dt_callback_scenarios,
	dt_unwind_scenarios,
	dt_power_scenarios,
	dt_enabled_scenarios,
	dt_freed_scenarios,
	dt_pending_scenarios,
	dt_removal_scenarios,
};

static struct dentry *directory;

/* Nanoseconds that the last scenario took. */
static u64 took;

/* Scenarios share their drivers and the interrupt, so one runs at a time. */
static DEFINE_MUTEX(run_lock);

static const struct dt_scenario *find_scenario(const char *name)
{
	const struct dt_scenario *scenario;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tables); i++)
		for (scenario = tables[i]; scenario->name; scenario++)
			if (!strcmp(scenario->name, name))
				return scenario;
	return NULL;
}

/* Takes "NAME" or "NAME COUNT". */
static ssize_t run_write(struct file *file, const char __user *user,
			 size_t size, loff_t *position)
{
	const struct dt_scenario *scenario;
	unsigned long count = 0;
	char buffer[64], *rest, *name;
	u64 begin;
	int ret;

	if (size >= sizeof(buffer))
		return -EINVAL;
	if (copy_from_user(buffer, user, size))
		return -EFAULT;
	buffer[size] = '\0';

	rest = strim(buffer);
	name = strsep(&rest, " ");
	if (rest) {
		ret = kstrtoul(skip_spaces(rest), 0, &count);
		if (ret)
			return ret;
	}
	scenario = find_scenario(name);
	if (!scenario)
		return -EINVAL;

	ret = mutex_lock_interruptible(&run_lock);
	if (ret)
		return ret;
	pr_info("devres_test: %s begins\n", scenario->name);
	begin = ktime_get_ns();
	ret = scenario->run(scenario, count);
	took = ktime_get_ns() - begin;
	pr_info("devres_test: %s ends: %d\n", scenario->name, ret);
	mutex_unlock(&run_lock);

	return ret < 0 ? ret : size;
}

static const struct file_operations run_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = run_write,
};

/* Takes "panic", "oops" or "hang". */
static ssize_t crash_write(struct file *file, const char __user *user,
			   size_t size, loff_t *position)
{
	char buffer[16];
	int ret;

	if (size >= sizeof(buffer))
		return -EINVAL;
	if (copy_from_user(buffer, user, size))
		return -EFAULT;
	buffer[size] = '\0';
	ret = dt_crash(strim(buffer));

	return ret < 0 ? ret : size;
}

static const struct file_operations crash_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = crash_write,
};

static int scenarios_show(struct seq_file *seq, void *unused)
{
	const struct dt_scenario *scenario;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tables); i++)
		for (scenario = tables[i]; scenario->name; scenario++)
			seq_printf(seq, "%s\t%s\n", scenario->name,
				   scenario->about);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(scenarios);
DEFINE_SHOW_ATTRIBUTE(dt_stacks);

static int __init devres_test_init(void)
{
	int ret;

	dt_irq = dt_irq_alloc();
	if (dt_irq < 0)
		return dt_irq;
	ret = dt_stacks_init();
	if (ret)
		goto free_irq;
	ret = dt_lifetime_init();
	if (ret)
		goto free_irq;
	ret = dt_power_init();
	if (ret)
		goto exit_lifetime;
	ret = dt_enabled_init();
	if (ret)
		goto exit_power;
	ret = dt_callback_init();
	if (ret)
		goto exit_enabled;
	if (platform) {
		ret = dt_platform_register();
		if (ret)
			goto exit_callback;
	}

	directory = debugfs_create_dir("devres_test", NULL);
	debugfs_create_file("run", 0200, directory, NULL, &run_fops);
	debugfs_create_file("crash", 0200, directory, NULL, &crash_fops);
	debugfs_create_file("scenarios", 0444, directory, NULL,
			    &scenarios_fops);
	debugfs_create_u64("took", 0644, directory, &took);
	debugfs_create_file("stacks", 0400, directory, NULL, &dt_stacks_fops);
	return 0;

exit_callback:
	dt_callback_exit();
exit_enabled:
	dt_enabled_exit();
exit_power:
	dt_power_exit();
exit_lifetime:
	dt_lifetime_exit();
free_irq:
	dt_irq_free(dt_irq);
	return ret;
}

static void __exit devres_test_exit(void)
{
	debugfs_remove_recursive(directory);
	dt_platform_unregister();
	dt_unwind_unregister();
	dt_callback_exit();
	dt_enabled_exit();
	dt_power_exit();
	dt_lifetime_exit();
	dt_irq_free(dt_irq);
}

module_init(devres_test_init);
module_exit(devres_test_exit);
MODULE_DESCRIPTION("Scenarios for tracers of managed device resources");
MODULE_LICENSE("GPL");
