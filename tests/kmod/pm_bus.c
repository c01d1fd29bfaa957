// SPDX-License-Identifier: GPL-2.0
/*
 * A bus of our own that looks after PM domains itself, as busses did before the
 * driver core took over.
 *
 * pm-detach-bus (DR001): its remove detaches the domain, and the resources are
 * released after that. All kernels alike, for the core's own detach comes too
 * late. The twin's bus does nearly as I2C does: a group opened after attaching
 * and released before detaching.
 *
 * pm-leak-bus (DR002): its probe does not detach when the driver's probe fails.
 * Expected: the domain stays on the unbound device up to 6.16; from 6.17 on the
 * driver core detaches it. The twin's bus detaches.
 */
#include <linux/err.h>
#include <linux/pm_domain.h>
#include <linux/slab.h>

#include "devres_test.h"

#define PROBE_FAILS	1

/* The return type of a bus's remove(). */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 15, 0)
#define BUS_REMOVE void
#define BUS_REMOVED
#else
#define BUS_REMOVE int
#define BUS_REMOVED 0
#endif

static const struct dt_scenario *current_scenario;

static void domain_detach(struct device *dev, bool power_off)
{
	dev_info(dev, "PM domain detached\n");
	dev_pm_domain_set(dev, NULL);
}

static struct dev_pm_domain domain = {
	.detach = domain_detach,
};

/* Groups only where a probe succeeds: a failed one leaves nothing to order. */
static bool bus_has_group(void)
{
	return current_scenario->correct &&
	       !(current_scenario->variant & PROBE_FAILS);
}

static int bus_probe(struct device *dev)
{
	int ret;

	dev_pm_domain_set(dev, &domain);
	if (bus_has_group() && !devres_open_group(dev, &domain, GFP_KERNEL)) {
		dev_pm_domain_detach(dev, true);
		return -ENOMEM;
	}
	ret = dev->driver->probe(dev);
	if (bus_has_group())
		devres_close_group(dev, &domain);
	if (ret && current_scenario->correct)
		dev_pm_domain_detach(dev, true);
	return ret;
}

static BUS_REMOVE bus_remove(struct device *dev)
{
	if (bus_has_group())
		devres_release_group(dev, &domain);
	dev_pm_domain_detach(dev, true);
	return BUS_REMOVED;
}

static struct bus_type bus = {
	.name = "devres-test",
	.probe = bus_probe,
	.remove = bus_remove,
};

static int driver_probe(struct device *dev)
{
	if (current_scenario->variant & PROBE_FAILS)
		return -EIO;
	if (!devm_kzalloc(dev, 64, GFP_KERNEL))
		return -ENOMEM;
	return devm_add_action_or_reset(dev, dt_power_off, dev);
}

static void free_device(struct device *dev)
{
	kfree(dev);
}

static struct device *register_device(void)
{
	struct device *dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	int ret;

	if (!dev)
		return ERR_PTR(-ENOMEM);
	device_initialize(dev);
	dev->bus = &bus;
	dev->release = free_device;
	ret = dev_set_name(dev, "devres-test-bus") ?: device_add(dev);
	if (ret) {
		put_device(dev);
		return ERR_PTR(ret);
	}
	return dev;
}

static int bind_and_unbind(const struct dt_scenario *scenario)
{
	struct device *dev = register_device();
	int ret = 0;

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	if (dt_is_bound(dev) == !!(scenario->variant & PROBE_FAILS))
		ret = -ENXIO;
	device_release_driver(dev);
	/* What the bus has leaked: nothing on kernels that detach themselves. */
	dev_pm_domain_detach(dev, true);
	device_unregister(dev);
	return ret;
}

static int run_bus(const struct dt_scenario *scenario, unsigned long count)
{
	struct device_driver driver = {
		.name = "devres-test-bus",
		.bus = &bus,
		.probe = driver_probe,
		.probe_type = PROBE_FORCE_SYNCHRONOUS,
	};
	int ret;

	current_scenario = scenario;
	ret = bus_register(&bus);
	if (ret)
		return ret;
	ret = driver_register(&driver);
	if (ret)
		goto unregister_bus;
	ret = bind_and_unbind(scenario);
	driver_unregister(&driver);
unregister_bus:
	bus_unregister(&bus);
	return ret;
}

const struct dt_scenario dt_pm_bus_scenarios[] = {
	{ "pm-detach-bus", "a bus whose remove detaches the PM domain with resources live", run_bus, false, 0 },
	{ "pm-detach-bus-ok", "the same, resources released by the bus before", run_bus, true, 0 },
	{ "pm-leak-bus", "a bus that leaves the PM domain attached when a probe fails", run_bus, false, PROBE_FAILS },
	{ "pm-leak-bus-ok", "the same, detached", run_bus, true, PROBE_FAILS },
	{}
};
