package combinator_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/combinator/internal/naming"
)

// renames are changed templates, by the text that the error must contain.
var renames = map[string]func(*config.Combinator){
	"combinator.rdb.names": func(c *config.Combinator) { c.RDB.Names.Schema = "s_{user_uid}_{resource_id}" },
	"roles and databases":  func(c *config.Combinator) { c.RDB.Names.Role = "x" + c.RDB.Names.Role },
	"combinator.kv.prefix": func(c *config.Combinator) { c.KV.Prefix = "x" + c.KV.Prefix },
}

func TestTemplateMismatchFailsStart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("u1", "sk_one")
	b.addResources("r1", b.id("k1"))
	require.NoError(t, b.start())
	for key, rename := range renames {
		renamed := b.copyWith(func(c *config.Config) { rename(&c.Combinator) })
		require.NoError(t, renamed.start(), "nothing is recorded yet")
		renamed.store = b.store
		err := renamed.start()
		require.ErrorContains(t, err, key)
		require.ErrorAs(t, err, new(config.Error))
	}
	other := b.copyWith(func(c *config.Config) { c.Platform += "-staging" })
	other.copyRows(b)
	require.NoError(t, other.start(), "another platform has its own names")
}

func TestChangedDomainFailsStart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("u1", "sk_one")
	require.NoError(t, b.run(jobs.RegisterUserType, map[string]string{"user_uid": "u1"}))
	b.addResources("r1", b.id("k1"))
	moved := b.copyWith(func(c *config.Config) { c.Domain, c.Platform = "new."+c.Domain, "" })
	require.NoError(t, moved.start(), "nothing is recorded yet")
	moved = b.copyWith(func(c *config.Config) { c.Domain, c.Platform = "new."+c.Domain, "" })
	moved.copyRows(b)
	err := moved.start()
	require.ErrorContains(t, err, "platform:")
	require.ErrorAs(t, err, new(config.Error))
	kept := b.copyWith(func(c *config.Config) { c.Domain = "new." + c.Domain })
	kept.copyRows(b)
	require.NoError(t, kept.start())
}

func (b *bundle) start() error {
	check := naming.New(b.config, b.store, b.rdb, b.kv, zap.NewNop())
	if err := check.Start(b.t.Context()); err != nil {
		return err
	}
	return check.Ready(b.t.Context())
}

func TestStartWithoutDatabaseIsNotReady(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("u1", "sk_one")
	b.addResources("r1", b.id("k1"))
	renamed := b.copyWith(func(c *config.Config) { c.Combinator.KV.Prefix = "x" + c.Combinator.KV.Prefix })
	renamed.store = b.store
	check := naming.New(renamed.config, renamed.store, renamed.rdb, renamed.kv, zap.NewNop())
	b.faults.breakAt(1, false)
	require.NoError(t, check.Start(t.Context()))
	err := check.Ready(t.Context())
	require.ErrorContains(t, err, "not compared")
	require.NotErrorAs(t, err, new(config.Error))
	b.faults.off()
	require.ErrorContains(t, check.Ready(t.Context()), "combinator.kv.prefix")
}

func TestRecordedNamesOverrideChangedTemplates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("u1", "sk_one")
	k1 := b.id("k1")
	b.addResources("r1", k1)
	renamed := b.copyWith(func(c *config.Config) {
		c.Combinator.RDB.Names.Schema = "s_{user_uid}_{resource_id}"
		c.Combinator.KV.Prefix = "x" + c.Combinator.KV.Prefix
	})
	renamed.copyRows(b)
	deleted, repaired := renamed.runAudit()
	require.Empty(t, append(deleted, repaired...))
	for kind, rid := range map[string]string{jobs.CreateRDBType: "r1", jobs.CreateKVType: k1} {
		require.NoError(t, renamed.run(kind, ref("u1", rid)))
		require.Equal(t, "active", renamed.status(rid))
	}
	require.False(t, renamed.schemaExists("u1", "r1"), "no empty schema is created")
	b.requireResources("r1", k1)
	require.NoError(t, renamed.run(jobs.DeleteRDBType, ref("u1", "r1")))
	require.NoError(t, renamed.run(jobs.DeleteKVType, ref("u1", k1)))
	require.False(t, b.schemaExists("u1", "r1"))
	require.Empty(t, keys(t, b.client(), b.prefix(k1)))
}
