// SPDX-License-Identifier: GPL-2.0
/*
 * Order of the PM domain's detach and of the resources' release (DR001).
 *
 * A bus notifier puts a PM domain with a detach callback on the device before
 * the bus's probe runs. dev_pm_domain_attach() then finds the device attached
 * already and leaves it, and the bus, or since 6.17 (SPI: 6.18) the driver
 * core, calls the domain's detach at unbind or after a failed probe.
 *
 * Expected: detach before release on a platform device up to 6.16 and on a SPI
 * device up to 6.17; release before detach from then on. The correct twin
 * releases a group of its own at the end of remove, or of the failing probe,
 * so that nothing is live at the detach on any kernel.
 */
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/notifier.h>
#include <linux/pm_domain.h>
#include <linux/slab.h>
#include <linux/spi/spi.h>
#include <linux/string.h>

#include "devres_test.h"

#define ON_SPI		1
#define PROBE_FAILS	2
#define PROBE_DEFERS	4
#define MEMORY_ONLY	8
#define RELEASE_DIES	16

static const struct dt_scenario *current_scenario;
static bool deferred_before;
static int group_id;
static DECLARE_COMPLETION(probed_again);

static void domain_detach(struct device *dev, bool power_off)
{
	dev_info(dev, "PM domain detached\n");
	dev_pm_domain_set(dev, NULL);
}

static struct dev_pm_domain domain = {
	.detach = domain_detach,
};

/* What dt_die() does. */
static enum { DIE_OF_PANIC, DIE_OF_OOPS, DIE_OF_HANG } death;

/* An action that the machine doesn't survive. */
static void dt_die(void *data)
{
	dev_info(data, "action: die\n");
	if (death == DIE_OF_PANIC)
		panic("devres_test: a release panics");
	if (death == DIE_OF_OOPS)
		WRITE_ONCE(*(int *)data, *(volatile int *)8);
	preempt_disable();
	for (;;)
		cpu_relax();
}

static int add_resources(struct device *dev)
{
	int ret;

	if (!devm_kzalloc(dev, 64, GFP_KERNEL))
		return -ENOMEM;
	if (current_scenario->variant & MEMORY_ONLY)
		return 0;
	if (current_scenario->variant & RELEASE_DIES) {
		ret = devm_add_action_or_reset(dev, dt_die, dev);
		if (ret)
			return ret;
	}
	ret = devm_add_action_or_reset(dev, dt_power_off, dev);
	if (ret)
		return ret;
	return dt_irq_request(dev, dt_irq, dev);
}

static int pm_outcome(void)
{
	if (current_scenario->variant & PROBE_FAILS)
		return -EIO;
	if (!(current_scenario->variant & PROBE_DEFERS))
		return 0;
	if (!deferred_before) {
		deferred_before = true;
		return -EPROBE_DEFER;
	}
	complete(&probed_again);
	return 0;
}

static int pm_probe(struct device *dev)
{
	bool grouped = current_scenario->correct;
	int ret;

	if (grouped && !devres_open_group(dev, &group_id, GFP_KERNEL))
		return -ENOMEM;
	ret = add_resources(dev);
	if (grouped)
		devres_close_group(dev, &group_id);
	if (!ret)
		ret = pm_outcome();
	if (ret && grouped)
		devres_release_group(dev, &group_id);
	return ret;
}

static void pm_remove(struct device *dev)
{
	if (current_scenario->correct)
		devres_release_group(dev, &group_id);
}

static struct dt_driver pm_driver = {
	.name = "devres-test-pm",
	.probe = pm_probe,
	.remove = pm_remove,
};

static const struct dt_spi_ops spi_ops = {
	.probe = pm_probe,
	.remove = pm_remove,
};

static int attach_domain(struct notifier_block *block, unsigned long event,
			 void *data)
{
	struct device *dev = data;

	if (event != BUS_NOTIFY_BIND_DRIVER)
		return NOTIFY_DONE;
	if (dev->driver == &pm_driver.platform.driver || dt_spi_owns(dev))
		dev_pm_domain_set(dev, &domain);
	return NOTIFY_DONE;
}

static struct notifier_block attach_block = { .notifier_call = attach_domain };

/* Lets the driver core probe the deferred device again, and waits for it. */
static int wait_for_second_probe(struct device *dev)
{
	int ret = dt_retry_deferred();

	if (ret)
		return ret;
	if (!wait_for_completion_timeout(&probed_again, 10 * HZ))
		return -ETIMEDOUT;
	return dt_is_bound(dev) ? 0 : -ENXIO;
}

static int run_platform(const struct dt_scenario *scenario)
{
	struct platform_device *pdev;
	int ret;

	ret = dt_driver_register(&pm_driver);
	if (ret)
		return ret;
	pdev = dt_device_register(pm_driver.name, NULL);
	if (IS_ERR(pdev)) {
		ret = PTR_ERR(pdev);
		goto unregister;
	}
	if (scenario->variant & PROBE_DEFERS)
		ret = wait_for_second_probe(&pdev->dev);
	else if (dt_is_bound(&pdev->dev) == !!(scenario->variant & PROBE_FAILS))
		ret = -ENXIO;
	device_release_driver(&pdev->dev);
	platform_device_unregister(pdev);
unregister:
	dt_driver_unregister(&pm_driver);
	return ret;
}

static int run_spi(const struct dt_scenario *scenario)
{
	struct device *dev;
	int ret;

	ret = dt_spi_bind(&spi_ops, &dev);
	if (ret)
		return ret;
	if (scenario->variant & PROBE_DEFERS)
		ret = wait_for_second_probe(dev);
	else if (dt_is_bound(dev) == !!(scenario->variant & PROBE_FAILS))
		ret = -ENXIO;
	device_release_driver(dev);
	dt_spi_unbind();
	return ret;
}

static int run_pm(const struct dt_scenario *scenario, unsigned long count)
{
	/* bus_register_notifier() takes a pointer to const since 6.4 only. */
	struct bus_type *bus = (struct bus_type *)&platform_bus_type;
	int ret;

	if (scenario->variant & ON_SPI)
		bus = (struct bus_type *)&spi_bus_type;
	current_scenario = scenario;
	deferred_before = false;
	reinit_completion(&probed_again);

	ret = bus_register_notifier(bus, &attach_block);
	if (ret)
		return ret;
	ret = scenario->variant & ON_SPI ? run_spi(scenario) :
					   run_platform(scenario);
	bus_unregister_notifier(bus, &attach_block);
	return ret;
}

/**
 * dt_crash() - unbinds a device, and the machine dies of one of its releases
 * @how: panic, oops or hang
 *
 * No scenario: nothing can be run after it. Released before are an interrupt
 * and dt_power_off(); a block of memory never is.
 */
int dt_crash(const char *how)
{
	static const struct dt_scenario crash = {
		"crash", "unbinds a device with PM domain; its release dies",
		run_pm, false, RELEASE_DIES
	};

	if (!strcmp(how, "panic"))
		death = DIE_OF_PANIC;
	else if (!strcmp(how, "oops"))
		death = DIE_OF_OOPS;
	else if (!strcmp(how, "hang"))
		death = DIE_OF_HANG;
	else
		return -EINVAL;
	return run_pm(&crash, 0);
}

const struct dt_scenario dt_pm_domain_scenarios[] = {
	{ "pm-detach-platform", "platform device with PM domain unbinds with resources live", run_pm, false, 0 },
	{ "pm-detach-platform-ok", "the same, resources released in remove", run_pm, true, 0 },
	{ "pm-fail-platform", "probe of a platform device with PM domain fails with resources live", run_pm, false, PROBE_FAILS },
	{ "pm-fail-platform-ok", "the same, resources released before probe returns", run_pm, true, PROBE_FAILS },
	{ "pm-defer-platform", "probe of a platform device with PM domain is deferred once, then succeeds", run_pm, false, PROBE_DEFERS },
	{ "pm-defer-platform-ok", "the same, resources released before probe returns", run_pm, true, PROBE_DEFERS },
	{ "pm-detach-memory", "platform device with PM domain unbinds with only memory live", run_pm, false, MEMORY_ONLY },
	{ "pm-detach-spi", "SPI device with PM domain unbinds with resources live", run_pm, false, ON_SPI },
	{ "pm-detach-spi-ok", "the same, resources released in remove", run_pm, true, ON_SPI },
	{ "pm-fail-spi", "probe of a SPI device with PM domain fails with resources live", run_pm, false, ON_SPI | PROBE_FAILS },
	{ "pm-fail-spi-ok", "the same, resources released before probe returns", run_pm, true, ON_SPI | PROBE_FAILS },
	{ "pm-defer-spi", "probe of a SPI device with PM domain is deferred once, then succeeds", run_pm, false, ON_SPI | PROBE_DEFERS },
	{ "pm-defer-spi-ok", "the same, resources released before probe returns", run_pm, true, ON_SPI | PROBE_DEFERS },
	{}
};
