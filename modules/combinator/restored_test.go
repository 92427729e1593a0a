package combinator_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/jobs"
)

func TestRestoreRenewsRolePasswords(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("u1", "sk_old")
	require.NoError(t, b.run(jobs.RegisterUserType, map[string]string{"user_uid": "u1"}))
	backup := column(t, b.db.DB, `SELECT prepared FROM combinator_tenants`)
	_, err := b.db.Exec(`UPDATE users SET secret_key = 'sk_new'`)
	require.NoError(t, err)
	require.NoError(t, b.run(jobs.SyncPasswordsType, map[string]string{}))
	_, err = b.db.Exec(`UPDATE users SET secret_key = 'sk_old'`)
	require.NoError(t, err)
	_, err = b.db.Exec(`UPDATE combinator_tenants SET prepared = $1`, backup[0])
	require.NoError(t, err)

	id, err := database.Identity(t.Context(), b.db.DB)
	require.NoError(t, err)
	done, err := database.Restored(t.Context(), b.db.DB, id)
	require.NoError(t, err)
	require.True(t, done)
	require.NoError(t, b.run(jobs.SyncPasswordsType, map[string]string{}))
	_, err = b.login("u1", "sk_old").Exec(`SELECT 1`)
	require.NoError(t, err, "the key of the rows is valid")
}
