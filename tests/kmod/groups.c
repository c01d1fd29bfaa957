// SPDX-License-Identifier: GPL-2.0
/*
 * Groups of resources. Each body runs as the probe of a platform driver whose
 * device is unbound afterwards. Rules: DR003 (group-foreign-release), DR004
 * (group-left-open), DR005 (the misuses), DR006 (group-null-id-picks-other);
 * all kernels alike. The -unknown-id entries each cause one WARN.
 */
#include <linux/slab.h>

#include "devres_test.h"

static const struct dt_scenario *current_scenario;
static int group_a, group_b, group_c;

static int add(struct device *dev, size_t size)
{
	return devm_kzalloc(dev, size, GFP_KERNEL) ? 0 : -ENOMEM;
}

static int open_group(struct device *dev, void *id)
{
	return devres_open_group(dev, id, GFP_KERNEL) ? 0 : -ENOMEM;
}

/* Releases the group and checks how many resources were in it. */
static int release_group(struct device *dev, void *id, int expected)
{
	int count = devres_release_group(dev, id);

	if (count == expected)
		return 0;
	dev_err(dev, "group released %d resources, not %d\n", count, expected);
	return -EPROTO;
}

/* A{1 B{2} 3}: releasing A takes B with it. */
static int nested(struct device *dev)
{
	int ret;

	ret = open_group(dev, &group_a) ?: add(dev, 1) ?:
	      open_group(dev, &group_b) ?: add(dev, 2);
	if (ret)
		return ret;
	devres_close_group(dev, &group_b);
	ret = add(dev, 3);
	if (ret)
		return ret;
	devres_close_group(dev, &group_a);
	return release_group(dev, &group_a, 3);
}

/*
 * 1 A{2 B{3 A} 4 B}: releasing A takes 2 and 3, although 3 is in B too; B
 * survives with 4. The twin closes B before A.
 */
static int overlapping(struct device *dev)
{
	bool correct = current_scenario->correct;
	int ret;

	ret = add(dev, 1) ?: open_group(dev, &group_a) ?: add(dev, 2) ?:
	      open_group(dev, &group_b) ?: add(dev, 3);
	if (ret)
		return ret;
	devres_close_group(dev, correct ? &group_b : &group_a);
	ret = add(dev, 4);
	if (ret)
		return ret;
	devres_close_group(dev, correct ? &group_a : &group_b);
	if (correct)
		return release_group(dev, &group_b, 1) ?:
		       release_group(dev, &group_a, 2);
	return release_group(dev, &group_a, 2) ?:
	       release_group(dev, &group_b, 1);
}

/* A group without an identifier of its own, closed and released as NULL. */
static int null_id(struct device *dev)
{
	void *id = devres_open_group(dev, NULL, GFP_KERNEL);
	int ret;

	if (!id)
		return -ENOMEM;
	ret = add(dev, 1) ?: add(dev, 2);
	if (ret)
		return ret;
	devres_close_group(dev, NULL);
	return release_group(dev, id, 2);
}

/*
 * A is left open, an unnamed group is opened and closed, and then NULL, meant
 * for the unnamed one, selects A. The twin uses the identifier it was given.
 */
static int null_id_picks_other(struct device *dev)
{
	void *id;
	int ret;

	ret = open_group(dev, &group_a) ?: add(dev, 1);
	if (ret)
		return ret;
	id = devres_open_group(dev, NULL, GFP_KERNEL);
	if (!id)
		return -ENOMEM;
	ret = add(dev, 2);
	if (ret)
		return ret;
	devres_close_group(dev, id);
	if (!current_scenario->correct)
		return release_group(dev, NULL, 2);
	ret = release_group(dev, id, 1);
	devres_close_group(dev, &group_a);
	return ret;
}

/* Still open when the device is bound. The twin closes it. */
static int left_open(struct device *dev)
{
	int ret = open_group(dev, &group_a) ?: add(dev, 1);

	if (!ret && current_scenario->correct)
		devres_close_group(dev, &group_a);
	return ret;
}

/* Both markers go, the resources stay until unbind. */
static int removed(struct device *dev)
{
	int ret = open_group(dev, &group_a) ?: add(dev, 1);

	if (ret)
		return ret;
	devres_close_group(dev, &group_a);
	devres_remove_group(dev, &group_a);
	return 0;
}

/* Of A{1} B{2} C{3} the middle one is released: explicitly out of order. */
static int middle_release(struct device *dev)
{
	int *const ids[] = { &group_a, &group_b, &group_c };
	int ret;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		ret = open_group(dev, ids[i]) ?: add(dev, i + 1);
		if (ret)
			return ret;
		devres_close_group(dev, ids[i]);
	}
	return release_group(dev, &group_b, 1);
}

/* Two live groups of one identifier: the younger is found first. */
static int same_id(struct device *dev)
{
	void *second = current_scenario->correct ? &group_b : &group_a;
	int ret;

	ret = open_group(dev, &group_a) ?: add(dev, 1);
	if (ret)
		return ret;
	devres_close_group(dev, &group_a);
	ret = open_group(dev, second) ?: add(dev, 2) ?: add(dev, 3);
	if (ret)
		return ret;
	devres_close_group(dev, second);
	return release_group(dev, second, 2) ?:
	       release_group(dev, &group_a, 1);
}

static int close_unknown(struct device *dev)
{
	int ret = open_group(dev, &group_a) ?: add(dev, 1);

	if (ret)
		return ret;
	devres_close_group(dev, &group_b);
	devres_close_group(dev, &group_a);
	return 0;
}

static int remove_unknown(struct device *dev)
{
	int ret = add(dev, 1);

	if (!ret)
		devres_remove_group(dev, &group_b);
	return ret;
}

static int release_unknown(struct device *dev)
{
	return add(dev, 1) ?: release_group(dev, &group_b, 0);
}

static int (*const bodies[])(struct device *dev) = {
	nested, overlapping, null_id, null_id_picks_other, left_open, removed,
	middle_release, same_id, close_unknown, remove_unknown, release_unknown,
};

static int probe_ret;

static int group_probe(struct device *dev)
{
	probe_ret = bodies[current_scenario->variant](dev);
	return probe_ret;
}

static struct dt_driver group_driver = {
	.name = "devres-test-group",
	.probe = group_probe,
};

static int run_group(const struct dt_scenario *scenario, unsigned long count)
{
	int ret;

	current_scenario = scenario;
	probe_ret = 0;
	ret = dt_bind_and_unbind(&group_driver);
	return probe_ret ?: ret;
}

/*
 * The victim's probe lets a helper open a group on its device and goes on
 * adding; another device's remove releases "the" group and so takes what the
 * still bound victim added: component.c up to 5.15, on any kernel.
 */
static struct device *victim;

static noinline int helper_attach(struct device *dev)
{
	int ret = open_group(dev, &group_a) ?: add(dev, 8);

	if (!ret && current_scenario->correct)
		devres_close_group(dev, &group_a);
	return ret;
}

static int victim_probe(struct device *dev)
{
	victim = dev;
	return helper_attach(dev) ?: add(dev, 123) ?:
	       devm_add_action_or_reset(dev, dt_power_off, dev);
}

static void intruder_remove(struct device *dev)
{
	void *id = current_scenario->correct ? &group_a : NULL;

	dev_info(dev, "releases %d resources of %s\n",
		 devres_release_group(victim, id), dev_name(victim));
}

static struct dt_driver victim_driver = {
	.name = "devres-test-victim",
	.probe = victim_probe,
};

static struct dt_driver intruder_driver = {
	.name = "devres-test-intruder",
	.remove = intruder_remove,
};

static int run_foreign_release(const struct dt_scenario *scenario,
			       unsigned long count)
{
	struct platform_device *pdev;
	int ret;

	current_scenario = scenario;
	ret = dt_bind(&victim_driver, &pdev, NULL);
	if (ret)
		return ret;
	ret = dt_bind_and_unbind(&intruder_driver);
	dt_unbind(&victim_driver, pdev);
	return ret;
}

const struct dt_scenario dt_group_scenarios[] = {
	{ "group-nested", "a group within a group, the outer one released", run_group, true, 0 },
	{ "group-overlap", "two groups that overlap, the older released first", run_group, false, 1 },
	{ "group-overlap-ok", "the same, the inner closed and released first", run_group, true, 1 },
	{ "group-null-id", "a group without an identifier of its own", run_group, true, 2 },
	{ "group-null-id-picks-other", "release of group NULL selects one opened with an identifier", run_group, false, 3 },
	{ "group-null-id-picks-other-ok", "the same, by the identifier returned on opening", run_group, true, 3 },
	{ "group-left-open", "a group is open when its device is bound", run_group, false, 4 },
	{ "group-left-open-ok", "the same, closed in probe", run_group, true, 4 },
	{ "group-remove", "a group's markers are removed, its resources stay", run_group, true, 5 },
	{ "group-middle-release", "the middle one of three groups is released", run_group, true, 6 },
	{ "group-same-id", "two live groups with one identifier", run_group, false, 7 },
	{ "group-same-id-ok", "the same with two identifiers", run_group, true, 7 },
	{ "group-close-unknown-id", "close of a group that does not exist (WARN)", run_group, false, 8 },
	{ "group-remove-unknown-id", "removal of a group that does not exist (WARN)", run_group, false, 9 },
	{ "group-release-unknown-id", "release of a group that does not exist (WARN)", run_group, false, 10 },
	{ "group-foreign-release", "another driver's remove releases a bound driver's open group", run_foreign_release, false },
	{ "group-foreign-release-ok", "the same, group closed before the bound driver goes on adding", run_foreign_release, true },
	{}
};
