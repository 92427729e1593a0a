package domains_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/domains/internal/lifecycle"
	"app238.com/inner/modules/domains/internal/store"
)

// zones are zones of targets below the platform's domain.
var zones = []string{"a." + platform, "b." + platform}

// rowOf returns a row whose target is in a zone, with its records.
func (b *bundle) rowOf(host, zone string) row {
	b.t.Helper()
	r := b.row(host)
	r.target = "x." + zone
	b.addRecords(r)
	return r
}

func TestRefusalsFollowTheSettings(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Domains.Targets = zones[:1]
	_, stop := b.start()
	r := b.insert(b.rowOf("www", zones[1]))
	b.awaitState(r, "refused", "error")
	stop()
	b.config.Domains.Targets = zones
	_, stop = b.start()
	b.awaitState(r, "verified", "success")
	b.awaitServed(r)
	thief := b.rowOf("other", zones[0])
	thief.user, thief.value = "thief", r.value
	b.insert(thief)
	b.awaitState(thief, "refused", "error")
	stop()
	b.config.Domains.Targets = zones[:1]
	replica, _ := b.start()
	pending := b.row("pending") // without records
	pending.target = "x." + zones[1]
	b.insert(pending)
	b.awaitState(pending, "refused", "error")
	b.awaitRounds(replica)
	b.awaitState(r, "verified", "success")
	b.awaitServed(r)
}

func TestReusedValueStaysRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Domains.Targets = zones[:1]
	_, stop := b.start()
	old := b.insert(b.rowOf("www", zones[0]))
	b.awaitState(old, "verified", "success")
	thief := b.row("thief")
	thief.user, thief.value, thief.target = "thief", old.value, "x."+zones[1]
	b.addRecords(thief)
	b.insert(thief)
	b.awaitState(thief, "refused", "error")
	stop()
	b.config.Domains.Targets = zones
	replica, _ := b.start()
	b.await("its value is refused", func() error {
		if text := b.domain(thief).Detail; text != "the value of the TXT record was given to another user" {
			return errors.New(text)
		}
		return nil
	})
	b.awaitRounds(replica)
	b.awaitState(thief, "refused", "error")
	require.Equal(t, 1, b.logs.FilterMessage("refusals of custom domains revised").Len())
}

func TestOnlyTheLeaderRevisesRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Domains.Targets = zones
	leading, _ := b.start()
	r := b.insert(b.rowOf("www", zones[1]))
	b.awaitState(r, "verified", "success")
	b.config.Domains.Targets = zones[:1]
	standby := b.startStandby()
	b.awaitRounds(leading, standby)
	b.awaitState(r, "verified", "success")
	require.Zero(t, b.logs.FilterMessage("refusals of custom domains revised").Len())
	late := b.insert(b.rowOf("late", zones[1]))
	b.awaitState(late, "verified", "success") // whichever replica added it
}

func TestCheckThatBeganBeforeARefusalIsVoid(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Domains.Targets = zones
	before := b.replica()
	r := b.insert(b.rowOf("www", zones[1]))
	require.NoError(t, before.scanner.ScanAll(t.Context()))
	claimed, err := before.store.ClaimDue(t.Context(), time.Hour, []string{r.cdid})
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	b.config.Domains.Targets = zones[:1]
	after := b.replica()
	require.NoError(t, after.scanner.ScanAll(t.Context()))
	state := lifecycle.NewPolicy(b.config).Next(claimed[0].State, lifecycle.Outcome{Kind: lifecycle.Valid}, claimed[0].Now)
	require.NoError(t, before.store.Write(t.Context(), []store.Checked{{Claimed: claimed[0], After: state}}))
	_, err = after.checker.CheckDue(t.Context())
	require.NoError(t, err)
	b.awaitState(r, "refused", "error")
	var verified bool
	require.NoError(t, b.db.QueryRowContext(t.Context(), `SELECT verified FROM inner_domain_checks`).Scan(&verified))
	require.False(t, verified)
}
