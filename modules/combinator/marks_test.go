package combinator_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/app/status"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/jobs"
	combinatorstatus "app238.com/inner/modules/combinator/internal/status"
	"app238.com/inner/modules/tasks/job"
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
	_, err := b.db.Exec(`UPDATE inner_platform SET value = ` +
		database.Literal("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff") + ` WHERE name = 'mark key'`)
	require.NoError(t, err)
	other := b.copyWith(func(*config.Config) {})
	other.copyRows(b)
	_, err = other.db.Exec(`DELETE FROM combinator_resources; DELETE FROM combinator_places`)
	require.NoError(t, err)
	deleted, _ := other.runAudit()
	require.NotContains(t, deleted, "rdb r1")
	report, err := combinatorstatus.NewRDB(other.rdb).Probe(t.Context())
	require.NoError(t, err)
	require.Equal(t, status.Degraded, report.Condition)
	require.Contains(t, report.Text, "1 marks")
	require.True(t, b.schemaExists("u1", "r1"))
	_, err = other.db.Exec(`DELETE FROM inner_platform`)
	require.NoError(t, err)
	lost := other.copyWith(func(*config.Config) {})
	lost.copyRows(other)
	lost.resource("u1", "r2", "rdb")
	require.ErrorContains(t, lost.run(jobs.CreateRDBType, ref("u1", "r2")), "unavailable")
}

func TestUnencryptedMarksAreOursAndGetEncrypted(t *testing.T) {
	t.Parallel()
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, layout)
			b.user("u1", "sk_one")
			b.createSchema("u1", "r1")
			encrypted := b.mark("u1")
			for name, work := range map[string]func(){
				"the next schema": func() { require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r1"))) },
				"the audit": func() {
					deleted, repaired := b.runAudit()
					require.Empty(t, deleted)
					require.ElementsMatch(t, []string{"rdb r1", "tenant u1"}, repaired)
				},
			} {
				b.writeUnencryptedMarks("u1", "r1")
				work()
				require.Equal(t, encrypted, b.mark("u1"), name)
				deleted, repaired := b.runAudit()
				require.Empty(t, append(deleted, repaired...), name)
			}
			b.writeUnencryptedMarks("u1", "r1")
			_, err := b.db.Exec(`DELETE FROM combinator_resources; DELETE FROM combinator_places`)
			require.NoError(t, err)
			deleted, _ := b.runAudit()
			require.Equal(t, []string{"rdb r1"}, deleted)
			require.False(t, b.schemaExists("u1", "r1") || b.databaseExists())
		})
	}
}

// writeUnencryptedMarks writes a user's marks as they were before they were encrypted.
func (b *bundle) writeUnencryptedMarks(userUID, resourceID string) {
	b.t.Helper()
	names, head := b.rdb.TenantNames(userUID), "inner-gateway "+b.config.PlatformMark()+" "
	text := `COMMENT ON SCHEMA ` + b.schema(userUID, resourceID) + ` IS ` + database.Literal(head+userUID+"/"+resourceID) +
		`; COMMENT ON ROLE ` + database.Quote(names.Role) + ` IS ` + database.Literal(head+userUID)
	if names.Database != "" {
		text += `; COMMENT ON DATABASE ` + database.Quote(names.Database) + ` IS ` + database.Literal(head+userUID)
	}
	_, err := b.admin(b.database(userUID)).Exec(text)
	require.NoError(b.t, err)
}

// requireOtherPlatform requires that a job fails terminally because an object, which the error names, is another platform's.
func (b *bundle) requireOtherPlatform(kind string, payload any, name string) {
	b.t.Helper()
	var failed *job.Error
	require.ErrorAs(b.t, b.run(kind, payload), &failed)
	require.Equal(b.t, job.Terminal, failed.Kind, failed.Text)
	require.Contains(b.t, failed.Text, name)
	require.Contains(b.t, failed.Text, "another platform")
}

func TestDeleteOfSchemaWithOtherMarkFailsAndIsRepeated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("u1", "sk_one")
	b.createSchema("u1", "r1")
	_, err := b.admin("").Exec(`COMMENT ON SCHEMA ` + b.schema("u1", "r1") + ` IS 'inner-gateway 0123456789abcdef of another'`)
	require.NoError(t, err)
	b.remove("r1")
	for range 2 { // the recorded name is kept
		b.requireOtherPlatform(jobs.DeleteRDBType, ref("u1", "r1"), b.rdb.Name(engine.Resource{UserUID: "u1", ResourceID: "r1"}))
		deleted, _ := b.runAudit()
		require.Equal(t, []string{"rdb r1"}, deleted, "the task reports why it stays")
		require.True(t, b.schemaExists("u1", "r1"))
	}
}
