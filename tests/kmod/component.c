// SPDX-License-Identifier: GPL-2.0
/*
 * A component master whose probe adds resources after component_master_add,
 * and whose component is then unbound (DR003).
 *
 * Expected: on 5.10 the group that component.c left open on the master's device
 * takes the master's own two resources with it while the master is bound; since
 * 5.16 (5.15.3) only those made while binding the components go. The correct
 * twin adds before component_master_add.
 */
#include <linux/component.h>
#include <linux/err.h>
#include <linux/slab.h>

#include "devres_test.h"

static bool add_first;
static struct device *component_device;

static int component_bind_one(struct device *dev, struct device *master,
			      void *data)
{
	return devm_kzalloc(dev, 10, GFP_KERNEL) ? 0 : -ENOMEM;
}

static void component_unbind_one(struct device *dev, struct device *master,
				 void *data)
{
}

static const struct component_ops component_ops = {
	.bind = component_bind_one,
	.unbind = component_unbind_one,
};

static int component_probe(struct device *dev)
{
	return component_add(dev, &component_ops);
}

static void component_remove(struct device *dev)
{
	component_del(dev, &component_ops);
}

static struct dt_driver component_driver = {
	.name = "devres-test-component",
	.probe = component_probe,
	.remove = component_remove,
};

static int master_bind(struct device *dev)
{
	if (!devm_kzalloc(dev, 8, GFP_KERNEL))
		return -ENOMEM;
	return component_bind_all(dev, NULL);
}

static void master_unbind(struct device *dev)
{
	component_unbind_all(dev, NULL);
}

static const struct component_master_ops master_ops = {
	.bind = master_bind,
	.unbind = master_unbind,
};

static int is_component(struct device *dev, void *data)
{
	return dev == data;
}

static int add_own_resources(struct device *dev)
{
	if (!devm_kzalloc(dev, 123, GFP_KERNEL))
		return -ENOMEM;
	return devm_add_action_or_reset(dev, dt_power_off, dev);
}

static int master_probe(struct device *dev)
{
	struct component_match *match = NULL;
	int ret;

	if (add_first) {
		ret = add_own_resources(dev);
		if (ret)
			return ret;
	}
	component_match_add(dev, &match, is_component, component_device);
	if (IS_ERR(match))
		return PTR_ERR(match);
	ret = component_master_add_with_match(dev, &master_ops, match);
	if (ret || add_first)
		return ret;
	ret = add_own_resources(dev);
	if (ret)
		component_master_del(dev, &master_ops);
	return ret;
}

static void master_remove(struct device *dev)
{
	component_master_del(dev, &master_ops);
}

static struct dt_driver master_driver = {
	.name = "devres-test-master",
	.probe = master_probe,
	.remove = master_remove,
};

static int run_component(const struct dt_scenario *scenario,
			 unsigned long count)
{
	struct platform_device *component, *master;
	int ret;

	add_first = scenario->correct;
	ret = dt_bind(&component_driver, &component, NULL);
	if (ret)
		return ret;
	component_device = &component->dev;
	ret = dt_bind(&master_driver, &master, NULL);
	if (!ret) {
		device_release_driver(component_device);
		pr_info("devres_test: component is unbound\n");
		dt_unbind(&master_driver, master);
	}
	dt_unbind(&component_driver, component);
	return ret;
}

const struct dt_scenario dt_component_scenarios[] = {
	{ "component-swallow", "a component master adds resources after component_master_add; its component unbinds", run_component, false },
	{ "component-swallow-ok", "the same, resources added before", run_component, true },
	{}
};
