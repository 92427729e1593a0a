// Package users counts what the database says belongs to each user.
package users

import (
	"context"
	"database/sql"
	"time"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/audit/admin"
)

// Users reads the table of users.
type Users struct {
	db      *sql.DB
	timeout time.Duration
	page    int
}

// New returns a reader.
func New(db *sql.DB, c *config.Config) *Users {
	return &Users{db: db, timeout: c.Database.StatementTimeout, page: c.Audit.PageSize}
}

const pageOfUsers = `
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

// Each calls tell for each user, in keyset pages, and returns how many there are.
func (u *Users) Each(ctx context.Context, tell func(admin.User)) (total int64, err error) {
	for after := int64(0); ; {
		page, last, err := u.pageAfter(ctx, after)
		if err != nil || len(page) == 0 {
			return total, err
		}
		for _, each := range page {
			tell(each)
		}
		total += int64(len(page))
		after = last
	}
}

func (u *Users) pageAfter(ctx context.Context, after int64) (page []admin.User, last int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, u.timeout)
	defer cancel()
	rows, err := u.db.QueryContext(ctx, pageOfUsers, after, u.page)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var each admin.User
		if err := rows.Scan(&last, &each.UID, &each.Workers, &each.Resources, &each.Domains); err != nil {
			return nil, 0, err
		}
		page = append(page, each)
	}
	return page, last, rows.Err()
}

const knownUsers = `SELECT uid FROM users WHERE uid = ANY($1)`

// Known returns which of the uids are those of users.
func (u *Users) Known(ctx context.Context, uids []string) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, u.timeout)
	defer cancel()
	rows, err := u.db.QueryContext(ctx, knownUsers, database.Array(uids))
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
