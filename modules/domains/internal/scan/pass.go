// Package scan finds out which rows of custom_domains came, changed and vanished: Outer tells nobody.
package scan

import (
	"context"
	"sync"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/modules/domains/internal/rules"
	"app238.com/inner/modules/domains/internal/store"
)

// pageSize is how many rows are read at once.
const pageSize = 1000

// Pass looks at rows. Several processes may do so at once.
type Scan struct {
	config config.Domains
	log    *zap.Logger
	rules  *rules.Rules
	store  *store.Store

	mu sync.Mutex
	// last is the highest id of a row that is known, once that was read.
	last  int64
	begun bool
}

// New returns a Pass.
func New(c *config.Config, log *zap.Logger, r *rules.Rules, s *store.Store) *Scan {
	return &Scan{config: c.Domains, log: log.Named("processor"), rules: r, store: s}
}

// Look makes rows known that came since the last look, and tells whether any domain is due for a check. What it misses because
// ids became visible out of order, Run finds.
func (p *Scan) Look(ctx context.Context) (due bool, err error) {
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
	last, found, err := p.walk(ctx, p.last)
	p.last = max(p.last, last)
	return due || found, err
}

// Run compares every row with what is known of it.
func (p *Scan) Run(ctx context.Context) error {
	last, _, err := p.walk(ctx, 0)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.last = max(p.last, last)
	p.mu.Unlock()
	if err := p.hasten(ctx); err != nil {
		return err
	}
	return p.deleted(ctx)
}

// hasten sees that no domain stands still because the database's clock was set back.
func (p *Scan) hasten(ctx context.Context) error {
	n, err := p.store.Hasten(ctx)
	if n > 0 {
		p.log.Warn("made custom domains due for a check: the database's clock was set back", zap.Int64("count", n))
	}
	return err
}

// walk goes over the rows with ids above after, in keyset pages. It returns the last id, and whether a row was new.
func (p *Scan) walk(ctx context.Context, after int64) (last int64, found bool, err error) {
	for {
		page, err := p.store.Rows(ctx, after, pageSize)
		if err != nil || len(page) == 0 {
			return after, found, err
		}
		after = page[len(page)-1].ID
		added, err := p.compare(ctx, page)
		if err != nil {
			return 0, found, err
		}
		found = found || added
		if len(page) < pageSize {
			return after, found, nil
		}
	}
}

func (p *Scan) compare(ctx context.Context, page []store.Seen) (added bool, err error) {
	var entries []store.Entry
	var changed, status []string
	for _, row := range page {
		switch {
		case !row.Known:
			entries = append(entries, store.Entry{
				ID: row.ID, Name: objects.Name(row.Row.CDID), Row: row.Row, Verdict: p.rules.Validate(row.Row),
			})
		case !row.Same && !row.Gone:
			changed = append(changed, row.Row.CDID)
		case row.StatusDiffers:
			status = append(status, row.Row.CDID)
		}
	}
	if err := p.store.Add(ctx, entries); err != nil {
		return false, err
	}
	if len(changed) > 0 {
		p.log.Info("custom domains changed", zap.Int("count", len(changed)))
	}
	if err := p.store.Changed(ctx, changed); err != nil {
		return false, err
	}
	return len(entries) > 0, p.store.SetStatus(ctx, status)
}

// vanished has what belongs to deleted rows removed; late, where so many are gone at once that a mistake is more likely.
func (p *Scan) deleted(ctx context.Context) error {
	_, deleted, returned, err := p.store.Deleted(ctx)
	if err != nil || deleted+returned == 0 {
		return err
	}
	removed, err := p.store.RemoveDeleted(ctx, store.Removal{
		Number: p.config.RemovalMinimum, Share: p.config.RemovalShare, Grace: p.config.RemovalGrace,
	})
	if err != nil {
		return err
	}
	if removed > 0 {
		p.log.Info("custom domains were deleted", zap.Int64("count", removed))
	}
	known, deleted, _, err := p.store.Deleted(ctx)
	if err == nil && deleted >= p.config.RemovalMinimum && float64(deleted) > p.config.RemovalShare*float64(known) {
		p.log.Error("so many rows of custom domains vanished at once that their routes are kept for now",
			zap.Int("vanished", deleted), zap.Int("known", known), zap.Duration("kept", p.config.RemovalGrace))
	}
	return err
}
