// SPDX-License-Identifier: GPL-2.0
/* What scenarios are made of: a driver, its device, actions, an interrupt. */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/module.h>
#include <linux/string.h>

#include "devres_test.h"

int dt_irq;

static struct dt_driver *to_dt_driver(struct device *dev)
{
	return container_of(to_platform_driver(dev->driver), struct dt_driver,
			    platform);
}

static int harness_probe(struct platform_device *pdev)
{
	struct dt_driver *driver = to_dt_driver(&pdev->dev);

	return driver->probe ? driver->probe(&pdev->dev) : 0;
}

static DT_PLATFORM_REMOVE harness_remove(struct platform_device *pdev)
{
	struct dt_driver *driver = to_dt_driver(&pdev->dev);

	if (driver->remove)
		driver->remove(&pdev->dev);
	return DT_PLATFORM_REMOVED;
}

int dt_driver_register(struct dt_driver *driver)
{
	/* The driver core wants a fresh structure for each registration. */
	memset(&driver->platform, 0, sizeof(driver->platform));
	driver->platform.probe = harness_probe;
	driver->platform.remove = harness_remove;
	driver->platform.driver.name = driver->name;
	driver->platform.driver.pm = driver->pm;
	driver->platform.driver.of_match_table = driver->of_ids;
	driver->platform.driver.probe_type = PROBE_FORCE_SYNCHRONOUS;
	return platform_driver_register(&driver->platform);
}

void dt_driver_unregister(struct dt_driver *driver)
{
	platform_driver_unregister(&driver->platform);
}

struct platform_device *dt_device_register(const char *name,
					   struct device *parent)
{
	struct platform_device_info info = {
		.parent = parent,
		.name = name,
		.id = PLATFORM_DEVID_NONE,
	};

	return platform_device_register_full(&info);
}

bool dt_is_bound(struct device *dev)
{
	bool bound;

	device_lock(dev);
	bound = dev->driver;
	device_unlock(dev);
	return bound;
}

/*
 * Registers the driver and then its device, whose probe therefore runs in the
 * calling task. -ENXIO if the probe failed; nothing is left registered then.
 */
int dt_bind(struct dt_driver *driver, struct platform_device **pdev,
	    struct device *parent)
{
	int ret;

	ret = dt_driver_register(driver);
	if (ret)
		return ret;
	*pdev = dt_device_register(driver->name, parent);
	if (IS_ERR(*pdev)) {
		dt_driver_unregister(driver);
		return PTR_ERR(*pdev);
	}
	if (!dt_is_bound(&(*pdev)->dev)) {
		dt_unbind(driver, *pdev);
		return -ENXIO;
	}
	return 0;
}

/* Takes the driver from the device first, as `rmmod` would, then the device. */
void dt_unbind(struct dt_driver *driver, struct platform_device *pdev)
{
	dt_driver_unregister(driver);
	platform_device_unregister(pdev);
}

int dt_bind_and_unbind(struct dt_driver *driver)
{
	struct platform_device *pdev;
	int ret;

	ret = dt_bind(driver, &pdev, NULL);
	if (!ret)
		dt_unbind(driver, pdev);
	return ret;
}

/* Probes an unbound device whose driver is registered. -ENXIO if that failed. */
int dt_rebind(struct device *dev)
{
	int ret = device_attach(dev);

	if (ret < 0)
		return ret;
	return dt_is_bound(dev) ? 0 : -ENXIO;
}

static struct dt_driver retry_driver = { .name = "devres-test-retry" };

/* Any device that becomes bound makes the core probe the deferred ones again. */
int dt_retry_deferred(void)
{
	return dt_bind_and_unbind(&retry_driver);
}

void dt_power_off(void *data)
{
	dev_info(data, "action: power off\n");
}

void dt_stop_queue(void *data)
{
	dev_info(data, "action: stop queue\n");
}

void dt_note(void *data)
{
	pr_info("devres_test: action: %s\n", (const char *)data);
}

int dt_irq_alloc(void)
{
	/* Without an owner: a requested interrupt would keep the module loaded. */
	int irq = __irq_alloc_descs(-1, 0, 1, NUMA_NO_NODE, NULL, NULL);

	if (irq < 0)
		return irq;
	irq_set_chip_and_handler(irq, &dummy_irq_chip, handle_simple_irq);
	irq_clear_status_flags(irq, IRQ_NOREQUEST);
	return irq;
}

void dt_irq_free(int irq)
{
	irq_free_desc(irq);
}

void dt_irq_raise(int irq)
{
	unsigned long flags;

	local_irq_save(flags);
	generic_handle_irq(irq);
	local_irq_restore(flags);
}

static irqreturn_t irq_handler(int irq, void *dev_id)
{
	return IRQ_HANDLED;
}

int dt_irq_request(struct device *dev, int irq, void *dev_id)
{
	return devm_request_irq(dev, irq, irq_handler, 0, "devres-test",
				dev_id);
}
