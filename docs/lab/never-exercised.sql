-- Which drivers are never exercised? Drivers that were bound somewhere, and of which no recording has the end of a binding:
-- nothing is known of the order in which they release.
SELECT bindings.driver, bindings.bus,
    COUNT(DISTINCT bindings.recording) AS in_recordings,
    COUNT(DISTINCT recordings.machine_name) AS on_machines,
    MAX(CASE WHEN bindings.began_at IS NULL THEN 0 ELSE 1 END) AS probed
FROM bindings
JOIN recordings ON recordings.recording = bindings.recording
WHERE bindings.driver IS NOT NULL
GROUP BY bindings.driver, bindings.bus
HAVING MAX(CASE WHEN bindings.exercised THEN 1 ELSE 0 END) = 0
ORDER BY in_recordings DESC, bindings.driver, bindings.bus NULLS LAST;
