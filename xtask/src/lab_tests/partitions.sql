SELECT events.kernel, events.machine, recordings.kernel_release, recordings.machine_name, COUNT(*) AS number
FROM events
JOIN recordings ON recordings.recording = events.recording
GROUP BY events.kernel, events.machine, recordings.kernel_release, recordings.machine_name
ORDER BY events.kernel, events.machine, recordings.kernel_release NULLS LAST, recordings.machine_name NULLS LAST;
