-- DuckDB: the tables of a lab in the directory `lab`. The queries are the same as for Spark.
CREATE OR REPLACE VIEW recordings AS SELECT * FROM read_parquet('lab/recordings/*/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE VIEW bindings AS SELECT * FROM read_parquet('lab/bindings/*/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE VIEW resources AS SELECT * FROM read_parquet('lab/resources/*/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE VIEW findings AS SELECT * FROM read_parquet('lab/findings/*/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE VIEW events AS SELECT * FROM read_parquet('lab/events/*/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
