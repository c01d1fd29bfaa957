-- Which driver regressed between two kernels? Errors on the second that were not found on the first, of drivers that the
-- first exercised: its recordings lost no events, and the end of a binding was observed.
WITH compared AS (
    SELECT '6.11.7-lab' AS good_kernel, '6.12.3-lab' AS bad_kernel
),
exercised AS (
    SELECT recordings.kernel_release, bindings.driver, COUNT(DISTINCT recordings.recording) AS in_recordings
    FROM bindings
    JOIN recordings ON recordings.recording = bindings.recording
    WHERE bindings.exercised AND bindings.complete AND recordings.lost = 0
    GROUP BY recordings.kernel_release, bindings.driver
),
found AS (
    SELECT recordings.kernel_release, findings.driver, findings.rule, findings.fingerprint,
        COUNT(DISTINCT recordings.recording) AS in_recordings,
        COUNT(DISTINCT recordings.machine_name) AS on_machines,
        MAX(findings.known) AS known
    FROM findings
    JOIN recordings ON recordings.recording = findings.recording
    WHERE findings.severity = 'error'
    GROUP BY recordings.kernel_release, findings.driver, findings.rule, findings.fingerprint
)
SELECT bad.driver, bad.rule, bad.fingerprint, bad.on_machines, bad.in_recordings AS bad_recordings,
    good.in_recordings AS good_recordings, bad.known
FROM compared
JOIN found AS bad ON bad.kernel_release = compared.bad_kernel
JOIN exercised AS good ON good.kernel_release = compared.good_kernel AND good.driver = bad.driver
LEFT JOIN found AS earlier
    ON earlier.kernel_release = compared.good_kernel AND earlier.fingerprint = bad.fingerprint
WHERE earlier.fingerprint IS NULL
ORDER BY bad.in_recordings DESC, bad.fingerprint;
