package database

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
)

// Names in inner_platform: of the database's id, and of the key of the marks in the engines.
const (
	identityName = "database"
	markKeyName  = "mark key"
)

// markKeySize is the size of the key of the marks, in bytes.
const markKeySize = 32

const (
	addIdentity = `INSERT INTO inner_platform (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`
	getIdentity = `SELECT value FROM inner_platform WHERE name = $1`
	setIdentity = `
UPDATE inner_platform SET value = $2, created_at = LOCALTIMESTAMP WHERE name = $1 AND value = $3`
	// What earlier audits saw was seen beside other rows: the grace before a deletion begins anew.
	forgetSightings = `DELETE FROM inner_audit_sightings`
	// Nor is it known which of their keys the users' roles were given last.
	forgetPasswords = `UPDATE combinator_tenants SET prepared = 'unknown'`
)

// ErrNoIdentity says that the database has no id yet: inner migrate gives it one.
var ErrNoIdentity = errors.New("the database has no id: run inner migrate")

// identify gives the database an id and a key of the marks where it has none.
func identify(ctx context.Context, conn *sql.Conn) error {
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

// MarkKey returns the secret with which the marks on what users have in the engines are encrypted, or ErrNoMarkKey. It is copied
// and restored with the database.
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

// ErrNoMarkKey says that the database has no key of the marks yet: inner migrate makes one.
var ErrNoMarkKey = errors.New("the database has no key of the marks: run inner migrate")

// Identity returns the id of the database, or ErrNoIdentity. Ids of rows compare with numbers that the cluster carries only
// where these were taken under the same id. It is asked each time anew: a database can be restored under a running process.
func Identity(ctx context.Context, db *sql.DB) (id string, err error) {
	err = db.QueryRowContext(ctx, getIdentity, identityName).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoIdentity
	}
	return id, err
}

// Restored gives the database a new id, because its rows are older than what the cluster carries of it, unless its id is
// another one than old by now. It tells whether it did.
func Restored(ctx context.Context, db *sql.DB, old string) (done bool, err error) {
	err = Retry(ctx, func(ctx context.Context) error {
		done, err = restored(ctx, db, old)
		return err
	})
	return done, err
}

func restored(ctx context.Context, db *sql.DB, old string) (bool, error) {
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
	for _, forget := range []string{forgetSightings, forgetPasswords} {
		if _, err := tx.ExecContext(ctx, forget); err != nil {
			return false, err
		}
	}
	return true, tx.Commit()
}
