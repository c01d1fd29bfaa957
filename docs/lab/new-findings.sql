-- Which findings are new since last week? The week ends with the newest recording. A finding of a driver that no earlier
-- recording exercised may be old: then `exercised_before` is 0.
WITH last_week AS (
    SELECT MAX(recorded_at) - INTERVAL '7' DAY AS began FROM recordings
),
found AS (
    SELECT findings.fingerprint, findings.rule, findings.driver,
        MIN(recordings.recorded_at) AS first_recorded,
        COUNT(DISTINCT recordings.recording) AS in_recordings,
        COUNT(DISTINCT recordings.machine_name) AS on_machines,
        COUNT(DISTINCT CASE WHEN findings.severity = 'error' THEN recordings.recording END) AS with_errors
    FROM findings
    JOIN recordings ON recordings.recording = findings.recording
    GROUP BY findings.fingerprint, findings.rule, findings.driver
),
exercised AS (
    SELECT bindings.driver, COUNT(DISTINCT recordings.recording) AS in_recordings
    FROM bindings
    JOIN recordings ON recordings.recording = bindings.recording
    CROSS JOIN last_week
    WHERE bindings.exercised AND recordings.recorded_at <= last_week.began
    GROUP BY bindings.driver
)
SELECT found.rule, found.driver, found.fingerprint, CAST(found.first_recorded AS DATE) AS first_recorded,
    found.in_recordings, found.with_errors, found.on_machines,
    COALESCE(exercised.in_recordings, 0) AS exercised_before
FROM found
CROSS JOIN last_week
LEFT JOIN exercised ON exercised.driver = found.driver
WHERE found.first_recorded > last_week.began
ORDER BY found.with_errors DESC, found.in_recordings DESC, found.fingerprint;
