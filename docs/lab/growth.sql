-- What grows across the fleet? Devices that hold more resources when their driver is bound than they held on the first day
-- on which that was recorded on the same machine.
WITH held AS (
    SELECT recordings.machine_name, bindings.device, bindings.driver,
        CAST(recordings.recorded_at AS DATE) AS recorded_on,
        MAX(bindings.resources_bound) AS resources,
        MAX(bindings.bytes_bound) AS bytes
    FROM bindings
    JOIN recordings ON recordings.recording = bindings.recording
    WHERE bindings.resources_bound IS NOT NULL AND bindings.complete AND recordings.recorded_at IS NOT NULL
    GROUP BY recordings.machine_name, bindings.device, bindings.driver, CAST(recordings.recorded_at AS DATE)
),
numbered AS (
    SELECT held.*,
        ROW_NUMBER() OVER (PARTITION BY machine_name, device, driver ORDER BY recorded_on) AS from_first,
        ROW_NUMBER() OVER (PARTITION BY machine_name, device, driver ORDER BY recorded_on DESC) AS from_last
    FROM held
),
compared AS (
    SELECT machine_name, device, driver, COUNT(*) AS days,
        MAX(CASE WHEN from_first = 1 THEN resources END) AS first_resources,
        MAX(CASE WHEN from_last = 1 THEN resources END) AS last_resources,
        MAX(CASE WHEN from_last = 1 THEN bytes END) AS last_bytes
    FROM numbered
    GROUP BY machine_name, device, driver
)
SELECT machine_name, device, driver, days, first_resources, last_resources,
    last_resources - first_resources AS growth, last_bytes
FROM compared
WHERE last_resources > first_resources
ORDER BY growth DESC, machine_name, device, driver;
