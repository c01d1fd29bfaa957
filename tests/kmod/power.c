// SPDX-License-Identifier: GPL-2.0
/*
 * A clock that a driver switches off by hand while its managed interrupt is
 * still requested: in remove, and in a probe that fails. The twins free the
 * interrupt first. Rule: DR024; all kernels alike.
 */
#include <linux/clk.h>
#include <linux/clk-provider.h>
#include <linux/err.h>
#include <linux/interrupt.h>

#include "devres_test.h"

static const struct dt_scenario *current_scenario;

static int gate_enable(struct clk_hw *hw)
{
	return 0;
}

static void gate_disable(struct clk_hw *hw)
{
}

static const struct clk_ops gate_ops = {
	.enable = gate_enable,
	.disable = gate_disable,
};

static struct clk_hw gate;
static struct clk *clock;

int dt_power_init(void)
{
	static const struct clk_init_data init = {
		.name = "devres-test-clock",
		.ops = &gate_ops,
	};

	gate.init = &init;
	clock = clk_register(NULL, &gate);
	return PTR_ERR_OR_ZERO(clock);
}

void dt_power_exit(void)
{
	clk_unregister(clock);
}

static void power_off(struct device *dev)
{
	if (current_scenario->correct)
		devm_free_irq(dev, dt_irq, dev);
	clk_disable_unprepare(clock);
}

enum { IN_REMOVE, IN_FAILED_PROBE };

static int power_probe(struct device *dev)
{
	int ret = clk_prepare_enable(clock);

	if (ret)
		return ret;
	ret = dt_irq_request(dev, dt_irq, dev);
	if (ret) {
		clk_disable_unprepare(clock);
		return ret;
	}
	if (current_scenario->variant == IN_FAILED_PROBE) {
		power_off(dev);
		return -EIO;
	}
	return 0;
}

static void power_remove(struct device *dev)
{
	power_off(dev);
	if (!current_scenario->correct)
		dt_irq_raise(dt_irq);
}

static struct dt_driver power_driver = {
	.name = "devres-test-power",
	.probe = power_probe,
	.remove = power_remove,
};

static int run_power(const struct dt_scenario *scenario, unsigned long count)
{
	int ret;

	current_scenario = scenario;
	ret = dt_bind_and_unbind(&power_driver);
	/* dt_bind() says so of any probe that fails. */
	if (scenario->variant == IN_FAILED_PROBE)
		return ret == -ENXIO ? 0 : -EPROTO;
	return ret;
}

const struct dt_scenario dt_power_scenarios[] = {
	{ "power-off-before-irq", "remove disables a clock while the managed interrupt is requested", run_power, false, IN_REMOVE },
	{ "power-off-before-irq-ok", "remove frees the interrupt before it disables the clock", run_power, true, IN_REMOVE },
	{ "power-off-failed-probe", "a probe that fails disables a clock while the managed interrupt is requested", run_power, false, IN_FAILED_PROBE },
	{ "power-off-failed-probe-ok", "a probe that fails frees the interrupt before it disables the clock", run_power, true, IN_FAILED_PROBE },
	{}
};
