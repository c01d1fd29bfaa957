-- How does the lab do, day by day and kernel by kernel? For the first panel of a dashboard.
SELECT CAST(recorded_at AS DATE) AS recorded_on, kernel_release,
    COUNT(*) AS in_all,
    SUM(CASE WHEN verdict = 'clean' THEN 1 ELSE 0 END) AS clean,
    SUM(CASE WHEN verdict = 'findings' THEN 1 ELSE 0 END) AS with_findings,
    SUM(CASE WHEN verdict = 'inconclusive' THEN 1 ELSE 0 END) AS inconclusive,
    SUM(CASE WHEN lost > 0 THEN 1 ELSE 0 END) AS with_losses
FROM recordings
GROUP BY CAST(recorded_at AS DATE), kernel_release
ORDER BY recorded_on NULLS LAST, kernel_release NULLS LAST;
