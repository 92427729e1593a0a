package database_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/app/logging"
)

// cleaned is an error whose text was redacted, as that of a job.
type cleaned struct {
	text string
	is   error
}

func (c cleaned) Error() string { return c.text }
func (c cleaned) Unwrap() error { return c.is }

func TestUserMessageHidesServerMessage(t *testing.T) {
	t.Parallel()
	missing := &pq.Error{Code: "42P01", Message: `relation "secret" does not exist`}
	full := &pq.Error{Code: "53100", Message: "could not extend file"}
	beyond := &pq.Error{Code: "22003", Message: `value "3000000000" is out of range for type integer`}
	for err, want := range map[error]string{
		missing:                             "the database lacks a table or column; run: inner migrate (SQLSTATE 42P01)",
		fmt.Errorf("list: %w", full):        "list: the database has no disk space left (SQLSTATE 53100)",
		errors.Join(context.Canceled, full): "context canceled\nthe database has no disk space left (SQLSTATE 53100)",
		fmt.Errorf("%w, then %w", fmt.Errorf("a: %w", missing),
			full): "a: the database lacks a table or column; run: inner migrate (SQLSTATE 42P01), " +
			"then the database has no disk space left (SQLSTATE 53100)",
		cleaned{logging.Redact("marking: " + beyond.Error()), beyond}: "marking: the database fails (SQLSTATE 22003)",
		errors.New("as it is"): "as it is",
	} {
		require.Equal(t, want, database.UserMessage(err))
	}
}
