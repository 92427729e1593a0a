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

// verdict is what an error means: whether the statement certainly had no effect, and whether to wait helps.
type verdict struct{ refused, unavailable bool }

func (v verdict) is(t *testing.T, err error) {
	t.Helper()
	require.Equal(t, v.refused, database.IsRefused(err), "certainly refused: %v", err)
	require.Equal(t, v.unavailable, database.IsUnavailable(err), "unavailable: %v", err)
}

var (
	// atFault is the statement or its data; it stays an error.
	atFault = verdict{refused: true}
	// waits is refused for now.
	waits = verdict{refused: true, unavailable: true}
	// doubt may have happened.
	doubt = verdict{unavailable: true}
)

func TestWhatEachCodeMeans(t *testing.T) {
	t.Parallel()
	for want, codes := range map[verdict][]string{
		atFault: {
			"0A000", "21000", "22001", "22003", "22021", "22P05", "2200H", "23502", "23503", "23505", "23514", "23P01", "25001", "25P01", "25P02",
			"2BP01", "3F000", "40002", "42501", "42601", "42703", "42P01", "42P04", "42710", "44000", "54001", "54023", "55000", "P0001",
		},
		waits: {
			"25006", "25P03", "26000", "28000", "28P01", "3D000", "40001", "40P01", "53300", "54000", "55006", "55P03", "57P03",
		},
		doubt: {
			"00000", "01000", "08000", "08001", "08003", "08006", "08007", "08P01", "40000", "40003", "53000", "53100", "53200", "53400",
			"57000", "57014", "57P01", "57P02", "57P04", "57P05", "58000", "58030", "58C00", "58C01", "58P01", "72000", "XX000", "XX001",
			"XX002", "XXA00", "XXUUU", "99999", "ZZ123",
		},
	} {
		for _, code := range codes {
			for _, err := range []error{&pq.Error{Code: pqerror.Code(code)}, fmt.Errorf("commit: %w", &pq.Error{Code: pqerror.Code(code)})} {
				want.is(t, err)
			}
		}
	}
}

func TestWhatErrorsWithoutACodeMean(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		driver.ErrBadConn, sql.ErrConnDone, sql.ErrTxDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, context.DeadlineExceeded,
		&net.OpError{Op: "dial", Err: errors.New("connection refused")},
	} {
		doubt.is(t, err)
	}
	for _, err := range []error{nil, sql.ErrNoRows, errors.New("not of the database"), context.Canceled} {
		verdict{}.is(t, err)
	}
}

func TestASequenceThatIsBehindIsNotADuplicate(t *testing.T) {
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

func TestAnExplanationRepeatsNothingOfTheMessage(t *testing.T) {
	t.Parallel()
	require.Empty(t, database.Explain(nil))
	for code, want := range map[string]string{
		"25006": "takes no writes", "53100": "no disk space", "53200": "resources", "28P01": "let Inner in", "3D000": "does not exist",
		"42P01": "inner migrate", "42501": "a right", "57P01": "stopping", "40003": "fails (SQLSTATE 40003)", "XX000": "fails (SQLSTATE XX000)",
	} {
		text := database.Explain(&pq.Error{Code: pqerror.Code(code), Message: "hunter2", Detail: "hunter2"})
		require.Contains(t, text, want)
		require.NotContains(t, text, "hunter2")
	}
	require.Equal(t, "does not answer in time", database.Explain(context.DeadlineExceeded))
	require.NotContains(t, database.Explain(&net.OpError{Op: "dial", Err: errors.New("10.0.0.1")}), "10.0.0.1")
}
