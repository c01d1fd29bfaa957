// SPDX-License-Identifier: GPL-2.0
/*
 * Additions when it is too late for them: while resources are released (DR008),
 * in remove (DR010), after unbind (DR009). All kernels alike. What a release
 * adds and what comes after unbind makes the next probe fail (DR007).
 */
#include <linux/slab.h>

#include "devres_test.h"

static bool correct;

static void adds_again(void *data)
{
	struct device *dev = data;

	if (!correct && !devm_kzalloc(dev, 8, GFP_KERNEL))
		dev_err(dev, "no memory\n");
	else
		dev_info(dev, "action: adds again\n");
}

static int release_probe(struct device *dev)
{
	return devm_add_action(dev, adds_again, dev);
}

static struct dt_driver release_driver = {
	.name = "devres-test-add-in-release",
	.probe = release_probe,
};

static int remove_probe(struct device *dev)
{
	return devm_kzalloc(dev, 16, GFP_KERNEL) ? 0 : -ENOMEM;
}

/* The twin allocates what it needs in remove without the device. */
static void remove_remove(struct device *dev)
{
	void *block = correct ? kzalloc(8, GFP_KERNEL) :
				devm_kzalloc(dev, 8, GFP_KERNEL);

	if (correct)
		kfree(block);
}

static struct dt_driver remove_driver = {
	.name = "devres-test-add-in-remove",
	.probe = remove_probe,
	.remove = remove_remove,
};

static struct dt_driver unbound_driver = {
	.name = "devres-test-add-after-unbind",
	.probe = remove_probe,
};

/* Unbinds and binds; tells whether the second probe went as @fails says. */
static int unbind_and_rebind(struct dt_driver *driver, bool add, bool fails)
{
	struct platform_device *pdev;
	int ret;

	ret = dt_bind(driver, &pdev, NULL);
	if (ret)
		return ret;
	device_release_driver(&pdev->dev);
	if (add && !devm_kzalloc(&pdev->dev, 8, GFP_KERNEL))
		ret = -ENOMEM;
	dt_rebind(&pdev->dev);
	if (!ret && dt_is_bound(&pdev->dev) == fails)
		ret = -EPROTO;
	dt_unbind(driver, pdev);
	return ret;
}

static int run_in_release(const struct dt_scenario *scenario,
			  unsigned long count)
{
	correct = scenario->correct;
	return unbind_and_rebind(&release_driver, false, !correct);
}

static int run_in_remove(const struct dt_scenario *scenario,
			 unsigned long count)
{
	correct = scenario->correct;
	return unbind_and_rebind(&remove_driver, false, false);
}

static int run_after_unbind(const struct dt_scenario *scenario,
			    unsigned long count)
{
	correct = scenario->correct;
	return unbind_and_rebind(&unbound_driver, !correct, !correct);
}

const struct dt_scenario dt_late_add_scenarios[] = {
	{ "add-in-release", "an action adds to its own device at unbind; the next probe is refused", run_in_release, false },
	{ "add-in-release-ok", "the same, action adds nothing", run_in_release, true },
	{ "add-in-remove", "remove adds to the device", run_in_remove, false },
	{ "add-in-remove-ok", "the same, with memory that is not managed", run_in_remove, true },
	{ "add-after-unbind", "an unbound device gets a resource; the next probe is refused", run_after_unbind, false },
	{ "add-after-unbind-ok", "the same without the resource", run_after_unbind, true },
	{}
};
