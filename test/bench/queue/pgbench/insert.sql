\set k random(1, 1000000000000000)
INSERT INTO console_tasks (task_type, task_info, task_detailed_status, lane, ordering_key) VALUES ('bench.noop', '{"key":"bench-1000000","at":1000000000}', 'accepted', 'default', 'bench-' || :k::TEXT);
