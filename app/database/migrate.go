package database

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/lib/pq"
)

//go:embed outer.sql
var outerSQL string

//go:embed inner.sql
var innerSQL string

// migrationAttempts bounds how often a step is repeated because another process migrates at the same time.
const migrationAttempts = 20

// stepTimeout bounds one step.
const stepTimeout = 10 * time.Minute

var tableLine = regexp.MustCompile(`(?m)^-- table (\w+)$`)

// Migrate makes every table that is missing and brings Inner's own tables up to date. It never alters a table of
// Outer's that exists, may be run again, and may be run by several processes at once: each step is one transaction that
// changes nothing when its work is done already.
func Migrate(ctx context.Context, db *sql.DB) error {
	for _, t := range outerTables() {
		if err := step(ctx, db, t.create); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	for _, statement := range statements(innerSQL) {
		err := step(ctx, db, func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, statement)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s…: %w", strings.SplitN(statement, "\n", 2)[0], err)
		}
	}
	if err := Identify(ctx, db); err != nil {
		return fmt.Errorf("id of the database: %w", err)
	}
	return nil
}

// outerTable is a table of Outer's and the statements that make it.
type outerTable struct {
	name       string
	statements []string
}

func outerTables() []outerTable {
	var tables []outerTable
	found := tableLine.FindAllStringSubmatchIndex(outerSQL, -1)
	for i, at := range found {
		end := len(outerSQL)
		if i+1 < len(found) {
			end = found[i+1][0]
		}
		tables = append(tables, outerTable{name: outerSQL[at[2]:at[3]], statements: statements(outerSQL[at[1]:end])})
	}
	return tables
}

func (t outerTable) create(ctx context.Context, tx *sql.Tx) error {
	var n int
	// information_schema shows only tables on which one has a right, and nobody gave us one on all of Outer's.
	const exists = `SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = current_schema() AND tablename = $1`
	if err := tx.QueryRowContext(ctx, exists, t.name).Scan(&n); err != nil || n > 0 {
		return err
	}
	for _, statement := range t.statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// statements parts a script at the semicolons that end a line, and leaves comments out.
func statements(script string) []string {
	var lines []string
	for line := range strings.SplitSeq(script, "\n") {
		if !strings.HasPrefix(line, "--") && strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	var out []string
	for s := range strings.SplitSeq(strings.Join(lines, "\n"), ";\n") {
		if s = strings.TrimSuffix(strings.TrimSpace(s), ";"); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// step runs one transaction, again when another process was making the same thing.
func step(ctx context.Context, db *sql.DB, work func(context.Context, *sql.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := inStep(ctx, db, work)
		if err == nil || attempt == migrationAttempts || !madeByAnother(err) {
			return err
		}
		if err := pause(ctx, min(attempt, 6)); err != nil {
			return err
		}
	}
}

func inStep(ctx context.Context, db *sql.DB, work func(context.Context, *sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	// An index on a large table takes longer than any statement of the running program may.
	if _, err := tx.ExecContext(ctx, `SET LOCAL statement_timeout = 0`); err != nil {
		return err
	}
	if err := work(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// madeByAnother knows the errors by which the databases say that two sessions created or altered the same thing at the
// same time: unique violation in the catalogue, duplicate object, table, column or schema, concurrent update.
func madeByAnother(err error) bool {
	var pe *pq.Error
	if !errors.As(err, &pe) {
		return false
	}
	switch pe.Code {
	case codeUniqueViolation, "42710", "42P07", "42701", "42P06", codeSerializationFailure, codeDeadlock:
		return true
	}
	return strings.Contains(pe.Message, "concurrently updated")
}
