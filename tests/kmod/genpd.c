// SPDX-License-Identifier: GPL-2.0
/*
 * A PM domain as many SoCs have it (DR001): the device tree names a power
 * controller, whose domain switches the clocks of the devices behind it
 * (GENPD_FLAG_PM_CLK). No notifier puts it on the device as in pm_domain.c:
 * dev_pm_domain_attach() finds it in the device tree.
 *
 * The nodes are in genpd.dtso, which is added to the device tree of QEMU's
 * machine. Without them the scenarios fail with -ENODEV.
 *
 * Expected: detach before release up to 6.16, release before detach from then
 * on. The correct twin releases a group of its own at the end of remove.
 */
#include <linux/err.h>
#include <linux/of.h>
#include <linux/of_platform.h>
#include <linux/pm_clock.h>
#include <linux/pm_domain.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "devres_test.h"

static struct generic_pm_domain domain;
static bool grouped;
static int group_id;

static int domain_attach_dev(struct generic_pm_domain *of, struct device *dev)
{
	int ret = pm_clk_create(dev);

	if (ret)
		return ret;
	ret = pm_clk_add(dev, NULL);
	if (ret)
		pm_clk_destroy(dev);
	return ret;
}

static void domain_detach_dev(struct generic_pm_domain *of, struct device *dev)
{
	dev_info(dev, "PM domain detached\n");
	pm_clk_destroy(dev);
}

/* On 6.1 a domain's device has no release function, and the kernel warns. */
static void domain_release(struct device *dev)
{
}

static int controller_probe(struct device *dev)
{
	int ret;

	/* It may have been registered before, with a device in it. */
	memset(&domain, 0, sizeof(domain));
	domain.name = "devres-test-domain";
	domain.flags = GENPD_FLAG_PM_CLK;
	domain.attach_dev = domain_attach_dev;
	domain.detach_dev = domain_detach_dev;
	ret = pm_genpd_init(&domain, NULL, false);
	if (ret)
		return ret;
	if (!domain.dev.release)
		domain.dev.release = domain_release;
	ret = of_genpd_add_provider_simple(dev->of_node, &domain);
	if (ret)
		pm_genpd_remove(&domain);
	return ret;
}

static void controller_remove(struct device *dev)
{
	of_genpd_del_provider(dev->of_node);
	pm_genpd_remove(&domain);
}

static int consumer_probe(struct device *dev)
{
	int ret = -ENOMEM;

	if (!dev->pm_domain)
		return -ENXIO;
	if (grouped && !devres_open_group(dev, &group_id, GFP_KERNEL))
		return -ENOMEM;
	if (devm_kzalloc(dev, 64, GFP_KERNEL))
		ret = devm_add_action_or_reset(dev, dt_power_off, dev) ?:
		      dt_irq_request(dev, dt_irq, dev);
	if (grouped)
		devres_close_group(dev, &group_id);
	return ret;
}

static void consumer_remove(struct device *dev)
{
	if (grouped)
		devres_release_group(dev, &group_id);
}

static const struct of_device_id controller_ids[] = {
	{ .compatible = "devres-test,power-controller" },
	{}
};

static struct dt_driver controller_driver = {
	.name = "devres-test-controller",
	.probe = controller_probe,
	.remove = controller_remove,
	.of_ids = controller_ids,
};

static const struct of_device_id consumer_ids[] = {
	{ .compatible = "devres-test,consumer" },
	{}
};

static struct dt_driver consumer_driver = {
	.name = "devres-test-consumer",
	.probe = consumer_probe,
	.remove = consumer_remove,
	.of_ids = consumer_ids,
};

/* The device that the kernel has made of a node; with a reference to it. */
static struct device *find_device(const struct of_device_id *ids)
{
	struct device_node *node = of_find_matching_node(NULL, ids);
	struct platform_device *pdev = of_find_device_by_node(node);

	of_node_put(node);
	return pdev ? &pdev->dev : NULL;
}

static int bind_and_unbind(struct device *consumer)
{
	int ret = dt_driver_register(&consumer_driver);

	if (ret)
		return ret;
	if (!dt_is_bound(consumer))
		ret = -ENXIO;
	device_release_driver(consumer);
	dt_driver_unregister(&consumer_driver);
	return ret;
}

static int run_genpd(const struct dt_scenario *scenario, unsigned long count)
{
	struct device *consumer = find_device(consumer_ids);
	int ret;

	if (!consumer)
		return -ENODEV;
	grouped = scenario->correct;
	ret = dt_driver_register(&controller_driver);
	if (!ret) {
		ret = bind_and_unbind(consumer);
		dt_driver_unregister(&controller_driver);
	}
	put_device(consumer);
	return ret;
}

const struct dt_scenario dt_genpd_scenarios[] = {
	{ "pm-detach-genpd", "a power controller's domain detached with resources live", run_genpd, false, 0 },
	{ "pm-detach-genpd-ok", "the same, resources released in remove", run_genpd, true, 0 },
	{}
};
