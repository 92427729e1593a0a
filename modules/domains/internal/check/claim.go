package check

import (
	"context"
	"time"

	"app238.com/inner/modules/domains/internal/lifecycle"
	"app238.com/inner/modules/domains/internal/store"
)

// claimFunc claims the next domains; more is false if it will claim no more, even after slots are released.
type claimFunc func(ctx context.Context) (claimed []slotClaim, more bool, err error)

// slotClaim is a claim and its slot.
type slotClaim struct {
	store.Claimed
	release func()
}

// Notifications receives a value when domains may be due.
func (c *Checker) Notifications() <-chan struct{} { return c.notifications }

// Notify wakes CheckDue, because domains may be due.
func (c *Checker) Notify() {
	select {
	case c.notifications <- struct{}{}:
	default:
	}
}

// CheckDue checks the due domains until none is left for which this process has slots.
func (c *Checker) CheckDue(ctx context.Context) (Summary, error) {
	return c.run(ctx, c.notifications, func(ctx context.Context) (claimed []slotClaim, more bool, err error) {
		for _, slow := range []bool{false, true} {
			available, excluded := c.slots.available(slow)
			if available == 0 {
				continue
			}
			due, err := c.store.Due(ctx, store.Slow{From: lifecycle.SlowAfter, Is: slow}, excluded, available)
			if err != nil {
				return claimed, false, err
			}
			some, _, err := c.claim(ctx, due, 0, c.store.ClaimDue)
			if err != nil {
				return claimed, false, err
			}
			claimed = append(claimed, some...)
		}
		return claimed, false, nil
	})
}

// reservedShare is the part of the slots that CheckAll leaves to CheckDue: one of so many.
const reservedShare = 8

// windowSize is how many domains may wait for a slot while CheckAll continues: domains of one user do not block those of others.
const (
	windowSize = 20_000
	pageSize   = 1000
)

// CheckAll checks every domain, due or not, except those that are claimed already. Slow domains are made due instead: with
// their few slots they may take longer than all others together.
func (c *Checker) CheckAll(ctx context.Context) (Summary, error) {
	if err := c.store.MakeDue(ctx, lifecycle.SlowAfter); err != nil {
		return Summary{}, err
	}
	after, ended := "", false
	var window []store.Candidate
	return c.run(ctx, nil, func(ctx context.Context) (claimed []slotClaim, more bool, err error) {
		for !ended && len(window) <= windowSize-pageSize {
			page, err := c.store.Page(ctx, after, pageSize)
			if err != nil {
				return nil, false, err
			}
			if ended = len(page) < pageSize; len(page) > 0 {
				after = page[len(page)-1].CDID
			}
			for _, w := range page {
				if !isSlow(w) {
					window = append(window, w)
				}
			}
		}
		claimed, window, err = c.claim(ctx, window, c.concurrency/reservedShare, c.store.Claim)
		return claimed, len(window) > 0 || !ended, err
	})
}

// CheckOne checks one domain. It reports false if the domain is claimed already.
func (c *Checker) CheckOne(ctx context.Context, cdid string) (bool, error) {
	done := false
	summary, err := c.run(ctx, nil, func(ctx context.Context) ([]slotClaim, bool, error) {
		if done {
			return nil, false, nil
		}
		done = true
		claimed, err := c.store.Claim(ctx, c.lease, []string{cdid})
		return pairClaims(claimed, map[string]func(){cdid: func() {}}), false, err
	})
	return len(summary) > 0, err
}

// storeClaim claims those of the domains that can be claimed.
type storeClaim func(ctx context.Context, lease time.Duration, cdids []string) ([]store.Claimed, error)

// claim claims the domains for which there are slots, apart from the reserved ones, and returns the others.
func (c *Checker) claim(
	ctx context.Context, all []store.Candidate, reserved int, by storeClaim,
) (claimed []slotClaim, others []store.Candidate, err error) {
	releases := map[string]func(){}
	var cdids []string
	for _, w := range all {
		release, ok := c.slots.acquire(w, reserved)
		if !ok {
			others = append(others, w)
			continue
		}
		releases[w.CDID] = release
		cdids = append(cdids, w.CDID)
	}
	found, err := by(ctx, c.lease, cdids)
	claimed = pairClaims(found, releases)
	for _, release := range releases {
		release()
	}
	if len(releases) > 0 {
		c.slots.broadcast()
	}
	return claimed, others, err
}

// pairClaims pairs claims with their slots, and leaves slots without a claim in releases.
func pairClaims(claimed []store.Claimed, releases map[string]func()) []slotClaim {
	all := make([]slotClaim, len(claimed))
	for i, one := range claimed {
		all[i] = slotClaim{Claimed: one, release: releases[one.CDID]}
		delete(releases, one.CDID)
	}
	return all
}
