package database_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
)

// meaning classifies an error: whether the statement certainly had no effect, and whether a retry may succeed.
type meaning struct{ refused, unavailable bool }

func (v meaning) is(t *testing.T, err error) {
	t.Helper()
	require.Equal(t, v.refused, database.IsRefused(err), "certainly refused: %v", err)
	require.Equal(t, v.unavailable, database.IsUnavailable(err), "unavailable: %v", err)
}

var (
	// permanent: the statement or its data is wrong.
	permanent = meaning{refused: true}
	// temporary: refused for now.
	temporary = meaning{refused: true, unavailable: true}
	// ambiguous: the statement may have been executed.
	ambiguous = meaning{unavailable: true}
)

func TestCodesAreClassified(t *testing.T) {
	t.Parallel()
	for want, codes := range map[meaning][]string{
		permanent: {
			"0A000", "21000", "22001", "22003", "22021", "22P05", "2200H", "23502", "23503", "23505", "23514", "23P01", "25001", "25P01",
			"25P02",
			"2BP01", "3F000", "40002", "42501", "42601", "42703", "42P01", "42P04", "42710", "44000", "54001", "54023", "55000", "P0001",
		},
		temporary: {
			"25006", "25P03", "26000", "28000", "28P01", "3D000", "40001", "40P01", "53300", "54000", "55006", "55P03", "57P03",
		},
		ambiguous: {
			"00000", "01000", "08000", "08001", "08003", "08006", "08007", "08P01", "40000", "40003", "53000", "53100", "53200", "53400",
			"57000", "57014", "57P01", "57P02", "57P04", "57P05", "58000", "58030", "58C00", "58C01", "58P01", "72000", "XX000", "XX001",
			"XX002", "XXA00", "XXUUU", "99999", "ZZ123",
		},
	} {
		for _, code := range codes {
			for _, err := range []error{&pq.Error{Code: pqerror.Code(code)},
				fmt.Errorf("commit: %w", &pq.Error{Code: pqerror.Code(code)})} {
				want.is(t, err)
			}
		}
	}
}

func TestErrorsWithoutCodeAreClassified(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		driver.ErrBadConn, sql.ErrConnDone, sql.ErrTxDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, context.DeadlineExceeded,
		&net.OpError{Op: "dial", Err: errors.New("connection refused")},
	} {
		ambiguous.is(t, err)
	}
	for _, err := range []error{nil, sql.ErrNoRows, errors.New("not of the database"), context.Canceled} {
		meaning{}.is(t, err)
	}
}

func TestOutdatedSequenceIsNotDuplicate(t *testing.T) {
	t.Parallel()
	behind := &pq.Error{Code: "23505", Constraint: "console_tasks_pkey", Detail: "Key (id)=(7) already exists."}
	require.True(t, database.IsUnavailable(behind))
	require.True(t, database.IsRefused(behind))
	require.Contains(t, database.Explain(behind), "the id sequence of console_tasks is behind its rows; run: SELECT setval(")
	require.False(t, database.Violates(behind, "console_tasks_one_per_key"))

	duplicate := &pq.Error{Code: "23505", Constraint: "console_tasks_one_per_key", Detail: "Key (ordering_key)=(k) already exists."}
	require.True(t, database.Violates(duplicate, "console_tasks_one_per_key"))
	require.False(t, database.IsUnavailable(duplicate))
	require.Equal(t, "fails (SQLSTATE 23505)", database.Explain(duplicate))
}

func TestExplainRepeatsNothingOfMessage(t *testing.T) {
	t.Parallel()
	require.Empty(t, database.Explain(nil))
	for code, want := range map[string]string{
		"25006": "takes no writes", "53100": "no disk space", "53200": "resources", "28P01": "refuses the login",
		"3D000": "does not exist",
		"42P01": "inner migrate", "42501": "a privilege", "57P01": "stopping", "40003": "fails (SQLSTATE 40003)",
		"XX000": "fails (SQLSTATE XX000)",
	} {
		text := database.Explain(&pq.Error{Code: pqerror.Code(code), Message: "hunter2", Detail: "hunter2"})
		require.Contains(t, text, want)
		require.NotContains(t, text, "hunter2")
	}
	require.Equal(t, "does not answer in time", database.Explain(context.DeadlineExceeded))
	require.NotContains(t, database.Explain(&net.OpError{Op: "dial", Err: errors.New("10.0.0.1")}), "10.0.0.1")
}
