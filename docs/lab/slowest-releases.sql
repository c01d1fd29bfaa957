-- Which releases take longest? In milliseconds, by driver, resource and kernel. Recordings without real times are left out.
SELECT resources.driver, resources.label, recordings.kernel_release,
    COUNT(*) AS releases,
    ROUND(MAX(resources.release_took) / 1e6, 3) AS longest_ms,
    ROUND(AVG(resources.release_took) / 1e6, 3) AS average_ms
FROM resources
JOIN recordings ON recordings.recording = resources.recording
WHERE resources.release_took IS NOT NULL AND recordings.has_times
GROUP BY resources.driver, resources.label, recordings.kernel_release
ORDER BY longest_ms DESC, resources.driver, resources.label, recordings.kernel_release
LIMIT 20;
