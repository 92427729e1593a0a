package combinator_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/jobs"
)

// mark returns the comment on a user's schema r1.
func (b *bundle) mark(userUID string) string {
	b.t.Helper()
	found := column(b.t, b.admin(b.database(userUID)), `SELECT obj_description(to_regnamespace($1::TEXT), 'pg_namespace')`,
		b.schema(userUID, "r1"))
	require.Len(b.t, found, 1)
	return found[0]
}

// readable reads all comments and settings of roles that a user can read.
const readable = `SELECT description FROM pg_description WHERE description LIKE 'inner-gateway%'
UNION SELECT description FROM pg_shdescription WHERE description LIKE 'inner-gateway%'
UNION SELECT array_to_string(setconfig, ' ') FROM pg_db_role_setting`

func TestMarksHideOwnersFromOtherUsers(t *testing.T) {
	t.Parallel()
	for name, layout := range layouts() {
		for server, play := range servers(t) {
			t.Run(name+" on "+server, func(t *testing.T) {
				t.Parallel()
				b := setup(t, layout, play)
				for uid, rid := range map[string]string{"victim": "secretresource", "stranger": "r2"} {
					b.user(uid, "sk_"+uid)
					b.createSchema(uid, rid)
				}
				db := b.login("stranger", "sk_stranger")
				defer func() { require.NoError(t, db.Close()) }()
				marks := column(t, db, readable)
				require.NotEmpty(t, marks)
				for _, mark := range marks {
					require.NotContains(t, mark, "victim")
					require.NotContains(t, mark, "secretresource")
				}

				_, err := b.db.Exec(`DELETE FROM combinator_resources WHERE user_uid = 'victim'; DELETE FROM combinator_places`)
				require.NoError(t, err)
				deleted, _ := b.runAudit()
				require.Equal(t, []string{"rdb secretresource"}, deleted, "the platform can decode its marks without rows")
				require.False(t, b.schemaExists("victim", "secretresource"))
			})
		}
	}
}

func TestMarkOfUnknownKeyIsIgnored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("u1", "sk_one")
	b.createSchema("u1", "r1")
	require.NotEmpty(t, b.mark("u1"))
	_, err := b.db.Exec(`UPDATE inner_platform SET value = ` + database.Literal("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff") + ` WHERE name = 'mark key'`)
	require.NoError(t, err)
	other := b.copyWith(func(*config.Config) {})
	other.copyRows(b)
	_, err = other.db.Exec(`DELETE FROM combinator_resources; DELETE FROM combinator_places`)
	require.NoError(t, err)
	deleted, _ := other.runAudit()
	require.NotContains(t, deleted, "rdb r1")
	require.True(t, b.schemaExists("u1", "r1"))
	_, err = other.db.Exec(`DELETE FROM inner_platform`)
	require.NoError(t, err)
	lost := other.copyWith(func(*config.Config) {})
	lost.copyRows(other)
	lost.resource("u1", "r2", "rdb")
	require.ErrorContains(t, lost.run(jobs.CreateRDBType, ref("u1", "r2")), "unavailable")
}
