package store

import (
	"context"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/audit/admin"
)

// userPage is raw SQL: it counts rows of four tables.
const userPage = `
WITH p AS (SELECT id, uid FROM users WHERE id > $1 ORDER BY id LIMIT $2)
SELECT p.id, p.uid, COALESCE(w.n, 0), COALESCE(r.n, 0), COALESCE(d.n, 0)
FROM p
LEFT JOIN (SELECT user_uid, count(*) AS n FROM workers WHERE user_uid IN (SELECT uid FROM p) GROUP BY user_uid) AS w
    ON w.user_uid = p.uid
LEFT JOIN (SELECT user_uid, count(*) AS n FROM combinator_resources WHERE user_uid IN (SELECT uid FROM p) GROUP BY user_uid) AS r
    ON r.user_uid = p.uid
LEFT JOIN (SELECT user_uid, count(*) AS n FROM custom_domains WHERE user_uid IN (SELECT uid FROM p) GROUP BY user_uid) AS d
    ON d.user_uid = p.uid
ORDER BY p.id`

// EachUser calls visit for each user, with the number of its rows, and returns the number of users. It reads keyset pages.
func (s *Store) EachUser(ctx context.Context, visit func(admin.User)) (total int64, err error) {
	for after := int64(0); ; {
		page, last, err := s.usersAfter(ctx, after)
		if err != nil || len(page) == 0 {
			return total, err
		}
		for _, u := range page {
			visit(u)
		}
		total += int64(len(page))
		after = last
	}
}

func (s *Store) usersAfter(ctx context.Context, after int64) (page []admin.User, last int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	rows, err := s.db.QueryContext(ctx, userPage, after, s.userPage)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var u admin.User
		if err := rows.Scan(&last, &u.UID, &u.Workers, &u.Resources, &u.Domains); err != nil {
			return nil, 0, err
		}
		page = append(page, u)
	}
	return page, last, rows.Err()
}

// knownUsers is raw SQL: a batch may be larger than the number of parameters that a statement may have.
const knownUsers = `SELECT uid FROM users WHERE uid = ANY($1)`

// KnownUsers returns which of the uids belong to users.
func (s *Store) KnownUsers(ctx context.Context, uids []string) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	rows, err := s.db.QueryContext(ctx, knownUsers, database.Array(uids))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	known := make(map[string]bool, len(uids))
	for rows.Next() {
		var uid string
		if err := rows.Scan(&uid); err != nil {
			return nil, err
		}
		known[uid] = true
	}
	return known, rows.Err()
}
