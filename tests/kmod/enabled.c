// SPDX-License-Identifier: GPL-2.0
/*
 * A managed clock or regulator that is still enabled when devres puts it:
 * remove doesn't disable it, or a probe that fails doesn't. The twins disable
 * it; in one of them somebody else keeps the clock on. Rule: DR023; all
 * kernels alike. The kernel itself warns of the regulator, not of the clock.
 */
#include <linux/clk.h>
#include <linux/clk-provider.h>
#include <linux/clkdev.h>
#include <linux/err.h>
#include <linux/regulator/consumer.h>

#include "devres_test.h"

/* What the device calls it: clkdev takes 15 letters. */
#define USED_CLOCK "devres-used"

static const struct dt_scenario *current_scenario;

enum { CLOCK_AT_UNBIND, CLOCK_AT_FAILED_PROBE, SHARED_CLOCK, REGULATOR };

static int used_enable(struct clk_hw *hw)
{
	return 0;
}

static void used_disable(struct clk_hw *hw)
{
}

static const struct clk_ops used_ops = {
	.enable = used_enable,
	.disable = used_disable,
};

static struct clk_hw hardware;
static struct clk *provided;
static struct clk_lookup *lookup;

/* What the device has while it is bound, and the other user of its clock. */
static struct clk *used, *shared;
static struct regulator *supply;

int dt_enabled_init(void)
{
	static const struct clk_init_data init = {
		.name = "devres-test-used",
		.ops = &used_ops,
	};

	hardware.init = &init;
	provided = clk_register(NULL, &hardware);
	if (IS_ERR(provided))
		return PTR_ERR(provided);
	lookup = clkdev_hw_create(&hardware, USED_CLOCK, NULL);
	if (!lookup) {
		clk_unregister(provided);
		return -ENOMEM;
	}
	return 0;
}

void dt_enabled_exit(void)
{
	clkdev_drop(lookup);
	clk_unregister(provided);
}

static void disable(void)
{
	if (current_scenario->variant == REGULATOR)
		regulator_disable(supply);
	else
		clk_disable_unprepare(used);
}

static int enabled_probe(struct device *dev)
{
	int ret;

	if (current_scenario->variant == REGULATOR) {
		supply = devm_regulator_get(dev, "vdd");
		ret = PTR_ERR_OR_ZERO(supply) ?: regulator_enable(supply);
	} else {
		used = devm_clk_get(dev, USED_CLOCK);
		ret = PTR_ERR_OR_ZERO(used) ?: clk_prepare_enable(used);
	}
	if (ret)
		return ret;
	if (current_scenario->variant == SHARED_CLOCK) {
		shared = clk_get(dev, USED_CLOCK);
		ret = PTR_ERR_OR_ZERO(shared) ?: clk_prepare_enable(shared);
		if (ret) {
			disable();
			return ret;
		}
	}
	if (current_scenario->variant == CLOCK_AT_FAILED_PROBE) {
		if (current_scenario->correct)
			disable();
		return -EIO;
	}
	return 0;
}

static void enabled_remove(struct device *dev)
{
	if (current_scenario->correct)
		disable();
}

static struct dt_driver enabled_driver = {
	.name = "devres-test-enabled",
	.probe = enabled_probe,
	.remove = enabled_remove,
};

static int run_enabled(const struct dt_scenario *scenario, unsigned long count)
{
	int ret;

	current_scenario = scenario;
	ret = dt_bind_and_unbind(&enabled_driver);
	/* dt_bind() says so of any probe that fails. */
	if (scenario->variant == CLOCK_AT_FAILED_PROBE)
		ret = ret == -ENXIO ? 0 : -EPROTO;
	if (ret)
		return ret;
	if (scenario->variant == SHARED_CLOCK) {
		clk_disable_unprepare(shared);
		clk_put(shared);
	} else if (scenario->variant != REGULATOR && !scenario->correct) {
		/* On behalf of the user that has gone. */
		clk_disable_unprepare(provided);
	}
	return 0;
}

const struct dt_scenario dt_enabled_scenarios[] = {
	{ "clock-enabled-at-put", "remove leaves a managed clock on, and devres puts it", run_enabled, false, CLOCK_AT_UNBIND },
	{ "clock-enabled-at-put-ok", "remove disables the clock", run_enabled, true, CLOCK_AT_UNBIND },
	{ "clock-enabled-failed-probe", "a probe that fails leaves a managed clock on", run_enabled, false, CLOCK_AT_FAILED_PROBE },
	{ "clock-enabled-failed-probe-ok", "a probe that fails disables the clock", run_enabled, true, CLOCK_AT_FAILED_PROBE },
	{ "clock-shared-at-put-ok", "remove disables the clock, and another user keeps it on", run_enabled, true, SHARED_CLOCK },
	{ "regulator-enabled-at-put", "remove leaves a managed regulator enabled, and devres puts it", run_enabled, false, REGULATOR },
	{ "regulator-enabled-at-put-ok", "remove disables the regulator", run_enabled, true, REGULATOR },
	{}
};
