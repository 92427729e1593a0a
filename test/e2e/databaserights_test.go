package e2e_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// outerTables are those that the Outer Gateway has made before Inner comes.
var outerTables = []string{"users", "verification_codes", "workers", "worker_deploy_versions", "combinator_resources",
	"custom_domains"}

// documentedRole matches what the operator's guide has one send to the database.
var documentedRole = regexp.MustCompile("(?s)```sql\n(.*?)```")

// onlyOuters drops Inner's own tables, so that the database is as Inner finds it when it is installed.
func (w *fixture) onlyOuters(t *testing.T) {
	t.Helper()
	rows, err := w.db.QueryContext(t.Context(), `SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = 'public'`)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	var inners []string
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		if !slices.Contains(outerTables, name) {
			inners = append(inners, name)
		}
	}
	require.NoError(t, rows.Err())
	require.Contains(t, inners, "console_tasks")
	for _, name := range inners {
		_, err := w.db.ExecContext(t.Context(), `DROP TABLE `+name)
		require.NoError(t, err)
	}
}

// roleOfTheGuide makes the role of the operator's guide, by another name, and has Inner use it.
func (w *fixture) roleOfTheGuide(t *testing.T) {
	t.Helper()
	guide, err := os.ReadFile("../../docs/operating.md")
	require.NoError(t, err)
	found := documentedRole.FindSubmatch(guide)
	require.NotNil(t, found, "the guide has no SQL")
	role, password := "inner_"+strings.ToLower(rand.Text()), rand.Text()
	// Not by w.db, which has every statement parsed as CockroachDB does.
	db, err := sql.Open("postgres", w.proxy.DSN)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	var version string
	require.NoError(t, db.QueryRowContext(t.Context(), `SELECT version()`).Scan(&version))
	text := strings.NewReplacer("inner_gateway", role, "choose one", password).Replace(string(found[1]))
	if strings.Contains(version, "CockroachDB") {
		text = strings.ReplaceAll(text, "GRANT REFERENCES", "GRANT CREATE")
	}
	for statement := range strings.SplitSeq(strings.TrimSpace(text), ";") {
		if statement = strings.TrimSpace(statement); statement == "" {
			continue
		}
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		for _, statement := range []string{`DROP OWNED BY `, `DROP ROLE `} {
			_, err := w.db.ExecContext(ctx, statement+role)
			require.NoError(t, err)
		}
	})
	dsn, err := url.Parse(w.proxy.DSN)
	require.NoError(t, err)
	dsn.User = url.UserPassword(role, password)
	w.reconfigure(t, fmt.Sprintf("%q", w.proxy.DSN), fmt.Sprintf("%q", dsn))
}

// TestDocumentedDatabasePrivilegesSuffice installs Inner beside tables of the Outer Gateway's with the documented role, and
// plays everything that it does.
func TestDocumentedDatabasePrivilegesSuffice(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.onlyOuters(t)
	w.roleOfTheGuide(t)
	w.ownNamespaces(t)
	w.user(t, "u1", "sk_e2e")
	w.configure(t, auditing)
	w.names(t, customDomain, customValue)
	w.tenants(t)
	notices, outer := w.pods(t), w.tokenOfOuter(t)
	for range 2 { // it is safe to run again
		out, err := w.command(t, "migrate").CombinedOutput()
		require.NoError(t, err, string(out))
	}

	i := w.start(t)
	k := w.actWorkers(t, i, outer)
	w.actDomain(t)
	w.actCombinator(t, i, notices)
	w.actStatus(t, k)
	w.actAudit(t, i)
	w.actDelete(t, i, k)
	w.awaitEveryJobType(t, i)
	i.stop()
	require.NotContains(t, w.log(t), "permission denied")
}
