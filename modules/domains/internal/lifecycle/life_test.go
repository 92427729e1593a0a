package lifecycle_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/domains/internal/lifecycle"
)

// world is a domain, the clock that its checks go by, and what the DNS says of it.
type world struct {
	policy lifecycle.Policy
	now    time.Time
	state  lifecycle.State
	says   lifecycle.Kind
}

func setup() *world {
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return &world{
		policy: lifecycle.Policy{ScheduleFor: 7 * 24 * time.Hour, WithdrawFailures: 5, WithdrawAfter: 24 * time.Hour, Retry: time.Hour, Rest: 24 * time.Hour},
		now:    begin, says: lifecycle.Invalid,
		state: lifecycle.State{Begun: begin, Next: begin},
	}
}

// check makes the clock reach the next check and does it.
func (w *world) check() {
	w.now = w.state.Next
	w.outOfTurn()
}

func (w *world) outOfTurn() {
	w.state = w.policy.Next(w.state, lifecycle.Outcome{Kind: w.says, Text: string(w.says)}, w.now)
}

func TestTheScheduleOfAPendingDomainStartsDenseAndThinsOut(t *testing.T) {
	t.Parallel()
	w := setup()
	begin := w.now
	checks, early, longest := 0, 0, time.Duration(0)
	for last := begin; w.state.Status == ""; last = w.now {
		w.check()
		checks++
		if w.now.Sub(begin) <= 20*time.Minute {
			early++
		}
		longest = max(longest, w.now.Sub(last))
	}
	require.InDelta(t, 75, checks, 5, "in a week")
	require.InDelta(t, 10, early, 1, "in the first twenty minutes")
	require.LessOrEqual(t, longest, 4*time.Hour)
	require.Greater(t, longest, 3*time.Hour)
	require.InDelta(t, 7*24, w.now.Sub(begin).Hours(), 4)
	require.Equal(t, lifecycle.Error, w.state.Status, "given up")
	require.Equal(t, w.now.Add(24*time.Hour), w.state.Next, "and left to domain.check")
}

func TestGapsNeverShrink(t *testing.T) {
	t.Parallel()
	for n := int64(1); n < 10_000; n++ {
		require.LessOrEqual(t, lifecycle.Gap(n), lifecycle.Gap(n+1), n)
	}
	require.Equal(t, 4*time.Hour, lifecycle.Gap(1<<60))
}

func TestADomainThatBecomesRightIsVerifiedAtOnceAndNotScheduledAnyMore(t *testing.T) {
	t.Parallel()
	w := setup()
	w.check()
	w.says = lifecycle.Valid
	w.check()
	require.True(t, w.state.Verified)
	require.Equal(t, lifecycle.Success, w.state.Status)
	require.Equal(t, w.now.Add(24*time.Hour), w.state.Next)
}

func TestWhatCouldNotBeAskedNeverCounts(t *testing.T) {
	t.Parallel()
	w := setup()
	w.says = lifecycle.Unreachable
	for range 500 {
		w.check()
	}
	require.Empty(t, w.state.Status, "months of silence do not give a pending domain up")
	require.Zero(t, w.state.Failures)

	w.says = lifecycle.Valid
	w.check()
	w.says = lifecycle.Unreachable
	for range 500 {
		w.check()
		require.True(t, w.state.Verified)
		require.Zero(t, w.state.Failures)
	}
	require.Equal(t, lifecycle.Success, w.state.Status)
}

func TestDeadNameServersAreAskedEverMoreSeldomUntilTheyAnswer(t *testing.T) {
	t.Parallel()
	w := setup()
	w.says = lifecycle.Unreachable
	begin := w.now
	for range 12 {
		w.check()
	}
	require.Greater(t, w.state.Next.Sub(w.now), 3*time.Hour)
	require.LessOrEqual(t, w.state.Next.Sub(w.now), 4*time.Hour)
	require.Less(t, w.now.Sub(begin), 24*time.Hour)
	w.says = lifecycle.Invalid
	w.check()
	require.Less(t, w.state.Next.Sub(w.now), 10*time.Minute)
	require.Zero(t, w.state.Unanswered)
}

func TestAVerifiedDomainIsWithdrawnOnlyAfterSeveralFailuresOverTheGraceTime(t *testing.T) {
	t.Parallel()
	w := setup()
	w.says = lifecycle.Valid
	w.check()
	verified := w.now

	w.says = lifecycle.Invalid
	w.now = verified.Add(time.Minute)
	for range 100 {
		w.outOfTurn()
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
	w.says = lifecycle.Valid
	w.check()
	w.says = lifecycle.Invalid
	w.check()
	for i := range 3 {
		w.now = w.now.Add(25 * time.Hour)
		w.outOfTurn()
		require.True(t, w.state.Verified, "%d failures are not enough either", i+2)
	}
	w.now = w.now.Add(25 * time.Hour)
	w.outOfTurn()
	require.False(t, w.state.Verified)
}

func TestOneRightAnswerEndsTheDoubt(t *testing.T) {
	t.Parallel()
	w := setup()
	w.says = lifecycle.Valid
	w.check()
	for range 10 {
		w.says = lifecycle.Invalid
		for range 20 {
			w.check()
		}
		w.says = lifecycle.Valid
		w.check()
		require.True(t, w.state.Verified)
		require.Zero(t, w.state.Failures)
	}
}

func TestAWithdrawnDomainIsLookedAtSoonAndComesBack(t *testing.T) {
	t.Parallel()
	w := setup()
	w.says = lifecycle.Valid
	w.check()
	w.says = lifecycle.Invalid
	for w.state.Verified {
		w.check()
	}
	withdrawn := w.now
	w.check()
	w.check()
	require.Equal(t, lifecycle.Error, w.state.Status, "it says so meanwhile")
	require.Less(t, w.now.Sub(withdrawn), time.Minute)
	w.says = lifecycle.Valid
	w.check()
	require.True(t, w.state.Verified)
	require.Equal(t, lifecycle.Success, w.state.Status)
}

func TestACheckOutOfTurnLeavesTheScheduleAsItIs(t *testing.T) {
	t.Parallel()
	w := setup()
	w.check()
	before := w.state
	w.now = w.now.Add(time.Second)
	w.outOfTurn()
	require.Equal(t, before.Next, w.state.Next)
	require.Equal(t, before.Checks, w.state.Checks)
}

func TestARefusedRowIsAnErrorAtOnce(t *testing.T) {
	t.Parallel()
	w := setup()
	w.says = lifecycle.Valid
	w.check()
	w.says = lifecycle.Refused
	w.check()
	require.False(t, w.state.Verified)
	require.Equal(t, lifecycle.Error, w.state.Status)
}
