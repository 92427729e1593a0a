// Package scan finds new, changed and deleted rows of custom_domains, because Outer sends no notification.
package scan

import (
	"context"
	"sync"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/modules/domains/internal/store"
	"app238.com/inner/modules/domains/internal/validate"
)

// pageSize is how many rows are read at once.
const pageSize = 1000

// Scanner scans rows. Several processes may do so at once.
type Scanner struct {
	config    config.Domains
	log       *zap.Logger
	validator *validate.Validator
	store     *store.Store

	mu sync.Mutex
	// lastID is the highest known id of a row; it is read from the database once.
	lastID int64
	loaded bool
}

// New returns a scanner.
func New(c *config.Config, log *zap.Logger, v *validate.Validator, s *store.Store) *Scanner {
	return &Scanner{config: c.Domains, log: log.Named("processor"), validator: v, store: s}
}

// ScanNew adds rows that were inserted since the last scan, and reports whether any domain is due for a check. It may miss rows
// whose ids became visible out of order; ScanAll finds these.
func (p *Scanner) ScanNew(ctx context.Context) (due bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.loaded {
		if p.lastID, err = p.store.LastRow(ctx); err != nil {
			return false, err
		}
		p.loaded = true
	}
	hasNew, due, err := p.store.HasNew(ctx, p.lastID)
	if err != nil || !hasNew {
		return due, err
	}
	lastID, found, err := p.scanFrom(ctx, p.lastID)
	p.lastID = max(p.lastID, lastID)
	return due || found, err
}

// ScanAll compares every row with its checks.
func (p *Scanner) ScanAll(ctx context.Context) error {
	lastID, _, err := p.scanFrom(ctx, 0)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.lastID = max(p.lastID, lastID)
	p.mu.Unlock()
	if err := p.resetFutureTimes(ctx); err != nil {
		return err
	}
	return p.removeDeleted(ctx)
}

// resetFutureTimes makes domains due whose times are in the future because the database's clock was set back.
func (p *Scanner) resetFutureTimes(ctx context.Context) error {
	n, err := p.store.ResetFutureTimes(ctx)
	if n > 0 {
		p.log.Warn("clock of the database was set back; custom domains made due for a check", zap.Int64("count", n))
	}
	return err
}

// scanFrom scans the rows with ids above after in keyset pages. It returns the last id and whether a row was new.
func (p *Scanner) scanFrom(ctx context.Context, after int64) (lastID int64, found bool, err error) {
	for {
		page, err := p.store.Rows(ctx, after, pageSize)
		if err != nil || len(page) == 0 {
			return after, found, err
		}
		after = page[len(page)-1].ID
		added, err := p.syncPage(ctx, page)
		if err != nil {
			return 0, found, err
		}
		found = found || added
		if len(page) < pageSize {
			return after, found, nil
		}
	}
}

// syncPage compares a page of rows with their checks, and reports whether a row was new.
func (p *Scanner) syncPage(ctx context.Context, page []store.ScannedRow) (added bool, err error) {
	var entries []store.Entry
	var changed, status []string
	for _, row := range page {
		switch {
		case !row.Known:
			entries = append(entries, store.Entry{
				ID: row.ID, Name: objects.Name(row.Row.CDID), Row: row.Row, Result: p.validator.Validate(row.Row),
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
	if err := p.store.RemoveChanged(ctx, changed); err != nil {
		return false, err
	}
	return len(entries) > 0, p.store.SetStatus(ctx, status)
}

// removeDeleted marks domains whose rows were deleted for removal; only after a grace period if so many were deleted at once that
// a mistake is likely.
func (p *Scanner) removeDeleted(ctx context.Context) error {
	_, deleted, restored, err := p.store.CountDeleted(ctx)
	if err != nil || deleted+restored == 0 {
		return err
	}
	removed, err := p.store.RemoveDeleted(ctx, store.Removal{
		Minimum: p.config.RemovalMinimum, Share: p.config.RemovalShare, Grace: p.config.RemovalGrace,
	})
	if err != nil {
		return err
	}
	if removed > 0 {
		p.log.Info("custom domains were deleted", zap.Int64("count", removed))
	}
	known, deleted, _, err := p.store.CountDeleted(ctx)
	if err == nil && deleted >= p.config.RemovalMinimum && float64(deleted) > p.config.RemovalShare*float64(known) {
		p.log.Error("many rows of custom domains were deleted at once; their objects are kept for a grace period",
			zap.Int("deleted", deleted), zap.Int("known", known), zap.Duration("grace", p.config.RemovalGrace))
	}
	return err
}
