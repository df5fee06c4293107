-- Prints one line for each object in the database; equal contents print equal lines. For a table: the number of its
-- rows and the sum of their hashes. Omits sequences, which are not transactional, so a copy may be ahead, and members
-- of extensions, which differ between versions.
SET TIME ZONE 'UTC';
SET search_path = pg_catalog;

SELECT format('SELECT %L, count(*), coalesce(sum(hashtextextended(x::text, 0)), 0) FROM ONLY %I.%I AS x',
              'rows of ' || nspname || '.' || relname, nspname, relname)
FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
WHERE relkind IN ('r', 'm') AND nspname !~ '^pg_|^information_schema$'
ORDER BY nspname COLLATE "C", relname COLLATE "C" \gexec

SELECT 'column', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated,
       pg_get_expr(adbin, adrelid)
FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid JOIN pg_namespace AS n ON n.oid = relnamespace
     LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p', 'v', 'm') AND nspname !~ '^pg_|^information_schema$'
      AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = attrelid AND deptype = 'e')
ORDER BY attrelid::regclass::text COLLATE "C", attname COLLATE "C";

SELECT 'constraint', conrelid::regclass, conname, pg_get_constraintdef(c.oid)
FROM pg_constraint AS c JOIN pg_namespace AS n ON n.oid = connamespace
WHERE nspname !~ '^pg_|^information_schema$' AND contype <> 'n' -- in attnotnull above
ORDER BY conrelid::regclass::text COLLATE "C", conname COLLATE "C";

SELECT 'index', indexdef FROM pg_indexes WHERE schemaname !~ '^pg_' ORDER BY indexdef COLLATE "C";

SELECT 'trigger', pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
ORDER BY pg_get_triggerdef(oid) COLLATE "C";

SELECT 'function', p.oid::regprocedure, md5(prosrc) FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
WHERE nspname !~ '^pg_|^information_schema$'
      AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e')
ORDER BY p.oid::regprocedure::text COLLATE "C";

SELECT 'rights', c.oid::regclass, relowner::regrole,
       (SELECT array_agg(a ORDER BY a::text COLLATE "C") FROM unnest(relacl) AS a)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
WHERE relkind IN ('r', 'p', 'v', 'm', 'S') AND nspname !~ '^pg_|^information_schema$'
      AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e')
ORDER BY c.oid::regclass::text COLLATE "C";
