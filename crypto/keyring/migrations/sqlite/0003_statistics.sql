-- SQLite samples no values: what its ANALYZE keeps are counts.
SELECT 1;
