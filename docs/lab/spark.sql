-- Spark SQL: the tables of a lab in the directory `lab`. The queries are the same as for DuckDB.
-- A kernel `6.1` is a name, not a number.
SET spark.sql.sources.partitionColumnTypeInference.enabled = false;
CREATE OR REPLACE TEMPORARY VIEW recordings USING parquet OPTIONS (path 'lab/recordings');
CREATE OR REPLACE TEMPORARY VIEW bindings USING parquet OPTIONS (path 'lab/bindings');
CREATE OR REPLACE TEMPORARY VIEW resources USING parquet OPTIONS (path 'lab/resources');
CREATE OR REPLACE TEMPORARY VIEW findings USING parquet OPTIONS (path 'lab/findings');
CREATE OR REPLACE TEMPORARY VIEW events USING parquet OPTIONS (path 'lab/events');
