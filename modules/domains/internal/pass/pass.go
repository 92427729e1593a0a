// Package pass finds out which rows of custom_domains came, changed and vanished: Outer tells nobody.
package pass

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/modules/domains/internal/rules"
	"app238.com/inner/modules/domains/internal/store"
)

const (
	// pageSize is how many rows are read at once. Of the new ones among them, which take far longer than known ones, batchSize
	// are made known before the next page has its turn: nobody waits behind all that another user added.
	pageSize  = 5000
	batchSize = 250
)

// Pass looks at rows. Several processes may do so at once.
type Pass struct {
	config config.Domains
	log    *zap.Logger
	rules  *rules.Rules
	store  *store.Store

	mu sync.Mutex
	// last is the highest id of a row that is known, once that was read.
	last  int64
	begun bool
	added func()
}

// New returns a Pass.
func New(c *config.Config, log *zap.Logger, r *rules.Rules, s *store.Store) *Pass {
	return &Pass{config: c.Domains, log: log.Named("processor"), rules: r, store: s, added: func() {}}
}

// OnAdd has added called each time that new rows were made known. It must return quickly, and is set before the first look.
func (p *Pass) OnAdd(added func()) { p.added = added }

// Look makes rows known that came since the last look, and tells whether any domain is due for a check. What it misses because
// ids became visible out of order, or because a process ended before it was through, Run finds.
func (p *Pass) Look(ctx context.Context) (due bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.begun {
		if p.last, err = p.store.LastRow(ctx); err != nil {
			return false, err
		}
		p.begun = true
	}
	news, due, err := p.store.News(ctx, p.last)
	if err != nil || !news {
		return due, err
	}
	known, err := p.walk(ctx, p.last)
	p.last = max(p.last, known)
	return due, err
}

// Run compares every row with what is known of it.
func (p *Pass) Run(ctx context.Context) error {
	known, err := p.walk(ctx, 0)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.last = max(p.last, known)
	p.mu.Unlock()
	if err := p.hasten(ctx); err != nil {
		return err
	}
	return p.vanished(ctx)
}

// hasten sees that no domain stands still because the database's clock was set back.
func (p *Pass) hasten(ctx context.Context) error {
	n, err := p.store.Hasten(ctx)
	if n > 0 {
		p.log.Warn("made custom domains due for a check: the database's clock was set back", zap.Int64("count", n))
	}
	return err
}

// walk goes over the rows with ids above after, and over those that it has left again, until all are known that were there at
// first. It returns up to which id all are. Between two rounds it leaves the database to others for as long as a round takes.
func (p *Pass) walk(ctx context.Context, after int64) (known int64, err error) {
	for end := int64(math.MaxInt64); ; {
		begin := time.Now()
		known, last, err := p.round(ctx, after)
		if err != nil {
			return 0, err
		}
		if end = min(end, last); known >= end {
			return known, nil
		}
		after = known
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Since(begin)):
		}
	}
}

// round goes over the rows with ids above after once, in keyset pages. It returns up to which id all are known, and the last id.
func (p *Pass) round(ctx context.Context, after int64) (known, last int64, err error) {
	for complete := true; ; {
		page, err := p.store.Rows(ctx, after, pageSize)
		if err != nil {
			return 0, 0, err
		}
		if len(page) > 0 {
			after = page[len(page)-1].ID
		}
		left, err := p.compare(ctx, page)
		if err != nil {
			return 0, 0, err
		}
		if complete {
			known = after
		}
		if complete && left > 0 {
			known, complete = left-1, false
		}
		if len(page) < pageSize {
			return known, after, nil
		}
	}
}

// compare returns the lowest id of a new row that is left for later; zero: none is.
func (p *Pass) compare(ctx context.Context, page []store.Seen) (left int64, err error) {
	var fresh []store.Seen
	var changed, status []string
	for _, row := range page {
		switch {
		case !row.Known:
			fresh = append(fresh, row)
		case !row.Same && !row.Gone:
			changed = append(changed, row.Row.CDID)
		case row.StatusDiffers:
			status = append(status, row.Row.CDID)
		}
	}
	left, err = p.add(ctx, fresh)
	if err != nil {
		return 0, err
	}
	if len(changed) > 0 {
		p.log.Info("custom domains changed", zap.Int("count", len(changed)))
	}
	if err := p.store.Changed(ctx, changed); err != nil {
		return 0, err
	}
	return left, p.store.SetStatus(ctx, status)
}

// add makes new rows known, by turns of their users, and returns the lowest id of those that it leaves.
func (p *Pass) add(ctx context.Context, fresh []store.Seen) (left int64, err error) {
	if len(fresh) == 0 {
		return 0, nil
	}
	fresh, left = byTurns(fresh)
	entries := make([]store.Entry, len(fresh))
	for i, row := range fresh {
		entries[i] = store.Entry{ID: row.ID, Name: objects.Name(row.Row.CDID), Row: row.Row, Verdict: p.rules.Judge(row.Row)}
	}
	if err := p.store.Add(ctx, entries); err != nil {
		return 0, err
	}
	p.added()
	return left, nil
}

// byTurns takes batchSize of the rows, which come in the order of their ids: each user's first one, then each one's second, and
// so on. It returns them in that order again, which is the same for all processes, and the lowest id of the others.
func byTurns(rows []store.Seen) (taken []store.Seen, left int64) {
	if len(rows) <= batchSize {
		return rows, 0
	}
	turn, count := map[int64]int{}, map[string]int{}
	for _, row := range rows {
		count[row.Row.UserUID]++
		turn[row.ID] = count[row.Row.UserUID]
	}
	byID := func(a, b store.Seen) int { return cmp.Compare(a.ID, b.ID) }
	slices.SortStableFunc(rows, func(a, b store.Seen) int { return cmp.Compare(turn[a.ID], turn[b.ID]) })
	taken = rows[:batchSize]
	slices.SortFunc(taken, byID)
	return taken, slices.MinFunc(rows[batchSize:], byID).ID
}

// vanished has what belongs to deleted rows removed; late, where so many are gone at once that a mistake is more likely.
func (p *Pass) vanished(ctx context.Context) error {
	before, err := p.store.Vanished(ctx)
	if err != nil || before.Vanished+before.Returned == 0 {
		return err
	}
	removed, err := p.store.RemoveVanished(ctx, store.Removal{
		Number: p.config.RemovalNumber, Share: p.config.RemovalShare, Grace: p.config.RemovalGrace,
	})
	if err != nil {
		return err
	}
	if removed > 0 {
		p.log.Info("custom domains were deleted", zap.Int64("count", removed))
	}
	after, err := p.store.Vanished(ctx)
	if err == nil && after.Kept > 0 {
		p.log.Error("so many rows of custom domains vanished at once that their routes are kept for now",
			zap.Int("vanished", after.Kept), zap.Int("known", after.Known), zap.Duration("kept", p.config.RemovalGrace))
	}
	return err
}
