package combinator_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/testdatabase"
)

func TestAnEngineThatLetsNoConnectionBeOpenedBurnsNoAttempt(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "the server of the tests has no TLS, and knows its settings")
	for name, c := range map[string]struct{ setting, words string }{
		"no TLS":     {"sslmode=require", "offers no TLS"},
		"no setting": {"sslmode=disable&no_such_setting=1", "SQLSTATE 42704"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(all *config.Config) {
				dsn := all.Combinator.RDB.DSN.Reveal()
				require.Contains(t, dsn, "sslmode=disable")
				all.Combinator.RDB.DSN = config.Secret(strings.Replace(dsn, "sslmode=disable", c.setting, 1))
			})
			b.user("u1", "sk_one")
			b.resource("u1", "r1", "rdb")
			for kind, payload := range map[string]any{
				jobs.CreateRDBType: ref("u1", "r1"), jobs.DeleteRDBType: ref("u1", "r2"), jobs.RegisterUserType: map[string]string{"user_uid": "u1"},
			} {
				var waiting *job.Error
				require.ErrorAs(t, b.run(kind, payload), &waiting, kind)
				require.Equal(t, job.Snooze, waiting.Kind, "%s: %v", kind, waiting)
			}
			require.Equal(t, "loading", b.status("r1"))
			require.ErrorContains(t, b.rdb.Ready(t.Context()), c.words)
		})
	}
}
