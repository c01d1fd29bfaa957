// SPDX-License-Identifier: GPL-2.0
/*
 * devres-test.0, a device that stays: bound to devres-test-platform with some
 * resources of each kind, to be unbound and bound through sysfs. Its attribute
 * `grow` adds the given number of actions, `shrink` releases that many. While
 * the module's parameter `growing` is set, each binding has one block more than
 * the one before.
 */
#include <linux/err.h>
#include <linux/interrupt.h>
#include <linux/gfp.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "devres_test.h"

static struct platform_device *device;
static int device_irq = -1;

static bool growing;
module_param(growing, bool, 0644);
MODULE_PARM_DESC(growing, "each binding of devres-test.0 has one block more than the one before");

/* How many more blocks the next binding has. */
static unsigned int more;

/* What attributes `grow` and `shrink` count; its address is all that matters. */
static int grown;

static void undo_growth(void *data)
{
}

static ssize_t grow_store(struct device *dev, struct device_attribute *attr,
			  const char *text, size_t size)
{
	unsigned int count;
	int ret = kstrtouint(text, 0, &count);

	while (!ret && count--)
		ret = devm_add_action(dev, undo_growth, &grown);
	return ret ?: size;
}
static DEVICE_ATTR_WO(grow);

static ssize_t shrink_store(struct device *dev, struct device_attribute *attr,
			    const char *text, size_t size)
{
	unsigned int count;
	int ret = kstrtouint(text, 0, &count);

	if (ret)
		return ret;
	while (count--)
		devm_release_action(dev, undo_growth, &grown);
	return size;
}
static DEVICE_ATTR_WO(shrink);

static struct attribute *platform_attrs[] = {
	&dev_attr_grow.attr,
	&dev_attr_shrink.attr,
	NULL,
};
ATTRIBUTE_GROUPS(platform);

static void custom_release(struct device *dev, void *res)
{
}

static int add_blocks(struct device *dev)
{
	void *block;

	if (!devm_kzalloc(dev, 48, GFP_KERNEL) ||
	    !devm_kstrdup(dev, "devres", GFP_KERNEL) ||
	    !devm_kasprintf(dev, GFP_KERNEL, "of %s", dev_name(dev)) ||
	    !devm_get_free_pages(dev, GFP_KERNEL, 0) ||
	    !devm_alloc_percpu(dev, u64))
		return -ENOMEM;

	block = devm_kmalloc(dev, 40, GFP_KERNEL);
	if (!block || !devm_krealloc(dev, block, 4000, GFP_KERNEL))
		return -ENOMEM;
	return 0;
}

static int add_group(struct device *dev)
{
	void *group = devres_open_group(dev, NULL, GFP_KERNEL);

	if (!group)
		return -ENOMEM;
	if (!devm_kzalloc(dev, 16, GFP_KERNEL))
		return -ENOMEM;
	devres_close_group(dev, group);
	return 0;
}

static int add_more(struct device *dev)
{
	unsigned int i;

	for (i = 0; i < more; i++)
		if (!devm_kzalloc(dev, 64, GFP_KERNEL))
			return -ENOMEM;
	if (growing)
		more++;
	else
		more = 0;
	return 0;
}

static int platform_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	void *res;
	int ret;

	ret = add_blocks(dev) ?: add_more(dev);
	if (ret)
		return ret;
	res = devres_alloc(custom_release, 24, GFP_KERNEL);
	if (!res)
		return -ENOMEM;
	devres_add(dev, res);
	ret = add_group(dev);
	if (ret)
		return ret;
	ret = devm_add_action_or_reset(dev, dt_power_off, dev);
	if (ret)
		return ret;
	return dt_irq_request(dev, device_irq, dev);
}

static const struct platform_device_id platform_ids[] = {
	{ .name = "devres-test" },
	{}
};

static struct platform_driver platform_driver;

static const struct platform_driver driver_template = {
	.probe = platform_probe,
	.id_table = platform_ids,
	.driver = {
		.name = "devres-test-platform",
		.dev_groups = platform_groups,
		.probe_type = PROBE_FORCE_SYNCHRONOUS,
	},
};

int dt_platform_register(void)
{
	int ret;

	if (device)
		return -EBUSY;
	device_irq = dt_irq_alloc();
	if (device_irq < 0)
		return device_irq;
	platform_driver = driver_template;
	ret = platform_driver_register(&platform_driver);
	if (ret)
		goto free_irq;
	device = platform_device_register_simple("devres-test", 0, NULL, 0);
	if (IS_ERR(device)) {
		ret = PTR_ERR(device);
		device = NULL;
		goto unregister_driver;
	}
	return 0;

unregister_driver:
	platform_driver_unregister(&platform_driver);
free_irq:
	dt_irq_free(device_irq);
	return ret;
}

void dt_platform_unregister(void)
{
	if (!device)
		return;
	platform_device_unregister(device);
	device = NULL;
	platform_driver_unregister(&platform_driver);
	dt_irq_free(device_irq);
}

static int run_register(const struct dt_scenario *scenario, unsigned long count)
{
	return dt_platform_register();
}

static int run_unregister(const struct dt_scenario *scenario,
			  unsigned long count)
{
	if (!device)
		return -ENODEV;
	dt_platform_unregister();
	return 0;
}

const struct dt_scenario dt_platform_scenarios[] = {
	{ "platform-register", "registers devres-test.0, bound, with resources of each kind; stays", run_register, true },
	{ "platform-unregister", "takes devres-test.0 away again", run_unregister, true },
	{}
};
