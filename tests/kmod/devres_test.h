/* SPDX-License-Identifier: GPL-2.0 */
/*
 * devres_test: makes on demand the devres situations stock drivers don't.
 *
 * A scenario runs in the task that writes its name to the debugfs file `run`
 * and has undone everything it made when the write returns, unless its
 * description says otherwise. A scenario fails (the write returns an error)
 * only if the situation could not be brought about; a wrong order of releases
 * is what many of them are for, and no failure.
 */
#ifndef DEVRES_TEST_H
#define DEVRES_TEST_H

#include <linux/device.h>
#include <linux/platform_device.h>
#include <linux/types.h>
#include <linux/version.h>

/**
 * struct dt_scenario - one entry of the debugfs file `scenarios`
 * @name: what is written to `run`
 * @about: one line for `scenarios`
 * @run: makes the situation; @count is the number after the name, 0 if none
 * @correct: this entry is the correct twin of the wrong one
 * @variant: tells entries apart that share @run; its values belong to the file
 */
struct dt_scenario {
	const char *name;
	const char *about;
	int (*run)(const struct dt_scenario *scenario, unsigned long count);
	bool correct;
	unsigned int variant;
};

/* Scenario tables, each ended by an entry without a name. */
extern const struct dt_scenario dt_platform_scenarios[];
extern const struct dt_scenario dt_pm_domain_scenarios[];
extern const struct dt_scenario dt_pm_bus_scenarios[];
extern const struct dt_scenario dt_genpd_scenarios[];
extern const struct dt_scenario dt_group_scenarios[];
extern const struct dt_scenario dt_explicit_scenarios[];
extern const struct dt_scenario dt_component_scenarios[];
extern const struct dt_scenario dt_lifetime_scenarios[];
extern const struct dt_scenario dt_late_add_scenarios[];
extern const struct dt_scenario dt_foreign_scenarios[];
extern const struct dt_scenario dt_embedded_scenarios[];
extern const struct dt_scenario dt_irq_scenarios[];
extern const struct dt_scenario dt_growth_scenarios[];
extern const struct dt_scenario dt_load_scenarios[];
extern const struct dt_scenario dt_callback_scenarios[];
extern const struct dt_scenario dt_unwind_scenarios[];
extern const struct dt_scenario dt_power_scenarios[];
extern const struct dt_scenario dt_enabled_scenarios[];
extern const struct dt_scenario dt_freed_scenarios[];
extern const struct dt_scenario dt_pending_scenarios[];
extern const struct dt_scenario dt_removal_scenarios[];

/* The return type of a platform driver's remove(). */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
#define DT_PLATFORM_REMOVE void
#define DT_PLATFORM_REMOVED
#else
#define DT_PLATFORM_REMOVE int
#define DT_PLATFORM_REMOVED 0
#endif

/**
 * struct dt_driver - platform driver of one scenario
 * @name: name of the driver and of the device that matches it
 * @probe: called with the device being bound; may be NULL
 * @remove: called with the device being unbound; may be NULL
 * @pm: power management callbacks; may be NULL
 * @of_ids: nodes of the device tree that the driver is for; may be NULL
 * @platform: what is registered; filled by dt_driver_register()
 */
struct dt_driver {
	const char *name;
	int (*probe)(struct device *dev);
	void (*remove)(struct device *dev);
	const struct dev_pm_ops *pm;
	const struct of_device_id *of_ids;
	struct platform_driver platform;
};

int dt_driver_register(struct dt_driver *driver);
void dt_driver_unregister(struct dt_driver *driver);
struct platform_device *dt_device_register(const char *name,
					   struct device *parent);
bool dt_is_bound(struct device *dev);
int dt_bind(struct dt_driver *driver, struct platform_device **pdev,
	    struct device *parent);
void dt_unbind(struct dt_driver *driver, struct platform_device *pdev);
int dt_bind_and_unbind(struct dt_driver *driver);
int dt_rebind(struct device *dev);
int dt_retry_deferred(void);

/* Actions: the data of the first two is the device, of the last a string. */
void dt_power_off(void *data);
void dt_stop_queue(void *data);
void dt_note(void *data);

/* One interrupt without hardware, and a handler that never looks at dev_id. */
int dt_irq_alloc(void);
void dt_irq_free(int irq);
void dt_irq_raise(int irq);
int dt_irq_request(struct device *dev, int irq, void *dev_id);
extern int dt_irq;

int dt_stacks_init(void);
int dt_stacks_show(struct seq_file *seq, void *unused);
int dt_platform_register(void);
void dt_platform_unregister(void);
void dt_unwind_unregister(void);
int dt_lifetime_init(void);
void dt_lifetime_exit(void);
int dt_power_init(void);
void dt_power_exit(void);
int dt_enabled_init(void);
void dt_enabled_exit(void);
int dt_callback_init(void);
void dt_callback_exit(void);

/* pm_spi.c: a SPI controller without hardware and one device on it. */
struct dt_spi_ops {
	int (*probe)(struct device *dev);
	void (*remove)(struct device *dev);
};

int dt_spi_bind(const struct dt_spi_ops *ops, struct device **dev);
void dt_spi_unbind(void);
bool dt_spi_owns(struct device *dev);

/* pm_domain.c: not in its table, because nothing can be run afterwards. */
int dt_crash(const char *how);

/* callback.c: for devres_test_callback.ko. */
struct device *dt_callback_host(void (*callback)(void *data), void *data);

#endif
