package database

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
)

// Names of rows in inner_platform: the database's id, and the key that encrypts the marks in the engines.
const (
	identityName = "database"
	markKeyName  = "mark key"
)

// markKeySize is the size of the key of the marks, in bytes.
const markKeySize = 32

// These statements are raw SQL: a migration runs the first two on its one connection, and the others belong to one transaction
// that uses the database's time.
const (
	addIdentity = `INSERT INTO inner_platform (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`
	getIdentity = `SELECT value FROM inner_platform WHERE name = $1`
	setIdentity = `
UPDATE inner_platform SET value = $2, created_at = LOCALTIMESTAMP WHERE name = $1 AND value = $3`
	// Observations of earlier audits do not match the restored rows: the grace period of orphans starts again.
	forgetObservations = `DELETE FROM inner_audit_sightings`
	// The roles may have newer passwords than the restored rows say.
	forgetPasswords = `UPDATE combinator_tenants SET prepared = 'unknown'`
)

// ErrNoIdentity is the error of a database without an id; inner migrate creates one.
var ErrNoIdentity = errors.New("the database has no id: run inner migrate")

// ensureIdentity creates the database's id and the key of the marks where they are missing.
func ensureIdentity(ctx context.Context, conn *sql.Conn) error {
	key := make([]byte, markKeySize)
	_, _ = rand.Read(key) // never fails
	for _, one := range []struct{ name, fresh string }{{identityName, rand.Text()}, {markKeyName, hex.EncodeToString(key)}} {
		var there string
		err := conn.QueryRowContext(ctx, getIdentity, one.name).Scan(&there)
		if errors.Is(err, sql.ErrNoRows) {
			_, err = conn.ExecContext(ctx, addIdentity, one.name, one.fresh)
		}
		if err != nil {
			return fmt.Errorf("%s of the platform: %w", one.name, err)
		}
	}
	return nil
}

// MarkKey returns the key that encrypts the marks on users' objects in the engines, or ErrNoMarkKey. It is part of the
// database's backups.
func MarkKey(ctx context.Context, db *sql.DB) (key []byte, err error) {
	err = Retry(ctx, func(ctx context.Context) error {
		var text string
		if err := db.QueryRowContext(ctx, getIdentity, markKeyName).Scan(&text); err != nil {
			return err
		}
		key, err = hex.DecodeString(text)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoMarkKey
	}
	return key, err
}

// ErrNoMarkKey is the error of a database without a key of the marks; inner migrate creates one.
var ErrNoMarkKey = errors.New("the database has no mark key: run inner migrate")

// Identity returns the id of the database, or ErrNoIdentity. Row ids are comparable with ids in the cluster only if both
// belong to the same database id. It is not cached: a database can be restored while the process runs.
func Identity(ctx context.Context, db *sql.DB) (id string, err error) {
	err = db.QueryRowContext(ctx, getIdentity, identityName).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoIdentity
	}
	return id, err
}

// RenewIdentity gives a restored database, whose rows are older than the cluster's state, a new id, unless its id differs
// from old by now. It tells whether it did.
func RenewIdentity(ctx context.Context, db *sql.DB, old string) (done bool, err error) {
	err = Retry(ctx, func(ctx context.Context) error {
		done, err = renewIdentity(ctx, db, old)
		return err
	})
	return done, err
}

func renewIdentity(ctx context.Context, db *sql.DB, old string) (bool, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }()
	result, err := tx.ExecContext(ctx, setIdentity, identityName, rand.Text(), old)
	if err != nil {
		return false, err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	for _, forget := range []string{forgetObservations, forgetPasswords} {
		if _, err := tx.ExecContext(ctx, forget); err != nil {
			return false, err
		}
	}
	return true, tx.Commit()
}
