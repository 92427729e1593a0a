package lifecycle_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/domains/internal/lifecycle"
)

// fixture is a domain, a clock, and the result of its next checks.
type fixture struct {
	policy lifecycle.Policy
	now    time.Time
	state  lifecycle.State
	answer lifecycle.Kind
}

func setup() *fixture {
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return &fixture{
		policy: lifecycle.Policy{
			ScheduleFor: 7 * 24 * time.Hour, WithdrawFailures: 5, WithdrawAfter: 24 * time.Hour, Retry: time.Hour,
			IdleInterval: 24 * time.Hour,
		},
		now: begin, answer: lifecycle.Invalid,
		state: lifecycle.State{Started: begin, Next: begin},
	}
}

// check advances the clock to the next scheduled check and makes it.
func (w *fixture) check() {
	w.now = w.state.Next
	w.checkNow()
}

func (w *fixture) checkNow() {
	w.state = w.policy.Next(w.state, lifecycle.Outcome{Kind: w.answer, Text: string(w.answer)}, w.now)
}

func TestGapsOfAPendingDomainGrow(t *testing.T) {
	t.Parallel()
	w := setup()
	begin := w.now
	checks, early, maxGap := 0, 0, time.Duration(0)
	for last := begin; w.state.Status == ""; last = w.now {
		w.check()
		checks++
		if w.now.Sub(begin) <= 20*time.Minute {
			early++
		}
		maxGap = max(maxGap, w.now.Sub(last))
	}
	require.InDelta(t, 75, checks, 5, "in a week")
	require.InDelta(t, 10, early, 1, "in the first twenty minutes")
	require.LessOrEqual(t, maxGap, 4*time.Hour)
	require.Greater(t, maxGap, 3*time.Hour)
	require.InDelta(t, 7*24, w.now.Sub(begin).Hours(), 4)
	require.Equal(t, lifecycle.Error, w.state.Status, "not scheduled any more")
	require.Equal(t, w.now.Add(24*time.Hour), w.state.Next, "the job domain.check still checks it")
}

func TestGapsNeverShrink(t *testing.T) {
	t.Parallel()
	for n := int64(1); n < 10_000; n++ {
		require.LessOrEqual(t, lifecycle.Gap(n), lifecycle.Gap(n+1), n)
	}
	require.Equal(t, 4*time.Hour, lifecycle.Gap(1<<60))
}

func TestValidDomainIsVerifiedAndLeavesTheSchedule(t *testing.T) {
	t.Parallel()
	w := setup()
	w.check()
	w.answer = lifecycle.Valid
	w.check()
	require.True(t, w.state.Verified)
	require.Equal(t, lifecycle.Success, w.state.Status)
	require.Equal(t, w.now.Add(24*time.Hour), w.state.Next)
}

func TestUnreachableChecksAreNoFailures(t *testing.T) {
	t.Parallel()
	w := setup()
	w.answer = lifecycle.Unreachable
	for range 500 {
		w.check()
	}
	require.Empty(t, w.state.Status, "a pending domain stays pending for months")
	require.Zero(t, w.state.Failures)

	w.answer = lifecycle.Valid
	w.check()
	w.answer = lifecycle.Unreachable
	for range 500 {
		w.check()
		require.True(t, w.state.Verified)
		require.Zero(t, w.state.Failures)
	}
	require.Equal(t, lifecycle.Success, w.state.Status)
}

func TestUnreachableDomainsAreCheckedWithBackoff(t *testing.T) {
	t.Parallel()
	w := setup()
	w.answer = lifecycle.Unreachable
	begin := w.now
	for range 12 {
		w.check()
	}
	require.Greater(t, w.state.Next.Sub(w.now), 3*time.Hour)
	require.LessOrEqual(t, w.state.Next.Sub(w.now), 4*time.Hour)
	require.Less(t, w.now.Sub(begin), 24*time.Hour)
	w.answer = lifecycle.Invalid
	w.check()
	require.Less(t, w.state.Next.Sub(w.now), 10*time.Minute)
	require.Zero(t, w.state.Unanswered)
}

func TestWithdrawalNeedsSeveralFailuresOverTheGrace(t *testing.T) {
	t.Parallel()
	w := setup()
	w.answer = lifecycle.Valid
	w.check()
	verified := w.now

	w.answer = lifecycle.Invalid
	w.now = verified.Add(time.Minute)
	for range 100 {
		w.checkNow()
	}
	require.True(t, w.state.Verified, "many failures at once are not enough")

	failing := w.now
	for w.state.Verified {
		w.check()
		require.Less(t, w.now.Sub(failing), 48*time.Hour)
	}
	require.GreaterOrEqual(t, w.now.Sub(failing), 24*time.Hour)
	require.Equal(t, lifecycle.Error, w.state.Status)

	w = setup()
	w.answer = lifecycle.Valid
	w.check()
	w.answer = lifecycle.Invalid
	w.check()
	for i := range 3 {
		w.now = w.now.Add(25 * time.Hour)
		w.checkNow()
		require.True(t, w.state.Verified, "%d failures are not enough either", i+2)
	}
	w.now = w.now.Add(25 * time.Hour)
	w.checkNow()
	require.False(t, w.state.Verified)
}

func TestValidCheckResetsFailures(t *testing.T) {
	t.Parallel()
	w := setup()
	w.answer = lifecycle.Valid
	w.check()
	for range 10 {
		w.answer = lifecycle.Invalid
		for range 20 {
			w.check()
		}
		w.answer = lifecycle.Valid
		w.check()
		require.True(t, w.state.Verified)
		require.Zero(t, w.state.Failures)
	}
}

func TestWithdrawnDomainIsCheckedSoonAndVerifiedAgain(t *testing.T) {
	t.Parallel()
	w := setup()
	w.answer = lifecycle.Valid
	w.check()
	w.answer = lifecycle.Invalid
	for w.state.Verified {
		w.check()
	}
	withdrawn := w.now
	w.check()
	w.check()
	require.Equal(t, lifecycle.Error, w.state.Status, "the status is still error")
	require.Less(t, w.now.Sub(withdrawn), time.Minute)
	w.answer = lifecycle.Valid
	w.check()
	require.True(t, w.state.Verified)
	require.Equal(t, lifecycle.Success, w.state.Status)
}

func TestUnscheduledCheckKeepsTheSchedule(t *testing.T) {
	t.Parallel()
	w := setup()
	w.check()
	before := w.state
	w.now = w.now.Add(time.Second)
	w.checkNow()
	require.Equal(t, before.Next, w.state.Next)
	require.Equal(t, before.Checks, w.state.Checks)
}

func TestRefusedRowIsAnErrorAtOnce(t *testing.T) {
	t.Parallel()
	w := setup()
	w.answer = lifecycle.Valid
	w.check()
	w.answer = lifecycle.Refused
	w.check()
	require.False(t, w.state.Verified)
	require.Equal(t, lifecycle.Error, w.state.Status)
}
