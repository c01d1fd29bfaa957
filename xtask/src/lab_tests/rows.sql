SELECT 'recordings' AS name, COUNT(*) AS number, COUNT(DISTINCT recording) AS in_recordings FROM recordings
UNION ALL SELECT 'bindings', COUNT(*), COUNT(DISTINCT recording) FROM bindings
UNION ALL SELECT 'resources', COUNT(*), COUNT(DISTINCT recording) FROM resources
UNION ALL SELECT 'findings', COUNT(*), COUNT(DISTINCT recording) FROM findings
UNION ALL SELECT 'events', COUNT(*), COUNT(DISTINCT recording) FROM events
UNION ALL SELECT 'events read', SUM(events), COUNT(*) FROM recordings
ORDER BY name;
