package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"
)

// statementLimit bounds one statement, and one transaction of a few.
const statementLimit = 15 * time.Second

// outer plays the Outer Gateway: it owns the platform's tables, and asks Inner for work over HTTP.
type outer struct {
	api
	db *sql.DB

	user, worker string // users.uid and workers.wid
	version      int64  // worker_deploy_versions.id
}

// newOuter uses the ids of the README's examples on a database of its own, and new ones on one that others use too.
func newOuter(address string, own bool) *outer {
	if own {
		return &outer{api: newAPI(address), user: "demo", worker: "hello"}
	}
	return &outer{api: newAPI(address), user: newID(), worker: newID()}
}

// newID returns what the Outer's ids look like.
func newID() string {
	id := make([]byte, 4)
	_, _ = rand.Read(id) // it never fails
	return hex.EncodeToString(id)
}

func (o *outer) open(dsn string) error {
	connector, err := pq.NewConnector(dsn)
	if err != nil {
		// The driver's own message may repeat the password.
		return errors.New("-d: not a valid postgres:// URL")
	}
	o.db = sql.OpenDB(connector)
	return nil
}

func (o *outer) close() error {
	o.http.CloseIdleConnections()
	if o.db == nil {
		return nil
	}
	return o.db.Close()
}

// insert writes a user, a worker and a version of it, with the columns that the Outer fills and as it fills them.
func (o *outer) insert(ctx context.Context, image string, port int) error {
	ctx, cancel := context.WithTimeout(ctx, statementLimit)
	defer cancel()
	tx, err := o.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing to do once it is committed
	now := time.Now().UTC()
	_, err = tx.ExecContext(ctx, `INSERT INTO users (uid, email, password_hash, secret_key, created_at)
		VALUES ($1, $2, '-', $3, $4)`, o.user, o.user+"@demo.example.com", "sk_"+rand.Text(), now)
	if err != nil {
		return fmt.Errorf("insert the user: %w", err)
	}
	var id int64
	err = tx.QueryRowContext(ctx, `INSERT INTO workers (wid, user_uid, worker_name, status, env_json, secrets_json,
			assigned_cpu, assigned_memory, assigned_disk, max_replicas, main_region, created_at)
		VALUES ($1, $2, 'demo', 'unloaded', '{"GREETING": "hello"}', '[]', '', '', '', 0, '', $3)
		RETURNING id`, o.worker, o.user, now).Scan(&id)
	if err != nil {
		return fmt.Errorf("insert the worker: %w", err)
	}
	err = tx.QueryRowContext(ctx, `INSERT INTO worker_deploy_versions (worker_id, image, port, status, msg, created_at)
		VALUES ($1, $2, $3, 'loading', '', $4) RETURNING id`, id, image, port, now).Scan(&o.version)
	if err != nil {
		return fmt.Errorf("insert the version: %w", err)
	}
	return tx.Commit()
}

// rows are what Inner has written back.
type rows struct {
	worker  string
	active  sql.NullInt64
	version string
	message string
}

func (o *outer) rows(ctx context.Context) (r rows, err error) {
	ctx, cancel := context.WithTimeout(ctx, statementLimit)
	defer cancel()
	err = o.db.QueryRowContext(ctx, `SELECT w.status, w.active_version_id, v.status, v.msg
		FROM workers w JOIN worker_deploy_versions v ON v.worker_id = w.id WHERE w.wid = $1 AND v.id = $2`,
		o.worker, o.version).Scan(&r.worker, &r.active, &r.version, &r.message)
	if err != nil {
		return rows{}, fmt.Errorf("read the rows: %w", err)
	}
	return r, nil
}

// remove takes away what insert has written, and the versions that were added since.
func (o *outer) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, statementLimit)
	defer cancel()
	_, err := o.db.ExecContext(ctx, `DELETE FROM worker_deploy_versions
		WHERE worker_id IN (SELECT id FROM workers WHERE wid = $1 AND user_uid = $2)`, o.worker, o.user)
	if err != nil {
		return fmt.Errorf("delete the versions: %w", err)
	}
	if _, err := o.db.ExecContext(ctx, `DELETE FROM workers WHERE wid = $1 AND user_uid = $2`, o.worker, o.user); err != nil {
		return fmt.Errorf("delete the worker: %w", err)
	}
	if _, err := o.db.ExecContext(ctx, `DELETE FROM users WHERE uid = $1`, o.user); err != nil {
		return fmt.Errorf("delete the user: %w", err)
	}
	return nil
}
