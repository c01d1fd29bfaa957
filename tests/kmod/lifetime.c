// SPDX-License-Identifier: GPL-2.0
/*
 * Resources on devices that no driver is bound to (DR007, DR011).
 *
 * Expected: up to 6.5 (not 6.1.53 and its successors) such resources live until
 * the last reference to their device is put; from 6.6 on device_del() releases
 * them, and only what is added after it waits for the last put.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/slab.h>

#include "devres_test.h"

static struct class lifetime_class = { .name = "devres-test" };

static void free_device(struct device *dev)
{
	kfree(dev);
}

static struct device *register_class_device(const char *name)
{
	struct device *dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	int ret;

	if (!dev)
		return ERR_PTR(-ENOMEM);
	device_initialize(dev);
	dev->class = &lifetime_class;
	dev->release = free_device;
	ret = dev_set_name(dev, "%s", name) ?: device_add(dev);
	if (ret) {
		put_device(dev);
		return ERR_PTR(ret);
	}
	return dev;
}

/*
 * An action and a block on a device that is unregistered while somebody holds
 * a reference to it for another 200 ms. The twin releases them as a group
 * before unregistering.
 */
static int late_put(const struct dt_scenario *scenario, struct device *dev)
{
	void *group = NULL;
	int ret;

	get_device(dev);
	if (scenario->correct) {
		group = devres_open_group(dev, NULL, GFP_KERNEL);
		if (!group)
			return -ENOMEM;
	}
	if (!devm_kzalloc(dev, 32, GFP_KERNEL))
		return -ENOMEM;
	ret = devm_add_action(dev, dt_note, "of a device put late");
	if (group)
		devres_release_group(dev, group);
	return ret;
}

static void put_late(struct device *dev)
{
	msleep(200);
	pr_info("devres_test: last put of %s\n", dev_name(dev));
	put_device(dev);
}

static int run_root_late_put(const struct dt_scenario *scenario,
			     unsigned long count)
{
	struct device *dev = root_device_register("devres-test-root");
	int ret;

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	ret = late_put(scenario, dev);
	root_device_unregister(dev);
	put_late(dev);
	return ret;
}

static int run_class_late_put(const struct dt_scenario *scenario,
			      unsigned long count)
{
	struct device *dev = register_class_device("devres-test-class");
	int ret;

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	ret = late_put(scenario, dev);
	device_unregister(dev);
	put_late(dev);
	return ret;
}

/*
 * A class device that owns something before it has its name and its class, and
 * keeps its first name to the end. What it owns is released as a group before
 * it is unregistered. In between nothing that is traced happens to it.
 */
static int run_class_late_name(const struct dt_scenario *scenario,
			       unsigned long count)
{
	struct device *dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	void *group;
	int ret;

	if (!dev)
		return -ENOMEM;
	device_initialize(dev);
	dev->release = free_device;
	group = devres_open_group(dev, NULL, GFP_KERNEL);
	ret = group ? devm_add_action(dev, dt_note, "of a device named late") : -ENOMEM;
	dev->class = &lifetime_class;
	ret = ret ?: dev_set_name(dev, "devres-test-late-name") ?: device_add(dev);
	if (!ret)
		msleep(500);
	if (group)
		devres_release_group(dev, group);
	if (!ret)
		device_del(dev);
	put_device(dev);
	return ret;
}

/*
 * A device whose action holds the last reference to it: where only the last
 * put releases resources, neither ever happens. Such a device stays until
 * self-reference-clean, or the module's unloading, runs the action.
 */
static struct device *looped_device;
static bool loop_broken;

static void put_self(void *data)
{
	loop_broken = true;
	put_device(data);
}

static void break_loop(void)
{
	if (!looped_device)
		return;
	devm_release_action(looped_device, put_self, looped_device);
	looped_device = NULL;
}

static int add_self_reference(struct device *dev)
{
	int ret;

	loop_broken = false;
	ret = devm_add_action(dev, put_self, get_device(dev));
	if (ret)
		put_device(dev);
	return ret;
}

/* The twin releases its resources as a group before unregistering. */
static int run_self_reference(const struct dt_scenario *scenario,
			      unsigned long count)
{
	struct device *dev;
	void *group = NULL;
	int ret;

	if (looped_device)
		return -EBUSY;
	dev = register_class_device("devres-test-loop");
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	if (scenario->correct)
		group = devres_open_group(dev, NULL, GFP_KERNEL);
	ret = add_self_reference(dev);
	if (group)
		devres_release_group(dev, group);
	device_unregister(dev);
	/* Where the action has run, the device is gone. */
	if (!ret && !loop_broken)
		looped_device = dev;
	return ret;
}

/* The same on any kernel: what is added after device_del() waits for the put. */
static int run_self_reference_late(const struct dt_scenario *scenario,
				   unsigned long count)
{
	struct device *dev;
	int ret;

	if (looped_device)
		return -EBUSY;
	dev = register_class_device("devres-test-loop");
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	device_del(dev);
	ret = add_self_reference(dev);
	put_device(dev);
	if (!ret)
		looped_device = dev;
	return ret;
}

static int run_self_reference_clean(const struct dt_scenario *scenario,
				    unsigned long count)
{
	break_loop();
	return 0;
}

static int early_probe(struct device *dev)
{
	return 0;
}

static struct dt_driver early_driver = {
	.name = "devres-test-early",
	.probe = early_probe,
};

/*
 * A platform device gets a resource before its driver comes, whose probe is
 * refused for that. The twin gives it the resource once it is bound.
 */
static int run_before_probe(const struct dt_scenario *scenario,
			    unsigned long count)
{
	struct platform_device *pdev;
	bool bound;
	int ret = 0;

	pdev = dt_device_register(early_driver.name, NULL);
	if (IS_ERR(pdev))
		return PTR_ERR(pdev);
	if (!scenario->correct && !devm_kzalloc(&pdev->dev, 32, GFP_KERNEL))
		ret = -ENOMEM;
	if (!ret)
		ret = dt_driver_register(&early_driver);
	if (ret) {
		platform_device_unregister(pdev);
		return ret;
	}
	bound = dt_is_bound(&pdev->dev);
	if (scenario->correct && !devm_kzalloc(&pdev->dev, 32, GFP_KERNEL))
		ret = -ENOMEM;
	dt_unbind(&early_driver, pdev);
	return ret ?: bound == scenario->correct ? 0 : -EPROTO;
}

int dt_lifetime_init(void)
{
	return class_register(&lifetime_class);
}

void dt_lifetime_exit(void)
{
	break_loop();
	class_unregister(&lifetime_class);
}

const struct dt_scenario dt_lifetime_scenarios[] = {
	{ "root-late-put", "root device with resources, a reference held 200 ms over its unregistration", run_root_late_put, false },
	{ "root-late-put-ok", "the same, resources released before", run_root_late_put, true },
	{ "class-late-put", "class device with resources, a reference held 200 ms over its unregistration", run_class_late_put, false },
	{ "class-late-put-ok", "the same, resources released before", run_class_late_put, true },
	{ "class-late-name", "class device with a resource from before it has a name, released 500 ms later", run_class_late_name, true },
	{ "self-reference", "a device's action holds the last reference; up to 6.5 it stays until self-reference-clean", run_self_reference, false },
	{ "self-reference-ok", "the same, action released before unregistration", run_self_reference, true },
	{ "self-reference-late", "the same, action added after device_del; stays until self-reference-clean", run_self_reference_late, false },
	{ "self-reference-clean", "frees what the two leave", run_self_reference_clean, true },
	{ "resource-before-probe", "a device has a resource before its driver comes; probe is refused", run_before_probe, false },
	{ "resource-before-probe-ok", "the same, resource added once bound", run_before_probe, true },
	{}
};
