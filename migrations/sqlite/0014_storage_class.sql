-- Names of storage classes, SQLite. Its twin is ../postgres/0014_storage_class.sql.
--
-- class_name: NULL the usual one of the class (STANDARD, STANDARD_IA), 1 REDUCED_REDUNDANCY, 2 GLACIER_IR. It counts only
-- beside the class that it is a name of.
ALTER TABLE objects ADD COLUMN class_name INTEGER;
ALTER TABLE uploads ADD COLUMN class_name INTEGER;
