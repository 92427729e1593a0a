package check

import (
	"context"
	"time"

	"app238.com/inner/modules/domains/internal/lifecycle"
	"app238.com/inner/modules/domains/internal/store"
)

// source claims the next domains; more is false where it will claim nothing more, whatever places are given back.
type source func(ctx context.Context) (claimed []held, more bool, err error)

// held is a claim and its place.
type held struct {
	store.Claimed
	release func()
}

// News tells Due, or whoever calls it, when there may be something to check.
func (c *Checker) News() <-chan struct{} { return c.news }

// Notify has what is due looked for.
func (c *Checker) Notify() {
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// Due checks what is due, until nothing is that this process has places for.
func (c *Checker) Due(ctx context.Context) (Summary, error) {
	return c.run(ctx, c.news, func(ctx context.Context) (claimed []held, more bool, err error) {
		for _, slow := range []bool{false, true} {
			left, full := c.places.left(slow)
			if left == 0 {
				continue
			}
			due, err := c.store.Due(ctx, store.Slow{From: lifecycle.SlowAfter, Is: slow}, full, left)
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

// spareShare is the part of the places that All leaves to what is due: one of so many.
const spareShare = 8

// windowSize is how many domains wait for a place while All goes over the others: those of one user keep nobody else's waiting.
const (
	windowSize = 20_000
	pageSize   = 1000
)

// All checks every known domain, due or not, but for those that are being checked already. Those that gave no answer several times
// in a row are made due instead: with the places that they have, they may take longer than everything else together.
func (c *Checker) All(ctx context.Context) (Summary, error) {
	if err := c.store.MakeDue(ctx, lifecycle.SlowAfter); err != nil {
		return Summary{}, err
	}
	after, ended := "", false
	var window []store.Waiting
	return c.run(ctx, nil, func(ctx context.Context) (claimed []held, more bool, err error) {
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
		claimed, window, err = c.claim(ctx, window, c.atOnce/spareShare, c.store.Claim)
		return claimed, len(window) > 0 || !ended, err
	})
}

// One checks one domain and tells whether it did; it does not where the domain is being checked already.
func (c *Checker) One(ctx context.Context, cdid string) (bool, error) {
	done := false
	summary, err := c.run(ctx, nil, func(ctx context.Context) ([]held, bool, error) {
		if done {
			return nil, false, nil
		}
		done = true
		claimed, err := c.store.Claim(ctx, c.lease, []string{cdid})
		return hold(claimed, map[string]func(){cdid: func() {}}), false, err
	})
	return len(summary) > 0, err
}

// claimer claims those of the named domains that can be.
type claimer func(ctx context.Context, lease time.Duration, cdids []string) ([]store.Claimed, error)

// claim claims those domains for which there are places, but for some spare ones, and returns the others as left.
func (c *Checker) claim(ctx context.Context, all []store.Waiting, spare int, by claimer) (claimed []held, left []store.Waiting, err error) {
	releases := map[string]func(){}
	var cdids []string
	for _, w := range all {
		release, ok := c.places.take(w, spare)
		if !ok {
			left = append(left, w)
			continue
		}
		releases[w.CDID] = release
		cdids = append(cdids, w.CDID)
	}
	found, err := by(ctx, c.lease, cdids)
	claimed = hold(found, releases)
	for _, release := range releases {
		release()
	}
	if len(releases) > 0 {
		c.places.announce()
	}
	return claimed, left, err
}

// hold puts claims and their places together, and leaves places without a claim in releases.
func hold(claimed []store.Claimed, releases map[string]func()) []held {
	all := make([]held, len(claimed))
	for i, one := range claimed {
		all[i] = held{Claimed: one, release: releases[one.CDID]}
		delete(releases, one.CDID)
	}
	return all
}
